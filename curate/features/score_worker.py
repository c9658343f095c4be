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
from curate.errors import ItemError, StoreError, UsageError
from curate.media import keyframes
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
    """The columns of each labeler, aligned with a task's samples, and why a sample has none (its row is NaN)."""

    columns: dict[str, Columns]
    failed: dict[str, str] = field(default_factory=dict)


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
        return shape == arrays and answer.failed.keys() <= {sample.id for sample in given.samples}

    def load(self) -> None:
        """Load a copy of each labeler."""
        self._ready = {name: copy.copy(labeler) for name, labeler in self.labelers.items()}
        for labeler in self._ready.values():
            labeler.load()

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
                fill(scores.columns[name], labeler, whole)
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
        if how not in _OVER or labeler.columns.get(name, "string") == "string":
            raise UsageError(
                f"labelers.{name_of(labeler)}: over_frames says '{how}' of '{name}'; what can be said is"
                f" {', '.join(_OVER)}, of a column of numbers"
            )
    return found


def fill(columns: Columns, labeler: Labeler, views: Mapping[int, Sequence[Decoded]]) -> None:
    """Ask a labeler about the samples at some places, each by one frame or several, and put its answers there."""
    import numpy as np

    over = over_frames(labeler)
    asked = [(n, one) for n, some in views.items() for one in (some if over else some[:1])]
    found = {name: np.empty((len(asked), *values.shape[1:]), values.dtype) for name, values in columns.items()}
    for places in batches(range(len(asked)), labeler.needs.batch):
        step(len(places))
        answer = labeler.label([asked[place][1] for place in places])
        for name, values in found.items():
            if answer[name].shape != (len(places), *values.shape[1:]):
                raise ValueError(f"{name_of(labeler)}.{name}: shape {answer[name].shape} for {len(places)} samples")
            values[places] = answer[name]
    rows = np.array([n for n, _ in asked], dtype=np.int64)
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    for name, values in columns.items():
        values[rows[starts]] = found[name][starts]
    ends = np.append(starts[1:], len(rows))
    for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        for name, how in over.items():
            columns[name][rows[start]] = _OVER[how](found[name][start:end])


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


_OVER: Mapping[str, Callable[["np.ndarray"], "np.ndarray"]] = {"max": _largest, "min": _smallest, "mean": _mean}


def batches(items: Sequence[int], size: int) -> Iterator[list[int]]:
    """The items, at most `size` at a time."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
