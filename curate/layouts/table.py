"""Tables that people give and get: CSV, TSV, or parted by semicolons, in any encoding that says what it is."""

import codecs
import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from curate.errors import UsageError

CELL = 1 << 20  # characters; a longer one means a quote that is never closed
# How text begins that a spreadsheet would run (OWASP, CSV injection; the wide ones are read as the others in East Asia)
# or that looks guarded.
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'")
_DELIMITERS = ",;\t"
_MARKS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
          (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip


def text(path: Path, newline: str | None = None) -> TextIO:
    """A file opened as text: UTF-8, or UTF-16 and UTF-32 by their byte order mark; other bytes become surrogates.

    Raises UsageError for what is no plain file, cannot be read, or is no text.
    """
    return path.open(encoding=encoding(path), errors="surrogateescape", newline=newline)


def plain(path: Path) -> None:
    """Raise UsageError for what is there and no plain file: a pipe or a device would be waited for without end."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: no plain file")


def encoding(path: Path) -> str:
    """What a file is written in; raises UsageError as `text` does."""
    plain(path)
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if found := next((name for mark, name in _MARKS if start.startswith(mark)), None):
        return found
    if b"\0" in start:
        line = start.partition(b"\0")[0].count(b"\n") + 1
        raise UsageError(
            f"{path}:{line}: no text (a NUL byte, as in UTF-16 without a byte order mark); save it as UTF-8"
        )
    return "utf-8-sig"


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number of each row's line, and its cells, stripped; the first is the header. Rows without any value are
    passed over. Raises UsageError, with the line, for what is no such table."""
    csv.field_size_limit(CELL)
    with text(path, newline="") as file:
        try:
            head = file.readline()
            file.seek(0)
            reader = csv.reader(file, strict=True, delimiter=delimiter(head))
            for cells in reader:
                found = [cell.strip() for cell in cells]
                if any(found):
                    yield reader.line_num, found
        except UnicodeError as error:
            raise UsageError(
                f"{path}: not {encoding(path).upper()}, as its byte order mark says; save it as UTF-8"
            ) from error
        except csv.Error as error:
            raise UsageError(f"{path}:{reader.line_num}: not CSV: {error}") from error


def records(path: Path, known: Iterable[str]) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The names of a table's columns; of each row the number of its line, and its cells by name, those that it lacks
    empty.

    Raises UsageError as `rows` does, for a column of `known` that is there twice, and for more cells than names.
    """
    lines = rows(path)
    names = next(lines, (0, []))[1]
    if twice := next((name for name in known if names.count(name) > 1), None):
        raise UsageError(f"{path}: column '{twice}' is there twice; which one is meant?")

    def found() -> Iterator[tuple[int, dict[str, str]]]:
        for line, cells in lines:
            if any(cells[len(names) :]):  # 0,9 for 0.9 would be read as 0
                raise UsageError(f"{path}:{line}: {len(cells)} cells below {len(names)} names; decimals take a point")
            yield line, dict.fromkeys(names, "") | dict(zip(names, cells, strict=False))

    return names, found()


def delimiter(line: str) -> str:
    """What parts the cells of a line: the most frequent of comma, semicolon and tab."""
    return max(_DELIMITERS, key=line.count)


def undecoded(cell: str) -> bool:
    """Whether a cell holds bytes that were not in the encoding of its file."""
    return not cell.isprintable() and any("\udc80" <= c <= "\udcff" for c in cell)


def guarded(cell: str) -> str:
    """Text as a cell that no spreadsheet runs: with an apostrophe before what begins like a formula."""
    return f"'{cell}" if cell.startswith(RISKY) else cell


def unguarded(cell: str) -> str:
    """A cell as it was before `guarded`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(RISKY) else cell
