"""Writers of small files that choose what a decoder is given: chunks, profiles, coefficients, boxes. All arithmetic."""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from curate.errors import ItemError
from curate.media import pdq
from curate.media.decode import Bounds
from curate.media.parts import parts
from curate.media.profiles import written
from curate.records import Reason
from tests.support.pictures import photograph

Samples = npt.NDArray[Any]


def saved(first: Image.Image, kind: str, *more: Image.Image, **options: object) -> bytes:
    """A picture, or several as one animation, as a file's bytes."""
    out = io.BytesIO()
    extra: dict[str, Any] = {"save_all": True, "append_images": list(more)} if more else {}
    first.save(out, kind, **extra, **options)
    return out.getvalue()


# -- PNG -------------------------------------------------------------------------------------------------------------


def chunk(name: bytes, body: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(samples: Samples, depth: int, colour: int, *chunks: bytes) -> bytes:
    """A PNG of rows of packed bytes or words, of a bit depth and colour type, with chunks before the pixels."""
    wide = samples.shape[1] * 8 // depth if depth < 8 else samples.shape[1]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", wide, len(samples), depth, colour, 0, 0, 0))
    rows = b"".join(b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in samples)
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def with_chunk(data: bytes, new: bytes, before: bytes = b"IDAT") -> bytes:
    """A PNG with one more chunk."""
    at = data.index(before) - 4
    return data[:at] + new + data[at:]


# -- ICC -------------------------------------------------------------------------------------------------------------


def curve(*samples: int) -> bytes:
    """A `curv` tag."""
    return b"curv\0\0\0\0" + struct.pack(f">I{len(samples)}H", len(samples), *samples)


def _xyz(*numbers: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(one * 65536) for one in numbers))


SRGB_D50 = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
SRGB_CURVE = tuple(
    round(65535 * (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4)) for x in np.linspace(0, 1, 256)
)
WHITE = (b"wtpt", _xyz(0.9642, 1.0, 0.8249))


def inverting(space: bytes = b"GRAY") -> bytes:
    """A profile whose curve falls: what is white in the file is black on the screen."""
    return shaper(SRGB_CURVE[::-1]) if space == b"RGB " else written(b"GRAY", [WHITE, (b"kTRC", curve(65535, 0))])


def shaper(samples: Sequence[int], *tables: tuple[bytes, bytes]) -> bytes:
    """An RGB profile of sRGB's primaries and one curve, with look-up tables beside them."""
    tags = [WHITE, *tables]
    tags += [(name, _xyz(*one)) for name, one in zip((b"rXYZ", b"gXYZ", b"bXYZ"), SRGB_D50, strict=True)]
    return written(b"RGB ", tags + [(name, curve(*samples)) for name in (b"rTRC", b"gTRC", b"bTRC")])


def table(corners: Samples, name: bytes = b"A2B0") -> tuple[bytes, bytes]:
    """A `mft1` tag from device to XYZ: uint8[2 ** channels, 3] at the corners of the cube, the last channel fastest."""
    channels = int(np.log2(len(corners)))
    head = b"mft1\0\0\0\0" + bytes((channels, 3, 2, 0)) + struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    return name, head + bytes(range(256)) * channels + corners.astype(np.uint8).tobytes() + bytes(range(256)) * 3


def grey_cube(values: Sequence[float], channels: int) -> Samples:
    """Corners of a table that gives grey of these lightnesses (0..1), by how many channels are full."""
    full = [bin(n).count("1") for n in range(2**channels)]
    d50 = np.array([0.9642, 1.0, 0.8249]) * 127.5
    return np.array([np.clip(values[n] * d50, 0, 255).round() for n in full])


# -- JPEG ------------------------------------------------------------------------------------------------------------


def jpeg(blocks: Samples, quantiser: int, *segments: bytes) -> bytes:
    """A baseline JPEG, not subsampled, of chosen coefficients: int[rows, columns, components, 64] in zigzag order."""
    rows, columns, components, _ = blocks.shape
    head = b"\xff\xd8" + b"".join(segments) + b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([quantiser] * 64)
    head += b"\xff\xc0" + struct.pack(">HBHHB", 8 + 3 * components, 8, rows * 8, columns * 8, components)
    head += b"".join(bytes((n + 1, 0x11, 0)) for n in range(components))
    head += b"\xff\xc4" + struct.pack(">HB", 19 + 12, 0) + bytes((0, 0, 0, 12, *[0] * 12)) + bytes(range(12))
    head += b"\xff\xc4" + struct.pack(">HB", 19 + len(_AC), 16) + bytes([0] * 7 + [len(_AC)] + [0] * 8) + bytes(_AC)
    head += b"\xff\xda" + struct.pack(">HB", 6 + 2 * components, components)
    head += b"".join(bytes((n + 1, 0)) for n in range(components)) + bytes((0, 63, 0))
    bits, last = [], [0] * components
    for block in blocks.reshape(-1, components, 64):
        for n, one in enumerate(block.tolist()):
            step = one[0] - last[n]
            bits += [format(abs(step).bit_length(), "04b"), _bits(step)]
            last[n] = one[0]
            bits += _run(one[1:])
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    scan = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    return head + scan + b"\xff\xd9"


