"""`curate verify`: is everything in the workspace still what was put there? Reads every byte, and repairs if asked."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.errors import GateError, StoreError
from curate.layouts.exported import PUBLIC, SIGNATURE, is_beside
from curate.progress import Progress
from curate.release import datasheet, removals
from curate.release.reader import HEADER, load
from curate.release.redact import export_again, signed_again
from curate.release.unsigned import unsigned
from curate.stats.coverage import Coverage
from curate.store import file_digests, lost
from curate.store.blobs import write
from curate.store.chain import broken
from curate.store.tables import Table
from curate.store.witnesses import CATALOG, EXPORTING, REBUILD, SEAL, outdated
from curate.store.workspace import CACHE_TAGS, Workspace, write_cache_tags

SPOILT = "its bytes have another sha256"
DIGESTS = ("sha256", "sha1", "md5")
_BLOCK = 1 << 20
_ANEW = "it was written anew"
_DISAGREE = """
SELECT m.sample, 'its split is ' || m.split || ' in members, ' || coalesce(s.split, 'none') || ' in splits'
FROM members m LEFT JOIN splits s USING (sample) WHERE m.split IS NOT s.split
UNION ALL
SELECT m.sample, 'its group is ' || m.grp || ' in members, ' || coalesce(g.grp, 'none') || ' in group_names'
FROM members m LEFT JOIN group_names g USING (sample) WHERE m.grp IS NOT g.grp
"""


_DAMAGED = (
    "only blobs were looked at beside it. Put a good copy back with its seal; where another program wrote the catalog"
    f" on purpose, remove {SEAL}, and `curate verify --repair` takes the catalog as it is; {REBUILD}"
)


@dataclass
class Findings:
    """What is wrong, and how often. `kinds` counts missing, corrupt, orphans, and unread: nobody knows what it is."""

    items: list[dict[str, str]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, name: str, problem: str) -> None:
        """Note one thing: a sample by its id, anything else by its path under `work/`."""
        self.kinds[kind] += 1
        self.items.append({"id": name, "problem": problem})


def verify(ws: Workspace, progress: Progress, repair: bool = False) -> dict[str, Any]:
    """Re-hash every blob, and check the catalog, the log's chain, the tables and the releases.

    `missing` and `corrupt` count all that is (a sample's bytes, a release's file, a table's part, the catalog);
    `orphans` are blobs that no sample names, and folders of no release; `unread` blobs are those that the disk does not
    give, so that nobody knows what they are. `repair` removes orphaned blobs, partial files and corrupt parts of tables
    (they are made again), writes damaged exports and a damaged `tombstones.log` anew, and never removes a blob while
    the catalog itself is in doubt. `redacted` names the releases that differ from what was exported because of
    takedowns, with their receipts: the chain of these was checked. Not looked at is what may be deleted at any time:
    `review/`, `spool/`.
    """
    found = Findings()
    if damaged(ws, found):
        return _said(found, _blobs(ws, found, progress, None), [])
    _check(found, lambda: _catalog(ws, found))
    _check(found, lambda: _log(ws, found))
    sound = whole = not found.items
    if ws.catalog.seal.lost:
        found.add("missing", SEAL, "digests of pages are missing: whether the catalog is what was written is not known")
        if repair and sound:
            ws.catalog.reseal()
        sound = False  # what it does not know may be there all the same
    _check(found, lambda: _journal(ws, found, repair and whole))
    blobs = _blobs(ws, found, progress, repair and sound)
    _tables(ws, found, repair)
    _check(found, lambda: _releases(ws, found))
    _check(found, lambda: _files(ws, found, repair))
    _check(found, lambda: _tombstones(ws, found, repair))
    if repair:
        ws.blobs.sweep()
        if sound:
            ws.catalog.log("repair", detail=dict(found.kinds))
    return _said(found, blobs, _redacted(ws)) | {"lost": len(lost.given_up(ws.catalog))}


def wrong(said: Mapping[str, Any]) -> str:
    """How much is not as it was put there; nothing where all is, or only nobody knows."""
    n = len(said["items"]) - said["unread"]
    return f"exit 1: {n} of what was looked at is not as it was put there" if n > 0 else ""


@dataclass(frozen=True)
class _Blobs:
    """How many blobs there are, and how many samples have none."""

    there: int
    missing: int


def _said(found: Findings, blobs: _Blobs, redacted: list[dict[str, object]]) -> dict[str, Any]:
    counts = {kind: found.kinds[kind] for kind in ("missing", "corrupt", "orphans", "unread")}
    covered = Coverage(blobs.there - found.kinds["unread"], blobs.there + blobs.missing, "blobs")
    said = {"blobs": blobs.there} | counts | {"items": found.items, "redacted": redacted}
    return covered.facts(covered.short) | said


def damaged(ws: Workspace, found: Findings) -> bool:
    """Whether pages of the catalog are not what was written: then nothing that it says can be relied on."""
    pages = ws.catalog.broken_pages()
    for page in pages:
        found.add("corrupt", CATALOG, f"page {page} is not what was written, or its seal in {CATALOG}-seal is not")
    if pages:
        found.add("corrupt", CATALOG, _DAMAGED)
    return bool(pages)


def _check(found: Findings, check: Callable[[], None]) -> None:
    try:
        check()
    except StoreError as error:
        found.add("corrupt", CATALOG, str(error).removeprefix(f"{CATALOG}: "))


# -- the catalog -----------------------------------------------------------------------------------------------------


def _catalog(ws: Workspace, found: Findings) -> None:
    for row in ws.catalog.all("PRAGMA integrity_check"):
        if row[0] != "ok":
            found.add("corrupt", CATALOG, str(row[0]))
    for why in outdated(ws):
        found.add("corrupt", CATALOG, why)
    for row in ws.catalog.all("PRAGMA foreign_key_check"):
        found.add("corrupt", CATALOG, f"a row of {row[0]} names a row of {row[2]} that is not there")
    for sample, problem in ws.catalog.all(_DISAGREE):
        found.add("corrupt", sample, problem)


def _log(ws: Workspace, found: Findings) -> None:
    for seq in ws.catalog.broken_links():
        found.add("corrupt", f"log:{seq}", "the log's chain is broken at this row")


def _journal(ws: Workspace, found: Findings, repair: bool) -> None:
    """The journal's chain, and whether it says what the catalog says. Repaired, each knows what the other knew."""
    catalog, before = ws.catalog, len(found.items)
    journal = catalog.journal
    for line in broken(journal.path):
        found.add("corrupt", journal.path.name, f"line {line} is not what was written, or not what follows")
    if catalog.standing == "lost":
        found.add("missing", journal.path.name, "lines that the catalog knows of are missing")
    past = catalog.standing != "other" and len(found.items) > before
    if len(found.items) == before and (differing := catalog.journal_differs()):
        found.add("corrupt", journal.path.name, f"{differing} rows are not what the catalog says")
    if len(found.items) == before and catalog.standing == "other":  # what is on its way there hides what it says
        found.add("corrupt", journal.path.name, "it goes on another way than the catalog")
    if repair and len(found.items) > before:
        secret = journal.secret()
        if secret == catalog.get("secret"):
            catalog.take_journal(past=past)
            ws.tombstones.returned()
        elif secret is not None:
            found.add("corrupt", journal.path.name, "it belongs to another workspace; move it away, and repair again")
            return
        catalog.renew_journal()


# -- the bytes -------------------------------------------------------------------------------------------------------


def _blobs(ws: Workspace, found: Findings, progress: Progress, repair: bool | None) -> _Blobs:
    """Check every blob against its name and its row. `repair` None: against its name alone."""
    rows: dict[str, tuple[object, ...]] | None = None
    try:
        sql = "SELECT id, sha1, md5, bytes FROM samples"
        rows = {row[0]: tuple(row[1:]) for row in ws.catalog.iterate(sql)} if repair is not None else None
    except StoreError as error:
        found.add("corrupt", CATALOG, f"samples cannot be read: {error}")
    count, spoilt, samples = 0, set[str](), set(rows or ())
    given_up = lost.given_up(ws.catalog) if rows is not None else set[str]()
    with progress.stage("verify", len(rows) if rows else None) as step:
        for name in ws.blobs.list():
            count += 1
            problem = _problem(ws.blobs.path(name), rows.pop(name, ()) if rows is not None else None)
            if problem is not None:
                found.add(problem[0], name, problem[1])
                if repair and problem[0] == "orphans":
                    ws.blobs.delete(name)
                if problem[1].startswith(SPOILT):
                    spoilt.add(name)
            step()
    missing = (rows or {}).keys() - given_up
    for name in sorted(missing):
        found.add("missing", name, "its bytes are missing")
    if repair:
        lost.reopen(ws, {*missing, *spoilt} & samples)
    return _Blobs(count, len(missing))


def _problem(path: Path, row: tuple[object, ...] | None) -> tuple[str, str] | None:
    """What is wrong with a blob. `row`: its catalog row; () if absent, None if the catalog is unreadable."""
    try:
        sha256, *rest = _digests(path)
    except OSError as error:
        return "unread", f"it cannot be read: {error.strerror}"
    if sha256 != path.name:
        return "corrupt", f"{SPOILT}: {sha256}"
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
    known = frozenset(row[0] for row in ws.catalog.iterate("SELECT id FROM samples"))
    root = ws.work / "tables"
    for folder in sorted(root.glob("*@*")):
        name, _, fingerprint = folder.name.rpartition("@")
        table = Table(root, name, fingerprint)
        for part in table.broken():
            found.add("corrupt", f"tables/{folder.name}/{part}", "this part is not what was written")
            if repair:
                table.remove(part)
        for part, strangers in table.strangers(known).items():
            found.add("orphans", f"tables/{folder.name}/{part}", f"{len(strangers)} of its rows are of no sample")
            if repair:
                table.without(strangers)


def _files(ws: Workspace, found: Findings, repair: bool) -> None:
    """What the catalog keeps the digests of; releases' own files were looked at before."""
    seen, again = {item["id"] for item in found.items}, dict[str, str]()
    wrong = [*file_digests.problems(ws, seen), *_marks(ws)]
    for kind, path, problem in [*wrong, *unsigned(ws, {path for _, path, _ in wrong})]:
        done = _mend(ws, kind, path, again) if repair else "`curate verify --repair` writes it anew"
        done = done if _is_mended(path) else ""
        found.add(kind, path, "; ".join(filter(None, (problem, done if kind != "orphans" else ""))))


def _is_mended(path: str) -> bool:
    """Whether a file like this one can be made of what else there is."""
    top, _, rest = path.partition("/")
    return (
        path.startswith(removals.PLACE) or not rest or (top == "exports" and rest.count("/") > 1) or _is_datasheet(path)
    )


def _is_datasheet(path: str) -> bool:
    return path.startswith("releases/") and path.endswith(f"/{datasheet.NAME}") and path.count("/") == 2


def _mend(ws: Workspace, kind: str, path: str, again: dict[str, str]) -> str:
    """Repair a file: rewrite exports (each once, whatever is wrong in it: `again`) and datasheets, delete unfinished
    files, restore cache tags. Says what came of it."""
    top, _, rest = path.partition("/")
    if path.startswith(removals.PLACE):
        removals.update(ws)
    elif kind != "orphans" and is_beside(path, SIGNATURE, PUBLIC):
        return _ANEW if signed_again(ws, *path.split("/")[1:3]) else "there is no key that signs it"
    elif kind == "orphans":
        (ws.work / path).unlink(missing_ok=True)
    elif not rest:
        (ws.work / path).unlink(missing_ok=True)
        write_cache_tags(ws.work)
    elif _is_datasheet(path):
        write(ws.work / path, datasheet.datasheet(load((ws.work / path).parent)).encode())
        file_digests.keep_file(ws, path)
    elif top == "exports" and rest.count("/") > 1:
        version, name, _ = rest.split("/", 2)
        if (one := f"{version}/{name}") not in again:
            try:
                export_again(ws, version, name)
                again[one] = _ANEW
            except GateError as error:
                again[one] = f"it was not written anew: {error}"
        return again[one]
    return _ANEW


def _marks(ws: Workspace) -> Iterator[tuple[str, str, str]]:
    """The small files that keep indexers and backups away."""
    for name, text in CACHE_TAGS.items():
        path = ws.work / name
        if not path.exists() or path.read_bytes() != text.encode():
            yield "corrupt" if path.exists() else "missing", name, "this mark is not what was written"


def _tombstones(ws: Workspace, found: Findings, repair: bool) -> None:
    name = ws.tombstones.path.name
    for line in ws.tombstones.broken():
        found.add("corrupt", name, f"line {line} is not what was written")
    if ws.tombstones.lost():
        found.add("missing", name, "lines that the catalog knows of are missing")
    if repair and (ws.tombstones.broken() or ws.tombstones.lost()):
        ws.tombstones.rebuild()


def _redacted(ws: Workspace) -> list[dict[str, object]]:
    """Each release that was redacted, with the receipts that say so."""
    rows = ws.catalog.all("SELECT version, receipt FROM redactions ORDER BY version, number")
    versions = sorted({row[0] for row in rows})
    return [{"release": one, "receipts": [row[1] for row in rows if row[0] == one]} for one in versions]


def _releases(ws: Workspace, found: Findings) -> None:
    root = ws.work / "releases"
    known = {row[0]: row[1] for row in ws.catalog.all("SELECT version, sha256 FROM releases ORDER BY version")}
    for version, sha256 in known.items():
        for name, wanted in _listed(root / version, sha256, found):
            _file(root.parent, f"releases/{version}/{name}", wanted, found)
        _redactions(ws, version, sha256, found)
    for folder in sorted(root.iterdir()):
        if folder.name not in known and not folder.name.startswith("."):
            found.add("orphans", f"releases/{folder.name}", f"the catalog knows no such release; {_remedy(ws, folder)}")


def _remedy(ws: Workspace, folder: Path) -> str:
    """What rids a workspace of a folder that is no release."""
    if ws.catalog.get(EXPORTING) == folder.name:
        return "an export that was killed left it, and the next `curate export`, or takedown, takes it away"
    return "move it away"


def _redactions(ws: Workspace, version: str, sha256: str, found: Findings) -> None:
    """A release differs from what was exported only as receipts say, each beginning where the one before it ended."""
    folder = ws.work / "releases" / version
    at = None
    for row in ws.catalog.all("SELECT * FROM redactions WHERE version = ? ORDER BY number", (version,)):
        name = f"releases/{version}/receipt-{row['number']}.json"
        try:
            said = json.loads((folder / f"receipt-{row['number']}.json").read_bytes())
        except (OSError, ValueError) as error:
            found.add("missing", name, f"the receipt of a redaction cannot be read ({type(error).__name__})")
            said = dict(row)
        if any(said.get(key) != row[key] for key in ("receipt", "before", "after")) or at not in (None, row["before"]):
            found.add("corrupt", name, "it does not say what the catalog says of this redaction")
        at = row["after"]
    if at not in (None, sha256):
        found.add("corrupt", f"releases/{version}", "it is neither what was exported nor what its receipts say")


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
