"""The one tree of errors; each knows the exit code that the command answers with.

CurateError                 1
├── UsageError              2   the command or the config asks for what cannot be
├── StoreError              1   the workspace cannot be read or written
│   ├── WitnessError        1   something is missing that the workspace had; the message names the ways back
│   ├── BusyError           1   another driver holds the workspace
│   └── DiskFullError       1   the disk (or a quota) is full
├── GateError               4   a gate refused: screening, leakage, licence
├── MatchError              5   a screening list matched: stop and follow the procedure
├── PauseError              1   a reviewer's pause is not over
├── GoneError               1   an item was taken away from whoever judges: held, taken down, or in no such queue
└── ItemError               -   one item failed, for a reason of the closed list; never ends a run
"""

import errno
import os
from collections.abc import Mapping
from typing import Any

from curate.records import Reason

FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}


def plain(text: str) -> str:
    """The text without what a terminal would obey: whatever cannot be printed is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def described(error: BaseException) -> str:
    """What an error says, after its kind; its kind alone where it cannot say it, as code of somebody's own may not."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 (whatever it is, it is the error's own)
        return type(error).__name__


def of_system(error: OSError | ValueError) -> "CurateError | None":
    """What the system says of a disk that is full, of a name that cannot be, of what may not be read or written, and of
    a folder that is gone; None of anything else, which is a fault of ours."""
    if isinstance(error, ValueError):
        return UsageError("a path or a text holds a NUL") if "embedded null" in str(error) else None
    name, said = getattr(error, "filename", None), error.strerror
    where = f"{os.fsdecode(name)[:100]}: " if isinstance(name, str | bytes) else ""
    if error.errno in FULL:
        return DiskFullError(f"{where}{said}; free some space and run it again; what is done is kept")
    if error.errno in CLOSED:
        return StoreError(f"{where}{said}")
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR):
        return UsageError(f"{where}{said}")
    if error.errno == errno.ENOENT and name is None:  # as os.getcwd() has it, and tempfile in words of its own
        gone = said == os.strerror(errno.ENOENT)
        return UsageError(
            "the folder that this runs in is gone; go to one that is there" if gone else f"{said}; set TMPDIR"
        )
    return None


class CurateError(Exception):
    """What a user can act on: one line, naming the key, the file and the choice."""

    exit_code = 1


class UsageError(CurateError):
    """The command line or `curate.toml` asks for what cannot be."""

    exit_code = 2


class StoreError(CurateError):
    """The workspace cannot be read or written."""


class WitnessError(StoreError):
    """Something is missing, older or other than what the workspace had; the message says what, and the ways back.

    `facts`: what a verb that only reads could say all the same.
    """

    def __init__(self, message: str, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.facts = facts or {}


class BusyError(StoreError):
    """Another driver holds the workspace; the message says who."""


class DiskFullError(StoreError):
    """The disk or a quota is full; nothing that was committed is lost."""


class GateError(CurateError):
    """A gate refused: no healthy screening, leakage between splits, or a missing licence."""

    exit_code = 4


class MatchError(CurateError):
    """A screening list matched: the run stops, and the operator follows docs/screening.md; `facts` of what it did."""

    exit_code = 5

    def __init__(self, message: str, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.facts = facts or {}


class PauseError(CurateError):
    """A reviewer's pause is not over; nothing was recorded."""


class GoneError(CurateError):
    """The item is no longer available to the reviewer: held, taken down, or not in this queue."""


class InterruptionError(CurateError, KeyboardInterrupt):
    """Somebody told it to end. A KeyboardInterrupt still, so that whoever waits for one sees it."""

    exit_code = 130

    def __init__(self) -> None:
        super().__init__("interrupted; what is done is kept, and the same call goes on from here")


class ItemError(CurateError):
    """One candidate failed, for a reason of the closed list.

    `detail` is for people (a status, a limit, a library's message), in one line; it never holds a URL.
    `retry_after` is what the server asked for, in seconds; `attempts` is how often the item was asked for.
    """

    def __init__(self, reason: Reason, detail: str = "", retry_after: float | None = None) -> None:
        self.reason = reason
        self.detail = plain(detail)
        super().__init__(f"{reason}: {self.detail}" if detail else str(reason))
        self.retry_after = retry_after
        self.attempts = 1

    def __reduce__(self) -> tuple[type["ItemError"], tuple[Reason, str, float | None]]:
        return ItemError, (self.reason, self.detail, self.retry_after)
