"""An event loop whose clock stands still while anything can go on: what waits for a time comes to it at once.

Only the order of events and the times that the code itself names count then, not how fast or how busy the machine is.
"""

import asyncio
import selectors
import time
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

DELIVERY = 0.005  # seconds in which the kernel hands on what was sent over loopback
TURN = 1e-7  # seconds that a turn of the loop takes: a limiter may wait for what rounding withholds, and so for ever


class StillLoop(asyncio.SelectorEventLoop):
    """Its time goes on to the next timer where no socket has anything and no thread is at work.

    While a thread is at work, which nobody can hurry, its time is the machine's.
    """

    def __init__(self) -> None:
        self.now, self.threads = time.monotonic(), 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Seconds; a socket's work takes none."""
        return self.now

    def run_in_executor(self, executor: Executor | None, func: "Callable[..., Any]", *args: Any) -> Any:  # type: ignore[override]
        """As asyncio's; counts who is at work."""
        self.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(lambda _: self._ended())
        return future

    def _ended(self) -> None:
        self.threads -= 1


class _Selector(selectors.DefaultSelector):
    """Waits for sockets no longer than it takes them to say that they have something."""

    def __init__(self, loop: StillLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loop.now += TURN
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self._loop.threads:
            began = time.monotonic()
            found = super().select(timeout)
            self._loop.now += time.monotonic() - began
            return found
        if not (found := super().select(DELIVERY)):
            self._loop.now += timeout
        return found


def now() -> float:
    """The time of the loop that runs here, or the machine's."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()
