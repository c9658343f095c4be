"""From the network to the catalog: workers inspect bytes, then one thread records in batches."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from curate.contracts import Engine, Http
from curate.engine import each
from curate.errors import ItemError
from curate.features.inspect import FetchedBytes, Inspect, Inspection
from curate.fetch.local_files import read
from curate.fetch.recorder import FetchResult, Recorder
from curate.layouts.folder import path_of
from curate.progress import Step
from curate.records import Reason, Response

WAITING, WAITING_BYTES = 192, 256 * 2**20  # answers that wait to be looked at and recorded, beside those under way
CHUNK, CHUNK_BYTES = 4, 2**22  # answers that one worker looks at in a row


class MediaClient(Http, Protocol):
    """The network, as `fetch` sees it: an Http that also fetches media, as long as there is `room` for the bytes."""

    room: asyncio.Event

    async def media(self, url: str) -> Response: ...


@dataclass(frozen=True, slots=True)
class PendingCandidate:
    """One pending candidate."""

    candidate: int
    kind: str
    locator: str
    host: str


async def answered(client: MediaClient, task: PendingCandidate, max_bytes: int) -> Response | ItemError:
    """The bytes that a candidate's locator names, or why there are none."""
    try:
        if task.kind == "url":
            return await client.media(task.locator)
        await client.room.wait()
        data = await asyncio.to_thread(read, Path(path_of(task.locator)), max_bytes)
        return Response(url="", status=0, headers={}, body=data)
    except ItemError as error:
        return error


class Line:
    """The line from the network to the catalog: workers look at bytes, then one thread records in batches."""

    def __init__(self, engine: Engine, recorder: Recorder, intake: Inspect) -> None:
        self._engine, self._recorder, self._intake = engine, recorder, intake
        self._arrivals: queue.SimpleQueue[FetchedBytes | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[FetchResult | None] = queue.SimpleQueue()
        self._open: dict[int, tuple[PendingCandidate, Response]] = {}
        self._threads = [threading.Thread(target=self._guard, args=(f,)) for f in (self._look, self._record)]
        self.step: Step = _unseen
        self.error: BaseException | None = None
        self.stopped = False

    def start(self, loop: asyncio.AbstractEventLoop, room: asyncio.Event) -> None:
        """Begin; `room` is shut while more answers wait than may."""
        self._loop, self._room = loop, room
        self._waiting = self._bytes = 0
        self._halt = asyncio.Event()
        for thread in self._threads:
            thread.start()

    def put(self, task: PendingCandidate, answer: Response | ItemError) -> None:
        """Hand over what the network said of a candidate."""
        if isinstance(answer, ItemError):
            self._outcomes.put(FetchResult(task.candidate, None, answer, None))
        else:
            self._open[task.candidate] = (task, answer)
            self._count(1, len(answer.body))
            self._arrivals.put(FetchedBytes(task.candidate, answer.body))

    async def watch(self) -> None:
        """Raise what the threads failed with, as soon as they do; return when a match says stop."""
        await self._halt.wait()
        if self.error is not None:
            raise self.error

    async def end(self) -> None:
        """Look at and record everything that was handed over, then end; safe to call twice."""
        await asyncio.shield(asyncio.to_thread(self._finish))

    def _finish(self) -> None:
        self._arrivals.put(None)
        for thread in self._threads:
            thread.join()

    def _guard(self, run: Any) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001  re-raised in the event loop by `watch`
            self.error = self.error or error
            self._stop()

    def _stop(self) -> None:
        self.stopped = True
        with contextlib.suppress(RuntimeError):  # the loop may be gone
            self._loop.call_soon_threadsafe(self._halt.set)

    def _look(self) -> None:
        try:
            with contextlib.suppress(KeyboardInterrupt):  # what was not looked at stays pending
                for item, answer in each(self._engine, self._intake, self._chunks()):
                    _, response = self._open.pop(item.candidate)
                    self._outcomes.put(_result(item, answer, response))
        finally:
            self._outcomes.put(None)

    def _chunks(self) -> Iterator[list[FetchedBytes]]:
        """What has arrived, a few at a time; nothing waits here for more."""
        while (one := self._arrivals.get()) is not None:
            chunk, size = [one], len(one.data)
            while len(chunk) < CHUNK and size < CHUNK_BYTES:
                try:
                    more = self._arrivals.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    yield chunk
                    return
                chunk.append(more)
                size += len(more.data)
            yield chunk

    def _record(self) -> None:
        for batch in _batches(self._outcomes):
            if self.error is None:
                self._recorder.record(batch)
                if self._recorder.must_stop and not self.stopped:
                    self._stop()
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._done, batch)

    def _done(self, batch: Sequence[FetchResult]) -> None:
        self.step(len(batch))
        sizes = [len(outcome.response.body) for outcome in batch if outcome.response is not None]
        self._count(-len(sizes), -sum(sizes))

    def _count(self, answers: int, size: int) -> None:
        self._waiting, self._bytes = self._waiting + answers, self._bytes + size
        if self._waiting < WAITING and self._bytes < WAITING_BYTES:
            self._room.set()
        else:
            self._room.clear()


def _unseen(done: int = 1, *, total: int | None = None) -> None:
    """Progress that nobody follows."""


def _result(item: FetchedBytes, answer: Inspection | Exception, response: Response) -> FetchResult:
    if isinstance(answer, Inspection):
        return FetchResult(item.candidate, response, answer.failure, answer)
    if isinstance(answer, ItemError):
        return FetchResult(item.candidate, response, answer, None)
    return FetchResult(item.candidate, response, ItemError(Reason.DECODE_ERROR, type(answer).__name__), None)


def _batches(
    outcomes: "queue.SimpleQueue[FetchResult | None]", most: int = 128, naps: int = 4, nap: float = 0.05
) -> Iterator[list[FetchResult]]:
    """What is there, at most `most` at once; for more it sleeps `naps` times, which costs others less than waiting."""
    while (first := outcomes.get()) is not None:
        batch = [first]
        for left in range(naps, -1, -1):
            while len(batch) < most and not outcomes.empty():
                if (more := outcomes.get()) is None:
                    yield batch
                    return
                batch.append(more)
            if len(batch) == most or not left:
                break
            time.sleep(nap)
        yield batch
