"""Scores: what each labeler says of each sample, kept as columns in one Parquet part a labeler and shard.

A part's column `problem` says why a sample could not be decoded (null: it was): a labeler's NaN only says that it
abstains. Labelers without pixels (`needs.side == 0`) cost nothing, may see what sources declare, and are asked anew
each time.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from curate.config import Config
from curate.contracts import Engine, Labeler, Resources, SupportsAsk
from curate.errors import CurateError, ItemError, UsageError
from curate.features.asking import answers, at
from curate.features.devices import CPU, device_of
from curate.features.score_worker import Columns, Scores, Scoring, Task, blank, over_frames
from curate.features.told import told
from curate.media.decode import Bounds
from curate.plugins import fingerprint_of, make, name_of
from curate.progress import Progress
from curate.records import Reason, Sample
from curate.store import columns, holds
from curate.store import samples as store_samples
from curate.store.mentions import Mentions
from curate.store.shards import assign
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

PROBLEM = "problem"
SOME = 2**26  # bytes of parts that are looked at together
ENOUGH_DEATHS = 8  # samples that killed their worker, and none that did not: it is not the samples' fault
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Computed:
    """What a reader should know: samples that were tried and have no score, and why; corrupt parts made again."""

    failed: Mapping[str, str]
    rebuilt: Sequence[str]


def compute(
    ws: Workspace, engine: Engine, labelers: Sequence[Labeler], progress: Progress, what: str = "score",
    only: Collection[str] | None = None,
) -> Computed:  # fmt: skip
    """Make sure that each labeler's table has a row for every sample that is not held (`only` for these, where they are
    named); rows that are there are left alone. What a server answers for is asked last, from here.

    A sample that cannot be decoded, or kills its worker, gets a row of NaN and is named on a warning; the former is
    tried again the next time. Raises UsageError for two labelers of one name, CurateError where workers die whatever
    they are given.
    """
    pixels = {name: labeler for name, labeler in by_name(labelers).items() if labeler.needs.side}
    for labeler in pixels.values():
        over_frames(labeler)  # what it says is checked before anything is read
    asks = {name: labeler for name, labeler in pixels.items() if isinstance(labeler, SupportsAsk)}
    for name, one in asks.items():
        at(name, one)
    here = {name: labeler for name, labeler in pixels.items() if name not in asks}
    (tasks, rebuilt), (others, lost_parts) = _missing(ws, here, only), _missing(ws, asks, only)
    work = Scoring(here, ws.blobs, Bounds(max_pixels=ws.config.fetch.max_pixels, min_side=1))
    asked = answers(ws, asks, others, partial(_mapped, engine), progress)
    failed: dict[str, str] = {}
    with progress.stage(what, sum(len(task.samples) for task in (*tasks, *others))) as step:
        for task, scores in chain(_mapped(engine, work, tasks), asked):
            ids = [sample.id for sample in task.samples]
            for name in task.labelers:
                part = ws.table(name, fingerprint_of(pixels[name]))
                rows = _to_table(ids, scores.columns[name], scores.why(name))
                part.write(f"{task.shard:06d}", _beside(part.part(f"{task.shard:06d}"), rows))
            for sample, why in (lost := _lacking(scores)).items():
                log.warning("sample %s has no score: %s", sample, why)
            failed |= lost
            step(len(ids))
    return Computed(failed, [*rebuilt, *lost_parts])


def read(ws: Workspace, labeler: Labeler, ids: Sequence[str]) -> Columns:
    """A labeler's columns, aligned with `ids`; NaN (or None) where a sample has no score.

    A labeler without pixels is asked now.
    """
    import numpy as np

    every = columns.texts(ids)
    known = every.unique()
    found = read_all(ws, [labeler], known, np.zeros(len(known), dtype=bool))[0]
    if len(known) < len(ids):  # some are asked about twice
        at = columns.rows(every, known)
        found = {name: values[at] for name, values in found.items()}
    return found


def read_all(
    ws: Workspace, labelers: Sequence[Labeler], ids: "pa.Array", lost: "np.ndarray", mentions: Mentions | None = None
) -> list[Columns]:
    """The columns of several labelers, aligned with `ids` large_string[n], which differ.

    In `lost` bool[n] those samples are marked that one of them could not look at, whatever it says of the others. What
    is written of them is read by `mentions`.
    """
    found: dict[int, Columns] = {}
    with ThreadPoolExecutor(1) as thread:  # tables are unpacked without the interpreter's lock, words are not
        kept = {n: thread.submit(_kept, ws, one, ids) for n, one in enumerate(labelers) if one.needs.side}
        if without := [n for n in range(len(labelers)) if n not in kept]:
            said = told(ws, [labelers[n] for n in without], ids, lost, mentions or Mentions(ws.catalog))
            found |= zip(without, said, strict=True)
    for n, one in kept.items():
        found[n], known = one.result()
        lost |= ~known
    return [found[n] for n in range(len(labelers))]


def _kept(ws: Workspace, labeler: Labeler, ids: "pa.Array") -> "tuple[Columns, np.ndarray]":
    """The columns of a labeler of pixels, as its table has them, and which samples it looked at, bool[n]."""
    import numpy as np

    found, seen, known = blank(labeler, len(ids)), np.zeros(len(ids), bool), np.zeros(len(ids), bool)
    parts = ws.table(name_of(labeler), fingerprint_of(labeler)).each([*labeler.columns, PROBLEM])
    for part in _several(table for _, table in parts if table is not None):
        rows = columns.rows(part.column("id").combine_chunks().cast(ids.type), ids)
        new = np.flatnonzero(rows >= 0)
        new = new[~seen[rows[new]]]  # an id that is in two parts counts once
        new = new[np.unique(rows[new], return_index=True)[1]]
        seen[rows[new]] = True
        if PROBLEM in part.column_names:
            known[rows[new]] = part.column(PROBLEM).is_null().to_numpy()[new]
        for name, values in found.items():  # a few at a time: embeddings of all fill gigabytes, and are here once
            values[rows[new]] = _to_numpy(part.column(name), values)[new]
    return found, known


def _several(parts: "Iterable[pa.Table]") -> "Iterator[pa.Table]":
    """Parts that have the same columns as one, up to SOME bytes: to find a few rows among millions costs as much as to
    find many."""
    import pyarrow as pa

    some: list[pa.Table] = []
    size = 0
    for part in parts:
        if some and (size > SOME or part.schema != some[0].schema):
            yield pa.concat_tables(some)
            some, size = [], 0
        some.append(part)
        size += part.nbytes
    if some:
        yield pa.concat_tables(some)


def numbers(ws: Workspace, config: Config, ids: Sequence[str]) -> "np.ndarray":
    """float32[n, d], the columns of configured labelers of pixels that are one number each; NaN: not known."""
    import numpy as np

    labelers = [make("labelers", table, "labeler") for table in config.labelers]
    wanted = columns.texts(ids)
    found = read_all(ws, [one for one in labelers if one.needs.side], wanted, np.zeros(len(ids), dtype=bool))
    rows = [values for each in found for values in each.values() if values.ndim == 1 and values.dtype.kind == "f"]
    return np.stack([np.zeros(len(ids), np.float32), *rows], axis=1, dtype=np.float32, casting="same_kind")[:, 1:]


def unread(ws: Workspace, labelers: Sequence[Labeler], ids: Sequence[str]) -> list[str]:
    """Those of `ids` that some labeler of pixels could not look at, whatever it says of the others."""
    lacking: set[str] = set()
    for name, labeler in by_name(labelers).items():
        if labeler.needs.side:
            known = {
                one for _, rows in ws.table(name, fingerprint_of(labeler)).each([PROBLEM]) for one in _decoded(rows)
            }
            lacking.update(one for one in ids if one not in known)
    return [one for one in ids if one in lacking]


def _decoded(rows: "pa.Table | None") -> list[str]:
    import pyarrow.compute as pc

    found: list[str] = [] if rows is None else rows.filter(pc.is_null(rows.column(PROBLEM))).column("id").to_pylist()
    return found


def by_name(labelers: Sequence[Labeler]) -> dict[str, Labeler]:
    """Labelers by name; raises UsageError where two have one name, since their columns would, too."""
    named: dict[str, Labeler] = {}
    for labeler in labelers:
        if named.setdefault(name_of(labeler), labeler) is not labeler:
            raise UsageError(f"labelers.{name_of(labeler)}: configured twice; keep one of the two tables, or name one")
    return named


def samples(ws: Workspace, ids: Sequence[str] | None = None) -> dict[str, Sample]:
    """Every sample by id, sorted; of `ids` alone where they are few."""
    sql = f"SELECT {store_samples.SAMPLE_COLUMNS} FROM samples {{}} ORDER BY id"  # noqa: S608 (a constant)
    asked, params = (sql.format(""), ()) if ids is None else store_samples.some(sql, "WHERE id", ids)
    rows = ws.catalog.iterate(asked, params)
    return {row["id"]: store_samples.sample(row) for row in rows}


# -- what is missing, and getting it ---------------------------------------------------------------------------------


def _missing(
    ws: Workspace, labelers: Mapping[str, Labeler], only: Collection[str] | None
) -> tuple[list[Task], list[str]]:
    """A task for each shard that some labeler's table lacks, and for those of its samples that the table lacks, or that
    could not be decoded the last time; the corrupt parts, removed and named."""
    if not labelers:
        return [], []
    held, asked = holds.held(ws.catalog), None if only is None else frozenset(only)
    shards = assign(ws.catalog)
    if held or asked is not None:
        for shard, ids in shards.items():
            shards[shard] = [one for one in ids if one not in held and (asked is None or one in asked)]
    lacking = {shard: list(labelers) for shard, ids in shards.items() if ids}
    rebuilt = []
    again: dict[tuple[int, tuple[str, ...]], list[str]] = {}  # a shard and those of its samples, the labelers
    for name, labeler in labelers.items():
        rows = ws.table(name, fingerprint_of(labeler)).each([PROBLEM], having=[*labeler.columns, PROBLEM])
        for part, table in rows:
            if table is None:
                log.warning("table %s: part %s was corrupt, and is made again", name, part)
                rebuilt.append(f"{name}/{part}")
            elif int(part) in lacking and len(table):
                lacking[int(part)].remove(name)
                if some := _waiting(table, shards[int(part)]):
                    again.setdefault((int(part), some), []).append(name)
    wanted = [(shard, tuple(shards[shard]), tuple(names)) for shard, names in sorted(lacking.items()) if names]
    wanted += [(shard, some, tuple(names)) for (shard, some), names in sorted(again.items())]
    stored = samples(ws, [one for _, some, _ in wanted for one in some])
    return [Task(shard, tuple(stored[one] for one in some), names) for shard, some, names in wanted], rebuilt


def _waiting(table: "pa.Table", ids: Sequence[str]) -> tuple[str, ...]:
    """The samples without a row, and those that are worth another try: not those over which a worker died."""
    if table.column(PROBLEM).null_count == len(table) and table.column("id").to_pylist() == ids:
        return ()
    problems = zip(table.column("id").to_pylist(), table.column(PROBLEM).to_pylist(), strict=True)
    done = {one for one, why in problems if why is None or why.startswith(Reason.WORKER_DIED)}
    return tuple(one for one in ids if one not in done)


def _mapped(engine: Engine, work: Scoring, tasks: Sequence[Task]) -> Iterator[tuple[Task, Scores]]:
    """Each task with its scores. A shard that kills its worker is done again, one sample at a time."""
    if not tasks:  # the engine would load every labeler for nothing
        return
    died = []
    for task, result in engine.map(work, tasks, _needs(work)):
        if _lost(result):
            died.append(task)
        else:
            yield task, _good(result)
    for task in died:
        yield task, _singly(engine, work, task)


def _singly(engine: Engine, work: Scoring, task: Task) -> Scores:
    """The scores of the samples that let their worker live."""
    got: dict[str, Scores] = {}
    dead: dict[str, str] = {}
    for one, result in engine.map(work, task.singly(), _needs(work)):
        name = one.samples[0].id
        if _lost(result):
            dead[name], got[name] = _death(result), work.blank(one)
        else:
            got[name] = _good(result)
        if len(dead) == len(got) and len(dead) in (len(task.samples), ENOUGH_DEATHS) and isinstance(result, UsageError):
            raise result
        if len(dead) == len(got) and len(dead) in (max(2, len(task.samples)), ENOUGH_DEATHS):
            raise CurateError(f"shard {task.shard}: no sample can be scored ({result}); is there enough memory?")
        if len(got) in (max(2, len(task.samples)), ENOUGH_DEATHS):
            _check_some(task, got)
    parts = [got[sample.id] for sample in task.samples]
    failed = dead | {name: why for part in parts for name, why in part.failed.items()}
    faults = {name: {k: v for part in parts for k, v in part.faults.get(name, {}).items()} for name in task.labelers}
    return Scores(_joined(parts), failed, faults)


def _check_some(task: Task, got: Mapping[str, Scores]) -> None:
    """Raise CurateError for a labeler that raised on all of several samples: it is not the samples' fault."""
    for name in task.labelers:
        faults = [found.faults.get(name) for found in got.values()]
        if faults[0] and all(faults):
            raise CurateError(f"{next(iter(faults[0].values()))} (and on every other picture of {len(got)})")


