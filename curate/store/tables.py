"""Parquet tables of columns about samples, in `tables/<name>@<fingerprint>/`. All can be made again.

A part is `<part>.<digest>.parquet`; the digest is of its bytes, so that one flipped bit is seen.
"""

import hashlib
import io
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from curate.store.blobs import write

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

READERS = 2  # parts that are read at a time: checking and unpacking let go of the interpreter's lock
AHEAD = 16  # parts that are held ready
TUNED = "tuned"  # begins the name of a folder that holds weights which a training is not through with, and no table
GROUP = 65536  # rows of a row group

_NAMED = 12  # hex digits of an id that make a part's name one that tells it


class Table:
    """One table: a folder of Parquet parts with an `id` column. A part is whole or absent."""

    def __init__(self, root: Path, name: str, mark: str) -> None:
        self.name = name
        self.path = root / f"{name}@{mark}"

    def parts(self) -> list[str]:
        """The names of the parts that are there, sorted."""
        return sorted(self._files())

    def write(self, part: str, table: "pa.Table") -> None:
        """Write one part, replacing it: rows sorted by id, same rows same bytes."""
        self.keep(part, to_parquet(table.sort_by("id")))

    def keep(self, part: str, data: bytes) -> None:
        """Write one part, replacing it, from the Parquet bytes of rows sorted by id."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path / f"{part}.{_digest(data)}.parquet"
        write(new, data)
        for old in self._files(part)[part]:
            if old != new:
                old.unlink()

    def read(self, columns: Sequence[str] | None = None) -> "pa.Table | None":
        """All rows, each id once, sorted by id; None where there is nothing. Corrupt parts are removed (see `each`)."""
        import pyarrow as pa

        read = [table for _, table in self.each(columns) if table is not None]
        if not read:
            return None
        whole = pa.concat_tables(read).combine_chunks()
        return whole if _ordered(whole) else _once(whole.sort_by("id"))

    def each(
        self, columns: Sequence[str] | None = None, having: Sequence[str] = ()
    ) -> "Iterator[tuple[str, pa.Table | None]]":
        """Each part with its rows; None for a part that cannot be read, which is removed so that it is made again.

        A part that lacks one of the columns `having` is given without its rows.
        """
        wanted = None if columns is None else ["id", *columns]
        with ThreadPoolExecutor(READERS) as pool:
            ahead: deque[tuple[str, Future[pa.Table | None]]] = deque()
            parts = iter(sorted(self._files().items()))
            while True:
                some = islice(parts, AHEAD - len(ahead))
                ahead += ((part, pool.submit(_rows, files, wanted, having)) for part, files in some)
                if not ahead:
                    break
                part, rows = ahead.popleft()
                if (found := rows.result()) is None:
                    self.remove(part)
                yield part, found

    def part(self, name: str) -> "pa.Table | None":
        """The rows of one part; None where it is not there, or not whole."""
        files = self._files(name).get(name)
        return _rows(files, None) if files else None

    def without(self, ids: frozenset[str]) -> int:
        """Take the rows of these samples out, part by part, each whole or absent; how many parts held some.

        What cannot be read goes as a whole: it is made again. A part named after one of them gets another name.
        """
        return sum(self._without(part, path, ids) for part, files in self._files().items() for path in files)

    def _without(self, part: str, path: Path, ids: frozenset[str]) -> bool:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        wanted = pa.array(sorted(ids), pa.string())
        try:
            if not _may_hold(path, ids):
                return False
            held = pc.is_in(pq.read_table(path, columns=["id"], memory_map=True).column("id"), value_set=wanted)
            if not pc.any(held).as_py():
                return False
            rows = _whole([path])
        except (OSError, pa.ArrowInvalid, KeyError, ValueError):
            rows = None
        if rows is not None and len(self._files()[part]) == 1:
            kept = pq.read_table(pa.BufferReader(rows)).filter(pc.invert(held))
            if any(one[:_NAMED] in part for one in ids):
                part = f"rest-{_digest(part.encode())}"
            if kept.num_rows:
                self.write(part, kept)
        path.unlink(missing_ok=True)
        return True

    def strangers(self, known: frozenset[str]) -> dict[str, frozenset[str]]:
        """The ids in each part that are not among those known; parts that cannot be read are left out."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        found = {}
        for part, files in sorted(self._files().items()):
            try:
                ids = frozenset(pq.read_table(files[0], columns=["id"]).column("id").to_pylist())
            except (OSError, pa.ArrowInvalid, KeyError):
                continue
            if others := ids - known:
                found[part] = others
        return found

    def broken(self) -> list[str]:
        """The parts whose bytes are not those that were written, sorted; nothing is removed."""
        return [part for part, files in sorted(self._files().items()) if _whole(files) is None]

    def remove(self, part: str) -> None:
        """Remove one part, so that it is made again."""
        for path in self._files(part).get(part, []):
            path.unlink(missing_ok=True)

    def _files(self, begin: str = "") -> dict[str, list[Path]]:
        """The files of each part whose name begins so: one, unless a run was killed while it replaced the part."""
        found: dict[str, list[Path]] = {}
        for path in sorted(self.path.glob(f"{begin}*.parquet")):
            found.setdefault(path.stem.rpartition(".")[0] or path.stem, []).append(path)
        return found


