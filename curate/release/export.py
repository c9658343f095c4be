"""`curate export`: a frozen release, behind the gates: built aside, checked on what was written, then recorded."""

import hashlib
import json
import logging
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.contracts import Engine, ReleaseFormat
from curate.engine import engine_of
from curate.errors import DiskFullError, GateError
from curate.records import Manifest
from curate.release import datasheet, removals, signing
from curate.release.reader import HEADER, PROVENANCE, files, load
from curate.release.rows import Rows, collect
from curate.screening.gate import Gate
from curate.store import columns
from curate.store.blobs import disk, write
from curate.store.catalog import now
from curate.store.eligibility import inactive
from curate.store.file_digests import forget, is_as_kept, keep, remember
from curate.store.folders import aside, own
from curate.store.lost import BYTES
from curate.store.tables import to_parquet
from curate.store.witnesses import EXPORTING

if TYPE_CHECKING:
    from curate.progress import Progress
    from curate.store.workspace import Workspace
from curate.release.checked import check
from curate.release.formats import Formats, check_formats, is_media
from curate.release.gates import check_accused, check_leakage, check_licenses, check_rows, check_screened, some_of
from curate.release.header import coverage_of, header_of
from curate.release.provenance import provenance_of
from curate.release.summary import thin
from curate.release.versions import check_released, check_version, settle

log = logging.getLogger(__name__)


