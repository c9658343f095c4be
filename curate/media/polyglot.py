"""Files that are an image and something else as well: an archive, a document, a programme, or data after the end."""

import re
import struct

from curate.errors import ItemError
from curate.media.ends import end_of, following
from curate.records import Reason

SLACK = 4096  # bytes after the end that cameras and editors leave; nothing recognisable may begin in them
PREVIEWS = 8  # whole JPEGs after the end of a JPEG (MPO, gain maps): looked at as parts of it
_PADDING = b"\0\xff \t\r\n"
_EOCD = 65_557  # how far before the end of a file a reader looks for a ZIP's directory
_STARTS = (
    b"PK\x03\x04", b"PK\x05\x06", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\xfd7zXZ\0", b"\x1f\x8b\x08", b"BZh9",
    b"%PDF-", b"\x7fELF", b"\xca\xfe\xba\xbe", b"<?php", b"<html", b"<script", b"<svg", b"<!DOCTYPE", b"#!/", b"ftyp",
    b"RIFF", b"\x89PNG\r\n", b"GIF8", b"\xff\xd8\xff", b"OggS", b"\x1aE\xdf\xa3", b"SQLite format 3",
)  # fmt: skip
_SCRIPT = re.compile(rb"<(?:\?php|[sS][cC][rR][iI][pP][tT])")
_SNIFFED = 4096  # how far a browser looks to find out what a file is, and more


def check(data: bytes, kind: str) -> tuple[bytes, ...]:
    """The whole JPEGs that follow the image in its file; raises ItemError(polyglot) naming what else it is.

    `kind` is Pillow's name of the format. Padding, and up to SLACK bytes that a camera left behind, are let pass.
    """
    if _directory(data):
        raise ItemError(Reason.POLYGLOT, "a ZIP archive as well")
    if data.find(b"%PDF-", 0, 1032) >= 0:
        raise ItemError(Reason.POLYGLOT, "a PDF as well")
    begin = _COMMENTED.get(kind, len(data))
    if data[begin : begin + 2] == b"/*" or _SCRIPT.search(data, 0, _SNIFFED) or _SCRIPT.search(data[-_EOCD:]):
        raise ItemError(Reason.POLYGLOT, "a script as well")
    try:
        end = end_of(data, kind)
        spans = following(data, end) if kind in ("JPEG", "MPO") else []
    except (struct.error, ValueError, IndexError) as error:
        raise ItemError(Reason.DECODE_ERROR, f"its structure cannot be followed: {error}") from error
    if len(spans) > PREVIEWS:
        raise ItemError(Reason.POLYGLOT, f"{len(spans)} JPEGs after its end")
    rest = data[spans[-1][1] if spans else end :].strip(_PADDING)
    if len(rest) > SLACK:
        raise ItemError(Reason.POLYGLOT, f"{len(rest)} bytes after its end")
    if any(start in rest for start in _STARTS):
        raise ItemError(Reason.POLYGLOT, "something else begins after its end")
    return tuple(data[begin:stop] for begin, stop in spans)


_COMMENTED = {"GIF": 6, "JPEG": 4, "MPO": 4, "BMP": 2, "WEBP": 4}  # where a script's comment would have to begin


def _directory(data: bytes) -> bool:
    """Whether the ZIP directory that seems to be there can be one: chance puts its four bytes into 1 file of 65,000."""
    at = data.rfind(b"PK\x05\x06", -_EOCD)
    if at < 0 or at + 22 > len(data):
        return False
    entries, size, _, comment = (int(one) for one in struct.unpack_from("<HIIH", data, at + 10))
    return size <= at and comment <= len(data) - at - 22 and entries * 46 <= size
