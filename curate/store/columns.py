"""A table of the catalog as Arrow columns, a million rows in a second or two: no row becomes a Python object.

SQLite itself writes what a column holds as one text, some ten thousand rows at a time, and Arrow takes that apart.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from curate.store.catalog import translated

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ROWS = 4096  # of a text: pages of a table that SQLite keeps are enough for as many
_NEXT, _NULL = "\x1f", "\x1e"  # stand between values, and for one that is not there; see `_column`


@dataclass(frozen=True)
class Scan:
    """What is read: `columns` is SQL by name, `source` the table, `key` the column that it is in the order of. The key
    is among the columns, and never null; of several tables, `keys` is the one that has it.

    Where rows have the same key, `order` puts the first one first (see `first`). `where` are conditions with their
    values; `few` says that they leave some thousand rows at most. `numbers` are whole numbers, all else is text;
    `nullable` may be null, and `mixed` says that some of a few thousand rows will be.
    """

    columns: Mapping[str, str]
    source: str
    key: str
    order: str = ""
    where: Sequence[tuple[str, Sequence[Any]]] = ()
    numbers: Collection[str] = ()
    nullable: Collection[str] = ()
    mixed: bool = False
    few: bool = False
    keys: str = ""

    def sql(self, what: str, *bounds: str) -> str:
        """What of the rows whose key is within bounds: `> ?`, `<= ?`."""
        conditions = [*(one for one, _ in self.where), *(f"{self.key} {one}" for one in bounds)]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {what} FROM {self.source}{where}"  # noqa: S608

    def texts(self, careful: bool = False) -> str:
        """How many rows, then of each column how much of it is there (null: all), and what is there as one text;
        `careful`: and what is not."""
        plain = "NULL, group_concat({0}, '" + _NEXT + "')"
        each = "count({0}), group_concat({0}, '" + _NEXT + "')"
        if careful:
            each = "count({0}), group_concat(coalesce({0}, '" + _NULL + "'), '" + _NEXT + "')"
        columns = ((each if name in self.nullable else plain).format(sql) for name, sql in self.columns.items())
        return ", ".join(["count(*)", *columns])

    def kinds(self) -> "list[pa.DataType]":
        """int64 and large_string."""
        import pyarrow as pa

        return [pa.int64() if name in self.numbers else pa.large_string() for name in self.columns]


def read(db: sqlite3.Connection, scan: Scan, among: "np.ndarray | None" = None) -> "dict[str, pa.Array]":
    """The columns of all rows, by key. `among`: only rows whose first column is one of these numbers, which are sorted,
    of a table that may have many others.
    """
    import pyarrow.compute as pc

    kinds = zip(scan.columns, scan.kinds(), strict=True)
    found = {name: _Chunks(kind) if name in {*scan.numbers, *scan.nullable} else _Texts() for name, kind in kinds}
    for part in _parts(db, scan):
        for one, chunk in zip(found.values(), part if among is None else _kept(part, among), strict=True):
            one.add(chunk)
    whole = {name: one.whole() for name, one in found.items()}
    key = whole[next(name for name, sql in scan.columns.items() if sql == scan.key)]
    if pc.all(pc.less_equal(key[:-1], key[1:])).as_py():
        return whole
    order = pc.sort_indices(key)  # SQLite took another index, by what is asked
    return {name: column.take(order) for name, column in whole.items()}


class _Chunks:
    """A column of a kind from its parts."""

    def __init__(self, kind: "pa.DataType") -> None:
        import pyarrow as pa

        self._parts = [pa.nulls(0, kind)]

    def add(self, part: "pa.Array") -> None:
        self._parts.append(part)

    def whole(self) -> "pa.Array":
        import pyarrow as pa

        return pa.concat_arrays(self._parts)


class _Texts:
    """The same of text without nulls, large_string, in memory that grows in its place: no part is kept."""

    def __init__(self) -> None:
        import numpy as np

        self._text, self._ends = bytearray(), [np.zeros(1, dtype=np.int64)]

    def add(self, part: "pa.Array") -> None:
        ends, text = _buffers(part)
        self._ends.append(ends[1:] - ends[0] + len(self._text))
        self._text += text[ends[0] : ends[-1]]

    def whole(self) -> "pa.Array":
        import numpy as np
        import pyarrow as pa

        ends = np.concatenate(self._ends)
        return pa.Array.from_buffers(
            pa.large_string(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(self._text)]
        )


def _buffers(column: "pa.Array") -> "tuple[np.ndarray, memoryview]":
    """The n + 1 places in its text between which the values of a column of text lie, and this text."""
    import numpy as np

    _, places, text = column.buffers()
    first, n = column.offset, len(column)
    return np.frombuffer(places, np.int64)[first : first + n + 1], memoryview(text or b"")


def gathered(rows: Iterable[Sequence[str | None]], width: int) -> "list[pa.Array]":
    """Rows of text as columns, for what has no key to be read by."""
    import pyarrow as pa

    chunks, each = [[pa.nulls(0, pa.large_string())] for _ in range(width)], iter(rows)
    while part := list(islice(each, ROWS)):
        for chunk, values in zip(chunks, zip(*part, strict=True), strict=True):
            chunk.append(pa.array(values, pa.large_string()))
    return [pa.concat_arrays(one) for one in chunks]


def first(table: "Mapping[str, pa.Array]", key: str) -> "dict[str, pa.Array]":
    """The first row of each key, of a table that is in its order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = table[key]
    new = pc.not_equal(keys[1:], keys[:-1])
    if new.true_count == len(new):
        return dict(table)
    mask = pa.concat_arrays([pa.array([True]), new])
    return {name: column.filter(mask) for name, column in table.items()}


