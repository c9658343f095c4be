"""Small pictures for pages that people look at: re-encoded, never a file's own bytes, nothing of its metadata."""

import io

from PIL import Image

SIDE = 160  # px, longer side of a clear thumbnail
LARGEST = 2**19  # bytes of a picture that a server is asked about
CELLS = 8  # px, longer side of an obscured one: all the detail that there is


def clear(image: Image.Image) -> bytes:
    """A JPEG of at most 160 px a side, from an RGB image."""
    return _encode(_bare(image, SIDE), "JPEG")


def legible(image: Image.Image, side: int) -> bytes:
    """A JPEG of at most `side` px a side, from an RGB image; as fine as LARGEST bytes allow."""
    small, found = _bare(image, side), b""
    for quality in (85, 60, 30, 10):
        found = _encode(small, "JPEG", quality)
        if len(found) <= LARGEST:
            break
    return found


def obscured(image: Image.Image) -> bytes:
    """A PNG of at most 8 grey averages a side; what is not in it cannot be brought back by whoever has the page."""
    ratio = CELLS / max(image.size)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    averages = image.convert("L").resize(size, Image.Resampling.BOX)
    bare = Image.new("L", size)
    bare.paste(averages)
    return _encode(bare, "PNG")


def _bare(image: Image.Image, side: int) -> Image.Image:
    """Small, and nothing but pixels: comments, EXIF and profiles stay behind."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    bare = Image.new("RGB", small.size)
    bare.paste(small)
    return bare


def _encode(image: Image.Image, kind: str, quality: int = 80) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, quality=quality, optimize=True)
    return out.getvalue()
