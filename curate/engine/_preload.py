"""The process that workers are forked from: it has the imports behind it, one thread, and no name in a file system.

It ends with the process that started it, and takes its workers with it; they end with it however it ends.
"""

import os

from curate.engine._parent import die_with, most_handles

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a worker is one core's: more threads than that only spin
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # jemalloc has a thread, which no fork survives

import importlib
import signal
import socket
import struct
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress

ORDER = struct.Struct("<cqd")  # what to do, with which process, how long to wait for it; the answer is ANSWER
ANSWER = struct.Struct("<q")
FORK, REAP = b"f", b"r"
UNHEARD = (signal.SIGINT, signal.SIGTERM)  # sent to the whole group; whoever started us decides when to end
HANDLES = 4  # that come with FORK: tasks, answers, what it prints, memory
_ALWAYS = ("curate.engine._worker", "curate.engine._confine.filter", "landlockpy", "numpy")  # what every worker imports
_FIRST = 100  # where a worker's handles are


def serve(handle: int, modules: Sequence[str], loaded: Sequence[str]) -> None:
    """Import what workers will want, loops that are compiled loaded, then fork and reap as the other end of the socket
    asks, until it is gone."""
    for number in UNHEARD:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # some ignore it, and then nobody learns how one ended
    signal.pthread_sigmask(signal.SIG_UNBLOCK, UNHEARD)
    control = socket.socket(fileno=handle)
    for name in (*_ALWAYS, *modules):
        with suppress(Exception):  # it is the worker's to complain of, where it is wanted there
            importlib.import_module(name)
    for name in loaded:
        with suppress(Exception):  # also where it has nothing to load
            importlib.import_module(name).load()
    _until_it_ends(control)


def _until_it_ends(control: socket.socket) -> None:
    alive: set[int] = set()
    while (order := _received(control)) is not None:
        what, pid, patience, handles = order
        if what == FORK:
            answer = _forked(control, handles)
            alive.add(answer)
        else:
            answer = _reaped(pid, patience)
            alive.discard(pid)
        try:
            control.sendall(ANSWER.pack(answer))
        except OSError:  # whoever asked was killed since
            break
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _reaped(pid: int, patience: float) -> int:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # one that has ended keeps the code it ended with
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _received(control: socket.socket) -> tuple[bytes, int, float, list[int]] | None:
    try:
        order, handles, _, _ = socket.recv_fds(control, ORDER.size, HANDLES)
        while order and len(order) < ORDER.size:
            more = control.recv(ORDER.size - len(order))
            order = order + more if more else b""
    except ConnectionError:
        return None
    return (*ORDER.unpack(order), handles) if order else None


def _forked(control: socket.socket, handles: list[int]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become_worker(parent, handles)
    for handle in handles:
        os.close(handle)
    return pid


def _become_worker(parent: int, handles: list[int]) -> None:
    """Nothing of the server's stays open, so that a worker cannot speak in its place."""
    try:
        die_with(parent)
        tasks, answers, said, *room = [os.dup2(handle, _FIRST + place) for place, handle in enumerate(handles)]
        for handle, place in ((os.open(os.devnull, os.O_RDONLY), 0), (said, 1), (said, 2)):
            os.dup2(handle, place)
        os.closerange(3, _FIRST)
        os.closerange(_FIRST + HANDLES, most_handles())
        from curate.engine import _worker

        _worker.live(tasks, answers, *room)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)
