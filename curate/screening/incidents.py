"""`curate screening incident|acknowledge|dispute|release`: what is known of a match or a report, what is decided."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from curate.errors import UsageError
from curate.net.urls import host
from curate.options import is_said
from curate.screening import history, preserve, set_aside
from curate.screening.quarantine import tell
from curate.store import holds
from curate.store.catalog import now
from curate.store.reviewer import reviewer_name
from curate.store.tombstones import LISTED, SCRUBBED

if TYPE_CHECKING:
    import sqlite3

    from curate.store.catalog import Catalog, Row
    from curate.store.workspace import Workspace

MATCHES = ("match", "rescan")  # kinds of incidents whose item is not let go of while a list has its entry
NEXT = "follow the procedure in docs/screening.md; do not look for the item, and do not open its URL"
DECIDE = (
    "where it may be illegal, follow the procedure in docs/screening.md and do not look for it; else `curate screening"
    " release {} --reason TEXT` lets go of it, `curate takedown ID` removes it"
)
END = "; `curate screening close {} --by NAME --reason TEXT` once it was reported"
REPORTED = "reported"  # the end of a true match: what matched stays out for good
DONE = ("released", REPORTED)
DECISIONS = ("disputed", "decided", "closed")
PLACES = 20  # places of an incident's items that are named


def incident(ws: "Workspace", number: int, for_report: bool) -> dict[str, Any]:
    """What is on record; with `for_report` also what a hotline asks for: where, when, who named it; that is logged.

    Raises UsageError for a number that there is not. Never a picture, never a hash of one.
    """
    row = _row(ws.catalog, number)
    held = ws.catalog.all("SELECT kind, count(*) AS n FROM quarantine WHERE incident = ? GROUP BY kind", (number,))
    detail = json.loads(row["detail"] or "{}")
    known = ("incident", "at", "kind", "state", "acknowledged_at", "acknowledged_by")
    said = {key: row[key] for key in (*known, "digest", "list", "entry", "source")}
    said |= {key: value for key, value in detail.items() if key not in ("places", "tombstones", *DECISIONS)}
    said |= {"held": {one["kind"]: one["n"] for one in held}, "held_samples": len(holds.held_by(ws.catalog, number))}
    said |= _entry(ws.catalog, number)
    said |= {name: detail.get(name) for name in DECISIONS}
    said |= {"next": following(number, row["kind"], row["state"])}
    if for_report:
        ws.catalog.log("incident_report", None, {"incident": number})
        where = detail.get("places") or _places(ws.catalog, number, row["candidate"])
        said |= {"report": {"places": where, "tool": _tool(ws, row)}}
    return said


def following(number: int, kind: str, state: str) -> str | None:
    """What is to be done about an incident of this kind; None where it was let go of."""
    if state in DONE:
        return None
    return NEXT + END.format(number) if kind in MATCHES else DECIDE.format(number)


def _entry(catalog: "Catalog", number: int) -> dict[str, Any]:
    """What an incident is about without the picture: each item's format and distance, and its entry's whole history."""
    sql = "SELECT at, source, part, distance, quality, media FROM matches WHERE incident = ? ORDER BY match"
    items = [dict(row) for row in catalog.all(sql, (number,))]
    said: dict[str, Any] = {"items": len(items), "item": items[:PLACES]}
    for one in history.entries(catalog, number):
        said |= {"entry_history": one.said(), "entry_set_aside": set_aside.has(catalog, one.list, one.key)}
    return said


def places(catalog: "Catalog", candidate: int | None) -> list[dict[str, Any]]:
    """Where an item was found, when, and what the source says of it: one entry a mention."""
    rows = catalog.all(_PLACES, (candidate,))
    return [{key: value for key, value in dict(row).items() if value is not None} for row in rows]


def _places(catalog: "Catalog", number: int, first: int | None) -> list[dict[str, Any]]:
    """The same of every item of an incident."""
    rows = catalog.all("SELECT DISTINCT candidate FROM matches WHERE incident = ? ORDER BY 1", (number,))
    return [place for one in dict.fromkeys([first, *(row[0] for row in rows)]) for place in places(catalog, one)]


_PLACES = """
SELECT c.kind, c.locator, c.final_url, c.fetched_at, m.source, m.ref, m.album, m.page_id, m.attribution,
    json_extract(m.facts, '$.uploader') AS uploader
