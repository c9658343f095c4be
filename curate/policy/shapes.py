"""What a contract asks for beside its names: columns of a known type, sides that pictures are decoded to."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

SIDES = (0, 256, 512, 1024)  # the shorter sides, in px, that pictures are decoded to
OVER = ("max", "min", "mean")
_COLUMN = re.compile(r"string|float(16|32|64)(\[[1-9]\d*\])?")
_TAKEN = ("id", "problem")  # columns that every table has


def strange(package: str, plugin: Any) -> Iterator[str]:
    """What is wrong with what a plug-in, or its class, says of itself; it has all that its contract names."""
    if package in _SAID:
        yield from _SAID[package](plugin)


def _source(plugin: Any) -> Iterator[str]:
    if not inspect.isasyncgenfunction(plugin.pages):
        yield "has pages() that is no asynchronous generator (`async def` with `yield`)"


def _labeler(plugin: Any) -> Iterator[str]:
    if not (isinstance(plugin.version, int) and plugin.version >= 1):
        yield f"has version {plugin.version!r}: a whole number, 1 or more, raised when answers change"
    needs, columns = plugin.needs, plugin.columns
    if not (hasattr(needs, "side") and hasattr(needs, "batch")):
        yield f"has needs {needs!r}: Resources(...) of curate.contracts"
    elif needs.side not in SIDES or needs.batch < 1:
        yield f"needs a side of {needs.side} px and batches of {needs.batch}: sides are {SIDES}, a batch is 1 or more"
    if not (isinstance(columns, Mapping) and columns):
        yield f"has columns {columns!r}: a name and a type for each, one at least"
        return
    for name, kind in columns.items():
        if not str(name).isidentifier() or name in _TAKEN:
            yield f"has a column {name!r}: names are those of Python, and none of {', '.join(_TAKEN)}"
        if not _COLUMN.fullmatch(str(kind)):
            yield f"has a column of {kind!r}: string, float16, float32 or float64, with [n] where it is a vector"
    if hasattr(plugin, "ask") and not inspect.iscoroutinefunction(plugin.ask):
        yield "has ask() that is no coroutine (`async def`): SupportsAsk of curate.contracts"
    for name, how in getattr(plugin, "over_frames", {}).items():
        if how not in OVER or columns.get(name, "string") == "string":
            yield f"has over_frames that says {how!r} of {name!r}: {', '.join(OVER)}, of a column of numbers"


def _queue(plugin: Any) -> Iterator[str]:
    if plugin.blind not in (True, False) or plugin.reported not in (True, False):
        yield "has `blind` or `reported` that is neither true nor false"
    elif plugin.reported and not plugin.blind:
        yield "is reported and not blind: a figure rests on judgements that nothing leaned on"


_SAID: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "sources": _source,
    "labelers": _labeler,
    "curate.review.queues": _queue,
}
