"""One worker as this process has it: two pipes, memory that both see, and a watch over what it takes."""

import contextlib
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curate import ending
from curate.confine import Door, door_of
from curate.contracts import Needs, Work
from curate.engine import _answers
from curate.engine import _limits as limits
from curate.engine import _parcel as parcel
from curate.engine._each import All, own
from curate.engine._line import Line
from curate.engine._worker import Brief
from curate.errors import ItemError
from curate.layouts.folder import shown
from curate.records import Reason

LINGER = 0.5  # seconds that a worker without work has to end by itself


@dataclass(frozen=True)
class Terms:
    """What a worker may reach, and what its items may cost."""

    door: Door | None
    seconds: float
    memory: int
    cpus: int
    aloud: bool

    @classmethod
    def of(cls, work: Work[Any, Any], needs: Needs, confine: str, seconds: float, memory: int, aloud: bool) -> "Terms":
        """Those of a work. Raises UsageError where it must be confined and cannot be."""
        return cls(door_of(work, needs, confine), seconds, memory, max(1, needs.cpus), aloud)

    def watch(self, pid: int, room: parcel.Room | None) -> limits.Watch:
        """A watch over a worker that is ready."""
        return limits.Watch(pid, self.seconds, self.memory, self.cpus, lambda: (0, 1) if room is None else room.pace)


class _EndedError(Exception):
    """The worker is gone: why, and at which step of its task it said to be (the first is 1, 0: before that)."""

    def __init__(self, why: ItemError, at: int = 0) -> None:
        super().__init__(str(why))
        self.why, self.at = why, at


class _LeftError(Exception):
    """Nobody waits for the answer any more."""


class Worker:
    """Runs a work on items, one at a time, in a process that is replaced when it ends."""

    def __init__(self, work: Work[Any, Any], terms: Terms) -> None:
        self._work, self._terms, self._own = work, terms, own(work)
        self._several = isinstance(work, All)
        self._kind = _answers.kind_of(work)
        self._room = parcel.Room.make()
        self._line: Line | None = None
        self._number = 0
        self._left = False

    def start(self) -> None:
        """Begin, so that it is ready when an item comes; nothing where it runs. Raises TypeError for work that cannot
        be sent."""
        if self._line is None:
            brief = parcel.packed(Brief(self._work, self._terms.door), None)
            if self._room is not None:
                self._room.step(0, 1)
            self._line = Line(self._room, self._look)
            self._watch: limits.Watch | None = None
            self._number = 0
            with contextlib.suppress(EOFError):  # it says so when it is waited for
                self._line.send(brief)

    def leave(self) -> None:
        """Wait for no answer any more."""
        self._left = True

    def close(self) -> None:
        """End it, and give back what it had."""
        left, self._left = self._left, True
        if self._line is not None:
            line, self._line = self._line, None
            line.close(0 if left or ending.asked.is_set() else LINGER)
        if self._room is not None:
            self._room.close()
            self._room = None

    # -- its items ---------------------------------------------------------------------------------------------------

    def run(self, item: Any) -> tuple[Any] | None:
        """What it answers to an item: a result or an exception, or a list of those for a chunk; None where it is told
        to leave before there is an answer."""
        try:
            return (self._chunk(list(item)) if self._several else self._one(item),)
        except _LeftError:
            return None

    def _one(self, item: Any) -> Any:
        try:
            return self._tried([item])[0]
        except _EndedError as end:
            return end.why

    def _chunk(self, items: list[Any]) -> list[Any]:
        """The results of a chunk. Where its worker ended, the rest is done again, one by one: what a worker says of
        where it was is believed only where to ask again would take the same seconds again."""
        if self._terms.aloud or self._room is None:  # what it prints is one item's; nobody would know where it ended
            return [self._one(item) for item in items]
        try:
            return self._tried(items)
        except _EndedError as end:
            spent = end.why.reason is not Reason.WORKER_DIED and 0 < end.at <= len(items)
            return [end.why if spent and n == end.at else self._one(item) for n, item in enumerate(items, start=1)]

    def _tried(self, items: Sequence[Any]) -> list[Any]:
        """The answers. Raises _EndedError where the worker does."""
        given = [self._own.bring(item) for item in items]
        try:
            line = self._ready()
            self._number += 1
            pictures = len(items) if self._several else self._own.pictures(items[0])
            assert self._watch is not None
            self._watch.begin(pictures)
            line.send(parcel.packed((self._number, given if self._several else given[0]), self._room))
            answers = _answers.decode(line.receive(_answers.LARGEST), self._number, len(items), self._kind)
            for one, answer in zip(given, answers, strict=True):
                if not isinstance(answer, Exception) and not self._own.fits(one, answer):
                    raise ValueError("answers for another item")
        except (EOFError, ValueError, _EndedError) as error:
            end = self._end(error)
            self._show(items[0])
            self._line = None
            raise end from None
        self._show(items[0])
        return answers

    def _end(self, error: Exception) -> _EndedError:
        """The worker ends, if it has not: why."""
        assert self._line is not None
        at = self._watch.begun if self._watch is not None else 0
        code = self._line.kill()
        if isinstance(error, _EndedError):
            return _EndedError(error.why, at)
        why = str(error)[:200] if isinstance(error, ValueError) else ""
        said = (
            f"a worker gave no answer that fits: {why}" if why else f"a worker ended with {_ending(code)} at this item"
        )
        return _EndedError(ItemError(Reason.WORKER_DIED, said), at)

    def _ready(self) -> "Line":
        """The line to a worker that has loaded its work."""
        self.start()
        assert self._line is not None
        if self._watch is None:
            (found,) = _answers.decode(self._line.receive(_answers.LARGEST), 0, 1, int)
            self._watch = self._terms.watch(self._line.pid if isinstance(found, Exception) else found, self._room)
        return self._line

    def _look(self) -> None:
        """Called again and again while it is waited for."""
        if self._left or ending.overdue():
            raise _LeftError
        if self._watch is not None and (why := self._watch.trouble()) is not None:
            raise _EndedError(why)

    def _show(self, item: Any) -> None:
        """What it printed, beside the item."""
        assert self._line is not None
        if (said := self._line.printed()) and self._terms.aloud:
            for line in said.splitlines():
                print(f"curate: at {shown(str(item)[:200])}: {shown(line)}", file=sys.stderr)


def _ending(code: int | None) -> str:
    if code is None:
        return "the process that it came from"
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
