"""Takes samples out of releases that hold them. A release changes for nothing else, and a receipt beside it says so.

The row of what was removed becomes a tombstone: it keeps its place and its `split`, `removed` names the receipt, and
everything else is null. `removed.csv` lists the ids for those who were given the release. `docs/releases.md`.
"""

import csv
import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.contracts import ReleaseFormat
from curate.engine import engine_of
from curate.errors import DiskFullError, StoreError, UsageError
from curate.layouts.exported import PUBLIC, SIGNATURE, SUMS
from curate.options import Plugin
from curate.plugins import called, digest_of, make, running
from curate.progress import Progress
from curate.records import Manifest
from curate.release import datasheet, signing
from curate.release.formats import Formats, acknowledged, check_formats, is_media, signed
from curate.release.gates import check_accused
from curate.release.reader import HEADER, PROVENANCE, REMOVED, files, load
from curate.store.blobs import disk, write
from curate.store.file_digests import forget, forget_file, is_as_kept, keep, keep_file, remember
from curate.store.folders import aside
from curate.store.tables import to_parquet

if TYPE_CHECKING:
    import pyarrow as pa

    from curate.store.workspace import Workspace

LIST = "removed.csv"
NAMES = ("id", "group", "parent")  # columns that may name a sample
_LISTED = ("id", "split", "receipt", "at")


@dataclass(frozen=True)
class Redaction:
    """What to take out: each id with the name that its group gets; the formats that each release was exported in."""

    receipt: str
    at: str
    groups: Mapping[str, str]
    exports: Mapping[str, Sequence[str]]


def holding(ws: "Workspace", ids: Sequence[str]) -> list[str]:
    """The releases in whose files an id stands, as a row, a group's name or a parent, in order of their versions."""
    known = [row[0] for row in ws.catalog.all("SELECT version FROM releases ORDER BY created_at, version")]
    gone = frozenset(ids)
    return [one for one in known if ids and any(_holds(path, gone) for path in _parquet(ws.work / "releases" / one))]


def exported(ws: "Workspace", version: str) -> list[str]:
    """The formats that a release was exported in."""
    folder = ws.work / "exports" / version
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def redact(ws: "Workspace", versions: Sequence[str], what: Redaction) -> list[dict[str, Any]]:
    """Take the ids out of each release and of what it was exported as; one entry a release, as the receipt keeps it."""
    done = []
    for version in versions:
        row = _row(ws, version, what.receipt)
        if row is None:
            _release(ws, version, what)
            row = _row(ws, version, what.receipt)
        names = what.exports.get(version, ())
        shared = _formats(ws, version) if names else None
        for name in names:
            export_again(ws, version, name, what.groups, shared)
        keep(ws, f"releases/{version}")
        done.append(dict(row) if row is not None else {"version": version})
    return done


def withdraw_strays(ws: "Workspace") -> None:
    """Let go of what was exported of releases that are none any more: nothing could be taken out of that."""
    releases = {row[0] for row in ws.catalog.all("SELECT version FROM releases")}
    made = {row[0] for row in ws.catalog.all(_EXPORTED)}
    for version in sorted(made - releases):
        shutil.rmtree(ws.work / "exports" / version, ignore_errors=True)
        forget(ws, f"exports/{version}")


_EXPORTED = """
SELECT DISTINCT substr(path, 9, instr(substr(path, 9), '/') - 1) FROM files WHERE path GLOB 'exports/*/*'
"""


def removed(ws: "Workspace") -> list[dict[str, Any]]:
    """Every id that was taken out of a release, with the versions it was in; sorted."""
    found: dict[str, list[str]] = {}
    for path in sorted((ws.work / "releases").glob(f"*/{LIST}")):
        for one in _list(path):
            found.setdefault(one["id"], []).append(path.parent.name)
    return [{"id": one, "versions": versions} for one, versions in sorted(found.items())]


