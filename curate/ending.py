"""How a command ends when it is told to: the first Ctrl-C (or SIGTERM) within ten seconds, a second one at once.

What is recorded is durable, so that to leave in the middle loses nothing that the same command would not do again.
"""

import contextlib
import functools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

GRACE = 3.0  # seconds that items under way have
PATIENCE = 8.0  # seconds after which the process ends, whatever it is at
INTERRUPTED = 130
SAID = "curate: interrupted; what is done is kept, and the same command goes on from here"
_exit = os._exit  # the real one
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

asked = threading.Event()
_since = 0.0


def overdue() -> bool:
    """Whether what is under way has had its time."""
    return asked.is_set() and time.monotonic() - _since > GRACE


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """In the main thread: SIGINT and SIGTERM raise KeyboardInterrupt once, and are counted by a thread beside it.

    The thread hears of them even while the main one is in C code, which no handler in Python does.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    before = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    os._exit = functools.partial(_refuse, os.getpid())
    threading.Thread(target=_count, args=(ours,), daemon=True).start()
    try:
        yield
    finally:
        os._exit = _exit
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        theirs.close()
        asked.clear()


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """What must not stop half-way: a signal meanwhile is heard at its end. Only the main thread is told of signals."""
    heard: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    before = {int(number): signal.getsignal(number) for number in (_SIGNALS if main else ())}
    for number, handler in before.items():
        if handler is not None:  # one that is not Python's cannot be put back
            signal.signal(number, lambda number, frame: heard.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
        if heard and callable(handler := before[heard[0]]):
            handler(heard[0], None)  # to raise the signal would count as a second one
        elif heard:
            signal.raise_signal(heard[0])


def leave() -> None:
    """End this process now; what it started ends with it."""
    with contextlib.suppress(OSError, ValueError):
        print(SAID, file=sys.stderr, flush=True)
    _exit(INTERRUPTED)


def _refuse(process: int, code: int) -> NoReturn:
    """`os._exit` while a verb runs: of this process, what a plug-in's file asks for is as if it called `sys.exit`.

    A run that it ended would else look as if it were done. What this process forked ends as it likes.
    """
    if os.getpid() == process:
        raise SystemExit(code)
    _exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _begin()
    for each in _SIGNALS:
        signal.signal(each, _again)
    raise KeyboardInterrupt


def _again(number: int, frame: FrameType | None) -> None:
    """The thread has heard of it."""


def _begin() -> None:
    global _since
    if not asked.is_set():
        _since = time.monotonic()
        asked.set()


def _count(heard: socket.socket) -> None:
    """Leave at the second signal, or when patience is at its end."""
    with heard:
        told = 0
        while told < 2:
            if told:
                heard.settimeout(max(0.01, _since + PATIENCE - time.monotonic()))
            try:
                said = heard.recv(64)
            except TimeoutError:
                break
            if not said:
                return
            told += sum(number in _SIGNALS for number in said)
            if told:
                _begin()
        leave()
