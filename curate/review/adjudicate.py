"""`curate adjudicate`: somebody who has not judged a sample settles it, and says why; the reason is a precedent."""

from collections.abc import Mapping
from dataclasses import dataclass

from curate.errors import UsageError
from curate.options import suggest
from curate.records import Axis
from curate.review.guideline import guideline
from curate.store import holds, lookup, views
from curate.store.catalog import later
from curate.store.reviewer import reviewer_name
from curate.store.workspace import Workspace


@dataclass(frozen=True)
class Ruling:
    """Which sample is what, who says so, and why; `axis` None: the first."""

    sample: str
    label: str
    reviewer: str
    reason: str
    axis: str | None = None


def adjudicate(ws: Workspace, ruling: Ruling) -> dict[str, object]:
    """Settle a sample: from now on this is what people say of it, whatever the votes are; the last ruling counts.

    Raises UsageError where nobody judged it, where whoever rules has judged it or a duplicate of it, for a label that
    is no class, without a reason, or for a sample that is held back.
    """
    axis = _axis(ws, ruling)
    sample, reviewer, reason = (
        lookup.one(ws.catalog, ruling.sample),
        reviewer_name(ruling.reviewer),
        ruling.reason.strip(),
    )
    if not reason:
        raise UsageError("adjudicate: say why (a reason); the next reviewer reads it")
    if holds.is_held(ws.catalog, sample):
        raise UsageError("adjudicate: the sample is held back")
    who = {row["reviewer"] for row in ws.catalog.all(_JUDGED, (axis.name, sample, sample))}
    if reviewer in who:
        raise UsageError(f"adjudicate: {reviewer} has judged it, or a duplicate of it; somebody else settles it")
    if not who:
        raise UsageError("adjudicate: nobody has judged it yet; there is nothing to settle")
    row: dict[str, object] = {"sample": sample, "axis": axis.name, "taxonomy": ws.config.taxonomy.version}
    row |= {"label": ruling.label, "reviewer": reviewer, "reason": reason, "run": ws.catalog.run}
    row |= {"guideline": guideline(ws.config.taxonomy).version}
    with ws.catalog.tx() as db:
        row |= {"decided_at": later(db.execute(_WHEN, row).fetchone()[0])}
        number = db.execute(_INSERT, row).lastrowid
        ws.catalog.append(db, "adjudicate", sample, {"axis": axis.name, "label": ruling.label}, reviewer)
    votes: Mapping[str, int] = views.votes(ws.catalog, axis.name, ws.config.taxonomy.version).get(sample, {})
    return {"precedent": number, "axis": axis.name, "label": ruling.label, "votes": dict(sorted(votes.items()))}


def _axis(ws: Workspace, ruling: Ruling) -> Axis:
    axes = {axis.name: axis for axis in ws.config.taxonomy.axes}
    name = ruling.axis or next(iter(axes))
    if name not in axes:
        raise UsageError(f"axis: no such axis '{name}'; {suggest(name, axes)}")
    if ruling.label not in axes[name].classes:
        near = suggest(ruling.label, axes[name].classes)
        raise UsageError(f"label: no such class '{ruling.label}' on axis {name}; {near}")
    return axes[name]


_JUDGED = """
SELECT DISTINCT reviewer FROM decisions WHERE axis = ? AND (sample = ? OR sample IN (
    SELECT o.sample FROM members m JOIN members o USING (collapse) WHERE m.sample = ?))
"""
_WHEN = """
SELECT max(decided_at) FROM precedents WHERE sample = :sample AND axis = :axis AND taxonomy = :taxonomy
    AND reviewer = :reviewer
"""
_INSERT = """
INSERT INTO precedents (sample, axis, taxonomy, label, reviewer, reason, guideline, decided_at, run)
VALUES (:sample, :axis, :taxonomy, :label, :reviewer, :reason, :guideline, :decided_at, :run)
"""
