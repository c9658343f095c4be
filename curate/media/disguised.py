"""Pictures in metadata that no signature shows: compressed, without their first bytes, or under another name.

Everything here makes buffers of bytes, which are then searched for pictures as any other is. Where a compressed stream
may begin is told by its first bits, at every offset: in noise one in some hundred places, which fail at once.
"""

import bz2
import lzma
import re
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from curate.media.encoded import is_text
from curate.media.marks import begins_jpeg, signed
from curate.media.ranges import Budget, end_of, jpeg
from curate.media.ranges.png import chunk
from curate.media.salvage import chunks, whole

if TYPE_CHECKING:
    import numpy as np

LEAST = 64  # bytes that hold a picture, compressed or not
_PIECE, _FIRST = 1 << 16, 4096
_WINDOW = 1 << 20  # offsets that are looked at together
_MEMORY = 64 * 2**20
_ZLIB, _GZIP, _RAW = zlib.MAX_WBITS, zlib.MAX_WBITS | 16, -zlib.MAX_WBITS
_BEGUN = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"\0\0\0\x1cftyp", b"\0\0\0 ftyp")
_NAMED = ((b"BZh", bz2.BZ2Decompressor), (b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(memlimit=_MEMORY)))
_CHANGED = re.compile(rb"\xd8\xff[\x01\xc0-\xcf\xdb\xdd\xe0-\xef\xfe]")
_LATE = re.compile(rb"\xff\xd8[^\xff]{1,64}\xff+[\x01\xc0-\xcf\xdb\xdd\xe0-\xef\xfe]")
_HEADERS = tuple(bytes((size, 0, 0, 0)) for size in (0x28, 0x34, 0x38, 0x40, 0x6C, 0x7C))
_BITMAP = re.compile(rb".{8}\x01\0[\x01\x04\x08\x10\x18\x20]\0[\0-\x03]\0\0\0", re.DOTALL)
_PNG = b"\x89PNG\r\n\x1a\n"


def disguised(body: bytes, budget: Budget) -> Iterator[tuple[bytes, bool]]:
    """What these bytes may stand for: buffers to be searched, and whether what they hold may be packed again.

    Not where no checksum says that it is a stream: noise that passes for one leads to more of it. Raises ItemError
    beyond the budget.
    """
    if len(body) < LEAST:
        return
    yield from unpacked(body, budget)
    pictures = (_jpegs(body, budget), _pngs(body), _avifs(body, budget), _bitmaps(body), jpeg.resources(body))
    yield from ((one if isinstance(one, bytes) else one[1], False) for several in pictures for one in several)


# -- compressed ------------------------------------------------------------------------------------------------------


def unpacked(body: bytes, budget: Budget) -> Iterator[tuple[bytes, bool]]:
    """What every zlib, gzip, deflate, bzip2 and xz stream in some bytes unpacks to, and whether all of it is there."""
    view = memoryview(body)
    for at, bits in _streams(body):
        if bits != _RAW or (budget.guess() and _begins(view[at:])):
            for found, ended in _whole(view[at:], zlib.decompressobj(bits), budget):
                yield found, ended and bits != _RAW
    for name, made in _NAMED:
        for at in _places(body, name):
            yield from _whole(view[at:], made(), budget)


def _begins(data: memoryview) -> bool:
    """Whether bare deflated data, which no header announces, begin with a picture or text."""
    try:
        found = zlib.decompressobj(_RAW).decompress(data[:_PIECE], _FIRST)
    except zlib.error:
        return False
    return len(found) >= LEAST and (signed(found) or is_text(found[:-4]))  # a letter may be cut


def _whole(data: memoryview, unpacker: Any, budget: Budget) -> Iterator[tuple[bytes, bool]]:
    """What a stream unpacks to, up to its end or to where it breaks: most break within the first bytes."""
    found = list[bytes]()
    try:
        for piece in _pieces(data, unpacker):
            budget.unpack(len(piece))
            found.append(piece)
    except (zlib.error, lzma.LZMAError, OSError):
        pass
    if sum(map(len, found)) >= LEAST:
        yield b"".join(found), unpacker.eof


def _pieces(data: memoryview, unpacker: Any) -> Iterator[bytes]:
    """What comes out, no more than _PIECE at a time: zlib hands back what it did not take, the others keep it."""
    at, piece = 0, b""
    while not unpacker.eof:
        kept: Any = getattr(unpacker, "unconsumed_tail", b"")
        wants = getattr(unpacker, "needs_input", not kept)
        given = data[at : at + _PIECE] if wants else kept
        if wants and not given and len(piece) < _PIECE:
            return
        at += len(given) * wants
        piece = unpacker.decompress(given, _PIECE)
        yield piece


def _streams(body: bytes) -> Iterator[tuple[int, int]]:
    """Where a stream of deflated data may begin, and what its header is, as zlib counts window bits."""
    import numpy as np

    for begin in range(0, len(body), _WINDOW):
        octets = body[begin : begin + _WINDOW + 16] + bytes(16)
        raw = _blocks(octets, min(_WINDOW, len(body) - begin) + 2)
        yield from ((begin + at, _RAW) for at in np.flatnonzero(raw).tolist())
        first = np.frombuffer(octets, np.uint8, len(raw))
        headed = np.flatnonzero(first[:-2] & 0x8F == 8)
        flags = first[headed + 1]
        fits = (first[headed].astype(np.uint16) * 256 + flags) % 31 == 0
        fits &= (flags & 32 == 0) & (raw[headed + 2] | (first[headed + 2] & 6 == 2))
        yield from ((begin + at, _ZLIB) for at in headed[fits].tolist())
    yield from ((at, _GZIP) for at in _places(body, b"\x1f\x8b\x08"))
    for start in _fixed():
        yield from ((at, _RAW) for at in _places(body, start))


