"""Append-only files of JSON lines: each line has the digest of the line before and its own, so that none can be changed
or left out unseen. A torn last line is none: a killed run wrote it, and the next one writes it anew.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate.fingerprint import canonical

GENESIS = "0" * 64
_TAIL = 1 << 16  # bytes that are read at first to find the last line


def line(record: Mapping[str, Any], prev: str) -> tuple[bytes, str]:
    """A record as its line, and the line's digest."""
    one = dict(record) | {"prev": prev}
    found = digest(one)
    return canonical(one | {"digest": found}).encode() + b"\n", found


def parsed(text: bytes) -> dict[str, Any] | None:
    """The record of a line; None where it is no JSON object."""
    try:
        one = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return one if isinstance(one, dict) else None


def digest(one: Mapping[str, Any]) -> str:
    """The digest that a record's line has."""
    return hashlib.sha256(canonical({k: v for k, v in one.items() if k != "digest"}).encode()).hexdigest()


def lines(path: Path) -> list[bytes]:
    """Every whole line of a file; none where there is no file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found = data.split(b"\n")  # not `splitlines`: JSON may hold what it breaks at
    return [one + b"\n" for one in found[:-1]]


def records(path: Path) -> list[dict[str, Any]]:
    """Every record whose line is what was written, wherever it stands."""
    found = map(parsed, lines(path))
    return [one for one in found if one is not None and digest(one) == one.get("digest")]


def broken(path: Path) -> list[int]:
    """The number (from 1) of every line that is not what was written, or does not follow the one before."""
    found, prev = [], GENESIS
    for number, text in enumerate(lines(path), start=1):
        one = parsed(text)
        if one is None or one.get("prev") != prev or digest(one) != one.get("digest"):
            found.append(number)
        prev = str(one["digest"]) if one and "digest" in one else ""
    return found


def last(handle: int) -> tuple[dict[str, Any] | None, int]:
    """The last record of an open file, and where its line ends; None where that line is not what was written, or none
    is there (then it ends at 0)."""
    size, take = os.fstat(handle).st_size, _TAIL
    while True:
        start = max(0, size - take)
        data = os.pread(handle, size - start, start)
        end = data.rfind(b"\n") + 1
        begin = data.rfind(b"\n", 0, max(end - 1, 0)) + 1
        if start == 0 or begin:
            break
        take *= 8
    one = parsed(data[begin:end]) if end else None
    return (one if one is not None and digest(one) == one.get("digest") else None), start + end if end else 0