def align(table: "Mapping[str, pa.Array]", key: str, wanted: "pa.Array") -> "dict[str, pa.Array]":
    """The columns of a table, whose keys differ, with a row for each key that is wanted: null where there is none."""
    import pyarrow.compute as pc

    if table[key].equals(wanted):
        return dict(table)
    at = pc.index_in(wanted, value_set=table[key])
    return {name: column.take(at) for name, column in table.items()}


def texts(values: "Iterable[str | None] | pa.Array") -> "pa.Array":
    """A column of text, large_string; one that is a column stays the one that it is."""
    import pyarrow as pa

    return values if isinstance(values, pa.Array) else pa.array(values, pa.large_string())


def rows(wanted: "pa.Array", ids: "pa.Array") -> "np.ndarray":
    """int64, where each of these is among `ids`, of which each is there once; -1: nowhere."""
    import numpy as np
    import pyarrow.compute as pc

    if wanted is ids or wanted.equals(ids):
        return np.arange(len(ids))
    if len(wanted) >= len(ids) // 8 and (found := _rows(wanted, ids)) is not None:
        return found
    some = np.arange(len(ids))
    if len(wanted) < len(ids) // 4:  # a table of the few is made faster than one of all
        some = np.flatnonzero(pc.is_in(ids, value_set=wanted))
        ids = ids.take(some)
    found = pc.index_in(wanted, value_set=ids).fill_null(-1).to_numpy().astype(np.int64)
    return np.where(found >= 0, np.append(some, -1)[found], -1)


def _rows(wanted: "pa.Array", ids: "pa.Array") -> "np.ndarray | None":
    """The same of digests in hex, of 256 bits, `ids` in their order: by 64 bits of each, and then all are compared.

    None where these are something else.
    """
    import numpy as np

    known, asked = _digests(ids), _digests(wanted)
    if known is None or asked is None:
        return None
    keys, keys_asked = _keys(known), _keys(asked)
    if not (keys[1:] > keys[:-1]).all():
        return None
    order = np.argsort(keys_asked)  # so that what is looked up lies near what was looked up before
    at, found = np.minimum(np.searchsorted(keys, keys_asked[order]), len(keys) - 1), np.full(len(asked), -1)
    for begin in range(0, len(asked), ROWS):
        some = order[begin : begin + ROWS]
        same = (known[at[begin : begin + ROWS]] == asked[some]).all(axis=1)
        found[some[same]] = at[begin : begin + ROWS][same]
    return found


def _digests(ids: "pa.Array") -> "np.ndarray | None":
    """uint64[n, 8], the bytes of texts that have 64 each; None where one has not, or there is none."""
    import numpy as np
    import pyarrow as pa

    if ids.null_count or not len(ids) or not pa.types.is_large_string(ids.type):
        return None
    ends, text = _buffers(ids)
    if not (np.diff(ends) == 64).all():
        return None
    return np.frombuffer(text, dtype=np.uint64, count=8 * len(ids), offset=ends[0]).reshape(-1, 8)


def _keys(digests: "np.ndarray") -> "np.ndarray":
    """uint64[n], the first 16 digits of each as a number."""
    high, low = (_number(digests[:, n]) for n in (0, 1))
    found: np.ndarray = high << 32 | low
    return found


