"""Parquet tables of columns about samples: `tables/<name>@<fingerprint>/<shard>.parquet`. All can be made again."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from curate.store.blobs import write

if TYPE_CHECKING:
    import pyarrow as pa


class Table:
    """One table: a folder of Parquet parts with an `id` column. A part is whole or absent."""

    def __init__(self, root: Path, name: str, mark: str) -> None:
        self.name = name
        self.path = root / f"{name}@{mark}"

    def parts(self) -> list[str]:
        """The names of the parts that are there, sorted."""
        return sorted(p.stem for p in self.path.glob("*.parquet")) if self.path.exists() else []

    def write(self, part: str, table: "pa.Table") -> None:
        """Write one part, replacing it: rows sorted by id, same rows same bytes."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(self.path / f"{part}.parquet", to_parquet(table.sort_by("id")))

    def read(self, columns: Sequence[str] | None = None) -> "pa.Table | None":
        """All rows, each id once, sorted by id; None where there is nothing. A corrupt part is removed and named."""
        import pyarrow as pa

        read = [table for _, table in self.each(columns) if table is not None]
        if not read:
            return None
        whole = pa.concat_tables(read).combine_chunks().sort_by("id")
        return _once(whole)

    def each(self, columns: Sequence[str] | None = None) -> "Iterator[tuple[str, pa.Table | None]]":
        """Each part with its rows; None for a part that cannot be read, which is removed so that it is made again."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for part in self.parts():
            path = self.path / f"{part}.parquet"
            try:
                yield part, pq.read_table(path, columns=columns and ["id", *columns])
            except (pa.ArrowException, OSError):
                path.unlink(missing_ok=True)
                yield part, None


def _once(table: "pa.Table") -> "pa.Table":
    import numpy as np

    ids = table.column("id").to_numpy(zero_copy_only=False)
    first = np.ones(len(ids), dtype=bool)
    first[1:] = ids[1:] != ids[:-1]
    return table if first.all() else table.filter(first)


def to_parquet(table: "pa.Table") -> bytes:
    """The Parquet bytes of a table: no clock, no machine, one row group order."""
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", compression_level=3, row_group_size=65536, store_schema=False)
    return out.getvalue()


def to_table(columns: Mapping[str, object]) -> "pa.Table":
    """A table of named columns (numpy arrays or lists of one length)."""
    import pyarrow as pa

    return pa.table({name: pa.array(values) for name, values in columns.items()})
