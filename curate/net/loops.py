"""Run a coroutine to its end from anywhere: also in a notebook, where an event loop runs already."""

import asyncio
import contextlib
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

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
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def named() -> T:
        task = asyncio.current_task()
        assert task is not None
        running.append((asyncio.get_running_loop(), task))
        return await main

    with ThreadPoolExecutor(max_workers=1) as pool:
        done = pool.submit(asyncio.run, named())
        try:
            while not wait([done], timeout=OFTEN).done:
                pass  # a signal may have met another thread: this one sees it when it wakes
            return done.result()
        except KeyboardInterrupt:
            for loop, task in running:
                with contextlib.suppress(RuntimeError):  # it has ended
                    loop.call_soon_threadsafe(task.cancel)
            with contextlib.suppress(asyncio.CancelledError):
                done.result()
            raise
