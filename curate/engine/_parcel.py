"""How an item reaches a worker: what is small through a pipe, large buffers through memory that both see.

As `Connection.send` and `recv`, for processes that this one started, and nobody else.
"""

import mmap
import os
import pickle
from multiprocessing.connection import Connection
from multiprocessing.reduction import DupFd, ForkingPickler
from typing import Any

ROOM = 32 * 2**20  # bytes of shared memory a worker; only what is touched is taken from the system


class Room:
    """Memory without a name that a worker is started with: nothing of it outlives its processes."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.memory = mmap.mmap(handle, 0)

    @classmethod
    def make(cls) -> "Room | None":
        """A new one, or None where the system has no such memory or gives none."""
        if not hasattr(os, "memfd_create"):
            return None
        handle = os.memfd_create("curate")
        try:
            os.truncate(handle, ROOM)
            return cls(handle)
        except OSError:
            os.close(handle)
            return None

    def __reduce__(self) -> tuple[Any, ...]:
        return _attached, (DupFd(self._handle),)

    def close(self) -> None:
        """Give it back."""
        self.memory.close()
        os.close(self._handle)


def _attached(handle: Any) -> Room:
    return Room(handle.detach())


def send(pipe: Connection, room: Room | None, item: Any) -> None:
    """Send an item; buffers that it pickles out of band (protocol 5) go through the room, if there is one they fit."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(item, 5, buffer_callback=buffers.append)
    views = [buffer.raw() for buffer in buffers]
    if views and (room is None or sum(map(len, views)) > len(room.memory)):
        head, views = pickle.dumps(item, 5), []
    at = 0
    for view in views:
        assert room is not None
        room.memory[at : at + len(view)] = view
        at += len(view)
    pipe.send((head, [len(view) for view in views]))


def receive(pipe: Connection, room: Room | None) -> Any:
    """The next item; its buffers are copies, so the room is free again."""
    head, sizes = pipe.recv()
    buffers, at = [], 0
    for size in sizes:
        assert room is not None
        buffers.append(room.memory[at : at + size])
        at += size
    return ForkingPickler.loads(head, buffers=buffers)
