"""`curate export`: a frozen release, behind the gates: built aside, checked on what was written, then recorded."""

import hashlib
import json
import logging
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import __version__
from curate.config import Config, DedupeConfig
from curate.contracts import Export
from curate.coverage import over
from curate.dedupe import sharing
from curate.dedupe.similarity import Looks, crossings
from curate.errors import GateError, UsageError
from curate.features import frames, hashes
from curate.label import table as weak_table
from curate.label.final import CONFLICT, CONTRADICTED, vanished
from curate.net.redact import redact, redacted
from curate.policy import minors, refusals
from curate.records import SPLITS, Manifest
from curate.release.reader import HEADER, PROVENANCE, files, load
from curate.release.redact import removed
from curate.release.rows import SCHEMA, Rows, collect, config_sha256
from curate.screening import set_aside
from curate.store import eligibility
from curate.store.blobs import disk, write
from curate.store.catalog import now
from curate.store.eligibility import NOT_DEDUPED
from curate.store.file_digests import forget, keep
from curate.store.folders import aside
from curate.store.tables import to_parquet
from curate.store.views import held
from curate.store.witnesses import EXPORTING

if TYPE_CHECKING:
    import numpy as np

    from curate.progress import Progress
    from curate.store.workspace import Workspace

_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)
ASKED = ("train", "test")  # the two splits between which mirrors, turns and borders are always asked
WIDER = ("orientations", "borders")
_SHOWN = 3  # ids that a refusal names
log = logging.getLogger(__name__)


def export(ws: "Workspace", version: str, formats: Mapping[str, Export], progress: "Progress") -> dict[str, Any]:
    """Freeze the labelled survivors as release `version`, and write it in each format.

    Raises UsageError for a version that exists, is none or is no higher one, or where nothing is labelled; GateError if
    a gate refuses. Killed anywhere, it has made no release, and made again it is the same to the byte.
    """
    check_version(ws, version)
    with progress.stage("export", 4) as step, disk():
        rows = collect(ws)
        _check_rows(rows, ws.config)
        covered = _coverage(ws)
        step()
        if (left := ws.catalog.get(EXPORTING)) not in (None, version):
            _withdraw(ws, left)  # of a run that was killed
        ws.catalog.put(EXPORTING, version)
        with aside(ws.work / "releases", version) as folder:
            _write(ws, version, rows, folder, covered)
            step()
            _check_leakage(ws, load(folder))
        release = load(ws.work / "releases" / version)
        step()
        _write_formats(ws.work / "exports", release, formats)
        step()
        try:
            sha256 = _record(ws, rows, release)
        except GateError:
            _withdraw(ws, version)
            raise
    _warn(release)
    return {
        **covered,
        "version": version,
        "path": str(release.path),
        "rows": release.header["rows"],
        "excluded": dict(rows.excluded),
        "vanished": release.header["vanished"],
        "sha256": sha256,
    }


def _warn(release: Manifest) -> None:
    """What nobody should have to look for."""
    there = {name for counted in release.header["counts"].values() for name in counted}
    if gone := release.header["vanished"]:
        log.warning("release %s: sources declare %s, and it holds none of that", release.version, ", ".join(gone))
    if len(there) == 1:
        log.warning("release %s: one class only, %s; no classifier can be trained on it", release.version, *there)


def check_version(ws: "Workspace", version: str) -> None:
    """Raise UsageError for a version that exists, is none, or is below the last."""
    if not _SEMVER.fullmatch(version):
        raise UsageError(f"version '{version}': give MAJOR.MINOR.PATCH, such as 1.0.0")
    if ws.catalog.one("SELECT 1 FROM releases WHERE version = ?", (version,)):
        raise UsageError(f"version {version}: there is such a release, and releases do not change; give a higher one")
    if ws.catalog.one("SELECT 1 FROM forgotten WHERE path = ?", (f"releases/{version}",)):
        raise UsageError(f"version {version}: there was such a release, which was deleted; give a higher one")
    known = [row[0] for row in ws.catalog.rows("SELECT version FROM releases")]
    if known and _order(last := max(known, key=_order)) > _order(version):
        major, minor, patch = _order(last)
        raise UsageError(
            f"version {version}: {last} is out, and versions go up; the next is {major}.{minor}.{patch + 1}"
            f" (or {major}.{minor + 1}.0, {major + 1}.0.0)"
        )


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


# -- what is written -------------------------------------------------------------------------------------------------


