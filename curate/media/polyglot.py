"""Files that are an image and something else as well: an archive, a document, a programme, or data after the end."""

import re
import struct
from collections.abc import Iterable

from curate.errors import ItemError
from curate.records import Reason

SLACK = 4096  # bytes after the end that cameras and editors leave, and that are no picture
PADDING = b"\0\xff \t\r\n"
_EOCD = 65_557  # how far before the end of a file a reader looks for a ZIP's directory
_STARTS = (
    b"PK\x03\x04", b"PK\x05\x06", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\xfd7zXZ\0", b"\x1f\x8b\x08", b"BZh9",
    b"%PDF-", b"\x7fELF", b"\xca\xfe\xba\xbe", b"<?php", b"<html", b"<script", b"<svg", b"<!DOCTYPE", b"#!/", b"ftyp",
    b"RIFF", b"\x89PNG\r\n", b"GIF8", b"\xff\xd8\xff", b"OggS", b"\x1aE\xdf\xa3", b"SQLite format 3",
)  # fmt: skip
_SCRIPT = re.compile(rb"<(?:\?php|[sS][cC][rR][iI][pP][tT])")
_SNIFFED = 4096  # how far a browser looks to find out what a file is, and more
_COMMENTED = {"GIF": 6, "JPEG": 4, "MPO": 4, "BMP": 2, "WEBP": 4}  # where a script's comment would have to begin


def refuse(data: bytes, kind: str) -> None:
    """Raise ItemError(polyglot), naming what an image of this Pillow format is as well: an archive, a PDF, a script."""
    if _directory(data):
        raise ItemError(Reason.POLYGLOT, "a ZIP archive as well")
    if data.find(b"%PDF-", 0, 1032) >= 0:
        raise ItemError(Reason.POLYGLOT, "a PDF as well")
    begin = _COMMENTED.get(kind, len(data))
    if (
        data[begin : begin + 2] == b"/*"
        or _SCRIPT.search(data, 0, _SNIFFED)
        or _SCRIPT.search(data, max(0, len(data) - _EOCD))
    ):
        raise ItemError(Reason.POLYGLOT, "a script as well")


def refuse_rest(pieces: Iterable[bytes]) -> None:
    """Raise ItemError(polyglot) where what follows the image, its pictures apart, is more than what cameras leave."""
    rest = [piece for piece in pieces if piece.strip(PADDING)]
    size = sum(len(piece.strip(PADDING)) for piece in rest)
    if size > SLACK:
        raise ItemError(Reason.POLYGLOT, f"{size} bytes after its end")
    if any(start in piece for piece in rest for start in _STARTS):
        raise ItemError(Reason.POLYGLOT, "something else begins after its end")


def _directory(data: bytes) -> bool:
    """Whether the ZIP directory that seems to be there can be one: chance puts its four bytes into 1 file of 65,000."""
    at = data.rfind(b"PK\x05\x06", -_EOCD)
    if at < 0 or at + 22 > len(data):
        return False
    entries, size, _, comment = (int(one) for one in struct.unpack_from("<HIIH", data, at + 10))
    return size <= at and comment <= len(data) - at - 22 and entries * 46 <= size
