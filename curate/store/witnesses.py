"""Whether what lies beside the catalog says that there was more than the catalog knows; asked whenever one is opened.

Only counts, heads and a few files are looked at: `curate verify` reads everything.
"""

import json
import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import DiskFullError, StoreError, WitnessError
from curate.store import journal_log, tombstones
from curate.store.catalog import Catalog
from curate.store.page_digests import head as first_bytes

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

CATALOG = "catalog.db"
SEAL = f"{CATALOG}-seal"
REBUILD = (
    "`curate verify --repair --rebuild` makes it anew of blobs, releases, tombstones and journal, and says what is lost"
)
REBUILDING = "is being made anew"
OLDER = "older"  # the catalog's note that it was an older copy, and since when, or is being made anew
EXPORTING = "exporting"  # the catalog's note of a release that is about to be there
SOME = 8  # of the first and the last samples that were fetched, whose bytes are looked for
_HEAD, _TAIL = b"SQLite format 3\0", b"PAR1"


def catalog(work: Path) -> Catalog:
    """The catalog; raises WitnessError where it is damaged beyond opening."""
    try:
        return Catalog(work / CATALOG)
    except DiskFullError:
        raise
    except StoreError as error:
        if type(error.__cause__) is not sqlite3.DatabaseError:  # that it is locked, say, is another matter
            raise
        raise WitnessError(f"{error}. Ways back: put a backup of it and of {SEAL} back; {REBUILD}") from error


def no_catalog(work: Path) -> None:
    """Raise WitnessError where no catalog is there, and something says that there was one."""
    try:
        head = first_bytes(work / CATALOG, len(_HEAD))
    except FileNotFoundError:
        head = None
    if head == _HEAD:
        return
    found = [one for one in (SEAL, f"{CATALOG}-wal", journal_log.NAME, tombstones.NAME) if _some(work / one)]
    found += [f"{one}/" for one in ("blobs", "releases", "receipts", "models") if _any(work / one)]
    if found or head:
        what = "is missing" if head is None else "is empty" if not head else "is no catalog"
        told = f", and there was one: {', '.join(found)} say so" if found else ""
        raise WitnessError(f"{CATALOG} {what}{told}. Ways back: put a backup of it and of {SEAL} back; {REBUILD}")


