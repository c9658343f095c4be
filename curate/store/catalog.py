"""The catalog: one SQLite file that holds every fact a run may not lose."""

import contextlib
import hashlib
import hmac
import os
import pwd
import secrets
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from curate import __version__
from curate.ending import uninterrupted
from curate.errors import BusyError, DiskFullError, StoreError
from curate.fingerprint import canonical
from curate.store import journal_log
from curate.store.blobs import disk
from curate.store.chain import GENESIS
from curate.store.journal_log import JournalLog
from curate.store.migrations import migrate
from curate.store.page_digests import Seal

FOLD_AT = 64 * 2**20  # bytes by which the write-ahead log may grow before it is folded in
CONFIGURED = "configured"  # the name of a fact: the sources that the last fetch was told to ask, as JSON
BY_HAND = "hydrate"  # the plug-in of sources that no curate.toml names: a command does
PAGE = "page:"  # begins the name of a fact: a page with pictures was written at the path that follows
WAIT = 30.0  # seconds for which a writer in another process is waited for
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "wal_autocheckpoint=0")
Row = sqlite3.Row


def now() -> str:
    """The time in UTC, to the millisecond, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def later(than: str | None) -> str:
    """The time, and never that of what was said a moment ago: a millisecond after it, if it is no more than a second.

    A time that lies far ahead is a wrong clock's, and is not followed.
    """
    at = datetime.now(UTC)
    before = datetime.fromisoformat(than) if than else None
    if before is not None and at <= before <= at + timedelta(seconds=1):
        at = before + timedelta(milliseconds=1)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def user() -> str:
    """Who is at the keyboard, as the log names them; a number only where nobody gave it a name."""
    try:
        return os.environ.get("USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


class Catalog:
    """Reads and writes `catalog.db`: WAL, synchronous=FULL, foreign keys, freed pages overwritten.

    Raises StoreError where the file is no catalog, or a newer version's; DiskFullError where it cannot grow.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run: str | None = None
        with translated(), disk():
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            path.chmod(0o600)
            self._db.row_factory = sqlite3.Row
            self._lock = threading.RLock()
            for pragma in ("busy_timeout=30000", *_PRAGMAS):
                self._db.execute(f"PRAGMA {pragma}")
            self.seal, self._folded = Seal(path), 0
            try:
                self._begin()
            except BaseException:  # a full disk, for one: what is committed by then is folded in sealed, or not at all
                self.close()
                raise

    def _begin(self) -> None:
        """Bring the file up to this version, and meet the journal."""
        self.journal = JournalLog(self.path.with_name(journal_log.NAME))
        with self.seal.writing():
            migrate(self._db)
            self._secret()
            self.standing = self.journal.meet(self._db)
            if self.standing == "older":
                sql = "INSERT OR IGNORE INTO meta VALUES ('older', ?)"
                self._db.execute(sql, (f"seen {now()}",))
        if self.scalar("SELECT 1 FROM outbox WHERE seq IS NULL LIMIT 1") is not None:
            with self.tx():  # of a catalog that never had a journal
                pass

    def close(self) -> None:
        """Close the file, after folding the write-ahead log in: SQLite would do it unsealed. May be done twice."""
        with uninterrupted(), self._lock:  # left half-way, SQLite would fold it in when the connection is collected
            if self.seal.closed:
                return
            try:
                if self.seal.alone(WAIT):
                    self._count()
                    self.seal.fold(self._checkpoint)
            except (OSError, sqlite3.Error):  # a full disk; the log stays as it is
                pass
            finally:
                self._db.close()
                self.seal.close()

    # -- reading and writing -------------------------------------------------------------------------------------

    def all(self, sql: str, params: Iterable[object] = ()) -> list[Row]:
        """Every row of a query."""
        with translated(), self._lock:
            return self._db.execute(sql, tuple(params)).fetchall()

    def scalar(self, sql: str, params: Iterable[object] = ()) -> Any:
        """The first column of the first row, or None."""
        found = self.all(sql, params)
        return found[0][0] if found else None

    def iterate(self, sql: str, params: Iterable[object] = ()) -> Iterator[Row]:
        """The rows of a query, a few at a time; do not write while it runs."""
        with translated():
            yield from self._db.execute(sql, tuple(params))

    def iterate_tuples(self, sql: str, params: Iterable[object] = ()) -> Iterator[tuple[Any, ...]]:
        """As `stream`, rows as plain tuples: what millions are read as."""
        with translated():
            cursor = self._db.cursor()
            cursor.row_factory = None
            yield from cursor.execute(sql, tuple(params))

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A second connection that only reads, all of it at one moment: for long scans, one for each thread.

        Use it where this catalog stays open: who closes a file last folds the log in.
        """
        with translated():
            db = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=30)
            try:
                db.execute("BEGIN")
                db.execute("SELECT 1 FROM meta LIMIT 1").fetchall()  # the moment
                yield db
            finally:
                db.close()

    @contextmanager
    def tx(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or none of it. Threads take turns."""
        with translated(), self._lock:
            with self.seal.writing():
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self.journal.chain(self._db)
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:  # where the disk is full, SQLite has rolled back already
                        self._db.execute("ROLLBACK")
                    raise
                self.journal.flush(self._db)
            if (size := self._logged()) > self._folded + FOLD_AT:
                self.checkpoint(0)
                self._folded = min(size, self._logged())  # what a reader keeps back is not tried again at once

    # -- the file ------------------------------------------------------------------------------------------------

    def checkpoint(self, patience: int = 5000) -> bool:
        """Fold the write-ahead log into the file, sealed, and empty it.

        False where a reader or a writer in another process prevents it for `patience` milliseconds.
        """
        with translated(), disk(), self._lock:
            if not self.seal.alone(patience / 1000):
                return False
            try:
                self._count()
                return self.seal.fold(lambda: self._checkpoint(patience))
            finally:
                self.seal.free()

    def vacuum(self) -> None:
        """Write the file anew, without free pages and what they may hold."""
        with translated(), self._lock, self.seal.writing():
            self._db.execute("VACUUM")

    def broken_pages(self) -> list[int]:
        """The number of every page of the file that is not what was written; it folds the log in first.

        None where the digests themselves are lost.
        """
        if self.seal.lost and not self.seal.other:
            return []
        with translated(), disk(), self._lock:
            if not self.seal.alone(WAIT):
                raise BusyError("catalog.db: another process writes it; try again when that is done")
            try:
                self._count()
                self.seal.fold(self._checkpoint)
                return self.seal.broken()
            finally:
                self.seal.free()

    def take_journal(self, *, past: bool = False) -> None:
        """Learn what the journal knows; of one that this catalog has gone on from (`past`), only what is not here."""
        with translated(), self._lock, self.seal.writing():
            self.journal.merge(self._db, past=past)
        self.standing = ""

    def renew_journal(self) -> None:
        """Write the journal anew from what the catalog knows."""
        with self.tx() as db:
            self.journal.renew(db)
        self.standing = ""

    def journal_differs(self) -> int:
        """How many rows the journal, with what is on its way there, tells otherwise than the catalog."""
        with self.tx() as db:
            return self.journal.differs(db)

    @property
    def journal_overdue(self) -> bool:
        """Whether the journal is still to be written anew, and may hold what was erased."""
        with translated(), self._lock:
            return self.journal.overdue(self._db)

    def reseal(self) -> None:
        """Take the file as it is; for one whose seal was lost, and whose content was checked."""
        with self._lock:
            self.seal.found()
        self.checkpoint()

    def _count(self) -> None:
        """Have the first page say how often something was folded in: by its digest an older seal, or file, is told."""
        if self._logged():
            with contextlib.suppress(sqlite3.OperationalError):  # a full disk
                number = self._db.execute("PRAGMA application_id").fetchone()[0]
                self._db.execute(f"PRAGMA application_id = {(number + 1) % 2**31}")

    def _checkpoint(self, patience: int = 0) -> bool:
        self._db.execute(f"PRAGMA busy_timeout={patience}")
        try:
            return bool(self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):  # a stream of our own is being read; another time
                return False
            raise
        finally:
            self._db.execute("PRAGMA busy_timeout=30000")

    def _logged(self) -> int:
        """How long the write-ahead log is, in bytes."""
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except FileNotFoundError:
            return 0

    # -- small facts ---------------------------------------------------------------------------------------------

    def get(self, key: str) -> str | None:
        """A small fact by name."""
        value = self.scalar("SELECT value FROM meta WHERE key = ?", (key,))
        return None if value is None else str(value)

    def set(self, key: str, value: str) -> None:
        """Remember a small fact."""
        with self.tx() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _secret(self) -> None:
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (secrets.token_hex(32),))
        try:
            self._key = bytes.fromhex(self.get("secret") or "")
        except ValueError as error:
            raise StoreError("catalog.db: the key of its digests is damaged") from error

    def rekey(self, secret: str) -> None:
        """Take over the key of an older catalog's digests; for a catalog that holds nothing yet."""
        self.set("secret", secret)
        self._key = bytes.fromhex(secret)

    def digest(self, kind: str, value: str) -> str:
        """A keyed digest (HMAC-SHA256, hex): names a thing to this workspace, and says nothing to anyone else."""
        return hmac.new(self._key, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()

    def digester(self, kind: str) -> Callable[[str], str]:
        """`digest` for many values, in a third of the time: what the key says is hashed once (RFC 2104)."""
        key = self._key.ljust(hashlib.sha256().block_size, b"\0")
        inner = hashlib.sha256(bytes(one ^ 0x36 for one in key) + f"{kind}\0".encode())
        outer = hashlib.sha256(bytes(one ^ 0x5C for one in key))

        def digest(value: str) -> str:
            message, tag = inner.copy(), outer.copy()
            message.update(value.encode())
            tag.update(message.digest())
            return tag.hexdigest()

        return digest

    # -- runs and the log ----------------------------------------------------------------------------------------

    def begin(self, verb: str, config: str) -> str:
        """Open a run and make it the one that the log names."""
        self.run = uuid.uuid4().hex
        with self.tx() as db:
            db.execute(
                "INSERT INTO runs (run, verb, status, tool, config, started_at) VALUES (?, ?, 'running', ?, ?, ?)",
                (self.run, verb, __version__, config, now()),
            )
            self.append(db, verb, None, {})
        return self.run

    def end(self, status: str, result: Mapping[str, object] | None = None) -> None:
        """Close the run: done, incomplete, failed or interrupted; `result` says `why` where it is not done."""
        with self.tx() as db:
            db.execute(
                "UPDATE runs SET status = ?, ended_at = ?, result = ? WHERE run = ?",
                (status, now(), canonical(result or {}), self.run),
            )
        self.run = None

    def log(self, action: str, subject: str | None = None, detail: Mapping[str, object] | None = None) -> None:
        """Append one row to the hash-chained log; `subject` is kept as a keyed digest."""
        with self.tx() as db:
            self.append(db, action, subject, detail or {})

    def append(  # who acts is this process's user, unless the caller knows better
        self, db: sqlite3.Connection, action: str, subject: str | None, detail: Mapping[str, object],
        actor: str | None = None,
    ) -> None:  # fmt: skip
        """`note`, inside a transaction that is open: what was done and that it was done are written together."""
        last = db.execute("SELECT seq, digest FROM log ORDER BY seq DESC LIMIT 1").fetchone()
        seq, prev = (last[0] + 1, last[1]) if last else (1, GENESIS)
        actor = actor or user()
        row = [seq, now(), self.run, actor, action, subject and self.digest("id", subject), canonical(detail), prev]
        db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, _chain(row)))

    def broken_links(self) -> list[int]:
        """The `seq` of every log row whose digest or predecessor does not fit; empty when the chain is whole."""
        broken, prev, expected = [], GENESIS, 1
        for row in self.iterate("SELECT * FROM log ORDER BY seq"):
            values = list(row)
            if values[0] != expected or values[7] != prev or _chain(values[:8]) != values[8]:
                broken.append(int(values[0]))
            prev, expected = values[8], values[0] + 1
        return broken


def _chain(row: list[Any]) -> str:
    return hashlib.sha256(canonical(row).encode()).hexdigest()


_FULL = ("disk is full", "disk I/O error")


@contextmanager
def translated() -> Iterator[None]:
    """Foreign errors become ours at this border."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if any(text in str(error) for text in _FULL):
            raise DiskFullError(
                f"catalog.db: the disk is full, or fails ({error}); free some space and run it again"
            ) from error
        if isinstance(error, sqlite3.IntegrityError):
            raise
        raise StoreError(f"catalog.db: {error}") from error
    except UnicodeDecodeError as error:
        raise StoreError("catalog.db: text in it is damaged") from error
