"""A decoder in a stranger's hands gets nowhere, and honest work notices nothing."""

import contextlib
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import psutil
import pytest
from PIL import Image

from curate.contracts import Decoded, Resources
from curate.engine import _confine, each
from curate.engine._confine import Door, filter, lacking, syscalls
from curate.engine.pool import Pool
from curate.errors import ItemError, UsageError
from curate.features.inspect import digests
from curate.features.score_worker import Scoring, Task
from curate.media.decode import Bounds
from curate.records import Reason, Sample
from curate.store.blobs import LocalBlobs
from tests.support.pictures import encode, texture
from tests.support.taken_calls import CALLS, Target
from tests.support.takenover import ANSWERS, TakenOver

needs_kernel = pytest.mark.skipif(lacking() is not None, reason=f"workers cannot be confined here: {lacking()}")
NEEDS = Resources()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    """A workspace to be robbed, and a port to be reached."""
    (tmp_path / "secret").write_text("of no decoder's business")
    (tmp_path / "work" / "blobs").mkdir(parents=True)
    (tmp_path / "work" / "catalog.db").write_bytes(b"SQLite format 3\0")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield Target(str(tmp_path), os.getpid(), server.getsockname()[1])
        with pytest.raises(BlockingIOError):
            server.accept()


def state(folder: str) -> dict[str, tuple[int, float]]:
    return {str(path): (path.stat().st_mode, path.stat().st_mtime) for path in Path(folder).rglob("*")}


@needs_kernel
def test_no_call_gets_through(target: Target) -> None:
    before, trail = state(target.folder), {*os.listdir("/tmp"), *os.listdir("/dev/shm")}  # noqa: PTH208
    found = dict(Pool(2, item_seconds=10).map(TakenOver(target), list(CALLS), NEEDS))
    assert len(found) >= 150
    got = {name: answer for name, answer in found.items() if not isinstance(answer, ItemError)}
    assert not got
    assert state(target.folder) == before
    assert not {one for one in {*os.listdir("/tmp"), *os.listdir("/dev/shm")} - trail if "taken" in one}  # noqa: PTH208


@needs_kernel
def test_no_answer_of_its_own_gets_through(target: Target) -> None:
    """Each costs its item, for a reason; whatever is honest around it is answered."""
    chunks = [["honest", name, "honest"] for name in ANSWERS]
    pool = Pool(2, item_seconds=1.5, item_memory=256 * 2**20)
    found = list(each(pool, TakenOver(target), chunks))
    assert [answer for name, answer in found if name == "honest"] == ["honest"] * (2 * len(ANSWERS))
    failed = {name: answer for name, answer in found if name != "honest"}
    assert failed.keys() == ANSWERS.keys()
    for name, answer in failed.items():
        assert isinstance(answer, ItemError), (name, answer)
        assert answer.reason in (Reason.WORKER_DIED, Reason.TOO_SLOW, Reason.TOO_LARGE), (name, answer)
    assert not Path(target.folder, "unpickled").exists()


@needs_kernel
def test_a_worker_holds_no_handle_but_its_own() -> None:
    """Neither the catalog's, nor a terminal, nor the way to the process that it comes from."""
    with (Path(__file__)).open() as ours:
        os.set_inheritable(ours.fileno(), True)
        ((_, found),) = Pool(1).map(Handles(), [""], NEEDS)
    assert isinstance(found, list)
    assert {one.partition(":")[0] for one in found} == {"/dev/null", "pipe", "/memfd"}
    assert len([one for one in found if one.startswith("pipe:")]) == 5  # tasks, answers, and thrice what it prints


class Handles:
    """Says where the open files of its process lead."""

    def load(self) -> None:
        """Nothing to load."""

    def __call__(self, item: str) -> list[str]:
        found = [Path("/proc/self/fd", one) for one in os.listdir("/proc/self/fd")]  # noqa: PTH208
        return [str(one.readlink()) for one in found if one.is_symlink()]


@dataclass(frozen=True)
class Outside(TakenOver):
    """Tries it in a thread that load() started and that the door is not shut behind, as libraries of graphics have."""

    def load(self) -> None:
        """Start it."""
        self.__dict__["queues"] = told, said = queue.Queue[str](), queue.Queue[Any]()

        def work() -> None:
            while True:
                try:
                    said.put(super(Outside, self).__call__(told.get()))
                except Exception as error:  # noqa: BLE001
                    said.put(error)

        threading.Thread(target=work, daemon=True).start()

    def __call__(self, item: str) -> str:
        told, said = self.__dict__["queues"]
        told.put(item)
        found = said.get()
        if isinstance(found, Exception):
            raise found
        return str(found)


READS = {  # what only Landlock holds: to look, where no name is changed
    "read a secret", "read from a thread", "open the catalog", "list the workspace", "list home", "list the root",
    "list tmp", "list shm", "read passwd", "read passwd by a link", "read hosts", "read by a thread's root",
    "read a key", "read by a path alone", "read shadow", "read the history", "list the devices", "the disk",
    "kernel messages", "lock", "open its memory", "its environment", "its command", "its files", "list processes",
    "others' environment", "its map", "its folder", "its program", "its handles", "its state",
    "its environment, from here", "the server's memory", "the server's handles", "another terminal",
    "virtual machines", "file systems in user space", "a lease", "own memory as a file",
    "write the room's handle anew", "write what is read only", "ask for a name",
}  # fmt: skip


