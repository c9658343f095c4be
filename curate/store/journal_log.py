"""`journal.log`: what people decided and what is held back, in an append-only file beside the catalog.

Triggers note in the table `outbox` what changes in the tables below, in the transaction that changes it. Before that
commits, each change gets its place in the chain (`chain`); after it, its line is appended to the file (`flush`). So the
file is never ahead of a catalog that is its own: one that is, says that the catalog is an older copy, and tells it what
it does not know. `docs/takedown.md` says what becomes of a sample's lines.
"""

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

from curate.errors import FULL, DiskFullError
from curate.fingerprint import canonical
from curate.store import chain
from curate.store.blobs import write

NAME = "journal.log"
KEYS: Mapping[str, tuple[str, ...]] = {  # the tables, parents before children, with the columns that name a row
    "runs": ("run",),
    "queues": ("queue",),
    "queue_items": ("queue", "sample"),
    "queue_members": ("queue", "sample"),
    "queue_labels": ("queue", "sample"),
    "relabels": ("taxonomy", "origin"),
    "sessions": ("session",),
    "decisions": ("decision",),
    "precedents": ("precedent",),
    "incidents": ("incident",),
    "matches": ("match",),
    "quarantine": ("kind", "subject", "incident"),
    "set_aside": ("number",),
    "releases": ("version",),
    "shares": ("version", "name"),
    "forgotten": ("path",),
}
NUMBERED = ("decisions", "precedents")  # append-only; where two histories used one number, the row gets another
_HEAD, _RENEW = "journal", "journal_renew"  # the catalog's notes: the last line's number and digest; to be written anew

Standing = Literal["", "older", "lost", "other"]


