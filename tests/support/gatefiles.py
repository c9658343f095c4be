"""Files of a listed picture that were once stored although it was listed: twelve kinds, in containers."""

import base64
import itertools
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from PIL import Image, ImageOps

from tests.support import containers as c
from tests.support.hiding import inverting
from tests.support.pictures import encode

Make = Callable[[Image.Image], bytes]
TURNS = (
    None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90,
)  # fmt: skip


def scene(seed: int, size: tuple[int, int]) -> Image.Image:
    """Soft hills of colour with hard-edged shapes on them; two seeds look nothing alike."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : size[1], 0 : size[0]] / max(size)
    hills = np.zeros((size[1], size[0], 3))
    for channel in range(3):
        for _ in range(5):
            across, down, phase = rng.uniform(-9, 9), rng.uniform(-9, 9), rng.uniform(0, 6.3)
            hills[..., channel] += np.sin(across * x + down * y + phase)
    hills = (hills - hills.min()) / np.ptp(hills) * 255
    for n in range(9):
        left, top, side = rng.uniform(0, 1), rng.uniform(0, size[1] / size[0]), rng.uniform(0.04, 0.14)
        disc = (x - left) ** 2 + (y - top) ** 2 < side * side
        box = (abs(x - left) < side) & (abs(y - top) < side * rng.uniform(0.4, 1.6))
        hills[disc if n % 2 else box] = rng.integers(0, 256, 3)
    return Image.fromarray(hills.astype(np.uint8))


LISTED = scene(1, (512, 512))


@cache
def cover() -> Image.Image:
    return scene(2, (640, 480))


def _exif(preview: bytes) -> bytes:
    return b"Exif\0\0II*\0\x08\0\0\0" + bytes(6) + preview


def _tail(kind: str) -> Make:
    return lambda one: encode(cover(), kind) + encode(one.resize((128, 128)), quality=30)


def _chroma(one: Image.Image) -> bytes:
    """The luminance says nothing: what is seen comes from chroma beyond the RGB cube, and is clipped there."""
    grey = np.asarray(one.convert("L").resize((1024, 1024), Image.Resampling.BICUBIC)).astype(float)
    grey = (grey - grey.min()) / np.ptp(grey)
    flat, level = Image.new("L", (256, 1), 100), Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    colours = np.asarray(Image.merge("YCbCr", [flat, level, level]).convert("RGB"))[0].astype(float)
    seen = colours @ (0.299, 0.587, 0.114)
    order = np.argsort(seen)
    wanted = np.searchsorted(seen[order], seen.min() + np.ptp(seen) * grey).clip(0, 255)
    chroma = Image.fromarray(order[wanted].astype(np.uint8))
    flat = Image.new("L", chroma.size, 100)
    return encode(Image.merge("YCbCr", [flat, chroma, chroma]), quality=95, subsampling=0)


def _behind_pixels(one: Image.Image) -> bytes:
    png = encode(cover(), "PNG")
    at = png.index(b"IEND") - 4
    return png[:at] + c.chunk(b"eXIf", _exif(encode(one.resize((176, 176))))[6:]) + png[at:]


def _decoys(one: Image.Image) -> bytes:
    small = encode(one.resize((176, 176)))
    return encode(cover(), exif=_exif(b"\xff\xd8\xff" * 8 + small))


KINDS: dict[str, Make] = {
    "second picture of an MPO, 470 px": lambda one: encode(
        cover(), "MPO", save_all=True, append_images=[one.resize((470, 470))]
    ),
    "second picture of an MPO, 512 px": lambda one: encode(cover(), "MPO", save_all=True, append_images=[one]),
    "preview of 480 px": lambda one: encode(cover(), exif=_exif(encode(one.resize((480, 480)), quality=60))),
    "clipped chroma": _chroma,
    "falling profile": lambda one: encode(ImageOps.invert(one.convert("L")), "PNG", icc_profile=inverting()),
    "preview behind decoys": _decoys,
    "EXIF behind the pixels": _behind_pixels,
    **{f"behind the end of {kind}": _tail(kind) for kind in ("PNG", "GIF", "BMP", "WEBP", "AVIF")},
}


def _segments(data: bytes) -> bytes:
    """JUMBF over as many segments as it needs."""
    head = struct.pack(">I4s", len(data) + 8, b"jumb")
    pieces = (data[n : n + 60_000] for n in range(0, len(data), 60_000))
    bodies = (b"JP\0\1" + struct.pack(">I", n) + head + one for n, one in enumerate(pieces, start=1))
    return c.jpeg_with(0xEB, *bodies)


def _text(data: bytes) -> bytes:
    return c.png_with(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x>" + base64.b64encode(data) + b"</x>")


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "bare": bytes,
    "behind a JPEG": lambda data: c.JPEG + data,
    "JPEG segments": _segments,
    "PNG chunk": lambda data: c.png_with(b"prVt", data, b"IEND"),
    "PNG chunk, deflated behind a word": lambda data: c.png_with(b"prVt", b"vendor" + zlib.compress(data)),
    "PNG text": _text,
    "WebP chunk": lambda data: c.webp(c.riff(b"VNDR", data)),
    "TIFF tag": lambda data: c.tiff(c.data_tag(65000, data)),
}


def files(one: Image.Image = LISTED) -> Iterator[tuple[str, bytes]]:
    """Each kind in each orientation in each container, by name."""
    for (kind, make), (number, turn) in itertools.product(KINDS.items(), enumerate(TURNS, start=1)):
        made = make(one if turn is None else one.transpose(turn))
        for container, wrap in CONTAINERS.items():
            yield f"{kind}, {number}, {container}", wrap(made)


def some() -> Iterator[tuple[str, bytes]]:
    """Each kind bare, in one orientation, and in one container, in another one."""
    inside = list(CONTAINERS.items())[1:]
    for n, (kind, make) in enumerate(KINDS.items()):
        for container, wrap in (("bare", bytes), inside[n % len(inside)]):
            number = (n + 3 * (container != "bare")) % len(TURNS)
            turn = TURNS[number]
            made = make(LISTED if turn is None else LISTED.transpose(turn))
            yield f"{kind}, {number + 1}, {container}", wrap(made)
