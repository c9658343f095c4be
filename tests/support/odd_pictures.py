"""Odd and broken images, made by arithmetic: every mode in every format at many sizes, and what lies about on disks."""

import io
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from tests.support.pictures import encode, texture

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tiff", "AVIF": "avif",
           "MPO": "jpg", "JPEG2000": "jpg", "PPM": "png", "TGA": "bmp", "ICO": "png"}  # fmt: skip
SIZES = ((1, 1), (2, 1), (1, 3), (4, 4), (5, 5), (16, 16), (17, 31), (1, 200), (200, 2), (64, 48), (129, 127),
         (400, 16))  # fmt: skip
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF", "TIFF")
COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group3", "group4", "zstd")
Named = tuple[str, bytes]


def corpus() -> list[Named]:
    """All of them, by name; no two have the same name or the same bytes."""
    found: dict[bytes, str] = {}
    for name, data in (*_modes(), *_options(), *_moving(), *_broken()):
        found.setdefault(data, f"{len(found):04d}-{name}")
    return sorted((name, data) for data, name in found.items())


def some(share: int) -> list[Named]:
    """One of so many, drawn by lot so that no kind falls through."""
    every = corpus()
    return sorted(random.Random(0).sample(every, len(every) // share))


def _modes() -> Iterator[Named]:
    for n, size in enumerate(SIZES):
        for m, mode in enumerate(MODES):
            contents = (_flat(mode, size, (n + m) % 3), _in_mode(texture(100 * n + m, size), mode))
            for kind, suffix in FORMATS.items():
                for k, image in enumerate(contents):
                    if image is not None and (data := _saved(image, kind)) is not None:
                        name = f"{kind}-{mode.replace(';', '')}-{size[0]}x{size[1]}-{'flat' if not k else 'drawn'}"
                        yield f"{name}.{suffix}".lower(), data


def _flat(mode: str, size: tuple[int, int], shade: int) -> Image.Image | None:
    return _in_mode(Image.new("RGB", size, ("black", "white", "#3c9a5f")[shade]), mode)


def _in_mode(image: Image.Image, mode: str) -> Image.Image | None:
    """The picture in another mode; None where Pillow has no way there."""
    try:
        if mode == "LAB":
            ways = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
            return ImageCms.applyTransform(image, ImageCms.buildTransform(*ways, "RGB", "LAB"))
        if mode == "PA":
            return image.convert("P").convert("PA")
        return image.convert("L").convert(mode) if mode in ("I", "I;16", "F") else image.convert(mode)
    except (ValueError, OSError):
        return None


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes | None:
    """The file; None where the format cannot hold that."""
    out = io.BytesIO()
    try:
        image.save(out, kind, **options)
    except (OSError, KeyError, ValueError, TypeError, SyntaxError, SystemError, RuntimeError):
        return None
    return out.getvalue()


def _options() -> Iterator[Named]:
    """What encoders do differently: orientation, profile, quality, compression, bit depth, transparency."""
    for n in range(1, 10):
        exif = Image.Exif()
        exif[0x0112] = n
        for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
            yield f"turn-{n}.{FORMATS[kind]}", encode(texture(n, (40 + n, 60)), kind, exif=exif.tobytes())
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        yield f"profile.{FORMATS[kind]}", encode(texture(20), kind, icc_profile=profile)
        yield f"junk-profile.{FORMATS[kind]}", encode(texture(21), kind, icc_profile=b"no profile")
        yield f"junk-exif.{FORMATS[kind]}", _saved(texture(22), kind, exif=b"Exif\0\0junk") or b""
    for quality in (1, 30, 75, 100):
        for subsampling in (0, 1, 2):
            for progressive in (False, True):
                data = _saved(texture(quality, (90, 70)), "JPEG", quality=quality, subsampling=subsampling,
                              progressive=progressive)  # fmt: skip
                yield f"q{quality}-{subsampling}-{progressive}.jpg", data or b""
    for mode in MODES:
        for compression in COMPRESSIONS:
            if compression in ("group3", "group4") and mode != "1":
                continue  # libtiff would say on stderr that it cannot
            image = _in_mode(texture(len(mode), (50, 40)), mode)
            if image is not None and (data := _saved(image, "TIFF", compression=compression)) is not None:
                yield f"{mode.replace(';', '')}-{compression}.tiff", data
    for alpha in (0, 1, 128, 255):
        clear = texture(alpha, (44, 33)).convert("RGBA")
        clear.putalpha(alpha)
        for kind in ("PNG", "WEBP", "TIFF", "GIF", "AVIF"):
            yield f"alpha-{alpha}.{FORMATS[kind]}", _saved(clear, kind) or b""
    for depth in (1, 2, 4, 8):
        yield f"bits-{depth}.png", _saved(texture(depth, (31, 30)).convert("P"), "PNG", bits=depth) or b""
    deep = Image.fromarray((np.arange(48 * 40, dtype=np.uint16) * 31).reshape(40, 48))
    yield from ((f"deep.{suffix}", _saved(deep, kind) or b"") for kind, suffix in (("PNG", "png"), ("TIFF", "tiff")))


def _moving() -> Iterator[Named]:
    """Animations and many pages: of one frame, of equal ones, of frames that grow out of the black."""
    for kind in ANIMATED:
        for count in (1, 2, 5):
            for size in ((16, 16), (20, 33), (70, 50)):
                whole = np.asarray(texture(count, size), dtype=float)
                fading = [Image.fromarray((whole * n / max(1, count - 1)).astype(np.uint8)) for n in range(count)]
                for name, frames in (("fade", fading), ("same", [fading[-1]] * count)):
                    data = _saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
                    if data is not None:
                        yield f"{name}-{count}-{size[0]}.{FORMATS[kind]}", data


def _broken() -> Iterator[Named]:
    """What is no picture, or not a whole one. (What ends inside an AVIF is with the decoder's own tests.)"""
    heads = (b"", b"\0", b"GIF89a", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"<html></html>", b"BM", b"RIFF")
    for n, data in enumerate(heads):
        yield f"junk-{n}.jpg", data
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        whole = encode(texture(7, (120, 90)), kind)
        for n in range(1, 20, 2):
            yield f"cut-{n}.{FORMATS[kind]}", whole[: len(whole) * n // 20]
        rng = random.Random(kind)
        for n in range(12):
            flipped = bytearray(whole)
            for _ in range(n + 1):
                flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
            yield f"flip-{n}.{FORMATS[kind]}", bytes(flipped)
        for n, tail in enumerate((b"\0" * 100, b"text behind the end", b"PK\x03\x04archive", b"<script>x</script>")):
            yield f"tail-{n}.{FORMATS[kind]}", whole + tail
        yield f"named-otherwise-{kind.lower()}.png", encode(texture(8, (60, 60)), kind)
