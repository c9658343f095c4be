"""A release as CSV (RFC 4180, UTF-8, CRLF): the same columns, rows and order as the Parquet files; null is empty."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.layouts.table import guarded
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
            with (out / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\r\n")
                writer.writerow(table.column_names)
                writer.writerows(_rows(table))


def _rows(table: Any) -> Iterator[tuple[object, ...]]:
    for batch in table.to_batches(max_chunksize=10_000):
        yield from zip(*(_cells(column) for column in batch.columns), strict=True)


def _cells(column: Any) -> list[object]:
    """A column as its cells; numbers as the writer says them, null as nothing."""
    import pyarrow.types as types

    values = column.to_pylist()
    if types.is_floating(column.type):
        return [None if value is None else f"{value:.4f}" for value in values]
    if types.is_string(column.type):
        return [None if value is None else guarded(value) for value in values]
    return list(values)