class JournalLog:
    """The file of one catalog. Every method takes the catalog's connection, whose holder lets one thread in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._durable = -1  # lines up to this one are in the file
        self._waiting = False  # something may not be in the file yet

    # -- what changes ------------------------------------------------------------------------------------------------

    def chain(self, db: sqlite3.Connection) -> None:
        """Give what the transaction under way changed its lines."""
        if db.execute("SELECT 1 FROM outbox WHERE seq IS NULL LIMIT 1").fetchone() is None:
            return
        seq, prev = _head(db) or (-1, chain.GENESIS)
        if seq < 0:
            sql = "INSERT INTO outbox (n, change) SELECT min(n) - 1, ? FROM outbox"
            db.execute(sql, (canonical({"secret": _get(db, "secret")}),))
        db.execute("DELETE FROM outbox WHERE seq <= ?", (self._durable,))
        found = []
        for n, change in db.execute("SELECT n, change FROM outbox WHERE seq IS NULL ORDER BY n").fetchall():
            seq += 1
            text, prev = chain.line(json.loads(change) | {"seq": seq}, prev)
            found.append((seq, text.decode(), n))
        db.executemany("UPDATE outbox SET seq = ?, line = ?, change = '' WHERE n = ?", found)
        _put_head(db, seq, prev)
        self._waiting = True

    def flush(self, db: sqlite3.Connection) -> None:
        """Append what the file does not have yet, durably; on a full disk another time: the catalog has it."""
        if not self._waiting:
            return
        if _get(db, _RENEW) is not None:
            self.rewrite(db)
            return
        with self._locked() as file:
            if file is None:
                return
            one, end = chain.last(file.fileno())
            seq, digest = (one["seq"], one["digest"]) if one is not None else (-1, chain.GENESIS)
            rows = db.execute("SELECT seq, line FROM outbox WHERE seq > ? ORDER BY seq", (seq,)).fetchall()
            if rows and (rows[0][0] != seq + 1 or json.loads(rows[0][1])["prev"] != digest):
                return  # lines are missing between: the next verb that opens the workspace says so
            if rows and not _append(file, "".join(row[1] for row in rows).encode(), end):
                return
            self._durable = rows[-1][0] if rows else seq
            self._waiting = False

    @staticmethod
    def overdue(db: sqlite3.Connection) -> bool:
        """Whether the file is still to be written anew, and may hold what was erased."""
        return _get(db, _RENEW) is not None

    def renew(self, db: sqlite3.Connection) -> None:
        """Have the file written anew from the catalog as the transaction under way leaves it: after an erasure."""
        db.execute("DELETE FROM outbox")
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, '1')", (_RENEW,))
        self._waiting = True

    def rewrite(self, db: sqlite3.Connection) -> None:
        """Write the file anew from what the catalog knows, so that it holds nothing else."""
        with self._locked() as file:
            if file is None:
                return
            db.execute("BEGIN IMMEDIATE")
            try:
                seq, _ = _head(db) or (-1, "")
                data, prev = list[bytes](), chain.GENESIS
                for one in self._snapshot(db):
                    seq += 1
                    text, prev = chain.line(one | {"seq": seq}, prev)
                    data.append(text)
                write(self.path, b"".join(data))
                db.execute("DELETE FROM outbox")
                db.execute("DELETE FROM meta WHERE key = ?", (_RENEW,))
                _put_head(db, seq, prev)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # a full disk ends it by itself
                    db.execute("ROLLBACK")
                raise
        self._durable, self._waiting = seq, False

    def _snapshot(self, db: sqlite3.Connection) -> Iterator[dict[str, Any]]:
        yield {"secret": _get(db, "secret")}
        for table in KEYS:
            for row in rows(db, table):
                yield {"put": table, "row": row}

    # -- meeting the catalog -----------------------------------------------------------------------------------------

    def meet(self, db: sqlite3.Connection) -> Standing:
        """How the file stands to the catalog that is opened; what a killed run did not append, is appended.

        `lost`: lines that the catalog knows of are missing. `older`: the catalog is an older copy, and was told what it
        did not know. `other`: they are of two workspaces, or went two ways.
        """
        if _get(db, _RENEW) is not None:
            self._waiting = True
            with contextlib.suppress(DiskFullError):  # another time
                self.rewrite(db)
            return ""
        with self._locked() as file:  # nobody appends meanwhile: who has committed is seen, who has appended, too
            if file is None:
                return ""
            one, end = chain.last(file.fileno())
            head = _head(db)
            unsent = dict(db.execute("SELECT seq, line FROM outbox WHERE seq >= 0").fetchall())
        if one is None:
            known = min(unsent, default=head[0] + 1 if head else 0)
            found: Standing = "lost" if end or known > 0 else ""
        elif head is None or one["seq"] > head[0]:
            found = "older" if self._mine(db) else "other"
        elif one["seq"] == head[0]:
            found = "" if one["digest"] == head[1] else "other"
        else:
            following = unsent.get(one["seq"] + 1)
            found = "lost" if following is None else "" if json.loads(following)["prev"] == one["digest"] else "other"
        if found == "lost" and self.secret() not in (None, _get(db, "secret")):
            found = "other"
        if found == "older":
            self.merge(db, head)
        elif not found:
            self._waiting, self._durable = True, one["seq"] if one else -1
            self.flush(db)
        return found

    def _mine(self, db: sqlite3.Connection) -> bool:
        return self.secret() == _get(db, "secret")

    def secret(self) -> str | None:
        """The key of the workspace that wrote the file; None where its first line is gone."""
        return next((one["secret"] for one in chain.records(self.path) if "secret" in one), None)

    def merge(self, db: sqlite3.Connection, head: tuple[int, str] | None = None, *, past: bool = False) -> None:
        """Tell the catalog what the file knows; what follows its `head`, where that line is there, otherwise all.

        `past`: the file was cut, or is an older copy, and the catalog has gone on from it: only what it lacks is news.
        """
        found = chain.records(self.path)
        if head is not None and any((one.get("seq"), one["digest"]) == head for one in found):
            found = [one for one in found if one["seq"] > head[0]]
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute("PRAGMA defer_foreign_keys = ON")
            _apply(db, list(_lacking(db, found)) if past else found)
            db.execute("DELETE FROM outbox")
            if found:
                _put_head(db, found[-1]["seq"], found[-1]["digest"])
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    # -- checking ----------------------------------------------------------------------------------------------------

    def differs(self, db: sqlite3.Connection) -> int:
        """How many rows the file, and what is on its way there, tells otherwise than the catalog; in a transaction."""
        lines = {one.get("seq"): one for one in chain.records(self.path)}
        for seq, text in db.execute("SELECT seq, line FROM outbox WHERE seq >= 0 ORDER BY seq"):
            lines[seq] = json.loads(text)
        said = _state(lines.values())
        known = {(table, _name(table, row)): row for table in KEYS for row in rows(db, table)}
        return sum(said.get(one) != known.get(one) for one in said.keys() | known.keys())

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO | None]:
        """The file, kept from every other process; None on a disk that is full, or that may not be written."""
        while True:
            try:
                file = self.path.open("a+b", buffering=0)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                yield None
                return
            with file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self.path.exists() and os.fstat(file.fileno()).st_ino == self.path.stat().st_ino:
                    os.fchmod(file.fileno(), 0o600)
                    yield file
                    return


def rows(db: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    """The rows of a table that is journalled; of runs only what was known when they began."""
    names = _columns(db, table)
    sql = f"SELECT {', '.join(names)} FROM {table} ORDER BY {', '.join(KEYS[table])}"  # noqa: S608 (constants)
    for row in db.execute(sql):
        yield dict(zip(names, tuple(row), strict=True))


def _state(lines: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """What lines say there is: each row, by its table and what names it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in lines:
        table = str(one.get("put") or one.get("del"))
        if "put" in one:
            found[table, _name(table, one["row"])] = one["row"]
        elif "del" in one:
            found.pop((table, _name(table, one["row"])), None)
    return found


