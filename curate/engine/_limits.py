"""What one item may cost a worker: seconds of the wall and of the processor, and memory that is in use."""

import contextlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.config import LEAST_MEMORY
from curate.errors import ItemError
from curate.records import Reason

MIB = 2**20
TICK = 0.1  # seconds between two looks at a worker that is at work
_OWN = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB", re.MULTILINE)
GAP = 1.0  # seconds; the rest of a longer one between two looks is not counted: this process was stopped, too


def machine_memory(root: Path = Path("/")) -> int:
    """Bytes that this process may use together with others: the machine's, or what a cgroup of it grants."""
    import psutil

    found = [psutil.virtual_memory().total]
    lines = _text(root / "proc/self/cgroup").splitlines()
    for line in lines:
        _, kinds, path = line.split(":", 2)
        here = root / "sys/fs/cgroup" / ("memory" if kinds else "") / path.lstrip("/")
        if kinds in ("", "memory") or "memory" in kinds.split(","):
            name = "memory.limit_in_bytes" if kinds else "memory.max"
            for folder in (here, *here.parents):
                said = _text(folder / name).strip()
                found += [int(said)] if said.isdigit() else []
    return int(min(found))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share(workers: int, wanted: int, memory: int, base: int = 128 * MIB) -> tuple[int, int]:
    """How many workers, of those wanted (0: one a core), and how many bytes an item may take in each.

    All together stay below half of the memory, `base` being what a worker has before its first item; where that leaves
    too little for an honest picture there are fewer workers than cores, and one at least.
    """
    count = workers or cores()
    if not workers:
        count = max(1, min(count, memory // 2 // (base + min(wanted, LEAST_MEMORY))))
    return count, max(min(wanted, memory // 2 // count - base), min(wanted, LEAST_MEMORY))


@dataclass
class Watch:
    """Looks at one worker while it is at an item. `pace` gives the steps it has begun and the pictures in this one."""

    pid: int
    seconds: float
    memory: int
    cpus: int
    pace: Callable[[], tuple[int, int]]

    def __post_init__(self) -> None:
        """What the worker has before its first item is not an item's."""
        import psutil

        with contextlib.suppress(psutil.Error):  # it has ended, which others will see
            self._process: Any = psutil.Process(self.pid)
        self._base = self._resident()
        self.begin(1)

    def begin(self, pictures: int) -> None:
        """An item begins, which is about so many pictures in all."""
        self._steps = self._first = self.pace()[0]
        self._all = pictures
        self._looked = time.monotonic()
        self._total = 0.0
        self._step()

    @property
    def begun(self) -> int:
        """How many steps of the item have begun."""
        return self.pace()[0] - self._first

    def _step(self) -> None:
        self._wall, self._from = 0.0, self._cpu()

    def trouble(self) -> ItemError | None:
        """Why the worker must be stopped, or None."""
        now = time.monotonic()
        gap, self._looked = min(now - self._looked, GAP), now
        steps, pictures = self.pace()
        if steps != self._steps:
            self._steps = steps
            self._step()
        self._wall, self._total = self._wall + gap, self._total + gap
        allowed = self.seconds * max(1, min(pictures, self._all))
        spent = max(self._wall, (self._cpu() - self._from) / self.cpus)
        if self._resident() - self._base > self.memory:
            return ItemError(Reason.TOO_LARGE, f"more than {self.memory / MIB:.0f} MiB of memory")
        if spent > allowed or self._total > self.seconds * self._all:
            return ItemError(Reason.TOO_SLOW, f"more than {self.seconds:g} s of work")
        return None

    def _cpu(self) -> float:
        import psutil

        try:
            used = self._process.cpu_times()
        except (psutil.Error, AttributeError):
            return 0.0
        return float(used.user + used.system)

    def _resident(self) -> int:
        """Bytes in use; on Linux without what is mapped from files: code that runs for the first time is no item's."""
        import psutil

        counted = _OWN.findall(_text(Path(f"/proc/{self.pid}/status")))
        if counted:
            return 1024 * sum(map(int, counted))
        try:
            return int(self._process.memory_info().rss)
        except (psutil.Error, AttributeError):
            return 0
