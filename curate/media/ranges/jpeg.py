"""JPEG (ITU-T T.81), with what cameras and editors put into its segments."""

import re
import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from curate.errors import ItemError
from curate.media.ranges import tiff
from curate.media.ranges.kinds import Budget, Kind, Range
from curate.records import Reason

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # none of stuffed zeros, fill bytes, restarts
BARE = frozenset((0x01, 0xD9))  # markers without a length
TABLES = frozenset((*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BYTES = 2  # of coded data that a sample may take: more than noise at the best quality does
_SPARE = 16 * 1024
_THUMBNAIL = re.compile(rb"8BIM\x04([\x09\x0c])")
_KNOWN: dict[int, tuple[tuple[bytes, int, Kind, str], ...]] = {  # marker -> how it begins, header, what follows it
    0xE0: ((b"JFIF\0", 14, Kind.OPAQUE, "JFIF thumbnail"),),
    0xE1: (
        (b"http://ns.adobe.com/xap/1.0/\0", 29, Kind.TEXT, "XMP"),
        (b"http://ns.adobe.com/xmp/extension/\0", 75, Kind.TEXT, "extended XMP"),
    ),
    0xE2: (
        (b"ICC_PROFILE\0", 14, Kind.PROFILE, "ICC"),
        (b"FPXR\0", 13, Kind.OPAQUE, "FlashPix"),
    ),
    0xED: ((b"Photoshop 3.0\0", 14, Kind.OPAQUE, "Photoshop"),),
    0xEE: ((b"Adobe", 12, Kind.OPAQUE, "Adobe"),),
    0xFE: ((b"", 0, Kind.TEXT, "comment"),),
}
_DIRECTORIES = {0xE1: ((b"Exif\0", 6, "EXIF "),), 0xE2: ((b"MPF\0", 4, "MPF "),)}  # a TIFF structure inside


class Segment(NamedTuple):
    """A marker with what belongs to it, as places in the file."""

    marker: int
    begin: int
    end: int  # of what has a length
    scan: int  # end of the entropy-coded data that follow; as `end` where none do


_walked: tuple[bytes, list[Segment]] = (b"", [])


def claims(data: bytes, budget: Budget) -> Iterator[Range]:
    """From start to End-Of-Image; bytes that a decoder skips between two segments are left out.

    So are those of a scan beyond what its samples can take: a decoder that has all of them ignores the rest.
    """
    yield Range(0, 2, Kind.STRUCTURE)
    left = rows = 0
    for one in segments(data, budget):
        yield from _content(data, one, budget)
        if one.marker in _FRAMES:
            height, width, parts = struct.unpack_from(">HHB", data, one.begin + 5)
            left = _SPARE + _BYTES * parts * height * width
            rows = height
        if one.marker == 0xDC and int.from_bytes(data[one.begin + 4 : one.begin + 6], "big") != rows:
            raise ItemError(Reason.HIDDEN_DATA, "a second number of lines (DNL)")
        if one.scan > one.end:
            stop = min(one.scan, one.end + left)
            left -= stop - one.end
            yield Range(one.end, stop, Kind.PIXELS, "scan")


def segments(data: bytes, budget: Budget) -> Iterator[Segment]:
    """The segments of a JPEG, in order, as far as a decoder reads them; of the file that was walked last, as they were
    found: several look at one file, and its scan is long."""
    global _walked
    whose, before = _walked  # at once: another thread may walk another file
    if whose is data:
        for one in before:
            budget.step()
            yield one
        return
    walked = list[Segment]()
    found = _MARKER.search(data, 2)
    while found:
        begin = found.start()
        marker = data[begin + 1]
        if 0x01 < marker < 0xC0 or marker == 0xD8 or 0xF0 <= marker < 0xFE:
            break  # a second start, or reserved: no decoder goes on
        budget.step()
        end = begin + 2 if marker in BARE else begin + 2 + int.from_bytes(data[begin + 2 : begin + 4], "big")
        found = None if marker == 0xD9 else _MARKER.search(data, end)
        scan = (found.start() if found else len(data)) if marker == 0xDA else end
        walked.append(Segment(marker, begin, end, scan))
        yield walked[-1]
    _walked = (data, walked)


def _content(data: bytes, one: Segment, budget: Budget) -> Iterator[Range]:
    body = one.begin + 4
    for start, skip, name in _DIRECTORIES.get(one.marker, ()):
        if data.startswith(start, body):
            yield Range(one.begin, body + skip, Kind.STRUCTURE)
            yield from tiff.inside(data, body + skip, one.end, name, budget)
            return
    for start, skip, kind, name in _KNOWN.get(one.marker, ()):
        if data.startswith(start, body, one.end):
            yield Range(one.begin, min(body + skip, one.end), Kind.STRUCTURE)
            yield Range(body + skip, one.end, kind, name)
            return
    if one.marker == 0xEB and data.startswith(b"JP", body):  # JUMBF: every packet but the first repeats the box header
        skip = 8 if data.startswith(b"\0\0\0\1", body + 4) else 16
        yield Range(one.begin, body + skip, Kind.STRUCTURE)
        yield Range(body + skip, one.end, Kind.OPAQUE, "JUMBF")
    elif one.marker in TABLES or one.marker in BARE:
        if one.marker == 0xDA:
            budget.scan()
        yield Range(one.begin, one.end, Kind.STRUCTURE)
    else:
        yield Range(one.begin, min(body, one.end), Kind.STRUCTURE)
        yield Range(body, one.end, Kind.OPAQUE, f"APP{one.marker - 0xE0}" if one.marker >= 0xE0 else "segment")


def pictures(data: bytes, ranges: list[Range], _: Budget) -> Iterator[tuple[str, bytes]]:
    """An uncompressed JFIF thumbnail; and each of the pictures where scans code the same coefficients anew.

    Which of these a decoder shows, the first or the last, is its own affair.
    """
    for one in ranges:
        if one.name == "JFIF thumbnail":
            yield from _raw(one.name, data[one.begin - 2], data[one.begin - 1], data[one.begin : one.end])
        elif one.name == "APP0":
            yield from _extension(data[one.begin : one.end])
        elif one.name == "Photoshop":
            yield from resources(data[one.begin : one.end])
    if any(data.startswith(b"\xff\xdd\0\4", one.begin) for one in ranges if one.kind is Kind.STRUCTURE):
        yield from _renumbered(data, [one for one in ranges if one.name == "scan"])
    scans = [(before.begin, one.end) for before, one in pairwise(ranges) if one.name == "scan"]
    if len(scans) > 1:
        yield from _generations(data, scans)


def _renumbered(data: bytes, scans: list[Range]) -> Iterator[tuple[str, bytes]]:
    """The file with restart markers in order, where they are not: some decoders look at their numbers, some do not."""
    import numpy as np

    found = bytearray(data)
    for one in scans:
        coded = np.frombuffer(data, np.uint8, one.end - one.begin, one.begin)
        places = np.flatnonzero((coded[:-1] == 0xFF) & (coded[1:] >> 3 == 0xD0 >> 3)) + 1
        ordered = coded.copy()
        ordered[places] = 0xD0 + np.arange(len(places)) % 8
        found[one.begin : one.end] = ordered.tobytes()
    if found != data:
        yield "scan", bytes(found)


def _generations(data: bytes, scans: list[tuple[int, int]]) -> Iterator[tuple[str, bytes]]:
    """The file with the scans of each generation alone, where there are several."""
    spans, number, coded = list[tuple[int, int, int]](), 0, dict[int, int]()
    for begin, end in scans:
        header = data[begin + 4 : begin + 4 + 255 * 2]
        if _anew(header, coded):
            number, coded = number + 1, {}
            _anew(header, coded)
        spans.append((number, begin, end))
    for wanted in range(number + 1 if number else 0):
        yield "scan", _without(data, [(begin, end) for n, begin, end in spans if n != wanted])


def _anew(header: bytes, coded: dict[int, int]) -> bool:
    """Whether a scan codes from the start what an earlier one coded; notes in `coded` which coefficients it codes."""
    count = header[0]
    first, last, approximation = header[1 + 2 * count : 4 + 2 * count]
    if approximation >> 4:
        return False  # refines what is there
    band, parts = (1 << (last + 1)) - (1 << first), header[1 : 1 + 2 * count : 2]
    again = any(coded.get(part, 0) & band for part in parts)
    for part in parts:
        coded[part] = coded.get(part, 0) | band
    return again


def _without(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    ends = [0, *(end for _, end in spans)]
    begins = [*(begin for begin, _ in spans), len(data)]
    return b"".join(data[a:b] for a, b in zip(ends, begins, strict=True))


def _extension(body: bytes) -> Iterator[tuple[str, bytes]]:
    """JFIF 1.02: a thumbnail of three bytes a pixel, or of one and a palette."""
    if body.startswith((b"JFXX\0\x13", b"JFXX\0\x11")) and len(body) >= 8:
        pixels = body[8:]
        if body[5] == 0x11:
            palette = [pixels[3 * n : 3 * n + 3] for n in range(256)]
            pixels = b"".join(palette[n] for n in pixels[768:])
        yield from _raw("APP0", body[6], body[7], pixels)


def resources(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Photoshop's thumbnails that are no JPEG: resources 1033 (BGR) and 1036 (RGB), rows padded."""
    for found in _THUMBNAIL.finditer(body):
        name = body[found.end() : found.end() + 1] or b"\0"
        at = found.end() + (name[0] + 2) // 2 * 2 + 4  # behind the padded name and the size
        if len(body) < at + 28:
            return
        kind, width, height, row = struct.unpack_from(">4I", body, at)
        if kind == 0 and 3 * width <= row and row * height <= len(body) - at - 28:
            rows = [body[first : first + 3 * width] for first in range(at + 28, at + 28 + row * height, row or 1)]
            pixels = bytearray(b"".join(rows))
            if found[1] == b"\x09":
                pixels[::3], pixels[2::3] = pixels[2::3], pixels[::3]
            yield from _raw("Photoshop", width, height, bytes(pixels))


def _raw(name: str, width: int, height: int, pixels: bytes) -> Iterator[tuple[str, bytes]]:
    if width and height and len(pixels) >= 3 * width * height:
        yield name, tiff.uncompressed(width, height, pixels[: 3 * width * height])
