"""Samples whose bytes are gone, or of which nobody knows where they came from: held back until both are there again."""

import os
from collections.abc import Collection, Iterator
from typing import Any

from curate.store.catalog import Catalog, now
from curate.store.workspace import Workspace

BYTES, ORIGIN = "bytes_lost", "origin_lost"  # reasons of `withheld`
FOUND, ASKED = "found missing", "asked for again"  # its detail


def note(ws: Workspace) -> dict[str, Any]:
    """Hold back every sample whose bytes are not in the store, or not as many as they were; the facts of a verb on it.

    The answer is incomplete as long as `curate verify --repair` was not told to ask for them again.
    """
    rows = dict(ws.catalog.iterate_tuples("SELECT id, bytes FROM samples"))
    for name, size in _sizes(ws):
        if rows.get(name) == size:
            del rows[name]
    gone = rows.keys()
    with ws.catalog.tx() as db:
        known = {row[0]: row[1] for row in db.execute("SELECT sample, detail FROM withheld WHERE reason = ?", (BYTES,))}
        fresh, back = gone - known.keys(), {one for one, why in known.items() if why == FOUND} - gone
        db.executemany("DELETE FROM withheld WHERE sample = ? AND reason = ?", ((one, BYTES) for one in back))
        found = ((one, BYTES, FOUND, now(), ws.catalog.run) for one in sorted(fresh))
        db.executemany("INSERT INTO withheld (sample, reason, detail, at, run) VALUES (?, ?, ?, ?, ?)", found)
    count = len(fresh) + sum(known[one] == FOUND for one in gone & known.keys())
    if not count:
        return {}
    why = f"{count:,} samples have lost their bytes, and are left out; `curate verify --repair` asks for them again"
    return {"lost": count, "incomplete": why}


def given_up(catalog: Catalog) -> set[str]:
    """The samples that were asked for again, and are not back."""
    sql = "SELECT sample FROM withheld WHERE reason = ? AND detail = ?"
    return {row[0] for row in catalog.all(sql, (BYTES, ASKED))}


def reopen(ws: Workspace, samples: Collection[str]) -> int:
    """Have the next fetch ask for these again; what is left of their bytes stays until they come. How many it can ask
    for."""
    asked = 0
    for one in sorted(samples):
        with ws.catalog.tx() as db:
            sql = "UPDATE candidates SET state = 'pending', reason = NULL, detail = NULL WHERE sample = ?"
            again = db.execute(sql, (one,)).rowcount
            row = (one, BYTES, ASKED, now(), ws.catalog.run)
            db.execute("INSERT OR REPLACE INTO withheld (sample, reason, detail, at, run) VALUES (?, ?, ?, ?, ?)", row)
            ws.catalog.append(db, "reopen", one, {"candidates": again})
        asked += again > 0
    return asked


def missed(catalog: Catalog) -> set[str]:
    """The samples whose bytes are to be written anew where they come again."""
    return {row[0] for row in catalog.all("SELECT sample FROM withheld WHERE reason = ?", (BYTES,))}


def found_again(ws: Workspace) -> None:
    """Let go of samples whose bytes are back, and of those that a source names again."""
    if ws.catalog.scalar("SELECT 1 FROM withheld WHERE reason IN (?, ?) LIMIT 1", (BYTES, ORIGIN)) is None:
        return
    rows = ws.catalog.all(_BACK, (BYTES,))
    back = [row[0] for row in rows if ws.blobs.path(row[0]).exists()]
    with ws.catalog.tx() as db:
        db.executemany("DELETE FROM withheld WHERE sample = ? AND reason = ?", ((one, BYTES) for one in back))
        db.execute(_NAMED, (ORIGIN,))


_BACK = """
SELECT w.sample FROM withheld w WHERE w.reason = ?
    AND EXISTS (SELECT 1 FROM candidates c WHERE c.sample = w.sample AND c.state = 'stored')
"""
_NAMED = """
DELETE FROM withheld WHERE reason = ?
    AND sample IN (SELECT c.sample FROM candidates c JOIN mentions m USING (candidate) WHERE c.state = 'stored')
"""


def _sizes(ws: Workspace) -> Iterator[tuple[str, int]]:
    """Every blob with its size in bytes."""
    with os.scandir(ws.blobs.root) as folders:
        for folder in folders:
            if folder.is_dir():
                with os.scandir(folder.path) as files:
                    yield from ((one.name, one.stat().st_size) for one in files)
