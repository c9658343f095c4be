"""Where samples were found first: by the candidate that was listed first, and the first mention of it."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from curate.report.where import Comparison
from curate.store import columns
from curate.store.catalog import Catalog
from curate.store.columns import Scan

if TYPE_CHECKING:
    import sqlite3

    import numpy as np
    import pyarrow as pa

Columns: TypeAlias = "dict[str, pa.Array]"
COLUMNS = ("url", "license", "attribution", "source", "ref")
_HOLDS = "holds"  # begins the name of a column that says whether something that was asked is so


def read(
    catalog: Catalog, names: Collection[str], asked: Sequence[Comparison], ids: "pa.Array | None" = None
) -> Columns:
    """`candidate`, `sample`, those of COLUMNS that are named, and whether what is `asked` is so, a row for each
    candidate that is a stored sample, in their order; `ids`: of these samples alone, a few.

    It reads by a connection of its own, and may run in a thread of its own.
    """
    needed = {*names, *(one.column for one in asked)}
    said = {f"{_HOLDS}{n}": one for n, one in enumerate(asked)}
    with catalog.reading() as db:
        found = _candidates(db, {"url": "locator"} if "url" in names else {}, said, ids)
        if needed - {"url"}:
            found |= _mentions(db, found["candidate"], [name for name in COLUMNS[1:] if name in names], said, bool(ids))
            found |= _plugins(db, found["source"], said)
    return found


def joined(found: Columns, ids: "pa.Array", names: Collection[str]) -> "tuple[Columns, np.ndarray | None]":
    """The named COLUMNS with a row for each of `ids`, by its first candidate, null where it has none; and bool[n],
    whether all that was asked is so (None: nothing was)."""
    import numpy as np
    import pyarrow as pa

    samples, at = columns.rows(found["sample"], ids), np.full(len(ids), -1)
    back = np.flatnonzero(samples >= 0)[::-1]  # the first candidate of a sample is written last
    at[samples[back]] = back
    places = pa.array(at, mask=at < 0)
    held = [found[name].take(places).fill_null(0).to_numpy() == 1 for name in found if name.startswith(_HOLDS)]
    return {name: found[name].take(places) for name in names}, np.all(held, axis=0) if held else None


def _candidates(
    db: "sqlite3.Connection", own: Mapping[str, str], said: Mapping[str, Comparison], ids: "pa.Array | None"
) -> Columns:
    sql = {"candidate": "candidate", "sample": "sample", **own, **_sql(said, {"url": "locator"})}
    numbers = ("candidate", *said)
    if ids is None:
        where = (("sample IS NOT NULL", ()),)
        return columns.read(db, Scan(sql, "candidates", "candidate", where=where, numbers=numbers))
    few = (("sample IN (SELECT value FROM json_each(?))", (json.dumps(ids.to_pylist()),)),)
    by_sample = "candidates INDEXED BY candidates_sample"
    return columns.read(db, Scan(sql, by_sample, "candidate", where=few, numbers=numbers, few=True))


def _mentions(
    db: "sqlite3.Connection", candidates: "pa.Array", names: Sequence[str], said: Mapping[str, Comparison], few: bool
) -> Columns:
    own = {name: name for name in (*names, "source")}
    sql = {"candidate": "candidate", **own, **_sql(said, {name: name for name in ("license", "attribution", "ref")})}
    where = (("candidate IN (SELECT value FROM json_each(?))", (json.dumps(candidates.to_pylist()),)),) if few else ()
    scan = Scan(sql, "mentions", "candidate", "candidate, source, ref", where, ("candidate", *said),
                ("license", "attribution", *said), mixed=True, few=few)  # fmt: skip
    found = columns.read(db, scan, among=candidates.to_numpy())
    return columns.align(columns.first(found, "candidate"), "candidate", candidates)


def _plugins(db: "sqlite3.Connection", sources: "pa.Array", said: Mapping[str, Comparison]) -> Columns:
    """The plug-in of each source, and what is asked of it."""
    import pyarrow.compute as pc

    asked = _sql(said, {"source": "plugin"})
    scan = Scan({"source": "source", "plugin": "plugin", **asked}, "sources", "source", numbers=tuple(asked))
    known = columns.read(db, scan)
    at = pc.index_in(sources, value_set=known["source"], skip_nulls=True)
    return {"source": known["plugin"].take(at)} | {name: known[name].take(at) for name in asked}


def _sql(said: Mapping[str, Comparison], known: Mapping[str, str]) -> dict[str, str]:
    return {name: f"({one.sql(known[one.column])})" for name, one in said.items() if one.column in known}
