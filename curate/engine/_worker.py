"""A worker's life: it is told its work, loads it, shuts the door behind itself, and answers one task after another."""

import atexit
import gc
import os
import signal
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from curate.contracts import Task
from curate.engine import _answers
from curate.engine import _memory as memory
from curate.engine import _pace as pace
from curate.engine import _transport as parcel
from curate.engine._confine import Door, named, refusal
from curate.engine._confine.denied import Denied
from curate.engine._each import All
from curate.engine._parent import die_with, most_handles
from curate.errors import ItemError
from curate.media import decode
from curate.records import Reason


@dataclass(frozen=True)
class Brief:
    """What a worker is told first. `door` is None where nothing confines it; `memory`: bytes that an item may take."""

    work: Task[Any, Any]
    door: Door | None
    memory: int


def live(tasks: int, answers: int, handle: int = -1) -> None:
    """Answer until the other end is closed."""
    room = parcel.Room(handle) if handle >= 0 else None
    pace.begin(room)
    told, out = Connection(tasks, writable=False), Connection(answers, readable=False)
    try:
        brief: Brief = parcel.unpacked(told.recv_bytes(), room)
        denied = _loaded(brief, answers)
    except Exception as error:
        out.send_bytes(_answers.encode(0, [error]))
        return
    out.send_bytes(_answers.encode(0, [os.getpid()]))
    gc.freeze()  # what is there by now stays: the collector need not walk it again and again
    while True:
        try:
            number, item = parcel.unpacked(told.recv_bytes(), room)
        except EOFError:
            break
        found = _results(brief, item)
        if denied is not None and (what := denied.take()) is not None:
            found = [refusal(what)] * len(found)
        out.send_bytes(_said(number, found))
    if brief.door is None:
        atexit._run_exitfuncs()  # of what measures or debugs us
    os._exit(0)


def _loaded(brief: Brief, answers: int) -> Denied | None:
    """Load the work, and shut the door."""
    memory.keep()
    denied = brief.door.listen() if brief.door is not None else None
    brief.work.load()
    if brief.door is not None:
        if brief.door.single and len(list(Path("/proc/self/task").iterdir())) > 1:
            _go_on_alone(answers)
        brief.door.shut()
    if denied is not None:
        denied.take()  # load() comes before the door is shut
    decode.allow(brief.memory)
    return denied


def _go_on_alone(answers: int) -> None:
    """Go on in a copy of this process that has one thread: a door is shut behind the thread that shuts it, and not
    behind those that a library has started. What stays only waits, and ends as the copy does, or takes it with it."""
    waiting = os.getpid()
    pid = os.fork()
    if pid == 0:
        die_with(waiting)
        return
    os.closerange(3, answers)
    os.closerange(answers + 1, most_handles())  # the pipe of answers ends when it is known how the copy did
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(waiting, -code)
    os._exit(max(code, 0))


def _results(brief: Brief, item: Any) -> list[Any]:
    try:
        found = brief.work(item)
    except Exception as error:
        found = error
    several = found if isinstance(brief.work, All) and isinstance(found, list) else [found]
    return [_named(one, brief.door) if isinstance(one, Exception) else one for one in several]


def _named(error: Exception, door: Door | None) -> Exception:
    if isinstance(error, MemoryError):
        return ItemError(Reason.TOO_LARGE, "not enough memory")
    if door is not None and not isinstance(error, ItemError):
        traceback.print_exception(error)  # shown with -v: all that the run is told is that it cost the item
    return named(error) if door is not None and door.plugins else error


def _said(number: int, found: list[Any]) -> bytes:
    try:
        return _answers.encode(number, found)
    except (TypeError, ValueError, NotImplementedError, OverflowError) as error:
        return _answers.encode(number, [error] * len(found))
