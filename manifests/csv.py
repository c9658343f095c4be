"""A release as CSV (RFC 4180, UTF-8, CRLF): the same columns, rows and order as the Parquet files; null is empty."""

from dataclasses import dataclass
from pathlib import Path

from curate.layouts.exported import cells, write_csv
from curate.records import SPLITS, Manifest


@dataclass(frozen=True)
class Csv:
    """`train.csv`, `val.csv`, `test.csv`.

    Attributions and the like are strangers' words, and a spreadsheet runs a cell that begins like a formula: such text
    gets an apostrophe before it (and so does text that begins with one). Take one apostrophe off to have it back.
    """

    def write(self, release: Manifest, out: Path) -> None:
        """Write each split."""
        for split in SPLITS:
            table = release.rows[split]
            write_csv(out / f"{split}.csv", table.column_names, cells(table))
