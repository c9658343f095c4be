"""From untrusted bytes to pixels, inside limits. What a server or a file name says of the bytes is not believed."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from curate.errors import ItemError
from curate.media import renderings
from curate.media.resize import bicubic
from curate.media.salvage import copies
from curate.records import Reason

if TYPE_CHECKING:
    import numpy as np

FORMATS = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
}
_OPENED = tuple(name for name in FORMATS if name != "MPO")  # Pillow opens an MPO as a JPEG first
Image.MAX_IMAGE_PIXELS = None  # Bounds.max_pixels refuses before anything is decoded; Pillow's own limit only warns

SEVERAL = 4
_DEPTH = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2}  # bytes that Pillow has a pixel in; all others: 4

_CUT = ("truncated", "unexpected end")  # what decoders say of a file that is not all there
_MARKUP = (b"<!doctype html", b"<html", b"<head", b"<script", b"<body", b"<?xml", b"<svg")
_MAGIC = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


@dataclass(frozen=True)
class Luminance:
    """What a picture looks like in grey, at 1/`scale` of its `size` (width, height).

    `image` is oriented, mode L. Where the scale does not divide a side, an edge pixel of `image` lies partly outside
    the picture; `before` says how many px of the full size lie so before its first column and row.
    """

    image: Image.Image
    size: tuple[int, int]
    scale: int = 1
    before: tuple[int, int] = (0, 0)

    @cached_property
    def pixels(self) -> "np.ndarray":
        """The grey levels as uint8[height, width] of `image`."""
        import numpy as np

        return np.asarray(self.image)


_allowed: int | None = None


def allow(memory: int) -> None:
    """How many bytes a frame may have in this process, once it is decoded: what an item may take here."""
    global _allowed
    _allowed = memory


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large (pixels in a frame), how small (shorter side, px) and how long (frames or pages) an image may be.

    All frames together may have SEVERAL times `max_pixels`.
    """

    max_pixels: int = 100_000_000
    min_side: int = 16
    max_frames: int = 100


def open_image(data: bytes, bounds: Bounds) -> Image.Image:
    """An image whose header fits the bounds, not yet decoded; raises ItemError saying why not.

    Metadata that stops the decoder is left out, and costs nothing but itself.
    """
    image = _opened(data)
    if image.width * image.height > bounds.max_pixels:
        raise ItemError(Reason.TOO_MANY_PIXELS, f"{image.width}x{image.height}")
    if min(image.size) < bounds.min_side:
        raise ItemError(Reason.TOO_SMALL, f"{image.width}x{image.height}")
    _afford(image)
    return image


def _afford(image: Image.Image, count: int = 1) -> None:
    """Refuse frames that are larger, once decoded, than an item's memory, or all together SEVERAL times as large."""
    size = count * image.width * image.height * _DEPTH.get(image.mode, 4)
    if _allowed is not None and size > _allowed * (1 if count == 1 else SEVERAL):
        said = f"{count} x {image.width}x{image.height} {image.mode} are {size >> 20} MiB, once decoded"
        raise ItemError(Reason.TOO_LARGE, said)


def _opened(data: bytes) -> Image.Image:
    failure: ItemError | None = None
    for one in copies(data):
        try:
            with decoding():
                image = Image.open(io.BytesIO(one), formats=_OPENED)
        except ItemError as error:
            if not isinstance(error.__cause__, UnidentifiedImageError):
                failure = error
            continue
        image.decodermaxblock = len(one)  # fed in blocks, a JPEG's rows at their ends would be decoded twice
        if image.format == "TIFF":
            image.is_animated = True  # type: ignore[attr-defined]  # or a damaged EXIF directory costs the picture
        elif image.format == "PNG" and image.mode == "L" and isinstance(key := image.info.get("transparency"), int):
            image.info["transparency"] = key * {2: 85, 4: 17}.get(data[24], 1)  # in the levels that Pillow makes
        return image
    raise failure or ItemError(*_not_an_image(data))


def scaled(image: Image.Image, side: int | None) -> Image.Image:
    """Decode the whole current frame: oriented RGB, transparency on white, shorter side at most `side` px (None: full).

    A JPEG is decoded at the smallest of 1/1, 1/2, 1/4, 1/8 that is not below `side`, which reads every byte of it all
    the same. Deep samples are scaled to 8 bits. Raises ItemError (truncated, decode_error, ...).
    """
    if side is not None and image.format in ("JPEG", "MPO"):
        ratio = max(1.0, min(image.size) / side)
        image.draft("RGB", (int(image.width / ratio), int(image.height / ratio)))
    flat = flattened(image, "RGB")
    return flat if side is None else shrink(flat, side)


