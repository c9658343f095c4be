"""One worker as this process has it: two pipes, memory that both see, and a watch over what it takes."""

import contextlib
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curate import ending
from curate.contracts import Task
from curate.engine import _answers
from curate.engine import _limits as limits
from curate.engine import _transport as parcel
from curate.engine._confine import Door
from curate.engine._each import All, own
from curate.engine._line import Line
from curate.engine._worker import Brief
from curate.errors import CurateError, ItemError, UsageError, described, plain
from curate.progress import tell
from curate.records import Reason

LINGER = 0.5  # seconds that a worker without work has to end by itself
LOADS = 3  # times that a worker may end before it is ready


@dataclass(frozen=True)
class Terms:
    """What a worker may reach, what its items may cost, and how long it may take to be ready."""

    door: Door | None
    seconds: float
    memory: int
    load_seconds: float
    cpus: int
    aloud: bool

    def watch(self, pid: int, room: parcel.Room | None) -> limits.Watch:
        """A watch over a worker that is ready."""
        return limits.Watch(pid, self.seconds, self.memory, self.cpus, lambda: (0, 1) if room is None else room.pace)

    def believed(self, answer: Any) -> Any:
        """The answer; where a confined worker raised what is no item's reason, that it did is the item's reason: a
        worker in a stranger's hands must not end the run. What a plug-in was denied is said as it is."""
        foreign = isinstance(answer, Exception) and not isinstance(answer, ItemError) and self.door is not None
        if not foreign or (isinstance(answer, UsageError) and self.door is not None and self.door.plugins):
            return answer
        return ItemError(Reason.WORKER_DIED, described(answer))


class _EndedError(Exception):
    """The worker is gone: why, and at which step of its task it said to be (the first is 1, 0: before that)."""

    def __init__(self, why: ItemError, at: int = 0) -> None:
        super().__init__(str(why))
        self.why, self.at = why, at


class _LeftError(Exception):
    """Nobody waits for the answer any more."""


class Worker:
    """Runs a work on items, one at a time, in a process that is replaced when it ends."""

    def __init__(self, work: Task[Any, Any], terms: Terms) -> None:
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
            brief = parcel.packed(Brief(self._work, self._terms.door, self._terms.memory), None)
            if self._room is not None:
                self._room.step(0, 1)
            self._watch: limits.Watch | None = None
            self._number, self._loading, self._looked = 0, 0.0, time.monotonic()
            with contextlib.suppress(EOFError, CurateError):  # it is said when it is waited for
                self._line = Line(self._room, self._look)
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
        line, watch = self._ready()
        try:
            self._number += 1
            watch.begin(len(items) if self._several else self._own.pictures(items[0]))
            line.send(parcel.packed((self._number, given if self._several else given[0]), self._room))
            said = line.receive(_answers.LARGEST)
            answers = _answers.decode(said, self._number, len(items), self._kind, self._own.most)
            if not all(self._fits(*pair) for pair in zip(given, answers, strict=True)):
                raise ValueError("not of this item, or of the wrong shape")
        except (EOFError, ValueError, _EndedError) as error:
            end = self._end(error)
            self._show(items[0])
            self._line = None
            raise end from None
        self._show(items[0])
        return [self._terms.believed(one) for one in answers]

    def _fits(self, given: Any, answer: Any) -> bool:
        """Whether it can be an answer to that; what a work cannot even look at is none."""
        if isinstance(answer, Exception):
            return True
        try:
            return self._own.fits(given, answer)
        except Exception:
            return False

    def _end(self, error: Exception) -> _EndedError:
        """The worker ends, if it has not: why."""
        assert self._line is not None
        at = self._watch.begun if self._watch is not None else 0
        code = self._line.kill(LINGER if isinstance(error, EOFError) else 0)
        if isinstance(error, _EndedError):
            return _EndedError(error.why, at)
        why = str(error)[:200] if isinstance(error, ValueError) else ""
        said = (
            f"a worker gave no answer that fits: {why}" if why else f"a worker ended with {_ending(code)} at this item"
        )
        return _EndedError(ItemError(Reason.WORKER_DIED, said), at)

    def _ready(self) -> tuple[Line, limits.Watch]:
        """The line to a worker that has loaded its work. Raises what its load() raises, and CurateError where it ends
        before it is ready, again and again, or takes too long: nothing of an item was in it yet."""
        ended = ""
        for number in range(LOADS):
            if number:
                time.sleep(0.1 * 4**number)  # what it is forked from may be ending itself: another one is made then
            self.start()
            if self._line is not None and self._watch is not None:
                return self._line, self._watch
            try:
                if self._line is None:
                    raise EOFError
                (found,) = _answers.decode(self._line.receive(_answers.LARGEST), 0, 1, int)
            except (EOFError, ValueError):
                ended = _ending(self._line.kill(LINGER) if self._line is not None else None)
                self._line = None
                continue
            if isinstance(found, Exception):
                self._line.kill()
                self._line = None
                raise found
            self._watch = self._terms.watch(found, self._room)
        raise CurateError(f"workers end with {ended} while they load what they need; is there enough memory?")

    def _look(self) -> None:
        """Called again and again while it is waited for."""
        if self._left or ending.overdue():
            raise _LeftError
        now = time.monotonic()
        gap, self._looked = min(now - self._looked, limits.GAP), now
        if self._watch is None:
            self._loading += gap
            if self._loading > self._terms.load_seconds:
                raise CurateError(
                    f"a worker was not ready within {self._terms.load_seconds:g} s: its load() hangs, or wants more"
                    " ([engine] load_seconds)"
                )
        if self._watch is not None and (why := self._watch.trouble()) is not None:
            raise _EndedError(why)

    def _show(self, item: Any) -> None:
        """What it printed, beside the item."""
        assert self._line is not None
        if (said := self._line.printed()) and self._terms.aloud:
            for line in said.splitlines():
                tell(f"curate: at {plain(str(item)[:200])}: {plain(line)}")


def _ending(code: int | None) -> str:
    if code is None:
        return "the process that it came from"
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
