"""GIF (87a and 89a)."""

import struct
from collections.abc import Iterator

from PIL import Image

from curate.errors import ItemError
from curate.media.ranges.kinds import Budget, Kind, Range
from curate.records import Reason

_APPLICATIONS = {b"NETSCAPE2.0": Kind.STRUCTURE, b"ANIMEXTS1.0": Kind.STRUCTURE, b"ICCRGBG1012": Kind.PROFILE}
_PLAIN_HEADER = 13  # of a plain text block, with its length
_XMP = b"XMP DataXMP"  # its text is not cut into blocks: it lies as it is


def claims(data: bytes, budget: Budget) -> Iterator[Range]:
    """Block after block; bytes between two that begin none are left out, as a decoder skips them."""
    yield Range(0, 13 + palette(data[10]), Kind.STRUCTURE)
    for begin, end in blocks(data, budget):
        if data[begin] == 0x2C:
            at = begin + 11 + palette(data[begin + 9])
            shown = pixels(data, begin, end)
            yield Range(begin, at, Kind.STRUCTURE)
            yield Range(at, shown, Kind.PIXELS, "frame")
            yield Range(shown, end - 1, Kind.OPAQUE, "behind the pixels", _joined(data, shown))
            yield Range(end - 1, end, Kind.STRUCTURE)
        elif data[begin] == 0x21:
            yield from _extension(data, begin, end)
        else:
            yield Range(begin, end, Kind.STRUCTURE)


def blocks(data: bytes, budget: Budget) -> Iterator[tuple[int, int]]:
    """Where each picture, extension and the trailer lie; what begins none of them is skipped byte by byte."""
    at = 13 + palette(data[10])
    while at < len(data):
        begin = at
        budget.step()
        if data[at] == 0x3B:
            yield at, at + 1
            return
        if data[at] == 0x2C:
            if _too_large(data, begin, budget):
                return
            budget.frame()
            at = _end(data, at + 11 + palette(data[at + 9]))
            yield begin, at
        elif data[at] == 0x21:
            at = _end(data, at + 2)
            yield begin, at
        else:
            at += 1


def _too_large(data: bytes, begin: int, budget: Budget) -> bool:
    """Whether a frame has too many pixels: the first refuses the file, a later one ends what can be followed of it."""
    width, height = struct.unpack_from("<HH", data, begin + 5)
    if width * height > budget.max_pixels and not budget.frames:
        raise ItemError(Reason.TOO_MANY_PIXELS, f"{width}x{height}")
    return bool(width * height > budget.max_pixels)


def palette(flags: int) -> int:
    """Bytes of the palette that a header's flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _end(data: bytes, at: int) -> int:
    """Behind the terminator of the sub-blocks that begin at `at`."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return min(at + 1, len(data))


def _joined(data: bytes, at: int) -> bytes:
    """What the sub-blocks that begin at `at` hold."""
    found = []
    while at < len(data) and data[at]:
        found.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return b"".join(found)


def pixels(data: bytes, begin: int, end: int) -> int:
    """Behind the sub-block that completes the last row of the picture at [begin, end).

    Pillow's own decoder is asked: what it did not need for the picture is no part of it.
    """
    width, height, flags = struct.unpack_from("<HHB", data, begin + 5)
    at = begin + 11 + palette(data[begin + 9])
    if not (width and height):
        return at
    decoder = Image._getdecoder("L", "gif", (data[at - 1], flags & 64, -1), ())
    decoder.setimage(Image.new("L", (width, height)).im, (0, 0, width, height))
    while at < end - 1:
        block = data[at : at + 1 + data[at]]
        at = min(at + len(block), end - 1)
        if decoder.decode(block)[0] < 0:
            break
    return at


def _extension(data: bytes, begin: int, end: int) -> Iterator[Range]:
    label, size = data[begin + 1], data[begin + 2]
    if label == 0xF9 and end - begin <= 8:
        yield Range(begin, end, Kind.STRUCTURE)
    elif label == 0xFE:
        yield Range(begin, end, Kind.TEXT, "comment", _joined(data, begin + 2))
    elif label == 0xFF and size == 11:
        name, body = data[begin + 3 : begin + 14], begin + 14
        kind = _APPLICATIONS.get(name, Kind.TEXT if name == _XMP else Kind.OPAQUE)
        if kind is Kind.STRUCTURE and end - body > 16:
            kind = Kind.OPAQUE
        yield Range(begin, body, Kind.STRUCTURE)
        yield Range(
            body,
            end,
            kind,
            name.decode("latin-1"),
            None if kind is Kind.STRUCTURE or name == _XMP else _joined(data, body),
        )
    else:
        skip = _PLAIN_HEADER * (label == 0x01 and size == 12)
        yield Range(begin, begin + 2 + skip, Kind.STRUCTURE)
        kind = Kind.TEXT if skip else Kind.OPAQUE
        yield Range(begin + 2 + skip, end, kind, f"extension {label:02x}", _joined(data, begin + 2 + skip))
