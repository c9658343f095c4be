"""The work of scoring: a shard is read and decoded once for all the labelers that lack it.

A labeler is given at most `needs.batch` samples at a time, in order of id, without those that cannot be decoded, and
without what sources declare: a score is a fact about the bytes alone, whatever its company, its shard, and how many
workers there are. Of an animation some labelers are asked about several frames (`Labeler.over_frames`), as of so many
pictures. A labeler whose library answers differently in a batch of another size runs pictures one at a time.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np

from curate.contracts import Decoded, Labeler
from curate.engine import step
from curate.errors import CurateError, ItemError, StoreError, UsageError, described
from curate.media import keyframes, resize
from curate.media.decode import Bounds
from curate.media.decoded import StoredImage
from curate.plugins import name_of
from curate.records import Sample
from curate.store.blobs import Blobs, LocalBlobs

Columns = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Task:
    """A shard, or one sample of it, and the labelers that lack it."""

    shard: int
    samples: tuple[Sample, ...]
    labelers: tuple[str, ...]

    def singly(self) -> Iterator["Task"]:
        """The same, one sample at a time."""
        return (Task(self.shard, (sample,), self.labelers) for sample in self.samples)


@dataclass
class Scores:
    """The columns of each labeler, aligned with a task's samples, and why a sample has none (its row is NaN), be it of
    any labeler, or, in `faults`, of one that raised on it."""

    columns: dict[str, Columns]
    failed: dict[str, str] = field(default_factory=dict)
    faults: dict[str, dict[str, str]] = field(default_factory=dict)

    def why(self, labeler: str) -> dict[str, str]:
        """The samples without a score of a labeler."""
        return self.faults.get(labeler, {}) | self.failed


@dataclass
class Scoring:
    """What each worker runs: a task in, its scores out. It loads copies, so that it can be pickled again."""

    plugins: ClassVar[bool] = True  # a labeler that is denied something is told, even where it abstains
    labelers: Mapping[str, Labeler]
    blobs: Blobs
    bounds: Bounds

    @property
    def reads(self) -> list[Path]:
        """What is read: the store's bytes, and what the labelers name."""
        own = [self.blobs.root] if isinstance(self.blobs, LocalBlobs) else []
        return [*own, *(Path(path) for one in self.labelers.values() for path in getattr(one, "reads", ()))]

    @property
    def network(self) -> bool:
        """Whether one of the labelers asks for the internet."""
        return any(getattr(one, "network", False) for one in self.labelers.values())

    most: ClassVar[int] = 2**26

    def pictures(self, item: Task) -> int:
        """How many times the seconds of a picture a task may take: each is decoded, and looked at by each labeler."""
        pictures = sum(1 if sample.frames == 1 else keyframes.SEEN for sample in item.samples)
        return pictures * (1 + len(item.labelers))

    def fits(self, given: Task, answer: Scores) -> bool:
        """Whether these are the columns of the task's labelers, one row a sample."""
        blank = self.blank(given).columns
        shape = {name: {key: (v.shape, v.dtype) for key, v in columns.items()} for name, columns in blank.items()}
        arrays = {name: {key: (v.shape, v.dtype) for key, v in each.items()} for name, each in answer.columns.items()}
        known = {sample.id for sample in given.samples}
        named = answer.failed.keys() | {one for faults in answer.faults.values() for one in faults}
        return shape == arrays and named <= known and answer.faults.keys() <= set(given.labelers)

    def load(self) -> None:
        """Load a copy of each labeler, and what makes pictures small."""
        resize.load()
        self._ready = {name: copy.copy(labeler) for name, labeler in self.labelers.items()}
        for labeler in self._ready.values():
            try:
                labeler.load()
            except (CurateError, MemoryError):
                raise
            except (Exception, SystemExit) as error:
                raise CurateError(f"labelers.{name_of(labeler)}: load(): {described(error)}") from error

    def __call__(self, item: Task) -> Scores:
        """The scores of a task's samples."""
        labelers = {name: self._ready[name] for name in item.labelers}
        sides = sorted({labeler.needs.side for labeler in labelers.values()})
        several = any(over_frames(labeler) for labeler in labelers.values())
        scores = self.blank(item)
        for batch in batches(range(len(item.samples)), max(one.needs.batch for one in labelers.values())):
            views = {n: self._decoded(item.samples[n], sides, several, scores.failed) for n in batch}
            whole = {n: found for n, found in views.items() if found}
            for name, labeler in labelers.items():
                if faults := fill(scores.columns[name], labeler, whole):
                    scores.faults.setdefault(name, {}).update({item.samples[n].id: why for n, why in faults.items()})
        return scores

    def blank(self, task: Task) -> Scores:
        """No scores yet."""
        return Scores({name: blank(self.labelers[name], len(task.samples)) for name in task.labelers})

    def _decoded(
        self, sample: Sample, sides: Sequence[int], several: bool, failed: dict[str, str]
    ) -> Sequence[Decoded]:
        """The frames that are looked at, the first one first; none where one cannot be decoded."""
        step()
        view = StoredImage(sample, {}, partial(read_bytes, self.blobs, sample.id), self.bounds)
        try:
            found = view.frames() if several else [view]
            for one, side in product(found, sides):
                one.image(side)
        except (ItemError, StoreError) as error:
            failed[sample.id] = str(error)
            return []
        return found


def read_bytes(blobs: Blobs, sample: str) -> bytes:
    """The bytes of a sample; raises StoreError where they are missing."""
    with blobs.open(sample) as file:
        return file.read()


