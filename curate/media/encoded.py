"""Pictures that were written as text: runs of base64 and of hex in metadata, decoded."""

import base64
import re
from collections.abc import Iterator

_TEXT = bytes(n for n in range(256) if n >= 32 or n in b"\0\t\n\f\r")
LEAST = 128  # characters of a run: fewer hold no picture
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_HEX = b"0123456789abcdefABCDEF"
_BREAKS = (  # how a run is cut into lines; each begins with a letter that is fast to find
    (b"\n", re.compile(rb"\n[ \t\r\n]*+")),
    (b"&#", re.compile(rb"&#x?[0-9A-Fa-f]{1,4};")),
    (b"\\", re.compile(rb"\\[nrt]")),
    (b"%0", re.compile(rb"%0[ADad]")),
)
_URL = ((b"%2B", b"+"), (b"%2b", b"+"), (b"%2F", b"/"), (b"%2f", b"/"))


def _table(alphabet: bytes) -> bytes:
    return bytes(one if one in alphabet else ord("!") for one in range(256))


_FOR_URLS = bytes.maketrans(b"-_", b"+/")  # the other alphabet of RFC 4648
_TABLES = (_FOR_URLS.translate(_table(_BASE64)), _table(_HEX))
_DROPPED = b"\\\r\t "  # slashes that JSON escapes, ends of lines, and the space that XML makes of one
_BETWEEN = _DROPPED + b",:;-"  # what stands between two numbers, too


def decoded(text: bytes) -> Iterator[bytes]:
    """What each long run may stand for, from each of the characters at which its first byte may begin."""
    if len(text) < LEAST:
        return
    joined = text.translate(None, b"\0")  # UTF-16 of plain letters
    for sign, pattern in _BREAKS:
        joined = pattern.sub(b"", joined) if sign in joined else joined
    for before, after in _URL if b"%2" in joined else ():
        joined = joined.replace(before, after)
    for run in _runs(joined.translate(_TABLES[0], _DROPPED)):
        for start in range(4):
            piece = run[start : len(run) - ((len(run) - start) % 4 == 1)]
            yield base64.b64decode(piece + b"=" * (-len(piece) % 4))
    numbers = joined.replace(b"0x", b"") if b"0x" in joined else joined
    for run in _runs(numbers.translate(_TABLES[1], _BETWEEN)):
        for start in range(2):
            piece = run[start:]
            yield bytes.fromhex(piece[: len(piece) // 2 * 2].decode("ascii"))


def is_text(body: bytes) -> bool:
    """Whether bytes are UTF-8 without control characters."""
    if body.translate(None, _TEXT):
        return False
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _runs(text: bytes) -> Iterator[bytes]:
    """What lies between two of the characters that stand for all others, where it is long."""
    import numpy as np

    stops = np.concatenate(([-1], np.flatnonzero(np.frombuffer(text, np.uint8) == ord("!")), [len(text)]))
    for n in np.flatnonzero(np.diff(stops) > LEAST).tolist():
        yield text[stops[n] + 1 : stops[n + 1]]
