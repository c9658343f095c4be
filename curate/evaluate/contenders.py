"""Who stands beside the baseline on the same rows: labelers that say classes, votes, the label model, other heads, a
file of scores."""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.contracts import Evidence
from curate.errors import UsageError
from curate.features.scores import read
from curate.label import table as weak_table
from curate.label.choose import model
from curate.layouts import table as csv_table
from curate.linear import Floats as Features
from curate.linear import Head
from curate.plugins import name_of
from curate.records import Axis
from curate.stats.intervals import Floats
from curate.store.catalog import BY_HAND

if TYPE_CHECKING:
    from curate.contracts import Labeler
    from curate.evaluate.rows import Rows
    from curate.store.workspace import Workspace

SUM = 0.01  # by which a row of probabilities may miss 1, as it was printed
NOT_SAFE = "not_safe"


@dataclass(frozen=True)
class Contender:
    """What a model says of n rows, NaN where it says nothing: of each class of the axis, float64[n, k] (None: it tells
    no classes apart), and how probable it is that the row is not safe, float64[n]. `foot` is what to know of it."""

    name: str
    probabilities: Floats | None
    unsafe: Floats
    foot: str = ""

    @classmethod
    def of(cls, name: str, axis: Axis, probabilities: Floats, foot: str = "") -> "Contender":
        """From the probabilities of all classes; of a row that lacks one nothing is known."""
        unsafe = probabilities[:, _bad(axis)].sum(axis=1)
        return cls(name, probabilities, np.where(np.isnan(probabilities).any(axis=1), np.nan, unsafe), foot)


def _bad(axis: Axis) -> np.ndarray:
    return np.array([name not in axis.safe and name not in axis.borderline for name in axis.classes], dtype=bool)


def padded(probabilities: Floats, classes: Sequence[str], axis: Axis) -> Floats:
    """Of some classes, as of all of the axis: those that are not there are given nothing."""
    found = np.zeros((len(probabilities), len(axis.classes)))
    found[:, [axis.classes.index(name) for name in classes]] = probabilities
    found[np.isnan(probabilities).any(axis=1)] = np.nan
    return found


def of_labeler(
    ws: "Workspace", axis: Axis, labeler: "Labeler", rows: "Rows", columns: Mapping[str, Any] | None = None
) -> Contender | None:
    """What a labeler says of rows, by its table or by `columns`; None for one that says no class, or none that is not
    safe, or has said nothing of any."""
    says: Mapping[str, Collection[str]] = labeler.says(axis) if hasattr(labeler, "says") else {}
    if not tells(axis, says):
        return None
    columns = columns or read(ws, labeler, rows.ids)
    values = {name: np.asarray(columns[name], dtype=np.float64) for name in says}
    if all(np.isnan(one).all() for one in values.values()):
        return None
    foot = _trained_on(labeler, rows)
    if _of_one_each(says):
        alone = {next(iter(some)): values[name] for name, some in says.items()}
        said = np.array([alone.get(name, np.zeros(len(rows))) for name in axis.classes]).T
        return Contender.of(name_of(labeler), axis, said, foot)
    return Contender(name_of(labeler), None, _unsafe(axis, says, values), foot)


def tells(axis: Axis, says: Mapping[str, Collection[str]]) -> bool:
    """Whether a labeler's columns say how probable it is that a row is not safe: each is of a class of its own, or one
    is of nothing but classes that are not safe."""
    return _of_one_each(says) or any(not set(some) & set(axis.safe) for some in says.values())


def _of_one_each(says: Mapping[str, Collection[str]]) -> bool:
    return len({frozenset(some) for some in says.values() if len(some) == 1}) == len(says) > 1


def _unsafe(axis: Axis, says: Mapping[str, Collection[str]], values: Mapping[str, Floats]) -> Floats:
    """The sum over what means different things, the largest of what means the same."""
    same: defaultdict[frozenset[str], list[Floats]] = defaultdict(list)
    for name, some in says.items():
        if not set(some) & set(axis.safe):
            same[frozenset(some)].append(values[name])
    found: Floats = np.minimum(1, np.sum([np.max(each, axis=0) for each in same.values()], axis=0))
    return found


def _trained_on(labeler: "Labeler", rows: "Rows") -> str:
    """What a labeler has seen by its own account, and how many of the rows are of it."""
    known: Mapping[str, str] = getattr(labeler, "trained_on", {})
    of = rows.column("source")
    unknown = f"; of {n} from releases that were fetched anew nobody knows" if (n := of.count(BY_HAND)) else ""
    parts = [
        f"was trained on {what}, by its own account: {of.count(source)} of the {len(of)} rows come from a {source}"
        f" source, and may be of it{unknown}"
        for source, what in known.items()
    ]
    return "; ".join(parts)


