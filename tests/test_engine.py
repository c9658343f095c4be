"""Engines: every item comes back once, with its result or its exception, whatever happens to the workers."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from curate.contracts import Engine, Needs
from curate.engine.pool import Pool
from curate.engine.serial import Serial
from curate.errors import ItemError
from curate.records import Reason

ENGINES = [Serial(), Pool(1), Pool(3)]
NEEDS = Needs()


@dataclass
class Square:
    """Squares numbers; fails at multiples of seven; needs `load`."""

    loaded: bool = False

    def load(self) -> None:
        self.loaded = True

    def __call__(self, item: int) -> int:
        assert self.loaded
        if item % 7 == 0:
            raise ItemError(Reason.DECODE_ERROR, "a seven")
        return item * item


@dataclass
class Deadly:
    """Ends its own process at one item, in one of several ways."""

    how: str

    def load(self) -> None: ...

    def __call__(self, item: int) -> tuple[int, int]:
        if item == 5:
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            os._exit(3)
        return item, os.getpid()


@dataclass
class Sleepy:
    """Says which process did it."""

    def load(self) -> None: ...

    def __call__(self, item: float) -> int:
        time.sleep(item)
        return os.getpid()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_every_item_comes_back_once(engine: Engine) -> None:
    found = dict(engine.map(Square(), range(30), NEEDS))
    assert found.keys() == set(range(30))
    for item, result in found.items():
        if item % 7:
            assert result == item * item
        else:
            assert isinstance(result, ItemError)
            assert (result.reason, result.detail) == (Reason.DECODE_ERROR, "a seven")


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_no_items_no_results(engine: Engine) -> None:
    assert list(engine.map(Square(), [], NEEDS)) == []


@pytest.mark.parametrize(("how", "ending"), [("kill", "SIGKILL"), ("exit", "exit code 3")])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_dies_costs_its_item(how: str, ending: str, workers: int) -> None:
    found = dict(Pool(workers).map(Deadly(how), range(12), NEEDS))
    assert found.keys() == set(range(12))
    died = found.pop(5)
    assert isinstance(died, ItemError)
    assert died.reason is Reason.WORKER_DIED
    assert ending in died.detail
    assert [found[item][0] for item in sorted(found)] == sorted(found)  # type: ignore[index]


def test_a_worker_killed_from_outside_costs_its_item() -> None:
    """What the system's memory killer does, in the middle of an item."""
    results = Pool(1).map(Sleepy(), iter([0.0, 30.0, 0.0]), NEEDS)
    _, pid = next(results)
    assert isinstance(pid, int)
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    item, result = next(results)
    assert (item, isinstance(result, ItemError)) == (30.0, True)
    item, other = next(results)
    assert (item, other != pid) == (0.0, True)
    assert list(results) == []


def test_work_is_shared() -> None:
    found = [pid for _, pid in Pool(2).map(Sleepy(), [0.2] * 6, NEEDS)]
    assert len(set(found)) == 2
    assert os.getpid() not in found


def test_items_are_pulled_when_a_worker_is_free() -> None:
    pulled = []

    def items() -> Iterator[int]:
        for item in range(10_000):
            pulled.append(item)
            yield item

    results = Pool(2).map(Square(), items(), NEEDS)
    next(results)
    time.sleep(0.5)
    assert len(pulled) < 50
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_an_error_in_the_items_reaches_the_caller(engine: Engine) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the list cannot be read")

    results = engine.map(Square(), items(), NEEDS)
    with pytest.raises(OSError, match="the list cannot be read"):
        list(results)


def test_a_caller_who_leaves_leaves_no_process_behind() -> None:
    results = Pool(2).map(Sleepy(), [0.0, 0.0, 0.2, 0.2, 0.2, 0.2, 0.2], NEEDS)
    pids = {pid for _, pid in (next(results), next(results))}
    results.close()  # type: ignore[attr-defined]
    for pid in pids:
        assert isinstance(pid, int)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@dataclass
class Threads:
    """Says how many threads its process has once it has multiplied matrices."""

    def load(self) -> None: ...

    def __call__(self, item: int) -> int:
        import numpy as np

        np.ones((item, item)) @ np.ones((item, item))
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counted where Linux says it")  # noqa: PTH112
def test_a_worker_has_one_thread() -> None:
    """A process a core is enough; linear algebra on as many threads again made hashing half as fast."""
    assert dict(Pool(1).map(Threads(), [256], NEEDS)) == {256: 1}
