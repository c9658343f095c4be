"""BMP (Windows and OS/2 headers)."""

import struct
from collections.abc import Iterator

from curate.errors import ItemError
from curate.media.ranges.kinds import Budget, Kind, Range
from curate.records import Reason

_RLE = (1, 2)


def claims(data: bytes, _: Budget) -> Iterator[Range]:
    """Headers, palette, pixels, and a profile behind them; what lies between or behind has no place in the format."""
    offset, header = (int.from_bytes(data[at : at + 4], "little") for at in (10, 14))
    if header == 12:
        width, height, _planes, depth = struct.unpack_from("<HHHH", data, 18)
        compression = size = colours = 0
    else:
        width, height, _planes, depth, compression, size = struct.unpack_from("<iiHHII", data, 18)
        (colours,) = struct.unpack_from("<I", data, 46)
    if offset < 14 + header + (depth <= 8):  # where Pillow takes them from behind the palette
        raise ItemError(Reason.DECODE_ERROR, "its pixels begin within its header or palette")
    head = 14 + header + 12 * (compression == 3 and header == 40)
    if depth <= 8:
        head += (3 if header == 12 else 4) * min(colours or 1 << depth, 1 << depth)
    yield Range(0, min(head, offset), Kind.STRUCTURE)
    rows = (width * depth + 31) // 32 * 4 * abs(height)
    coded = size or int.from_bytes(data[2:6], "little") - offset
    yield Range(offset, offset + (coded if compression in _RLE else rows), Kind.PIXELS, "pixels")
    if header >= 124:
        begin, length = struct.unpack_from("<II", data, 14 + 112)
        yield Range(14 + begin, 14 + begin + length, Kind.PROFILE, "profile")
