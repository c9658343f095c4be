"""`curate export`: a frozen release, behind the gates: built aside, checked on what was written, then recorded."""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.contracts import ReleaseFormat
from curate.errors import GateError
from curate.records import Manifest
from curate.release import removals
from curate.release.reader import HEADER, PROVENANCE, files, load
from curate.release.rows import Rows, collect
from curate.screening.gate import Gate
from curate.store.blobs import disk, write
from curate.store.catalog import now
from curate.store.file_digests import forget, keep
from curate.store.folders import aside
from curate.store.holds import held
from curate.store.tables import to_parquet
from curate.store.witnesses import EXPORTING

if TYPE_CHECKING:
    from curate.progress import Progress
    from curate.store.workspace import Workspace
from curate.release.gates import check_leakage, check_learnt, check_licenses, check_rows, check_screened, some_of
from curate.release.header import coverage_of, header_of
from curate.release.provenance import provenance_of
from curate.release.versions import check_version, settle

log = logging.getLogger(__name__)


def export(
    ws: "Workspace", version: str | None, formats: Mapping[str, ReleaseFormat], progress: "Progress", gate: Gate
) -> dict[str, Any]:
    """Freeze the labelled survivors as release `version` (None: the next by Croissant's rule), in each format.

    Raises UsageError for a version that exists, is none, is no higher one or too small for what changed, where nothing
    is labelled, or where the labels learnt from samples that are tested on now; GateError if a gate refuses. Killed
    anywhere, it has made no release, and made again it is the same to the byte.
    """
    if version is not None:
        check_version(ws, version)
    with progress.stage("export", 4) as step, disk():
        rows = collect(ws)
        check_rows(rows)
        version, changes = settle(ws, version, rows)
        check_licenses(ws, rows)
        check_learnt(ws, rows)
        asked = check_screened(ws, gate, rows)
        covered = coverage_of(ws)
        step()
        if (left := ws.catalog.get(EXPORTING)) not in (None, version):
            _withdraw(ws, left)  # of a run that was killed
        ws.catalog.set(EXPORTING, version)
        with aside(ws.work / "releases", version) as folder:
            _write(ws, rows, folder, covered, header_of(ws, version, rows, gate, asked))
            step()
            check_leakage(ws, load(folder))
        release = load(ws.work / "releases" / version)
        step()
        _write_formats(ws.work / "exports", release, formats)
        removals.update(ws)
        step()
        try:
            sha256 = _record(ws, rows, release)
        except GateError:
            _withdraw(ws, version)
            raise
    _warn(release)
    for one in filter(None, (gate.banner, gate.lacking, asked.lacking and f"{asked.lacking}; release.json says so")):
        progress.note(f"screening: {one}")
    return {
        **covered,
        "version": version,
        "step": changes and changes.level(),
        "path": str(release.path),
        "formats": {name: str(ws.work / "exports" / version / name) for name in sorted(formats)},
        "rows": release.header["rows"],
        "excluded": dict(rows.excluded),
        "vanished": release.header["vanished"],
        "unscreened": asked.unscreened,
        "sha256": sha256,
    }


def _warn(release: Manifest) -> None:
    """What nobody should have to look for."""
    there = {name for counted in release.header["counts"].values() for name in counted}
    if gone := release.header["vanished"]:
        log.warning("release %s: sources declare %s, and it holds none of that", release.version, ", ".join(gone))
    if len(there) == 1:
        log.warning("release %s: one class only, %s; no classifier can be trained on it", release.version, *there)


def _write(ws: "Workspace", rows: Rows, folder: Path, covered: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    digests = {}
    for split, name in files().items():
        data = to_parquet(rows.tables[split])
        write(folder / name, data)
        digests[name] = hashlib.sha256(data).hexdigest()
    header = dict(header) | {"files": digests}
    if covered["incomplete"] or covered["coverage"]["looked_at"] < covered["coverage"]["of"]:
        header |= covered
    text = json.dumps(header, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write(folder / HEADER, text.encode())
    write(folder / PROVENANCE, provenance_of(ws, {sample for sample, _ in rows.ids()}))


def _write_formats(exports: Path, release: Manifest, formats: Mapping[str, ReleaseFormat]) -> None:
    with aside(exports, release.version) as folder:
        for name, one in formats.items():
            (folder / name).mkdir(mode=0o700)
            one.write(release, folder / name)


def _record(ws: "Workspace", rows: Rows, release: Manifest) -> str:
    """Make it a release: until this, the folder is nothing."""
    version = release.version
    sha256 = hashlib.sha256((release.path / HEADER).read_bytes()).hexdigest()
    keep(ws, f"releases/{version}", f"exports/{version}")
    ws.catalog.log("export", version, {"sha256": sha256, "rows": release.header["rows"]})
    parent = release.header["parent"]
    with ws.catalog.tx() as db:
        if late := held(ws.catalog) & {sample for sample, _ in rows.ids()}:
            raise GateError(f"{len(late)} items were held back while this was written ({some_of(late)}); export again")
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
    removals.withdraw(ws)
    ws.catalog.log("export", version, {"withdrawn": True})
    with ws.catalog.tx() as db:
        db.execute("DELETE FROM meta WHERE key = ?", (EXPORTING,))
