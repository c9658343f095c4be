"""What was taken down: keyed digests in an append-only file beside the catalog, which a restored backup leaves alone.

Each line of `tombstones.log` is a JSON object with the digest of the line before and its own; the first holds the key.
"""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.errors import StoreError
from curate.records import Candidate, Locator
from curate.store import chain
from curate.store.blobs import disk, sync, write
from curate.store.catalog import Catalog

NAME = "tombstones.log"
SCRUBBED = "taken-down:"  # what a candidate's locator begins with once it was taken down; a keyed digest follows
LISTED = "a screening list matched"  # why a rescan removed something: that may turn out to be wrong
RADIUS = 31  # PDQ bits within which a picture is one that was taken down with --block-near
_MERGED = "tombstones"  # the catalog's note of the last line that it knows


class Tombstones:
    """The file, and its copy in the catalog, which is what is asked."""

    def __init__(self, path: Path, catalog: Catalog) -> None:
        self.path, self._catalog = path, catalog

    def append(self, record: Mapping[str, Any]) -> None:
        """Make one record durable: in the file, then in the catalog. Only the holder of the driver lock may."""
        lines, known = chain.lines(self.path), chain.records(self.path)
        if self._lost(known) or self.broken():
            raise StoreError(
                f"{self.path}: lines of it are missing or damaged; `curate verify --repair` writes it anew"
            )
        prev = known[-1]["digest"] if known else chain.GENESIS
        new = [record] if known else [{"secret": self._catalog.get("secret")}, record]
        data = b""
        for one in new:
            line, prev = chain.line(one, prev)
            data += line
        with disk():
            self._write(data, sum(map(len, lines)))
        self._apply([record], prev)

    def _write(self, data: bytes, at: int) -> None:
        """Add bytes after the last whole line, or nothing."""
        with self.path.open("ab", buffering=0) as file:
            self.path.chmod(0o600)
            file.truncate(at)  # what a killed run wrote of a line
            try:
                if file.write(data) != len(data):
                    raise OSError(errno.ENOSPC, "a short write")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(at)
                raise
        sync(self.path.parent)

    def records(self) -> list[dict[str, Any]]:
        """Every record whose line is whole, in order."""
        return [one for one in chain.records(self.path) if "secret" not in one]

    def broken(self) -> list[int]:
        """The number (from 1) of every line that is not what was written; a torn last line is none."""
        return chain.broken(self.path)

    def merge(self) -> None:
        """Tell the catalog what it does not know: after a kill, or where an older copy of it was put back.

        A sample that came back is held at once, and goes again when a verb next takes the driver's seat. Raises
        StoreError where the file belongs to another workspace.
        """
        lines = chain.records(self.path)
        if not lines or self._catalog.get(_MERGED) == lines[-1]["digest"]:
            return
        secret = next((one["secret"] for one in lines if "secret" in one), None)
        if secret is not None and secret != self._catalog.get("secret"):
            if self._catalog.scalar("SELECT 1 FROM candidates UNION ALL SELECT 1 FROM samples LIMIT 1"):
                raise StoreError(f"{self.path}: it belongs to another catalog.db; put the right one of the two back")
            self._catalog.rekey(secret)
        self._apply(self.records(), None)
        self.returned()  # before the catalog says that it knows them: killed between the two, it is done again
        if not self._lost(lines):
            self._catalog.set(_MERGED, lines[-1]["digest"])

    def rebuild(self) -> None:
        """Write the file anew from what the catalog knows; for one that was damaged."""
        catalog, found = self._catalog, dict[str, dict[str, Any]]()
        for kind, digest, reason, receipt, at in catalog.all("SELECT * FROM tombstones WHERE receipt IS NOT NULL"):
            one = found.setdefault(receipt, {"receipt": receipt, "at": at, "reason": reason, "tombstones": []})
            one["tombstones"].append([kind, digest])
        records = sorted(found.values(), key=lambda one: (one["at"], one["receipt"]))
        for version, number, receipt, before, after, at in catalog.all("SELECT * FROM redactions ORDER BY at, number"):
            entry = {"version": version, "number": number, "before": before, "after": after}
            records.append({"receipt": receipt, "at": at, "redacted": [entry]})
        data, prev = b"", chain.GENESIS
        for record in [{"secret": catalog.get("secret")}, *records]:
            line, prev = chain.line(record, prev)
            data += line
        write(self.path, data)
        self._apply([], prev)

    def lost(self) -> bool:
        """Whether the catalog knows of a line that is not there any more."""
        return self._lost(chain.records(self.path))

    def _lost(self, lines: Sequence[Mapping[str, Any]]) -> bool:
        last = self._catalog.get(_MERGED)
        return last is not None and last not in {one["digest"] for one in lines}

    def reasons(self, keys: Sequence[Sequence[str]]) -> set[str]:
        """Why these (kind, digest) stay away, as far as they do."""
        sql = "SELECT reason FROM tombstones WHERE kind = ? AND digest = ?"
        return {str(found) for one in keys if (found := self._catalog.scalar(sql, tuple(one))) is not None}

    def _apply(self, records: Sequence[Mapping[str, Any]], last: str | None) -> None:
        with self._catalog.tx() as db:
            for one in records:
                for kind, digest in one.get("tombstones", ()):
                    db.execute(_NEW, (kind, digest, one["reason"], one["receipt"], one["at"], LISTED))
                for kind, digest in one.get("lifted", ()):
                    sql = "DELETE FROM tombstones WHERE kind = ? AND digest = ? AND reason = ?"
                    db.execute(sql, (kind, digest, LISTED))
                for done in one.get("redacted", ()):
                    said = (done["version"], done["number"], one["receipt"], done["before"], done["after"], one["at"])
                    db.execute("INSERT OR IGNORE INTO redactions VALUES (?, ?, ?, ?, ?, ?)", said)
                    db.execute("UPDATE releases SET sha256 = ? WHERE version = ?", (done["after"], done["version"]))
                    for folder in ("releases", "exports"):
                        db.execute("DELETE FROM files WHERE path GLOB ?", (f"{folder}/{done['version']}/*",))
            if last is not None:
                db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_MERGED, last))

    def returned(self) -> None:
        """Hold the samples that are here, or that people's words are about, although they were taken down; forget where
        candidates without bytes were."""
        catalog = self._catalog
        gone: dict[str, dict[str, str]] = {}
        for kind, digest, receipt in catalog.all("SELECT kind, digest, receipt FROM tombstones"):
            gone.setdefault(kind, {})[digest] = receipt
        digest = catalog.digester("sha256")
        named = (row[0] for row in catalog.iterate_tuples(_NAMED)) if "sha256" in gone else ()
        back = [(one, gone["sha256"][key]) for one in named if (key := digest(one)) in gone["sha256"]]
        with catalog.tx() as db:
            db.executemany("INSERT OR IGNORE INTO removing VALUES (?, ?)", back)
            bare = db.execute("SELECT candidate, kind, locator FROM candidates WHERE sample IS NULL").fetchall()
            there = [row[0] for row in bare if catalog.digest(row[1], row[2]) in gone.get(row[1], ())]
            list(scrub(catalog, db, there))