_AC = [0, 0xF0, *(run << 4 | size for run in range(16) for size in range(1, 11))]  # every code has eight bits


def _code(symbol: int) -> str:
    return format(_AC.index(symbol), "08b")


def _bits(value: int) -> str:
    size = abs(value).bit_length()
    return format(value if value > 0 else value + (1 << size) - 1, f"0{size}b") if size else ""


def _run(ac: Sequence[int]) -> list[str]:
    found, zeros = [], 0
    for value in ac:
        if value == 0:
            zeros += 1
            continue
        found += [_code(0xF0)] * (zeros // 16)
        found += [_code(zeros % 16 << 4 | abs(value).bit_length()), _bits(value)]
        zeros = 0
    return [*found, _code(0)] if zeros else found


def segment(marker: int, body: bytes) -> bytes:
    """One JPEG marker segment."""
    return b"\xff" + bytes((marker,)) + struct.pack(">H", len(body) + 2) + body


def tiff(size: tuple[int, int], samples: int, pixels: bytes, *more: tuple[int, int, int, int]) -> bytes:
    """A TIFF of RGB and extra samples, 8 bits each, in one strip, with further tags (number, type, count, value)."""
    wide, high = size
    tags = [(256, 3, 1, wide), (257, 3, 1, high), (258, 3, samples, 300), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 1, 400), (277, 3, 1, samples), (278, 3, 1, high), (279, 4, 1, wide * high * samples), *more]
    table_ = b"".join(struct.pack("<HHII", *one) for one in sorted(tags))
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + table_ + bytes(4)
    return head.ljust(300, b"\0") + struct.pack(f"<{samples}H", *[8] * samples).ljust(100, b"\0") + pixels


# -- AVIF ------------------------------------------------------------------------------------------------------------


def with_still(sequence: bytes, still: bytes) -> bytes:
    """An AVIF sequence whose still picture, which only some show, is that of another file of the same size."""

    def extent(data: bytes) -> int:
        return data.index(b"iloc") + 18  # of the first item: its id, a reference, a count; then offset and length

    offset, length = struct.unpack_from(">II", still, extent(still))
    body = still[offset : offset + length]
    out = bytearray(sequence + struct.pack(">I4s", 8 + length, b"mdat") + body)
    struct.pack_into(">II", out, extent(sequence), len(sequence) + 8, length)
    return bytes(out)


def with_aperture(data: bytes, wide: int, high: int, right: int = 0, down: int = 0) -> bytes:
    """A still AVIF of libavif's with a clean aperture: a `clap` property of its one item, all offsets mended."""
    new = b"\0\0\0\x28clap" + struct.pack(">IIIIiIiI", wide, 1, high, 1, right, 1, down, 1)
    out = bytearray(data)
    box = out.find(b"ipco") - 4
    size = struct.unpack_from(">I", out, box)[0]
    count, at = 0, box + 8
    while at < box + size:
        count, at = count + 1, at + struct.unpack_from(">I", out, at)[0]
    named = out.find(b"ipma") - 4
    entry = named + 16
    used = out[entry + 2]
    out[entry + 2] += 1
    out[entry + 3 + used : entry + 3 + used] = bytes([0x80 | (count + 1)])
    out[box + size : box + size] = new
    for name, more in ((b"ipma", 1), (b"ipco", 40), (b"iprp", 41), (b"meta", 41)):
        place = out.find(name) - 4
        struct.pack_into(">I", out, place, struct.unpack_from(">I", out, place)[0] + more)
    at = out.find(b"iloc") + 12
    for _ in range(struct.unpack_from(">H", out, at - 2)[0]):
        (extents,) = struct.unpack_from(">H", out, at + 4)
        at += 6
        for _ in range(extents):
            struct.pack_into(">I", out, at, struct.unpack_from(">I", out, at)[0] + 41)
            at += 8
    return bytes(out)


# -- pictures that are hidden, and whether they are found ------------------------------------------------------------

HIDDEN, COVER = photograph("astronaut.png"), photograph("coffee.png")

BOUNDS = Bounds(min_side=1)

