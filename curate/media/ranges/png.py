"""PNG (W3C, third edition) and APNG."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from curate.errors import ItemError
from curate.media.ranges import tiff
from curate.media.ranges.kinds import Budget, Kind, Range
from curate.records import Reason

STRUCTURE = frozenset(
    b"IHDR PLTE IEND tRNS gAMA cHRM sRGB sBIT bKGD hIST pHYs tIME acTL fcTL cICP mDCV cLLI oFFs sCAL pCAL sTER".split()
)
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 1 << 16


class Chunk(NamedTuple):
    """A chunk of a PNG, as places in the file, and which picture its pixels belong to."""

    name: bytes
    begin: int  # of its content
    end: int
    stream: int  # number of the zlib stream of pixels that it is a part of, from 1; 0: of none
    size: bytes  # width and height of that stream's picture
    shown: bool


def claims(data: bytes, budget: Budget) -> Iterator[Range]:
    """Chunk after chunk; those behind IEND are claimed as "after", with what they unpack to."""
    yield Range(0, 8, Kind.STRUCTURE)
    ended, pixels = False, None
    for one in streams(data, budget):
        frame = Range(one.begin - 8, one.begin, Kind.STRUCTURE, "chunk")
        tail = Range(one.end, one.end + 4, Kind.STRUCTURE, "chunk")
        inside = [frame, *(() if one.stream else _content(data, one, budget)), tail]
        yield from (r._replace(kind=Kind.AFTER) for r in inside) if ended else inside
        if one.stream and not ended:
            if one.name == b"fdAT":
                yield Range(one.begin, one.begin + 4, Kind.STRUCTURE)
            if pixels is None or pixels.stream != one.stream:
                pixels = _Pixels(one, data[24:29], budget)
            yield from pixels.claims(data, one.begin + 4 * (one.name == b"fdAT"), one.end)
        ended |= one.name == b"IEND"


def streams(data: bytes, budget: Budget) -> Iterator[Chunk]:
    """The chunks. A run of IDAT, and a frame's fdAT, are a stream each; what acTL does not count is not shown."""
    stream, frames, shown, size, before = 0, 0, 0, data[16:24], b""
    for name, begin, end in _chunks(data, budget):
        if name == b"acTL":
            shown = int.from_bytes(data[begin : begin + 4], "big")
        if name == b"fcTL":
            budget.frame()
            frames, size = frames + 1, data[begin + 4 : begin + 12]
        pixels = name == b"IDAT" or (name == b"fdAT" and frames > 0)
        stream += pixels and (before != name)
        first = stream == 1 and name == b"IDAT"
        visible = first or (name in (b"fcTL", b"fdAT") and frames <= shown)
        yield Chunk(name, begin, end, stream * pixels, data[16:24] if name == b"IDAT" else size, visible)
        before = name


def _chunks(data: bytes, budget: Budget) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of each chunk's content, as long as what follows can be a chunk."""
    at = 8
    while at + 12 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if not name.isalpha():
            return
        budget.step()
        yield name, at + 8, min(at + 8 + size, len(data))
        at += 12 + size


def _content(data: bytes, one: Chunk, budget: Budget) -> Iterator[Range]:
    if one.name in STRUCTURE and one.end - one.begin <= 1024:
        yield Range(one.begin, one.end, Kind.STRUCTURE)
    elif one.name == b"eXIf":
        yield from tiff.inside(data, one.begin, one.end, "EXIF ", budget)
    else:
        kind = {b"tEXt": Kind.TEXT, b"zTXt": Kind.TEXT, b"iTXt": Kind.TEXT, b"iCCP": Kind.PROFILE}
        body = _unpacked(one.name, data[one.begin : one.end], budget)
        yield Range(one.begin, one.end, kind.get(one.name, Kind.OPAQUE), one.name.decode(), body)


def _unpacked(name: bytes, body: bytes, budget: Budget) -> bytes | None:
    """What the zlib stream of a text, a profile or a chunk of somebody's own holds; None where it has none."""
    if name not in (b"zTXt", b"iCCP", b"iTXt"):
        return budget.inflate(body) or None
    word, _, rest = body.partition(b"\0")
    if name != b"iTXt":
        inside = budget.inflate(rest[1:])
        return inside if name == b"iCCP" else word + b"\0" + inside
    language, translated, text = [*rest[2:].split(b"\0", 2), b"", b""][:3]
    inside = budget.inflate(text) if rest[:1] == b"\1" else text
    return b"\0".join((word, language, translated, inside))


class _Pixels:
    """One zlib stream of filtered rows over several chunks: how far it is pixels, and what comes behind these."""

    def __init__(self, chunk: Chunk, rest: bytes, budget: Budget) -> None:
        self.stream = chunk.stream
        self._kind = Kind.PIXELS if chunk.shown else Kind.PICTURE
        self._budget, self._unpacker = budget, zlib.decompressobj()
        (width, height), (depth, colour, _, _, interlaced) = struct.unpack(">II", chunk.size), rest
        if width * height > budget.max_pixels:
            raise ItemError(Reason.TOO_MANY_PIXELS, f"{width}x{height}")
        bits = depth * _CHANNELS.get(colour, 1)
        passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
        sizes = [(-(-(width - x) // w), -(-(height - y) // h)) for x, y, w, h in passes]
        self._left = sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0 and rows > 0)

    def claims(self, data: bytes, begin: int, end: int) -> Iterator[Range]:
        """What of a chunk's bytes [begin, end) is pixels, and what is not."""
        piece, beyond, edge = data[begin:end], list[bytes](), end if self._left else begin
        try:
            while piece and not self._unpacker.eof:
                rows = self._unpacker.decompress(piece, min(self._left or _PIECE, _PIECE))
                piece = self._unpacker.unconsumed_tail or self._unpacker.unused_data
                if self._left:
                    self._left -= len(rows)
                    edge = end if self._left else end - len(piece)
                elif rows:
                    beyond.append(rows)
                    self._budget.unpack(len(rows))
        except zlib.error:
            piece = b""  # a picture that is broken here is not shown, and what is not shown is not kept
        if not beyond:  # all that is left is the stream's own end
            edge = end - len(piece)
        yield Range(begin, edge, self._kind, f"stream {self.stream}")
        yield Range(edge, end, Kind.OPAQUE, "behind the pixels", b"".join(beyond) + piece)


def pictures(data: bytes, _: list[Range], budget: Budget) -> Iterator[tuple[str, bytes]]:
    """Frames of an APNG beyond the number that it gives, and a second picture in further IDAT chunks."""
    header, before, rows = data[24:29], list[bytes](), dict[tuple[int, bytes], list[bytes]]()
    for one in streams(data, budget):
        body = data[one.begin : one.end]
        if one.name in (b"PLTE", b"tRNS"):
            before.append(chunk(one.name, body))
        elif one.stream and not one.shown:
            rows.setdefault((one.stream, one.size), []).append(body[4 * (one.name == b"fdAT") :])
    for (stream, size), pieces in rows.items():
        parts = (chunk(b"IHDR", size + header), *before, chunk(b"IDAT", b"".join(pieces)), chunk(b"IEND", b""))
        yield f"stream {stream}", b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk as bytes: length, name, content, checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
