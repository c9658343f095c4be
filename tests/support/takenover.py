"""What a decoder in a stranger's hands might try, as a work: each attempt answers what it got, or raises."""

import contextlib
import ctypes
import mmap
import os
import pickle
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from curate.engine import _answers, _pace
from curate.errors import ItemError, MatchError, UsageError
from curate.records import Reason
from tests.support.taken_calls import CALLS, LIBC, Target


class Malicious:
    """Where it is unpickled, it leaves a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.path),)


def _frame(*data: bytes) -> None:
    for one in data:
        rest = memoryview(one)
        while rest:
            rest = rest[os.write(101, rest) :]


def _long(size: int) -> bytes:
    return size.to_bytes(4, "big", signed=True)


def _huge() -> None:
    """An answer of ten gigabytes."""
    _frame(_long(-1), (10 * 2**30).to_bytes(8, "big"))
    piece = bytes(2**20)
    for _ in range(10 * 2**10):
        _frame(piece)


def _own_answer(number: int, answer: Any) -> None:
    said = _answers.encode(number, [answer])
    _frame(_long(len(said)), said)


def _task() -> tuple[int, list[str]]:
    """The number of the task that this process is at, and its items."""
    frame = sys._getframe()
    while frame.f_code.co_name != "live":
        assert frame.f_back is not None
        frame = frame.f_back
    item = frame.f_locals["item"]
    return frame.f_locals["number"], item if isinstance(item, list) else [item]


def _raised(error: BaseException) -> None:
    raise error


def _bytes_for_answer(*raw: bytes, failed: bool = False) -> None:
    """Answers to the present task, of these bytes; its neighbours have theirs."""
    number, items = _task()
    said = [(failed, one) for one in raw]
    if len(items) > 1:
        said = [(False, msgspec.msgpack.encode(items[0])), *said, (False, msgspec.msgpack.encode(items[-1]))]
    heads = b"".join(struct.pack("!?I", wrong, len(one)) for wrong, one in said)
    frame = struct.pack("!qI", number, len(said)) + heads + b"".join(one for _, one in said)
    _frame(_long(len(frame)), frame)
    time.sleep(0.3)  # its own is not read any more


def _array(dtype: str, shape: tuple[int, ...], values: bytes) -> bytes:
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(1, msgspec.msgpack.encode((dtype, shape, values))))


def _fault(**said: Any) -> bytes:
    return msgspec.msgpack.encode(said)


def _pickled(path: str) -> None:
    said = pickle.dumps(Malicious(path))
    _frame(_long(len(said)), said)


def _half() -> None:
    _frame(_long(100), b"x")
    os._exit(0)


def _forever(what: Callable[[], object], nap: float) -> None:
    while True:
        what()
        time.sleep(nap)


def _printing() -> None:
    for _ in range(10**5):
        with contextlib.suppress(BlockingIOError):
            os.write(2, b"x" * 4096)
    os._exit(0)


def _closed() -> None:
    os.close(101)
    time.sleep(10**6)


ANSWERS: dict[str, Callable[[Target], object]] = {  # each has an answer of its own, or none
    "ten gigabytes": lambda t: _huge(),
    "most that a frame may say": lambda t: _frame(_long(2**31 - 1), bytes(2**20)),
    "noise": lambda t: _frame(b"\xff", os.urandom(1000)),
    "a malicious pickle": lambda t: _pickled(f"{t.folder}/unpickled"),
    "another item's": lambda t: _own_answer(_task()[0] + 1, "success"),
    "of another type": lambda t: _bytes_for_answer(msgspec.msgpack.encode(5)),
    "an error of Python's": lambda t: _raised(ValueError("ends the run")),
    "an error of ours": lambda t: _raised(UsageError("ends the run")),
    "a match": lambda t: _raised(MatchError("ends the run with 5")),
    "an end": lambda t: _raised(SystemExit(0)),
    "an interruption": lambda t: _raised(KeyboardInterrupt()),
    "a reason of the gate's": lambda t: _raised(ItemError(Reason.GATE_MATCH)),
    "a takedown": lambda t: _raised(ItemError(Reason.TAKEN_DOWN, "and never again")),
    "an error by no name": lambda t: _bytes_for_answer(_fault(kind="os.system", said="true"), failed=True),
    "a reason of its own": lambda t: _bytes_for_answer(_fault(kind="", said="", reason="fine"), failed=True),
    "an array of objects": lambda t: _bytes_for_answer(_array("|O", (1,), bytes(8))),
    "an array of no type": lambda t: _bytes_for_answer(_array("nonsense", (1,), bytes(8))),
    "an array of another size": lambda t: _bytes_for_answer(_array("<f8", (2**40,), bytes(8))),
    "an array in an array": lambda t: _bytes_for_answer(_array("(9999,9999)f8", (1,), bytes(8))),
    "an extension": lambda t: _bytes_for_answer(msgspec.msgpack.encode(msgspec.msgpack.Ext(99, b"x"))),
    "two for one": lambda t: _bytes_for_answer(b"\xa1x", b"\xa1x"),
    "none for one": lambda t: _bytes_for_answer(),
    "longer than it says": lambda t: _bytes_for_answer(b"\xa1xyz"),
    "a million nothings": lambda t: _bytes_for_answer(b"\xdd" + (2**20).to_bytes(4, "big") + b"\x90" * 2**20),
    "more than an answer may have": lambda t: _bytes_for_answer(msgspec.msgpack.encode("x" * 2**21)),
    "deep": lambda t: _frame(_long(100_000), b"\x91" * 100_000),
    "long lists": lambda t: _frame(_long(5), b"\xdd\xff\xff\xff\xff"),
    "a bare word": lambda t: _frame(_long(1), b"\xc0"),
    "half an answer": lambda t: _half(),
    "slowly": lambda t: _forever(lambda: _frame(b"\x01"), 0.5),
    "nothing": lambda t: time.sleep(10**6),
    "nothing, in C": lambda t: LIBC.pause(),
    "steps for ever": lambda t: _forever(_pace.step, 0.01),
    "closes the pipe": lambda t: _closed(),
    "memory": lambda t: [bytearray(os.urandom(1) * 2**26) for _ in range(160)],
    "memory, mapped": lambda t: mmap.mmap(-1, 10 * 2**30).write(b"x" * (8 * 2**30)),
    "prints": lambda t: _printing(),
    "a fault": lambda t: ctypes.string_at(1),
}


@dataclass(frozen=True)
class TakenOver:
    """Makes one attempt an item; "success" where it got through."""

    target: Target

    def load(self) -> None:
        """Nothing to load."""

    def __call__(self, item: str) -> str:
        if item in ANSWERS:
            ANSWERS[item](self.target)
            return "answered"
        if item == "honest":
            return item
        CALLS[item](self.target)
        return "success"
