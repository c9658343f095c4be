"""What `threatexchange dataset -P --csv` prints: signal_type, signal_str, collab, category, tags."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
        for place, cells in self._records((KIND, VALUE, CATEGORY)):
            yield from _row(cells, place)

    def dispute(self, hashes: Sequence[ListedHash], reason: str) -> str:
        """The rows of these hashes, as they stand in the file but for the category."""
        values = {one.value for one in hashes}
        found = [cells for _, cells in self._records(COLUMNS) if cells[1].strip().lower() in values]
        return table([dict(zip(COLUMNS, cells, strict=True)) for cells in found])

    def _records(self, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        """Every row's place, and its cells in these columns; empty where it has none."""
        for file in files(self.path):
            reader = csv.reader(line.replace("\0", " ") for line in lines(file))
            try:
                header = {name: place for place, name in enumerate(next(reader, []))}
                if not {KIND, VALUE} <= header.keys():
                    raise GateError(f"{file.name} has no columns {KIND} and {VALUE}")
                places = [header.get(name, -1) for name in columns]
                for row in reader:
                    if row:
                        cells = [row[place] if 0 <= place < len(row) else "" for place in places]
                        yield f"line {reader.line_num}", cells
            except csv.Error as error:
                raise GateError(f"{file.name} is no CSV file from line {reader.line_num} on") from error


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Signals that somebody disputes, as `threatexchange dataset -P --csv` would print them."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, CATEGORY: DISPUTED} for row in rows)
    return out.getvalue()


def _row(cells: Sequence[str], entry: str) -> Iterator[Row]:
    kind, value, category = cells[0], cells[1], cells[2].strip().upper()
    if not kind or not value:
        yield CorruptRow(entry, "no signal")
        return
    for one in signal(kind, value, entry):
        if isinstance(one, ListedHash) and category == DISPUTED:
            yield one._replace(doubt=one.doubt or "disputed by others of the exchange")
        elif isinstance(one, ListedHash) and category == NEGATIVE:
            yield one._replace(negative=True)
        else:
            yield one
