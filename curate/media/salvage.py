"""Copies of a file without the metadata that stops a decoder: what is damaged beside a picture never costs it."""

import re
import zlib
from collections.abc import Callable, Iterator

from curate.media.ranges.kinds import Budget

_PNG = b"\x89PNG\r\n\x1a\n"
_TEXT = frozenset((b"tEXt", b"zTXt", b"iTXt"))
_PIXELS = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"))
_BEHIND = _PIXELS | {b"eXIf"}  # what may come after the first IDAT and still say something
_NOTHING = frozenset((0x00, 0x01, 0xFF, *range(0xD0, 0xD8)))
_ADOBE = 12  # bytes of an APP14 that says how colour is stored; a shorter one says nothing to libjpeg either
_EXIF_ITEM = re.compile(rb"(infe.{8}(?:..)?)Exif", re.DOTALL)

Chunk = tuple[bytes, int, int]  # a chunk's name, where it begins, where it ends


def copies(data: bytes) -> Iterator[bytes]:
    """The file, but for a PNG's text, which nobody wants and Pillow refuses when long; then with less metadata.

    What decides how pixels are shown stays as long as it can be: Adobe's marker, transparency, the orientation.
    """
    if data.startswith(_PNG):
        yield from _pngs(data)
        return
    yield data
    if data.startswith(b"\xff\xd8"):
        smaller = (_jpeg(data, kept) for kept in (_of_colour_or_exif, _of_colour))
        yield from (one for one in smaller if len(one) < len(data))
    elif data[4:8] == b"ftyp":
        yield _EXIF_ITEM.sub(rb"\1xxxx", data)


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks of a PNG, as far as they are whole; raises ItemError(hidden_data) where there are too many to walk."""
    at, budget = 8, Budget(0, 0)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            return
        budget.step()
        yield data[at + 4 : at + 8], at, end
        at = end


def whole(data: bytes, chunk: Chunk) -> bool:
    """Whether a chunk's checksum is that of its content."""
    _, at, end = chunk
    return zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")


def _pngs(data: bytes) -> Iterator[bytes]:
    found = list(chunks(data))
    pixels = next((at for name, at, _ in found if name == b"IDAT"), len(data))
    named = [one for one in found if one[0] not in _TEXT and (one[1] < pixels or one[0] in _BEHIND)]
    first = {name: at for name, at, _ in reversed(named)}  # of _ONCE the first counts in libpng, the last in Pillow
    named = [one for one in named if one[0] not in _ONCE or one[1] == first[one[0]]]
    yield _joined(data, found, named)
    yield _joined(data, found, [c for c in named if c[0] in _PIXELS or (c[0] not in _DOUBTED and whole(data, c))])
    yield _joined(data, found, [c for c in named if c[0] in _PIXELS or c[0] == b"tRNS"])
    yield _joined(data, found, [c for c in named if c[0] in _PIXELS])


_ONCE = frozenset((b"PLTE", b"tRNS"))
_DOUBTED = frozenset((b"iCCP", b"eXIf", b"gAMA", b"cHRM"))  # colour is read by `profiles`, whatever Pillow makes of it


def _joined(data: bytes, found: list[Chunk], kept: list[Chunk]) -> bytes:
    if len(found) == len(kept):
        return data
    return b"".join([data[:8], *(data[at:end] for _, at, end in kept), data[found[-1][2] :]])


def _jpeg(data: bytes, kept: Callable[[int, bytes], bool]) -> bytes:
    """The file with those only of its application segments before the first scan that are `kept`.

    Without what libjpeg passes over between segments, too: stray bytes, and markers that mean nothing there.
    """
    pieces, at = [data[:2]], 2
    while 0 <= (at := data.find(b"\xff", at)) <= len(data) - 4 and (marker := data[at + 1]) != 0xDA:
        if marker in _NOTHING:
            at += 1 + (marker != 0xFF)  # a fill byte may come before a marker
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if not 0xE0 <= marker <= 0xEF or kept(marker, data[at + 4 : end]):
            pieces.append(data[at:end])
        at = end
    return b"".join([*pieces, data[at:]]) if at >= 0 else data


def _of_colour(marker: int, content: bytes) -> bool:
    if marker == 0xEE:
        return content.startswith(b"Adobe") and len(content) >= _ADOBE
    return marker == 0xE2 and content.startswith(b"ICC_PROFILE\0") and len(content) > 14


def _of_colour_or_exif(marker: int, content: bytes) -> bool:
    return _of_colour(marker, content) or (marker == 0xE1 and content.startswith(b"Exif\0\0"))
