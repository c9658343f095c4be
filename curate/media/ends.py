"""Where an image ends: the offset just past the last byte that its own format gives a place to."""

import re
import struct
from collections.abc import Callable, Iterator

_JPEG_BARE = frozenset((0x01, *range(0xD0, 0xD8)))  # markers without a length
_FOLLOWER = re.compile(rb"[\x00\xff \t\r\n]*?\xff\xd8\xff")
_END = 0xD9FF  # End-Of-Image, as a little-endian word
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_TIFF_DATA = {273: 279, 324: 325, 513: 514, 288: 289}  # strips, tiles, a JPEG, free space: offsets -> byte counts
_AVIF_BOXES = frozenset((b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"mfra", b"sidx", b"styp", b"prft", b"emsg"))


def end_of(data: bytes, kind: str) -> int:
    """The end of an image of this Pillow format within `data`, at most len(data); what is damaged ends it there.

    Raises ValueError or struct.error where the structure cannot be followed at all.
    """
    return min(len(data), _ENDS[kind](data))


def jpeg(data: bytes, start: int = 0) -> int:
    """Just past the End-Of-Image marker of the JPEG that begins at `start`; len(data) where it has none."""
    at = start + 2
    for marker, _, end in segments(data, start):
        at = end
        if marker == 0xDA:
            if not _has_end(data, end):  # within a scan it can be nothing else
                return len(data)
            at = _scan(data, end)
    return at + 2 if data[at : at + 2] == b"\xff\xd9" else len(data)


def following(data: bytes, at: int) -> list[tuple[int, int]]:
    """Where the whole JPEGs lie that come after `at`, padding between them skipped: MPO's pictures, gain maps."""
    spans = []
    while found := _FOLLOWER.match(data, at):
        at = jpeg(data, found.end() - 3)
        spans.append((found.end() - 3, at))
    return spans


def segments(data: bytes, start: int = 0) -> Iterator[tuple[int, int, int]]:
    """The marker segments of a JPEG, scans skipped: marker, where its content begins, where it ends."""
    at = start + 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xD9:
            return
        if marker == 0xFF or marker in _JPEG_BARE:
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield marker, at + 4, end
        at = _scan(data, end) if marker == 0xDA else end


def _has_end(data: bytes, start: int) -> bool:
    """Whether an End-Of-Image marker begins at `start` or later, but for the last two bytes: words of either parity."""
    import numpy as np

    stop = len(data) - 1
    words = (np.frombuffer(data, "<u2", max(0, stop - at) // 2, at) for at in (start, start + 1) if at < stop)
    return any(bool((one == _END).any()) for one in words)


def _scan(data: bytes, at: int) -> int:
    """The next marker that is none of entropy-coded data's own (stuffed zeros, fill bytes, restarts)."""
    found = _MARKER.search(data, at)
    return found.start() if found else len(data)


def _png(data: bytes) -> int:
    at = 8
    while at + 12 <= len(data):
        name = data[at + 4 : at + 8]
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        if name == b"IEND":
            return at
    return len(data)


def _gif(data: bytes) -> int:
    at = 13 + _palette(data[10])
    while at < len(data) and data[at] != 0x3B:
        if data[at] == 0x2C:
            at += 11 + _palette(data[at + 9])
        elif data[at] == 0x21:
            at += 2
        else:
            return at
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return at + 1


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp(data: bytes) -> int:
    size = int.from_bytes(data[4:8], "little")
    return 8 + size + size % 2


def _bmp(data: bytes) -> int:
    declared, offset, header = (int.from_bytes(data[at : at + 4], "little") for at in (2, 10, 14))
    if header == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
        compression = size = 0
    else:
        width, height, _, depth, compression, size = struct.unpack_from("<iiHHII", data, 18)
    stride = (width * depth + 31) // 32 * 4
    pixels = size if compression in (1, 2) else stride * abs(height)
    profile = 0
    if header >= 124:  # BITMAPV5HEADER: a colour profile may lie after the pixels
        profile = 14 + sum(struct.unpack_from("<II", data, 14 + 112))
    return max(declared if declared <= len(data) and compression in (1, 2) else 0, offset + pixels, profile)


def _avif(data: bytes) -> int:
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if name not in _AVIF_BOXES or (at and name == b"ftyp"):
            return at
        if size == 0:
            return len(data)
        at += int.from_bytes(data[at + 8 : at + 16], "big") if size == 1 else max(size, 8)
    return at


def _tiff(data: bytes) -> int:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    word, entry, count = ("Q", 20, "Q") if big else ("I", 12, "H")
    waiting, seen, end = [struct.unpack_from(order + word, data, 8 if big else 4)[0]], set[int](), 0
    while waiting and len(seen) < 4096:
        at = waiting.pop()
        if not at or at in seen or at >= len(data):
            continue
        seen.add(at)
        (entries,) = struct.unpack_from(order + count, data, at)
        base = at + struct.calcsize(count)
        after = base + entries * entry
        values = _entries(data, order, word, range(base, after, entry))
        for begins, (found, stop) in values.items():
            end = max(end, stop)
            if begins in _TIFF_DATA:
                lengths = values.get(_TIFF_DATA[begins], ((), 0))[0]
                end = max([end, *(a + b for a, b in zip(found, lengths, strict=False))])
            if begins == 330:
                waiting += found
        end = max(end, after + struct.calcsize(order + word))
        waiting.append(struct.unpack_from(order + word, data, after)[0])
    return end


def _entries(data: bytes, order: str, word: str, places: range) -> dict[int, tuple[tuple[int, ...], int]]:
    """Of each tag of a directory: its values where they are whole numbers, and where they end in the file."""
    found = {}
    inline = struct.calcsize(order + word)
    for at in places:
        tag, kind = struct.unpack_from(order + "HH", data, at)
        (number,) = struct.unpack_from(order + word, data, at + 4)
        size = number * _TIFF_SIZES.get(kind, 1)
        begin = at + 4 + inline if size <= inline else struct.unpack_from(order + word, data, at + 4 + inline)[0]
        letter = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(kind)
        wanted = letter is not None and (tag in _TIFF_DATA or tag in _TIFF_DATA.values() or tag == 330)
        values = struct.unpack_from(f"{order}{number}{letter}", data, begin) if wanted else ()
        found[tag] = (values, begin + size)
    return found


_ENDS: dict[str, Callable[[bytes], int]] = {
    "JPEG": jpeg, "MPO": jpeg, "PNG": _png, "GIF": _gif, "WEBP": _webp, "BMP": _bmp, "AVIF": _avif, "TIFF": _tiff,
}  # fmt: skip
