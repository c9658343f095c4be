"""What `threatexchange dataset -P --csv` prints: signal_type, signal_str, collab, category, tags."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.errors import GateError
from curate.records import CorruptRow, SkippedRow
from curate.screening.lists._rows import Row, files, lines
from curate.screening.lists._signals import signal

KIND, VALUE, CATEGORY = "signal_type", "signal_str", "category"
NEGATIVE = "NEGATIVE_CLASS"  # those who looked say that it is not what the list is for


@dataclass(frozen=True)
class TxCsv:
    """A CSV file with a header. Rows of the category NEGATIVE_CLASS are not matched; all others are."""

    path: Path
    provider: str = "self"

    def rows(self) -> Iterator[Row]:
        """Every row; raises UsageError for a missing file, GateError for one without the two columns that matter."""
        for file in files(self.path):
            reader = csv.DictReader(line.replace("\0", " ") for line in lines(file))
            if not {KIND, VALUE} <= set(reader.fieldnames or ()):
                raise GateError(f"{file.name} has no columns {KIND} and {VALUE}")
            try:
                for row in reader:
                    yield from _row(row, f"line {reader.line_num}")
            except csv.Error as error:
                raise GateError(f"{file.name} is no CSV file from line {reader.line_num} on") from error


def _row(row: dict[str, str | None], entry: str) -> Iterator[Row]:
    kind, value = row[KIND], row[VALUE]
    if not kind or not value:
        yield CorruptRow(entry, "no signal")
    elif (row.get(CATEGORY) or "").strip().upper() == NEGATIVE:
        yield SkippedRow(entry, NEGATIVE.lower())
    else:
        yield from signal(kind, value, entry)
