"""How an answer leaves a worker: as plain data, of the type that its work declares. Nothing in it is run or looked up.

A worker may be in a stranger's hands: what it writes is not believed to be of the type before that was checked.
"""

import re
import struct
import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from curate import errors
from curate.contracts import Task
from curate.engine._each import All
from curate.errors import CurateError, ItemError, described
from curate.records import Reason

LARGEST = 64 * 2**20  # bytes of one answer
_ARRAY, _TEXTS = 1, 2  # extension types
_NUMBERS = re.compile("[<>|=]?[biuf][1248]")  # types of arrays that are taken
_FRAME, _ANSWER = struct.Struct("!qI"), struct.Struct("!?I")  # number and count; of each whether it failed, its length
_DETAIL = 2000  # characters kept of what a worker says of an error
_FOUND = {
    Reason.DECODE_ERROR,
    Reason.TRUNCATED,
    Reason.HTML_INSTEAD_OF_MEDIA,
    Reason.UNSUPPORTED_MIME,
    Reason.POLYGLOT,
    Reason.HIDDEN_DATA,
    Reason.BOMB,
    Reason.TOO_LARGE,
    Reason.TOO_SMALL,
    Reason.TOO_MANY_PIXELS,
    Reason.TOO_MANY_FRAMES,
    Reason.TOO_SLOW,
    Reason.FILE_MISSING,
    Reason.WORKER_DIED,
}  # fmt: skip  (what a look at bytes may find; all others are the driver's to give)
_BUILT_IN: tuple[type[Exception], ...] = (
    ArithmeticError, AssertionError, AttributeError, ImportError, IndexError, KeyError, MemoryError,
    NotImplementedError, OSError, OverflowError, RuntimeError, TypeError, ValueError, ZeroDivisionError,
)  # fmt: skip


def _tree() -> Iterator[type[Exception]]:
    yield from (one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, CurateError))


_ERRORS: dict[str, type[Exception]] = {one.__name__: one for one in [*_BUILT_IN, *_tree()] if one is not ItemError}


class WorkError(Exception):
    """What a work raised that cannot be made again here: its class and its words."""


class _Fault(msgspec.Struct):
    kind: str
    said: str
    reason: Reason | None = None


def kind_of(work: Task[Any, Any]) -> Any:
    """The type of a work's answers, as its `__call__` declares it."""
    one = work.work if isinstance(work, All) else work
    return typing.get_type_hints(type(one).__call__).get("return", Any)


def encode(number: int, answers: list[Any]) -> bytes:
    """The bytes of the answers to a task; raises TypeError or ValueError where one is not plain data."""
    said = [(isinstance(one, Exception), _encode(one)) for one in answers]
    heads = [_ANSWER.pack(failed, len(data)) for failed, data in said]
    return b"".join([_FRAME.pack(number, len(said)), *heads, *(data for _, data in said)])


def decode(said: bytes, number: int, count: int, kind: Any, most: int = LARGEST) -> list[Any]:
    """The answers to a task: one, or one for each item of a chunk. Raises ValueError where there are others than to
    what was asked, longer than `most` bytes or of another type; whatever else a decoder raises is that, too."""
    try:
        if len(said) < _FRAME.size + count * _ANSWER.size or _FRAME.unpack_from(said) != (number, count):
            raise ValueError("answers what was not asked")
        at = _FRAME.size + count * _ANSWER.size
        found = []
        for failed, size in _ANSWER.iter_unpack(said[_FRAME.size : at]):
            if size > most:
                raise ValueError(f"an answer of {size} bytes; {most} are allowed")
            raw = said[at : at + size]
            found.append(_error(raw) if failed else _decode(raw, kind))
            at += size
        return found
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(described(error)) from error


def _encode(value: Any) -> bytes:
    return msgspec.msgpack.encode(_fault(value) if isinstance(value, Exception) else value, enc_hook=_packed)


def _decode(raw: bytes, kind: Any) -> Any:
    return msgspec.msgpack.decode(raw, type=kind, dec_hook=_made, ext_hook=_extended)


def _fault(error: Exception) -> _Fault:
    if isinstance(error, ItemError):
        return _Fault("ItemError", _text(error.detail), error.reason)
    kind = next((one.__name__ for one in type(error).__mro__ if one.__name__ in _ERRORS), "")
    return _Fault(kind, _text(str(error) if kind == type(error).__name__ else described(error)))


def _text(said: str) -> str:
    return said[:_DETAIL].encode("utf-8", "backslashreplace").decode()


def _error(raw: bytes) -> Exception:
    fault = msgspec.msgpack.decode(raw, type=_Fault)
    if fault.reason is not None:
        if fault.reason not in _FOUND:
            raise ValueError(f"{fault.reason} is no reason that bytes give")
        return ItemError(fault.reason, fault.said[:_DETAIL])
    made: Exception = _ERRORS.get(fault.kind, WorkError)(fault.said[:_DETAIL])
    return made


# -- what msgpack has no word for ------------------------------------------------------------------------------------


def _packed(value: Any) -> Any:
    if isinstance(value, Exception):
        return _fault(value)
    import numpy as np

    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype == object:
        return msgspec.msgpack.Ext(_TEXTS, msgspec.msgpack.encode(value.tolist()))
    if isinstance(value, np.ndarray):
        plain = (value.dtype.str, value.shape, value.tobytes())
        return msgspec.msgpack.Ext(_ARRAY, msgspec.msgpack.encode(plain))
    raise NotImplementedError(f"{type(value).__name__} is not plain data: no worker can answer it")


def _made(kind: type, value: Any) -> Any:
    import numpy as np

    if kind is np.ndarray and isinstance(value, np.ndarray):
        return value
    if kind is ItemError:
        return _error(msgspec.msgpack.encode(value))
    raise NotImplementedError(f"{kind} is not plain data")


def _extended(code: int, data: memoryview) -> Any:
    import numpy as np

    if code == _TEXTS:
        return np.array(msgspec.msgpack.decode(data, type=list[str | None]), dtype=object)
    dtype, shape, values = msgspec.msgpack.decode(data, type=tuple[str, tuple[int, ...], bytes])
    if code != _ARRAY or _NUMBERS.fullmatch(dtype) is None:
        raise ValueError(f"no array of {dtype[:20]} is taken")
    return np.frombuffer(values, dtype=dtype).reshape(shape).copy()
