"""Bombs among honest files: the honest are stored, the bombs have reasons, and the machine stays usable."""

import contextlib
import json
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

from tests.support.bombs import BOMBS
from tests.support.pictures import encode, texture

CONFIG = """
[engine]
workers = 2
[screening]
required = {screened}
{lists}
[[sources]]
use = "local"
path = "images"
label = "neutral"
"""
LIST = '[[screening.lists]]\nuse = "lines"\npath = "list.txt"\n'
HONEST = 40
MOST = 3 * 2**30
LIGHT = ["scans.jpg", "tail.jpg", "directories.tiff", "inner.tiff", "frames.gif", "frames-large.gif", "pixels.png",
         "claims.png", "profiles.jpg", "text.png", "chunks.png", "exif.jpg"]  # fmt: skip


def workspace(root: Path, bombs: list[str]) -> Path:
    """A workspace with a list to screen against, so that PDQ is made: the dearest way."""
    folder = root / "images"
    folder.mkdir(parents=True)
    for n in range(HONEST):
        (folder / f"{n:03}.jpg").write_bytes(encode(texture(n, (320, 240))))
    for n, name in enumerate(bombs):
        (folder / f"{n * HONEST // max(1, len(bombs)):03}-{name}").write_bytes(BOMBS[name]())
    (root / "list.txt").write_text("a" * 64 + "\n")
    (root / "curate.toml").write_text(CONFIG.format(screened="true", lists=LIST))
    return root


@dataclass
class Tree:
    """A command with all that it started; memory that two of them share counts once."""

    pid: int
    peak: int = 0
    over: bool = False

    def processes(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one = psutil.Process(self.pid)
            return [one, *one.children(recursive=True)]
        return []

    def watch(self) -> None:
        while not self.over:
            used = 0
            for one in self.processes():
                with contextlib.suppress(psutil.Error, OSError):
                    used += int(one.memory_full_info().pss)
            self.peak = max(self.peak, used)
            time.sleep(0.1)


@contextlib.contextmanager
def fetching(root: Path) -> Iterator[tuple["subprocess.Popen[str]", Tree]]:
    command = [sys.executable, "-m", "cli", "fetch", "-w", str(root), "--json", "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, Tree(process.pid)
        finally:
            process.kill()


def fetched(root: Path) -> tuple[dict[str, int], float, int]:
    """The reasons and how many are stored, the seconds of processor time, and the most memory that the tree had."""
    before = os.times()
    with fetching(root) as (process, tree):
        watch = threading.Thread(target=tree.watch)
        watch.start()
        try:
            out, err = process.communicate()
        finally:
            tree.over = True
            watch.join()
        assert process.returncode == 0, err
    found = json.loads(out)
    assert found["pending"] == 0
    return {"stored": found["stored"], **found["reasons"]}, sum(os.times()[2:4]) - sum(before[2:4]), tree.peak


@pytest.mark.parametrize("bombs", [LIGHT, pytest.param(sorted(BOMBS), marks=pytest.mark.soak)], ids=["some", "all"])
def test_bombs_among_honest_files(bombs: list[str], tmp_path: Path) -> None:
    honest, alone, _ = fetched(workspace(tmp_path / "honest", []))
    found, took, peak = fetched(workspace(tmp_path / "mixed", bombs))
    print(f"{len(bombs)} bombs: {took:.1f} s, {alone:.1f} s without; {peak / 2**30:.2f} GiB; {found}")
    assert honest == {"stored": HONEST}
    assert HONEST <= found["stored"] <= HONEST + len(bombs) // 2
    assert sum(found.values()) == HONEST + len(bombs)
    assert found.get("too_slow", 0) + found.get("worker_died", 0) <= 5
    assert peak <= MOST


def test_an_interruption_among_bombs(tmp_path: Path) -> None:
    root = workspace(tmp_path, LIGHT)
    with fetching(root) as (process, tree):
        while sum(sum(one.cpu_times()[:2]) > 0.2 for one in tree.processes()[2:]) < 2 and process.poll() is None:
            time.sleep(0.05)
        before = tree.processes()
        assert len(before) >= 4, "a command, what workers come from, two workers"
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=120) == 130
        _, alive = psutil.wait_procs(before[1:], timeout=120)
        assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []
    found, _, _ = fetched(root)
    assert found["stored"] >= HONEST, "the same command goes on from there"
