"""What `threatexchange dataset -P --csv` prints: signal_type, signal_str, collab, category, tags."""

import csv
from collections.abc import Iterator, Sequence
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
            reader = csv.reader(line.replace("\0", " ") for line in lines(file))
            try:
                header = {name: place for place, name in enumerate(next(reader, []))}
                if not {KIND, VALUE} <= header.keys():
                    raise GateError(f"{file.name} has no columns {KIND} and {VALUE}")
                places = [header.get(name, -1) for name in (KIND, VALUE, CATEGORY)]
                for row in reader:
                    if row:
                        cells = [row[place] if 0 <= place < len(row) else "" for place in places]
                        yield from _row(cells, f"line {reader.line_num}")
            except csv.Error as error:
                raise GateError(f"{file.name} is no CSV file from line {reader.line_num} on") from error


def _row(cells: Sequence[str], entry: str) -> Iterator[Row]:
    kind, value, category = cells
    if not kind or not value:
        yield CorruptRow(entry, "no signal")
    elif category.strip().upper() == NEGATIVE:
        yield SkippedRow(entry, NEGATIVE.lower())
    else:
        yield from signal(kind, value, entry)
