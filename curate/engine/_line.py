"""The line to one worker: a pipe there, a pipe back, one for what it prints. Nothing on it makes one wait for good."""

import os
import select
import struct
import time
from collections.abc import Callable

from curate.engine import _forkserver as forks
from curate.engine import _transport as parcel
from curate.engine._limits import TICK
from curate.errors import CurateError, plain

HEAD = struct.Struct("!i")  # as `multiprocessing.connection.Connection` frames what it sends
PIECE = 2**20
SHOWN = 4096  # bytes kept of what a worker prints at one item


class Line:
    """A worker process and the pipes to it. `look` is called every TICK while anything is waited for; it may raise."""

    def __init__(self, room: parcel.Room | None, look: Callable[[], None]) -> None:
        self._look, self._looked = look, 0.0
        (tasks, self._tasks), (self._answers, answers), (self._print, said) = os.pipe(), os.pipe(), os.pipe()
        for handle in (self._tasks, self._answers, self._print, said):  # one that prints too much is not made to wait
            os.set_blocking(handle, False)
        self._server = forks.server()
        self._open = [self._tasks, self._answers, self._print]
        self._shown = b""
        try:
            self.pid = self._server.fork([tasks, answers, said, *([] if room is None else [room.handle])])
        except BaseException:
            self._close()
            raise
        finally:
            for handle in (tasks, answers, said):
                os.close(handle)

    def send(self, data: bytes) -> None:
        """Send one parcel; raises EOFError where the worker has ended."""
        rest = memoryview(HEAD.pack(len(data)) + data)
        while rest:
            if self._waited([], [self._tasks]):
                try:
                    rest = rest[os.write(self._tasks, rest[:PIECE]) :]
                except BrokenPipeError as error:
                    raise EOFError from error

    def receive(self, most: int) -> bytes:
        """The next parcel; raises EOFError where the worker has ended, ValueError where it is longer than that."""
        (size,) = HEAD.unpack(self._exactly(HEAD.size))
        if not 0 <= size <= most:
            raise ValueError(f"an answer of {size if size >= 0 else 'more than 2**31'} bytes; {most} are allowed")
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            if self._waited([self._answers], []):
                piece = os.read(self._answers, min(size - len(got), PIECE))
                if not piece:
                    raise EOFError
                got += piece
        return bytes(got)

    def _waited(self, read: list[int], write: list[int]) -> bool:
        """Wait a moment, and look; whether one of them is ready."""
        poll = select.poll()
        for handle in read:
            poll.register(handle, select.POLLIN)
        for handle in write:
            poll.register(handle, select.POLLOUT)
        ready = bool(poll.poll(TICK * 1000))
        if not ready or time.monotonic() - self._looked > TICK:
            self._looked = time.monotonic()
            self._look()
        return ready

    def printed(self) -> str:
        """What the worker printed since one last asked, cut where it is long."""
        said, self._shown = self._shown or self._drained(), b""
        return "\n".join(map(plain, said.decode("utf-8", "replace").strip().splitlines()))

    def _drained(self) -> bytes:
        said = b""
        try:
            while len(said) < PIECE and (piece := os.read(self._print, SHOWN)):
                said += piece
        except OSError:
            pass
        return said[:SHOWN]

    def close(self, patience: float) -> None:
        """Let the worker end by itself within so many seconds, then end it."""
        os.close(self._tasks)
        self._open.remove(self._tasks)
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        poll.poll(patience * 1000)
        self.kill()

    def kill(self, patience: float = 0) -> int | None:
        """End the worker, if it has not within so many seconds; the exit code it ended with, or minus the signal
        (None: nobody knows)."""
        try:
            code = self._server.reap(self.pid, patience)
        except CurateError:
            code = None
        self._shown = self._drained()
        self._close()
        return code

    def _close(self) -> None:
        for handle in self._open:
            os.close(handle)
        self._open = []
