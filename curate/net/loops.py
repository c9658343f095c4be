"""Run a coroutine to its end from anywhere: also in a notebook, where an event loop runs already."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from typing import Any, Generic, TypeVar

OFTEN = 0.2  # s between two looks for an interruption
T = TypeVar("T")


def finished(main: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns; it runs in a thread of its own where this thread's event loop is running.

    An interruption cancels it and waits for its end, as `asyncio.run` does.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main)
    return _Aside(main).finished()


class _Aside(Generic[T]):
    """A coroutine that runs in a thread with an event loop of its own."""

    def __init__(self, main: Coroutine[Any, Any, T]) -> None:
        self._main = main
        self._result: Future[T] = Future()
        self._task: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._thread = threading.Thread(target=self._run)

    def finished(self) -> T:
        """What it returns, or raises."""
        try:
            self._thread.start()
            while not wait([self._result], timeout=OFTEN).done:
                pass  # a signal may have met another thread: this one sees it when it wakes
        except KeyboardInterrupt:
            self._cancel()
            raise
        return self._result.result()

    def _cancel(self) -> None:
        while self._task is None and not self._result.done():
            time.sleep(OFTEN / 10)  # it is about to begin
        if self._task is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._task[0].call_soon_threadsafe(self._task[1].cancel)
        wait([self._result])

    def _run(self) -> None:
        try:
            self._result.set_result(asyncio.run(self._named()))
        except BaseException as error:  # noqa: BLE001  raised again where it is waited for
            self._result.set_exception(error)

    async def _named(self) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._task = (asyncio.get_running_loop(), task)
        return await self._main
