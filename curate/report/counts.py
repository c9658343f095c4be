"""What a report counts, asked of the catalog, the tables and the releases: plain dicts, so that it can be checked."""

import hashlib
import json
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

from curate import __version__
from curate.config import CONFIG_NAME, digest
from curate.errors import StoreError
from curate.fetch.coverage import WORTH_RETRYING
from curate.fetch.reasons import MEANING
from curate.label.final import labels as release_labels
from curate.plugins import called
from curate.records import SPLITS, Axis, Reason
from curate.release.reader import HEADER, load
from curate.release.summary import screened, summary
from curate.screening import history
from curate.store import eligibility
from curate.store.holds import held
from curate.store.samples import declared
from curate.store.workspace import Workspace

EXAMPLES, LOOKED_AT = 3, 100  # mentions named for each reason, of the first so many
CONFLICTS = 20  # conflicts named; all are counted
BY = ("human", "weak", "model")  # who gives labels: people, the label model, the bootstrap classifier

_FILE_LINE = re.compile(r"[^:?#]{1,300}:\d{1,12}")


def place(ref: str | None) -> str | None:
    """`file:line` of a mention, the file without its folders; None for a reference of any other shape."""
    return ref.rpartition("/")[2] if ref and _FILE_LINE.fullmatch(ref) else None


def _pairs(ws: Workspace, sql: str) -> dict[str, int]:
    return {row[0]: row[1] for row in ws.catalog.all(sql)}


def about(ws: Workspace) -> dict[str, Any]:
    """What was run, on which configuration, and how the last runs ended."""
    runs = ws.catalog.all(
        "SELECT verb, status, json_extract(result, '$.why') AS why, tool, config, started_at, ended_at FROM runs"
        " ORDER BY started_at, run"
    )
    return {
        "name": ws.root.name,
        "tool": __version__,
        "config": digest(ws.root) if (ws.root / CONFIG_NAME).is_file() else None,
        "taxonomy": ws.config.taxonomy.version,
        "axes": {axis.name: {"classes": axis.classes, "safe": axis.safe} for axis in ws.config.taxonomy.axes},
        "runs": [dict(row) for row in runs],
    }


def screening(ws: Workspace) -> dict[str, Any]:
    """Which lists the configuration names, which ones the last fetch passed (None: no fetch yet), what they matched."""
    last, options = json.loads(ws.catalog.get("screening") or "null"), ws.config.screening
    return {
        "configured": [called(one) for one in (*options.lists, *options.matchers)],
        "required": ws.config.screening.required,
        "passed": [*last["lists"], *last.get("matchers", ())] if last else None,
        "matched": history.matched(ws.catalog),
        "incidents": _pairs(ws, "SELECT state, count(*) FROM incidents GROUP BY state ORDER BY state"),
        "held": len(held(ws.catalog)),
    }


def candidates(ws: Workspace) -> dict[str, int]:
    """Candidates by state, and the samples and bytes that they are."""
    states = _pairs(ws, "SELECT state, count(*) FROM candidates GROUP BY state")
    samples, size = ws.catalog.all("SELECT count(*), coalesce(sum(bytes), 0) FROM samples")[0]
    found = {state: states.get(state, 0) for state in ("stored", "failed", "pending")}
    return {"candidates": sum(states.values()), **found, "samples": samples, "bytes": size}


def failures(ws: Workspace) -> list[dict[str, Any]]:
    """Failed candidates by reason, most first; `places` names a few mentions of each."""
    rows = ws.catalog.all(
        f"SELECT reason, count(*) AS n, max({WORTH_RETRYING}) AS retryable FROM candidates WHERE state = 'failed'"  # noqa: S608
        " GROUP BY reason ORDER BY n DESC, reason"
    )
    return [
        {
            "reason": row["reason"],
            "n": row["n"],
            "retryable": bool(row["retryable"]),
            "means": MEANING.get(row["reason"], ""),
            "places": _places(ws, row["reason"]),
        }
        for row in rows
    ]


def _places(ws: Workspace, reason: str) -> list[str]:
    sql = (
        "SELECT m.ref, c.kind FROM candidates c JOIN mentions m USING (candidate)"
        " WHERE c.state = 'failed' AND c.reason = ? ORDER BY c.candidate, m.source, m.ref LIMIT ?"
    )
    rows = ws.catalog.all(sql, (reason, LOOKED_AT))
    files = reason != Reason.GATE_MATCH  # nobody is led to what matched
    named = (ref if kind == "path" and files else place(ref) for ref, kind in rows)
    return list(islice(filter(None, named), EXAMPLES))


def sources(ws: Workspace) -> list[dict[str, Any]]:
    """Each source's candidates by state; one that two sources name is counted at both."""
    rows = ws.catalog.all(
        "SELECT s.source, s.plugin, s.options, c.state, count(DISTINCT c.candidate) AS n FROM sources s"
        " LEFT JOIN mentions m USING (source) LEFT JOIN candidates c USING (candidate)"
        " GROUP BY s.source, c.state ORDER BY s.plugin, s.source, c.state"
    )
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        one = found.setdefault(row["source"], {"source": row["source"], "of": _subject(row["options"])})
        one.setdefault("n", Counter())[row["state"]] += row["n"]
    return [
        {"source": one["source"], "of": one["of"], "candidates": one["n"].total()}
        | {state: one["n"][state] for state in ("stored", "failed", "pending")}
        for one in found.values()
    ]