def _coverage(ws: "Workspace") -> dict[str, Any]:
    """How many of the samples that are not held back the gate against leaks knows by all that dedupe asks.

    Incomplete, too, where the labels in force are: what could not be asked flagged nothing.
    """
    ids = [one.id for one in eligibility.standings(ws.catalog) if one.held is None]
    found = over(len(ids), len({*hashes.unread(ws, ids), *frames.unread(ws, ids)}))
    reports = (weak_table.report(ws, axis) or {} for axis in ws.config.taxonomy.axes)
    labels = (f"the labels: {why}" for one in reports if (why := one.get("incomplete")))
    return found | {"incomplete": "; ".join(dict.fromkeys(filter(None, (found["incomplete"], *labels)))) or None}


def _write(ws: "Workspace", version: str, rows: Rows, folder: Path, covered: Mapping[str, Any]) -> None:
    digests = {}
    for split, name in files().items():
        data = to_parquet(rows.tables[split])
        write(folder / name, data)
        digests[name] = hashlib.sha256(data).hexdigest()
    header = _header(ws, version, rows) | {"files": digests}
    if covered["incomplete"] or covered["coverage"]["looked_at"] < covered["coverage"]["of"]:
        header |= covered
    text = json.dumps(header, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write(folder / HEADER, text.encode())
    write(folder / PROVENANCE, _provenance(ws, {sample for sample, _ in rows.ids()}))


def _header(ws: "Workspace", version: str, rows: Rows) -> dict[str, Any]:
    config = ws.config
    counts = {split: Counter(table.column("label").to_pylist()) for split, table in rows.tables.items()}
    return {
        "schema": SCHEMA,
        "tool": f"curate-media {__version__}",
        "version": version,
        "parent": _parent(ws),
        "taxonomy": {
            "version": config.taxonomy.version,
            "axes": [
                {"name": a.name, "classes": a.classes, "safe": a.safe, "borderline": a.borderline}
                for a in config.taxonomy.axes
            ],
        },
        "config_sha256": config_sha256(config),
        "splits": {"shares": config.export.splits, "salt": config.export.salt},
        "leakage": _leakage(config.dedupe),
        "screening": {"required": config.screening.required} | _screening(ws),
        "approvals": _approvals(ws),
        "policy": {"refusals": refusals.version(), "minors": minors.version()},
        "columns": rows.tables["train"].column_names,
        "order": "id, ascending",
        "rows": {split: table.num_rows for split, table in rows.tables.items()},
        "counts": {split: dict(sorted(counted.items())) for split, counted in counts.items()},
        "vanished": vanished(ws, config.taxonomy.first, {name for one in counts.values() for name in one}),
        "excluded": rows.excluded,
        "advise": _advise(ws),
        "removed": removed(ws),
    }


def _advise(ws: "Workspace") -> dict[str, Any]:
    """By axis, the labelling functions whose flags kept nothing back, and the audit that lets them."""
    said = {axis.name: weak_table.report(ws, axis) or {} for axis in ws.config.taxonomy.axes}
    return {name: report["advise"] for name, report in said.items() if report.get("advise")}


def _parent(ws: "Workspace") -> dict[str, str] | None:
    """The release before this one, which is the highest."""
    known = {row[0]: row[1] for row in ws.catalog.rows("SELECT version, sha256 FROM releases")}
    if not known:
        return None
    best = max(known, key=_order)
    return {"version": best, "sha256": known[best]}


def _screening(ws: "Workspace") -> dict[str, Any]:
    """What the last fetch passed: lists without their file times, matchers, the radius; and how many items matched."""
    summary = json.loads(ws.catalog.get("screening") or "{}")
    lists = [{key: value for key, value in one.items() if key != "modified"} for one in summary.get("lists", [])]
    sql = "SELECT count(DISTINCT digest) FROM incidents WHERE kind IN ('match', 'rescan')"
    said = {key: summary.get(key) for key in ("matchers", "pdq_radius") if summary.get(key)}
    ignored = set_aside.summary(ws.catalog)
    return {"lists": lists, "matched": ws.catalog.one(sql), **said} | ({"set_aside": ignored} if ignored else {})


def _approvals(ws: "Workspace") -> list[dict[str, str]]:
    """Why lists with classes that are not safe were fetched, and who answers for it."""
    sql = """
    SELECT DISTINCT plugin, json_extract(options, '$.reason'), json_extract(options, '$.approved_by') FROM sources
    WHERE json_extract(options, '$.approved_by') IS NOT NULL AND source IN (
        SELECT m.source FROM mentions m JOIN candidates c USING (candidate) WHERE c.sample IS NOT NULL)
    ORDER BY 1, 2, 3
    """
    return [{"use": row[0], "reason": row[1] or "", "approved_by": row[2]} for row in ws.catalog.rows(sql)]


_FACTS = """
SELECT c.sample AS id, c.kind, c.locator, m.source, m.ref, c.fetched_at, c.attempts, c.http_status, c.headers,
    c.final_url, c.hops, c.retry_after, c.robots, c.hash_check, c.gate, c.may_depict_minors, c.run, m.facts, s.version,
    s.listed_at, r.tool, r.screening
FROM candidates c JOIN mentions m USING (candidate) JOIN sources s USING (source) LEFT JOIN runs r ON r.run = c.run
WHERE c.sample IS NOT NULL ORDER BY c.sample, c.kind, c.locator, m.source, m.ref
"""
_TEXT = (
    "id", "source", "version", "listed_at", "ref", "fetched_at", "headers", "robots", "hash_check", "gate", "screening",
    "tool", "run",
)  # fmt: skip


def _provenance(ws: "Workspace", released: set[str]) -> bytes:
    """A row for each mention of a released sample: what happened to be so when it was fetched. Not part of the hash."""
    import pyarrow as pa

    facts = [row for row in ws.catalog.stream(_FACTS) if row["id"] in released]
    text = {name: [row[name] for row in facts] for name in _TEXT}
    text["ref"] = [redact(row["ref"]) for row in facts]
    numbers = {name: [row[name] for row in facts] for name in ("attempts", "http_status", "may_depict_minors")}
    urls = {
        "url": [redact(row["locator"]) if row["kind"] == "url" else None for row in facts],
        "final_url": [redact(row["final_url"]) if row["final_url"] else None for row in facts],
        "hops": [redacted(row["hops"]) for row in facts],
        "facts": [redacted(row["facts"]) for row in facts],
    }
    columns = {name: pa.array(values, pa.string()) for name, values in (text | urls).items()}
    columns |= {name: pa.array(values, pa.int64()) for name, values in numbers.items()}
    columns["retry_after"] = pa.array([row["retry_after"] for row in facts], pa.float64())
    return to_parquet(pa.table(columns))


def _write_formats(exports: Path, release: Manifest, formats: Mapping[str, Export]) -> None:
    with aside(exports, release.version) as folder:
        for name, one in formats.items():
            (folder / name).mkdir(mode=0o700)
            one.write(release, folder / name)


def _record(ws: "Workspace", rows: Rows, release: Manifest) -> str:
    """Make it a release: until this, the folder is nothing."""
    version = release.version
    sha256 = hashlib.sha256((release.path / HEADER).read_bytes()).hexdigest()
    keep(ws, f"releases/{version}", f"exports/{version}")
    ws.catalog.note("export", version, {"sha256": sha256, "rows": release.header["rows"]})
    parent = release.header["parent"]
    with ws.catalog.tx() as db:
        if late := held(ws.catalog) & {sample for sample, _ in rows.ids()}:
            raise GateError(f"{len(late)} items were held back while this was written ({_some(late)}); export again")
        db.execute(
            "INSERT INTO releases (version, sha256, parent, created_at, run) VALUES (?, ?, ?, ?, ?)",
            (version, sha256, parent and parent["version"], now(), ws.catalog.run),
        )
        db.execute("DELETE FROM meta WHERE key = ?", (EXPORTING,))
        pairs = ((version, sample, split) for sample, split in rows.ids())
        db.executemany("INSERT INTO released (version, sample, split) VALUES (?, ?, ?)", pairs)
    return sha256


def _withdraw(ws: "Workspace", version: str) -> None:
    """Let nothing be left of what did not become a release."""
    for one in (f"releases/{version}", f"exports/{version}"):
        forget(ws, one)
        shutil.rmtree(ws.work / one, ignore_errors=True)
    ws.catalog.note("export", version, {"withdrawn": True})
    with ws.catalog.tx() as db:
        db.execute("DELETE FROM meta WHERE key = ?", (EXPORTING,))


# -- the gates -------------------------------------------------------------------------------------------------------


def _check_rows(rows: Rows, config: Config) -> None:
    if not any(table.num_rows for table in rows.tables.values()):
        why = ", ".join(f"{n} {reason}" for reason, n in rows.excluded.items()) or "the workspace is empty"
        raise UsageError(f"nothing to release ({why}); {_remedy(rows.excluded, config)}")
    if config.export.require_license:
        bare = [
            sample
            for table in rows.tables.values()
            for sample, one in zip(table.column("id").to_pylist(), table.column("license").to_pylist(), strict=True)
            if one is None
        ]
        if bare:
            raise GateError(
                f"licence: {len(bare)} items have none ({_some(bare)}), and [export] require_license = true"
            )


def _remedy(excluded: Mapping[str, int], config: Config) -> str:
    """What comes next where there is nothing to release: the first step that has not been taken."""
    if not excluded:
        return "`curate fetch` comes first"
    if NOT_DEDUPED in excluded:
        return "`curate dedupe` and `curate label` come first"
    if "unlabelled" in excluded:
        return "`curate label` gives labels by what [[labelers]] and [label] functions say, `curate review` people's"
    if CONTRADICTED in excluded or CONFLICT in excluded:
        return (
            "people settle what is contradicted: `curate queue conflict`, then `curate review`; where a labelling"
            " function failed, mend it, then `curate label`"
        )
    return "`curate status` and `curate verify` say more"


def _check_leakage(ws: "Workspace", release: Manifest) -> None:
    """Refuse a release that shares an item, a group or a near-duplicate between splits. Reads what was written."""
    columns = {split: release.rows[split].select(["id", "group", "split"]).to_pydict() for split in SPLITS}
    for split in SPLITS:
        astray = [i for i, named in zip(columns[split]["id"], columns[split]["split"], strict=True) if named != split]
        if astray:
            raise GateError(f"leakage: {len(astray)} items in {split} belong to another split ({_some(astray)})")
    ids = Counter(sample for split in SPLITS for sample in columns[split]["id"])
    if twice := [sample for sample, n in ids.items() if n > 1]:
        raise GateError(f"leakage: {len(twice)} items are there twice ({_some(twice)})")
    for one, other in combinations(SPLITS, 2):
        if shared := set(columns[one]["group"]) & set(columns[other]["group"]):
            raise GateError(f"leakage: {len(shared)} groups are in {one} and in {other} ({_some(shared)})")
    _check_near(ws, {split: columns[split]["id"] for split in SPLITS})


def _check_near(ws: "Workspace", ids: Mapping[str, list[str]]) -> None:
    """Every two splits by what dedupe grouped by; test and train by mirrors, turns and borders, whatever that is."""
    import numpy as np

    known = {split: Looks.of(ws, ids[split]) for split in SPLITS}
    missing = [ids[split][n] for split in SPLITS for n in np.flatnonzero(~known[split].hashed)]
    if missing:
        raise GateError(
            f"leakage: {len(missing)} items have no perceptual hash ({_some(missing)});"
            " run `curate dedupe` again, which leaves out what cannot be hashed for good"
        )
    every = {split: sharing.every(ws, ids[split], known[split]) for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        found = [*sharing.crossed(every[one], every[other]), *crossings(known[one], known[other], ws.config.dedupe)]
        _refuse(ids, (one, other), found, "run `curate dedupe` again")
    full = replace(ws.config.dedupe, orientations=True, borders=True)
    if full != ws.config.dedupe:
        left, right = (Looks.of(ws, ids[split], full) for split in ASKED)
        remedy = "set orientations and borders to true in [dedupe], and run it again"
        _refuse(ids, ASKED, crossings(left, right, full), remedy)


def _refuse(
    ids: Mapping[str, list[str]], two: tuple[str, str], crossed: "Iterable[tuple[str, int, np.ndarray]]", remedy: str
) -> None:
    one, other = two
    for name, radius, found in crossed:
        if len(found):
            pairs = [f"{ids[one][a]} and {ids[other][b]}" for a, b in found[:_SHOWN].tolist()]
            raise GateError(
                f"leakage: {len(found)} pairs between {one} and {other} look alike ({name}, {radius} bits or fewer"
                f" apart: {'; '.join(pairs)}); {remedy}"
            )


def _leakage(config: DedupeConfig) -> dict[str, Any]:
    """By what no two splits share anything; and where dedupe was told to look for less, what test and train do not."""
    by = {"hash": config.hash, "radius": config.group_radius, "frames": config.frames}
    by |= {name: getattr(config, name) for name in WIDER}
    if config.orientations:
        by["turned_radius"] = config.turned_radius
    if all(getattr(config, name) for name in WIDER):
        return by
    return by | {"test_against_train": dict.fromkeys(WIDER, True) | {"turned_radius": config.turned_radius}}


def _some(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
