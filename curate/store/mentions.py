"""What is written of samples, by every mention of their collapse sets; read anew each time, a part at a time."""

import json
import re
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from hashlib import blake2b
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec

from curate.policy.written import Written
from curate.store.catalog import Catalog

PART = 8192  # samples whose words are asked for at once, where all are asked about
SLICE = 4096  # of which the catalog is asked in one statement
LARGE, KEPT = 16, 64  # members of a set that is remembered while ids go by, and how many such sets are
_NAMESPACE = re.compile(r"[^\W\d_]+:(?=\S)")  # File:A.jpg; "Venus: a study" has none
_CATEGORIES, _ITEMS = re.compile(r"\s*[|;]\s*"), re.compile(r"[|;,\s]+")  # between those of one cell
_FIELDS = tuple(one.name for one in fields(Written))
_MANY = frozenset({"categories", "depicts"})
_Said = tuple[Sequence[str], ...]


class Mentions:
    """Reads what is written of samples. Memory is bounded by how many are asked about at once.

    `again`: who asks about the same ids once more reads nothing; of a sample some hundred bytes are kept for that.
    """

    def __init__(self, catalog: Catalog, again: bool = False) -> None:
        self._catalog = catalog
        self._large: OrderedDict[str, Written] = OrderedDict()
        self._again: dict[bytes, tuple[int, bytes]] | None = {} if again else None

    def of(self, ids: Sequence[str]) -> list[Written]:
        """What is written of each, in their order."""
        if self._again is None:
            return self._found(ids)
        import pyarrow as pa

        which = blake2b("".join(ids).encode(), digest_size=16).digest()
        if which in self._again:
            length, packed = self._again[which]
            kept: list[Written] = _KEPT.decode(pa.decompress(packed, length, "lz4", asbytes=True))
            return kept
        found = self._found(ids)
        plain = msgspec.msgpack.encode(found)
        self._again[which] = len(plain), pa.compress(plain, "lz4", asbytes=True)
        return found

    def _found(self, ids: Sequence[str]) -> list[Written]:
        collapse = dict(self._rows(_COLLAPSE, ids, _PAIRS))
        names = [collapse.get(one, one) for one in ids]
        found = {name: self._large[name] for name in names if name in self._large}
        sets = {name: [name] for name in names if name not in found}  # the members of each that is not remembered
        for one, name in self._rows(_MEMBERS, sorted(sets), _PAIRS):
            sets[name].append(one)
        found |= self._read(sets)
        for name in [name for name, members in sets.items() if len(members) >= LARGE]:
            self._large[name] = found[name]
        while len(self._large) > KEPT:
            self._large.popitem(last=False)
        return [found[name] for name in names]

    def _read(self, sets: Mapping[str, Iterable[str]]) -> dict[str, Written]:
        of = {one: name for name, members in sets.items() for one in members}
        said: defaultdict[str, list[_Said]] = defaultdict(list)
        for sample, *row in self._rows(_MENTIONED, list(of), _ROWS):
            said[of[sample]].append(_texts(*row))
        return {name: _written(said.get(name, ())) for name in sets}

    def _rows(self, sql: str, ids: Sequence[str], decoder: Any) -> Iterator[Any]:
        """What a query has of some ids. Its rows come as one text: who waits for that keeps no other thread waiting."""
        for start in range(0, len(ids), SLICE):
            yield from decoder.decode(self._catalog.scalar(sql, (json.dumps(ids[start : start + SLICE]),)))


_COLLAPSE = """
SELECT json_group_array(json_array(sample, collapse)) FROM members
WHERE sample IN (SELECT value FROM json_each(?)) AND collapse <> sample
"""
_MEMBERS = """
SELECT json_group_array(json_array(sample, collapse)) FROM members
WHERE collapse IN (SELECT value FROM json_each(?)) AND collapse <> sample
"""
_MENTIONED = """
SELECT json_group_array(json_array(c.sample, c.kind, c.locator, c.host, m.ref, m.license, m.upstream, m.facts))
FROM candidates c LEFT JOIN mentions m USING (candidate) WHERE c.sample IN (SELECT value FROM json_each(?))
"""
_PAIRS = msgspec.json.Decoder(list[tuple[str, str]])
_ROWS = msgspec.json.Decoder(list[tuple[str, str, str, str | None, str | None, str | None, str | None, str | None]])


