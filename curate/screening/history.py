"""How often each entry of a list has matched, over all runs: what tells a list that finds something from one that errs.

An entry is known by its list and a keyed digest of its hash, so that the counts outlive a list that is sorted anew, and
say nothing of what is listed to anybody who lacks the list.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from curate.screening.listed import Match
from curate.store.catalog import Catalog, now

SCREENED = "screened"  # the catalog's note of how many items passed the gate, and how


@dataclass(frozen=True, slots=True)
class Hit:
    """One item that matched: its sha256, its candidate, what was known of it (`media`, `sealed`, `expires`)."""

    match: Match
    sample: str
    candidate: int | None
    known: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """What an entry has matched: how many times, how many different files, from how many sources; bits, and quality."""

    list: str
    key: str
    name: str
    matches: int
    items: int
    sources: int
    distance: tuple[int, int]
    quality: tuple[int, int] | None
    first: str
    last: str

    def said(self) -> dict[str, Any]:
        """As messages have it."""
        known: dict[str, Any] = {"matches": self.matches, "items": self.items, "sources": self.sources}
        known |= {"distance": list(self.distance), "quality": list(self.quality) if self.quality else None}
        return known | {"first": self.first, "last": self.last}


def screened(catalog: Catalog) -> Mapping[str, int]:
    """How many items passed the gate so far, and how."""
    found: Mapping[str, int] = json.loads(catalog.get(SCREENED) or "{}")
    return found


def matched(catalog: Catalog) -> int:
    """How many different files ever matched, at a fetch or in a rescan."""
    sql = """
    SELECT count(*) FROM (
        SELECT digest FROM incidents WHERE kind IN ('match', 'rescan') UNION SELECT digest FROM matches)
    """
    return int(catalog.scalar(sql))


def key(catalog: Catalog, match: Match) -> tuple[str, str]:
    """An entry's list and keyed digest; what a remote matcher names is known by its name."""
    return match.origin or match.list, digest(catalog, match.value or match.entry)


def digest(catalog: Catalog, value: str) -> str:
    """The keyed digest of a listed hash (lower-case hex)."""
    return catalog.digest("entry", value)


def record(catalog: Catalog, db: sqlite3.Connection, incident: int, hit: Hit) -> None:
    """Count a match, inside a transaction that is open."""
    match, known = hit.match, hit.known
    sql = "SELECT min(source) FROM mentions WHERE candidate = ?"
    source = db.execute(sql, (hit.candidate,)).fetchone()[0]
    row: list[object] = [now(), catalog.run, incident, *key(catalog, match), match.entry]
    row += [catalog.digest("sha256", hit.sample), hit.candidate, source, match.part, match.distance, match.quality]
    row += [known.get(name) for name in ("media", "sealed", "expires")]
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO matches ({_COLUMNS}) VALUES ({marks})", row)  # noqa: S608 (constants)


_COLUMNS = (
    "at, run, incident, list, entry, name, digest, candidate, source, part, distance, quality, media, sealed, expires"
)


def known(catalog: Catalog, db: sqlite3.Connection, match: Match) -> int | None:
    """The incident of an entry that has matched before, where the gate holds and goes on; None where there is none.

    One that somebody has decided about is not added to: what comes later is another matter. What a remote matcher names
    is no entry, but a bank of them.
    """
    if not match.value:
        return None
    found = db.execute(_OPEN, key(catalog, match)).fetchone()[0]
    return None if found is None else int(found)


_OPEN = """
SELECT max(incident) FROM matches JOIN incidents USING (incident)
WHERE matches.list = ? AND matches.entry = ? AND state = 'open' AND kind = 'match'
    AND json_extract(incidents.detail, '$.decided') IS NULL
"""


def entries(catalog: Catalog, incident: int | None = None) -> list[Entry]:
    """Every entry that ever matched, the most files first; with `incident` those that it is about."""
    about = "WHERE (list, entry) IN (SELECT list, entry FROM matches WHERE incident = ?)" if incident else ""
    sql = _ENTRIES.format(about=about)
    return [_entry(row) for row in catalog.all(sql, (incident,) if incident else ())]


def entry_of(catalog: Catalog, list_: str, value: str) -> Entry | None:
    """What one hash of a list has matched."""
    sql = _ENTRIES.format(about="WHERE list = ? AND entry = ?")
    return next(map(_entry, catalog.all(sql, (list_, digest(catalog, value)))), None)


def _entry(row: sqlite3.Row) -> Entry:
    quality = None if row["low"] is None else (row["low"], row["high"])
    counts = (row["matches"], row["items"], row["sources"])
    near = (row["near"], row["far"])
    return Entry(row["list"], row["entry"], row["name"], *counts, near, quality, row["first"], row["last"])


_ENTRIES = """
SELECT list, entry, max(name) AS name, count(*) AS matches, count(DISTINCT digest) AS items,
    count(DISTINCT source) AS sources, min(distance) AS near, max(distance) AS far,
    min(quality) AS low, max(quality) AS high, min(at) AS first, max(at) AS last
FROM matches {about} GROUP BY list, entry ORDER BY items DESC, list, entry
"""
