"""`curate screening incident|release`: what is known of a match or a report, and what the operator decides about it."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curate.errors import UsageError
from curate.screening import sealed
from curate.store.catalog import now

if TYPE_CHECKING:
    from curate.store.catalog import Catalog, Row
    from curate.store.workspace import Workspace

MATCHES = ("match", "rescan")  # kinds of incidents whose item is never let go of again
NEXT = "follow the procedure in docs/screening.md; do not look for the item, and do not open its URL"


def incident(ws: "Workspace", number: int, for_report: bool) -> dict[str, Any]:
    """What is on record; with `for_report` also what a hotline asks for: where, when, who named it; that is logged.

    Raises UsageError for a number that there is not. Never a picture, never a hash of one.
    """
    row = _row(ws.catalog, number)
    held = ws.catalog.rows("SELECT kind, count(*) AS n FROM quarantine WHERE incident = ? GROUP BY kind", (number,))
    detail = json.loads(row["detail"] or "{}")
    said = {key: row[key] for key in ("incident", "at", "kind", "state", "digest", "list", "entry", "source")}
    said |= {key: value for key, value in detail.items() if key not in ("places", "decided")}
    said |= {"held": {one["kind"]: one["n"] for one in held}, "decided": detail.get("decided"), "next": NEXT}
    if for_report:
        ws.catalog.note("incident_report", None, {"incident": number})
        said |= {
            "report": {"places": detail.get("places") or places(ws.catalog, row["candidate"]), "tool": _tool(ws, row)}
        }
    return said


def places(catalog: "Catalog", candidate: int | None) -> list[dict[str, Any]]:
    """Where an item was found, when, and what the source says of it: one entry a mention."""
    rows = catalog.rows(_PLACES, (candidate,))
    return [{key: value for key, value in dict(row).items() if value is not None} for row in rows]


_PLACES = """
SELECT c.kind, c.locator, c.final_url, c.fetched_at, m.source, m.ref, m.album, m.page_id, m.attribution,
    json_extract(m.facts, '$.uploader') AS uploader
FROM candidates c JOIN mentions m USING (candidate) WHERE c.candidate = ? ORDER BY m.source, m.ref
"""


def release(catalog: "Catalog", number: int, reason: str, actor: str) -> dict[str, Any]:
    """Let go of what is held on behalf of an incident; of the item itself only where a person reported it.

    Logged, with who and how much. Raises UsageError for a number that there is not, or without a reason.
    """
    row = _row(catalog, number)
    if not reason.strip():
        raise UsageError("screening release: say why (--reason)")
    subjects = catalog.rows("SELECT kind, subject FROM quarantine WHERE incident = ?", (number,))
    free = [one for one in subjects if not _is_item(catalog, row, one)]
    detail = json.loads(row["detail"] or "{}") | {"decided": {"at": now(), "by": actor, "reason": reason}}
    with catalog.tx() as db:
        sql = "DELETE FROM quarantine WHERE incident = ? AND kind = ? AND subject = ?"
        db.executemany(sql, ((number, one["kind"], one["subject"]) for one in free))
        sql = "UPDATE incidents SET state = 'released', detail = ? WHERE incident = ?"
        db.execute(sql, (json.dumps(detail, ensure_ascii=False), number))
        catalog.append(db, "quarantine_release", None, {"incident": number, "released": len(free)}, actor)
    return {"incident": number, "released": len(free), "kept": len(subjects) - len(free)}


def _is_item(catalog: "Catalog", incident: "Row", held: "Row") -> bool:
    """Whether this is the very item that a list matched."""
    item = held["kind"] == "sample" and catalog.digest("sha256", held["subject"]) == incident["digest"]
    return item and incident["kind"] in MATCHES


def overview(ws: "Workspace") -> dict[str, Any]:
    """Incidents by state, what is sealed, and how much was screened, and how; expired seals are removed."""
    states = ws.catalog.rows("SELECT state, count(*) FROM incidents GROUP BY state ORDER BY state")
    counts: Mapping[str, int] = json.loads(ws.catalog.get("screened") or "{}")
    gone = expire(ws)
    return {
        "screened": counts.get("screened", 0),
        "exact_only": counts.get("exact_only", 0),
        "matched": counts.get("matched", 0),
        "incidents": {row[0]: row[1] for row in states},
        "sealed": len(_seals(ws.catalog)),
        "expired": len(gone),
    }


def expire(ws: "Workspace", strays: bool = False) -> list[str]:
    """Remove sealed files whose day has come, and note that in the incident and in the log; their names.

    `strays`: also what a killed run sealed and did not record; for the holder of the driver's seat.
    """
    seals = _seals(ws.catalog)
    gone = sealed.sweep(ws.work, {name: expires for name, (_, expires) in seals.items()}, strays)
    for name in gone:
        if name in seals:
            with ws.catalog.tx() as db:
                sql = "UPDATE incidents SET detail = json_remove(detail, '$.sealed') WHERE incident = ?"
                db.execute(sql, (seals[name][0],))
                ws.catalog.append(db, "seal_expired", None, {"incident": seals[name][0]})
    return gone


def _seals(catalog: "Catalog") -> dict[str, tuple[int, str]]:
    """The sealed files that incidents name: which incident, and until when."""
    sql = """
    SELECT json_extract(detail, '$.sealed') AS name, incident, json_extract(detail, '$.expires') AS expires
    FROM incidents WHERE json_extract(detail, '$.sealed') IS NOT NULL
    """
    return {row["name"]: (row["incident"], row["expires"]) for row in catalog.rows(sql)}


def _row(catalog: "Catalog", number: int) -> "Row":
    rows = catalog.rows("SELECT * FROM incidents WHERE incident = ?", (number,))
    if not rows:
        raise UsageError(f"incident {number}: there is no such incident; `curate screening status` counts them")
    return rows[0]


def _tool(ws: "Workspace", row: "Row") -> dict[str, Any]:
    found = ws.catalog.rows("SELECT tool, started_at, screening FROM runs WHERE run = ?", (row["run"],))
    run = dict(found[0]) if found else {}
    return {"version": run.get("tool"), "run_started_at": run.get("started_at"), "screening": run.get("screening")}
