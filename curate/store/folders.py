"""Folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from curate.errors import StoreError
from curate.store.blobs import SYNCS, sync


def own(root: Path, *names: str) -> Path:
    """The folder of these names, one in another, below `root`. Raises StoreError where one of them is a link: what lies
    behind it is not ours to write, or to delete."""
    place = root
    for name in names:
        place /= name
        if place.is_symlink():
            raise StoreError(f"{place}: a link is where a folder of ours goes; move it away, then the same again")
    return place


@contextmanager
def aside(parent: Path, name: str) -> Iterator[Path]:
    """A folder built under another name, that gets its own once it is whole and durable; it replaces the folder that
    was there. Raises StoreError, before anything is built, where a file or a link is there: it is not ours."""
    part, final = parent / f".{name}.tmp", parent / name
    for one in (part, final):
        if one.is_symlink() or one.is_file():
            kind = "link" if one.is_symlink() else "file"
            raise StoreError(f"{one}: a {kind} is where a folder goes; move it away, then the same again")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700, parents=True)
    try:
        yield part
        with ThreadPoolExecutor(SYNCS) as threads:  # a file system commits together what is asked for together
            files = [Path(folder) / file for folder, _, names in os.walk(part) for file in names]
            list(threads.map(_settle, files))
        for folder, _, _ in os.walk(part, topdown=False):
            sync(Path(folder))
        shutil.rmtree(final, ignore_errors=True)
        part.rename(final)
        sync(parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _settle(path: Path) -> None:
    path.chmod(0o600)
    sync(path)
