"""Stored samples: their columns, what sources declare of them, and which may show minors."""

import json
from collections import defaultdict
from collections.abc import Sequence

from curate.records import Sample
from curate.store.catalog import Catalog, Row

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


def declared(catalog: Catalog, axis: str, ids: Sequence[str] | None = None) -> dict[str, tuple[str, ...]]:
    """The classes that sources declare for each sample, sorted, each once; of some samples, where they are few."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    sql = (
        "SELECT DISTINCT c.sample, d.label FROM declared d JOIN candidates c USING (candidate)"
        " WHERE d.axis = ? AND c.sample IS NOT NULL {}"
    )
    asked, params = (sql.format(""), ()) if ids is None else some(sql, "AND c.sample", ids)
    for name, label in catalog.iterate(asked, (axis, *params)):
        found[name].add(label)
    return {name: tuple(sorted(labels)) for name, labels in found.items()}


def disputed(catalog: Catalog, axis: str) -> set[str]:
    """The samples about which, or about whose look-alikes, sources contradict each other."""
    return {row[0] for row in catalog.all("SELECT sample FROM disputed WHERE axis = ?", (axis,))}