def of_votes(ws: "Workspace", axis: Axis, rows: "Rows") -> Iterator[Contender]:
    """The majority of the labelling functions' votes, and the labels in force that were made of them."""
    weak = weak_table.read(ws, axis)
    if weak is None or tuple(weak.classes) != tuple(axis.classes):
        return
    at = {one: n for n, one in enumerate(weak.ids)}
    place = np.array([at.get(one, -1) for one in rows.ids], dtype=np.int64)
    k = len(axis.classes)
    if len(weak.functions):
        said = model("majority", 0).predict(Evidence(weak.votes, weak.members(), np.full(k, 1 / k)))
        yield Contender.of("majority vote", axis, _at(said, place))
    own = rows.column("label_source").count("weak")
    foot = f"gave {own} of the {len(place)} labels itself: of these it is right whatever they show" if own else ""
    yield Contender.of("label model", axis, _at(weak.probabilities, place), foot)


def _at(values: Floats, place: np.ndarray) -> Floats:
    found: Floats = np.append(values, np.full((1, values.shape[1]), np.nan), axis=0)[place]
    return found


def of_head(name: str, axis: Axis, head: Head, features: Features, classes: Sequence[str]) -> Contender:
    """What a head says; of rows without features NaN."""
    said = np.full((len(features), len(classes)), np.nan)
    known = np.isfinite(features).all(axis=1)
    said[known] = head.probabilities(features[known])
    return Contender.of(name, axis, padded(said, classes, axis))


# -- a file of scores ------------------------------------------------------------------------------------------------


def of_csv(path: Path, axis: Axis, ids: Sequence[str], aside: Callable[[str], bool] = lambda one: False) -> Contender:
    """A file with the column `sha256` or `id` and a column a class, of which a row adds up to 1; or one column
    `not_safe`. Rows that it lacks, and empty cells, are NaN. Lines of rows that are `aside` (of the split, and not
    looked at) are passed over.

    Raises UsageError as `records` does, and, with the line, for an id that is none of these rows, twice the same, what
    is no number, and what is no probability.
    """
    names, lines = csv_table.records(path, ("sha256", "id", NOT_SAFE, *axis.classes))
    key = next((name for name in ("sha256", "id") if name in names), None)
    classes = [name for name in names if name in axis.classes]
    wanted = [NOT_SAFE] if NOT_SAFE in names else classes
    if key is None or not wanted or (wanted == classes and len(classes) < 2):
        raise UsageError(
            f"{path}: needs a column sha256 and one a class ({', '.join(axis.classes)}), or one {NOT_SAFE}; there are:"
            f" {', '.join(names) or 'none'}"
        )
    if classes and wanted != classes:
        raise UsageError(f"{path}: has {NOT_SAFE} and {', '.join(classes)}: which of them counts? leave the others out")
    at = {one: n for n, one in enumerate(ids)}
    found, seen = np.full((len(ids), len(wanted)), np.nan), set[str]()
    for line, given in lines:
        one = given[key].lower()
        if one not in at and aside(one):
            continue
        if one not in at:
            raise UsageError(f"{path}:{line}: no row of this split has the id '{one[:64]}'")
        if one in seen:
            raise UsageError(f"{path}:{line}: the id {one[:12]} stands there twice")
        seen.add(one)
        found[at[one]] = _numbers([given[name] for name in wanted], f"{path}:{line}", wanted)
    if np.isnan(found).all():
        raise UsageError(f"{path}: not one score of the {len(ids)} rows of this split")
    name = path.name
    if wanted == [NOT_SAFE]:
        return Contender(name, None, found[:, 0])
    return Contender.of(name, axis, padded(found, wanted, axis))


def _numbers(cells: Sequence[str], where: str, names: Sequence[str]) -> list[float]:
    if not any(cells):
        return [math.nan] * len(cells)
    found = []
    for name, cell in zip(names, cells, strict=True):
        try:
            found.append(float(cell))
        except ValueError as error:
            raise UsageError(f"{where}: {name}: '{cell}' is no number") from error
        if not 0 <= found[-1] <= 1:
            raise UsageError(
                f"{where}: {name}: {cell} is no probability; leave all cells of a row empty where none is known"
            )
    if len(found) > 1 and abs(sum(found) - 1) > SUM:
        raise UsageError(f"{where}: the probabilities of a row add up to 1, not {sum(found):.4g}")
    return found
