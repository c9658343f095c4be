"""Lists of URLs on this machine: a text file, a CSV file, or a folder of lists in one of the two public layouts.

`raw_data/<class>/urls_<class>.txt` is what both hold; one of them also keeps the lists that it was put together from,
`raw_data/<class>/reddit_sub_<name>/urls.txt`, here called leaves.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from curate.errors import UsageError

CSV = ".csv"
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
        return self.path.suffix.lower() == CSV


def find(path: Path) -> list[UrlList]:
    """The lists at `path` in the order of their names; raises UsageError where there are none."""
    if path.is_file():
        label = path.parent.name if path.stem == f"urls_{path.parent.name}" else None
        return [UrlList(path, path.name, label)]
    root = path / "raw_data" if (path / "raw_data").is_dir() else path
    if not root.is_dir():
        raise UsageError(f"{path}: no such file or folder")
    found = [
        UrlList(p, p.relative_to(path).as_posix(), p.parent.name)
        for p in root.glob("*/urls_*.txt")
        if p.stem == f"urls_{p.parent.name}"
    ]
    found += [
        UrlList(p, p.relative_to(path).as_posix(), p.parent.parent.name, leaf=True)
        for p in root.glob("*/reddit_sub_*/urls.txt")
    ]
    if not found:
        raise UsageError(f"{path}: no <class>/urls_<class>.txt in this folder")
    return sorted(found, key=lambda one: one.name)


def rows(one: UrlList) -> Iterator[Row]:
    """The rows of a list; raises UsageError for a CSV file that cannot be read.

    In text, blank lines and lines that start with `#` are passed over; in CSV, rows without any value. Bytes that are
    no UTF-8 become U+FFFD, which no URL may hold.
    """
    with one.path.open(encoding="utf-8-sig", errors="replace", newline="" if one.is_csv else None) as file:
        yield from _table(one, file) if one.is_csv else _lines(file)


def _lines(file: TextIO) -> Iterator[Row]:
    for number, line in enumerate(file, start=1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield number, text, _NONE


def _table(one: UrlList, file: TextIO) -> Iterator[Row]:
    csv.field_size_limit(CELL)
    reader = csv.reader(file, strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if header.count(URL) != 1:  # what stands there instead is not repeated: it may be a URL
            raise UsageError(f"{one.path}: the first row must name the columns, one of them '{URL}'")
        for cells in reader:
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
            if row:
                yield reader.line_num, row.pop(URL, ""), row
    except csv.Error as error:
        raise UsageError(f"{one.path}:{reader.line_num}: not CSV: {error}") from error
