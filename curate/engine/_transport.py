"""How an item reaches a worker: what is small through a pipe, large buffers through memory that both see.

For processes that this one started, and nobody else; nothing of it ever comes back this way.
"""

import contextlib
import mmap
import os
import pickle
import struct
from multiprocessing.reduction import ForkingPickler
from typing import Any

ROOM = 32 * 2**20  # bytes of shared memory a worker; only what is touched is taken from the system
_PACE = struct.Struct("<QQ")  # how many steps an item has begun, and how many pictures the present one is about
_AT = 64  # where buffers begin


class Room:
    """Memory without a name that a worker is started with: nothing of it outlives its processes."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.memory = mmap.mmap(handle, 0)

    @classmethod
    def make(cls) -> "Room | None":
        """A new one, which no worker can make smaller; None where the system has no such memory or gives none."""
        if not hasattr(os, "memfd_create"):
            return None
        import fcntl

        handle = -1
        try:
            handle = os.memfd_create("curate", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.truncate(handle, ROOM)
            fcntl.fcntl(handle, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            return cls(handle)
        except OSError:
            if handle >= 0:
                os.close(handle)
            return None

    @property
    def pace(self) -> tuple[int, int]:
        """What the worker says of how far it has come: steps begun, pictures in the present one."""
        steps, pictures = _PACE.unpack_from(self.memory)
        return steps, pictures

    def step(self, steps: int, pictures: int) -> None:
        """Say how far one has come."""
        _PACE.pack_into(self.memory, 0, steps, pictures)

    def close(self) -> None:
        """Give it back."""
        with contextlib.suppress(BufferError):
            self.memory.close()
        os.close(self.handle)


def packed(item: Any, room: Room | None) -> bytes:
    """What to send of an item; buffers that it pickles out of band (protocol 5) are put into the room if they fit."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(item, 5, buffer_callback=buffers.append)
    views = [buffer.raw() for buffer in buffers]
    if views and (room is None or sum(map(len, views)) > len(room.memory) - _AT):
        head, views = pickle.dumps(item, 5), []
    at = _AT
    for view in views:
        assert room is not None
        room.memory[at : at + len(view)] = view
        at += len(view)
    return pickle.dumps((head, [len(view) for view in views]), 5)


def unpacked(said: bytes, room: Room | None) -> Any:
    """The item, in the worker that it was sent to; its buffers are copies, so the room is free again."""
    head, sizes = ForkingPickler.loads(said)
    buffers, at = [], _AT
    for size in sizes:
        assert room is not None
        buffers.append(room.memory[at : at + size])
        at += size
    return ForkingPickler.loads(head, buffers=buffers)
