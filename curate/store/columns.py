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

ROWS = 16_384  # of a text: a few hundred kilobytes, which stay in the processor's cache
_NEXT, _NULL = "\x1f", "\x1e"  # stand between values, and for one that is not there; see `_column`


@dataclass(frozen=True)
class Scan:
    """What is read: `columns` is SQL by name, `source` the tables, `key` (SQL) what they are in the order of.

    Where rows have the same key, the first is read, and others may be (see `first`); `order` puts the first one first.
    `where` are conditions with their values. `numbers` are whole numbers, all else is text; `nullable` may be null, and
    `mixed` says that some of a few thousand rows will be.
    """

    columns: Mapping[str, str]
    source: str
    key: str
    order: str = ""
    where: Sequence[tuple[str, Sequence[Any]]] = ()
    numbers: Collection[str] = ()
    nullable: Collection[str] = ()
    mixed: bool = False

    def sql(self, first: bool) -> str:
        """Some rows, after those up to the key ?."""
        each = ", ".join(f"{sql} AS c{n}" for n, sql in enumerate(self.columns.values()))
        conditions = [one for one, _ in self.where] + ([] if first else [f"{self.key} > ?"])
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        order = self.order or self.key
        return f"SELECT {self.key} AS k, {each} FROM {self.source}{where} ORDER BY {order} LIMIT {ROWS}"  # noqa: S608

    def texts(self, careful: bool = False) -> str:
        """Of each column how much of it is there (null: all), and what is there as one text; `careful`: and what is
        not."""
        plain = "NULL, group_concat(c{}, '" + _NEXT + "')"
        each = "count(c{0}), group_concat(c{0}, '" + _NEXT + "')"
        if careful:
            each = "count(c{0}), group_concat(coalesce(c{0}, '" + _NULL + "'), '" + _NEXT + "')"
        return ", ".join((each if name in self.nullable else plain).format(n) for n, name in enumerate(self.columns))

    def kinds(self) -> "list[pa.DataType]":
        """int64 and large_string."""
        import pyarrow as pa

        return [pa.int64() if name in self.numbers else pa.large_string() for name in self.columns]


def read(db: sqlite3.Connection, scan: Scan, among: "np.ndarray | None" = None) -> "dict[str, pa.Array]":
    """The columns of all rows, by key. `among`: only rows whose first column is one of these numbers, which are sorted,
    of a table that may have many others.
    """
    import pyarrow as pa

    chunks: list[list[pa.Array]] = [[] for _ in scan.columns]
    for part in _parts(db, scan):
        for one, chunk in zip(chunks, part if among is None else _kept(part, among), strict=True):
            one.append(chunk)
    kinds = scan.kinds()[::-1]
    return {name: pa.concat_arrays([pa.nulls(0, kinds.pop()), *chunks.pop(0)]) for name in scan.columns}


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

    if wanted is ids:
        return np.arange(len(ids))
    some = np.arange(len(ids))
    if len(wanted) < len(ids) // 4:  # a table of the few is made faster than one of all
        some = np.flatnonzero(pc.is_in(ids, value_set=wanted))
        ids = ids.take(some)
    found = pc.index_in(wanted, value_set=ids).fill_null(-1).to_numpy().astype(np.int64)
    return np.where(found >= 0, np.append(some, -1)[found], -1)


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
    at = np.searchsorted(among, numbers)
    there = np.append(among, -1)[at] == numbers
    return part if there.all() else [one.filter(pa.array(there)) for one in part]


def _parts(db: sqlite3.Connection, scan: Scan) -> "Iterator[list[pa.Array]]":
    given: list[Any] = [value for _, values in scan.where for value in values]
    after: list[Any] = []
    while True:
        inner = scan.sql(first=not after)
        row, part = _part(db, scan, inner, [*given, *after], scan.mixed)
        if part is None and not scan.mixed:
            _, part = _part(db, scan, inner, [*given, *after], careful=True)
        if row[0]:
            yield part or _plain(db, inner, [*given, *after], scan.kinds())
        if row[0] < ROWS:
            return
        after = [row[1]]


def _part(
    db: sqlite3.Connection, scan: Scan, inner: str, given: Sequence[Any], careful: bool
) -> "tuple[tuple[Any, ...], list[pa.Array] | None]":
    """How many rows, the last key, and the columns; None where texts cannot be taken apart."""
    sql = f"SELECT count(*), max(k), {scan.texts(careful)} FROM ({inner})"  # noqa: S608
    with translated():
        row = db.execute(sql, given).fetchone()
    found = [_column(row[0], row[2 + 2 * n], row[3 + 2 * n], kind) for n, kind in enumerate(scan.kinds())]
    whole = [one for one in found if one is not None]
    return row, whole if len(whole) == len(found) else None


def _column(rows: int, known: int | None, text: str | None, kind: "pa.DataType") -> "pa.Array | None":
    """The values of a text; None where the numbers say that one of them holds what stands between them, or for none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if known == 0:
        return pa.nulls(rows, kind)
    values = pc.split_pattern(pa.array([text], pa.large_string()), _NEXT).flatten()
    if len(values) != rows:
        return None
    if known is not None and known < rows:
        there = pc.not_equal(values, _NULL)
        if there.true_count != known:
            return None
        values = pc.if_else(there, values, None)
    return values.cast(kind)


def _plain(db: sqlite3.Connection, sql: str, given: list[Any], kinds: "Sequence[pa.DataType]") -> "list[pa.Array]":
    """The same, a value at a time."""
    import pyarrow as pa

    with translated():
        found = db.execute(sql, given).fetchall()
    return [pa.array([one[1 + n] for one in found], kind) for n, kind in enumerate(kinds)]