FROM candidates c JOIN mentions m USING (candidate) WHERE c.candidate = ? ORDER BY m.source, m.ref
"""


# -- deciding --------------------------------------------------------------------------------------------------------


def acknowledge(catalog: "Catalog", number: int, by: str) -> dict[str, Any]:
    """Put on record that somebody was told: it ends the exit code 5, and lets go of nothing. Logged.

    The first one stays on record, and whoever comes later is told so. Raises UsageError for a number that there is not,
    or a name that is none.
    """
    row, name, late = _row(catalog, number), reviewer_name(by, "--by"), True
    with catalog.tx() as db:
        if db.execute("SELECT acknowledged_at FROM incidents WHERE incident = ?", (number,)).fetchone()[0] is None:
            tell(db, number, name)
            catalog.append(db, "acknowledge", None, {"incident": number, "by": name})
            late = False
    row = _row(catalog, number)
    said = {key: row[key] for key in ("incident", "state", "acknowledged_at", "acknowledged_by")}
    if late:
        said |= {"note": f"{row['acknowledged_by']} had acknowledged it already, and stays on record; {name} is not"}
    return said | {"next": following(number, row["kind"], row["state"])}


def close(ws: "Workspace", number: int, by: str, reason: str) -> dict[str, Any]:
    """End an incident that was true and was reported: what it is about stays out for good, whatever becomes of lists.

    What came with it stays held until it is released or taken down. Logged; who closes it was told. For the holder of
    the driver's seat. Raises UsageError
    for a number that there is not, one that has ended, a name that is none, or without a reason.
    """
    row, name = _row(ws.catalog, number), reviewer_name(by, "--by")
    detail = json.loads(row["detail"] or "{}")
    if row["state"] in DONE:
        raise UsageError(f"incident {number}: it is {row['state']} already")
    if not is_said(reason):
        raise UsageError("screening close: say why, and where it was reported (a reason)")
    detail |= {"closed": {"at": now(), "by": name, "reason": reason}}
    if keys := _for_good(ws.catalog, row, detail):
        said = {"receipt": f"incident {number}", "at": now(), "reason": f"{REPORTED}: incident {number}"}
        ws.tombstones.append(said | {"tombstones": keys})
    with ws.catalog.tx() as db:
        sql = "UPDATE incidents SET state = ?, detail = ? WHERE incident = ?"
        db.execute(sql, (REPORTED, json.dumps(detail, ensure_ascii=False), number))
        tell(db, number, name)
        ws.catalog.append(db, "close", None, {"incident": number, "by": name})
    held = len(holds.held_by(ws.catalog, number))
    then = (
        f"`curate screening release {number} --reason TEXT` lets go of what came with it; `curate takedown` removes it"
    )
    done = {"incident": number, "state": REPORTED, "item": "stays out for good", "held_samples": held}
    return done | {"next": then if held else None}


def _for_good(catalog: "Catalog", row: "Row", detail: dict[str, Any]) -> list[list[str]]:
    """What keeps away the items that matched, or that a rescan removed; those that are stored still stay held."""
    if row["kind"] not in MATCHES:
        return []
    held = catalog.all("SELECT subject FROM quarantine WHERE incident = ? AND kind = 'sample'", (row["incident"],))
    stored = {catalog.digest("sha256", one[0]) for one in held}
    items = [["sha256", one] for one in sorted(_items(catalog, row) - stored)]
    return items + [list(one) for one in detail.get("tombstones", ()) if list(one) not in items] if items else []


def dispute(ws: "Workspace", number: int, by: str, reason: str) -> dict[str, Any]:
    """Mark a match as false: the word of somebody who is entitled to it, and who saw no picture. Frees nothing.

    Logged. Raises UsageError for a number that there is not, what is no match, a stranger, or one who gives no reason.
    """
    row, entitled = _row(ws.catalog, number), ws.config.screening.entitled
    detail = json.loads(row["detail"] or "{}")
    if row["kind"] not in MATCHES:
        raise UsageError(f"incident {number}: a person reported it, no list; `curate screening release` lets go of it")
    if row["state"] == REPORTED:
        raise UsageError(f"incident {number}: it was closed as reported, and has ended")
    if by not in entitled:
        known = f"there are: {', '.join(entitled)}" if entitled else "it names nobody"
        raise UsageError(f"screening dispute: '{by}' is not among [screening] entitled; {known}")
    if not is_said(reason):
        raise UsageError("screening dispute: say why (a reason)")
    if said := detail.get("disputed"):
        raise UsageError(f"incident {number}: disputed already, by {said['by']} at {said['at']}")
    detail |= {"disputed": {"at": now(), "by": by, "reason": reason}}
    with ws.catalog.tx() as db:
        sql = "UPDATE incidents SET state = 'disputed', detail = ? WHERE incident = ?"
        db.execute(sql, (json.dumps(detail, ensure_ascii=False), number))
        tell(db, number, by)
        ws.catalog.append(db, "dispute", None, {"incident": number, "by": by})
    then = "nothing is let go of yet: set its entry aside (`curate screening entry`), then release the incident"
    return {"incident": number, "state": "disputed", "next": then}


def release(ws: "Workspace", number: int, reason: str, actor: str, entitled: Sequence[str] = ()) -> dict[str, Any]:
    """Let go of what is held on behalf of an incident; of what a list matched only once its entry is set aside.

    Then the items are asked for again: their bytes were not kept, and the gate looks at them anew. So is what a rescan
    removed, unless somebody took it down as well: its sources are listed anew. Where somebody is `entitled`, one of
    them must have disputed the match before. Where that is not so, or the incident was closed as reported, only what
    came with the match is let go of, and the incident stays as it is. Logged, with who and how much; who lets go of it
    was told. For the holder of the driver's seat. Raises UsageError for a number that there is not, or no reason.
    """
    catalog = ws.catalog
    row = _row(catalog, number)
    if not is_said(reason):
        raise UsageError("screening release: say why (a reason)")
    subjects = catalog.all("SELECT kind, subject FROM quarantine WHERE incident = ?", (number,))
    before = holds.held(catalog)
    detail = json.loads(row["detail"] or "{}")
    kept_out = _kept_out(catalog, row, bool(entitled) and "disputed" not in detail)
    items = _items(catalog, row) if kept_out else set[str]()
    free = [
        one for one in subjects if not (one["kind"] == "sample" and catalog.digest("sha256", one["subject"]) in items)
    ]
    places, keys = detail.get("places", ()), detail.get("tombstones", ())
    gone = "" if kept_out or row["kind"] != "rescan" else _gone(ws, keys)
    if row["kind"] == "rescan" and keys and not (kept_out or gone):
        ws.tombstones.append({"receipt": f"incident {number}", "at": now(), "lifted": keys})
    detail |= {"decided": {"at": now(), "by": actor, "reason": reason}}
    with catalog.tx() as db:
        sql = "DELETE FROM quarantine WHERE incident = ? AND kind = ? AND subject = ?"
        db.executemany(sql, ((number, one["kind"], one["subject"]) for one in free))
        state = row["state"] if kept_out else "released"
        sql = "UPDATE incidents SET state = ?, detail = ? WHERE incident = ?"
        db.execute(sql, (state, json.dumps(detail, ensure_ascii=False), number))
        tell(db, number, actor)
        again = 0 if kept_out else int(db.execute(_AGAIN, (number,)).rowcount)
        again += 0 if kept_out or gone else _back(catalog, db, places)
        said = {"incident": number, "released": len(free), "asked_again": again}
        catalog.append(db, "quarantine_release", None, said, actor)
    done: dict[str, Any] = said | {"kept": len(subjects) - len(free), "state": state}
    done |= {"samples": len(before - holds.held(catalog))}
    done |= {"nothing": f"nothing was let go of: {_nothing(subjects)}"} if not (free or again) else {}
    if kept_out:
        return done | {"item": f"stays out: {kept_out}", "next": _then(number, state, kept_out)}
    return done | ({"item": f"stays out: {gone}"} if gone else {})


def _nothing(subjects: Sequence["Row"]) -> str:
    return "what is held is the item itself" if subjects else "nothing is held on behalf of the incident"


def _then(number: int, state: str, kept_out: str) -> str | None:
    """What is to be done about an incident whose item stays out."""
    if state == REPORTED:
        return None
    true = f"if the match is true: follow docs/screening.md{END.format(number)}"
    return f"the incident stays {state}; {true}. If the entry is wrong: {_MEND[kept_out]}, then release it again"


def _gone(ws: "Workspace", keys: Sequence[Sequence[str]]) -> str:
    """Why what a rescan removed stays away although its entry is set aside; empty where it may come back."""
    if not keys:
        return "it was removed by a version that did not note how to ask for it again"
    return "it was taken down as well" if ws.tombstones.reasons(keys) - {LISTED} else ""


def _back(catalog: "Catalog", db: "sqlite3.Connection", places: Sequence[dict[str, Any]]) -> int:
    """Make what was removed a candidate again where it was found, and have its sources listed anew; how many."""
    found = 0
    for kind, locator, source in sorted({(one["kind"], one["locator"], one["source"]) for one in places}):
        scrubbed = SCRUBBED + catalog.digest(kind, locator)
        found += db.execute(_BACK, (locator, host(kind, locator), kind, scrubbed)).rowcount
        if not db.execute("UPDATE sources SET cursor = NULL, listed = 0 WHERE source = ?", (source,)).rowcount:
            db.execute("UPDATE sources SET cursor = NULL, listed = 0")  # it has another name since
    return found


_BACK = """
UPDATE candidates SET locator = ?, host = ?, state = 'pending', reason = NULL WHERE kind = ? AND locator = ?
"""


_UNCOUNTED, _IN_FORCE = "it matched before entries were counted", "its entry is not set aside"
_UNDISPUTED = "nobody who is entitled has disputed the match"
_MEND = {
    _UNCOUNTED: "take it off the list",
    _IN_FORCE: "`curate screening entry HASH --set-aside --reason TEXT`",
    _UNDISPUTED: "`curate screening dispute`",
}


def _kept_out(catalog: "Catalog", row: "Row", undisputed: bool) -> str:
    """Why what an incident is about may not be asked for again; empty where it may."""
    if row["state"] == REPORTED:
        return "it was reported"
    if row["kind"] not in MATCHES:
        return ""
    entries = history.entries(catalog, row["incident"])
    if not entries:
        return _UNCOUNTED
    if not all(set_aside.has(catalog, one.list, one.key) for one in entries):
        return _IN_FORCE
    return _UNDISPUTED if undisputed else ""


def _items(catalog: "Catalog", row: "Row") -> set[str]:
    """The keyed digests of the very items that a list matched."""
    rows = catalog.all("SELECT digest FROM matches WHERE incident = ?", (row["incident"],))
    return {row["digest"], *(one[0] for one in rows)}


_AGAIN = """
UPDATE candidates SET state = 'pending', reason = NULL, detail = NULL WHERE state = 'failed' AND reason = 'gate_match'
    AND candidate IN (SELECT candidate FROM matches WHERE incident = ?)
