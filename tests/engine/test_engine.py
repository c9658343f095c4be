"""Engines: every item comes back once, with its result or its exception, whatever happens to the workers."""

import hashlib
import io
import os
import platform
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from curate.contracts import Engine, Resources
from curate.engine import _transport as parcel
from curate.engine import each, slices
from curate.engine.pool import Pool
from curate.engine.serial import Serial
from curate.errors import ItemError
from curate.features.inspect import FetchedBytes
from curate.records import Reason
from tests.support.pictures import encode

ENGINES = [Serial(), Pool(1), Pool(3)]
NEEDS = Resources()


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


class Busy(Sleepy):
    """The same, which works in place of sleeping."""

    def __call__(self, item: float) -> int:
        until = time.monotonic() + item
        while time.monotonic() < until:
            pass
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
    results = Pool(1).map(Busy(), iter([0.0, 600.0, 0.0]), NEEDS)
    _, pid = next(results)
    assert isinstance(pid, int)
    threading.Thread(target=_kill_at_work, args=(pid,)).start()
    item, result = next(results)
    assert (item, isinstance(result, ItemError)) == (600.0, True)
    item, other = next(results)
    assert (item, other != pid) == (0.0, True)
    assert list(results) == []


def _kill_at_work(pid: int) -> None:
    """Once it has worked for a fifth of a second."""
    process = psutil.Process(pid)
    idle = sum(process.cpu_times()[:2])
    while sum(process.cpu_times()[:2]) < idle + 0.2:
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)


@dataclass
class Born:
    """Says what a worker has from the start, and how many threads it has once it has multiplied matrices."""

    def load(self) -> None:
        self.known = "curate.dedupe.groups" in sys.modules

    def __call__(self, item: int) -> tuple[bool, int]:
        import numpy as np

        assert (np.ones((500, 500)) @ np.ones((500, 500))).all()
        return self.known, len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.parametrize("prepared", [False, True])
def test_a_worker_of_a_prepared_engine_has_our_modules_and_one_thread(prepared: bool) -> None:
    """`curate.dedupe.groups` imports numpy, whose threads, were there any, a fork would not survive."""
    code = f"""
import curate.dedupe.groups
from curate.contracts import Resources
from curate.engine.pool import Pool
from tests.engine.test_engine import Born
pool = Pool(1)
if {prepared}:
    pool.prepare()
print(list(pool.map(Born(), [0], Resources())))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert run.stdout.strip() == f"[(0, ({prepared}, 1))]", run.stderr


@dataclass
class Imported:
    """Which modules a worker has."""

    def load(self) -> None: ...

    def __call__(self, item: str) -> bool:
        return item in sys.modules


def test_workers_have_what_they_were_prepared_for_and_compile_nothing_else() -> None:
    """As `fetch` without a list prepares them: numba alone takes half a second."""
    code = """
from curate.contracts import Resources
from curate.engine.pool import Pool
from tests.engine.test_engine import Imported
pool = Pool(1)
pool.prepare(("curate.features.inspect",))
print([found for _, found in pool.map(Imported(), ["curate.features.inspect", "numba"], Resources())])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert run.stdout.strip() == "[True, False]", run.stderr


def environment() -> dict[str, str]:
    """This process's, without what would limit threads from outside."""
    return {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}


@dataclass
class Rooted:
    """Holds what no pipe can carry."""

    lock: Any

    def load(self) -> None: ...

    def __call__(self, item: int) -> int:
        return item


def test_work_that_cannot_be_sent_is_an_error_and_no_wait() -> None:
    with pytest.raises(TypeError, match="pickle"):
        list(Pool(2).map(Rooted(threading.Lock()), [1, 2, 3], NEEDS))


def test_work_is_shared() -> None:
    found: set[int | Exception] = set()

    def items() -> Iterator[float]:
        for _ in range(10_000):  # a minute and a half; the second worker may be long in coming
            if len(found) == 2:
                return
            yield 0.01

    for _, pid in Pool(2).map(Sleepy(), items(), NEEDS):
        found.add(pid)
    assert len(found) == 2
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


@dataclass
class Digest:
    """Says what it was given."""

    def load(self) -> None: ...

    def __call__(self, item: FetchedBytes) -> tuple[int, str, str]:
        return item.candidate, type(item.data).__name__, hashlib.sha256(item.data).hexdigest()


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("engine", [Pool(1), Pool(3)], ids=str)
def test_bytes_arrive_as_they_left(engine: Pool, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing, little, as much as the shared memory holds and more than that; and where there is no such memory."""
    monkeypatch.setattr(parcel, "ROOM", 3 * 2**20)
    if not shared:
        monkeypatch.setattr(parcel.Room, "make", lambda: None)
    sizes = [0, 1, 100, 2**16 + 1, 2**20, 3 * 2**20 - 1, 3 * 2**20, 3 * 2**20 + 1, 5 * 2**20, 7, 0]
    items = [FetchedBytes(n, random.Random(n).randbytes(size)) for n, size in enumerate(sizes)]
    found = [answer for _, answer in engine.map(Digest(), items, NEEDS)]
    assert sorted(found) == [(n, "bytes", hashlib.sha256(one.data).hexdigest()) for n, one in enumerate(items)]  # type: ignore[type-var]
    together = [answer for _, answer in each(engine, Digest(), [items[:6], items[6:]])]
    assert sorted(together) == sorted(found)  # type: ignore[type-var]


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="where the system has memory without a name")
def test_bytes_do_not_go_through_the_pipe() -> None:
    room = parcel.Room.make()
    assert room is not None
    items = [FetchedBytes(1, b"x" * 100_000), FetchedBytes(2, b"y" * 70_000)]
    sent = parcel.packed(items, room)
    assert len(sent) < 1000
    assert parcel.unpacked(sent, room) == items
    room.close()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_items_of_a_chunk_fail_by_themselves(engine: Engine) -> None:
    found = dict(each(engine, Square(), slices(list(range(30)), 7)))
    assert found.keys() == set(range(30))
    for item, result in found.items():
        assert isinstance(result, ItemError) if item % 7 == 0 else result == item * item


@pytest.mark.parametrize("how", ["kill", "exit"])
def test_a_worker_that_dies_over_a_chunk_costs_one_item(how: str) -> None:
    found = dict(each(Pool(2), Deadly(how), [range(4), range(4, 8), range(8, 12)]))
    died = found.pop(5)
    assert isinstance(died, ItemError)
    assert died.reason is Reason.WORKER_DIED
    assert [found[item][0] for item in sorted(found)] == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]  # type: ignore[index]


def test_a_map_leaves_no_handle_behind() -> None:
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    for _ in range(3):
        list(Pool(2).map(Square(), range(8), NEEDS))
    assert len(os.listdir("/dev/fd")) <= before + 2  # the fork server's own  # noqa: PTH208


@dataclass
class Faults:
    """Page faults of decoding a picture sixty times."""

    def load(self) -> None: ...

    def __call__(self, item: bytes) -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(60):
            Image.open(io.BytesIO(item)).convert("RGB").copy()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting")
def test_a_worker_keeps_the_memory_that_a_picture_leaves() -> None:
    """Given back, it would be cleared and paged in again for each: 2,400 faults, which take longer than the decode."""
    data = encode(Image.effect_noise((1280, 960), 50).convert("RGB"))
    ((_, faults),) = Pool(1).map(Faults(), [data], NEEDS)
    assert isinstance(faults, int)
    assert faults < 20_000, "the first pictures' memory, and no more"
