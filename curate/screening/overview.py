"""What `curate screening status` says of all that is stored, and of all incidents."""

from typing import TYPE_CHECKING, Any

from curate.screening import asked, history
from curate.screening.incidents import expire, seals
from curate.store import holds

if TYPE_CHECKING:
    from curate.screening.gate import Gate
    from curate.store.catalog import Catalog
    from curate.store.workspace import Workspace


def overview(ws: "Workspace", gate: "Gate") -> dict[str, Any]:
    """How much of what is stored was screened by the lists in force, what matched, incidents, what is sealed.

    Expired seals are removed. `exact_only` counts all that ever passed the gate, stored or not.
    """
    states = ws.catalog.all("SELECT state, count(*) FROM incidents GROUP BY state ORDER BY state")
    gone, found = expire(ws), asked.tally(ws.catalog, gate)
    return {
        "stored": found.of,
        "screened": found.of - found.unscreened - found.unknown,
        "unscreened": found.unscreened,
        "screening_unknown": found.unknown,
        "never_screened_by": dict(found.never),
        "matched": history.matched(ws.catalog),
        "exact_only": history.screened(ws.catalog).get("exact_only", 0),
        "incidents": {row[0]: row[1] for row in states},
        "unacknowledged": holds.untold(ws.catalog),
        "sealed": len(seals(ws.catalog)),
        "expired": len(gone),
    }


def incidents(catalog: "Catalog", most: int | None = None) -> list[dict[str, Any]]:
    """The latest incidents, open ones first: what each is, since when, and who knows of it."""
    sql = """
    SELECT incident AS id, kind, at, state, acknowledged_by FROM incidents
    ORDER BY state = 'open' DESC, incident DESC LIMIT ?
    """
    return [dict(row) for row in catalog.all(sql, (-1 if most is None else most,))]
