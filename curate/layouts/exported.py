"""A release as an exported folder: what every format has beside its own files, and how pictures are named in it.

`SHA256SUMS` is in each; where pictures leave, so are `export.json` (what they are, and under which terms) and
`attribution.csv`.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from curate.errors import UsageError
from curate.layouts.table import RISKY, guarded

HEADER, SUMS, ATTRIBUTION = "export.json", "SHA256SUMS", "attribution.csv"
PUBLIC, SIGNATURE = "minisign.pub", f"{SUMS}.minisig"
FEED = "removals.jsonl"  # what is taken out of all versions; beside them
BESIDE = frozenset((HEADER, SUMS, ATTRIBUTION, PUBLIC, SIGNATURE))  # what is curate's, and no format's
SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif"}
_LINE = re.compile(r"(\\?)([0-9a-f]{64}) [ *](.+)")
_ESCAPED = {"\\": r"\\", "\n": r"\n", "\r": r"\r"}
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_CHUNK = 10_000  # rows that are text at a time


def suffix(row: Mapping[str, Any]) -> str:
    """How the file of a row's picture ends, without the dot."""
    return SUFFIXES[row["exported_media_type"]]


def class_folder(name: str) -> str:
    """A class as the name of a folder, which is the class itself; raises UsageError for one that is no file's name on
    every system, or begins like an option, or like a formula in a table of names."""
    odd = not name.isprintable() or name != name.strip(" .") or set(name) & set('/\\:*?"<>|')
    if odd or not name or name.startswith(RISKY) or len(name.encode()) > 255 or _RESERVED.fullmatch(name):
        raise UsageError(
            f"class {name!r} can be no folder's name; give it another one in [taxonomy], or export as webdataset"
        )
    return name


def is_beside(path: str, *names: str) -> bool:
    """Whether a path below `work/` is a file of this name beside a format's own, which may have one called so, too."""
    parts = path.split("/")
    return len(parts) == 4 and parts[0] == "exports" and parts[-1] in names


# -- tables ----------------------------------------------------------------------------------------------------------


def write_csv(path: Path, names: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV: RFC 4180, UTF-8, CRLF; null is empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(names)
        writer.writerows(rows)


def cells(table: Any) -> Iterator[tuple[object, ...]]:
    """The rows of a pyarrow Table for `write_csv`: text that no spreadsheet runs, 4 digits behind a point."""
    for batch in table.to_batches(max_chunksize=_CHUNK):
        yield from zip(*(_column(column) for column in batch.columns), strict=True)


def _column(column: Any) -> list[object]:
    import pyarrow.types as types

    values = column.to_pylist()
    if types.is_floating(column.type):
        return [None if value is None else f"{value:.4f}" for value in values]
    if types.is_string(column.type):
        return [None if value is None else guarded(value) for value in values]
    return list(values)


# -- SHA256SUMS ------------------------------------------------------------------------------------------------------


def sums_text(digests: Mapping[str, str]) -> str:
    """SHA256SUMS of files by name, sorted, as `sha256sum -c` reads it."""
    return "".join(_line(name, digests[name]) for name in sorted(digests))


def _line(name: str, digest: str) -> str:
    said = "".join(_ESCAPED.get(c, c) for c in name) if _ESCAPED.keys() & {*name} else name
    return f"{'' if said == name else chr(92)}{digest}  {said}\n"


def read_sums(data: bytes) -> dict[str, str]:
    """The digests in a SHA256SUMS, by name; lines that are none are passed over."""
    found = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if (match := _LINE.fullmatch(line)) is not None:
            name = re.sub(r"\\(.)", lambda one: {"n": "\n", "r": "\r"}.get(one[1], one[1]), match[3])
            found[name if match[1] else match[3]] = match[2]
    return found
