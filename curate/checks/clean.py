"""What `curate check` writes beside a dataset: its lists, and a clean copy. The dataset itself is never touched."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from curate.checks.dataset import Dataset, regular, relative
from curate.checks.lists import FILES, stays, write_clean_list, write_lists
from curate.errors import CurateError, UsageError
from curate.layouts.folder import inside, shown
from curate.progress import Progress
from curate.store.blobs import SYNCS, disk, sync

if TYPE_CHECKING:
    from curate.checks.run import Checked

CHUNK, BATCH = 1 << 20, 1024  # bytes of a file, and files, that are under way at once


def new_folder(option: str, given: Path, source: Path, others: Sequence[Path] = ()) -> Path:
    """Where a folder will be made, links resolved; raises UsageError where there is something, or where it cannot be.

    It may lie neither in the source, whose next check would find it, nor in another folder that is to be made.
    """
    target = Path(os.path.realpath(given))
    for one in (source, *others):
        base = os.path.realpath(one)
        if inside(str(target), base):
            raise UsageError(f"{option} {given}: inside {one}; name a folder beside it")
    if taken(target):
        raise UsageError(f"{option} {given}: something is there, and nothing is overwritten; name a new folder")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{option} {given}: no folder can be made there")
    return target


def taken(target: Path) -> bool:
    """Whether something is there, other than an empty folder."""
    try:
        return any(target.iterdir())
    except FileNotFoundError:
        return False
    except OSError:
        return True


def write_out(target: Path, done: "Checked", null: bool) -> dict[str, int]:
    """Write the lists into a new folder, whole or not at all, and say how long each is."""
    with _whole(target) as part:
        return write_lists(part, done, null)


def outside(found: Dataset) -> list[str]:
    """The names of rows that a copy has no place for: they lie outside the folder."""
    return [row.name for row in found.rows if relative(row.path, found.root).startswith("/")]


def copy_clean(target: Path, done: "Checked", progress: Progress) -> int:
    """Copy what stays, by the same relative paths, with a clean list where there was a list; say how many files.

    Whole or not at all. Raises CurateError where nothing stays, and where a file is not what was looked at any more.
    """
    root = done.dataset.root
    files = {row.path: done.looks[row.path].sha256 for row in (done.rows[place] for place in stays(done))}
    if not files:
        raise CurateError("fix: no picture stays, so nothing was made")
    if done.dataset.listed and any(relative(path, root).partition("/")[0] == FILES for path in files):
        raise UsageError(f"fix: a picture is called {FILES}, as the clean list will be; rename it")
    with _whole(target) as part, progress.stage("copy", len(files)) as step, ThreadPoolExecutor(SYNCS) as threads:
        every = list(files.items())
        for start in range(0, len(every), BATCH):
            some = every[start : start + BATCH]
            for _ in threads.map(lambda one: _copy(one[0], one[1], part / relative(one[0], root)), some):
                step()
        if done.dataset.listed:
            write_clean_list(part / FILES, done)
    return len(files)


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A folder that is made under another name, and gets its own when it is whole and durable."""
    try:
        with disk():
            part = Path(tempfile.mkdtemp(prefix=".curate-", dir=target.parent))
            try:
                yield part
                for folder, _, names in os.walk(part, topdown=False):
                    for name in names if folder == str(part) else ():
                        sync(part / name)
                    sync(Path(folder))
                part.rename(target)
                sync(target.parent)
            except BaseException:
                shutil.rmtree(part, ignore_errors=True)
                raise
    except OSError as error:
        raise CurateError(f"{target}: cannot be made ({error.strerror}); nothing was") from error


def _copy(source: str, digest: str, target: Path) -> None:
    """Copy one file, durably; raises CurateError where its bytes are not those that were looked at."""
    target.parent.mkdir(parents=True, exist_ok=True)
    found = sha256()
    with target.open("xb") as file:
        for chunk in _chunks(source):
            found.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if found.hexdigest() != digest:
        raise CurateError(f"fix: {shown(source)}: changed since it was looked at, so nothing was made")


def _chunks(source: str) -> Iterator[bytes]:
    try:
        if not regular(source):
            raise CurateError(f"fix: {shown(source)}: no file any more, so nothing was made")
        with open(source, "rb") as file:  # noqa: PTH123 (names may hold bytes that are no text)
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise CurateError(f"fix: {shown(source)}: {error.strerror}, so nothing was made") from error
