"""What one reviewer does in one queue: append-only rows, each durable before the call returns.

Every write is one short BEGIN IMMEDIATE transaction without the driver lock, so several servers write to one workspace.
A request that is repeated with its nonce is answered as it was, and recorded once. Nothing that this module returns
about a blind item tells what the machine or anybody else says of it.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from curate.config import Config
from curate.errors import GoneError, PauseError, UsageError
from curate.fingerprint import canonical
from curate.options import suggest
from curate.records import UNSURE, Axis
from curate.review.assignment import Item, available_items, remaining_items
from curate.review.exposure import Act, Exposure, ExposureLimits, tick
from curate.review.guideline import read_by_people
from curate.screening.quarantine import quarantine
from curate.store import holds
from curate.store.catalog import Catalog
from curate.store.reviewer import reviewer_name

__all__ = ["Decision", "Item", "Journal", "find"]

Media = Literal["obscured", "revealed", "unobscured"]
Event = Literal["skip", "decline", "reveal", "escalate", "pause"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision as it stands in the catalog; `decided_at` is UTC, ISO 8601."""

    decision: int
    sample: str
    label: str
    decided_at: str


class Journal:
    """One reviewer in one queue. `clock` gives Unix seconds. Raises UsageError for a queue or a name that is none."""

    def __init__(
        self, catalog: Catalog, config: Config, queue: str, reviewer: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.catalog, self.config, self.clock = catalog, config, clock
        self.reviewer = reviewer_name(reviewer)
        self.queue, found = queue, find(catalog, queue)
        self.axis: Axis = next((one for one in config.taxonomy.axes if one.name == found["axis"]), Axis())
        if self.axis.name != found["axis"] or config.taxonomy.version != found["taxonomy"]:
            raise UsageError(
                f"queue {queue}: drawn for axis {found['axis']} of taxonomy {found['taxonomy']}, which curate.toml has"
                " no more; draw a new one"
            )
        self.reported, self.blind = bool(found["reported"]), bool(found["blind"])
        self.guideline = read_by_people(catalog, config.taxonomy)
        self.session: int | None = None

    # -- the session ---------------------------------------------------------------------------------------------

    def begin(self, detail: Mapping[str, object] | None = None) -> int:
        """Open a session, on record with what it was opened with (such as `unobscured`); the first write does, too."""
        with self._write(None) as (db, _):
            return self._begin(db, detail or {})

    def end(self) -> None:
        """Close the session; whatever comes after opens another one."""
        if self.session is not None:
            with self.catalog.tx() as db:
                db.execute("UPDATE sessions SET ended_at = ? WHERE session = ?", (self._now(), self.session))
            self.session = None

    def _begin(self, db: sqlite3.Connection, detail: Mapping[str, object]) -> int:
        if self.session is None:
            row = (self.queue, self.reviewer, self._now(), canonical(detail))
            sql = "INSERT INTO sessions (queue, reviewer, started_at, detail) VALUES (?, ?, ?, ?)"
            self.session = int(db.execute(sql, row).lastrowid or 0)
            self.catalog.append(db, "review", None, {"queue": self.queue, "session": self.session, **detail})
        return self.session

    # -- what is left --------------------------------------------------------------------------------------------

    def items(self) -> list[Item]:
        """What is left for this reviewer, in this reviewer's order; what was skipped comes last.

        Left out is what is held or gone, what this reviewer judged or declined, and what enough others have judged.
        """
        return remaining_items(self.catalog, self.queue, self.reviewer, self.axis.name)

    # -- deciding ------------------------------------------------------------------------------------------------

    def decide(
        self, sample: str, label: str, seconds: float | None = None, shown: Media = "obscured", nonce: str | None = None
    ) -> int:
        """Record a decision, and give its number; a class of the queue's axis, or `unsure`.

        A reviewer has one decision in force on an item of a queue: the same one again changes nothing, another one
        takes the first one back. Raises UsageError for a label that is none, GoneError for an item that is held or
        gone, PauseError during a pause; nothing is recorded then.
        """
        if label not in (*self.axis.classes, UNSURE):
            near = suggest(label, (*self.axis.classes, UNSURE))
            raise UsageError(f"label: no such class '{label}' on axis {self.axis.name}; {near}")
        with self._write(nonce) as (db, repeated):
            if repeated is not None:
                return _same(repeated, {"sample": sample, "label": label})
            item = self._item(db, sample)
            before = db.execute(_MINE, self._me | {"sample": sample}).fetchone()
            if before is not None and before["label"] == label:
                return int(before["decision"])
            self._account(db, "done")
            if before is not None:
                self._take_back(db, before, None)
            found = self._record(db, item, label, (seconds, shown, nonce))
            self.catalog.append(db, "decision", sample, {"axis": self.axis.name, "label": label, "queue": self.queue})
            return found

    def undo(self, nonce: str | None = None) -> Decision | None:
        """Take back this reviewer's last decision in force in this queue; None where there is none."""
        with self._write(nonce) as (db, repeated):
            if repeated is not None:
                taken = db.execute("SELECT * FROM decisions WHERE decision = ?", (repeated["undoes"],)).fetchone()
                return _decision(taken)
            last = db.execute(_LAST, self._me).fetchone()
            if last is None:
                return None
            self._take_back(db, last, nonce)
            return _decision(last)

    def _record(
        self, db: sqlite3.Connection, item: sqlite3.Row, label: str, given: tuple[float | None, Media, str | None]
    ) -> int:
        seconds, media, nonce = given
        looked = db.execute(_REVEALED, self._me | {"sample": item["sample"]}).fetchone()[0]
        media = "revealed" if media == "obscured" and looked else media
        inclusion = item["inclusion"] if self.reported else None
        row = self._row(db, item["sample"], label) | {
            "shown": "blind" if item["blind"] else media, "media": media, "seconds": seconds,
            "inclusion": inclusion, "undoes": None, "nonce": nonce,
        }  # fmt: skip
        return int(db.execute(_INSERT, row).lastrowid or 0)

    def _take_back(self, db: sqlite3.Connection, one: sqlite3.Row, nonce: str | None) -> None:
        row = self._row(db, one["sample"], one["label"])
        row |= {key: one[key] for key in ("shown", "media", "inclusion")}
        db.execute(_INSERT, row | {"seconds": None, "undoes": one["decision"], "nonce": nonce})
        self.catalog.append(db, "undo", one["sample"], {"axis": self.axis.name, "queue": self.queue})

    def _row(self, db: sqlite3.Connection, sample: str, label: str) -> dict[str, object]:
        """What every row of a decision says, at a time after this reviewer's last one, whatever the clock does; of one
        that was far ahead no more is thought."""
        ahead = _iso(datetime.fromtimestamp(self.clock(), UTC) + timedelta(days=1))
        last = db.execute(_WHEN, self._me | {"ahead": ahead}).fetchone()[0]
        at = max(self._now(), _next(last)) if last else self._now()
        return self._me | {
            "sample": sample, "axis": self.axis.name, "taxonomy": self.config.taxonomy.version, "label": label,
            "decided_at": at, "guideline": self.guideline.version, "session": self._begin(db, {}),
            "run": self.catalog.run,
        }  # fmt: skip

    # -- beside deciding -----------------------------------------------------------------------------------------

    def skip(self, sample: str, nonce: str | None = None) -> int:
        """Put an item last, without a word on it; raises as `decide` does."""
        return self._event("skip", sample, nonce, "done")

    def decline(self, sample: str, nonce: str | None = None) -> int:
        """Not for me: the item goes to the others. Possible during a pause."""
        return self._event("decline", sample, nonce, None)

    def reveal(self, sample: str, nonce: str | None = None) -> int:
        """Put on record that the original is asked for, before it is served; raises as `decide` does."""
        return self._event("reveal", sample, nonce, "reveal")

    def escalate(self, sample: str, reason: str, nonce: str | None = None) -> int:
        """Quarantine a sample with its group and its album, for everybody and at once; the incident's number.

        Possible during a pause, and for any sample, such as another member of a group.
        """
        done = self.catalog.scalar(
            "SELECT detail FROM review_events WHERE reviewer = ? AND nonce = ?", (self.reviewer, nonce)
        )
        if done is not None:
            return int(done)
        if self.catalog.scalar("SELECT 1 FROM samples WHERE id = ?", (sample,)) is None:
            raise GoneError(f"{sample[:12]}: no such sample here; it may have been taken down")
        incident = quarantine(self.catalog, sample, reason, group=True, actor=self.reviewer)
        with self._write(nonce) as (db, repeated):
            if repeated is None:
                self._note(db, "escalate", sample, nonce, str(incident))
        return incident

    def _event(self, kind: Event, sample: str, nonce: str | None, act: Act | None) -> int:
        with self._write(nonce) as (db, repeated):
            if repeated is not None:
                return _same(repeated, {"sample": sample, "kind": kind})
            self._item(db, sample)
            if act is not None:
                self._account(db, act)
            return self._note(db, kind, sample, nonce, None)

    def _note(self, db: sqlite3.Connection, kind: Event, sample: str, nonce: str | None, detail: str | None) -> int:
        row = (self._now(), kind, self.queue, sample, self.reviewer, self._begin(db, {}), nonce, detail)
        found = db.execute(_EVENT, row).lastrowid
        if kind != "escalate":  # quarantine has its own row in the log
            self.catalog.append(db, kind, sample, {"queue": self.queue})
        return int(found or 0)

    # -- exposure ------------------------------------------------------------------------------------------------

    def exposure(self) -> Exposure:
        """Where this reviewer stands, by now: asking counts as looking."""
        with self.catalog.tx() as db:
            return tick(db, self.reviewer, ExposureLimits.from_config(self.config.review), self.clock())

    def _account(self, db: sqlite3.Connection, act: Act) -> None:
        """Count an act; raises PauseError where a pause is under way, or begins before it."""
        before = db.execute("SELECT pause_until FROM exposure WHERE reviewer = ?", (self.reviewer,)).fetchone()
        now = self.clock()
        after = tick(db, self.reviewer, ExposureLimits.from_config(self.config.review), now, act)
        began = after.pause_until is not None and (before is None or before[0] is None or before[0] <= now)
        if after.pause_until is not None and not (began and act == "done"):  # what is done was looked at before
            raise _PauseDueError(act)

    # -- the reviewer's own account ------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """This session's counts, for this reviewer alone, and what is left. `pace`: median seconds a decision."""
        session = (self.session or 0,)
        decided = self.catalog.all("SELECT label, seconds FROM in_force WHERE session = ?", session)
        kinds = "SELECT kind, count(*) FROM review_events WHERE session = ? GROUP BY kind"
        events = {row[0]: row[1] for row in self.catalog.all(kinds, session)}
        undone = "SELECT count(*) FROM decisions WHERE session = ? AND undoes IS NOT NULL"
        spent = sorted(row["seconds"] for row in decided if row["seconds"] is not None)
        drawn = "SELECT json_extract(detail, '$.items') FROM queues WHERE queue = ?"
        total = int(self.catalog.scalar(drawn, (self.queue,)))
        return {
            "queue": self.queue, "reviewer": self.reviewer, "decided": len(decided),
            "unsure": sum(row["label"] == UNSURE for row in decided), "undone": self.catalog.scalar(undone, session),
            "skipped": events.get("skip", 0), "declined": events.get("decline", 0),
            "revealed": events.get("reveal", 0), "escalated": events.get("escalate", 0),
            "pace": spent[len(spent) // 2] if spent else None,
            "items": total, "left": len(self.items()), "gone": total - len(available_items(self.catalog, self.queue)),
        }  # fmt: skip

    # -- shared --------------------------------------------------------------------------------------------------

    @property
    def _me(self) -> dict[str, object]:
        return {"queue": self.queue, "reviewer": self.reviewer}

    def _now(self) -> str:
        return _iso(datetime.fromtimestamp(self.clock(), UTC))

    @contextmanager
    def _write(self, nonce: str | None) -> Iterator[tuple[sqlite3.Connection, sqlite3.Row | None]]:
        """One transaction, and what the nonce recorded before; of one that meets a pause, only the pause is kept."""
        session = self.session
        try:
            with self.catalog.tx() as db:
                yield db, self._repeated(db, nonce)
        except BaseException as error:
            self.session = session
            if not isinstance(error, _PauseDueError):
                raise
            with self.catalog.tx() as db:
                until = tick(
                    db, self.reviewer, ExposureLimits.from_config(self.config.review), self.clock(), error.act
                ).pause_until
            when = datetime.fromtimestamp(until or self.clock(), UTC).astimezone().strftime("%H:%M")
            raise PauseError(f"a pause until {when}: nothing more is shown before, nothing was recorded") from None

    def _repeated(self, db: sqlite3.Connection, nonce: str | None) -> sqlite3.Row | None:
        if nonce is None:
            return None
        for sql in _REPEATED:
            if (row := db.execute(sql, (self.reviewer, nonce)).fetchone()) is not None:
                return row  # type: ignore[no-any-return]
        return None

    def _item(self, db: sqlite3.Connection, sample: str) -> sqlite3.Row:
        """The item's row; raises GoneError where it is held, taken down or not in this queue."""
        row: sqlite3.Row | None = db.execute(
            "SELECT i.* FROM queue_items i JOIN samples s ON s.id = i.sample WHERE i.queue = ? AND i.sample = ?",
            (self.queue, sample),
        ).fetchone()
        if row is None or holds.is_held(self.catalog, sample):
            raise GoneError(f"{sample[:12]}: not in queue {self.queue}, or no more; the next item is another one")
        return row


class _PauseDueError(Exception):
    def __init__(self, act: Act) -> None:
        self.act = act


def find(catalog: Catalog, queue: str) -> sqlite3.Row:
    """The row of a queue; raises UsageError with those that there are."""
    rows = {row["queue"]: row for row in catalog.all("SELECT * FROM queues ORDER BY queue")}
    if queue not in rows:
        raise UsageError(f"queue {queue}: none was drawn; " + (suggest(queue, rows) if rows else "there are none yet"))
    return rows[queue]


def _same(row: sqlite3.Row, asked: Mapping[str, str]) -> int:
    """The number of what was recorded under a nonce; raises UsageError where something else was."""
    if any(key not in row.keys() or row[key] != value for key, value in asked.items()):  # noqa: SIM118
        raise UsageError("nonce: this one was given to another request before; give each request its own")
    return int(row[0])


def _decision(row: sqlite3.Row) -> Decision:
    return Decision(*(row[key] for key in ("decision", "sample", "label", "decided_at")))


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _next(text: str) -> str:
    """A millisecond after a time of the catalog."""
    return _iso(datetime.fromisoformat(text) + timedelta(milliseconds=1))


_LAST = """
SELECT * FROM in_force WHERE queue = :queue AND reviewer = :reviewer AND session IS NOT NULL
ORDER BY decision DESC LIMIT 1
"""
_MINE = """
SELECT * FROM in_force WHERE queue = :queue AND reviewer = :reviewer AND sample = :sample AND session IS NOT NULL
"""
_WHEN = """
SELECT max(decided_at) FROM decisions WHERE reviewer = :reviewer AND session IS NOT NULL AND decided_at < :ahead
"""
_REVEALED = """
SELECT count(*) FROM review_events WHERE queue = :queue AND reviewer = :reviewer AND sample = :sample
    AND kind = 'reveal'
"""
_INSERT = """
INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, guideline, seconds, queue, inclusion,
    undoes, run, session, nonce, media)
VALUES (:sample, :axis, :taxonomy, :reviewer, :label, :decided_at, :shown, :guideline, :seconds, :queue, :inclusion,
    :undoes, :run, :session, :nonce, :media)
"""
_EVENT = """
INSERT INTO review_events (at, kind, queue, sample, reviewer, session, nonce, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_REPEATED = (
    "SELECT * FROM decisions WHERE reviewer = ? AND nonce = ?",
    "SELECT * FROM review_events WHERE reviewer = ? AND nonce = ?",
)
