"""Takedown under kill -9 and a full disk at every step: the same again, or any verb's start, finishes it."""

import errno
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.admin.session import finish_removal
from curate.admin.verify import verify
from curate.config import Config
from curate.errors import BusyError, DiskFullError
from curate.release.reader import load
from curate.removal.takedown import takedown
from curate.store.catalog import Catalog
from curate.store.holds import unfinished
from curate.store.workspace import Workspace
from tests.support.builders import members
from tests.support.taken_down import QUIET, released, start, traces, words

__all__ = ["start"]
LISTED = {"work/releases/1.0.0/removed.csv", "work/exports/removals.jsonl"}


def child(work: Callable[[], object]) -> int:
    """Run something in a process of its own; how that ended: 0, 1 for a full disk, minus a signal."""
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            work()
        except DiskFullError:
            code = 1
        except BaseException:  # noqa: BLE001
            code = 99
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def at_step(n: int, full: bool = False) -> None:
    """From here on, this process dies before the n-th time that something is about to become durable or to go.

    With `full`, it does not die: that call, and every later one of its kind, meets a full disk.
    """
    left = [n]
    os.fsync = lambda fd: None  # a kill loses nothing that was written

    def before(call: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **given: object) -> object:
            left[0] -= 1
            if left[0] <= 0 and full:
                raise OSError(errno.ENOSPC, "No space left on device")
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **given)

        return counted

    if full:
        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "write_bytes"), (Path, "mkdir")):
            setattr(owner, name, before(getattr(owner, name)))
        return

    for owner, name in ((os, "fsync"), (Path, "unlink"), (Path, "replace"), (Path, "rename"), (shutil, "rmtree")):
        setattr(owner, name, before(getattr(owner, name)))
    for name in ("tx", "checkpoint", "vacuum"):
        setattr(Catalog, name, before(getattr(Catalog, name)))


def take(root: Path, sample: str, prepare: Callable[[], None]) -> Callable[[], None]:
    def work() -> None:
        ws = Workspace(root, Config())
        prepare()
        with ws.driver("takedown"):
            finish_removal(ws)
            takedown(ws, sample, "asked for", block_near=True)
        ws.close()

    return work


@pytest.fixture(scope="module")
def chosen(start: Path) -> tuple[str, list[bytes]]:
    ws = Workspace(start, Config())
    one = released(ws)
    found = (one, words(ws, one))
    ws.close()
    return found


def state(root: Path, gone: list[bytes]) -> dict[str, object]:
    """What must be the same, however it was reached."""
    ws = Workspace(root, Config())
    release = load(ws.work / "releases/1.0.0", ws.catalog.scalar("SELECT sha256 FROM releases"))
    found = {
        "traces": traces(root, gone) - LISTED,
        "verify": verify(ws, QUIET)["items"],
        "unfinished": unfinished(ws.catalog),
        "members": members(ws),
        "rows": {split: table.to_pylist() for split, table in release.rows.items()},
        "tombstones": sorted(tuple(row) for row in ws.catalog.all("SELECT kind, digest FROM tombstones")),
        "receipts": len(list((ws.work / "receipts").iterdir())),
        "listed": len((ws.work / "releases/1.0.0/removed.csv").read_text().splitlines()),
        "exports": sorted(path.relative_to(root).as_posix() for path in (ws.work / "exports").rglob("*")),
        "redactions": ws.catalog.scalar("SELECT count(*) FROM redactions"),
    }
    ws.close()
    return found


@pytest.fixture(scope="module")
def undisturbed(
    start: Path, chosen: tuple[str, list[bytes]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, object]:
    root = tmp_path_factory.mktemp("undisturbed") / "w"
    shutil.copytree(start, root)
    assert child(take(root, chosen[0], lambda: None)) == 0
    found = state(root, chosen[1])
    assert (found["traces"], found["verify"], found["unfinished"]) == (set(), [], False)
    return found


@pytest.mark.parametrize("every", [16, pytest.param(1, marks=pytest.mark.soak)])
def test_killed_before_a_step(
    start: Path, chosen: tuple[str, list[bytes]], undisturbed: dict[str, object], tmp_path: Path, every: int
) -> None:
    """Each sixteenth step; all of them in the soak test."""
    sample, gone = chosen
    step, end = 0, -9
    while end == -9:
        step += every
        root = tmp_path / str(step)
        shutil.copytree(start, root)
        end = child(take(root, sample, lambda n=step: at_step(n)))  # type: ignore[misc]
        assert child(take(root, sample, lambda: None)) == 0, f"killed at step {step}"
        assert state(root, gone) == undisturbed, f"killed at step {step}"
        shutil.rmtree(root)
    assert end == 0
    assert step > 40, "so few steps: the test says nothing"


@pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.soak)])
def test_a_disk_that_is_full_from_some_write_on(
    start: Path, chosen: tuple[str, list[bytes]], undisturbed: dict[str, object], tmp_path: Path, every: int
) -> None:
    sample, gone = chosen
    step, end = 0, 1
    while end == 1:
        step += every
        root = tmp_path / str(step)
        shutil.copytree(start, root)
        end = child(take(root, sample, lambda n=step: at_step(n, full=True)))  # type: ignore[misc]
        assert end in (0, 1), f"full at step {step}"
        assert child(take(root, sample, lambda: None)) == 0, f"full at step {step}"
        assert state(root, gone) == undisturbed, f"full at step {step}"
        shutil.rmtree(root)
    assert step > 20, "so few steps: the test says nothing"


@pytest.mark.parametrize(
    "most", [0, 600, 20_000, 120_000, *(pytest.param(n, marks=pytest.mark.soak) for n in (1, 4096, 60_000, 180_000))]
)
def test_a_full_disk(
    start: Path, chosen: tuple[str, list[bytes]], undisturbed: dict[str, object], tmp_path: Path, most: int
) -> None:
    sample, gone = chosen
    root = tmp_path / "w"
    shutil.copytree(start, root)
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))  # noqa: E731
    assert child(take(root, sample, limit)) in ((1,) if most <= 4096 else (0, 1))
    assert child(take(root, sample, lambda: None)) == 0
    assert state(root, gone) == undisturbed


def test_who_holds_the_workspace_is_waited_for(start: Path, chosen: tuple[str, list[bytes]], tmp_path: Path) -> None:
    shutil.copytree(start, tmp_path / "w")
    ws = Workspace(tmp_path / "w", Config())
    with ws.driver("fetch"), pytest.raises(BusyError, match="curate fetch"):
        take(ws.root, chosen[0], lambda: None)()
    ws.close()
