"""Content-addressed bytes: `blobs/ab/ab12...`, named by sha256. A row may lack nothing; a blob may lack its row."""

import errno
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from curate.errors import CLOSED, FULL, DiskFullError, StoreError

T = TypeVar("T")
SYNCS = 16  # files that are made durable at once
_CLOSED = CLOSED | {errno.ENOTDIR, errno.EISDIR, errno.ELOOP}


class Blobs(Protocol):
    """What the store asks of a place for bytes; a local folder now, an object store later."""

    def put(self, items: Iterable[tuple[str, bytes]]) -> None: ...
    def open(self, sample: str) -> BinaryIO: ...
    def delete(self, sample: str) -> None: ...
    def list(self) -> Iterator[str]: ...


class LocalBlobs:
    """Blobs in a folder of this machine. `put` is durable when it returns, whatever happens to the machine then."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __reduce__(self) -> tuple[type["LocalBlobs"], tuple[Path]]:
        return LocalBlobs, (self.root,)  # threads stay in their process

    def path(self, sample: str) -> Path:
        """Where the bytes of a sample are, or would be."""
        return self.root / sample[:2] / sample

    def put(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Store (sha256, bytes) pairs: write all, fsync all, rename all, fsync the folders; raises DiskFullError."""
        new = {sample: data for sample, data in items if not self.path(sample).exists()}
        written = [(self.path(one).with_name(f".{one}.{secrets.token_hex(4)}"), data) for one, data in new.items()]
        folders = sorted({part.parent for part, _ in written})
        with disk():
            try:
                for folder in folders:
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._shared(lambda one: _write(*one), written)
                for (part, _), sample in zip(written, new, strict=True):
                    part.replace(part.with_name(sample))
                self._shared(sync, [*folders, self.root] if folders else [])
            except BaseException:
                for part, _ in written:
                    part.unlink(missing_ok=True)
                raise

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(SYNCS)

    def _shared(self, work: Callable[[T], None], items: Sequence[T]) -> None:
        """Do the work on all items, on many at once: a file system commits together what is asked for together.

        Nothing is under way any more when it returns or raises.
        """

        def some(mine: Sequence[T]) -> None:
            for one in mine:
                work(one)

        begun = [self._threads.submit(some, items[n::SYNCS]) for n in range(min(SYNCS, len(items)))]
        try:
            for one in begun:
                one.result()
        finally:
            wait(begun)

    def open(self, sample: str) -> BinaryIO:
        """The bytes of a sample; raises StoreError where they are missing."""
        try:
            return self.path(sample).open("rb")
        except FileNotFoundError as error:
            raise StoreError(f"blob {sample} is missing; `curate verify` lists what is") from error

    def delete(self, sample: str) -> None:
        """Remove the bytes of a sample, and what a killed run left of them, durably; nothing where there are none."""
        path = self.path(sample)
        found = [*path.parent.glob(f".{sample}.*"), *([path] if path.exists() else [])]
        for one in found:
            one.unlink()
        if found:
            sync(path.parent)

    def list(self) -> Iterator[str]:
        """The id of every blob, sorted."""
        for folder in sorted(self.root.iterdir()) if self.root.exists() else []:
            if folder.is_dir():
                yield from sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))

    def sweep(self) -> int:
        """Remove partial files that a killed run left, and say how many."""
        parts = list(self.root.glob("??/.*"))
        for part in parts:
            part.unlink(missing_ok=True)
        return len(parts)


@contextmanager
def disk() -> Iterator[None]:
    """A full disk, or one that may not be written, is one line and an exit code, not a traceback."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(f"the disk is full ({error.strerror}); free some space and run it again") from error
        if error.errno in _CLOSED:
            raise StoreError(f"{error.filename or 'the workspace'}: cannot be written ({error.strerror})") from error
        raise


def _write(path: Path, data: bytes) -> None:
    """Write a new file, durably; its folder is not asked to remember it."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: tmp, fsync, rename, fsync(dir)."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with disk():
            part.write_bytes(data)
            part.chmod(0o600)
            sync(part)
            part.replace(path)
            sync(path.parent)
    finally:
        part.unlink(missing_ok=True)
