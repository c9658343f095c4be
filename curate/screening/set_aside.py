"""Hashes of lists that the operator set aside, with a reason: they match nothing until they are restored.

What is set aside is a hash of one list, by its value: it holds whatever else becomes of the list's file, for no other
list, and wherever the list stands in curate.toml.
"""

import hashlib
import sqlite3
from collections import defaultdict
from dataclasses import dataclass

from curate.screening import history
from curate.store.catalog import Catalog, now


@dataclass(frozen=True, slots=True)
class Aside:
    """One hash of one list (as curate.toml has it) that is set aside: its name there, why, by whom, since when."""

    list: str
    value: str
    name: str
    reason: str
    by: str
    at: str


def in_force(catalog: Catalog) -> list[Aside]:
    """All that is set aside."""
    sql = "SELECT list, value, name, reason, by, at FROM set_aside WHERE ended_at IS NULL ORDER BY list, value"
    return [Aside(*row) for row in catalog.all(sql)]


def values(catalog: Catalog) -> dict[str, frozenset[str]]:
    """The hashes that are set aside, by list."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one in in_force(catalog):
        found[one.list].add(one.value)
    return {name: frozenset(some) for name, some in found.items()}


def add(catalog: Catalog, db: sqlite3.Connection, one: Aside) -> None:
    """Set a hash aside, inside a transaction that is open; the log has who and when, and no hash."""
    sql = "INSERT INTO set_aside (list, value, name, reason, by, at, run) VALUES (?, ?, ?, ?, ?, ?, ?)"
    db.execute(sql, (one.list, one.value, one.name, one.reason, one.by, one.at, catalog.run))
    catalog.append(db, "set_aside", None, _logged(catalog, one, one.by))


def restore(catalog: Catalog, db: sqlite3.Connection, one: Aside, by: str, reason: str) -> None:
    """Let a hash match again, inside a transaction that is open."""
    sql = (
        "UPDATE set_aside SET ended_at = ?, ended_by = ?, ended_reason = ?"
        " WHERE list = ? AND value = ? AND ended_at IS NULL"
    )
    db.execute(sql, (now(), by, reason, one.list, one.value))
    catalog.append(db, "restore", None, _logged(catalog, one, by))


def _logged(catalog: Catalog, one: Aside, by: str) -> dict[str, str]:
    return {"list": one.list, "entry": history.digest(catalog, one.value), "by": by}


def has(catalog: Catalog, list_: str, entry: str) -> bool:
    """Whether an entry that matched is set aside, by its list and its keyed digest."""
    return any(one.list == list_ and history.digest(catalog, one.value) == entry for one in in_force(catalog))


def summary(catalog: Catalog) -> dict[str, object] | None:
    """What a release says: how many hashes of how many lists were set aside, and a digest of them; None for none.

    Whoever has the lists can tell from it which ones; nobody else can tell anything.
    """
    found = in_force(catalog)
    if not found:
        return None
    text = "".join(f"{value}\n" for value in sorted(one.value for one in found))
    return {
        "hashes": len(found),
        "lists": len({one.list for one in found}),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
