"""A few long-lived worker processes. One that dies, or that must be ended, costs its item, named, never the run."""

import queue
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from curate import ending
from curate.contracts import HASHING, R, Resources, T, Task
from curate.engine import _forkserver as forks
from curate.engine import _limits as limits
from curate.engine._confine import door_of
from curate.engine._hand import Terms, Worker


@dataclass(frozen=True)
class Pool:
    """Runs work in `workers` processes (0: one a core), each fed one item at a time.

    An item, or each picture of one that holds several, may take `item_seconds` of the wall and of a processor, and
    `item_memory` bytes beside what its worker has from the start; all workers together stay below half of the memory.
    A worker must be ready within `load_seconds`.
    `confine`: whether workers are shut off from files, network and other processes: where the system can (auto), or
    not at all without it (require). `aloud`: what they print is shown, beside the item.
    """

    workers: int = 0
    item_seconds: float = 20.0
    item_memory: int = 2**30
    load_seconds: float = 600.0
    confine: Literal["auto", "require", "off"] = "auto"
    aloud: bool = False

    def prepare(self, modules: Sequence[str] = HASHING) -> None:
        """Start what workers are forked from, with the modules of ours that are imported here by now, and with these.

        A worker is then there in 15 ms, where one that imports for itself takes 150.
        """
        forks.server([name for name in sys.modules if name.partition(".")[0] == "curate"], modules)

    def map(self, work: Task[T, R], items: Iterable[T], needs: Resources) -> Iterator[tuple[T, R | Exception]]:
        """Each item with its result as it comes. Items are pulled when a worker is free; nothing queues up unseen.

        Raises KeyboardInterrupt where the command was told to end: what is under way has a moment to be done.
        """
        count, terms = self._terms(work, needs)
        out: queue.Queue[Any] = queue.Queue(maxsize=4 * count)
        source = _Shared(items)
        workers = [Worker(work, terms) for _ in range(count)]
        threads = [threading.Thread(target=_feed, args=(one, source, out), daemon=True) for one in workers]
        for thread in threads:
            thread.start()
        try:
            for _ in threads:
                while (pair := out.get()) is not None:
                    yield pair
            if source.error is not None:
                raise source.error
            if source.cut:
                raise KeyboardInterrupt
        finally:
            source.stop()
            for worker in workers:
                worker.leave()
            while any(thread.is_alive() for thread in threads):  # a thread may be waiting to hand over
                try:
                    out.get(timeout=0.05)
                except queue.Empty:
                    continue

    def worker(self, work: Task[T, R], needs: Resources) -> Worker:
        """One worker on the same terms, to be closed by whoever asks for it."""
        return Worker(work, self._terms(work, needs)[1])

    def _terms(self, work: Any, needs: Resources) -> tuple[int, Terms]:
        count, memory = limits.share(self.workers, self.item_memory, limits.machine_memory())
        door = door_of(work, needs, self.confine)
        return count, Terms(door, self.item_seconds, memory, self.load_seconds, max(1, needs.cpus), self.aloud)


class _Shared:
    """One iterator, pulled by many threads; an error in it is kept for the caller."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()
        self._stopped = False
        self.cut = False  # the command was told to end before the items did
        self.error: BaseException | None = None

    def take(self) -> tuple[Any] | None:
        with self._lock:
            if self._stopped or self.cut:
                return None
            try:
                taken = (next(self._items),)
            except StopIteration:
                self._stopped = True
                return None
            except BaseException as error:  # re-raised in the caller's thread
                self._stopped, self.error = True, error
                return None
            self.cut = ending.asked.is_set()
            return None if self.cut else taken

    def stop(self) -> None:
        self._stopped = True


def _feed(worker: Worker, source: _Shared, out: "queue.Queue[Any]") -> None:
    """One thread a worker: hand it an item, wait for the answer."""
    try:
        worker.start()
        while (taken := source.take()) is not None:
            found = worker.run(taken[0])
            if found is None:  # there was no time for it
                source.cut = True
                break
            out.put((taken[0], found[0]))
    except BaseException as error:  # re-raised in the caller's thread
        source.error = source.error or error
        source.stop()
    finally:
        worker.close()
        out.put(None)
