"""Small pictures for pages that people look at: re-encoded, never a file's own bytes, nothing of its metadata."""

import io

from PIL import Image

SIDE = 160  # px, longer side of a clear thumbnail
CELLS = 8  # px, longer side of an obscured one: all the detail that there is


def clear(image: Image.Image) -> bytes:
    """A JPEG of at most 160 px a side, from an RGB image."""
    small = image.copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    bare = Image.new("RGB", small.size)  # comments, EXIF and profiles stay behind
    bare.paste(small)
    return _encode(bare, "JPEG")


def obscured(image: Image.Image) -> bytes:
    """A PNG of at most 8 grey averages a side; what is not in it cannot be brought back by whoever has the page."""
    ratio = CELLS / max(image.size)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    averages = image.convert("L").resize(size, Image.Resampling.BOX)
    bare = Image.new("L", size)
    bare.paste(averages)
    return _encode(bare, "PNG")


def _encode(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, quality=80, optimize=True)
    return out.getvalue()