def removed_from(ws: "Workspace") -> list[dict[str, str]]:
    """The line of every id that was taken out of a release, once each, as the first release that lists it has it."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted((ws.work / "releases").glob(f"*/{LIST}")):
        for one in _list(path):
            found.setdefault(one["id"], one)
    return [one for _, one in sorted(found.items())]


# -- one release -----------------------------------------------------------------------------------------------------


def _row(ws: "Workspace", version: str, receipt: str) -> Any:
    sql = "SELECT version, number, before, after FROM redactions WHERE version = ? AND receipt = ?"
    return next(iter(ws.catalog.all(sql, (version, receipt))), None)


def _release(ws: "Workspace", version: str, what: Redaction) -> None:
    """Files, header, receipt, each whole or as it was; then the catalog learns of it. May be done again."""
    folder = ws.work / "releases" / version
    before = str(ws.catalog.scalar("SELECT sha256 FROM releases WHERE version = ?", (version,)))
    number = 1 + int(ws.catalog.scalar("SELECT count(*) FROM redactions WHERE version = ?", (version,)))
    _remember(folder, what)
    for path in _parquet(folder):
        _rewrite(path, what)
    text = json.dumps(_header(folder, what), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write(folder / HEADER, text.encode())
    if (folder / datasheet.NAME).exists():
        write(folder / datasheet.NAME, datasheet.datasheet(load(folder)).encode())
    after = hashlib.sha256(text.encode()).hexdigest()
    said = {"version": version, "number": number, "receipt": what.receipt, "at": what.at}
    said |= {"before": before, "after": after, "digests": [ws.catalog.digest("sha256", one) for one in what.groups]}
    said["files"] = {path.name: _sha256(path) for path in [*_parquet(folder), folder / LIST] if path.exists()}
    write(folder / f"receipt-{number}.json", (json.dumps(said, indent=1, sort_keys=True) + "\n").encode())
    entry = {key: said[key] for key in ("version", "number", "before", "after")}
    ws.tombstones.append({"receipt": what.receipt, "at": what.at, "redacted": [entry]})


def _remember(folder: Path, what: Redaction) -> None:
    """Add the ids that are rows of this release to its removal list."""
    known = {one["id"]: one for one in _list(folder / LIST)}
    for split, name in files().items():
        for one in _ids(folder / name) & what.groups.keys():
            known[one] = {"id": one, "split": split, "receipt": what.receipt, "at": what.at}
    if known:
        out = io.StringIO()
        writer = csv.DictWriter(out, _LISTED, lineterminator="\n")
        writer.writeheader()
        writer.writerows(known[one] for one in sorted(known))
        write(folder / LIST, out.getvalue().encode())


def _list(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _rewrite(path: Path, what: Redaction) -> None:
    gone = frozenset(what.groups)
    if not _holds(path, gone):
        return
    write(path, to_parquet(redacted(_table(path), what.groups, what.receipt)))


def redacted(table: "pa.Table", groups: Mapping[str, str], receipt: str) -> "pa.Table":
    """The rows with tombstones for those of the ids, and no other's group or parent named after one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(groups), pa.string())
    gone = pc.is_in(table.column("id"), value_set=wanted)
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if name == "group":
            column = pa.chunked_array([pa.array([groups.get(one, one) for one in column.to_pylist()], pa.string())])
        elif name == "parent":
            column = pc.if_else(pc.is_in(column, value_set=wanted), pa.scalar(None, column.type), column)
        if name not in ("split", REMOVED):
            column = pc.if_else(gone, pa.scalar(None, column.type), column)
        columns[name] = column
    was = columns.pop(REMOVED, pa.chunked_array([pa.nulls(len(table), pa.string())]))
    columns[REMOVED] = pc.if_else(gone, pa.scalar(receipt, pa.string()), was)
    return pa.table(columns)


def _header(folder: Path, what: Redaction) -> dict[str, Any]:
    """The header as it must be for what the files hold now."""
    header: dict[str, Any] = json.loads((folder / HEADER).read_bytes())
    for split, name in files().items():
        table = _table(folder / name)
        live = [label for label in table.column("label").to_pylist() if label is not None]
        header["files"][name] = _sha256(folder / name)
        header["rows"][split] = len(live)
        header["counts"][split] = dict(sorted(Counter(live).items()))
    if what.receipt not in (known := header.setdefault("redactions", [])):
        known.append(what.receipt)
    return header


