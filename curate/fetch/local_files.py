"""Reading files on this machine as what a candidate's locator names."""

from pathlib import Path

from curate.errors import ItemError
from curate.records import Reason


def read(path: Path, max_bytes: int) -> bytes:
    """The bytes of a plain file; raises ItemError: file_missing, too_large.

    A pipe or a device would be waited for without end, and is none.
    """
    try:
        if path.exists() and not path.is_file():
            raise ItemError(Reason.FILE_MISSING, "no plain file")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ItemError(Reason.FILE_MISSING, error.strerror or "") from error
    if len(data) > max_bytes:
        raise ItemError(Reason.TOO_LARGE, f"more than {max_bytes} bytes")
    return data