def _some(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _any(folder: Path) -> bool:
    """Whether a folder holds anything that was finished."""
    found = (path for path in folder.glob("*") if not path.name.startswith("."))
    return any(not path.is_dir() or any(path.iterdir()) for path in found)


def doubts(ws: "Workspace") -> list[str]:
    """What is missing, older or other than the catalog says, each with the ways back; empty where all is well."""
    return [*_seal(ws), *_journal(ws), *_tombstones(ws), *_releases(ws), *_blobs(ws), *outdated(ws)]


def outdated(ws: "Workspace") -> list[str]:
    """What says that the catalog itself is older than what lies beside it: nothing that it does not know may go."""
    return [*_older(ws), *_strange(ws), *_receipts(ws), *_bare(ws)]


def _seal(ws: "Workspace") -> Iterator[str]:
    seal = ws.catalog.seal
    if seal.lost and not seal.other:
        yield (
            f"{SEAL} is missing, or was cut: whether {CATALOG} is what was written cannot be told. Ways back: put the"
            " one that belongs to it back; `curate verify --repair` takes the catalog as it is, where SQLite finds"
            " nothing wrong with it"
        )
    elif seal.other:
        yield (
            f"{CATALOG} is not what {SEAL} says: one of the two is older, or another program wrote the catalog. Ways"
            f" back: put the two back together; where it was written on purpose, remove {SEAL}, and `curate verify"
            " --repair`"
        )


def _journal(ws: "Workspace") -> Iterator[str]:
    name, standing = journal_log.NAME, ws.catalog.standing
    if standing == "lost":
        yield (
            f"{name} is missing, or lines of it are: {CATALOG} knows of more. Ways back: put it back; `curate verify"
            " --repair` writes it anew from the catalog"
        )
    elif standing == "other":
        yield (
            f"{name} and {CATALOG} do not belong together. Ways back: put the right one of the two back; `curate verify"
            " --repair` tells each what the other knows, where they are of one workspace"
        )


def _older(ws: "Workspace") -> Iterator[str]:
    since = ws.catalog.get(OLDER)
    if since == REBUILDING:
        yield f"{CATALOG} was being made anew, and that was not finished. Ways back: {REBUILD}"
    elif since is not None:
        yield (
            f"{CATALOG} is an older copy: {journal_log.NAME} goes on after it ({since}). It knows by now what was"
            " decided and what is held back, but not what was fetched and made meanwhile. Ways back: put a newer backup"
            f" back; {REBUILD}"
        )


def _tombstones(ws: "Workspace") -> Iterator[str]:
    if ws.tombstones.lost():
        yield (
            f"{tombstones.NAME} is missing, or lines of it are: {CATALOG} knows of more. Ways back: put it back;"
            " `curate verify --repair` writes it anew from the catalog"
        )


def _releases(ws: "Workspace") -> Iterator[str]:
    root, removing = ws.work / "releases", ws.catalog.scalar(_REMOVING) is not None
    known = {row[0]: row[1] for row in ws.catalog.all("SELECT version, sha256 FROM releases ORDER BY version")}
    for version, wanted in known.items():
        if (why := _release(root / version, None if removing else wanted)) is not None:
            yield (
                f"releases/{version} {why}. Ways back: put it back; `curate verify --forget releases/{version}` where"
                " it was deleted on purpose"
            )


def _strange(ws: "Workspace") -> Iterator[str]:
    root, made = ws.work / "releases", ws.catalog.get(EXPORTING)
    known = {row[0] for row in ws.catalog.all("SELECT version FROM releases")}
    there = [path.name for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    if strange := [one for one in there if one not in known and one != made and any((root / one).iterdir())]:
        yield (
            f"{CATALOG} does not know releases/{', releases/'.join(strange)}: it is an older or another one. Ways back:"
            f" put a newer backup back, or move what is not of this workspace away; {REBUILD}"
        )


def _receipts(ws: "Workspace") -> Iterator[str]:
    """A removal is a row of the catalog before its receipt is there; what it keeps away came with tombstones.log."""
    sql = "SELECT receipt FROM removals UNION SELECT receipt FROM tombstones"
    known = {row[0] for row in ws.catalog.all(sql)}
    there = [path for path in sorted((ws.work / "receipts").glob("*.json")) if path.stem not in known]
    if strange := [path.name for path in there if _receipt(path)]:
        yield (
            f"{CATALOG} does not know receipts/{strange[0]}"
            + (f" and {len(strange) - 1} more" * (len(strange) > 1))
            + ": it is older than what was taken down, or another one. Ways back: put a newer backup back, or move what"
            f" is not of this workspace away; {REBUILD}"
        )


def _receipt(path: Path) -> bool:
    """Whether a file is a receipt that can be read."""
    try:
        said = json.loads(path.read_bytes())
        return bool(said["receipt"] == path.stem) and all(one in said for one in ("at", "reason", "digests"))
    except (OSError, ValueError, KeyError, TypeError):
        return False


_REMOVING = "SELECT 1 FROM removals WHERE state != 'done' UNION ALL SELECT 1 FROM removing LIMIT 1"


def _release(folder: Path, wanted: str | None) -> str | None:
    """What is wrong with a release, as far as its header (of this sha256) and the ends of its files say."""
    try:
        text = (folder / "release.json").read_bytes()
        if wanted is not None and sha256(text).hexdigest() != wanted:
            return "is not what was exported"
        for name in json.loads(text)["files"]:
            with (folder / name).open("rb") as file:
                file.seek(-len(_TAIL), 2)
                if file.read() != _TAIL:
                    return f"was damaged: {name} is not whole"
    except FileNotFoundError:
        return "is missing" if not folder.is_dir() else "is missing in part"
    except (OSError, ValueError, KeyError, TypeError):
        return "cannot be read, or a file of it is empty"
    return None


def _blobs(ws: "Workspace") -> Iterator[str]:
    """Whether the bytes are there, of the first and the last that were fetched; what is known to be lost apart."""
    for order in ("", "DESC"):
        rows = ws.catalog.all(_ENDS.format(order), (SOME,))
        missing = sum(not _whole(ws.blobs.path(row[0]), row[1]) for row in rows)
        if not missing or 2 * missing < len(rows):  # a few: `label`, `export` and `verify` say so
            continue
        yield (
            f"blobs/ lacks bytes that {CATALOG} knows ({missing} of {len(rows)} looked for)."
            " Ways back: put them back; `curate verify --repair` asks for what is lost again, and releases none of it"
        )
        return


def _bare(ws: "Workspace") -> Iterator[str]:
    known = ws.catalog.scalar("SELECT 1 FROM samples LIMIT 1") is not None
    if not known and not (ws.work / "landing").exists() and _any(ws.work / "blobs"):
        yield f"blobs/ holds bytes, and {CATALOG} knows of none. Ways back: put a backup of it back; {REBUILD}"


_ENDS = """
SELECT c.sample, s.bytes FROM candidates c JOIN samples s ON s.id = c.sample
WHERE c.state = 'stored' AND c.sample NOT IN (SELECT sample FROM removing)
    AND c.sample NOT IN (SELECT sample FROM withheld WHERE reason = 'bytes_lost')
ORDER BY c.candidate {} LIMIT ?
"""


def _whole(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
