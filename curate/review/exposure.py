"""How long a reviewer has been looking, and when a pause is due; kept in the catalog, so no restart resets it."""

import sqlite3
from dataclasses import dataclass
from typing import Literal

from curate.config import ReviewConfig

Act = Literal["look", "reveal", "done"]
GAP = 300.0  # seconds; a longer silence counts as this much looking, one as long as a pause is a pause


@dataclass(frozen=True, slots=True)
class Exposure:
    """Seconds at work and originals looked at since the last pause; `pause_until` in Unix seconds, None: no pause."""

    seconds: float = 0.0
    reveals: int = 0
    pause_until: float | None = None


@dataclass(frozen=True, slots=True)
class ExposureLimits:
    """When a pause is due, and how long it is; seconds."""

    seconds: float
    reveals: int
    pause: float

    @classmethod
    def from_config(cls, config: ReviewConfig) -> "ExposureLimits":
        """The limits that the config sets."""
        return cls(config.max_minutes * 60, config.max_reveals, config.pause_minutes * 60)


def tick(db: sqlite3.Connection, reviewer: str, limits: ExposureLimits, now: float, act: Act = "look") -> Exposure:
    """Count the time since the reviewer was last seen; a pause begins, or is over. `now` in Unix seconds.

    Time is over at any act. Originals are over when an item is done with, or at the one that would be too many, which
    is not counted: the last one allowed may be looked at and judged. A clock that was set back ends no pause, and makes
    none longer than a pause.
    """
    row = db.execute("SELECT * FROM exposure WHERE reviewer = ?", (reviewer,)).fetchone()
    found = _since(row, limits, now) if row else Exposure()
    if found.pause_until is None:
        spent = found.reveals >= limits.reveals
        if found.seconds >= limits.seconds or (spent and act != "look"):
            found = Exposure(found.seconds, found.reveals, now + limits.pause)
        elif act == "reveal":
            found = Exposure(found.seconds, found.reveals + 1)
    values = (reviewer, found.seconds, found.reveals, now, found.pause_until)
    db.execute("INSERT OR REPLACE INTO exposure VALUES (?, ?, ?, ?, ?)", values)
    return found


def _since(row: sqlite3.Row, limits: ExposureLimits, now: float) -> Exposure:
    """What it has come to by now: nothing after a pause, whether it was enforced or taken."""
    gap, until = max(0.0, now - row["seen_at"]), row["pause_until"]
    if until is not None:
        paused = Exposure(row["seconds"], row["reveals"], min(until, now + limits.pause))
        return Exposure() if now >= until else paused
    return Exposure() if gap >= limits.pause else Exposure(row["seconds"] + min(gap, GAP), row["reveals"])