def _places(body: bytes, start: bytes) -> Iterator[int]:
    at = body.find(start)
    while at >= 0:
        yield at
        at = body.find(start, at + 1)


def _blocks(octets: bytes, count: int) -> "np.ndarray":
    """Of each offset whether a block of deflated data can begin there: one with codes of its own, or stored.

    Codes of its own come with codes for their lengths that leave no gap (RFC 1951, 3.2.7).
    """
    import numpy as np

    first = np.frombuffer(octets, np.uint8, count)
    lengths = np.ndarray((count,), "<u4", octets, 1, (1,))
    found = np.zeros(count, bool)
    stored = np.flatnonzero(first & 6 == 0)
    found[stored] = lengths[stored] >> 16 == ~lengths[stored] & 0xFFFF
    own = np.flatnonzero((first & 6 == 4) & (first < 30 << 3))
    bits = np.ndarray((count,), "<u8", octets, 2, (1,))[own] >> np.uint64(1)
    number = lengths[own] >> 5 & 15
    bits &= (np.uint64(1) << (3 * (4 + number)).astype(np.uint64)) - np.uint64(1)
    for part in range(1, 6):  # four more each time; few are left after two
        filled = sum(_kraft()[(bits >> np.uint64(12 * n) & np.uint64(4095)).astype(np.intp)] for n in range(part))
        left = filled <= 128 if part < 5 else filled == 128
        own, bits = own[left], bits[left]
    found[own] = True
    return found


@cache
def _kraft() -> "np.ndarray":
    """Of four lengths of codes, three bits each, how much of 128 they fill."""
    import numpy as np

    part = np.array([0, 64, 32, 16, 8, 4, 2, 1], np.uint16)
    four = np.arange(4096)
    return np.asarray(sum(part[four >> 3 * n & 7] for n in range(4)), np.uint16)


@cache
def _fixed() -> tuple[bytes, ...]:
    """How pictures' signatures begin when they are deflated with the fixed codes, the block the last or not."""
    found = []
    for signature in _BEGUN:
        packer = zlib.compressobj(9, zlib.DEFLATED, _RAW, 9, zlib.Z_FIXED)
        last = packer.compress(signature) + packer.flush()
        whole = last[: (3 + 8 * len(signature)) // 8]
        found += [whole, bytes([whole[0] & 0xFE]) + whole[1:]]
    return tuple(found)


# -- damaged, nameless, headless -------------------------------------------------------------------------------------


def _jpegs(body: bytes, budget: Budget) -> Iterator[bytes]:
    """JPEGs of whose start one byte is another (Minolta's previews), or that have stray bytes behind it."""
    places = [one.start() + 1 for one in _CHANGED.finditer(body) if body[one.start() - 1] != 0xFF or not one.start()]
    places += [one.end() - 2 for one in _LATE.finditer(body)]
    for at in places:  # of the first marker
        if begins_jpeg(body, at, budget):
            data = b"\xff\xd8" + body[at:]
            yield data[: end_of(data, "JPEG", budget)]


def _pngs(body: bytes) -> Iterator[bytes]:
    """PNGs with a wrong checksum, which strict decoders refuse and lenient ones show."""
    for at in _places(body, _PNG):
        data, parts, damaged = body[at:], [_PNG], False
        for one in chunks(data):
            damaged |= one[0][:1].isupper() and not whole(data, one)
            parts.append(chunk(one[0], data[one[1] + 8 : one[2] - 4]))
            if one[0] == b"IEND":
                break
        if damaged:
            yield b"".join(parts)


def _avifs(body: bytes, budget: Budget) -> Iterator[bytes]:
    """Files of other major brands whose items are AV1."""
    for at in (one - 4 for one in _places(body, b"ftyp") if one >= 4):
        size = int.from_bytes(body[at : at + 4], "big")
        major = body[at + 8 : at + 12]
        known = major in (b"avif", b"avis") or (major in (b"mif1", b"msf1") and b"avif" in body[at : at + size])
        if 16 <= size < 4096 and not known and body.find(b"av01", at, at + _WINDOW) >= 0:
            brand = b"avis" if body.find(b"moov", at + size, at + _WINDOW) >= 0 else b"avif"
            data = body[at : at + 8] + brand + body[at + 12 :]
            yield data[: end_of(data, "AVIF", budget)]


def _bitmaps(body: bytes) -> Iterator[bytes]:
    """Bitmaps without a file's header, as icons and clipboards have them; an icon's says twice its height."""
    for at in (at for start in _HEADERS for at in _places(body, start) if _BITMAP.match(body, at + 4)):
        if at >= 14 and body.startswith(b"BM", at - 14):
            continue  # a file's
        header, width, high, _, depth, coded, size = struct.unpack_from("<IiiHHII", body, at)
        height, row = abs(high), (width * depth + 31) // 32 * 4
        palette = 4 * (int.from_bytes(body[at + 32 : at + 36], "little") or 1 << depth) if depth <= 8 else 0
        start = header + 12 * (coded == 3 and header == 40) + palette
        if width <= 0 or not height or palette > 1024:
            continue
        for rows in (height, height // 2):
            need = size if coded in (1, 2) else row * rows
            if 0 < need <= len(body) - at - start:
                bitmap = (
                    body[at : at + 8]
                    + struct.pack("<i", rows if high > 0 else -rows)
                    + body[at + 12 : at + start + need]
                )
                yield b"BM" + struct.pack("<IHHI", 14 + len(bitmap), 0, 0, 14 + start) + bitmap