def luminance(image: Image.Image, side: int) -> Luminance:
    """Decode the whole current frame in grey, at the smallest of 1/1, 1/2, 1/4, 1/8 that leaves `side` px (0: 1/1).

    A scaled JPEG gives its own luminance, and is spared its chroma: good for what groups pictures, not for screening.
    The scale is measured from what was decoded. Raises ItemError (truncated, decode_error, ...).
    """
    wanted = next((n for n in (8, 4, 2) if side and min(image.size) >= n * side), 1)
    if wanted > 1 and image.format in ("JPEG", "MPO"):
        full = image.size
        image.draft("L", (full[0] // wanted, full[1] // wanted))
        grey = flattened(image, "L")
        scale = next((n for n in (8, 4, 2) if image.size == (-(-full[0] // n), -(-full[1] // n))), 1)
        if scale > 1:
            return Luminance(grey, *_as_shown(image, full, scale))
    else:
        grey = flattened(image, "L")
    return Luminance(grey.reduce(wanted) if wanted > 1 else grey, grey.size, wanted)


def flattened(image: Image.Image, mode: str) -> Image.Image:
    """The whole current frame, oriented, transparency on white, as RGB or L; raises ItemError."""
    load(image)
    with decoding():
        flat = renderings.shown(upright(image)).convert(mode)
    flat.info = {}  # what a file says beside its pixels goes nowhere from here
    return flat


def load(image: Image.Image, number: int | None = None) -> None:
    """Decode the current frame, or the one of that number; raises ItemError."""
    with decoding():
        if number is not None:
            image.seek(number)
        if image.format == "GIF" and image.mode == "L":
            image.palette = None  # its own colours are greys; Pillow would show it in those of the whole file
        image.load()


def upright(frame: Image.Image) -> Image.Image:
    """A loaded frame, turned as its EXIF says."""
    turn = _TURNS.get(_turn(frame))
    return frame if turn is None else frame.transpose(turn)


@contextmanager
def decoding() -> Iterator[None]:
    """What a decoder or a metadata reader raises is the item's reason: truncated, too_large or decode_error.

    Nothing but their calls belongs inside: a fault of our own must stay one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ItemError:
        raise
    except MemoryError as error:
        raise ItemError(Reason.TOO_LARGE, "more memory than there is") from error
    except Exception as error:  # which exceptions a decoder has is no closed list
        cut = any(word in str(error).lower() for word in _CUT)
        raise ItemError(Reason.TRUNCATED if cut else Reason.DECODE_ERROR, _name(error)) from error


def shrink(image: Image.Image, side: int) -> Image.Image:
    """The image with a shorter side of at most `side` px, never enlarged."""
    ratio = min(image.size) / side
    if ratio <= 1:
        return image
    size = (max(1, round(image.width / ratio)), max(1, round(image.height / ratio)))
    return bicubic(image, size)


def frames(image: Image.Image, bounds: Bounds | None = None) -> int:
    """How many frames or pages the file says it has; raises ItemError where that is unreadable, or beyond bounds."""
    with decoding():
        count = int(getattr(image, "n_frames", 1)) if image.format != "MPO" else 1
    if bounds is not None and count > bounds.max_frames:
        raise ItemError(Reason.TOO_MANY_FRAMES, f"{count}")
    if bounds is not None and count * image.width * image.height > SEVERAL * bounds.max_pixels:
        raise ItemError(Reason.TOO_MANY_PIXELS, f"{count} frames of {image.width}x{image.height}")
    _afford(image, count)
    return count


def oriented_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as shown, after EXIF orientation; read before decoding, since a scaled decode changes them."""
    return _as_shown(image, image.size, 1)[0]


def _as_shown(image: Image.Image, size: tuple[int, int], scale: int) -> tuple[tuple[int, int], int, tuple[int, int]]:
    """Width and height after EXIF orientation, the scale, and how far a picture so scaled reaches out before its px."""
    turn = _turn(image)
    width, height = size[::-1] if turn in (5, 6, 7, 8) else size
    before = (-width % scale * (turn in (2, 3, 6, 7)), -height % scale * (turn in (3, 4, 7, 8)))
    return (width, height), scale, before


def _turn(image: Image.Image) -> int:
    """EXIF orientation, 1..8; 1 where the metadata cannot be read."""
    try:
        with decoding():
            return int(image.getexif().get(0x0112, 1))
    except ItemError:
        return 1


def _not_an_image(data: bytes) -> tuple[Reason, str]:
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<svg", b"<?xml")) and b"<svg" in start:
        return Reason.UNSUPPORTED_MIME, "svg"
    if start.startswith(_MARKUP):
        return Reason.HTML_INSTEAD_OF_MEDIA, ""
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return Reason.DECODE_ERROR, "AVIF that cannot be read"
    if kind := next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None):
        return Reason.DECODE_ERROR, f"{kind} that cannot be read"
    return (Reason.UNSUPPORTED_MIME, "") if data else (Reason.TRUNCATED, "empty")


def _name(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:120]}"
