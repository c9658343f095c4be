"""What the machine says of each item that an audit is about: its label, or a score against a threshold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import UsageError
from curate.features.scores import by_name, read
from curate.label.final import CONTRADICTED, WITHHELD, columns
from curate.layouts import table as csv_table
from curate.options import suggest
from curate.records import Axis
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

LABELS, NOT_SAFE = "labels", "not_safe"


@dataclass(frozen=True)
class Calls:
    """Of n items which are called each class, bool[n] by class; `NOT_SAFE` is one of them.

    `silent` counts those of which nothing is said and why: they are called nothing. `contradicted` bool[n].
    """

    name: str
    called: Mapping[str, "np.ndarray"]
    silent: Mapping[str, "np.ndarray"]


def of_labels(ws: Workspace, axis: Axis, ids: Sequence[str], without: str) -> Calls:
    """By the labels in force, as they would be without the decisions of this queue."""
    import numpy as np

    place, withheld = _labels(ws, axis, ids, without)
    safe = np.array([*(name in axis.safe for name in axis.classes), True])[place]  # -1, the last: without a label
    called = {NOT_SAFE: ~safe} | {name: place == n for n, name in enumerate(axis.classes)}
    kept = withheld == WITHHELD.index(CONTRADICTED)
    return Calls(LABELS, called, {"contradicted": kept & (place < 0), "unlabelled": ~kept & (place < 0)})


def _labels(ws: Workspace, axis: Axis, ids: Sequence[str], without: str) -> tuple["np.ndarray", "np.ndarray"]:
    """int64[n], the place of each label, -1 for none; int8[n], why it is withheld."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    found = columns(ws, axis, without=without)
    at = pc.index_in(pa.array(ids, found.ids.type), value_set=found.ids).fill_null(-1).to_numpy().astype(np.int64)
    place, withheld = np.append(found.place, -1), np.append(found.withheld, 0)
    return place[at], withheld[at]


# -- scores ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """A column to be judged: a labeler's (`open_nsfw`, `nudenet_worst`), or FILE.csv with sha256 and score."""

    name: str
    threshold: float
    of: str = NOT_SAFE

    def __post_init__(self) -> None:
        """Refuse a threshold that parts nothing."""
        if not math.isfinite(self.threshold):
            raise UsageError(f"--threshold: {self.threshold} parts nothing")


def of_score(ws: Workspace, score: Score, ids: Sequence[str], labelers: Sequence[Any]) -> Calls:
    """Called is what scores the threshold and more; what has no score is not. Raises UsageError for a column that is
    not there, is the same for all, or has a number for none."""
    import numpy as np

    if score.name.endswith(".csv"):
        of = _of_file(Path(score.name))
        values = np.array([of.get(one, math.nan) for one in ids], dtype=np.float64)
    else:
        values = _of_labeler(ws, score.name, ids, labelers)
    known = values[~np.isnan(values)]
    if not len(known):
        raise UsageError(
            f"--score {score.name}: no item of the audit's frame has one; `curate label` makes a labeler's"
        )
    if known.min() == known.max():
        raise UsageError(f"--score {score.name}: it is {known[0]:g} for all {len(known):,}; no threshold parts these")
    return Calls(score.name, {score.of: values >= score.threshold}, {"unscored": np.isnan(values)})


def _of_labeler(ws: Workspace, name: str, ids: Sequence[str], labelers: Sequence[Any]) -> "np.ndarray":
    import numpy as np

    places = dict[str, tuple[Any, str]]()
    for own, one in by_name(labelers).items():
        numbers = [column for column, kind in one.columns.items() if kind.startswith(("float", "int"))]
        places |= {f"{own}_{column}": (one, column) for column in numbers}
        if len(numbers) == 1:
            places[own] = (one, numbers[0])
    if name not in places:
        raise UsageError(
            f"--score: no such column '{name}'; {suggest(name, sorted(places)) if places else 'no labeler has any'}"
        )
    labeler, column = places[name]
    found: np.ndarray = np.asarray(read(ws, labeler, ids)[column], dtype=np.float64)
    return found


def _of_file(path: Path) -> dict[str, float]:
    """By sha256; an empty cell, or NaN, is no score. Raises UsageError as `records` does, and with the line for an id
    that stands there twice, and for what is no number."""
    names, rows = csv_table.records(path, ("sha256", "score"))
    if not {"sha256", "score"} <= set(names):
        raise UsageError(f"{path}: needs the columns sha256 and score; there are: {', '.join(names) or 'none'}")
    found = dict[str, float]()
    for line, given in rows:
        one = given["sha256"].lower()
        if one in found:
            raise UsageError(f"{path}:{line}: the id {one[:12]} stands there twice")
        try:
            found[one] = float(given["score"] or "nan")
        except ValueError as error:
            raise UsageError(f"{path}:{line}: score: '{given['score']}' is no number") from error
    return found
