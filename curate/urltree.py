"""Lists of URLs on this machine: a text file, a CSV file, or a folder of lists in one of the two public layouts.

`raw_data/<class>/urls_<class>.txt` is what both hold; one of them also keeps the lists that it was put together from,
`raw_data/<class>/reddit_sub_<name>/urls.txt`, here called leaves.
"""

import codecs
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from curate.errors import UsageError
from curate.layouts.folder import class_name

TABLES = frozenset({".csv", ".tsv"})
DELIMITERS = ",;\t"
_MARKS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
          (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
URL, LABEL = "url", "label"  # columns
CELL = 1 << 20  # characters; a longer one means a quote that is never closed

Row = tuple[
    int, str, Mapping[str, str]
]  # number of its line, URL (empty: none given), the other columns that say something
_NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class UrlList:
    """One file of URLs: `name` within the tree, `label` the class that its folder is named after."""

    path: Path
    name: str
    label: str | None
    leaf: bool = False

    @property
    def is_csv(self) -> bool:
        """True where rows have columns."""
        return self.path.suffix.lower() in TABLES


def find(path: Path) -> list[UrlList]:
    """The lists at `path` in the order of their names; raises UsageError where there are none."""
    if path.is_file():
        label = class_name(path.parent.name) if path.stem == f"urls_{path.parent.name}" else None
        return [UrlList(path, path.name, label)]
    root = path / "raw_data" if (path / "raw_data").is_dir() else path
    if not root.is_dir():
        raise UsageError(f"{path}: {'no plain file' if path.exists() else 'no such file or folder'}")
    found = [
        UrlList(p, p.relative_to(path).as_posix(), class_name(p.parent.name))
        for p in root.glob("*/urls_*.txt")
        if p.stem == f"urls_{p.parent.name}"
    ]
    found += [
        UrlList(p, p.relative_to(path).as_posix(), class_name(p.parent.parent.name), leaf=True)
        for p in root.glob("*/reddit_sub_*/urls.txt")
    ]
    if not found:
        raise UsageError(f"{path}: no <class>/urls_<class>.txt in this folder")
    return sorted(found, key=lambda one: one.name)


def rows(one: UrlList) -> Iterator[Row]:
    """The rows of a list; raises UsageError, with the line, for what cannot be read as one.

    In text, blank lines and lines that start with `#` are passed over; in a table (CSV, TSV, or parted by semicolons),
    rows without any value. UTF-8, and UTF-16 and UTF-32 with a byte order mark, are read. Other bytes of a URL stay
    apart as surrogates, so that two lines never become one; elsewhere in a table they are refused.
    """
    encoding = _encoding(one.path)
    with one.path.open(encoding=encoding, errors="surrogateescape", newline="" if one.is_csv else None) as file:
        try:
            yield from _table(one, file) if one.is_csv else _lines(one, file)
        except UnicodeError as error:
            raise UsageError(f"{one.path}: not {encoding.upper()}, as its byte order mark says") from error


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4096)
    if found := next((name for mark, name in _MARKS if start.startswith(mark)), None):
        return found
    if b"\0" in start:
        raise UsageError(
            f"{path}:{start.partition(chr(0).encode())[0].count(10) + 1}: no text (a NUL byte); save it as UTF-8"
        )
    return "utf-8-sig"


def _lines(one: UrlList, file: TextIO) -> Iterator[Row]:
    first = True
    for number, line in enumerate(file, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if first and URL in _cells(text):
            raise UsageError(f"{one.path}:{number}: the first row of a table; name the file .csv or .tsv")
        first = False
        yield number, text, _NONE


def _cells(text: str) -> list[str]:
    delimiter = max(DELIMITERS, key=text.count)
    return [cell.strip().strip('"').lower() for cell in text.split(delimiter)] if delimiter in text else []


def _table(one: UrlList, file: TextIO) -> Iterator[Row]:
    csv.field_size_limit(CELL)
    head = file.readline()
    file.seek(0)
    reader = csv.reader(file, strict=True, delimiter=max(DELIMITERS, key=head.count))
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if header.count(URL) != 1:  # what stands there instead is not repeated: it may be a URL
            raise UsageError(f"{one.path}:1: the first row must name the columns, one of them '{URL}'")
        for cells in reader:
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
            if row:
                url = row.pop(URL, "")
                if any(not value.isprintable() and _undecoded(value) for value in row.values()):
                    raise UsageError(f"{one.path}:{reader.line_num}: not UTF-8; save the table as UTF-8")
                yield reader.line_num, url, row
    except csv.Error as error:
        raise UsageError(f"{one.path}:{reader.line_num}: not CSV: {error}") from error


def _undecoded(text: str) -> bool:
    return any("\udc80" <= c <= "\udcff" for c in text)
