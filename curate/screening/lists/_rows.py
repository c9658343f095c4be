"""What the readers share: files and folders as text, and a value as a row that is listed or corrupt."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curate.errors import GateError, UsageError
from curate.layouts.table import plain
from curate.records import Algorithm, CorruptRow, Dated, ListedHash, SkippedRow

Row = ListedHash | CorruptRow | SkippedRow | Dated

LENGTHS: dict[Algorithm, int] = {"md5": 32, "sha1": 40, "sha256": 64, "pdq": 64}
PDQ_ONES = 128  # half of the bits are above the median
_HEX = re.compile(r"[0-9a-f]+")
_BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))


def listed(algorithm: Algorithm, value: str, entry: str) -> Row:
    """A value as a row, in either case of letters; a PDQ hash with another number of ones than 128 is doubtful."""
    value = value.strip().lower()
    data = _bytes(value)
    if len(data) * 2 != LENGTHS[algorithm]:
        wrong = f"{algorithm} of {len(value)} digits, not {LENGTHS[algorithm]}"
        return CorruptRow(entry, wrong if _HEX.fullmatch(value) else f"not {algorithm} in hex")
    ones = int.from_bytes(data).bit_count() if algorithm == "pdq" else PDQ_ONES
    return ListedHash(algorithm, value, entry, "" if ones == PDQ_ONES else f"{ones} of 256 bits are set, not 128")


def guessed(value: str, entry: str, doubt: str = "") -> Iterator[Row]:
    """A value whose kind nobody says: its length does; 64 digits are matched as sha256 and as PDQ."""
    value = value.strip().lower()
    digits = len(_bytes(value)) * 2
    kinds = [kind for kind, length in LENGTHS.items() if length == digits]
    for kind in kinds:
        yield ListedHash(kind, value, entry, doubt)
    if not kinds:
        yield CorruptRow(entry, "neither md5, sha1, sha256 nor PDQ in hex")


def _bytes(value: str) -> bytes:
    """What hex stands for; nothing where a character is no digit (`fromhex` alone takes spaces between them)."""
    try:
        data = bytes.fromhex(value)
    except ValueError:
        return b""
    return data if len(data) * 2 == len(value) else b""


def moment(value: object) -> str:
    """A time of a list (ISO 8601, or seconds since 1970) as `Dated` has it; empty where it is none.

    A time without a zone is in UTC.
    """
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            at = datetime.fromtimestamp(value, UTC)
        else:
            at = datetime.fromisoformat(str(value).strip())
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def files(path: Path) -> list[Path]:
    """The file, or every file of the folder (the pages of one answer), by name; raises UsageError where it is not."""
    if not path.exists():
        raise UsageError(f"{path}: No such file or directory")
    if not path.is_dir():
        plain(path)
    found = [path] if not path.is_dir() else sorted(p for p in path.iterdir() if p.is_file() and p.name[0] != ".")
    if not found:
        raise UsageError(f"{path}: the folder holds no file")
    return found


def text(path: Path) -> str:
    """A file as text, whatever wrote it (CRLF, byte order marks, UTF-16); raises UsageError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    return data.decode(encoding, errors="replace")


def lines(path: Path) -> Iterator[str]:
    """The lines of a file, as `text` reads it, one at a time; raises UsageError."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
        encoding = next((name for mark, name in _BOMS if start.startswith(mark)), "utf-8")
        with path.open(encoding=encoding, errors="replace") as file:
            yield from file
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except UnicodeError as error:  # half a character of UTF-16 at the end
        raise GateError(f"{path.name} is no text ({error})") from error


def documents(path: Path) -> Iterator[tuple[str, Any]]:
    """Every JSON document of a file or folder, with its place: one a file, or one a line.

    Raises GateError for a file that is neither: half a page must not pass for a whole one.
    """
    for file in files(path):
        content = text(file)
        try:
            yield file.name, json.loads(content)
            continue
        except (ValueError, RecursionError):
            lines = [(n, line) for n, line in enumerate(content.splitlines(), start=1) if line.strip()]
        try:
            yield from [(f"{file.name}:{n}", json.loads(line)) for n, line in lines]
        except (ValueError, RecursionError) as error:
            raise GateError(f"{file.name} is not JSON, or not whole") from error


def records(path: Path, key: str) -> Iterator[tuple[str, Any]]:
    """Every record of pages such as `{key: [...]}`, of bare lists and of bare records, with its place."""
    for place, page in documents(path):
        found = page.get(key, page) if isinstance(page, dict) else page
        if isinstance(found, list):
            yield from ((f"{place}[{n}]", record) for n, record in enumerate(found))
        else:
            yield place, found