def _number(digits: "np.ndarray") -> "np.ndarray":
    """Eight digits in hex, a byte each, as a number."""
    import sys

    found = digits.byteswap() if sys.byteorder == "little" else digits
    found = (found & 0x0F0F0F0F0F0F0F0F) + 9 * (found >> 6 & 0x0101010101010101)  # a letter has bit 6
    for bits, mask in ((4, 0x00FF00FF00FF00FF), (8, 0x0000FFFF0000FFFF), (16, 0xFFFFFFFF)):
        found = (found | found >> bits) & mask
    return found


def among(some: Collection[str], ids: "pa.Array") -> "np.ndarray":
    """bool[n], which of `ids` are some of these."""
    import pyarrow as pa
    import pyarrow.compute as pc

    held = pc.is_in(ids, value_set=some if isinstance(some, pa.Array) else pa.array(some, ids.type))
    found: np.ndarray = held.to_numpy(zero_copy_only=False)
    return found


def _kept(part: "list[pa.Array]", among: "np.ndarray") -> "list[pa.Array]":
    import numpy as np
    import pyarrow as pa

    numbers = part[0].to_numpy()
    at = np.minimum(np.searchsorted(among, numbers), max(len(among) - 1, 0))
    there = among[at] == numbers if len(among) else np.zeros(len(numbers), dtype=bool)
    return part if there.all() else [one.filter(pa.array(there)) for one in part]


def _parts(db: sqlite3.Connection, scan: Scan) -> "Iterator[list[pa.Array]]":
    given = [value for _, values in scan.where for value in values]
    if scan.few:
        yield _plain(db, scan, given)
        return
    for bounds, keys in _bounds(db, scan):
        rows, part = _part(db, scan, bounds, [*given, *keys], scan.mixed)
        if part is None and not scan.mixed:
            _, part = _part(db, scan, bounds, [*given, *keys], careful=True)
        if rows:
            yield part or _plain(db, scan, [*given, *keys], bounds)


def _bounds(db: sqlite3.Connection, scan: Scan) -> Iterator[tuple[list[str], list[Any]]]:
    """Which parts the table is read in, each of ROWS keys: bounds of a key, and what stands for their marks."""
    table, after = scan.keys or scan.source, list[Any]()
    some = "SELECT {0} FROM {1}{2} ORDER BY {0} LIMIT 1 OFFSET {3}"
    with translated():
        last = db.execute(f"SELECT max({scan.key}) FROM {table}").fetchone()[0]  # noqa: S608
    while last is not None:
        sql = some.format(scan.key, table, f" WHERE {scan.key} > ?" * len(after), ROWS - 1)
        with translated():
            end = (db.execute(sql, after).fetchone() or [last])[0]
        yield ["> ?"] * len(after) + ["<= ?"], [*after, end]
        if end == last:
            return
        after = [end]


def _part(
    db: sqlite3.Connection, scan: Scan, bounds: Sequence[str], given: Sequence[Any], careful: bool
) -> "tuple[int, list[pa.Array] | None]":
    """How many rows, and the columns; None where texts cannot be taken apart."""
    with translated():
        rows, *texts = db.execute(scan.sql(scan.texts(careful), *bounds), given).fetchone()
    found = [_column(rows, texts[2 * n], texts[2 * n + 1], kind, careful) for n, kind in enumerate(scan.kinds())]
    whole = [one for one in found if one is not None]
    return rows, whole if len(whole) == len(found) else None


def _column(rows: int, known: int | None, text: str | None, kind: "pa.DataType", careful: bool) -> "pa.Array | None":
    """The values of a text; None where the numbers say that one of them holds what stands between them, or for none,
    and where some are null that only a `careful` text has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if known == 0:
        return pa.nulls(rows, kind)
    values = pc.split_pattern(pa.array([text], pa.large_string()), _NEXT).flatten()
    if len(values) != rows or (not careful and known not in (None, rows)):
        return None
    if known is not None and known < rows:
        there = pc.not_equal(values, _NULL)
        if there.true_count != known:
            return None
        values = pc.if_else(there, values, None)
    return values.cast(kind)


def _plain(db: sqlite3.Connection, scan: Scan, given: Sequence[Any], bounds: Sequence[str] = ()) -> "list[pa.Array]":
    """The same, a value at a time."""
    import pyarrow as pa

    with translated():
        sql = f"{scan.sql(', '.join(scan.columns.values()), *bounds)} ORDER BY {scan.order or scan.key}"
        found = db.execute(sql, given).fetchall()
    return [pa.array([one[n] for one in found], kind) for n, kind in enumerate(scan.kinds())]
