"""The streams of the process, as every verb may rely on them, whatever the process was started with."""

import codecs
import io
import os
import sys
from typing import TextIO

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def stand() -> None:
    """Each of the three is there, and takes any text.

    One that was closed leads nowhere. Its number would else be the next file's, a stored picture's perhaps, and what a
    library writes to descriptor 2 would be written there. What a stream's encoding lacks is escaped.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 (stays open)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # else somebody's own, kept in memory
            stream.reconfigure(errors="backslashreplace")


def settle() -> None:
    """What is left to say is said; where there is no room for it, or nobody, it is dropped, and Python ends with the
    code that it was told to end with."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def takes_all(stream: TextIO | None) -> bool:
    """Whether the stream's encoding has every character: JSON has escapes of its own for those that it lacks."""
    named = getattr(sys.stdout if stream is None else stream, "encoding", None)
    return named is None or codecs.lookup(named).name.startswith("utf-")