def _name(table: str, row: Mapping[str, Any]) -> str:
    """What names a row within its table."""
    return canonical([row.get(key) for key in KEYS[table]])


def journalled(db: sqlite3.Connection, tables: Sequence[str] = tuple(KEYS)) -> None:
    """Have changes of these tables noted from now on, where they are there; for a migration that adds to them, too."""
    for table in filter(partial(_columns, db), tables):
        acts = ("INSERT",) if table == "runs" else ("INSERT", "UPDATE", "DELETE")
        for act in acts:
            db.execute(f"DROP TRIGGER IF EXISTS journal_{table}_{act.lower()}")
            db.execute(_trigger(db, table, act))


def noted(db: sqlite3.Connection) -> None:
    """Note every row that is there; for a catalog that was made before there was a journal."""
    for table in filter(partial(_columns, db), KEYS):
        db.execute(f"INSERT INTO outbox (change) SELECT {_change(db, table, 'put', '')} FROM {table}")  # noqa: S608


def _trigger(db: sqlite3.Connection, table: str, act: str) -> str:
    what, row = ("del", "OLD.") if act == "DELETE" else ("put", "NEW.")
    change = _change(db, table, what, row)
    body = f"INSERT INTO outbox (change) VALUES ({change})"  # noqa: S608 (names of the schema)
    return f"CREATE TRIGGER journal_{table}_{act.lower()} AFTER {act} ON {table} BEGIN {body}; END"


def _change(db: sqlite3.Connection, table: str, what: str, row: str) -> str:
    """An SQL expression: a row as the JSON of a change; floats to the last bit."""
    types = {one[1]: one[2] for one in db.execute(f"PRAGMA table_info({table})")}
    values = []
    for column in _columns(db, table):
        value = f"{row}{column}"
        if types[column] == "REAL":
            value = f"CASE WHEN {value} IS NOT NULL THEN json(printf('%!.17g', {value})) END"
        values.append(f"'{column}', {value}")
    return f"json_object('{what}', '{table}', 'row', json_object({', '.join(values)}))"


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    named = [one[1] for one in db.execute(f"PRAGMA table_info({table})")]
    return [
        one for one in named if not (table == "runs" and one in ("status", "ended_at", "result", "screening", "asked"))
    ]


def _apply(db: sqlite3.Connection, found: Sequence[Mapping[str, Any]]) -> None:
    """Do to the catalog what the lines say was done."""
    moved: dict[tuple[str, int], int] = {}  # rows that got another number
    columns = {table: set(_columns(db, table)) for table in KEYS}
    for one in found:
        table = str(one.get("put") or one.get("del"))
        if table not in KEYS:
            continue
        row = {key: value for key, value in one["row"].items() if key in columns[table]}
        if "del" in one:
            where = " AND ".join(f"{key} IS ?" for key in KEYS[table])
            db.execute(f"DELETE FROM {table} WHERE {where}", [row.get(key) for key in KEYS[table]])  # noqa: S608
        elif table in NUMBERED:
            _number(db, table, row, moved)
        else:
            _put(db, table, row)


