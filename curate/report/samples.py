"""Samples as a pandas DataFrame, a row each: a million in a few seconds.

Each table of the catalog is read once, in its own order, as Arrow columns, which are then laid side by side: a join in
SQL looks every row up. Where samples were found, and their labels, are read in threads of their own: SQLite and Arrow
let go of the interpreter.
"""

import ast
import json
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from curate.errors import UsageError
from curate.label import final
from curate.options import texts
from curate.report import kinds, origins, where
from curate.report.where import Comparison
from curate.store import eligibility
from curate.store.columns import Scan, align
from curate.store.columns import read as read_columns
from curate.store.columns import rows as rows_of
from curate.store.samples import OTHER_SET, Sets
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import sqlite3

    import numpy as np
    import pandas as pd
    import pyarrow as pa

Columns: TypeAlias = "dict[str, pa.Array]"
SAMPLE = ("id", "media_type", "bytes", "width", "height", "frames", "parent", "at_ms")
NUMBERS = ("bytes", "width", "height", "frames", "at_ms")
CERTAIN = ("id", "media_type", "bytes", "width", "height", "frames")  # those that every sample has
MEMBER = {"split": "split", "group": "grp", "survivor": "survivor"}
STORED = (*SAMPLE, *MEMBER, *origins.COLUMNS)
LABELLED = ("label", "probability", "label_source", "human_n", "withheld")
COLUMNS = (*STORED, *LABELLED, "path")
AMOUNTS = (*NUMBERS, "probability", "human_n")  # the columns that are numbers, all others being text
FEW = 20_000  # samples that are looked up one by one, in less time than all are read


def samples(ws: Workspace, condition: str | None = None, columns: str | Sequence[str] | None = None) -> "pd.DataFrame":
    """Stored samples by id, without those that are held back; raises UsageError for a column that there is not and a
    condition that cannot be read.

    `url` is where the sample was found first (a path for a local file), `withheld` why it may not be released whatever
    is said of it, `path` where its bytes lie.
    """
    wanted = list(COLUMNS if columns is None else texts(columns))
    asked, rest = where.parted(condition, STORED, CERTAIN)
    for name in (*wanted, *where.names(rest)):
        if name not in COLUMNS:
            raise UsageError(f"samples: no column '{name}'; there are: {', '.join(COLUMNS)}")
    kinds.compared(condition, AMOUNTS)
    own = [one for one in asked if one.column not in origins.COLUMNS]
    there = [one for one in asked if one.column in origins.COLUMNS]
    with _small_pages():
        return _frame(_found(ws, _Question({*wanted, *where.names(rest)}, own, there, rest)), wanted)


