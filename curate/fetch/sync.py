"""`curate fetch --sync`: what was deleted, withdrawn, moved or overwritten where it came from is marked.

Nothing is removed here. What is gone upstream is withheld from every queue, view and release from then on, and let
back in where it returns; `curate takedown --upstream-deleted` removes it.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

from curate.contracts import Http, Source, SupportsSync
from curate.errors import ItemError
from curate.fetch.budget import Budget, Metered
from curate.net.loops import finished
from curate.progress import Progress, Step
from curate.records import Change, Reason, Upstream
from curate.stats.coverage import Coverage
from curate.store.catalog import now
from curate.store.workspace import Workspace

PAGES = 500  # items asked after between two commits
GONE = {"deleted": Reason.UPSTREAM_DELETED, "withdrawn": Reason.SOURCE_WITHDRAWN}  # the kinds that withhold

Known = Mapping[str, Sequence[Upstream]]  # page id -> what mentions of it say that it is


def sync(
    ws: Workspace, sources: Sequence[Source], http: AbstractAsyncContextManager[Http], progress: Progress
) -> dict[str, object]:
    """Ask each system that can say so what became of its items; a system that cannot be asked keeps its place.

    `checked` counts items; the kinds count what is so now, `restored` what is no more. `withheld` are samples.
    """
    started = time.monotonic()
    systems = {source.system: source for source in reversed(sources) if isinstance(source, SupportsSync)}
    run = _Sync(ws)
    finished(run.all(systems, http, progress))
    ws.catalog.log("sync", None, dict(run.counts))
    states = ws.catalog.all("SELECT kind, count(DISTINCT page_id) FROM changes WHERE ended_at IS NULL GROUP BY kind")
    nothing = run.unsynced and not run.counts["checked"]
    lost = "; ".join(sorted(set(run.unsynced.values())))
    found = Coverage(len(systems) - len(run.unsynced), len(systems), "systems", "could not be asked")
    return {
        **found.facts(f"no system could be asked what became of its items: {lost}" if nothing else None),
        "checked": run.counts["checked"],
        **dict.fromkeys(("deleted", "withdrawn", "moved", "overwritten"), 0),
        **{row[0]: row[1] for row in states},
        "restored": run.counts["restored"],
        "withheld": ws.catalog.scalar("SELECT count(DISTINCT sample) FROM withheld"),
        "unsynced": run.unsynced,
        "seconds": round(time.monotonic() - started, 3),
    }


@dataclass
class _Sync:
    ws: Workspace
    counts: Counter[str] = field(default_factory=Counter)
    unsynced: dict[str, str] = field(default_factory=dict)

    async def all(
        self, systems: Mapping[str, SupportsSync], http: AbstractAsyncContextManager[Http], progress: Progress
    ) -> None:
        async with http as asked:
            client = Metered(asked, self.ws.catalog, Budget(self.ws.config.run))
            with progress.stage("sync") as step:
                for system, source in systems.items():
                    try:
                        await self._one(system, source, client, step)
                    except ItemError as error:
                        self.unsynced[system] = str(error)

    async def _one(self, system: str, source: SupportsSync, client: Http, step: Step) -> None:
        """All items of one system, a few hundred at a time, each lot committed with the place to go on from."""
        place = f"sync:{system}"
        after = self.ws.catalog.get(place) or ""
        while known := self._known(system, after):
            every = [one for items in known.values() for one in items]
            found = [await self._explained(source, client, one) async for one in source.changes(client, every)]
            after = max(known)
            self._write(known, found, place, after)
            self.counts["checked"] += len(known)
            step(len(known))
        self.ws.catalog.set(place, "")

    async def _explained(self, source: SupportsSync, client: Http, change: Change) -> Change:
        """The change with what is known of it already, or else what its system says of it."""
        sql = "SELECT detail FROM changes WHERE page_id = ? AND sha1 = ? AND kind = ? AND ended_at IS NULL"
        known = self.ws.catalog.scalar(sql, _key(change))
        if known is not None and not change.detail:
            return replace(change, detail=known)
        return change if known is not None else replace(change, detail=await source.explain(client, change))

    def _known(self, system: str, after: str) -> Known:
        """The next items after a page id, and what each was when it was found."""
        found: dict[str, list[Upstream]] = {}
        lot = self.ws.catalog.all(_LOT, (f"{system}:", f"{system};", after, PAGES))
        for (page,) in lot:
            rows = self.ws.catalog.all("SELECT DISTINCT upstream FROM mentions WHERE page_id = ?", (page,))
            found[page] = [Upstream(**json.loads(row[0])) for row in rows]
        return found

    def _write(self, known: Known, found: Sequence[Change], place: str, after: str) -> None:
        at, run = now(), self.ws.catalog.run
        said = {_key(change): change.detail for change in found}
        with self.ws.catalog.tx() as db:
            open_rows = {
                (page, sha1, kind): detail
                for page in known
                for page, sha1, kind, detail in db.execute(_OPEN, (page,)).fetchall()
            }
            for key, detail in open_rows.items():
                if said.get(key) != detail:
                    db.execute(_END, (at, *key))
                    self.counts["restored"] += key not in said
            rows = ((*key, detail, at, run) for key, detail in said.items() if open_rows.get(key) != detail)
            db.executemany("INSERT INTO changes (page_id, sha1, kind, detail, seen_at, run) VALUES (?,?,?,?,?,?)", rows)
            for kind, reason in GONE.items():
                db.execute(_WITHHOLD, (reason, at, run, kind))
                db.execute(_LET_IN, (reason, kind))
                db.execute(_FAIL, (reason, kind))
                db.execute(_AGAIN, (reason, kind))
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (place, after))


def _key(change: Change) -> tuple[str, str, str]:
    one = change.upstream
    return f"{one.system}:{one.page_id}", one.sha1 or "", change.kind


_LOT = """
SELECT DISTINCT page_id FROM mentions WHERE page_id >= ? AND page_id < ? AND page_id > ? AND upstream IS NOT NULL
ORDER BY page_id LIMIT ?
"""
_OPEN = "SELECT page_id, sha1, kind, detail FROM changes WHERE page_id = ? AND ended_at IS NULL"
_END = "UPDATE changes SET ended_at = ? WHERE page_id = ? AND sha1 = ? AND kind = ? AND ended_at IS NULL"
# CROSS JOIN: from the few changes to their mentions, never through every mention.
_WITHHOLD = """
INSERT OR IGNORE INTO withheld (sample, reason, detail, at, run)
SELECT c.sample, ?, x.detail, ?, ? FROM changes x CROSS JOIN mentions m USING (page_id)
    CROSS JOIN candidates c USING (candidate) WHERE x.ended_at IS NULL AND x.kind = ? AND c.sample IS NOT NULL
"""
_LET_IN = """
DELETE FROM withheld WHERE reason = ? AND sample NOT IN (
    SELECT c.sample FROM changes x CROSS JOIN mentions m USING (page_id) CROSS JOIN candidates c USING (candidate)
    WHERE x.ended_at IS NULL AND x.kind = ? AND c.sample IS NOT NULL)
"""
# What is not stored yet is not asked for, and is asked for again where it returns.
_FAIL = """
UPDATE candidates SET state = 'failed', reason = ?, detail = NULL, retryable = 0 WHERE state = 'pending'
AND candidate IN (SELECT m.candidate FROM changes x JOIN mentions m USING (page_id)
    WHERE x.ended_at IS NULL AND x.kind = ?)
"""
_AGAIN = """
UPDATE candidates SET state = 'pending', reason = NULL WHERE state = 'failed' AND reason = ?
AND candidate NOT IN (SELECT m.candidate FROM changes x JOIN mentions m USING (page_id)
    WHERE x.ended_at IS NULL AND x.kind = ?)
"""