@needs_kernel
@pytest.mark.parametrize("needs", [Resources(cpus=2), Resources(gpus=1)], ids=["cpus", "gpus"])
def test_what_holds_a_labeler_that_keeps_its_threads(needs: Resources, target: Target) -> None:
    """Its own thread is held as every other; those of its libraries reach nobody, and change nothing."""
    before = state(target.folder)
    assert not [a for a in dict(Pool(1).map(TakenOver(target), ["read a secret"], needs)).values() if a == "success"]
    names = [name for name in CALLS if name not in READS]
    assert len(names) > 110
    found = dict(Pool(2, item_seconds=10).map(Outside(target), names, needs))
    assert {name: answer for name, answer in found.items() if not isinstance(answer, ItemError)} == {}
    assert state(target.folder) == before


@dataclass(frozen=True)
class Older(TakenOver):
    """The same on the kernel that has had Landlock first (5.13), which knows less of it."""

    def load(self) -> None:
        """The worker takes its kernel for that one."""
        from landlockpy import _syscall

        _syscall.abi_version = lambda: 1


@needs_kernel
def test_no_call_gets_through_where_landlock_is_young(target: Target) -> None:
    found = dict(Pool(2, item_seconds=10).map(Older(target), list(CALLS), NEEDS))
    assert {name: answer for name, answer in found.items() if not isinstance(answer, ItemError)} == {}


def test_the_attempts_are_real(target: Target) -> None:
    """Unconfined, what harms nobody does get through: a test that cannot fail says nothing."""
    harmless = ["read a secret", "list home", "list the workspace", "connect", "fork", "signal 0", "its command",
                "a file in memory", "read passwd", "run", "listen", "a pair", "write a list", "pidfd", "its state",
                "its folder", "its map", "read by openat2", "read by a thread's root", "make all wait", "a named pipe",
                "exchange", "the server's handles"]  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as server:
        work = TakenOver(Target(target.folder, os.getpid(), server.getsockname()[1]))
        found = dict(Pool(1, confine="off").map(work, harmless, NEEDS))
    assert found == dict.fromkeys(harmless, "success")


# -- what a plug-in declares -----------------------------------------------------------------------------------------


@dataclass
class Reader:
    """Reads a file of its own at every sample."""

    path: str
    reads: Sequence[str] = ()
    abstains: bool = False
    network: bool = False
    connects: int = 0
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=32)
    columns: ClassVar[Mapping[str, str]] = {"size": "float32"}

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, Any]:
        """The size of the file."""
        size = float("nan")
        with contextlib.suppress(OSError if self.abstains else NotImplementedError):
            if self.connects:
                socket.create_connection(("127.0.0.1", self.connects)).close()
            size = len(Path(self.path).read_bytes()) if self.path else 1
        return {"size": np.full(len(batch), size, dtype=np.float32)}


@dataclass
class Store:
    """A store with one picture."""

    root: Path
    task: Task = field(init=False)

    def __post_init__(self) -> None:
        data = encode(texture(1))
        sample = Sample(*digests(data), len(data), "image/jpeg", 160, 120, 1)
        LocalBlobs(self.root).put([(sample.id, data)])
        self.task = Task(0, (sample,), ("reader",))

    def scored(self, labeler: Reader) -> Any:
        work = Scoring({"reader": labeler}, LocalBlobs(self.root), Bounds())
        ((_, found),) = Pool(1).map(work, [self.task], labeler.needs)
        return found


@needs_kernel
def test_a_labeler_reads_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    own = tmp_path / "weights"
    own.write_bytes(b"12345")
    store = Store(tmp_path / "blobs")
    for abstains in (False, True):
        denied = store.scored(Reader(str(own), abstains=abstains))
        assert isinstance(denied, UsageError)
        assert "reads = [" in str(denied)
        assert str(own) in str(denied)
    missing = store.scored(Reader(str(tmp_path / "gone"), abstains=True))
    assert np.isnan(missing.columns["reader"]["size"]).all(), "what is not there is not denied"
    assert store.scored(Reader(str(own), reads=[str(tmp_path / "weights")])).columns["reader"]["size"].tolist() == [5]


@needs_kernel
def test_a_labeler_has_the_internet_where_it_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "blobs")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for abstains in (False, True):
            denied = store.scored(Reader("", connects=port, abstains=abstains))
            assert isinstance(denied, UsageError)
            assert "network = true" in str(denied)
        assert store.scored(Reader("", connects=port, network=True)).columns["reader"]["size"].tolist() == [1]


@dataclass(frozen=True)
class Threaded(TakenOver):
    """Has a thread, started by load(), that does what it is told to: none of a library must be there any more."""

    def load(self) -> None:
        """Start it."""
        threading.Thread(target=threading.Event().wait, daemon=True).start()

    def __call__(self, item: str) -> str:
        if item == "threads":
            return str(len(list(Path("/proc/self/task").iterdir())))
        return super().__call__(item)


