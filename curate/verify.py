"""`curate verify`: is everything in the workspace still what was put there? Reads every byte, and repairs if asked."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from curate.errors import StoreError
from curate.progress import Progress
from curate.release import HEADER
from curate.store.tables import Table
from curate.store.workspace import Workspace

CATALOG = "catalog.db"
DIGESTS = ("sha256", "sha1", "md5")
_BLOCK = 1 << 20
_DISAGREE = """
SELECT m.sample, 'its split is ' || m.split || ' in members, ' || coalesce(s.split, 'none') || ' in splits'
FROM members m LEFT JOIN splits s USING (sample) WHERE m.split IS NOT s.split
UNION ALL
SELECT m.sample, 'its group is ' || m.grp || ' in members, ' || coalesce(g.grp, 'none') || ' in group_names'
FROM members m LEFT JOIN group_names g USING (sample) WHERE m.grp IS NOT g.grp
"""


@dataclass
class Findings:
    """What is wrong, and how often. `kinds` counts missing, corrupt, orphans."""

    items: list[dict[str, str]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, name: str, problem: str) -> None:
        """Note one thing: a sample by its id, anything else by its path under `work/`."""
        self.kinds[kind] += 1
        self.items.append({"id": name, "problem": problem})


def verify(ws: Workspace, progress: Progress, repair: bool = False) -> dict[str, object]:
    """Re-hash every blob, and check the catalog, the log's chain, the tables and the releases.

    `missing` and `corrupt` count all that is (a sample's bytes, a release's file, a table's part, the catalog);
    `orphans` are blobs that no sample names, and folders of no release. `repair` removes orphaned blobs, partial files
    and corrupt parts of tables (they are made again), and never a blob while the catalog itself is in doubt. What
    SQLite does not notice is not seen: a changed letter in a column of the catalog that no index and no other table
    repeats.
    """
    found = Findings()
    _check(found, lambda: _catalog(ws, found))
    _check(found, lambda: _log(ws, found))
    sound = not found.items
    blobs = _blobs(ws, found, progress, repair and sound)
    _tables(ws, found, repair)
    _check(found, lambda: _releases(ws, found))
    if repair:
        ws.blobs.sweep()
        if sound:
            ws.catalog.note("repair", detail=dict(found.kinds))
    return (
        {"blobs": blobs}
        | {kind: found.kinds[kind] for kind in ("missing", "corrupt", "orphans")}
        | {"items": found.items}
    )


def _check(found: Findings, check: Callable[[], None]) -> None:
    try:
        check()
    except StoreError as error:
        found.add("corrupt", CATALOG, str(error).removeprefix(f"{CATALOG}: "))


# -- the catalog -----------------------------------------------------------------------------------------------------


def _catalog(ws: Workspace, found: Findings) -> None:
    for row in ws.catalog.rows("PRAGMA integrity_check"):
        if row[0] != "ok":
            found.add("corrupt", CATALOG, str(row[0]))
    for row in ws.catalog.rows("PRAGMA foreign_key_check"):
        found.add("corrupt", CATALOG, f"a row of {row[0]} names a row of {row[2]} that is not there")
    for sample, problem in ws.catalog.rows(_DISAGREE):
        found.add("corrupt", sample, problem)


def _log(ws: Workspace, found: Findings) -> None:
    for seq in ws.catalog.broken_links():
        found.add("corrupt", f"log:{seq}", "the log's chain is broken at this row")


# -- the bytes -------------------------------------------------------------------------------------------------------


def _blobs(ws: Workspace, found: Findings, progress: Progress, repair: bool) -> int:
    """Check every blob against its name and its row, and say how many there are."""
    rows: dict[str, tuple[object, ...]] | None = None
    try:
        sql = "SELECT id, sha1, md5, bytes FROM samples"
        rows = {row[0]: tuple(row[1:]) for row in ws.catalog.stream(sql)}
    except StoreError as error:
        found.add("corrupt", CATALOG, f"samples cannot be read: {error}")
    count = 0
    with progress.stage("verify", len(rows) if rows else None) as step:
        for name in ws.blobs.list():
            count += 1
            problem = _problem(ws.blobs.path(name), rows.pop(name, ()) if rows is not None else None)
            if problem is not None:
                found.add(problem[0], name, problem[1])
                if repair and problem[0] == "orphans":
                    ws.blobs.delete(name)
            step()
    for name in sorted(rows or ()):
        found.add("missing", name, "its bytes are missing")
    return count


def _problem(path: Path, row: tuple[object, ...] | None) -> tuple[str, str] | None:
    """What is wrong with a blob. `row`: what the catalog says of it; () where it says nothing, None where it cannot."""
    try:
        sha256, *rest = _digests(path)
    except OSError as error:
        return "corrupt", f"it cannot be read: {error.strerror}"
    if sha256 != path.name:
        return "corrupt", f"its bytes have another sha256: {sha256}"
    if row == ():
        return "orphans", "no sample has these bytes"
    if row is not None and tuple(rest) != row:
        return "corrupt", "its row in the catalog tells other digests or another size"
    return None


def _digests(path: Path) -> tuple[object, ...]:
    """sha256, sha1, md5 of a file, and its size."""
    digests = [hashlib.new(name, usedforsecurity=False) for name in DIGESTS]
    size = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            size += len(block)
            for digest in digests:
                digest.update(block)
    return (*(digest.hexdigest() for digest in digests), size)


# -- what was made of them -------------------------------------------------------------------------------------------


def _tables(ws: Workspace, found: Findings, repair: bool) -> None:
    root = ws.work / "tables"
    for folder in sorted(root.glob("*@*")):
        name, _, mark = folder.name.rpartition("@")
        table = Table(root, name, mark)
        for part in table.broken():
            found.add("corrupt", f"tables/{folder.name}/{part}", "this part is not what was written")
            if repair:
                table.remove(part)


def _releases(ws: Workspace, found: Findings) -> None:
    root = ws.work / "releases"
    known = {row[0]: row[1] for row in ws.catalog.rows("SELECT version, sha256 FROM releases ORDER BY version")}
    for version, sha256 in known.items():
        for name, wanted in _listed(root / version, sha256, found):
            _file(root.parent, f"releases/{version}/{name}", wanted, found)
    for folder in sorted(root.iterdir()):
        if folder.name not in known and not folder.name.startswith("."):
            found.add("orphans", f"releases/{folder.name}", "the catalog knows no such release")


def _listed(folder: Path, sha256: str, found: Findings) -> Iterator[tuple[str, str]]:
    """The files inside a release's hash, each with its sha256: release.json, and what it lists where it is readable."""
    yield HEADER, sha256
    try:
        yield from json.loads((folder / HEADER).read_bytes())["files"].items()
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError, AttributeError):
        found.add("corrupt", f"releases/{folder.name}/{HEADER}", "it does not list the release's files")


def _file(root: Path, name: str, wanted: str, found: Findings) -> None:
    try:
        sha256 = _digests(root / name)[0]
    except FileNotFoundError:
        found.add("missing", name, "this file of the release is missing")
    except OSError as error:
        found.add("corrupt", name, f"it cannot be read: {error.strerror}")
    else:
        if sha256 != wanted:
            found.add("corrupt", name, f"its bytes have another sha256: {sha256}")