def _rows(files: list[Path], columns: list[str] | None, having: Sequence[str] = ()) -> "pa.Table | None":
    """The rows of a part, where it is whole. (`read_table` takes longer to set out than to read a part this small.)"""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if (data := _whole(files)) is None:
        return None
    file = pq.ParquetFile(pa.BufferReader(data))
    rows = file.read(columns, use_threads=False)
    return rows if {*having} <= {*file.schema_arrow.names} else rows[:0]


def _whole(files: list[Path]) -> bytes | None:
    """The bytes of a part's one file, where they are those that its name tells."""
    if len(files) != 1:
        return None
    try:
        data = files[0].read_bytes()
    except OSError:
        return None
    return data if files[0].stem.rpartition(".")[2] == _digest(data) else None


def _may_hold(path: Path, ids: frozenset[str]) -> bool:
    """Whether one of the ids lies between the smallest and the largest of a part, which its footer tells."""
    import pyarrow.parquet as pq

    footer = pq.read_metadata(path)
    place = footer.schema.to_arrow_schema().names.index("id")
    for group in range(footer.num_row_groups):
        said = footer.row_group(group).column(place).statistics
        if said is None or not said.has_min_max or any(said.min <= one <= said.max for one in ids):
            return True
    return False


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _ordered(table: "pa.Table") -> bool:
    """Whether each id comes after the one before: a part is written so, and to sort a million takes a second."""
    import pyarrow.compute as pc

    ids = table.column("id")
    return len(ids) < 2 or bool(pc.all(pc.greater(ids[1:], ids[:-1])).as_py())


def _once(table: "pa.Table") -> "pa.Table":
    import numpy as np

    ids = table.column("id").to_numpy(zero_copy_only=False)
    first = np.ones(len(ids), dtype=bool)
    first[1:] = ids[1:] != ids[:-1]
    return table if first.all() else table.filter(first)


def to_bytes(column: "pa.ChunkedArray") -> "np.ndarray":
    """Byte strings of one length (hashes, thumbnails) as uint8[n, length]."""
    import numpy as np
    import pyarrow as pa

    found = [np.empty((0, 0), dtype=np.uint8)]
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        _, offsets, data = chunk.buffers()
        at = np.frombuffer(offsets, dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        if len(chunk):
            found.append(np.frombuffer(data, dtype=np.uint8)[at[0] : at[-1]].reshape(len(chunk), -1))
    return np.concatenate(found[1:] or found)


def to_parquet(table: "pa.Table") -> bytes:
    """The Parquet bytes of a table: no clock, no machine, one row group order."""
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", compression_level=3, row_group_size=GROUP, store_schema=False)
    return out.getvalue()


def to_table(columns: Mapping[str, object]) -> "pa.Table":
    """A table of named columns (numpy arrays or lists of one length)."""
    import pyarrow as pa

    return pa.Table.from_arrays([_array(values) for values in columns.values()], names=list(columns))


def _array(values: object) -> "pa.Array":
    """As `pa.array`, which imports pandas to see whether it was given some of it, and that takes half a second."""
    import numpy as np
    import pyarrow as pa

    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "iuf":
        return pa.Array.from_buffers(
            pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values.copy())]
        )
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind == "b":
        bits = np.packbits(values, bitorder="little")
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])
    if isinstance(values, list) and values and {type(one) for one in values} in ({str}, {bytes}):
        kind = pa.string() if isinstance(values[0], str) else pa.binary()
        encoded = [one.encode() if isinstance(one, str) else one for one in values]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64).astype(np.int32)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
        return pa.Array.from_buffers(kind, len(values), buffers)
    return pa.array(values)
