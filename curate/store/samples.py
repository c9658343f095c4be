"""Stored samples: their columns, what sources declare of them, and which may show minors."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.records import Sample
from curate.store import columns
from curate.store.catalog import Catalog, Row
from curate.store.taxonomies import renamed

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SAMPLE_COLUMNS = "id, sha1, md5, bytes, media_type, width, height, frames, parent, at_ms"
NUMBERS, EMPTY = ("bytes", "width", "height", "frames", "at_ms"), ("parent", "at_ms")  # those that may be null
_DECLARED = "declared d CROSS JOIN candidates c USING (candidate)"


def sample(row: Row) -> Sample:
    """A sample from its row."""
    return Sample(*(row[name] for name in SAMPLE_COLUMNS.split(", ")))


def minors(catalog: Catalog) -> set[str]:
    """Every sample whose own words, or those of its near-duplicates, suggest that it shows minors.

    Never a positive: a label that is not safe keeps it out of a release. Never shown beside what is not safe.
    """
    marked = {row[0] for row in catalog.all(_MARKED)}
    return marked | {row[0] for row in catalog.all(_MARKED_GROUPS)} if marked else marked


_MARKED = "SELECT DISTINCT sample FROM candidates WHERE may_depict_minors AND sample IS NOT NULL"
_MARKED_GROUPS = f"""
SELECT sample FROM members WHERE grp IN (SELECT grp FROM members WHERE sample IN ({_MARKED}))
"""  # noqa: S608


FEW = 50_000  # samples that are asked for by their ids; of more, all are read


def some(sql: str, where: str, ids: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """A query and its parameters; of few samples alone, where it has {}: `where` names the column."""
    if len(ids) > FEW:
        return sql.format(""), ()
    return sql.format(f"{where} IN (SELECT value FROM json_each(?))"), (json.dumps(list(ids)),)  # noqa: S608


def declared(
    catalog: Catalog, axis: str, ids: Sequence[str] | None = None, taxonomy: str | None = None
) -> dict[str, tuple[str, ...]]:
    """The classes that sources declare for each sample, sorted, each once; of some samples, where they are few.

    `taxonomy`: a class of an earlier version is what a mapping made of it, where that is one class.
    """
    now = {} if taxonomy is None else renamed(catalog, axis, taxonomy)
    found: defaultdict[str, set[str]] = defaultdict(set)
    sql = (
        "SELECT DISTINCT c.sample, d.label FROM declared d JOIN candidates c USING (candidate)"
        " WHERE d.axis = ? AND c.sample IS NOT NULL {}"
    )
    asked, params = (sql.format(""), ()) if ids is None else some(sql, "AND c.sample", ids)
    for name, label in catalog.iterate(asked, (axis, *params)):
        found[name].add(_meant(label, now))
    return {name: tuple(sorted(labels)) for name, labels in found.items()}


def stored(catalog: Catalog, names: Sequence[str], ids: "pa.Array") -> "dict[str, pa.Array]":
    """Columns of the table of samples by name, a row for each of `ids`: text, or whole numbers."""
    scan = columns.Scan(
        {name: name for name in ("id", *names)},
        "samples",
        "id",
        where=_among("id", ids),
        numbers=NUMBERS,
        nullable=EMPTY,
        few=len(ids) <= FEW,
    )
    with catalog.reading() as db:
        found = columns.align(columns.read(db, scan), "id", ids)
    return {name: found[name] for name in names}


def first_urls(catalog: Catalog, ids: "pa.Array") -> "pa.Array":
    """Where each of these samples, which are there once, was found: of several URLs the first by its letters, null
    where there is none."""
    import numpy as np
    import pyarrow as pa

    where = (("+kind = 'url'", ()), ("sample IS NOT NULL", ()), *_among("sample", ids))  # +: not by its index
    each = {"candidate": "candidate", "sample": "sample", "url": "locator"}
    scan = columns.Scan(each, "candidates", "candidate", "", where, ("candidate",), few=len(ids) <= FEW)
    with catalog.reading() as db:
        found = columns.read(db, scan)
    at = columns.rows(found["sample"], ids)
    known = np.flatnonzero(at >= 0)
    first = np.full(len(ids), -1)
    first[at[known]] = known
    several = known[np.bincount(at[known], minlength=len(ids))[at[known]] > 1]
    urls = zip(found["url"].take(several).to_pylist(), at[several].tolist(), several.tolist(), strict=True)
    for _, row, one in sorted(urls, reverse=True):
        first[row] = one
    return found["url"].take(pa.array(first, mask=first < 0))


def _meant(label: str, now: Mapping[str, Sequence[str]]) -> str:
    return now[label][0] if len(now.get(label, ())) == 1 else label


def declared_of(catalog: Catalog, axis: str, ids: "pa.Array", taxonomy: str) -> list[tuple[str, ...]]:
    """The classes that sources declare for each of these samples, which are there once: `declared`, in their order."""
    import numpy as np

    where = (("d.axis = ?", (axis,)), ("c.sample IS NOT NULL", ()), *_among("c.sample", ids))
    each = {"candidate": "candidate", "sample": "c.sample", "label": "d.label"}
    scan = columns.Scan(each, _DECLARED, "candidate", "", where, ("candidate",), few=len(ids) <= FEW, keys="declared")
    with catalog.reading() as db:
        found = columns.read(db, scan)
    at, labels = columns.rows(found["sample"], ids), found["label"].dictionary_encode()
    now = renamed(catalog, axis, taxonomy)
    meant = [_meant(one, now) for one in labels.dictionary.to_pylist()]
    names, codes = np.unique(np.array(meant, dtype=str), return_inverse=True)
    k = max(len(names), 1)
    pairs = np.unique((at * k + codes[labels.indices.to_numpy()])[at >= 0])
    declared: list[tuple[str, ...]] = [()] * len(ids)
    for row, code in zip(*(one.tolist() for one in divmod(pairs, k)), strict=True):
        declared[row] += (str(names[code]),)
    return declared


def declared_classes(catalog: Catalog, axis: str, taxonomy: str) -> set[str]:
    """Every class that a source declares for some sample, as `declared` has it."""
    now = renamed(catalog, axis, taxonomy)
    sql = f"SELECT DISTINCT d.label FROM {_DECLARED} WHERE d.axis = ? AND c.sample IS NOT NULL"  # noqa: S608 (a constant)
    return {_meant(row[0], now) for row in catalog.iterate_tuples(sql, (axis,))}


def _among(column: str, ids: "pa.Array") -> Sequence[tuple[str, Sequence[str]]]:
    """That a column is one of these ids; nothing where they are many."""
    if len(ids) > FEW:
        return ()
    return ((f"{column} IN (SELECT value FROM json_each(?))", (json.dumps(ids.to_pylist()),)),)  # noqa: S608


def declared_other(catalog: Catalog, axis: str, than: Sequence[str]) -> "pa.Array":
    """The samples of which a source declares a class that is none of these, large_string, some of them twice."""
    marks = ", ".join("?" * len(than))
    where = (("d.axis = ?", (axis,)), (f"d.label NOT IN ({marks})", than), ("c.sample IS NOT NULL", ()))
    each = {"candidate": "candidate", "sample": "c.sample"}
    scan = columns.Scan(each, _DECLARED, "candidate", "", where, ("candidate",), keys="declared")
    with catalog.reading() as db:
        return columns.read(db, scan)["sample"]


def disputed(catalog: Catalog, axis: str) -> set[str]:
    """The samples about which, or about whose look-alikes, sources contradict each other."""
    return {row[0] for row in catalog.all("SELECT sample FROM disputed WHERE axis = ?", (axis,))}


@dataclass(frozen=True)
class Sets:
    """The samples of the catalog, n of them by id: `ids` large_string[n], `place` int64[n] the same number for all of
    a collapse set. Before dedupe each is a set by itself."""

    ids: "pa.Array"
    place: "np.ndarray"

    @classmethod
    def of(cls, ids: "pa.Array", collapse: "pa.Array") -> "Sets":
        """From what each collapses with; null or empty: nothing but itself."""
        import numpy as np
        import pyarrow.compute as pc

        place = np.arange(len(ids))
        others = np.flatnonzero(pc.greater(pc.binary_length(collapse.fill_null("")), 0))
        names = collapse.take(others)
        at = columns.rows(names, ids)
        beyond = pc.dictionary_encode(names).indices.to_numpy() + len(ids)  # a set's name that is no sample's
        place[others] = np.where(at >= 0, at, beyond)
        return cls(ids, place)

    def rows(self, ids: "pa.Array | Sequence[str]") -> "np.ndarray":
        """int64, where each of these ids is; -1: nowhere."""
        return columns.rows(columns.texts(ids), self.ids)


def collapse_sets(catalog: Catalog) -> Sets:
    """Of every stored sample."""
    with catalog.reading() as db:
        ids = columns.read(db, columns.Scan({"id": "id"}, "samples", "id"))["id"]
        members = columns.read(db, columns.Scan({"sample": "sample", "collapse": OTHER_SET}, "members", "sample"))
    return Sets.of(ids, columns.align(members, "sample", ids)["collapse"])


OTHER_SET = "CASE collapse WHEN sample THEN '' ELSE collapse END"  # nothing where it bears the sample's own name