def export(
    ws: "Workspace", version: str | None, formats: Mapping[str, ReleaseFormat], progress: "Progress", gate: Gate,
    engine: Engine | None = None, acknowledged: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Freeze the labelled survivors as release `version` (None: the next by Croissant's rule), in each format.

    `acknowledged`: who answers for it, and why, that pictures of classes that are not safe leave. Raises UsageError for
    a version that exists, is none, is no higher one or too small for what changed, where nothing is labelled, or where
    the labels learnt from samples that are tested on now; GateError if a gate refuses. Killed anywhere, it has made no
    release, and made again it is the same to the byte.
    """
    if version is not None:
        check_version(ws, version)
    key = signing.of(ws)
    own(ws.work, "exports")
    with disk():
        with progress.stage("export", 3) as step:
            rows = collect(ws)
            check_rows(rows)
            checked = check(ws, rows, gate)
            rows, asked = checked.rows, checked.asked
            version, changes = settle(ws, version, rows)
            covered, header = coverage_of(ws), header_of(ws, version, rows, gate, asked) | checked.header
            check_formats(Manifest(version, ws.work, header, rows.tables), formats, acknowledged)
            step()
            withdraw_unfinished(ws, version)
            ws.catalog.set(EXPORTING, version)
            with aside(ws.work / "releases", version) as folder, ThreadPoolExecutor(1) as thread:
                provenance = thread.submit(provenance_of, ws.catalog, rows.sorted_ids)  # while gates are asked
                _write(rows, folder, covered, header)
                step()
                check_leakage(ws, made := load(folder))
                write(folder / PROVENANCE, provenance.result())
                write(folder / datasheet.NAME, datasheet.datasheet(made).encode())
            step()
        release = load(ws.work / "releases" / version)
        written = Formats(ws, release, engine or engine_of(ws.config.engine), progress, acknowledged, key)
        removals.update(ws)
        try:
            with aside(own(ws.work, "exports"), version) as folder:
                digests = _write_formats(written, folder, formats)
            sha256 = _record(ws, rows, release, digests, acknowledged)
        except (OSError, DiskFullError):  # nothing more is asked of the disk: the next export lets go of what is left
            raise
        except Exception:  # whatever it was: no release, and nothing of one
            _withdraw(ws, version)
            raise
    _warn(release, small := thin(release.rows))
    for warning in checked.warnings():
        log.warning("release %s: %s", version, warning)
    for one in filter(None, (gate.banner, gate.lacking, asked.lacking and f"{asked.lacking}; release.json says so")):
        progress.note(f"screening: {one}")
    return {
        **covered,
        "version": version,
        "step": changes and changes.level(),
        "path": str(release.path),
        "formats": {name: str(ws.work / "exports" / version / name) for name in sorted(formats)},
        **_left_out(written, formats),
        "rows": release.header["rows"],
        "excluded": dict(rows.excluded),
        "vanished": release.header["vanished"],
        "thin_in_test": small,
        "unscreened": asked.unscreened,
        **checked.facts,
        "sha256": sha256,
    }


def export_also(
    ws: "Workspace", version: str, formats: Mapping[str, ReleaseFormat], progress: "Progress", gate: Gate,
    engine: Engine | None = None, acknowledged: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write a release that exists in formats that it was not written in, or that are not as they were; no row of it
    changes.

    Raises GateError where one of its samples is held back since, or a gate refuses its rows as they are now; UsageError
    where there is no such release.
    """
    check_released(ws, version)
    missing = {name: one for name, one in formats.items() if not is_as_kept(ws, f"exports/{version}/{name}")}
    release = load(ws.work / "releases" / version)
    rows = Rows(release.rows, {})
    check_licenses(ws, rows)
    asked = check_screened(ws, gate, rows)
    _check_held(ws, rows, f"since release {version} was made", "a higher version leaves them out")
    if any(map(is_media, missing.values())):
        check_accused(ws, release)
    check_formats(release, missing, acknowledged, ws.config.taxonomy.axes)
    key = signing.of(ws)
    written = Formats(ws, release, engine or engine_of(ws.config.engine), progress, acknowledged, key)
    for name, one in missing.items():
        with disk(), aside(own(ws.work, "exports", version), name) as folder:
            digests = written.write(name, one, folder)
            _check_held(ws, rows, "while this was written", "nothing is left of it")
        remember(ws, f"exports/{version}/{name}", digests)
        ws.catalog.log("export", version, {"format": name, "acknowledged": acknowledged})
    return {
        "version": version,
        "path": str(release.path),
        "formats": {name: str(ws.work / "exports" / version / name) for name in sorted(formats)},
        "written": sorted(missing),
        **_left_out(written, missing),
        "rows": release.header["rows"],
        "unscreened": asked.unscreened,
        "sha256": hashlib.sha256((release.path / HEADER).read_bytes()).hexdigest(),
    }


def _warn(release: Manifest, small: Sequence[Mapping[str, Any]]) -> None:
    """What nobody should have to look for."""
    there = {name for counted in release.header["counts"].values() for name in counted}
    if gone := release.header["vanished"]:
        log.warning("release %s: sources declare %s, and it holds none of that", release.version, ", ".join(gone))
    if len(there) == 1:
        log.warning("release %s: one class only, %s; no classifier can be trained on it", release.version, *there)
    if small:
        each = ", ".join(
            f"{one['class']} {one['rows']:,} (\N{PLUS-MINUS SIGN} {one['half_width']:.2f})" for one in small
        )
        log.warning("release %s: few in test, with half a figure's 95 %% interval: %s", release.version, each)


def _write(rows: Rows, folder: Path, covered: Mapping[str, Any], header: Mapping[str, Any]) -> None:
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


def _write_formats(written: Formats, folder: Path, formats: Mapping[str, ReleaseFormat]) -> dict[str, str]:
    """Write a release in formats; the sha256 of every file, by name."""
    digests: dict[str, str] = {}
    for name, one in formats.items():
        (folder / name).mkdir(mode=0o700)
        found = written.write(name, one, folder / name)
        digests |= {f"{name}/{file}": sha256 for file, sha256 in found.items()}
    return digests


def _left_out(written: Formats, formats: Mapping[str, ReleaseFormat]) -> dict[str, Any]:
    """How many rows formats with pictures leave out, by why: their `export.json` names each."""
    if not any(map(is_media, formats.values())):
        return {}
    found = Counter(why.partition(":")[0] for why in written.pictures.left_out.values())
    return {"pictures_left_out": dict(sorted(found.items()))}


def _record(
    ws: "Workspace", rows: Rows, release: Manifest, digests: Mapping[str, str], acknowledged: str | None
) -> str:
    """Make it a release: until this, the folder is nothing."""
    version = release.version
    sha256 = hashlib.sha256((release.path / HEADER).read_bytes()).hexdigest()
    keep(ws, f"releases/{version}")
    remember(ws, f"exports/{version}", digests)
    said = {"sha256": sha256, "rows": release.header["rows"]}
    ws.catalog.log("export", version, said | ({"acknowledged": acknowledged} if acknowledged else {}))
    parent = release.header["parent"]
    with ws.catalog.tx() as db:
        _check_held(ws, rows, "while this was written", "export again")
        db.execute(
            "INSERT INTO releases (version, sha256, parent, created_at, run) VALUES (?, ?, ?, ?, ?)",
            (version, sha256, parent and parent["version"], now(), ws.catalog.run),
        )
        db.execute("DELETE FROM meta WHERE key = ?", (EXPORTING,))
        pairs = ((version, sample, split) for sample, split in sorted(rows.ids()))  # as the table is kept
        db.executemany("INSERT INTO released (version, sample, split) VALUES (?, ?, ?)", pairs)
    return sha256


def withdraw_unfinished(ws: "Workspace", but: str | None = None) -> None:
    """Let nothing be left of the release that a killed export was about to make, unless it is the version `but`."""
    if (left := ws.catalog.get(EXPORTING)) not in (None, but):
        _withdraw(ws, left)


def _check_held(ws: "Workspace", rows: Rows, when: str, remedy: str) -> None:
    """Refuse rows of which one is held back, but for lost bytes alone, or was taken down; GateError."""
    out = [one for one, why in inactive(ws.catalog).items() if why != BYTES]
    if late := rows.sorted_ids.filter(columns.among(out, rows.sorted_ids)).to_pylist():
        raise GateError(f"{len(late)} items were held back {when} ({some_of(late)}); {remedy}")


def _withdraw(ws: "Workspace", version: str) -> None:
    """Let nothing be left of what did not become a release."""
    for one in (f"releases/{version}", f"exports/{version}"):
        forget(ws, one)
        shutil.rmtree(ws.work / one, ignore_errors=True)
    removals.withdraw(ws)
    ws.catalog.log("export", version, {"withdrawn": True})
    with ws.catalog.tx() as db:
        db.execute("DELETE FROM meta WHERE key = ?", (EXPORTING,))
