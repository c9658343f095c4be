"""Where in some bytes a picture of a format that is decoded here may begin: every signature at every offset.

A signature counts where what follows it can be a header, so that noise costs nothing.
"""

import re
import struct
from collections.abc import Callable, Container, Iterator
from functools import cache
from typing import TYPE_CHECKING

from curate.errors import ItemError
from curate.media.ranges import Budget
from curate.records import Reason

if TYPE_CHECKING:
    import numpy as np

MARKS = 20_000  # places where a signature stands: more in one file is refused
_WORDS = (0xD8FF, 0x5089, 0x7466)  # first two bytes, little-endian, of JPEG, PNG, and what stands 4 bytes into an AVIF
_LETTERS = (0xFBE0, 0x4940)  # GI, RI, II, BM, MM and what else has these bits
_STARTS = frozenset((*_WORDS, 0x4947, 0x4952, 0x4949, 0x4D42, 0x4D4D))
_FEW = 2048  # places that are looked at one by one without thinning them out first
_BMP_HEADERS = b"\x0c\x28\x34\x38\x40\x6c\x7c"
_MARK = re.compile(
    rb"(?P<JPEG>\xff\xd8\xff+[\x01\xc0-\xd7\xda-\xfe])|(?P<PNG>\x89PNG\r\n\x1a\n)|(?P<GIF>GIF8[79]a)"
    rb"|(?P<WEBP>RIFF....WEBPVP8[ LX])|(?P<BMP>BM.{12}[" + re.escape(_BMP_HEADERS) + rb"]\0\0\0)"
    rb"|(?P<TIFF>II[*+]\0|MM\0[*+])|(?P<AVIF>ftyp(?:avi[fs]|m[is]f1))",
    re.DOTALL,
)
_STRAY = 64  # bytes between two segments of a JPEG
_BARE = frozenset((0, 0x01, *range(0xD0, 0xD8)))  # markers that no length follows
_DEPTHS = (1, 4, 8, 16, 24, 32)


def marks(data: bytes, budget: Budget, own: Container[int] = ()) -> Iterator[tuple[int, str]]:
    """Offset and Pillow's name of the format, in order, but for `own`; raises ItemError(hidden_data) beyond MARKS."""
    places = _places(data)
    number = 0
    for at in (places if len(places) <= _FEW else _thinned(data, places)).tolist():
        found = _MARK.match(data, at)
        if found is None or found.lastgroup is None:
            continue
        number += 1
        if number > MARKS:
            raise ItemError(Reason.HIDDEN_DATA, f"more than {MARKS} places where a picture may begin")
        begin = at - 4 * (found.lastgroup == "AVIF")
        if begin >= 0 and begin not in own and _plausible(data, begin, found, budget):
            yield begin, found.lastgroup


def _places(data: bytes) -> "np.ndarray":
    """Where the first two bytes of a signature stand, as int64[n] in order: words of either parity."""
    import numpy as np

    found = []
    for parity in (0, 1):
        words = np.frombuffer(data, "<u2", max(0, len(data) - parity) // 2, min(parity, len(data)))
        hits = words & _LETTERS[0] == _LETTERS[1]
        for word in _WORDS:
            hits |= words == word
        places = np.flatnonzero(hits)
        found.append(places[_starts()[words[places]]] * 2 + parity)
    return np.sort(np.concatenate(found))


@cache
def _starts() -> "np.ndarray":
    """Of every word whether a signature begins with it."""
    import numpy as np

    return np.isin(np.arange(1 << 16), list(_STARTS))


def _thinned(data: bytes, places: "np.ndarray") -> "np.ndarray":
    """Of many places those whose third byte can be a signature's, or whose header's length a BMP's."""
    import numpy as np

    padded = np.frombuffer(data + bytes(18), np.uint8)
    third = np.isin(padded[places + 2], np.frombuffer(b"\xffNF*+\0y", np.uint8))
    bitmap = (padded[places] == ord("B")) & np.isin(padded[places + 14], np.frombuffer(_BMP_HEADERS, np.uint8))
    return places[np.where(padded[places] == ord("B"), bitmap & (padded[places + 15] == 0), third)]


def _plausible(data: bytes, at: int, found: re.Match[bytes], budget: Budget) -> bool:
    check = _HEADERS.get(found.lastgroup or "")
    try:
        return check is None or check(data, at if found.lastgroup != "JPEG" else found.end() - 2, budget)
    except (struct.error, IndexError):
        return False


def signed(data: bytes) -> bool:
    """Whether a signature stands anywhere, whatever follows it."""
    return any(_MARK.match(data, at) for at in _places(data).tolist())


def begins_jpeg(data: bytes, at: int, budget: Budget) -> bool:
    """Whether a JPEG's first marker can lie at `at`."""
    try:
        return _jpeg(data, at, budget)
    except (struct.error, IndexError):
        return False


def _jpeg(data: bytes, at: int, budget: Budget) -> bool:
    """Whether segments lead from the first marker to a frame's header, over a few stray bytes as decoders do."""
    while True:
        budget.step()
        at = data.find(b"\xff", at, at + _STRAY)
        if at < 0:
            return False
        while data[at + 1] == 0xFF:
            at += 1
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _BARE:
            at += 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width, parts = struct.unpack_from(">HHB", data, at + 5)
            return bool(height and width) and 1 <= parts <= 4 and size == 8 + 3 * parts
        if size < 2 or marker < 0xC0 or marker in (0xD8, 0xD9, 0xDA):
            return False
        at += 2 + size


def _png(data: bytes, at: int, _: Budget) -> bool:
    return data[at + 8 : at + 16] == b"\0\0\0\x0dIHDR"


def _gif(data: bytes, at: int, _: Budget) -> bool:
    flags = data[at + 10]
    at += 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    return data[at] in (0x21, 0x2C, 0)  # decoders pass over extensions that they do not know, and over zeros


def _bmp(data: bytes, at: int, _: Budget) -> bool:
    if data[at + 14] == 12:
        width, height, planes, depth = struct.unpack_from("<HHHH", data, at + 18)
    else:
        width, height, planes, depth = struct.unpack_from("<iiHH", data, at + 18)
    return bool(width > 0 and height != 0 and planes <= 1 and depth in _DEPTHS)


def _tiff(data: bytes, at: int, _: Budget) -> bool:
    """Whether the first directory lies within, and its first entry has a type that there is."""
    order = "<" if data.startswith(b"II", at) else ">"
    if struct.unpack_from(order + "H", data, at + 2)[0] == 43:
        where = at + struct.unpack_from(order + "Q", data, at + 8)[0]
        count, kind = struct.unpack_from(order + "Q2xH", data, where)
    else:
        where = at + struct.unpack_from(order + "I", data, at + 4)[0]
        count, kind = struct.unpack_from(order + "H2xH", data, where)
    return bool(0 < count <= 4096 and 1 <= kind <= 18)


_HEADERS: dict[str, Callable[[bytes, int, Budget], bool]] = {
    "JPEG": _jpeg, "PNG": _png, "GIF": _gif, "BMP": _bmp, "TIFF": _tiff,
}  # fmt: skip