def _lacking(db: sqlite3.Connection, found: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows that lines leave and the catalog lacks; with a parent that it knows, it knows what became of them."""
    known = {(table, _name(table, row)) for table in KEYS if table not in NUMBERED for row in rows(db, table)}
    parents = {(table, row[KEYS[table][0]]) for table in _PARENTS.values() if table in KEYS for row in rows(db, table)}
    for (table, name), row in _state(found).items():
        led = table in (*_CHILDREN, "quarantine") and any((to, row.get(key)) in parents for key, to in _PARENTS.items())
        if (table, name) not in known and not led:
            yield {"put": table, "row": row}


_PARENTS = {"candidate": "candidates", "incident": "incidents", "queue": "queues", "version": "releases"}
_CHILDREN = ("matches", "queue_items", "queue_members", "queue_labels", "shares")  # which are nothing by themselves


def _put(db: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    if table == "runs":
        row = row | {"status": "killed"}  # how it ended was not written down
    for key, parent in _PARENTS.items():
        if row.get(key) is not None and parent != table and not _there(db, parent, key, row[key]):
            if table in _CHILDREN and key != "candidate":  # its line was damaged
                return
            row = row | {key: None}
    where = " AND ".join(f"{key} IS :{key}" for key in KEYS[table])
    if (known := db.execute(f"SELECT * FROM {table} WHERE {where}", row).fetchone()) is None:  # noqa: S608
        _insert(db, table, row)
    elif table not in ("runs", "quarantine") and not (table == "set_aside" and known["ended_at"]):  # it was restored
        db.execute(f"UPDATE {table} SET {', '.join(f'{key} = :{key}' for key in row)} WHERE {where}", row)  # noqa: S608


def _number(db: sqlite3.Connection, table: str, row: dict[str, Any], moved: dict[tuple[str, int], int]) -> None:
    (key,) = KEYS[table]
    number = row[key]
    if row.get("undoes") is not None:
        row["undoes"] = moved.get((table, row["undoes"]), row["undoes"])
        if not _there(db, table, key, row["undoes"]):
            return
    known = db.execute(f"SELECT * FROM {table} WHERE {key} = ?", (number,)).fetchone()  # noqa: S608
    if known is not None and any(known[column] != value for column, value in row.items()):
        row = {column: value for column, value in row.items() if column != key}
    if known is None or key not in row:
        done = _insert(db, table, row)
        moved[table, number] = int(done.lastrowid or number) if done.rowcount else number


def _insert(db: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> sqlite3.Cursor:
    names = ", ".join(row)
    marks = ", ".join(f":{key}" for key in row)
    return db.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", row)  # noqa: S608


def _there(db: sqlite3.Connection, table: str, key: str, value: object) -> bool:
    return db.execute(f"SELECT 1 FROM {table} WHERE {key} = ?", (value,)).fetchone() is not None  # noqa: S608


def _append(file: BinaryIO, data: bytes, at: int) -> bool:
    """Add bytes after the last whole line, or nothing; False on a full disk."""
    try:
        file.truncate(at)  # what a killed run wrote of a line
        if file.write(data) == len(data):
            os.fsync(file.fileno())
            return True
    except OSError as error:
        if error.errno not in FULL:
            raise
    file.truncate(at)
    return False


def _get(db: sqlite3.Connection, key: str) -> str | None:
    found = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if found is None else str(found[0])


def _head(db: sqlite3.Connection) -> tuple[int, str] | None:
    """The number and the digest of the last line that the catalog knows."""
    text = _get(db, _HEAD)
    found = json.loads(text) if text else None
    return (int(found["seq"]), str(found["digest"])) if found else None


def _put_head(db: sqlite3.Connection, seq: int, digest: str) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_HEAD, canonical({"seq": seq, "digest": digest})))
