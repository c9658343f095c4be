"""Sources that are on record under another name, and who answers for each.

A source is named after what it lists. Why that is fetched, and who answers for it, is said of it and may change: until
it was told apart, each approval made another source of the same list.
"""

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from curate.contracts import Source
from curate.fetch.listing import APPROVAL, source_id, unapproved
from curate.fingerprint import canonical
from curate.plugins import kind_of, name_of, options_of
from curate.records import LATER
from curate.store.catalog import CONFIGURED

if TYPE_CHECKING:
    from curate.store.catalog import Catalog

PLANNED = "planned"  # the name of a fact: the sources that a plan listed and no fetch was told to ask, as JSON
_NAMING = ("mentions", "declared", "given", "notes", "taken_out", "approvals")  # parents first
_KEPT = ("notes", "taken_out", "approvals", "mentions")  # what is left of these under the former name goes


def known_again(catalog: "Catalog", sources: Sequence[Source]) -> None:
    """Make one source of all that are on record for what each of these lists, by whatever approvals."""
    for source in sources:
        name, listed = source_id(source), _listed(source, options_of(source))
        rows = catalog.all(_SAME, (kind_of(source), name, f"{name_of(source)}:*"))
        for row in rows:
            options = json.loads(row["options"])
            if _listed(source, options) != listed:
                continue
            with catalog.tx() as db:
                db.execute(_INSERT, (name, row["source"]))
                _approved(db, name, options)
                merge(db, row["source"], name)


_SAME = "SELECT source, options FROM sources WHERE plugin = ? AND source <> ? AND source GLOB ? ORDER BY listed_at DESC"
_INSERT = """
INSERT OR IGNORE INTO sources (source, plugin, options, cursor, listed, stamp, version, listed_at)
SELECT ?, plugin, options, cursor, listed, stamp, version, listed_at FROM sources WHERE source = ?
"""


def _listed(source: Source, options: Mapping[str, Any]) -> str:
    """What a source lists by its options, whoever approved it, and whichever options there were when it was listed."""
    later: dict[str, Any] = {one.name: one.default for one in fields(source) if one.metadata.get(LATER)}  # type: ignore[arg-type]
    return canonical(unapproved({**later, **options}))


def merge(db: sqlite3.Connection, former: str, name: str) -> None:
    """Have all that is on record of one source be of another, which is on record, inside a transaction; what both name
    stays once. What a list of it holds back stays held."""
    db.execute("PRAGMA defer_foreign_keys = ON")
    for table in _NAMING:
        db.execute(f"UPDATE OR IGNORE {table} SET source = ? WHERE source = ?", (name, former))  # noqa: S608 (constants)
    for table in _KEPT:
        db.execute(f"DELETE FROM {table} WHERE source = ?", (former,))  # noqa: S608
    db.execute(_HELD, (name, former))
    db.execute(_HELD_BY_FORMER, (former,))
    db.execute("DELETE FROM sources WHERE source = ?", (former,))
    named = db.execute("SELECT value FROM meta WHERE key = ?", (CONFIGURED,)).fetchone()
    if named is not None:
        names = canonical(sorted({name if one == former else one for one in json.loads(named[0])}))
        db.execute("UPDATE meta SET value = ? WHERE key = ?", (names, CONFIGURED))


_HELD = """
INSERT OR IGNORE INTO quarantine (kind, subject, incident, reason, at)
SELECT kind, ?1 || substr(subject, length(?2) + 1), incident, reason, at FROM quarantine
WHERE kind = 'list' AND substr(subject, 1, length(?2) + 1) = ?2 || ' '
"""


_HELD_BY_FORMER = "DELETE FROM quarantine WHERE kind = 'list' AND substr(subject, 1, length(?1) + 1) = ?1 || ' '"


def approve(catalog: "Catalog", sources: Sequence[Source]) -> None:
    """Put on record why these are fetched, and who answers for it, as it is said now; what was said before stays."""
    for source in sources:
        options, name = options_of(source), source_id(source)
        if all(options.get(one) is None for one in APPROVAL):
            continue
        with catalog.tx() as db:
            row = (name, kind_of(source), canonical(options))
            db.execute("INSERT OR IGNORE INTO sources (source, plugin, options) VALUES (?, ?, ?)", row)
            before = db.execute("SELECT options FROM sources WHERE source = ?", (name,)).fetchone()[0]
            _approved(db, name, json.loads(before))
            _approved(db, name, options)
            db.execute("UPDATE sources SET options = ? WHERE source = ?", (canonical(options), name))


def _approved(db: sqlite3.Connection, name: str, options: Mapping[str, Any]) -> None:
    reason, by = (options.get(one) for one in APPROVAL)
    if by is not None:
        db.execute("INSERT OR IGNORE INTO approvals VALUES (?, ?, ?)", (name, reason or "", by))


def forget_planned(catalog: "Catalog", names: Collection[str], keep: bool = False) -> None:
    """Forget the sources that a plan alone listed and that are not among `names`: nothing of them was ever asked for.

    `keep`: it is a plan that asks; what it lists that is not on record yet is its own.
    """
    planned = set(json.loads(catalog.get(PLANNED) or "[]"))
    known = {row[0] for row in catalog.all("SELECT source FROM sources")}
    with catalog.tx() as db:
        for name in sorted((planned & known) - {*names}):
            rows = db.execute("SELECT DISTINCT candidate FROM mentions WHERE source = ?", (name,)).fetchall()
            for table in (*_KEPT, "sources"):
                db.execute(f"DELETE FROM {table} WHERE source = ?", (name,))  # noqa: S608 (constants)
            db.executemany(_UNNAMED, rows)
        left = sorted((planned & {*names}) | ({*names} - known)) if keep else []
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (PLANNED, canonical(left)))


_UNNAMED = """
DELETE FROM candidates WHERE candidate = ?1 AND sample IS NULL AND fetched_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM mentions WHERE candidate = ?1)
"""
