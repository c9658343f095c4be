"""All that is said of a baseline on the test split of its release."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from curate.config import TrainConfig
from curate.contracts import Engine, Labeler
from curate.evaluate import figures, thresholds
from curate.evaluate.compare import Ground, side_by_side
from curate.evaluate.contenders import Contender, of_head, of_labeler, of_votes
from curate.evaluate.natural import natural
from curate.evaluate.robustness import robustness
from curate.evaluate.rows import Featured, Rows
from curate.evaluate.shortcuts import shortcuts
from curate.evaluate.slices import slices
from curate.linear import Head
from curate.records import Axis
from curate.stats.metrics import Predictions, calibrated, flat, unsafe_of

if TYPE_CHECKING:
    import numpy as np

    from curate.store.workspace import Workspace

BASELINE, PEOPLE = "baseline", "head on people's labels only"


@dataclass(frozen=True)
class Fitted:
    """Heads on one backbone: the model's, the same before its temperature, and one that was taught by people's labels
    alone (None: they label fewer than two classes of train). `promised` bool[n]: rows of val that taught none."""

    head: Head
    before: Head
    people: Head | None
    promised: "np.ndarray"


def account(
    ws: "Workspace", engine: Engine, backbone: Labeler, parts: Mapping[str, Featured], fitted: Fitted,
    axis: Axis, labelers: Sequence[Labeler], options: TrainConfig,
) -> dict[str, Any]:  # fmt: skip
    """The figures of test, before temperature too, at natural prevalence, by slice, of altered pictures, beside other
    models; thresholds; what gives labels away."""
    test, seed = parts["test"], options.seed
    said, sides = test.judged(fitted.head), (axis.safe, axis.borderline)
    looks, positive, negative = unsafe_of(said, *sides)
    ground = ground_of(test.rows, axis)
    ours = of_head(BASELINE, axis, fitted.head, test.features, said.classes)
    return {
        "test": figures.measured(said, *sides, seed),
        "before_temperature": flat(calibrated(test.judged(fitted.before), seed)),
        "natural": natural(ws, axis, test.rows, ours, seed),
        **slices(ws, test.rows, said, looks >= 0.5, (positive, negative), labelers),
        "robustness": robustness(ws, engine, backbone, test, fitted.head, axis, ground, seed),
        "side_by_side": side_by_side(ground, _contenders(ws, test, fitted, axis, labelers), seed),
        "shortcuts": shortcuts(ws, [part.rows for part in parts.values()]),
        "thresholds": _decided(parts["val"].judged(fitted.head), said, fitted.promised, axis, options),
    }  # fmt: skip


def ground_of(rows: Rows, axis: Axis) -> Ground:
    """Rows of a release as what models of all classes of the axis are compared on."""
    import numpy as np

    places = np.array([axis.classes.index(name) for name in rows.classes], dtype=np.int64)[rows.truth]
    judged = replace(rows.judged(np.zeros((len(rows), len(axis.classes)))), truth=places, classes=list(axis.classes))
    return Ground(judged, axis)


def _contenders(
    ws: "Workspace", test: Featured, fitted: Fitted, axis: Axis, labelers: Sequence[Labeler]
) -> list[Contender]:
    heads = {BASELINE: fitted.head, PEOPLE: fitted.people}
    found = [
        of_head(name, axis, head, test.features, test.rows.classes) for name, head in heads.items() if head is not None
    ]
    told = (of_labeler(ws, axis, one, test.rows) for one in labelers)
    return [*found, *(one for one in told if one is not None), *of_votes(ws, axis, test.rows)]


def _decided(
    val: Predictions, test: Predictions, promised: "np.ndarray", axis: Axis, options: TrainConfig
) -> dict[str, Any]:
    """Thresholds of val, and what they do on test."""
    sides = axis.safe, axis.borderline
    sure = thresholds.Sides.of(val.pick(promised) if promised.any() else val, *sides)
    chosen = thresholds.choose(thresholds.Sides.of(val, *sides), sure, options.guarantee)
    done = thresholds.applied(chosen, thresholds.Sides.of(test, *sides))
    bad = [name for name in val.classes if name not in axis.safe]
    return {"score": {"sum_of_probabilities": bad}, **chosen, "test": done}
