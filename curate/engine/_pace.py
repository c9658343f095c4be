"""Where a work says that it goes on to the next picture, so that a limit counts a picture and not all of an item."""

from typing import Any

_room: Any = None
_steps = 0


def begin(room: Any) -> None:
    """In a worker: where to say it from now on."""
    global _room
    _room = room


def step(pictures: int = 1) -> None:
    """What follows is about so many pictures, and has as many times the seconds of one. Nothing outside of a worker."""
    global _steps
    if _room is not None:
        _steps += 1
        _room.step(_steps, pictures)