def _lacking(scores: Scores) -> dict[str, str]:
    """The samples that lack the score of some labeler, and why."""
    return {one: why for name in scores.columns for one, why in scores.why(name).items()}


def _joined(parts: Sequence[Scores]) -> dict[str, Columns]:
    import numpy as np

    return {
        name: {column: np.concatenate([part.columns[name][column] for part in parts]) for column in columns}
        for name, columns in parts[0].columns.items()
    }


def _needs(work: Scoring) -> Resources:
    each = [labeler.needs for labeler in work.labelers.values()] or [Resources()]
    placed = any(device_of(labeler) != CPU for labeler in work.labelers.values())
    cpus, gpus = max(one.cpus for one in each), max(placed, *(one.gpus for one in each))
    return Resources(cpus, gpus, max(one.batch for one in each), max(one.side for one in each))


def _lost(result: object) -> bool:
    """True where it is the item that failed, took the worker with it, or made it ask for what it was denied."""
    return isinstance(result, (ItemError, MemoryError, UsageError))


def _death(result: object) -> str:
    """Why there is no score. What was denied may be granted the next time; what killed a worker is not tried again."""
    said = str(result) or type(result).__name__
    known = said.startswith(Reason.WORKER_DIED) or isinstance(result, UsageError)
    return said if known else f"{Reason.WORKER_DIED}: {said}"


def _good(result: Scores | Exception) -> Scores:
    if isinstance(result, Exception):
        raise result
    return result


# -- columns in Parquet ----------------------------------------------------------------------------------------------


def _beside(old: "pa.Table | None", new: "pa.Table") -> "pa.Table":
    """The new rows, with those of the part before that are of other samples."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if old is None or old.schema.names != new.schema.names:
        return new
    return pa.concat_tables([old.filter(pc.invert(pc.is_in(old.column("id"), new.column("id")))).cast(new.schema), new])


def _to_table(ids: Sequence[str], columns: Columns, failed: Mapping[str, str]) -> "pa.Table":
    import pyarrow as pa

    def array(values: Any) -> Any:
        if values.ndim == 2:
            return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
        return pa.array(values, pa.string() if values.dtype == object else None)

    made = {"id": list(ids)} | {name: array(values) for name, values in columns.items()}
    return pa.table(made | {PROBLEM: pa.array([failed.get(one) for one in ids], pa.string())})


def _to_numpy(column: "pa.ChunkedArray", like: "np.ndarray") -> "np.ndarray":
    if like.ndim == 1:
        flat: np.ndarray = column.to_numpy()
        return flat
    values: np.ndarray = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.reshape(-1, like.shape[1])