def _subject(options: str) -> str:
    """The last part of a source's path and the class it is of, without the folders that lead there."""
    values = json.loads(options)
    parts = [Path(str(values["path"])).name] if values.get("path") else []
    return ", ".join(parts + ([str(values["label"])] if values.get("label") else []))


def duplicates(ws: Workspace) -> dict[str, Any]:
    """Groups (loose) and collapse sets (tight) of two and more, what dedupe left out, and who contradicts whom."""
    one = ws.catalog.scalar
    sized = "SELECT count(*) FROM (SELECT 1 FROM members GROUP BY {} HAVING count(*) > 1)"
    within = "SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM members GROUP BY {} HAVING n > 1)"
    left_out = "SELECT excluded, count(*) FROM members WHERE excluded IS NOT NULL GROUP BY excluded ORDER BY excluded"
    splits = _pairs(ws, "SELECT split, count(*) FROM members WHERE sample = survivor GROUP BY split")
    conflicts = ws.catalog.all("SELECT kind, subject, axis, reason FROM conflicts ORDER BY kind, subject, axis")
    return {
        "looked_at": one("SELECT count(*) FROM members"),
        "groups": one(sized.format("grp")),
        "grouped": one(within.format("grp")),
        "collapse_sets": one(sized.format("collapse")),
        "collapsed": one(within.format("collapse")),
        "duplicates": one("SELECT count(*) FROM members WHERE sample <> survivor"),
        "excluded": _pairs(ws, left_out),
        "splits": {split: splits.get(split, 0) for split in SPLITS},
        "conflicts": len(conflicts),
        "conflicts_named": [dict(row) for row in conflicts[:CONFLICTS]],
    }


def survivors(ws: Workspace) -> list[str]:
    """Every sample that is not collapsed into another one and not held, sorted."""
    return eligibility.survivors(ws.catalog)


def labels(ws: Workspace, axis: Axis) -> dict[str, Any]:
    """Survivors by class and by who gave the label, as a release would say; `declared` is what sources say, `withheld`
    how many have no label though somebody says something of them, by reason.

    `of` is the `release.Label` of each survivor that has one.
    """
    kept, known = survivors(ws), release_labels(ws, axis)
    of = {name: known.by_sample[name] for name in kept if name in known.by_sample}
    said = declared(ws.catalog, axis.name, taxonomy=ws.config.taxonomy.version)
    given = Counter((one.name, one.source) for one in of.values())
    declarations = Counter(label for name in kept for label in said.get(name, ()))
    return {
        "axis": axis.name,
        "classes": [
            {"class": name, **{by: given[name, by] for by in BY}, "declared": declarations[name]}
            for name in axis.classes
        ],
        "survivors": len(kept),
        "unlabelled": len(kept) - len(of),
        "withheld": dict(sorted(Counter(known.withheld[name] for name in kept if name in known.withheld).items())),
        "of": of,
    }


def releases(ws: Workspace) -> list[dict[str, Any]]:
    """Each release, oldest first: rows by split and class, what was left out; `rows` is None where it is damaged."""
    rows = ws.catalog.all("SELECT version, sha256, parent, created_at FROM releases ORDER BY created_at, version")
    return [dict(row) | _release(ws.work / "releases" / row["version"], row["sha256"]) for row in rows]


def _release(folder: Path, sha256: str) -> dict[str, Any]:
    """What its header says, and what its rows hold (`holds`, None where a file of it is damaged)."""
    found = _header(folder / HEADER, sha256)
    try:
        release = load(folder, sha256)
    except StoreError:
        return found | {"holds": None, "screened": []}
    return found | {"holds": summary(release), "screened": screened(release.header)}


def _header(path: Path, sha256: str) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    if hashlib.sha256(data).hexdigest() != sha256:
        return {"rows": None, "excluded": {}}
    header = json.loads(data)
    known = {key: header.get(key) for key in ("excluded", "coverage", "incomplete")}
    return {"rows": {split: header["counts"][split] for split in SPLITS}, **known}


def models(ws: Workspace) -> list[dict[str, Any]]:
    """What `curate train` found of each baseline, by release and name; `evals`: what `curate eval` did on its test."""
    rows = ws.catalog.all("SELECT model, version, result FROM models ORDER BY version, model")
    every = [json.loads(row["result"]) | {"name": row["model"], "release": row["version"]} for row in rows]
    others = [one for one in every if one["name"].startswith("eval:") and one["split"] == "test"]
    return [
        one | {"model": one["name"], "evals": [other for other in others if other["release"] == one["release"]]}
        for one in every
        if not one["name"].startswith("eval:")
    ]
