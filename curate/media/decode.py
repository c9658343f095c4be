"""From untrusted bytes to pixels, inside limits. What a server or a file name says of the bytes is not believed."""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

from curate.errors import ItemError
from curate.records import Reason

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

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError)
_MARKUP = (b"<!doctype html", b"<html", b"<head", b"<script", b"<body", b"<?xml", b"<svg")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large (pixels in a frame) and how small (shorter side, px) an image may be."""

    max_pixels: int = 100_000_000
    min_side: int = 16


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
    if image.width * image.height > bounds.max_pixels:
        raise ItemError(Reason.TOO_MANY_PIXELS, f"{image.width}x{image.height}")
    if min(image.size) < bounds.min_side:
        raise ItemError(Reason.TOO_SMALL, f"{image.width}x{image.height}")
    return image


def scaled(image: Image.Image, side: int | None, *, grey: bool = False) -> Image.Image:
    """Decode the whole first frame: oriented RGB, transparency on white, shorter side at most `side` px (None: full).

    A JPEG is decoded at the smallest of 1/1, 1/2, 1/4, 1/8 that is not below `side`, which reads every byte of it all
    the same. 16-bit samples are scaled to 8. `grey` gives luminance alone, and spares a JPEG its chroma.
    Raises ItemError (truncated, decode_error).
    """
    if side is not None and image.format in ("JPEG", "MPO"):
        ratio = max(1.0, min(image.size) / side)
        image.draft("L" if grey else "RGB", (int(image.width / ratio), int(image.height / ratio)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            flat = _flat(ImageOps.exif_transpose(image), "L" if grey else "RGB")
    except _BROKEN as error:
        cut = "truncated" in str(error).lower() or "unexpected end" in str(error).lower()
        raise ItemError(Reason.TRUNCATED if cut else Reason.DECODE_ERROR, _name(error)) from error
    return flat if side is None else shrink(flat, side)


def shrink(image: Image.Image, side: int) -> Image.Image:
    """The image with a shorter side of at most `side` px, never enlarged."""
    ratio = min(image.size) / side
    if ratio <= 1:
        return image
    size = (max(1, round(image.width / ratio)), max(1, round(image.height / ratio)))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def frames(image: Image.Image) -> int:
    """How many frames or pages the file says it has; raises ItemError where that cannot be read."""
    try:
        return int(getattr(image, "n_frames", 1)) if image.format != "MPO" else 1
    except _BROKEN as error:
        raise ItemError(Reason.DECODE_ERROR, _name(error)) from error


def oriented_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as shown, after EXIF orientation; read before decoding, since a scaled decode changes them."""
    turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else image.size


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
    return (Reason.UNSUPPORTED_MIME, "") if data else (Reason.TRUNCATED, "empty")


def _name(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:120]}"
