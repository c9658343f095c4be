"""WebP (RFC 9649)."""

import struct
from collections.abc import Iterator

from curate.errors import ItemError
from curate.media.ranges import tiff
from curate.media.ranges.kinds import Budget, Kind, Range
from curate.records import Reason

CODED = (b"VP8 ", b"VP8L", b"ALPH")
_STRUCTURE = {b"VP8X": 10, b"ANIM": 6}
FRAME = 16  # bytes of a frame's own header
_ANIMATED, _ALPHA = 2, 0x10


def claims(data: bytes, budget: Budget) -> Iterator[Range]:
    """The RIFF chunks within the size that the file gives itself."""
    yield Range(0, 12, Kind.STRUCTURE)
    for name, begin, end, shown in chunks(data, budget):
        yield Range(begin - 8, begin, Kind.STRUCTURE)
        if name == b"ANMF":
            yield Range(begin, begin + FRAME, Kind.STRUCTURE)
        elif name in CODED:
            _refuse_denied(data, name, begin)
            yield Range(begin, end, Kind.PIXELS if shown else Kind.PICTURE, f"{name.decode()}{begin}")
        elif name == b"EXIF":
            skip = 6 if data.startswith(b"Exif\0", begin) else 0
            yield Range(begin, begin + skip, Kind.STRUCTURE)
            yield from tiff.inside(data, begin + skip, end, "EXIF ", budget)
        elif end - begin <= _STRUCTURE.get(name, -1):
            yield Range(begin, end, Kind.STRUCTURE)
        else:
            kind = {b"ICCP": Kind.PROFILE, b"XMP ": Kind.TEXT}.get(name, Kind.OPAQUE)
            yield Range(begin, end, kind, name.decode("latin-1"))
        yield Range(end, end + (end - begin) % 2, Kind.STRUCTURE)


def _refuse_denied(data: bytes, name: bytes, begin: int) -> None:
    """Raise ItemError for an animation that denies the alpha channel of a frame: no two decoders lay it alike."""
    animated, alpha = data[12:16] == b"VP8X" and data[20] & _ANIMATED, data[20] & _ALPHA
    if animated and not alpha and (name == b"ALPH" or (name == b"VP8L" and data[begin + 4] & _ALPHA)):
        raise ItemError(Reason.DECODE_ERROR, "an animation that denies the alpha channel of a frame")


def chunks(data: bytes, budget: Budget) -> Iterator[tuple[bytes, int, int, bool]]:
    """Name, begin and end of each chunk's content, those in frames too; and whether a decoder shows what it codes.

    A file whose first chunk is a picture shows that one and no other; an extended one its frames where it says that it
    is an animation, else the first picture.
    """
    extended = data[12:16] == b"VP8X"
    animated = extended and bool(data[20] & _ANIMATED)
    still = False
    for name, begin, end in _riff(data, 12, min(len(data), 8 + int.from_bytes(data[4:8], "little")), budget):
        shown = not animated and not still and (extended or begin == 20)
        yield name, begin, end, shown
        still |= name in (b"VP8 ", b"VP8L")
        if name == b"ANMF":
            budget.frame()
            picture = False
            for inner, first, last in _riff(data, begin + FRAME, end, budget):
                yield inner, first, last, animated and not picture
                picture |= inner in (b"VP8 ", b"VP8L")


def _riff(data: bytes, at: int, end: int, budget: Budget) -> Iterator[tuple[bytes, int, int]]:
    while at + 8 <= end:
        name, size = struct.unpack_from("<4sI", data, at)
        budget.step()
        yield name, at + 8, min(at + 8 + size, end)
        at += 8 + size + size % 2


def pictures(data: bytes, _: list[Range], budget: Budget) -> Iterator[tuple[str, bytes]]:
    """Each coded picture that no decoder shows, as a file of its own."""
    for name, begin, end, shown in chunks(data, budget):
        if name in (b"VP8 ", b"VP8L") and not shown:
            chunk = data[begin - 8 : end] + bytes((end - begin) % 2)
            yield f"{name.decode()}{begin}", b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
