"""A process that ends with the one that started it, and how many handles it may have."""

import ctypes
import os
import signal
import sys

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def most_handles() -> int:
    """A number that no file handle reaches; where there is no limit, one that it takes no time to count to."""
    return min(os.sysconf("SC_OPEN_MAX"), 1 << 16)


def die_with(parent: int) -> None:
    """End when the process that forked this one does, at once where that has happened."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