def blank(labeler: Labeler, n: int) -> Columns:
    """The labeler's columns for `n` samples that have no score: NaN, or None where the column is text."""
    return {name: _blank(kind, n) for name, kind in labeler.columns.items()}


def _blank(kind: str, n: int) -> np.ndarray:
    """`float32` -> NaN[n], `float16[1280]` -> NaN[n, 1280], `string` -> None[n]."""
    name, _, size = kind.rstrip("]").partition("[")
    if name == "string":
        return np.full(n, None, dtype=object)
    return np.full((n, int(size)) if size else n, np.nan, dtype=name)


def over_frames(labeler: Labeler) -> Mapping[str, str]:
    """How the frames of an animation make a column's value: max, min or mean; not here, the first frame's.

    Raises UsageError for a column that the labeler has not, or that is text, and for another word.
    """
    found: Mapping[str, str] = getattr(labeler, "over_frames", {})
    for name, how in found.items():
        if how not in OVER or labeler.columns.get(name, "string") == "string":
            raise UsageError(
                f"labelers.{name_of(labeler)}: over_frames says '{how}' of '{name}'; what can be said is"
                f" {', '.join(OVER)}, of a column of numbers"
            )
    return found


def fill(columns: Columns, labeler: Labeler, views: Mapping[int, Sequence[Decoded]]) -> dict[int, str]:
    """Ask a labeler about the samples at some places, each by one frame or several, and put its answers there; the
    places that it raised on, and why: these stay blank.

    Raises CurateError where it raises on every one of several, and where it answers with other columns than its own.
    """
    over = over_frames(labeler)
    asked = [(n, one) for n, some in views.items() for one in (some if over else some[:1])]
    found = {name: np.empty((len(asked), *values.shape[1:]), values.dtype) for name, values in columns.items()}
    faults: dict[int, str] = {}
    for places in batches(range(len(asked)), labeler.needs.batch):
        for some, answer in _answered(labeler, columns, places, [asked[place][1] for place in places]):
            if isinstance(answer, Exception):
                why = f"labelers.{name_of(labeler)}: {described(answer)}"
                faults.setdefault(asked[some[0]][0], why)
            else:
                for name, values in found.items():
                    values[some] = answer[name]
    if len(faults) == len(views) > 1:
        raise CurateError(f"{next(iter(faults.values()))} (and on every other picture of {len(views)})")
    _put(columns, over, found, [-1 if n in faults else n for n, _ in asked])
    return faults


def _answered(
    labeler: Labeler, columns: Columns, places: list[int], views: Sequence[Decoded]
) -> Iterator[tuple[list[int], Columns | Exception]]:
    """What a labeler says, all at once; where it raises, one by one, and the error of those that it raises on."""
    step(len(places))
    try:
        answer: Columns | Exception = _checked(labeler, columns, len(places), labeler.label(views))
    except (CurateError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, it is the labeler's, and of one picture)
        answer = error
    except SystemExit as error:
        answer = RuntimeError(f"it raised SystemExit: {error}")
    if isinstance(answer, Exception) and len(places) > 1:
        for place, one in zip(places, views, strict=True):
            yield from _answered(labeler, columns, [place], [one])
    else:
        yield places, answer


def _checked(labeler: Labeler, columns: Columns, n: int, answer: Mapping[str, np.ndarray]) -> Columns:
    """The answer, with the columns that were promised, a row a picture."""
    where = f"labelers.{name_of(labeler)}"
    if lacking := sorted(columns.keys() - answer.keys()):
        raise CurateError(f"{where}: it gives no column {lacking[0]}")
    for name, values in columns.items():
        if np.shape(answer[name]) != (n, *values.shape[1:]):
            raise CurateError(
                f"{where}: {name} has shape {np.shape(answer[name])} for {n} pictures; a row each is asked"
            )
    with np.errstate(over="ignore"):  # what is too large for a column is infinite there
        return {name: np.asarray(answer[name], values.dtype) for name, values in columns.items()}


def _put(columns: Columns, over: Mapping[str, str], found: Columns, places: Sequence[int]) -> None:
    """The answers at their places, several frames of one made one; -1 is left out."""
    rows = np.array(places, dtype=np.int64)
    starts = np.flatnonzero(np.diff(rows, prepend=-2))
    ends = np.append(starts[1:], len(rows))
    kept = rows[starts] >= 0
    starts, ends = starts[kept], ends[kept]
    for name, values in columns.items():
        values[rows[starts]] = found[name][starts]
    for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        for name, how in over.items():
            columns[name][rows[start]] = OVER[how](found[name][start:end])


def _mean(values: "np.ndarray") -> "np.ndarray":
    import numpy as np

    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=0, dtype=np.float64)
    return np.asarray(np.divide(total, known.sum(axis=0), out=np.full_like(total, np.nan), where=known.any(axis=0)))


def _largest(values: "np.ndarray") -> "np.ndarray":
    import numpy as np

    return np.asarray(np.fmax.reduce(values))


def _smallest(values: "np.ndarray") -> "np.ndarray":
    import numpy as np

    return np.asarray(np.fmin.reduce(values))


OVER: Mapping[str, Callable[["np.ndarray"], "np.ndarray"]] = {"max": _largest, "min": _smallest, "mean": _mean}


def batches(items: Sequence[int], size: int) -> Iterator[list[int]]:
    """The items, at most `size` at a time."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
