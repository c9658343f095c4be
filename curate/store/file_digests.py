"""Files whose digests the catalog keeps: releases, exports, models, receipts. One flipped bit in them is named."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from curate.store.blobs import disk

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

MADE = ("exports", "models")  # folders in which every file is ours
_BLOCK = 1 << 20


def keep(ws: "Workspace", *folders: str) -> None:
    """Remember every file in these folders (below `work/`) as it is now, and no other in them."""
    found = {folder: {path: digest(ws.work / path) for path in _below(ws.work, folder)} for folder in folders}
    with ws.catalog.tx() as db:
        for folder, files in found.items():
            db.execute("DELETE FROM files WHERE path GLOB ?", (f"{folder}/*",))
            db.executemany("INSERT INTO files VALUES (?, ?, ?)", ((*one, ws.catalog.run) for one in files.items()))


def keep_file(ws: "Workspace", path: str) -> None:
    """Remember one file (below `work/`) as it is now."""
    with ws.catalog.tx() as db:
        db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (path, digest(ws.work / path), ws.catalog.run))


def forget_file(ws: "Workspace", path: str) -> None:
    """Remember nothing of one file."""
    with ws.catalog.tx() as db:
        db.execute("DELETE FROM files WHERE path = ?", (path,))


def remember(ws: "Workspace", folder: str, digests: Mapping[str, str]) -> None:
    """The same of one folder, where the digest of each file in it is known by its name there; rows that say so already
    stay as they are."""
    now = {f"{folder}/{name}": one for name, one in digests.items()}
    with ws.catalog.tx() as db:
        known = dict(db.execute("SELECT path, sha256 FROM files WHERE path GLOB ?", (f"{folder}/*",)).fetchall())
        db.executemany("DELETE FROM files WHERE path = ?", ((one,) for one in known.keys() - now.keys()))
        rows = ((path, one, ws.catalog.run) for path, one in now.items() if known.get(path) != one)
        db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", rows)


def is_as_kept(ws: "Workspace", folder: str) -> bool:
    """Whether a folder, or a file, was finished, and all that is remembered of it is as it was then."""
    known = ws.catalog.all("SELECT path, sha256 FROM files WHERE path = ?1 OR path GLOB ?1 || '/*'", (folder,))
    return bool(known) and not any(_problem(ws.work / path, wanted) for path, wanted in known)


def forget(ws: "Workspace", folder: str) -> None:
    """Remember nothing of a folder that is about to be written anew."""
    with ws.catalog.tx() as db:
        db.execute("DELETE FROM files WHERE path GLOB ?", (f"{folder}/*",))


def problems(ws: "Workspace", but: Iterable[str] = ()) -> Iterator[tuple[str, str, str]]:
    """(kind, path, problem) of every file that is not as it was kept, apart from those in `but`."""
    known = {row[0]: row[1] for row in ws.catalog.all("SELECT path, sha256 FROM files ORDER BY path")}
    skipped = set(but)
    for path, wanted in known.items():
        if path in skipped:
            continue
        if (found := _problem(ws.work / path, wanted)) is not None:
            yield found[0], path, found[1]
    for folder in MADE:
        for path in _below(ws.work, folder):
            if path not in known:
                yield "orphans", path, "nothing that was finished wrote this file; `curate verify --repair` removes it"


def _problem(path: Path, wanted: str) -> tuple[str, str] | None:
    """(kind, problem) of a file that has not the digest that was kept; None where it has."""
    try:
        return None if digest(path) == wanted else ("corrupt", "its bytes have another sha256 than was kept")
    except FileNotFoundError:
        return "missing", "this file is missing"
    except OSError as error:
        return "corrupt", f"it cannot be read: {error.strerror}"


def digest(path: Path) -> str:
    """The sha256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def _is_file(path: Path) -> bool:
    """Also a link that leads nowhere."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _below(work: Path, folder: str) -> list[str]:
    with disk():
        return sorted(p.relative_to(work).as_posix() for p in (work / folder).rglob("*") if _is_file(p))
