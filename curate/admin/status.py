"""`curate status`: what the workspace holds, and how far it has come."""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from curate.dedupe.membership import contested
from curate.errors import UsageError
from curate.fetch.coverage import left_out
from curate.label import final
from curate.net.redact import redact
from curate.records import UNSURE
from curate.store import eligibility, holds
from curate.store.catalog import BY_HAND, CONFIGURED, Catalog, Row
from curate.store.columns import among
from curate.store.workspace import Workspace

_STORED = "SELECT count(DISTINCT sample) FROM candidates WHERE state = 'stored'"
_REVIEWED = "SELECT count(DISTINCT sample) FROM in_force WHERE carried_from IS NULL"
_HUMAN = """
SELECT count(*) AS decisions, count(DISTINCT reviewer) AS reviewers, coalesce(sum(label = ?), 0) AS unsure,
    coalesce(sum(session IS NULL), 0) AS imported, (SELECT count(*) FROM decisions WHERE undoes IS NOT NULL) AS undone,
    (SELECT count(*) FROM precedents) AS precedents
FROM in_force WHERE carried_from IS NULL AND shown <> 'carried'
"""
_QUEUES = """
SELECT q.queue, json_extract(q.detail, '$.items') AS items,
    (SELECT count(DISTINCT sample) FROM in_force d WHERE d.queue = q.queue AND d.session IS NOT NULL) AS judged
FROM queues q ORDER BY q.created_at, q.queue
"""

_SPAN = re.compile(r"(\d{1,6})\s*([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, now: datetime | None = None) -> str:
    """The time that `--since` names: an ISO date or time (UTC unless it says otherwise), or how long ago (`24h`, `7d`).

    As the catalog writes times; raises UsageError.
    """
    try:
        span = _SPAN.fullmatch(text.strip())
        at = datetime.fromisoformat(text.strip()) if span is None else now or datetime.now(UTC)
        at = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
        at -= timedelta(**{_UNITS[span[2]]: int(span[1])}) if span else timedelta()
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, AttributeError) as error:
        raise UsageError(f"since {text}: give a date (2026-11-01), a time, or a span such as 90m, 24h, 7d") from error


def status(ws: Workspace, since: str | None = None) -> dict[str, Any]:
    """Totals of the workspace. candidates = stored + pending + all that failed, by reason.

    `same_bytes` are stored candidates with the bytes of another one, one sample together; `conflicts` counts groups
    and sets in which somebody contradicts somebody, `contested` the samples in them; `duplicates` are samples
    collapsed into a survivor; `held` are samples held back until the operator decides; `labelled` are other survivors
    that have a label on the first axis, by people or weak; `reviewed` are samples on which a decision of a person is
    in force, and `human` counts those decisions. `upstream` counts items that are not as they were where they came
    from, `withheld` samples that fetch keeps back, both by why; `exports` has bytes by version and format. With `since`
    (see `moment`), `since` says what was fetched from then on.
    """
    catalog = ws.catalog
    states = dict(_pairs(ws, "SELECT state, count(*) FROM candidates GROUP BY state"))
    held = holds.held(catalog)
    return {
        "candidates": sum(states.values()),
        "stored": states.get("stored", 0),
        "pending": states.get("pending", 0),
        "failed": dict(
            _pairs(ws, "SELECT reason, count(*) FROM candidates WHERE state = 'failed' GROUP BY reason ORDER BY reason")
        ),
        "samples": catalog.scalar("SELECT count(*) FROM samples"),
        "same_bytes": max(0, states.get("stored", 0) - catalog.scalar(_STORED)),
        "duplicates": catalog.scalar("SELECT count(*) FROM members WHERE survivor <> sample"),
        "conflicts": catalog.scalar("SELECT count(*) FROM conflicts"),
        "contested": contested(catalog),
        "labelled": _labelled(ws),
        "held": len(held),
        "incidents": dict(_pairs(ws, "SELECT state, count(*) FROM incidents GROUP BY state ORDER BY state")),
        "unacknowledged": holds.untold(catalog),
        "reviewed": catalog.scalar(_REVIEWED),
        "human": dict(catalog.all(_HUMAN, (UNSURE,))[0]),
        "queues": [dict(row) for row in catalog.all(_QUEUES)],
        "withheld": holds.withheld_by_reason(catalog),
        "upstream": dict(_pairs(ws, _CHANGED)),
        "releases": [row[0] for row in catalog.all("SELECT version FROM releases ORDER BY created_at, version")],
        "exports": _exports(ws),
        "sources": _sources(ws, ""),
    } | ({} if since is None else {"since": _since(ws, since)})


def _labelled(ws: Workspace) -> int:
    """How many survivors have a label on the first axis."""
    known, (ids, survive) = final.columns(ws, ws.config.taxonomy.first), eligibility.active(ws.catalog)
    return int(among(known.ids.filter(known.place >= 0), ids.filter(survive)).sum())


