"""The header of a release: what it holds, what it was made of and under which settings."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from curate import __version__
from curate.features import frames, hashes
from curate.label import table as weak_table
from curate.label.estimate.beside import beside
from curate.label.final import vanished
from curate.label.taxonomy import carry
from curate.plugins import called, make, named
from curate.policy import minors, refusals
from curate.release.redact import removed
from curate.release.rows import SCHEMA, Rows, config_sha256
from curate.screening import history, set_aside
from curate.screening.asked import Tally
from curate.screening.gate import Gate
from curate.stats.coverage import over
from curate.store import eligibility

if TYPE_CHECKING:
    from curate.config import Config
    from curate.store.workspace import Workspace
from curate.release.gates import leakage
from curate.release.versions import last

# -- what is written -------------------------------------------------------------------------------------------------


def coverage_of(ws: "Workspace") -> dict[str, Any]:
    """How many of the samples that are not held back the gate against leaks knows by all that dedupe asks.

    Incomplete, too, where the labels in force are: what could not be asked flagged nothing.
    """
    ids = eligibility.active(ws.catalog)[0].to_pylist()
    found = over(len(ids), len({*hashes.unread(ws, ids), *frames.unread(ws, ids)}))
    reports = (weak_table.report(ws, axis) or {} for axis in ws.config.taxonomy.axes)
    labels = (f"the labels: {why}" for one in reports if (why := one.get("incomplete")))
    return found | {"incomplete": "; ".join(dict.fromkeys(filter(None, (found["incomplete"], *labels)))) or None}


def axes_of(config: "Config") -> list[dict[str, Any]]:
    """The axes of the taxonomy as a header has them."""
    return [
        {"name": a.name, "classes": a.classes, "safe": a.safe, "borderline": a.borderline} for a in config.taxonomy.axes
    ]


def header_of(ws: "Workspace", version: str, rows: Rows, gate: Gate, found: Tally) -> dict[str, Any]:
    """What `release.json` says, but for the digests of its files. docs/releases.md lists the keys."""
    config = ws.config
    counts = {split: Counter(table.column("label").to_pylist()) for split, table in rows.tables.items()}
    known = last(ws)
    return {
        "schema": SCHEMA,
        "tool": f"curate-media {__version__}",
        "version": version,
        "parent": known and {"version": known[0], "sha256": known[1]},
        "taxonomy": {
            "version": config.taxonomy.version,
            "axes": axes_of(config),
        }
        | ({"changes": told} if (told := carry.history(ws)) else {}),
        "config_sha256": config_sha256(config),
        "splits": {"shares": config.export.splits, "salt": config.export.salt},
        "leakage": leakage(config.dedupe),
        "screening": _screening(ws, gate, found),
        "approvals": _approvals(ws),
        "policy": {"refusals": refusals.version(), "minors": minors.version()},
        "columns": rows.tables["train"].column_names,
        "order": "id, ascending",
        "rows": {split: table.num_rows for split, table in rows.tables.items()},
        "counts": {split: dict(sorted(counted.items())) for split, counted in counts.items()},
        "vanished": vanished(ws, config.taxonomy.first, {name for one in counts.values() for name in one}),
        "excluded": rows.excluded,
        "audit": {axis.name: beside(ws, axis) for axis in config.taxonomy.axes},
        "advise": advice(ws),
        "removed": removed(ws),
        "removals": config.export.removals,
    } | {key: said for key, said in (("notices", notices(ws)), ("functions", coverages(ws))) if said}


def advice(ws: "Workspace") -> dict[str, Any]:
    """By axis, the labelling functions whose flags kept nothing back, and the audit that lets them."""
    said = {axis.name: weak_table.report(ws, axis) or {} for axis in ws.config.taxonomy.axes}
    return {name: report["advise"] for name, report in said.items() if report.get("advise")}


def coverages(ws: "Workspace") -> dict[str, Any]:
    """By axis and labelling function, the share of the samples that it voted on when the labels in force were made."""
    said = {axis.name: weak_table.report(ws, axis) or {} for axis in ws.config.taxonomy.axes}
    found = {
        name: {one["name"]: round(one["coverage"], 4) for one in report.get("functions", ())}
        for name, report in said.items()
    }
    return {name: shares for name, shares in found.items() if shares}


def notices(ws: "Workspace") -> dict[str, str]:
    """By name, the labelers of which a release must say something, as of their licence, and what."""
    tables = {called(one): one for one in ws.config.labelers}
    return {
        name: make("labelers", one, "labeler").notice
        for name, one in sorted(tables.items())
        if hasattr(named("labelers", one.use, one.where, "labeler"), "notice")
    }


def _screening(ws: "Workspace", gate: Gate, found: Tally) -> dict[str, Any]:
    """The lists in force, without their file times, and the matchers; how many items ever matched; what was not asked.

    Of each list: since when each row was asked about it at least once, and how many were before its file changed.
    """
    said: dict[str, Any] = gate.summary()
    lists = [{key: value for key, value in one.items() if key != "modified"} for one in said["lists"]]
    for one in (*lists, *said["matchers"]):
        name = one["name"]
        one |= {"asked_since": found.since.get(name), "asked_before_it_changed": found.before[name]}
    ignored = set_aside.summary(ws.catalog)
    return {
        "required": gate.required,
        "healthy": gate.healthy,
        "lists": lists,
        "matchers": said["matchers"],
        "pdq_radius": said["pdq_radius"],
        "matched": history.matched(ws.catalog),
        "unscreened": found.unscreened,
        "unknown": found.unknown,
    } | ({"set_aside": ignored} if ignored else {})


def _approvals(ws: "Workspace") -> list[dict[str, str]]:
    """Why lists with classes that are not safe were fetched, and who answers for it."""
    sql = """
    WITH said AS (
        SELECT source, json_extract(options, '$.reason') AS reason, json_extract(options, '$.approved_by') AS name
        FROM sources UNION ALL SELECT source, reason, approved_by FROM approvals
    )
    SELECT DISTINCT plugin, coalesce(reason, ''), name FROM said JOIN sources USING (source)
    WHERE name IS NOT NULL AND source IN (
        SELECT m.source FROM mentions m JOIN candidates c USING (candidate) WHERE c.sample IS NOT NULL)
    ORDER BY 1, 2, 3
    """
    return [{"use": row[0], "reason": row[1], "approved_by": row[2]} for row in ws.catalog.all(sql)]