class _Facts(msgspec.Struct):
    """What of `mentions.facts` is written of a picture."""

    title: str | tuple[str, ...] = ()
    file_name: str | tuple[str, ...] = ()
    description: str | tuple[str, ...] = ()
    captions: str | tuple[str, ...] = ()
    categories: str | tuple[str, ...] = ()
    depicts: str | tuple[str, ...] = ()


class _Upstream(msgspec.Struct):
    title: str | None = None


_NOTHING = _Facts()
_T = TypeVar("_T", _Facts, _Upstream)


def _read(text: str, kind: type[_T]) -> _T:
    try:
        found: _T = _DECODERS[kind].decode(text)
        return found
    except msgspec.DecodeError:  # half characters, which json takes
        return msgspec.convert(json.loads(text), kind)


_KEPT = msgspec.msgpack.Decoder(list[Written])
_DECODERS: Mapping[type[Any], Any] = {kind: msgspec.json.Decoder(kind) for kind in (_Facts, _Upstream)}


def _texts(
    kind: str, locator: str, host: str | None, ref: str | None, licence: str | None, upstream: str | None,
    facts: str | None,
) -> _Said:  # fmt: skip
    """The texts of one mention, by the fields of `Written`."""
    known = _read(facts, _Facts) if facts else _NOTHING
    title = (_read(upstream, _Upstream).title if upstream else None) or ""
    title = _NAMESPACE.sub("", title, count=1) if ":" in title else title
    name = title.rpartition("/")[2] if "." in title else _last(kind, locator)  # of a wiki's file
    return (
        (title, *_each(known.title)),
        (name, *_each(known.file_name)),
        (*_each(known.description), *_each(known.captions)),
        _each(known.categories, _CATEGORIES),
        _each(known.depicts, _ITEMS),
        (host or "",),
        (licence or "",),
        (ref or "",),
    )


def _last(kind: str, locator: str) -> str:
    """The last part of a path, or of a URL's."""
    if kind != "url":
        return locator.rpartition("/")[2]
    path = locator.partition("#")[0].partition("?")[0]
    return unquote(path.partition("://")[2].partition("/")[2].rpartition("/")[2])


def _each(value: str | Sequence[str], parted: re.Pattern[str] | None = None) -> Sequence[str]:
    """The texts of a fact; a list of URLs has categories and depicted items in one cell."""
    if not isinstance(value, str):
        return value
    return parted.split(value) if parted else (value,)


def _written(said: Sequence[_Said]) -> Written:
    """What all mentions say together, each text once."""
    if len(said) == 1:
        title, name, description, categories, depicts, host, licence, ref = said[0]
        return Written(
            title=_lines(title), file_name=_lines(name), description=_lines(description),
            categories=tuple(_distinct(categories)) if categories else (),
            depicts=tuple(_distinct(depicts)) if depicts else (),
            host=_line(host[0]), license=_line(licence[0]), ref=_line(ref[0]),
        )  # fmt: skip
    found = [_distinct(*each) for each in zip(*said, strict=True)] if said else [()] * len(_FIELDS)
    given = zip(_FIELDS, found, strict=True)
    return Written(**{name: tuple(one) if name in _MANY else "\n".join(one) for name, one in given})  # type: ignore[arg-type]


def _lines(texts: Sequence[str]) -> str:
    return _line(texts[0]) if len(texts) == 1 else "\n".join(_distinct(texts)) if texts else ""


def _distinct(*each: Sequence[str]) -> Sequence[str]:
    """Texts of one line each, sorted, each once."""
    first = each[0]
    if len(each) == len(first) == 1:
        return [one] if (one := _line(first[0])) else ()
    return sorted({line for some in each for text in some if (line := _line(text))})


def _line(text: str) -> str:
    return " ".join(text.split()) if not text.isprintable() or "  " in text else text.strip()
