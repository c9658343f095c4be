"""Which verb comes next, by what a workspace lacks."""

from curate.label.final import labels
from curate.store import eligibility, holds
from curate.store.workspace import Workspace


def following(ws: Workspace) -> dict[str, str]:
    """`next`: the command that does what is missing; nothing where nothing is."""
    command = _command(ws)
    return {"next": f"`curate {command}`"} if command else {}


def _command(ws: Workspace) -> str | None:
    catalog = ws.catalog
    samples, pending = catalog.scalar("SELECT count(*) FROM samples"), catalog.scalar(_PENDING)
    if not samples or pending:
        return "fetch"
    held = holds.held(catalog)
    if any(row[0] not in held for row in catalog.all(_UNGROUPED)):
        return "dedupe"
    survivors = {*eligibility.survivors(catalog)}
    if not survivors:
        out = eligibility.inactive(catalog)
        return eligibility.remedy({*out.values()} if len(out) == samples else {eligibility.DUPLICATE})
    known = labels(ws, ws.config.taxonomy.first)
    if not known.by_sample.keys() & survivors:
        return "label"
    return None if catalog.scalar("SELECT count(*) FROM releases") else "export 1.0.0"


_PENDING = "SELECT count(*) FROM candidates WHERE state = 'pending'"
_UNGROUPED = "SELECT id FROM samples WHERE id NOT IN (SELECT sample FROM members)"
