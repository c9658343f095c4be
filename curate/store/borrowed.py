"""A copy of the catalog for who may only read: a workspace on a read-only disk, of another user, on a full disk.

SQLite in WAL mode writes even where it reads (locks, an index of the log), and an older catalog must be brought up to
date to be understood. So who cannot write works on a copy, which ends with the process; the workspace is left alone.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from curate.errors import StoreError

PREFIX = "curate-reads-"  # a process id follows
_JOURNAL = "journal.log"
_PARTS = ("catalog.db", "catalog.db-wal", "catalog.db-seal", _JOURNAL)
_SPARE = 2**20  # bytes, beside the copy


def writable(work: Path) -> bool:
    """Whether this process may write to the folder and to the catalog in it; a full disk is not seen."""
    catalog = work / _PARTS[0]
    if not work.exists():
        return True  # it is made
    if os.statvfs(work).f_flag & os.ST_RDONLY:
        return False
    return os.access(work, os.W_OK | os.X_OK) and (not catalog.exists() or os.access(catalog, os.W_OK))


@contextmanager
def copy(work: Path) -> Iterator[Path]:
    """A folder with a copy of the catalog, its log and its seal, as they are at one moment.

    Raises StoreError where there is no catalog, where it cannot be read, or where there is no room for a copy.
    """
    if not (work / _PARTS[0]).exists():
        raise StoreError(f"{work}: no catalog.db here, and none can be made: the folder cannot be written")
    size = sum(part.stat().st_size for name in _PARTS if (part := work / name).exists())
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=_room(size + _SPARE)) as folder:
        try:
            with _still(work):
                for name in _PARTS:
                    if (work / name).exists():
                        shutil.copyfile(work / name, Path(folder, name))
        except OSError as error:
            raise StoreError(f"{error.filename}: cannot be read ({error.strerror})") from error
        yield Path(folder)


@contextmanager
def _still(work: Path) -> Iterator[None]:
    """Nobody folds the log into the catalog meanwhile, nor appends to the journal, which must not be ahead of it.

    What is added to the log does no harm.
    """
    locks: list[int] = []
    try:
        for name in (_PARTS[2], _JOURNAL):
            with suppress(FileNotFoundError):
                locks.append(os.open(work / name, os.O_RDONLY))
                fcntl.flock(locks[-1], fcntl.LOCK_SH)
        yield
    finally:
        for one in locks:
            os.close(one)


def _room(size: int) -> str:
    """A folder for temporary files with so many bytes free; what killed processes left there goes first."""
    places = [place for place in (tempfile.gettempdir(), "/dev/shm") if os.access(place, os.W_OK)]  # noqa: S108
    for place in places:
        for left in Path(place).glob(f"{PREFIX}*"):
            if not _runs(left.name.removeprefix(PREFIX).partition("-")[0]):
                shutil.rmtree(left, ignore_errors=True)
        if shutil.disk_usage(place).free > size:
            return place
    raise StoreError(f"no room for a copy of the catalog ({size:,} bytes) in {' or '.join(places)}; set TMPDIR")


def _runs(process: str) -> bool:
    with suppress(ValueError, PermissionError):
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            return False
    return True