def _exports(ws: Workspace) -> dict[str, dict[str, int]]:
    """How many bytes each format of each release takes."""
    folders = [path for path in sorted((ws.work / "exports").glob("*/*")) if not path.name.startswith(".")]
    found: dict[str, dict[str, int]] = {}
    for path in folders:
        sizes = (os.lstat(f"{folder}/{name}").st_size for folder, _, names in os.walk(path) for name in names)
        found.setdefault(path.parent.name, {})[path.name] = sum(sizes)
    return found


_CHANGED = "SELECT kind, count(DISTINCT page_id) FROM changes WHERE ended_at IS NULL GROUP BY kind ORDER BY kind"
_EACH = """
SELECT source, state, reason, count(*) AS n, sum(NOT licensed) AS bare FROM (
    SELECT m.source, c.state, c.reason, max(m.license IS NOT NULL) AS licensed
    FROM mentions m CROSS JOIN candidates c USING (candidate) WHERE coalesce(c.fetched_at, '') >= ?
    GROUP BY m.candidate, m.source)
GROUP BY source, state, reason ORDER BY source, reason
"""


def _sources(ws: Workspace, since: str) -> list[dict[str, object]]:
    """Each source with its candidates by what became of them; what two sources name counts in both.

    `of` is what it lists; `former`: curate.toml named it once, and did not when `fetch` ran last. `license_missing`
    counts stored candidates for which the source names no licence; `notes` what it left out, as `fetch` says it.
    """
    rows = groupby(ws.catalog.all(_EACH, (since,)), key=lambda row: str(row["source"]))
    known = {source: [dict(row) for row in each] for source, each in rows}
    sources = ws.catalog.all("SELECT source, plugin, listed, options FROM sources ORDER BY plugin, source")
    asked = ws.catalog.get(CONFIGURED)
    named = set(json.loads(asked)) if asked else {row["source"] for row in sources}
    named |= {row["source"] for row in sources if row["plugin"] == BY_HAND}
    return [
        _source(ws, row, known.get(row["source"], [])) | ({} if row["source"] in named else {"former": True})
        for row in sources
        if row["source"] in named or row["source"] in known or since  # what never named anything is forgotten
    ]


def _source(ws: Workspace, source: Row, each: list[dict[str, Any]]) -> dict[str, object]:
    name, bare = source["source"], (row["bare"] for row in each if row["state"] == "stored")
    return {
        "source": name,
        "use": source["plugin"],
        "of": _of(json.loads(source["options"])),
        "listed": bool(source["listed"]),
        "candidates": sum(row["n"] for row in each),
        **{state: sum(row["n"] for row in each if row["state"] == state) for state in ("stored", "pending")},
        "failed": {row["reason"]: row["n"] for row in each if row["state"] == "failed"},
        "license_missing": sum(bare),
        "notes": left_out(ws.catalog, name),
    }


def _of(options: dict[str, Any]) -> str:
    """What a source lists, as its options have it: a path, an address."""
    return next((redact(str(options[key])) for key in ("path", "api", "url") if options.get(key)), "")


def _since(ws: Workspace, since: str) -> dict[str, object]:
    stored = "SELECT count(*) FROM candidates WHERE fetched_at >= ? AND state = 'stored'"
    failed = "SELECT reason, count(*) FROM candidates WHERE fetched_at >= ? AND state = 'failed' GROUP BY 1 ORDER BY 1"
    return {
        "from": since,
        "stored": ws.catalog.scalar(stored, (since,)),
        "failed": {row[0]: row[1] for row in ws.catalog.all(failed, (since,))},
        "sources": _sources(ws, since),
    }


def _pairs(ws: Workspace, sql: str, *params: str) -> list[tuple[str, int]]:
    return [(row[0], row[1]) for row in ws.catalog.all(sql, params)]


# -- the log ---------------------------------------------------------------------------------------------------------


def lately(catalog: Catalog, count: int) -> list[dict[str, Any]]:
    """The last rows of the log, oldest first; the row that a run begins with says how it `ended`, as `runs` has it:
    done, incomplete, failed, interrupted, or running where it is not over (or was killed); and `why`, if it is not
    done."""
    rows = (dict(row) for row in reversed(catalog.all(_LOG, (count,))))
    optional = ("ended", "why")
    return [{name: value for name, value in row.items() if name not in optional or value is not None} for row in rows]


_LOG = """
SELECT l.seq, l.at, l.actor, l.action, r.status AS ended, json_extract(r.result, '$.why') AS why, l.detail
FROM log l LEFT JOIN runs r ON r.run = l.run AND r.verb = l.action AND l.detail = '{}'
ORDER BY l.seq DESC LIMIT ?
"""
