"""Which verb comes next, by what a workspace lacks."""

import shlex

from curate.features import hashes
from curate.label import final, table
from curate.label.functions import mend
from curate.stats.coverage import FEW
from curate.store import eligibility, holds
from curate.store.catalog import BY_HAND
from curate.store.columns import among
from curate.store.workspace import Workspace


def following(ws: Workspace) -> dict[str, str]:
    """`next`: the command that does what is missing; nothing where nothing is."""
    command = _command(ws)
    if command in AFTER_LABELS and (broken := _broken(ws)):
        return {"next": f"{broken}, then `curate label`"}
    return {"next": f"`curate {command}`"} if command else {}


def _broken(ws: Workspace) -> str | None:
    """The labelling functions that fail on more than 5 %, by the report in force, and what is to be done about them."""
    reports = (table.report(ws, axis) or {} for axis in ws.config.taxonomy.axes)
    each = ((one, said.get("samples", 0)) for said in reports for one in said.get("functions", ()))
    failing = [one for one, samples in each if FEW * one.get("faults", 0) > samples]
    return ", ".join(mend(one["name"], one.get("file")) for one in failing) or None


def _command(ws: Workspace) -> str | None:
    catalog = ws.catalog
    samples, pending = catalog.scalar("SELECT count(*) FROM samples"), catalog.scalar(_PENDING)
    if not samples or pending:
        return _fetching(ws)
    held = holds.held(catalog)
    grouped = (row[0] for row in catalog.iterate_tuples(_GROUPED) if row[0] not in held)
    if any(row[0] not in held for row in catalog.iterate_tuples(_UNGROUPED)) or hashes.outdated(ws, grouped):
        return "dedupe"
    if not final.labelled_now(ws, ws.config.taxonomy.first):
        ids, survive = eligibility.active(catalog)
        if not survive.any():
            out = eligibility.inactive(catalog)
            return eligibility.remedy({*out.values()} if len(out) == samples else {eligibility.DUPLICATE})
        known = final.columns(ws, ws.config.taxonomy.first)
        if not among(known.ids.filter(known.place >= 0), ids.filter(survive)).any():
            return "label"
    return None if catalog.scalar("SELECT count(*) FROM releases") else "export 1.0.0"


def _fetching(ws: Workspace) -> str:
    """What brings samples: `hydrate`, of the release with pending rows or else the last, where no source is named."""
    place = None if ws.config.sources else ws.catalog.scalar(_HYDRATED)
    return "fetch" if place is None else f"hydrate {shlex.quote(place)}"


AFTER_LABELS = ("label", "export 1.0.0", None)  # what needs labels, or has them
_PENDING = "SELECT count(*) FROM candidates WHERE state = 'pending'"
_HYDRATED = f"""
SELECT json_extract(s.options, '$.path') FROM sources s WHERE s.plugin = '{BY_HAND}' ORDER BY EXISTS
(SELECT 1 FROM mentions m JOIN candidates c USING (candidate) WHERE m.source = s.source AND c.state = 'pending') DESC,
s.listed_at DESC LIMIT 1
"""  # noqa: S608
_GROUPED = "SELECT sample FROM members WHERE excluded IS NULL ORDER BY sample"
_UNGROUPED = "SELECT id FROM samples WHERE id NOT IN (SELECT sample FROM members)"