class Blocked:
    """What may not come back. Read once, asked often; costs nothing where nothing was taken down."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[str, set[str]] = {}
        for kind, digest in catalog.all("SELECT kind, digest FROM tombstones"):
            self._known.setdefault(kind, set()).add(digest)
        self._pdq = b"".join(bytes.fromhex(one) for one in sorted(self._known.get("pdq", ())))

    def candidate(self, one: Candidate) -> bool:
        """Whether its locator, its page upstream or its bytes (as the source names them) were taken down."""
        upstream = one.upstream
        page = f"{upstream.system}:{upstream.page_id}" if upstream and upstream.page_id else None
        sha256 = one.given.id if one.given else None
        asked = ((one.locator.kind, one.locator.value), ("page", page), ("sha1", one.sha1 and one.sha1.lower()),
                 ("sha256", sha256))  # fmt: skip
        return any(value is not None and self._has(kind, value) for kind, value in asked)

    def sha256(self, value: str) -> bool:
        """Whether these very bytes were taken down."""
        return self._has("sha256", value)

    def group(self, name: str) -> str:
        """The name of a group; a keyed digest in its place where it is the id of what was taken down."""
        return self._catalog.digest("group", name) if self.sha256(name) else name

    @property
    def by_look(self) -> bool:
        """Whether anything was taken down with its PDQ."""
        return bool(self._pdq)

    def near(self, hashes: bytes) -> bool:
        """Whether a picture is one that was taken down with its PDQ. `hashes`: eight orientations of 32 bytes."""
        if not self._pdq:
            return False
        import numpy as np

        gone = np.frombuffer(self._pdq, dtype=np.uint64).reshape(-1, 1, 4)
        mine = np.frombuffer(hashes, dtype=np.uint64).reshape(1, -1, 4)
        return bool((np.bitwise_count(gone ^ mine).sum(axis=2) <= RADIUS).any())

    def _has(self, kind: str, value: str) -> bool:
        known = self._known.get(kind)
        return known is not None and self._catalog.digest(kind, value) in known


def scrub(catalog: Catalog, db: Any, candidates: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Take what names an item out of its candidates' rows, which stay to be counted; yields (kind, digest) of each.

    To be used up inside the transaction `db`. Their mentions go.
    """
    for number in candidates:
        kind, locator = db.execute("SELECT kind, locator FROM candidates WHERE candidate = ?", (number,)).fetchone()
        digest = locator.removeprefix(SCRUBBED) if locator.startswith(SCRUBBED) else catalog.digest(kind, locator)
        for table in ("declared", "given", "mentions"):
            db.execute(f"DELETE FROM {table} WHERE candidate = ?", (number,))  # noqa: S608 (constants)
        db.execute(_SCRUB, (SCRUBBED + digest, number))
        yield kind, digest


def refuse(catalog: Catalog, db: Any, locator: Locator) -> None:
    """Count a candidate that may not come back, without a word of where it is, inside a transaction that is open."""
    digest = catalog.digest(locator.kind, locator.value)
    db.execute(
        "INSERT OR IGNORE INTO candidates (kind, locator, state, reason) VALUES (?, ?, 'failed', 'taken_down')",
        (locator.kind, SCRUBBED + digest),
    )


_NAMED = """
SELECT id FROM samples UNION SELECT sample FROM decisions UNION SELECT sample FROM precedents
    UNION SELECT carried_from FROM decisions WHERE carried_from IS NOT NULL
    UNION SELECT subject FROM quarantine WHERE kind = 'sample'
"""  # the last ones are what an older journal brings back
_NEW = """
INSERT INTO tombstones VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, digest)
    DO UPDATE SET reason = excluded.reason, receipt = excluded.receipt WHERE reason = ?
"""
_SCRUB = """
UPDATE candidates SET locator = ?, state = 'failed', reason = 'taken_down', detail = NULL, retryable = 0, sample = NULL,
    host = NULL, final_url = NULL, http_status = NULL, headers = NULL, hops = NULL WHERE candidate = ?
"""