"""


# -- what is sealed ---------------------------------------------------------------------------------------------------


def expire(ws: "Workspace", strays: bool = False) -> list[str]:
    """Remove sealed files whose day has come, and note that in the incident and in the log; their names.

    `strays`: also what a killed run sealed and did not record; for the holder of the driver's seat.
    """
    known = seals(ws.catalog)
    gone = preserve.sweep(ws.work, {name: expires for name, (_, expires) in known.items()}, strays)
    for name in gone:
        if name in known:
            with ws.catalog.tx() as db:
                sql = "UPDATE incidents SET detail = json_remove(detail, '$.sealed') WHERE incident = ?"
                db.execute(sql + " AND json_extract(detail, '$.sealed') = ?", (known[name][0], name))
                db.execute("UPDATE matches SET sealed = NULL WHERE sealed = ?", (name,))
                ws.catalog.append(db, "seal_expired", None, {"incident": known[name][0]})
    return gone


def seals(catalog: "Catalog") -> dict[str, tuple[int, str]]:
    """The sealed files that incidents name: which incident, and until when."""
    sql = """
    SELECT json_extract(detail, '$.sealed') AS name, incident, json_extract(detail, '$.expires') AS expires
    FROM incidents WHERE json_extract(detail, '$.sealed') IS NOT NULL
    UNION SELECT sealed, incident, expires FROM matches WHERE sealed IS NOT NULL
    """
    return {row["name"]: (row["incident"], row["expires"]) for row in catalog.all(sql)}


def _row(catalog: "Catalog", number: int) -> "Row":
    rows = catalog.all("SELECT * FROM incidents WHERE incident = ?", (number,))
    if not rows:
        raise UsageError(f"incident {number}: there is no such incident; `curate screening incident` lists them")
    return rows[0]


def _tool(ws: "Workspace", row: "Row") -> dict[str, Any]:
    found = ws.catalog.all("SELECT tool, started_at, screening FROM runs WHERE run = ?", (row["run"],))
    run = dict(found[0]) if found else {}
    return {"version": run.get("tool"), "run_started_at": run.get("started_at"), "screening": run.get("screening")}
