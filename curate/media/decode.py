"""From untrusted bytes to pixels, inside limits. What a server or a file name says of the bytes is not believed."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from PIL import Image, ImageOps, UnidentifiedImageError

from curate.errors import ItemError
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
LOOK_SIDE = 240  # px that the shorter side keeps in the one decode that hashes are made from

_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError, RuntimeError,
)  # fmt: skip
_MARKUP = (b"<!doctype html", b"<html", b"<head", b"<script", b"<body", b"<?xml", b"<svg")


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


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large (pixels in a frame), how small (shorter side, px) and how long (frames or pages) an image may be.

    All frames together may have SEVERAL times `max_pixels`.
    """

    max_pixels: int = 100_000_000
    min_side: int = 16
    max_frames: int = 100


def open_image(data: bytes, bounds: Bounds) -> Image.Image:
    """An image whose header fits the bounds, not yet decoded; raises ItemError saying why not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=_OPENED)
    except UnidentifiedImageError as error:
        raise ItemError(*_not_an_image(data)) from error
    except _BROKEN as error:
        raise ItemError(Reason.DECODE_ERROR, _name(error)) from error
    image.decodermaxblock = len(data)  # fed in blocks, a JPEG's rows at their ends would be decoded twice
    if image.width * image.height > bounds.max_pixels:
        raise ItemError(Reason.TOO_MANY_PIXELS, f"{image.width}x{image.height}")
    if min(image.size) < bounds.min_side:
        raise ItemError(Reason.TOO_SMALL, f"{image.width}x{image.height}")
    return image


def scaled(image: Image.Image, side: int | None) -> Image.Image:
    """Decode the whole first frame: oriented RGB, transparency on white, shorter side at most `side` px (None: full).

    A JPEG is decoded at the smallest of 1/1, 1/2, 1/4, 1/8 that is not below `side`, which reads every byte of it all
    the same. 16-bit samples are scaled to 8. Raises ItemError (truncated, decode_error).
    """
    if side is not None and image.format in ("JPEG", "MPO"):
        ratio = max(1.0, min(image.size) / side)
        image.draft("RGB", (int(image.width / ratio), int(image.height / ratio)))
    flat = flattened(image, "RGB")
    return flat if side is None else shrink(flat, side)


def luminance(image: Image.Image, side: int = LOOK_SIDE) -> Luminance:
    """Decode the whole current frame in grey, at the smallest of 1/1, 1/2, 1/4, 1/8 that leaves `side` px or more.

    A scaled JPEG gives its own luminance, and is spared its chroma. Raises ItemError (truncated, decode_error).
    """
    scale = next((n for n in (8, 4, 2) if min(image.size) >= n * side), 1)
    size, before = image.size, (0, 0)
    if scale > 1 and image.format in ("JPEG", "MPO"):
        image.draft("L", (size[0] // scale, size[1] // scale))
        size, before = _as_shown(image, size, scale)
        return Luminance(flattened(image, "L"), size, scale, before)
    grey = flattened(image, "L")
    return Luminance(grey.reduce(scale) if scale > 1 else grey, grey.size, scale)


def flattened(image: Image.Image, mode: str) -> Image.Image:
    """The whole current frame, oriented, transparency on white, as RGB or L; raises ItemError."""
    with decoding():
        image.load()
        return _flat(ImageOps.exif_transpose(image), mode)


@contextmanager
def decoding() -> Iterator[None]:
    """What a decoder raises becomes ItemError: truncated, or decode_error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except _BROKEN as error:
        cut = "truncated" in str(error).lower() or "unexpected end" in str(error).lower()
        raise ItemError(Reason.TRUNCATED if cut else Reason.DECODE_ERROR, _name(error)) from error


def shrink(image: Image.Image, side: int) -> Image.Image:
    """The image with a shorter side of at most `side` px, never enlarged."""
    ratio = min(image.size) / side
    if ratio <= 1:
        return image
    size = (max(1, round(image.width / ratio)), max(1, round(image.height / ratio)))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def frames(image: Image.Image, bounds: Bounds | None = None) -> int:
    """How many frames or pages the file says it has; raises ItemError where that is unreadable, or beyond bounds."""
    with decoding():
        count = int(getattr(image, "n_frames", 1)) if image.format != "MPO" else 1
    if bounds is not None and count > bounds.max_frames:
        raise ItemError(Reason.TOO_MANY_FRAMES, f"{count}")
    if bounds is not None and count * image.width * image.height > SEVERAL * bounds.max_pixels:
        raise ItemError(Reason.TOO_MANY_PIXELS, f"{count} frames of {image.width}x{image.height}")
    return count


def oriented_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as shown, after EXIF orientation; read before decoding, since a scaled decode changes them."""
    return _as_shown(image, image.size, 1)[0]


def _as_shown(image: Image.Image, size: tuple[int, int], scale: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Width and height after EXIF orientation, and how far a scaled picture reaches out before its first px."""
    with decoding():
        turn = image.getexif().get(0x0112, 1)
    width, height = size[::-1] if turn in (5, 6, 7, 8) else size
    return (width, height), (-width % scale * (turn in (2, 3, 6, 7)), -height % scale * (turn in (3, 4, 7, 8)))


def _flat(image: Image.Image, mode: str) -> Image.Image:
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        image = _eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert(mode)
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    import numpy as np

    values = np.asarray(image, dtype=np.float64)
    top = 65535.0 if image.mode != "F" else max(float(values.max()), 1.0)
    return Image.fromarray(np.clip(values * (255.0 / top), 0, 255).astype(np.uint8))


def _not_an_image(data: bytes) -> tuple[Reason, str]:
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<svg", b"<?xml")) and b"<svg" in start:
        return Reason.UNSUPPORTED_MIME, "svg"
    if start.startswith(_MARKUP):
        return Reason.HTML_INSTEAD_OF_MEDIA, ""
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return Reason.DECODE_ERROR, "AVIF that cannot be read"
    return (Reason.UNSUPPORTED_MIME, "") if data else (Reason.TRUNCATED, "empty")


def _name(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:120]}"