@needs_kernel
def test_no_thread_stays_outside(target: Target) -> None:
    """And whoever waits in place of the worker ends as it does, and with it."""
    before = set(psutil.Process().children(recursive=True))
    items = ["threads", "a fault", "threads", "nothing", "memory", "honest"]
    found = dict(Pool(1, item_seconds=4, item_memory=256 * 2**20).map(Threaded(target), items, NEEDS))
    assert found["threads"] == "1"
    assert found["honest"] == "honest"
    assert "SIGSEGV" in str(found["a fault"])
    assert "too_slow" in str(found["nothing"])
    assert "too_large" in str(found["memory"])
    left = set(psutil.Process().children(recursive=True)) - before
    assert len(left) <= 1, f"a worker is left, or what waits for it, beside the fork server: {left}"


# -- where it cannot be ----------------------------------------------------------------------------------------------


def test_a_system_without_it_is_said(monkeypatch: pytest.MonkeyPatch, target: Target) -> None:
    monkeypatch.setattr(_confine, "lacking", lambda: "this kernel has no Landlock")
    with pytest.raises(UsageError, match=r'engine.confine: "require", and this kernel has no Landlock'):
        list(Pool(1, confine="require").map(TakenOver(target), ["honest"], NEEDS))
    assert dict(Pool(1).map(TakenOver(target), ["honest", "signal 0"], NEEDS))["signal 0"] == "success"


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_another_system_says_what_it_lacks(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert platform in (lacking() or "")


def test_a_machine_whose_numbers_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert not filter.able()


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("network", [False, True])
def test_the_filter_is_a_program_that_a_kernel_takes(column: int, network: bool) -> None:
    """Jumps lead forward and stay inside; every way ends in an answer; no number is named twice."""
    steps = filter.program(column, 1, 1234, network)
    assert len(steps) < 4096
    for place, (code, yes, no, _) in enumerate(steps):
        if code & 7 == 5:
            assert place + 1 + max(yes, no) < len(steps)
    assert steps[-1][0] == 6
    named = [step[3] for step in steps if step[0] == 0x15]
    tables = [syscalls.NETWORK, syscalls.RUN, syscalls.OTHERS, syscalls.FILES, syscalls.MEMORY, syscalls.SYSTEM]
    numbers = [pair[column] for table in tables for pair in table.values() if pair[column] >= 0]
    assert len(numbers) == len(set(numbers))
    assert set(numbers) - set(named) <= set() if not network else True


def test_what_lies_beside_the_code_is_not_reachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace in a folder that Python imports from: only what can be imported is."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "module.py").touch()
    (tmp_path / "work").mkdir()
    (tmp_path / "curate.toml").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    found = set(Door()._readable())
    assert {str(tmp_path / "package"), str(tmp_path / "module.py")} <= found
    assert not {str(tmp_path), str(tmp_path / "work"), str(tmp_path / "curate.toml")} & found


def test_the_environment_of_workers_holds_no_tokens(target: Target) -> None:
    code = """
import os
from curate.contracts import Resources
from curate.engine.pool import Pool
from tests.engine.test_confine import Environment
print(dict(Pool(1).map(Environment(), ["HUB_TOKEN", "LANG"], Resources())))
"""
    environment = {**os.environ, "HUB_TOKEN": "hunter2", "LANG": "C.UTF-8"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert run.stdout.strip() == "{'HUB_TOKEN': None, 'LANG': 'C.UTF-8'}", run.stderr


class Environment:
    """Says what a variable is."""

    def load(self) -> None:
        """Nothing to load."""

    def __call__(self, item: str) -> str | None:
        return os.environ.get(item)


# -- compiled loops --------------------------------------------------------------------------------------------------


class Compiled:
    """Hashes a picture of so many pixels a side, and says which loops were compiled for it; its load() forgets them."""

    def load(self) -> None:
        """Nothing: that is the fault."""

    def __call__(self, item: tuple[int, int]) -> list[str]:
        from curate.media import decode, pdq, pdq_kernels, resize_kernels

        every = vars(pdq_kernels) | vars(resize_kernels)
        loops = {name: one for name, one in every.items() if hasattr(one, "nopython_signatures")}
        before = {name: len(one.signatures) for name, one in loops.items()}
        noise = np.indices(item).sum(axis=0).astype(np.uint8)[:, :, None].repeat(3, axis=2)
        pdq.compute(Image.fromarray(noise // 64 * 64))  # patterns: coefficients that must be rounded as pdqhash does
        pdq.compute(Image.fromarray(noise).resize((64, 64)))
        decode.shrink(Image.fromarray(noise), 48)
        return [name for name, one in loops.items() if len(one.signatures) > before[name]]


@needs_kernel
def test_no_loop_is_compiled_behind_the_door() -> None:
    """There it takes seconds for every worker, whatever a work's load() forgot: it happens where they come from."""
    sizes = [(64, 64), (257, 100), (3, 4), (2100, 2100)]
    found = dict(Pool(1, item_seconds=3).map(Compiled(), sizes, NEEDS))
    assert found == {size: [] for size in sizes}
