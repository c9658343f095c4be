"""Normalise untrusted text: words in lower case with one space between them, in every script."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache, partial
from urllib.parse import unquote

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_INDIC = "\u0900-\u0dff\u0e00-\u0eff"  # here vowel signs are marks, and belong to their word
_TOKEN = re.compile(rf"\||\d+|(?:[^\W\d_]|[{_INDIC}])+")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
# Letters that look like Latin ones (the common pairs of Unicode's confusables, UTS 39), Cyrillic and Greek
_ALIKE = dict(zip("аеорсухіѕјһԁԛԝкмтвн" "АЕОРСУХІЅЈКМТВН" "ονακρτυιχ" "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
                  "aeopcyxisjhdqwkmtbh" "AEOPCYXISJKMTBH" "ovakptuix" "ABEZHIKMNOPTYX", strict=True))  # fmt: skip
_TO_LATIN = str.maketrans(_ALIKE)
_TO_CYRILLIC = str.maketrans({latin: other for other, latin in _ALIKE.items() if "CYRILLIC" in unicodedata.name(other)})
_MIXED = re.compile("(?=\\w*[A-Za-z])(?=\\w*[\u0370-\u03ff\u0400-\u052f])\\w+")
_ACCENTS = re.compile("[\u0300-\u036f\u0610-\u061a\u0640\u064b-\u065f\u0670]")  # and Arabic's vowel signs and hamza
_LETTERS = str.maketrans({"ł": "l", "ı": "i", "ø": "o", "đ": "d", "ß": "ss", "ى": "ي", "ی": "ي", "ک": "ك", "ة": "ه"})


def words(text: str) -> str:
    """Every word and number (and `|`), accents kept, a space on either side of each; letters and digits are parted."""
    lower = text.lower() if text.isascii() else unicodedata.normalize("NFKC", _folded(text))
    return f" {' '.join(_TOKEN.findall(lower))} "


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """The same without accents: what is typed without them matches too."""
    if text.isascii():
        return words(text)
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", _folded(text)))
    return words(unicodedata.normalize("NFKC", bare).translate(_LETTERS))


@lru_cache(maxsize=4096)
def readings(text: str) -> str:
    """What a title, a path or a URL may say: percent codes undone, and camel case read as words and as one word; words
    that mix alphabets, as who hides one writes it (a Cyrillic `а` in a Latin word), in either alphabet, too."""
    for _ in range(2):
        if "%" not in text:
            break
        text = unquote(text)
    if not text.isascii() and _MIXED.search(text):
        each = (_MIXED.sub(partial(_respelt, to), text) for to in (_TO_LATIN, _TO_CYRILLIC))
        text = " | ".join(dict.fromkeys((*each, text)))
    split = _CAMEL.sub(" ", text)
    return text if split == text else f"{split} | {text}"


def spoken(text: str, accents: bool = True) -> str:
    """`words` of `readings`, or `plain` without `accents`, of a piece between spaces at a time: the same pieces come
    again and again, and are remembered."""
    return f" {' '.join(filter(None, map(_heard if accents else _bare, pieces(text))))} "


def pieces(text: str, digits: bool = True) -> list[str]:
    """What no word of a text reaches beyond; without ASCII digits where these are none of a percent code."""
    utf8 = text.encode("utf-8", "surrogatepass").translate(_APART if digits else _LETTERS_ALONE)
    return utf8.decode("utf-8", "surrogatepass").split()  # bytes: four times as fast as a text's own translate()


_MARKS = b"\"#$&'()*+,-./:;<=>?@[\\]^_`{}~!"
_APART, _LETTERS_ALONE = (bytes.maketrans(each, b" " * len(each)) for each in (_MARKS, _MARKS + b"0123456789"))


@lru_cache(maxsize=1 << 16)
def _heard(piece: str) -> str:
    return words(readings(piece)).strip()


@lru_cache(maxsize=1 << 16)
def _bare(piece: str) -> str:
    return plain(readings(piece)).strip()


def _respelt(alphabet: Mapping[int, str], word: re.Match[str]) -> str:
    return word[0].translate(alphabet)


def _folded(text: str) -> str:
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text).casefold())
