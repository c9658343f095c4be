"""The provenance table of a release: every place that each of its samples was found at.

It is made of columns (`curate.store.columns`): of a million mentions Python sees only what may have to be redacted.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from curate.net.redact import SUSPECT_JSON, redacted
from curate.release.origins import MANY, clean, replaced
from curate.store import columns
from curate.store.columns import Scan
from curate.store.tables import GROUP, to_parquet

if TYPE_CHECKING:
    import sqlite3

    import numpy as np
    import pyarrow as pa

    from curate.store.catalog import Catalog

_OWN = {name: name for name in (
    "candidate", "kind", "locator", "fetched_at", "attempts", "http_status", "headers", "final_url", "hops", "robots",
    "hash_check", "gate", "may_depict_minors", "run",
)} | {"id": "sample", "retry_after": "iif(retry_after IS NULL, NULL, printf('%!.17g', retry_after))"}  # fmt: skip
_CERTAIN = ("candidate", "id", "kind", "locator", "attempts", "may_depict_minors")  # never null
_SAID = ("source", "ref", "facts")
_OF_SOURCES, _OF_RUNS = ("version", "listed_at"), ("tool", "screening")
_TEXT = (
    "id", "source", "version", "listed_at", "ref", "fetched_at", "headers", "robots", "hash_check", "gate", "screening",
    "tool", "run", "url", "final_url", "hops", "facts",
)  # fmt: skip
_NUMBERS = ("attempts", "http_status", "may_depict_minors")
_OTHERS = f"SELECT CAST(candidate AS TEXT), source, ref, facts FROM mentions WHERE candidate IN ({MANY})"  # noqa: S608


def provenance_of(catalog: "Catalog", released: "pa.Array") -> bytes:
    """A row for each mention of a released sample: what happened to be so when it was fetched. Not part of the hash.

    `released`: their ids, sorted. It reads by a connection of its own, and may run in a thread of its own.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    with catalog.reading() as db:
        own, rank = _candidates(db, released)
        said, place = _mentions(db, own["candidate"].to_numpy())
        sources, runs = _named(db, "sources", "source", _OF_SOURCES), _named(db, "runs", "run", _OF_RUNS)
    order = _order(own, said, place, rank[place])
    own["url"] = pc.if_else(pc.equal(own["kind"], "url"), own["locator"], None)
    at, mention = pa.array(place[order]), pa.array(order)
    rows: dict[str, tuple[pa.Array, pa.Array]] = {name: (column, at) for name, column in own.items()}
    rows |= {name: (column, mention) for name, column in said.items()}
    for key, known in (("source", sources), ("run", runs)):
        values, places = rows[key]
        where = pc.index_in(values, value_set=known.pop(key), skip_nulls=True).take(places)
        rows |= {name: (column, where) for name, column in known.items()}
    kinds = dict.fromkeys(_TEXT, pa.string()) | dict.fromkeys(_NUMBERS, pa.int64()) | {"retry_after": pa.float64()}
    return to_parquet(pa.table({name: _column(*rows[name], kind, _CLEANED.get(name)) for name, kind in kinds.items()}))


def _candidates(db: "sqlite3.Connection", released: "pa.Array") -> "tuple[dict[str, pa.Array], np.ndarray]":
    """Where released samples were found, by candidate; and the places of these samples among the released, int64[n]."""
    import pyarrow as pa

    where, nullable = (("sample IS NOT NULL", ()),), [name for name in _OWN if name not in _CERTAIN]
    scan = Scan(_OWN, "candidates", "candidate", "", where, ("candidate", *_NUMBERS), nullable, mixed=True)
    found = columns.read(db, scan)
    rank = columns.rows(found["id"], released)
    if (there := rank >= 0).all():
        return found, rank
    return {name: column.filter(pa.array(there)) for name, column in found.items()}, rank[there]


def _mentions(db: "sqlite3.Connection", candidates: "np.ndarray") -> "tuple[dict[str, pa.Array], np.ndarray]":
    """Every mention of these candidates, which are sorted, and which of them it is of, int64[n]."""
    import numpy as np
    import pyarrow as pa

    names = ("candidate", *_SAID)
    scan = Scan({name: name for name in names}, "mentions", "candidate", "candidate, source, ref",
                numbers=("candidate",), nullable=("facts",), mixed=True)  # fmt: skip
    found = columns.first(columns.read(db, scan, among=candidates), "candidate")
    others = dict(zip(names, columns.gathered(db.execute(_OTHERS), len(names)), strict=True))
    numbers = others["candidate"].cast(pa.int64()).to_numpy()
    single = ~np.isin(found["candidate"].to_numpy(), numbers)
    asked = np.isin(numbers, candidates)
    place = np.searchsorted(candidates, np.append(found["candidate"].to_numpy()[single], numbers[asked]))
    alone, several = pa.array(single), pa.array(asked)
    said = {name: pa.concat_arrays([found[name].filter(alone), others[name].filter(several)]) for name in _SAID}
    return said, place


def _named(db: "sqlite3.Connection", table: str, key: str, names: tuple[str, ...]) -> "dict[str, pa.Array]":
    scan = Scan({name: name for name in (key, *names)}, table, key, nullable=names, mixed=True)
    return columns.read(db, scan)


def _order(
    own: "dict[str, pa.Array]", said: "dict[str, pa.Array]", place: "np.ndarray", rank: "np.ndarray"
) -> "np.ndarray":
    """Mentions by sample, then by kind, locator, source and ref: most samples have one, and nothing to sort."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    order = np.argsort(rank, kind="stable")
    same = rank[order][1:] == rank[order][:-1]
    tied = np.append(same, False) | np.append(False, same) if len(order) else np.zeros(0, dtype=bool)
    some = order[tied]
    at = pa.array(place[some])
    keys = {"rank": pa.array(rank[some])} | {name: own[name].take(at) for name in ("kind", "locator")}
    keys |= {name: said[name].take(pa.array(some)) for name in ("source", "ref")}
    sorted_ = pc.sort_indices(pa.table(keys), sort_keys=[(name, "ascending") for name in keys])
    order[tied] = some[sorted_.to_numpy()]
    return order


def _column(
    values: "pa.Array", places: "pa.Array", kind: "pa.DataType", cleaned: "Callable[[pa.Array], pa.Array] | None"
) -> "pa.ChunkedArray":
    """The values at these places, a row group at a time, without what lets anybody in."""
    import pyarrow as pa

    parts = (values.take(places.slice(at, GROUP)) for at in range(0, len(places), GROUP))
    return pa.chunked_array([(cleaned(part) if cleaned else part).cast(kind) for part in parts], kind)


def _within(column: "pa.Array") -> "pa.Array":
    return replaced(column, SUSPECT_JSON, redacted)


_CLEANED = {"ref": clean, "url": clean, "final_url": clean, "hops": _within, "facts": _within}
