"""`curate status`: what the workspace holds, and how far it has come."""

from curate.release import labels
from curate.store import views
from curate.store.workspace import Workspace

_REVIEWED = """
SELECT count(DISTINCT sample) FROM decisions d WHERE undoes IS NULL AND carried_from IS NULL
    AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes = d.decision)
"""


def status(ws: Workspace) -> dict[str, object]:
    """Totals of the workspace. candidates = stored + pending + all that failed, by reason.

    `duplicates` are samples collapsed into a survivor; `held` are samples held back until the operator decides;
    `labelled` are other survivors that have a label on the first axis, by people or weak; `reviewed` are samples on
    which a decision of a person is in force.
    """
    catalog = ws.catalog
    states = dict(_pairs(ws, "SELECT state, count(*) FROM candidates GROUP BY state"))
    held = views.held(catalog)
    known = labels(ws, ws.config.taxonomy.first)
    survivors = {row[0] for row in catalog.rows("SELECT sample FROM members WHERE survivor = sample")}
    return {
        "candidates": sum(states.values()),
        "stored": states.get("stored", 0),
        "pending": states.get("pending", 0),
        "failed": dict(
            _pairs(ws, "SELECT reason, count(*) FROM candidates WHERE state = 'failed' GROUP BY reason ORDER BY reason")
        ),
        "samples": catalog.one("SELECT count(*) FROM samples"),
        "duplicates": catalog.one("SELECT count(*) FROM members WHERE survivor <> sample"),
        "conflicts": catalog.one("SELECT count(*) FROM conflicts"),
        "labelled": len(survivors & known.by_sample.keys() - known.contested - held),
        "held": len(held),
        "reviewed": catalog.one(_REVIEWED),
        "releases": [row[0] for row in catalog.rows("SELECT version FROM releases ORDER BY created_at, version")],
    }


def _pairs(ws: Workspace, sql: str) -> list[tuple[str, int]]:
    return [(row[0], row[1]) for row in ws.catalog.rows(sql)]
