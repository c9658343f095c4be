"""Folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from curate.store.blobs import sync

# -- writing and reading back ----------------------------------------------------------------------------------------


@contextmanager
def aside(parent: Path, name: str) -> Iterator[Path]:
    """A folder built under another name, that gets its own once it is whole and durable; it replaces what was there."""
    part, final = parent / f".{name}.tmp", parent / name
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700, parents=True)
    try:
        yield part
        for folder, _, names in os.walk(part, topdown=False):
            for file in names:
                (Path(folder) / file).chmod(0o600)
                sync(Path(folder) / file)
            sync(Path(folder))
        shutil.rmtree(final, ignore_errors=True)
        part.rename(final)
        sync(parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
