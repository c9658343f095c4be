"""Lists of URLs on this machine: a text file, a CSV file, or a folder of lists in one of the two public layouts.

`raw_data/<class>/urls_<class>.txt` is what both hold; one of them also keeps the lists that it was put together from,
`raw_data/<class>/reddit_sub_<name>/urls.txt`, here called leaves.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from curate.errors import UsageError
from curate.layouts import table
from curate.layouts.folder import class_name

TABLES = frozenset({".csv", ".tsv"})
URL, LABEL = "url", "label"  # columns

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
    yield from _table(one) if one.is_csv else _lines(one)


def _lines(one: UrlList) -> Iterator[Row]:
    first = True
    with table.text(one.path) as file:
        try:
            for number, line in enumerate(file, start=1):
                text = line.strip()
                if not text or text.startswith("#"):
                    continue
                if first and URL in _cells(text):
                    raise UsageError(f"{one.path}:{number}: the first row of a table; name the file .csv or .tsv")
                first = False
                yield number, text, _NONE
        except UnicodeError as error:
            wanted = table.encoding(one.path).upper()
            raise UsageError(f"{one.path}: not {wanted}, as its byte order mark says") from error


def _cells(text: str) -> list[str]:
    delimiter = table.delimiter(text)
    return [cell.strip().strip('"').lower() for cell in text.split(delimiter)] if delimiter in text else []


def _table(one: UrlList) -> Iterator[Row]:
    found = table.rows(one.path)
    header = [name.lower() for name in next(found, (0, []))[1]]
    if header.count(URL) != 1:  # what stands there instead is not repeated: it may be a URL
        raise UsageError(f"{one.path}:1: the first row must name the columns, one of them '{URL}'")
    for number, cells in found:
        row = {name: cell for name, cell in zip(header, cells, strict=False) if cell}
        if row:
            url = row.pop(URL, "")
            if any(map(table.undecoded, row.values())):
                raise UsageError(f"{one.path}:{number}: not UTF-8; save the table as UTF-8")
            yield number, url, row
