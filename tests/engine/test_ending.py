"""However a command ends, it ends soon, and leaves nothing behind: no process, nothing in the temporary folder."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from curate.contracts import Resources
from curate.engine import _forkserver as forks
from curate.engine.pool import Pool
from curate.errors import ItemError
from curate.records import Reason
from tests.support.pictures import encode, texture

WORK = """
import hashlib, sys
from curate import ending
from curate.contracts import Resources
from curate.engine.pool import Pool
from tests.engine.test_ending import Stuck
ending.PATIENCE = {patience}
try:
    with ending.watched():
        for item, answer in Pool(2).map(Stuck(), [0, 0, 1, 1, 0, 0], Resources()):
            print(item, answer, flush=True)
            if {alone}:
                hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
except KeyboardInterrupt:
    sys.exit(ending.INTERRUPTED)
"""
HANGS = 120.0  # seconds after which it never ends; what is under way takes minutes
CONFIG = """
[screening]
required = false
[[sources]]
use = "local"
path = "images"
label = "neutral"
"""


@dataclass
class Stuck:
    """At every 1 it is in C code for minutes, and lets nothing else in its process run."""

    def load(self) -> None:
        """Nothing to load."""

    def __call__(self, item: int) -> int:
        if item:
            pow(3, 10**10)
        return os.getpid()


@dataclass
class Run:
    """A command under way, in a process group and with a temporary folder of its own."""

    process: "subprocess.Popen[str]"
    temporary: Path

    def tree(self) -> list[psutil.Process]:
        """The command with all that it started."""
        one = psutil.Process(self.process.pid)
        return [one, *one.children(recursive=True)]

    def busy(self) -> list[psutil.Process]:
        """The same, once two workers are at work."""
        until = time.monotonic() + HANGS
        while time.monotonic() < until:
            with contextlib.suppress(psutil.NoSuchProcess):
                found = self.tree()
                if sum(sum(one.cpu_times()[:2]) > 0.3 for one in found[2:]) >= 2:
                    return found
            assert self.process.poll() is None, "it ended by itself"
            time.sleep(0.05)
        raise AssertionError("nothing is at work")

    def ended(self) -> int:
        """Its exit code."""
        return self.process.wait(timeout=HANGS)

    def left(self, tree: list[psutil.Process]) -> list[psutil.Process]:
        """What of the tree stays, and what lies in the temporary folder."""
        _, alive = psutil.wait_procs(tree[1:], timeout=HANGS)
        assert list(self.temporary.iterdir()) == []
        return [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@contextlib.contextmanager
def running(tmp_path: Path, *command: str) -> Iterator[Run]:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield Run(process, temporary)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(("number", "whom"), [(signal.SIGINT, "group"), (signal.SIGTERM, "process")])
def test_workers_in_c_code_do_not_hold_it_up(number: signal.Signals, whom: str, tmp_path: Path) -> None:
    """A terminal signals the whole group, `kill` one process."""
    with running(tmp_path, "-c", WORK.format(alone=False, patience=2.0)) as run:
        tree = run.busy()
        (os.killpg if whom == "group" else os.kill)(run.process.pid, number)
        assert run.ended() == 130
        assert run.left(tree) == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_main_thread_in_c_code_does_not_hold_it_up(times: int, tmp_path: Path) -> None:
    """It ends when its patience does; asked twice, it has none."""
    patience = 2.0 if times == 1 else 2 * HANGS
    with running(tmp_path, "-c", WORK.format(alone=True, patience=patience)) as run:
        assert run.process.stdout is not None
        run.process.stdout.readline()  # and what comes next is in C code: it is there once it has worked for a while
        tree = run.tree()
        before = sum(tree[0].cpu_times()[:2])
        while sum(tree[0].cpu_times()[:2]) < before + 0.2:
            time.sleep(0.05)
        started = time.monotonic()
        for _ in range(times):
            os.kill(run.process.pid, signal.SIGINT)
            time.sleep(0.2)
        assert run.ended() == 130
        assert times == 2 or time.monotonic() - started >= patience
        assert run.left(tree) == []


def test_workers_end_with_what_drives_them(tmp_path: Path) -> None:
    """kill -9, while they are in C code."""
    with running(tmp_path, "-c", WORK.format(alone=False, patience=2.0)) as run:
        tree = run.busy()
        os.kill(run.process.pid, signal.SIGKILL)
        assert run.ended() == -signal.SIGKILL
        assert run.left(tree) == []


def test_workers_end_with_what_they_come_from() -> None:
    """kill -9 of the process they are forked from: what was under way is lost, named; the rest goes on in a new one."""
    results = Pool(2).map(Stuck(), iter([0, 1, 1, *[0] * 6]), Resources())
    next(results)
    server = psutil.Process(forks.server().pid)
    while sum(sum(one.cpu_times()[:2]) > 0.3 for one in server.children()) < 2:
        time.sleep(0.05)
    workers = server.children()
    server.kill()
    rest = list(results)
    died = [answer for item, answer in rest if item]
    assert all(isinstance(answer, ItemError) and answer.reason is Reason.WORKER_DIED for answer in died)
    assert len(died) == 2
    assert [isinstance(answer, int) for item, answer in rest if not item] == [True] * 6
    _, alive = psutil.wait_procs(workers, timeout=HANGS)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with many pictures, each of which takes a while."""
    root = tmp_path_factory.mktemp("images")
    folder = root / "images"
    folder.mkdir()
    large = [encode(texture(n, (400, 300)).resize((2400, 1800)), "PNG", compress_level=1) for n in range(4)]
    for n in range(120):
        (folder / f"{n}.png").write_bytes(large[n % 4])
    (root / "curate.toml").write_text(CONFIG)
    return root


@pytest.mark.parametrize(
    ("verb", "number"), [("fetch", signal.SIGINT), ("fetch", signal.SIGKILL), ("check", signal.SIGTERM)]
)
def test_a_verb_leaves_nothing(verb: str, number: signal.Signals, images: Path, tmp_path: Path) -> None:
    command = ["check", str(images / "images")] if verb == "check" else ["fetch", "-w", str(images)]
    with running(tmp_path, "-m", "cli", *command) as run:
        tree = run.busy()
        os.kill(run.process.pid, number)
        assert run.ended() == (-9 if number == signal.SIGKILL else 130)
        assert run.left(tree) == []


def test_a_ctrl_c_while_it_starts_is_not_for_who_imports(capfd: pytest.CaptureFixture[str]) -> None:
    """A terminal sends it to the whole group, and a traceback of an import is nobody's answer."""
    started = forks.ForkServer([])
    try:
        for _ in range(20):
            os.kill(started.pid, signal.SIGINT)
            time.sleep(0.02)
        assert started.alive
    finally:
        started.close()
    assert not capfd.readouterr().err


def test_it_ends_though_what_was_forked_from_here_holds_its_line() -> None:
    """As a loader's workers do, which end when this process does."""
    started, (waits, ends) = forks.ForkServer([], []), os.pipe()
    if (child := os.fork()) == 0:
        os.close(ends)
        os.read(waits, 1)
        os._exit(0)
    closing = threading.Thread(target=started.close, daemon=True)
    closing.start()
    closing.join(30)
    ended = not closing.is_alive()
    os.close(ends)
    os.close(waits)
    os.waitpid(child, 0)
    assert ended
