"""Which verb comes next, by what a workspace lacks."""

import shlex
from typing import Any

from curate.admin.status import status
from curate.features import hashes
from curate.label import final, table
from curate.label.functions import mend
from curate.stats.coverage import FEW
from curate.store import eligibility, holds
from curate.store.catalog import BY_HAND, CONFIGURED
from curate.store.columns import among
from curate.store.workspace import Workspace


def following(ws: Workspace, labelled: int | None = None) -> dict[str, str]:
    """`next`: the command that does what is missing; nothing where nothing is. `labelled`: how many survivors have a
    label, where somebody counted them."""
    command = _command(ws, labelled)
    if command in AFTER_LABELS and (broken := _broken(ws)):
        return {"next": f"{broken}, then `curate label`"}
    return {"next": f"`curate {command}`"} if command else {}


def status_and_next(ws: Workspace, since: str | None) -> dict[str, Any]:
    """What `status` says, and what comes next; labels are made once for both."""
    found = status(ws, since)
    return found | following(ws, found["labelled"])


def _broken(ws: Workspace) -> str | None:
    """The labelling functions that fail on more than 5 %, by the report in force, and what is to be done about them."""
    reports = (table.report(ws, axis) or {} for axis in ws.config.taxonomy.axes)
    each = ((one, said.get("samples", 0)) for said in reports for one in said.get("functions", ()))
    failing = [one for one, samples in each if FEW * one.get("faults", 0) > samples]
    return ", ".join(mend(one["name"], one.get("file")) for one in failing) or None


def _command(ws: Workspace, labelled: int | None) -> str | None:
    catalog = ws.catalog
    samples = catalog.scalar("SELECT count(*) FROM samples")
    own, theirs = catalog.scalar(_OWN, (catalog.get(CONFIGURED),)), catalog.scalar(_THEIRS)
    if not samples or own or theirs:
        place = None if ws.config.sources and (own or not theirs) else catalog.scalar(_HYDRATED)
        return "fetch" if place is None else f"hydrate {shlex.quote(place)}"
    held = holds.held(catalog)
    grouped = (row[0] for row in catalog.iterate_tuples(_GROUPED) if row[0] not in held)
    if any(row[0] not in held for row in catalog.iterate_tuples(_UNGROUPED)) or hashes.outdated(ws, grouped):
        return "dedupe"
    if not (final.labelled_now(ws, ws.config.taxonomy.first) if labelled is None else labelled):
        ids, survive = eligibility.active(catalog)
        if not survive.any():
            out = eligibility.inactive(catalog)
            return eligibility.remedy({*out.values()} if len(out) == samples else {eligibility.DUPLICATE})
        if labelled is not None:
            return "label"
        known = final.columns(ws, ws.config.taxonomy.first)
        if not among(known.ids.filter(known.place >= 0), ids.filter(survive)).any():
            return "label"
    return None if catalog.scalar("SELECT count(*) FROM releases") else "export 1.0.0"


AFTER_LABELS = ("label", "export 1.0.0", None)  # what needs labels, or has them
_PENDING = """
SELECT 1 FROM candidates c JOIN mentions m USING (candidate) JOIN sources s USING (source) WHERE c.state = 'pending'
"""
_OWN = f"""
{_PENDING} AND s.plugin <> '{BY_HAND}' AND (?1 IS NULL OR source IN (SELECT value FROM json_each(?1))) LIMIT 1
"""  # noqa: S608 (constants; of what curate.toml names)
_THEIRS = f"{_PENDING} AND s.plugin = '{BY_HAND}' LIMIT 1"  # of releases that were fetched anew
# The release with pending rows, or else the last.
_HYDRATED = f"""
SELECT json_extract(s.options, '$.path') FROM sources s WHERE s.plugin = '{BY_HAND}' ORDER BY EXISTS
(SELECT 1 FROM mentions m JOIN candidates c USING (candidate) WHERE m.source = s.source AND c.state = 'pending') DESC,
s.listed_at DESC LIMIT 1
"""  # noqa: S608
_GROUPED = "SELECT sample FROM members WHERE excluded IS NULL ORDER BY sample"
_UNGROUPED = "SELECT id FROM samples WHERE id NOT IN (SELECT sample FROM members)"
