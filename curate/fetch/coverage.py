"""What a fetch may say of itself: how much of what the sources name is stored, and whether that is an answer at all."""

import os
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from curate.layouts.folder import path_of
from curate.records import Reason
from curate.stats.coverage import Coverage
from curate.store.catalog import BY_HAND, CONFIGURED, Catalog
from curate.store.holds import withheld_by_reason
from curate.store.workspace import Workspace

NAMED = 3  # reasons that are named, the most frequent first


def verdict(catalog: Catalog, totals: Mapping[str, Any], unlisted: Mapping[str, str]) -> dict[str, Any]:
    """The coverage of a workspace's candidates; incomplete where something was asked for and nothing is stored.

    Dead links are no failure of a fetch. That there is nothing else is one: everything that was asked for failed, every
    line failed before anything was asked for, or a source could not be asked what there is. What matched a list is
    left out of this: it has an exit code of its own.
    """
    stored, of, pending = (int(totals[name]) for name in ("stored", "candidates", "pending"))
    rest = f"are not stored ({int(totals['failed']):,} failed, {pending:,} pending)"
    if unlisted:
        rest += f"; sources that could not be listed: {len(unlisted):,}"
    found = Coverage(stored, of, "candidates", rest, "stored")
    asked = bool(catalog.scalar(_ASKED, (Reason.GATE_MATCH,)))
    others = of - int(totals["reasons"].get(Reason.GATE_MATCH, 0))
    nothing = not stored and bool(unlisted or (others and (asked or not pending)))
    return found.facts(_why(totals["reasons"], unlisted) if nothing else None)


_ASKED = "SELECT 1 FROM candidates WHERE fetched_at IS NOT NULL AND reason IS NOT ? LIMIT 1"


def _why(reasons: Mapping[str, int], unlisted: Mapping[str, str]) -> str:
    most = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))[:NAMED]
    said = [f"{n:,} {reason}" for reason, n in most] + [f"not listed: {why}" for why in list(unlisted.values())[:NAMED]]
    return f"nothing is stored: {', '.join(said)}"


def went(ws: Workspace, held: int, stopped: bool) -> str:
    """What became of what matched, of what came with it, and of the rest."""
    kept = "sealed to your key" if ws.config.screening.on_match == "preserve" else "not kept"
    along = ", what came with them is held back" if held else ""
    left = ws.catalog.scalar("SELECT count(*) FROM candidates WHERE state = 'pending'")
    rest = f"the run stopped, and {left:,} candidates are left" if left else "everything else was done"
    return f"Bytes are {kept}{along}, {rest if stopped else 'the run went on with the rest'}"


def left_out(catalog: Catalog, source: str | None = None) -> dict[str, int]:
    """How much of what kind the sources (or one of them) met and made no candidate of, as each was listed last."""
    found: Counter[str] = Counter()
    sql = "SELECT kind, subject, detail FROM notes WHERE ?1 IS NULL OR source = ?1 ORDER BY kind, subject"
    for kind, subject, detail in catalog.all(sql, (source,)):
        found.update({subject: int(detail)} if kind == "left_out" else {kind: 1})
    return dict(found)


# Of candidates: a file on this machine gives the same answer again, unless it was the gate that could give none.
WORTH_RETRYING = "(retryable AND (kind != 'path' OR reason = 'gate_unavailable'))"


def passing(ws: Workspace) -> int:
    """How many candidates failed for a reason that may be gone when they are asked for again: files, if they changed
    since."""
    count = int(ws.catalog.scalar(f"SELECT count(*) FROM candidates WHERE state = 'failed' AND {WORTH_RETRYING}"))  # noqa: S608
    return count + sum(_changed(*row) for row in ws.catalog.iterate_tuples(_FILES))


def _changed(locator: str, asked: str) -> bool:
    """Whether a file was written, or put in its place, since it was asked for."""
    try:
        known = os.stat(path_of(locator))  # noqa: PTH116 (names may hold bytes that are no text)
    except OSError:
        return False
    return max(known.st_mtime, known.st_ctime) > datetime.fromisoformat(asked).timestamp()


_FILES = f"""
SELECT locator, fetched_at FROM candidates
WHERE state = 'failed' AND retryable AND NOT {WORTH_RETRYING} AND fetched_at IS NOT NULL
"""  # noqa: S608


def totals(ws: Workspace) -> dict[str, object]:
    """The workspace's candidates by what became of them."""
    states = {row[0]: row[1] for row in ws.catalog.all("SELECT state, count(*) FROM candidates GROUP BY state")}
    reasons = ws.catalog.all(
        "SELECT reason, count(*) FROM candidates WHERE state = 'failed' GROUP BY reason ORDER BY reason"
    )
    return {
        "candidates": sum(states.values()),
        "stored": states.get("stored", 0),
        "failed": states.get("failed", 0),
        "pending": states.get("pending", 0),
        "reasons": {row[0]: row[1] for row in reasons},
        "withheld": withheld_by_reason(ws.catalog),
        "bytes": ws.catalog.scalar("SELECT coalesce(sum(bytes), 0) FROM samples"),
    }


def former(catalog: Catalog) -> tuple[int, int]:
    """Sources that curate.toml does not name any more and that named something, and what nobody else names of it."""
    asked = catalog.get(CONFIGURED) or "[]"
    sources = int(catalog.scalar(_FORMER, (asked,)))
    return sources, int(catalog.scalar(_LEFT, (asked,))) if sources else 0


_NAMED = f"(SELECT value FROM json_each(?) UNION ALL SELECT source FROM sources WHERE plugin = '{BY_HAND}')"  # noqa: S608
_FORMER = f"""
SELECT count(*) FROM sources s WHERE source NOT IN {_NAMED}
    AND EXISTS (SELECT 1 FROM mentions m WHERE m.source = s.source)
"""  # noqa: S608 (constants)
_LEFT = f"""
SELECT count(*) FROM (SELECT candidate FROM mentions GROUP BY candidate
    HAVING sum(source IN {_NAMED}) = 0)
"""  # noqa: S608


def too_many(result: Mapping[str, Any], most: int | None) -> str | None:
    """Why a fetch is incomplete that more candidates failed in than it was allowed."""
    failed = int(result.get("failed", 0))
    if most is None or failed <= most:
        return None
    return f"{failed:,} candidates failed, and --max-failures allows {most:,}"
