"""Small files that ask for much: more scans, tails, directories, frames, pixels and text than pictures have."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from tests.support.hiding import chunk, segment, with_chunk
from tests.support.pictures import encode, texture

_FASTEST: dict[str, dict[str, int]] = {"PNG": {"compress_level": 9}, "WEBP": {"method": 0, "quality": 1}}
SMALL = texture(3, (96, 72))


def scans(side: int, count: int, refining: bool = False) -> bytes:
    """A progressive JPEG of so many scans, each a few bytes that say of every block that nothing changes.

    A scan that is `refining` costs a look at every coefficient of a block, and not at the block alone.
    """

    def table(kind: int, symbol: int) -> bytes:
        return b"\xff\xc4" + struct.pack(">HB", 20, kind) + bytes([1] + [0] * 15) + bytes([symbol])

    def scan(first: int, last: int) -> bytes:
        return b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes((1, 0, first, last, 0x10 if refining and last else 0))

    blocks = (-(-side // 8)) ** 2
    head = b"\xff\xd8\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    head += b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, side, side, 1) + bytes([1, 0x11, 0])
    runs = ("0" + "1" * 14) * -(-blocks // 32767)  # runs of 32,767 blocks without a change
    runs += "1" * (-len(runs) % 8)
    data = int(runs, 2).to_bytes(len(runs) // 8, "big").replace(b"\xff", b"\xff\0")
    body = table(0, 0) + table(0x10, 0xE0) + scan(0, 0) + bytes(-(-blocks // 8))
    return head + body + (scan(1, 63) + data) * count + b"\xff\xd9"


def directories(count: int, cyclic: bool = False, inner: int = 0) -> bytes:
    """A TIFF of so many pages over one strip, each of which names as many directories `inner` to it."""
    strip = bytes(1024)
    tags = [(256, 3, 32), (257, 3, 32), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, 32)]
    tags.append((279, 4, 1024))
    size = 2 + 12 * (len(tags) + bool(inner)) + 4
    out = [b"II*\0", struct.pack("<I", 8 + len(strip)), strip]
    at = 8 + len(strip)
    for n in range(count):
        after = at + (n + 1) * size
        entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
        if inner:
            entries += struct.pack("<HHII", 330, 4, inner, at + count * size)
        out.append(struct.pack("<H", len(tags) + bool(inner)) + entries)
        out.append(struct.pack("<I", after if n + 1 < count else 8 + len(strip) if cyclic else 0))
    return b"".join(out) + struct.pack("<I", 8 + len(strip)) * inner


def frames(count: int, side: int, kind: str = "GIF") -> bytes:
    """An animation of so many frames; those of a GIF are a few bytes each."""
    if kind != "GIF":
        out = io.BytesIO()
        pictures = [Image.new("L", (side, side), n % 256) for n in range(count)]
        pictures[0].save(out, kind, save_all=True, append_images=pictures[1:], duration=20)
        return out.getvalue()
    frame = b"\x21\xf9\x04\0\x02\0\0\0\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    head = b"GIF89a" + struct.pack("<HH", side, side) + b"\xf0\0\0" + bytes(3) + b"\xff\xff\xff"
    return head + frame * count + b";"


def pixels(side: int, mode: str = "RGBA", kind: str = "PNG") -> bytes:
    """A picture of one colour."""
    return encode(Image.new(mode, (side, side)), kind, **_FASTEST.get(kind, {}))


def claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says that it is so large."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def profile(size: int) -> bytes:
    """A PNG with a profile that is so large once it is unpacked."""
    packed = zlib.compress(bytes(size), 9)
    return with_chunk(encode(SMALL, "PNG"), chunk(b"iCCP", b"p\0\0" + packed))


def profiles(count: int) -> bytes:
    """A JPEG with so many parts of a profile."""
    data = encode(SMALL)
    parts = b"".join(segment(0xE2, b"ICC_PROFILE\0" + bytes((n % 255 + 1, 255)) + bytes(60_000)) for n in range(count))
    return data[:2] + parts + data[2:]


def text(count: int, size: int, kind: bytes = b"zTXt") -> bytes:
    """A PNG with so many texts, each so long once it is unpacked."""
    packed = zlib.compress(bytes(size), 9)
    body = {b"zTXt": b"k\0\0" + packed, b"iTXt": b"k\0\1\0\0\0" + packed}[kind]
    return with_chunk(encode(SMALL, "PNG"), chunk(kind, body) * count, b"IEND")


def chunks(count: int) -> bytes:
    """A PNG with so many empty chunks."""
    return with_chunk(encode(SMALL, "PNG"), chunk(b"prVt", b"") * count)


def segments(count: int) -> bytes:
    """A JPEG with so many empty segments."""
    data = encode(SMALL)
    return data[:2] + segment(0xEF, b"") * count + data[2:]


def tail(count: int) -> bytes:
    """A JPEG with so many tiny ones behind its end."""
    return encode(SMALL) + encode(Image.new("L", (16, 16)), quality=1) * count


def starts(count: int) -> bytes:
    """A JPEG with so many beginnings of one, and no more of each, behind its end."""
    return encode(SMALL) + b"\xff\xd8\xff\xe0\0\x10JFIF\0" * count


def stripes(side: int) -> bytes:
    """A TIFF, packed well, of so many pixels in 16 bits and four channels."""
    image = Image.new("I;16", (side, side))
    return encode(image, "TIFF", compression="tiff_adobe_deflate")


def exif(count: int) -> bytes:
    """A JPEG whose EXIF says that it has so many entries."""
    body = (
        b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", min(count, 65535)) + b"\x12\x01\x03\0\x01\0\0\0\x01\0\0\0" * 5000
    )
    data = encode(SMALL)
    return data[:2] + segment(0xE1, body) + data[2:]


BOMBS: dict[str, Callable[[], bytes]] = {
    "scans.jpg": lambda: scans(10_000, 10_000),
    "scans-wide.jpg": lambda: scans(4_000, 60_000),
    "tail.jpg": lambda: tail(60_000),
    "starts.jpg": lambda: starts(400_000),
    "directories.tiff": lambda: directories(100_000),
    "circle.tiff": lambda: directories(20, cyclic=True),
    "inner.tiff": lambda: directories(90, inner=100_000),
    "frames.gif": lambda: frames(200_000, 16),
    "frames-large.gif": lambda: frames(100, 9_000),
    "frames.webp": lambda: frames(99, 300, "WEBP"),
    "frames.png": lambda: frames(99, 1_000, "PNG"),
    "pixels.png": lambda: pixels(10_000),
    "pixels.webp": lambda: pixels(8_000, "RGB", "WEBP"),
    "pixels.gif": lambda: pixels(10_000, "P", "GIF"),
    "claims.png": lambda: claims(2**31 - 1, 2**31 - 1),
    "claims-less.png": lambda: claims(10_000, 10_000),
    "deep.tiff": lambda: stripes(10_000),
    "profile.png": lambda: profile(2**28),
    "profiles.jpg": lambda: profiles(900),
    "text.png": lambda: text(2_000, 2**20),
    "text-one.png": lambda: text(1, 2**29),
    "international.png": lambda: text(500, 2**22, b"iTXt"),
    "chunks.png": lambda: chunks(2_000_000),
    "segments.jpg": lambda: segments(1_000_000),
    "exif.jpg": lambda: exif(65_535),
}


def bombs() -> Iterator[tuple[str, bytes]]:
    """Each by its name."""
    return ((name, make()) for name, make in BOMBS.items())
