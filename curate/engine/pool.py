"""A few long-lived worker processes. One that the system kills costs its item, named, never the run."""

import gc
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from curate.contracts import Needs, R, T, Work
from curate.engine import _parcel as parcel
from curate.engine import memory
from curate.errors import ItemError
from curate.records import Reason

_context = multiprocessing.get_context("forkserver")
_forked = "curate.engine._forked"
_context.set_forkserver_preload([_forked])


@dataclass(frozen=True)
class Pool:
    """Runs work in `workers` processes (0: one a core), each fed one item at a time through a pipe."""

    workers: int = 0

    def prepare(self) -> None:
        """Start what workers are forked from, with the modules of ours that are imported here by now.

        A worker is then there in 15 ms, where one that imports for itself takes 150.
        """
        ours = [name for name in sys.modules if name.partition(".")[0] == "curate"]
        _context.set_forkserver_preload([_forked, *ours])
        forkserver.ensure_running()

    def map(self, work: Work[T, R], items: Iterable[T], needs: Needs) -> Iterator[tuple[T, R | Exception]]:
        """Each item with its result as it comes. Items are pulled when a worker is free; nothing queues up unseen."""
        count = self.workers or len(os.sched_getaffinity(0))
        out: queue.Queue[Any] = queue.Queue(maxsize=4 * count)
        source = _Shared(items)
        threads = [threading.Thread(target=_feed, args=(work, source, out), daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            for _ in threads:
                while (pair := out.get()) is not None:
                    yield pair
            if source.error is not None:
                raise source.error
        finally:
            source.stop()
            while any(thread.is_alive() for thread in threads):  # a thread may be waiting to hand over
                try:
                    out.get(timeout=0.05)
                except queue.Empty:
                    continue


class _Shared:
    """One iterator, pulled by many threads; an error in it is kept for the caller."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()
        self._stopped = False
        self.error: BaseException | None = None

    def take(self) -> tuple[Any] | None:
        with self._lock:
            if self._stopped:
                return None
            try:
                return (next(self._items),)
            except StopIteration:
                self._stopped = True
            except BaseException as error:  # re-raised in the caller's thread
                self._stopped, self.error = True, error
            return None

    def stop(self) -> None:
        self._stopped = True


def _feed(work: Any, source: _Shared, out: "queue.Queue[Any]") -> None:
    """One thread a worker: hand it an item, wait for the answer; start another when it dies."""
    worker = _Worker(work)
    try:
        worker.start()
        while (taken := source.take()) is not None:
            out.put((taken[0], worker.run(taken[0])))
    except BaseException as error:  # re-raised in the caller's thread
        source.error = source.error or error
        source.stop()
    finally:
        worker.close()
        out.put(None)


class _Worker:
    def __init__(self, work: Any) -> None:
        self._work = work
        self._process: ForkServerProcess | None = None
        self._pipe: Connection | None = None
        self._room = parcel.Room.make()

    def run(self, item: Any) -> Any:
        process, pipe = self.start()
        try:
            parcel.send(pipe, self._room, item)
            return parcel.receive(pipe, None)
        except (EOFError, ConnectionError):
            process.join()
            self._process = None
            return ItemError(Reason.WORKER_DIED, f"a worker ended with {_ending(process.exitcode)} at this item")

    def start(self) -> tuple[ForkServerProcess, Connection]:
        """Begin, so that it is ready when an item comes; nothing where it runs."""
        if self._process is None or self._pipe is None:
            self._pipe, theirs = _context.Pipe()
            process = _context.Process(target=_serve, args=(self._work, theirs, self._room), daemon=True)
            process.start()  # raises where the work cannot be pickled
            self._process = process
            theirs.close()
        return self._process, self._pipe

    def close(self) -> None:
        if self._process is not None and self._pipe is not None:
            self._pipe.close()
            self._process.join(timeout=5)
            self._process.kill()
            self._process.join()
        if self._room is not None:
            self._room.close()


def _ending(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def _serve(work: Any, pipe: Connection, room: parcel.Room | None) -> None:
    """The worker's life: ends when the parent does, and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    memory.keep()
    failed: Exception | None = None
    try:
        work.load()
    except Exception as error:
        failed = error
    gc.freeze()  # what is there by now stays: the collector need not walk it again and again
    while True:
        try:
            item = parcel.receive(pipe, room)
        except (EOFError, ConnectionError):
            return
        if failed is not None:
            parcel.send(pipe, None, failed)
            continue
        try:
            answer = work(item)
        except Exception as error:
            answer = error
        parcel.send(pipe, None, answer)
