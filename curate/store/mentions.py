"""What is written of samples, by every mention of their collapse sets; read anew each time, a part at a time."""

import json
import re
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from curate.policy.written import Written
from curate.store.catalog import Catalog

LARGE, KEPT = 16, 64  # members of a set that is remembered while ids go by, and how many such sets are
_NAMESPACE = re.compile(r"[^\W\d_]+:(?=\S)")  # File:A.jpg; "Venus: a study" has none
_FACTS = {"description": "description", "captions": "description", "title": "title", "file_name": "file_name",
          "categories": "categories", "depicts": "depicts"}  # fmt: skip
_SPLIT = re.compile(r"[|;,\s]+")


class Mentions:
    """Reads what is written of samples. Memory is bounded by how many are asked about at once."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._large: OrderedDict[str, Written] = OrderedDict()

    def of(self, ids: Sequence[str]) -> list[Written]:
        """What is written of each, in their order."""
        collapse = dict(self._catalog.iterate_tuples(_COLLAPSE, (json.dumps(list(ids)),)))
        names = [collapse.get(one, one) for one in ids]
        found = {name: self._large[name] for name in names if name in self._large}
        sets: defaultdict[str, set[str]] = defaultdict(set)  # the members of each set that is not remembered
        for one, name in zip(ids, names, strict=True):
            if name not in found:
                sets[name].add(one)
        for one, name in self._catalog.iterate_tuples(_MEMBERS, (json.dumps(sorted(sets)),)):
            sets[name].add(one)
        found |= self._read(sets)
        for name in [name for name, members in sets.items() if len(members) >= LARGE]:
            self._large[name] = found[name]
        while len(self._large) > KEPT:
            self._large.popitem(last=False)
        return [found[name] for name in names]

    def _read(self, sets: Mapping[str, Iterable[str]]) -> dict[str, Written]:
        of = {one: name for name, members in sets.items() for one in members}
        said: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for sample, *row in self._catalog.iterate_tuples(_MENTIONED, (json.dumps(sorted(of)),)):
            one = said[of[sample]]
            for field, text in _texts(*row):
                one[field].add(text)
        return {name: _written(said.get(name, {})) for name in sets}


_COLLAPSE = "SELECT sample, collapse FROM members WHERE sample IN (SELECT value FROM json_each(?))"
_MEMBERS = "SELECT sample, collapse FROM members WHERE collapse IN (SELECT value FROM json_each(?))"
_MENTIONED = """
SELECT c.sample, c.kind, c.locator, c.host, m.ref, m.license, m.upstream, m.facts
FROM candidates c LEFT JOIN mentions m USING (candidate) WHERE c.sample IN (SELECT value FROM json_each(?))
"""


def _texts(
    kind: str, locator: str, host: str | None, ref: str | None, licence: str | None, upstream: str | None,
    facts: str | None,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """The texts of one mention, each with the field it belongs to."""
    known: Mapping[str, Any] = json.loads(facts) if facts else {}
    title = _NAMESPACE.sub("", (json.loads(upstream).get("title") if upstream else None) or "", count=1)
    yield "title", title
    yield "file_name", title.rpartition("/")[2] if "." in title else _last(kind, locator)  # of a wiki's file
    for fact, field in _FACTS.items():
        for text in _each(known.get(fact, ()), field):
            yield field, text
    yield from (pair for pair in (("host", host), ("license", licence), ("ref", ref)) if pair[1])  # type: ignore[misc]


def _last(kind: str, locator: str) -> str:
    """The last part of a path, or of a URL's."""
    if kind != "url":
        return locator.rpartition("/")[2]
    path = locator.partition("#")[0].partition("?")[0]
    return unquote(path.partition("://")[2].partition("/")[2].rpartition("/")[2])


def _each(value: str | Sequence[str], field: str) -> Iterable[str]:
    """The texts of a fact; a list of URLs has categories and depicted items in one cell."""
    if not isinstance(value, str):
        return value
    if field == "categories":
        return [one.strip() for one in re.split(r"[|;]", value)]
    return _SPLIT.split(value) if field == "depicts" else (value,)


def _written(said: Mapping[str, set[str]]) -> Written:
    def lines(field: str) -> str:
        return "\n".join(filter(None, (" ".join(one.split()) for one in sorted(said.get(field, ())))))

    def many(field: str) -> tuple[str, ...]:
        return tuple(filter(None, sorted(said.get(field, ()))))

    return Written(
        title=lines("title"), file_name=lines("file_name"), description=lines("description"),
        categories=many("categories"), depicts=many("depicts"), host=lines("host"), license=lines("license"),
        ref=lines("ref"),
    )  # fmt: skip