@contextmanager
def _small_pages() -> Iterator[None]:
    """Have Arrow's memory from jemalloc meanwhile: mimalloc, its default, asks for huge pages, which the kernel fills
    with zeros far from the processor's cache, a tenth of all that `samples` takes."""
    import pyarrow as pa

    before = pa.default_memory_pool()
    if before.backend_name != "mimalloc" or "jemalloc" not in pa.supported_memory_backends():
        yield
        return
    pa.set_memory_pool(pa.jemalloc_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


@dataclass(frozen=True)
class _Question:
    """Which columns are needed, what is asked of samples and members, and of origins, and what pandas is asked."""

    needed: AbstractSet[str]
    own: Sequence[Comparison]
    origin: Sequence[Comparison]
    rest: ast.expr | None

    @property
    def origins(self) -> list[str]:
        """The columns of origins that are needed."""
        return [name for name in origins.COLUMNS if name in self.needed]

    @property
    def labelled(self) -> bool:
        """Whether labels are needed."""
        return not self.needed.isdisjoint(LABELLED)

    def judged(self, found: Columns) -> bool:
        """Whether all is known that pandas is asked about."""
        return {*where.names(self.rest)} <= found.keys()


def _found(ws: Workspace, asked: _Question) -> Columns:
    """The columns that are needed, of the samples that are asked for, and their ids."""
    import pyarrow.compute as pc

    with ThreadPoolExecutor(2) as pool:
        everywhere = (asked.origins or asked.origin) and not asked.own
        beside = pool.submit(origins.read, ws.catalog, asked.origins, asked.origin) if everywhere else None
        found, labels = _active(ws, asked, pool)
        last = asked.rest is None and not asked.origin  # all of them stay, whatever their labels are
        found |= {} if last else labels()
        if early := asked.judged(found):
            found = _kept(found, asked.rest)
        if asked.origins or asked.origin:
            found = _originated(ws, asked, found, beside)
        if "path" in asked.needed:
            folder = pc.utf8_slice_codeunits(found["id"], 0, 2)
            found["path"] = pc.binary_join_element_wise(_one(str(ws.blobs.root)), folder, found["id"], _one("/"))
        found |= labels() if last else {}
    return found if early else _kept(found, asked.rest)


def _active(ws: Workspace, asked: _Question, pool: ThreadPoolExecutor) -> tuple[Columns, Callable[[], Columns]]:
    """What is known of samples but for their origins and labels, without those that are held back; and what waits for
    their labels, if these are needed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    every: Future[Sets] = Future()
    axis = ws.config.taxonomy.first
    early = asked.labelled and not asked.own  # of all: what is held back speaks for what it collapses with
    labels = pool.submit(final.columns, ws, axis, every.result) if early else None
    try:
        found, sets = _stored(ws, asked.needed, asked.own, asked.labelled)
        if sets is not None:
            every.set_result(sets)
    except BaseException as error:
        every.set_exception(error)
        raise
    ids = found["id"]
    held = eligibility.inactive(ws.catalog)
    here = pc.invert(pc.is_in(ids, value_set=_text(list(held))))

    def said() -> Columns:
        if not asked.labelled:
            return {}
        known = labels.result() if labels is not None else final.columns(ws, axis)
        if labels is not None:  # the first of all that are labelled, and after them what is no more
            return _take({name: column[: len(ids)] for name, column in _said(known).items()}, here)
        rows = rows_of(ids, known.ids)  # read later: one may have been taken down by then
        at = pa.array(rows, mask=rows < 0)
        return _take({name: column.take(at) for name, column in _said(known).items()}, here)

    found = _take(found, here)
    named = {name: found[name] for name in MEMBER if name in found}
    return found | {name: pc.if_else(pc.equal(one, ""), found["id"], one) for name, one in named.items()}, said


def _originated(ws: Workspace, asked: _Question, found: Columns, beside: "Future[Columns] | None") -> Columns:
    """The same with origins, of those of which what is asked of these is so."""
    import pyarrow as pa

    few = found["id"] if len(found["id"]) <= FEW else None
    read = beside.result() if beside else origins.read(ws.catalog, asked.origins, asked.origin, few)
    more, holds = origins.joined(read, found["id"], asked.origins)
    return found | more if holds is None else _take(found | more, pa.array(holds))


def _kept(found: Columns, rest: ast.expr | None) -> Columns:
    return found if rest is None else _take(found, where.kept(_frame(found, where.names(rest)), rest).to_numpy())


def _stored(
    ws: Workspace, needed: AbstractSet[str], own: Sequence[Comparison], labelled: bool
) -> tuple[Columns, Sets | None]:
    """What the tables of samples and members say; and the catalog's collapse sets, where labels are wanted and all is
    read."""
    import pyarrow as pa

    wanted = {name: name for name in SAMPLE if name in needed or name == "id"}
    by_sample = tuple((one.sql(one.column), ()) for one in own if one.column in SAMPLE)
    scan = Scan(wanted, "samples", "id", where=by_sample, numbers=NUMBERS, nullable=("parent", "at_ms"))
    with ws.catalog.reading() as db:
        found = read_columns(db, scan)
        found |= {name: found[name].cast(pa.float64()) for name in found if name == "at_ms"}  # with and without nulls
        more = _members(db, found["id"], needed, own, labelled and not own)
    if (there := more.pop("sample", None)) is not None and any(one.column in MEMBER for one in own):
        found, more = _take(found, there.is_valid()), _take(more, there.is_valid())
    sets = Sets.of(found["id"], more.pop("collapse")) if "collapse" in more else None
    return found | more, sets


def _members(
    db: "sqlite3.Connection", ids: "pa.Array", needed: AbstractSet[str], own: Sequence[Comparison], labelled: bool
) -> Columns:
    """What the table of members says of samples, "" for a sample's own id; of those of which what is asked is not so,
    `sample` is null."""
    asked = tuple((one.sql(MEMBER[one.column]), ()) for one in own if one.column in MEMBER)
    sql = {name: f"CASE {sql} WHEN sample THEN '' ELSE {sql} END" for name, sql in MEMBER.items() if name in needed}
    sql |= {"collapse": OTHER_SET} if labelled else {}
    if not (sql or asked):
        return {}
    where: tuple[tuple[str, Sequence[str]], ...] = asked
    if few := bool(own) and len(ids) <= FEW:
        where = (*asked, ("sample IN (SELECT value FROM json_each(?))", (json.dumps(ids.to_pylist()),)))
    scan = Scan({"sample": "sample", **sql}, "members", "sample", where=where, few=few)
    return align(read_columns(db, scan), "sample", ids)


def _said(known: final.Columns) -> Columns:
    """LABELLED of all samples that are known."""
    import numpy as np
    import pyarrow as pa

    judged, source = np.zeros(len(known.ids), dtype=np.int64), 2 * known.by_model.astype(np.int64)
    judged[list(known.human)] = [0 if one.carried else one.n for one in known.human.values()]
    source[list(known.human)] = 1
    judged[known.place < 0], source[known.place < 0] = 0, -1
    return {
        "label": _words(known.place, known.classes),
        "probability": pa.array(known.probability),
        "label_source": _words(source, ("weak", "human", "model")),
        "human_n": pa.array(judged),
        "withheld": _words(known.withheld.astype(np.int64) - 1, final.WITHHELD[1:]),
    }


def _words(places: "np.ndarray", words: Sequence[str]) -> "pa.Array":
    """A word each; null for -1."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(places, mask=places < 0), _text(words)).cast(pa.large_string())


def _text(values: Sequence[str]) -> "pa.Array":
    import pyarrow as pa

    return pa.array(values, pa.large_string())


def _one(value: str) -> "pa.Scalar":
    import pyarrow as pa

    return pa.scalar(value, pa.large_string())


def _take(found: Columns, rows: Any) -> Columns:
    """Some rows: their places, or a mask."""
    import pyarrow as pa

    by_mask = isinstance(rows, pa.Array) and pa.types.is_boolean(rows.type)
    if by_mask and rows.true_count == len(rows):
        return found
    return {name: column.filter(rows) if by_mask else column.take(rows) for name, column in found.items()}


def _frame(found: Columns, names: Sequence[str]) -> "pd.DataFrame":
    import pyarrow as pa

    table = pa.table({name: found[name] for name in dict.fromkeys(("id", *names))})
    frame: pd.DataFrame = table.to_pandas(split_blocks=True)[list(names)]
    return frame
