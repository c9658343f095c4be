"""The workspace: the folder with `curate.toml`, and beside it `work/`, the one folder that holds all state."""

import fcntl
import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curate.config import CONFIG_NAME, Config
from curate.errors import BusyError, StoreError, UsageError
from curate.layouts.folder import TAG, WORKSPACE
from curate.store import witnesses
from curate.store.blobs import LocalBlobs, disk, sync
from curate.store.catalog import now
from curate.store.tables import Table
from curate.store.tombstones import NAME as TOMBSTONES
from curate.store.tombstones import Tombstones

SYNCED = ("dropbox", "onedrive", "google drive", "googledrive", "icloud", "mobile documents", "nextcloud", "box sync")
PARTIAL = (
    "releases/.*", "releases/*/.*", "exports/.*", "exports/*/.*", "exports/*/*/.*", "models/.*", "tables/*/.*",
    "receipts/.*",
)  # fmt: skip
LANDING = "landing"
_ID = re.compile(r"[0-9a-f]{64}")
_CACHEDIR = f"Signature: 8a477f597d28d172789f06886806bc55\n# Not to be indexed or backed up: {WORKSPACE.decode()}.\n"
CACHE_TAGS = {TAG: _CACHEDIR, ".nomedia": "", ".metadata_never_index": ""}


class Workspace:
    """Everything a verb works on: config, catalog, blobs, tables. Made on first use; 0700, marked not to be indexed.

    `borrowed` is a folder with a copy of the catalog, for who may only read: what is written goes there, and is lost.
    """

    def __init__(self, root: Path, config: Config, borrowed: Path | None = None, anew: bool = False) -> None:
        """Open it; raises WitnessError where there was a catalog and is none, unless it is to be made `anew`."""
        self.root = root.resolve()
        self.config = config
        self.work = self.root / "work"
        for one in {self.work, self.work.resolve()}:
            refuse_synced(one)
        self.borrowed = borrowed is not None
        if not anew:
            witnesses.no_catalog(self.work)
        if borrowed is None:
            with disk():
                for folder in (self.work, self.work / "blobs", self.work / "tables", self.work / "releases"):
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_cache_tags(self.work)
        self.catalog = witnesses.catalog(borrowed or self.work)
        self.blobs = LocalBlobs(self.work / "blobs")
        self.tombstones = Tombstones(self.work / TOMBSTONES, self.catalog)
        self.tombstones.merge()
        self.said: Mapping[str, Any] = {}  # what the verb that drives it answers: its run is recorded as that ended
        self.wrong = ""  # what it found that is not as it was put there: its run is recorded as failed

    def doubts(self) -> list[str]:
        """What says that something was lost, with the ways back: then nothing but `verify` may write here."""
        return witnesses.doubts(self)

    def table(self, name: str, fingerprint: str) -> Table:
        """A table of columns by name and fingerprint."""
        return Table(self.work / "tables", name, fingerprint)

    def close(self) -> None:
        """Close the catalog."""
        self.catalog.close()

    @contextmanager
    def driver(self, verb: str) -> Iterator[None]:
        """Hold the workspace for one verb; raises BusyError naming the holder. A dead holder's lock is free."""
        path = self.work / "lock"
        with path.open("a+b", buffering=0) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(f"{self.work}: {_holder(path)}; wait for it, or stop it") from error
            lock.truncate(0)
            said = {"verb": verb, "pid": os.getpid(), "host": socket.gethostname(), "since": now()}
            with disk():
                lock.write(json.dumps(said).encode())
            self._sweep()
            try:
                yield
            finally:
                lock.truncate(0)

    @contextmanager
    def landing(self, samples: Iterable[str]) -> Iterator[None]:
        """Blobs stored in here are samples by the end; what a broken run leaves of others, the next one removes."""
        path = self.work / LANDING
        with disk():
            path.write_text("\n".join(samples), encoding="utf-8")
            sync(path)
            sync(self.work)
        yield
        path.unlink()

    def _sweep(self) -> None:
        """Clear what a killed run left half made."""
        shutil.rmtree(self.work / "spool", ignore_errors=True)
        self._settle()
        for part in (path for pattern in PARTIAL for path in self.work.glob(pattern)):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)
        with self.catalog.tx() as db:
            db.execute("UPDATE runs SET status = 'killed' WHERE status = 'running'")

    def _settle(self) -> None:
        """Remove blobs that were about to be samples and are not: a list that comes later would not know of them."""
        path = self.work / LANDING
        if path.exists():
            for sample in path.read_text(encoding="utf-8").split():
                if _ID.fullmatch(sample) and not self.catalog.scalar(
                    "SELECT count(*) FROM samples WHERE id = ?", (sample,)
                ):
                    self.blobs.delete(sample)
            path.unlink()


def here() -> Path:
    """The folder that this runs in; raises UsageError where it was deleted meanwhile."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the folder that this runs in is gone; go to one that is there") from error


def check_place(folder: Path) -> None:
    """Raise UsageError where something else than a folder lies, be it a link that leads nowhere; OSError for a name
    that cannot be."""
    try:
        folder.lstat()
    except FileNotFoundError:
        return
    if not folder.is_dir():
        raise UsageError(f"{folder}: a file; give a folder")


def find_root(start: Path) -> Path | None:
    """The nearest folder, from `start` upwards, with a curate.toml; not above HOME, nor on another file system."""
    here, home = start.resolve(), Path(os.path.expanduser("~")).resolve()  # noqa: PTH111 (never raises)
    device = here.stat().st_dev
    for folder in (here, *here.parents):
        if folder.stat().st_dev != device:
            return None
        if (folder / CONFIG_NAME).is_file():
            return folder
        if folder == home:
            return None
    return None


def _holder(path: Path) -> str:
    try:
        who = json.loads(path.read_text(encoding="utf-8"))
        return f"`curate {who['verb']}` (pid {who['pid']} on {who['host']}, since {who['since']}) is at work here"
    except (ValueError, KeyError):
        return "another curate is at work here"


def refuse_synced(path: Path) -> None:
    """Raise StoreError for a path inside a folder that syncs to a cloud drive."""
    for part in path.parts:
        if part.lower().startswith(SYNCED) or (sys.platform == "darwin" and part == "CloudStorage"):
            raise StoreError(f"{path}: '{part}' syncs to a cloud drive; keep a workspace on a local disk")


def write_cache_tags(work: Path) -> None:
    """Say to indexers and backups that this folder is not for them."""
    for name, text in CACHE_TAGS.items():
        if not (work / name).exists():
            (work / name).write_text(text, encoding="utf-8")
