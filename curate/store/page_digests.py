"""A digest of every page of the catalog's file, beside it, so that one flipped bit is seen, whatever it is in.

SQLite's own check sees a broken structure, not a changed letter. In WAL mode the file changes at checkpoints only, so
that is when the digests are renewed: all checkpoints are ours (`Catalog.fold`), and no other process writes meanwhile.
An entry of zeros is a page that a checkpoint was about to write: it is sealed at the next one.
"""

import fcntl
import hashlib
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ENTRY = 8  # bytes of a page's digest
OPEN = bytes(ENTRY)  # a page under way
SPOILT = b"\xff" * ENTRY  # a page that was damaged when it was written anew: nobody knows what became of it
MOST = 256  # pages that are read at a time
_WAL_HEADER, _FRAME_HEADER = 32, 24


class Seal:
    """The digests of one catalog's pages; also the lock between who writes and who folds."""

    def __init__(self, catalog: Path) -> None:
        self._catalog = catalog
        self.path = catalog.with_name(f"{catalog.name}-seal")
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.closed = False
        self._held = _hold(catalog)
        self.lost, self.other = self._doubts()

    def _doubts(self) -> tuple[bool, bool]:
        """Whether digests of pages are missing that were there, and whether they are those of another file, by page 1.

        A page has an entry before a checkpoint writes it, and every checkpoint that writes anything changes page 1.
        """
        with self.writing():
            size, entries = self._page_size(), self._read()
            count = self._catalog.stat().st_size // size if size else 0
            first = _page(self._file, 1, size)
        known = len(entries) // ENTRY
        other = known > 0 and count > 0 and _entry(entries, 1) not in (OPEN, _digest(first))
        return count > 1 and known < count, other

    def found(self) -> None:
        """Take the pages whose digests were lost as they are, from the next fold on."""
        os.ftruncate(self._fd, len(self._read()) // ENTRY * ENTRY)
        self.lost = False

    def close(self) -> None:
        """Let go of the files, and of the lock; the connection is closed by then."""
        os.close(self._fd)
        _let_go(self._held)
        self.closed = True

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Several may write to the log at a time, but nobody while it is folded in."""
        fcntl.flock(self._fd, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def alone(self, wait: float) -> bool:
        """Keep every writer out until `free`; False where one was still at it after so many seconds."""
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    return False
                time.sleep(0.005)
            else:
                return True

    def free(self) -> None:
        """Let writers in again."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def fold(self, checkpoint: Callable[[], bool]) -> bool:
        """Run a checkpoint and seal the pages that it writes; what it said. The caller is `alone`."""
        if pages := self._logged():
            self._open(sorted(pages), self._read())
        done = checkpoint()
        self._renew()
        return done

    def _open(self, pages: Sequence[int], entries: bytes) -> None:
        """Note that these pages are about to be written; those that were damaged meanwhile stay named."""
        size, known = self._page_size(), len(entries) // ENTRY
        for run in _runs([page for page in pages if page <= known or not self.lost]):
            old = [_entry(entries, page) if page <= known else OPEN for page in run]
            now = self._digests(run, size) if any(one != OPEN for one in old) else old
            self._put(run, [OPEN if one in (OPEN, new) else SPOILT for one, new in zip(old, now, strict=True)])
        os.fsync(self._fd)

    def _renew(self) -> None:
        """Seal every page that is open, or has no entry yet; where entries were lost, nobody knows what has none."""
        entries, size = self._read(), self._page_size()
        count = self._catalog.stat().st_size // size if size else 0
        known = len(entries) // ENTRY
        some = range(1, min(known, count) + 1) if OPEN in entries else ()
        more = range(known + 1, count + 1) if not self.lost else ()
        for run in _runs([*(n for n in some if _entry(entries, n) == OPEN), *more]):
            self._put(run, self._digests(run, size))
        if not self.lost:
            os.ftruncate(self._fd, count * ENTRY)

    def broken(self) -> list[int]:
        """The number (from 1) of every page that is not what was written; the caller is `alone`, the log folded in."""
        entries, size = self._read(), self._page_size()
        count = self._catalog.stat().st_size // size if size else 0
        broken = []
        for run in _runs(range(1, max(count, len(entries) // ENTRY) + 1)):
            digests = zip(run, self._digests(run, size), strict=True)
            broken += [page for page, digest in digests if _entry(entries, page) not in (OPEN, digest)]
        return broken

    # -- the file ----------------------------------------------------------------------------------------------------

    @property
    def _file(self) -> int:
        return _HELD[self._held][0]

    def _read(self) -> bytes:
        return os.pread(self._fd, os.fstat(self._fd).st_size, 0)

    def _put(self, pages: range, entries: Sequence[bytes]) -> None:
        os.pwrite(self._fd, b"".join(entries), (pages[0] - 1) * ENTRY)

    def _digests(self, pages: range, size: int) -> list[bytes]:
        """The digest of each of these pages as it stands in the file; one that is beyond its end is empty."""
        found = os.pread(self._file, size * len(pages), (pages[0] - 1) * size)
        return [_digest(found[at : at + size]) for at in range(0, size * len(pages), size)]

    def _page_size(self) -> int:
        header = os.pread(self._file, 18, 0)
        size = struct.unpack(">H", header[16:18])[0] if len(header) == 18 else 0
        return 65536 if size == 1 else int(size)

    def _logged(self) -> set[int]:
        """The pages that stand in the write-ahead log, uncommitted ones included."""
        try:
            with self._catalog.with_name(f"{self._catalog.name}-wal").open("rb", buffering=0) as log:
                header = log.read(_WAL_HEADER)
                if len(header) < _WAL_HEADER:
                    return set()
                size, salts = struct.unpack(">I", header[8:12])[0], header[16:24]
                return set(_frames(log.fileno(), size, salts))
        except FileNotFoundError:
            return set()


def _frames(log: int, size: int, salts: bytes) -> Iterator[int]:
    at = _WAL_HEADER
    while len(frame := os.pread(log, _FRAME_HEADER, at)) == _FRAME_HEADER and frame[8:16] == salts:
        yield struct.unpack(">I", frame[:4])[0]
        at += _FRAME_HEADER + size


def _runs(pages: Sequence[int]) -> Iterator[range]:
    """Pages that follow each other, at most MOST of them at a time."""
    begin = 0
    for at in range(1, len(pages) + 1):
        if at == len(pages) or pages[at] != pages[at - 1] + 1 or at - begin == MOST:
            yield range(pages[begin], pages[at - 1] + 1)
            begin = at


def _entry(entries: bytes, page: int) -> bytes:
    return entries[(page - 1) * ENTRY : page * ENTRY]


# POSIX takes every lock that a process has on a file as soon as the process closes any descriptor of it. SQLite's would
# be gone, and another process that closes the catalog would take itself for the last, and delete the log that this one
# still writes to. So a catalog that is open has one descriptor, which is closed with the last connection.
_HELD: dict[tuple[int, int], list[int]] = {}  # by device and inode: the descriptor, and how many hold it
_LOCK = threading.Lock()


def _hold(path: Path) -> tuple[int, int]:
    about = path.stat()
    key = (about.st_dev, about.st_ino)
    with _LOCK:
        if key in _HELD:
            _HELD[key][1] += 1
        else:
            _HELD[key] = [os.open(path, os.O_RDONLY | os.O_CLOEXEC), 1]
    return key


def _let_go(key: tuple[int, int]) -> None:
    with _LOCK:
        _HELD[key][1] -= 1
        if not _HELD[key][1]:
            os.close(_HELD.pop(key)[0])


def head(path: Path, size: int) -> bytes:
    """The first bytes of a catalog's file, which this process may have open."""
    with _LOCK:
        about = path.stat()
        if (held := _HELD.get((about.st_dev, about.st_ino))) is not None:
            return os.pread(held[0], size, 0)
        with path.open("rb") as file:
            return file.read(size)


def _page(file: int, number: int, size: int) -> bytes:
    return os.pread(file, size, (number - 1) * size)


def _digest(page: bytes) -> bytes:
    """Eight bytes that are neither all zeros nor all ones."""
    found = hashlib.blake2b(page, digest_size=ENTRY).digest()
    return found if found not in (OPEN, SPOILT) else b"\x01" * ENTRY
