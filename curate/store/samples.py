"""Stored samples: their columns, what sources declare of them, and which may show minors."""

import json
from collections import defaultdict
from collections.abc import Sequence
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
        found[name].add(now[label][0] if len(now.get(label, ())) == 1 else label)
    return {name: tuple(sorted(labels)) for name, labels in found.items()}


def declared_other(catalog: Catalog, axis: str, than: Sequence[str]) -> "pa.Array":
    """The samples of which a source declares a class that is none of these, large_string, some of them twice."""
    marks = ", ".join("?" * len(than))
    where = (("d.axis = ?", (axis,)), (f"d.label NOT IN ({marks})", than), ("c.sample IS NOT NULL", ()))
    source = "declared d CROSS JOIN candidates c USING (candidate)"
    with catalog.reading() as db:
        return columns.read(db, columns.Scan({"sample": "c.sample"}, source, "d.candidate", where=where))["sample"]


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
        import pyarrow as pa

        return columns.rows(ids if isinstance(ids, pa.Array) else pa.array(ids, pa.large_string()), self.ids)


def collapse_sets(catalog: Catalog) -> Sets:
    """Of every stored sample."""
    with catalog.reading() as db:
        ids = columns.read(db, columns.Scan({"id": "id"}, "samples", "id"))["id"]
        members = columns.read(db, columns.Scan({"sample": "sample", "collapse": OTHER_SET}, "members", "sample"))
    return Sets.of(ids, columns.align(members, "sample", ids)["collapse"])


OTHER_SET = "CASE collapse WHEN sample THEN '' ELSE collapse END"  # nothing where it bears the sample's own name