SIZES = ((160, 120), (213, 161))

Make = Callable[[Image.Image], bytes]  # a file in which the grey picture is visible in one way only


def grey(size: tuple[int, int]) -> Image.Image:
    picture = ImageOps.autocontrast(HIDDEN.resize(size, Image.Resampling.LANCZOS).convert("L"))
    picture.info = {}  # the photograph's own profile
    return picture


def found_in(data: bytes, picture: Image.Image) -> list[str]:
    """The parts that a list which names the picture would match, in whichever orientation."""
    wanted = pdq.compute(picture.convert("RGB")).array[0]
    good = [one for one in parts(data, BOUNDS) if one.quality >= pdq.MIN_QUALITY]
    return [one.part for one in good if np.bitwise_count(one.array ^ wanted).sum(axis=1).min() <= pdq.RADIUS]


def array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture)


def noise(picture: Image.Image, least: int, most: int) -> np.ndarray:
    return np.random.default_rng(5).integers(least, most, array(picture).shape)


def negative(picture: Image.Image) -> Image.Image:
    return ImageOps.invert(picture)


def transferred(picture: Image.Image, of_linear: Callable[[np.ndarray], np.ndarray]) -> Image.Image:
    """The picture by another transfer curve: what it looks like to whoever takes it for sRGB."""
    level = np.arange(256) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return picture.point(np.rint(of_linear(linear) * 255).astype(int).tolist())


def pq(linear: np.ndarray) -> np.ndarray:
    power = (linear * 200 / 10_000) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


FALLING = grey_cube([1, 0.66, 0.33, 0], 3)


def mask(picture: Image.Image) -> Image.Image:
    """White everywhere, through a mask that is the picture."""
    layer = Image.new("RGBA", picture.size, "white")
    layer.putalpha(picture)
    return layer


def broken_app0(data: bytes) -> bytes:
    return data[:2] + segment(0xE0, b"JFIF\0") + data[2:]


def with_nclx(data: bytes, primaries: int, transfer: int) -> bytes:
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def bitmap(picture: Image.Image, header: int, gamma: float = 0.0, profile: bytes = b"") -> bytes:
    """A BMP with a BITMAPV4HEADER or a BITMAPV5HEADER."""
    wide, high = picture.size
    rows = picture.convert("RGB").transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes("raw", "BGR", (wide * 3 + 3) & ~3)
    ends = (0.64, 0.33, 0.03, 0.3, 0.6, 0.1, 0.15, 0.06, 0.79)
    head = struct.pack("<IiiHHIIiiII", header, wide, high, 1, 24, 0, len(rows), 0, 0, 0, 0) + bytes(16)
    head += (b"DEBM" if profile else bytes(4)) + struct.pack("<9i", *(round(one * 2**30) for one in ends))
    head += struct.pack("<3I", *[round(gamma * 65536)] * 3)
    head += struct.pack("<4I", 4, 124 + len(rows), len(profile), 0) if header == 124 else b""
    size = 14 + header + len(rows) + len(profile)
    return b"BM" + struct.pack("<IHHI", size, 0, 0, 14 + header) + head + rows + profile


def retagged(data: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF with another value of a tag that has one."""
    at = data.index(struct.pack("<HHI", tag, 3, 1)) + 8
    return data[:at] + struct.pack("<H", value) + data[at + 2 :]


def premultiplied(data: bytes) -> bytes:
    """An AVIF that says of its colour that it was multiplied with its alpha: a `prem` reference where there is one."""
    at = data.index(b"auxl") - 4
    reference = data[at : at + 14]
    (first,) = struct.unpack_from(">H", reference, 8)
    (second,) = struct.unpack_from(">H", reference, 12)
    new = struct.pack(">I4sHHH", 14, b"prem", second, 1, first)
    out = bytearray(data)
    out[at + 14 : at + 14] = new
    for name in (b"iref", b"meta"):
        place = out.find(name) - 4
        struct.pack_into(">I", out, place, struct.unpack_from(">I", out, place)[0] + 14)
    at = out.find(b"iloc") + 12
    for _ in range(struct.unpack_from(">H", out, at - 2)[0]):
        (extents,) = struct.unpack_from(">H", out, at + 4)
        at += 6
        for _ in range(extents):
            struct.pack_into(">I", out, at, struct.unpack_from(">I", out, at)[0] + 14)
            at += 8
    return bytes(out)


def refused(data: bytes) -> tuple[Reason, str]:
    """Why nothing of a file may be looked at."""
    with pytest.raises(ItemError) as caught:
        parts(data, BOUNDS)
    return caught.value.reason, caught.value.detail
