"""What a plug-in was denied, told even where it catches the error: a score must not be missing for want of a line."""

import os
import sys
from collections.abc import Iterable
from typing import Any

_PROGRAMS = ("subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.system")


class Denied:
    """Listens, from now on, to what this process asks Python for, and keeps what lies beyond the door."""

    def __init__(self, readable: Iterable[str], network: bool) -> None:
        self._readable = tuple({os.path.realpath(path) for path in readable})  # as the kernel sees them
        self._network, self._found = network, list[str]()
        sys.addaudithook(self._hear)

    def take(self) -> str | None:
        """What was denied since one last asked, or None."""
        found, self._found = self._found, []
        return found[0] if found else None

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.listdir", "os.scandir"):
            if isinstance(arguments[0], (str, bytes)):
                self._see(os.path.realpath(os.fsdecode(arguments[0])))
        elif event.startswith("socket.") and not self._network:
            self._found.append("the network")
        elif event in _PROGRAMS:
            self._found.append("another program")

    def _see(self, path: str) -> None:
        beyond = not any(path == one or path.startswith(one.rstrip("/") + "/") for one in self._readable)
        if beyond and os.path.exists(path):  # noqa: PTH110 (what is not there is not denied)
            self._found.append(path)
