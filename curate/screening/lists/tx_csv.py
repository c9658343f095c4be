"""What `threatexchange dataset -P --csv` prints: signal_type, signal_str, collab, category, tags."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from curate.errors import GateError
from curate.records import CorruptRow, ListedHash
from curate.screening.lists._rows import Row, files, lines
from curate.screening.lists._signals import signal

COLUMNS = ("signal_type", "signal_str", "collab", "category", "tags")
KIND, VALUE, COLLAB, CATEGORY, _ = COLUMNS
NEGATIVE = "NEGATIVE_CLASS"  # those who looked say that it is not what the list is for
DISPUTED = "DISPUTED"  # some of those who looked say so


@dataclass(frozen=True)
class TxCsv:
    """A CSV file with a header. Rows of the category NEGATIVE_CLASS are harmless (negative); all others are matched."""

    path: Path
    provider: str = "self"

    def rows(self) -> Iterator[Row]:
        """Every row; raises UsageError for a missing file, GateError for one without the two columns that matter."""
        for place, row in self._records():
            yield from _row(row, place)

    def dispute(self, hashes: Sequence[ListedHash], reason: str) -> str:
        """The rows of these hashes, as they stand in the file but for the category."""
        values = {one.value for one in hashes}
        found = [row for _, row in self._records() if (row[VALUE] or "").strip().lower() in values]
        return table([{name: row.get(name) for name in COLUMNS} for row in found])

    def _records(self) -> Iterator[tuple[str, dict[str, str | None]]]:
        for file in files(self.path):
            reader = csv.DictReader(line.replace("\0", " ") for line in lines(file))
            if not {KIND, VALUE} <= set(reader.fieldnames or ()):
                raise GateError(f"{file.name} has no columns {KIND} and {VALUE}")
            try:
                for row in reader:
                    yield f"line {reader.line_num}", row
            except csv.Error as error:
                raise GateError(f"{file.name} is no CSV file from line {reader.line_num} on") from error


def table(rows: Sequence[Mapping[str, str | None]]) -> str:
    """Signals that somebody disputes, as `threatexchange dataset -P --csv` would print them."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, CATEGORY: DISPUTED} for row in rows)
    return out.getvalue()


def _row(row: dict[str, str | None], entry: str) -> Iterator[Row]:
    kind, value = row[KIND], row[VALUE]
    category = (row.get(CATEGORY) or "").strip().upper()
    if not kind or not value:
        yield CorruptRow(entry, "no signal")
        return
    for one in signal(kind, value, entry):
        if isinstance(one, ListedHash) and category == DISPUTED:
            yield replace(one, doubt=one.doubt or "disputed by others of the exchange")
        elif isinstance(one, ListedHash):
            yield replace(one, negative=category == NEGATIVE)
        else:
            yield one
