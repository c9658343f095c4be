"""Overwrite what deleted rows leave in the catalog's file, and check that nothing is left."""

import mmap
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from curate.errors import DiskFullError, StoreError
from curate.store.journal_log import NAME as JOURNAL

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


LOOKED_FOR = 40  # words; each is one pass over the catalog's file
_HEX = re.compile(r"[0-9a-f]{64}")


def scour(ws: "Workspace", words: Sequence[str]) -> None:
    """Leave no trace of these words in the catalog's file, its free pages and its write-ahead log.

    What SQLite frees it overwrites; copies that it left behind as pages were split go with a VACUUM, where there are
    any, or where nobody knows any more what to look for (no `words`), or that would take longer. Of many words the
    first `LOOKED_FOR` are looked for afterwards. Raises StoreError where another process holds the log, or an id is
    still there.
    """
    if ws.catalog.journal_overdue:
        raise DiskFullError(f"{JOURNAL} could not be written anew; free some space and run it again")
    _fold(ws)
    if 0 < len(words) <= LOOKED_FOR and not _traces(ws, words):
        return
    ws.catalog.vacuum()
    _fold(ws)
    listed = {row[0] for row in ws.catalog.all("SELECT value FROM set_aside")}  # a list's hashes, not what is here
    if left := [one for one in _traces(ws, words[:LOOKED_FOR]) if _HEX.fullmatch(one) and one not in listed]:
        raise StoreError(
            f"the catalog or the journal still holds {len(left)} of the removed ids; this is a bug of curate"
        )


def _fold(ws: "Workspace") -> None:
    if not ws.catalog.checkpoint():
        raise StoreError(
            "catalog.db: another process reads it, so its write-ahead log cannot be emptied; what was removed is held"
            " back. Close `curate review` and the like, and run the same again"
        )


def _traces(ws: "Workspace", words: Sequence[str]) -> list[str]:
    """Those of the words that stand in the catalog's files or the journal, but for what is said of others as well."""
    found = []
    for path in (ws.catalog.path, ws.catalog.path.with_name(f"{ws.catalog.path.name}-wal"), ws.catalog.journal.path):
        if path.exists() and path.stat().st_size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                found += [one for one in words if data.find(one.encode()) >= 0]
    return [one for one in found if _HEX.fullmatch(one) or not ws.catalog.scalar(_OTHERS, (one, one, one))]


_OTHERS = """
SELECT 1 FROM candidates WHERE instr(locator, ?) OR instr(final_url, ?)
UNION ALL SELECT 1 FROM mentions WHERE upstream = ? LIMIT 1
"""