def export_again(
    ws: "Workspace", version: str, name: str, gone: Mapping[str, str] | None = None, shared: Formats | None = None
) -> None:
    """Write a release in one format again, or take out of it what is `gone` (each id with the name that its group got)
    where the format can; where nobody knows the format any more, or it fails, it goes. `shared`: by several formats.

    Where nothing is gone, raises GateError for pictures that would not leave today.
    """
    folder, written = ws.work / "exports" / version, shared or _formats(ws, version)
    use = next((one for one in ws.config.export.formats if called(Plugin(one)) == name), name)
    written.acknowledged = acknowledged(ws, version, name)
    try:
        one = make("manifests", Plugin(use, where="exports"), "format")
        if gone is None and is_media(one):
            check_accused(ws, written.release)
            check_formats(written.release, {name: one}, written.acknowledged, ws.config.taxonomy.axes)
        with nullcontext() if digest_of(one) is None else running("exports", name):
            digests = None if gone is None else _taken_out(written, name, one, folder / name, gone)
            if digests is None:
                with aside(folder, name) as out:
                    digests = written.write(name, one, out)
        remember(ws, f"exports/{version}/{name}", digests)
    except (UsageError, StoreError) as error:
        if isinstance(error, DiskFullError) or (gone is None and isinstance(error, StoreError)):
            raise
        shutil.rmtree(folder / name, ignore_errors=True)
        forget(ws, f"exports/{version}/{name}")


def signed_again(ws: "Workspace", version: str, name: str) -> bool:
    """Sign an exported folder, where it says of its files what is known of them, or, where it does not, or no key is at
    hand, let nothing say that it was; whether it is."""
    key = signing.at_hand(ws) if is_as_kept(ws, f"exports/{version}/{name}/{SUMS}") else None
    signed(ws, ws.work / "exports" / version / name, version, key)
    for one in (PUBLIC, SIGNATURE):
        (keep_file if key is not None else forget_file)(ws, f"exports/{version}/{name}/{one}")
    return key is not None


def _formats(ws: "Workspace", version: str) -> Formats:
    release = load(ws.work / "releases" / version)
    key = signing.at_hand(ws)
    return Formats(ws, release, engine_of(ws.config.engine), Progress(quiet=True), signer=key)


def _taken_out(
    written: Formats, name: str, one: ReleaseFormat, out: Path, gone: Mapping[str, str]
) -> dict[str, str] | None:
    """The digests of a format's files once what is gone is taken out of them; None where all is to be written anew."""
    if not hasattr(one, "remove") or not (out / SUMS).is_file():
        return None
    try:
        with disk():
            return written.without(_changed(written.release, gone), name, one, out)
    except DiskFullError:
        raise
    except Exception:  # noqa: BLE001 (whatever is wrong with what lies there, it must not stay)
        return None


def _changed(release: Manifest, gone: Mapping[str, str]) -> set[str]:
    """The ids that are gone, and those whose row names another group since."""
    named, found = frozenset(gone.values()), set(gone)
    for rows in release.rows.values():
        pairs = zip(rows.column("id").to_pylist(), rows.column("group").to_pylist(), strict=True)
        found.update(id for id, group in pairs if group in named)
    return found


# -- files -----------------------------------------------------------------------------------------------------------


def _parquet(folder: Path) -> list[Path]:
    return [path for name in (*files().values(), PROVENANCE) if (path := folder / name).exists()]


def _holds(path: Path, ids: frozenset[str]) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = pa.array(sorted(ids), pa.string())
    try:
        names = [name for name in NAMES if name in pq.read_schema(path).names]
        table = pq.read_table(path, columns=names)
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(
            f"{path}: it cannot be read, so nothing can be taken out of it ({error}); restore it"
        ) from error
    return any(pc.any(pc.is_in(table.column(name), value_set=wanted)).as_py() for name in names)


def _ids(path: Path) -> set[str]:
    import pyarrow.parquet as pq

    return set(pq.read_table(path, columns=["id"]).column("id").to_pylist())


def _table(path: Path) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(path.read_bytes()))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
