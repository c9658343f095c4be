"""`curate label`: scores -> votes -> a label model -> weak labels, with a report on each labelling function."""

import dataclasses
import hashlib
import logging
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from curate.config import LabelConfig
from curate.contracts import Engine, Labeler, LabelModel
from curate.coverage import over
from curate.errors import UsageError
from curate.marks import canonical, fingerprint
from curate.models.majority import Majority
from curate.plugins import module, plugin_class
from curate.progress import Progress
from curate.records import Axis, Sample
from curate.scores import by_name, compute, read, samples, unread
from curate.store import eligibility, views
from curate.store.tables import to_parquet
from curate.store.workspace import Workspace
from curate.toml import build, suggest
from curate.voting import Functions, Votes, own, report, unique, vote

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

TIE = 1e-5  # two classes nearer than this are as probable as each other
ENOUGH = 3  # functions that vote, from which on `auto` weighs them
ATTRIBUTES = ("id", "width", "height", "bytes", "media_type", "url")  # of each row, before the labelers' columns
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelling:
    """What one axis came to: of each survivor the class (None: unlabelled) and its probability, those of all classes
    (None: nobody voted) and the votes, a place among the classes each, -1 abstains; and the report."""

    labels: Sequence[str | None]
    probabilities: Sequence[float | None]
    each: Sequence[list[float] | None]
    votes: Sequence[list[int]]
    report: Mapping[str, Any]


def label(
    ws: Workspace, engine: Engine, labelers: Sequence[Labeler], functions: Functions, progress: Progress
) -> dict[str, object]:
    """Label every survivor on every axis; the answer is about the first axis.

    A sample on which all abstain, or where two classes are as probable, stays unlabelled. Whatever can be wrong with
    the config is found before anything is computed: raises UsageError.
    """
    started = time.monotonic()
    fields = [*ATTRIBUTES, *(f"{name}_{column}" for name, one in by_name(labelers).items() for column in one.columns)]
    asked = _functions(ws, functions, fields)
    check(ws.config.label, ws.config.taxonomy.axes)
    compute(ws, engine, labelers, progress)
    survivors = _survivors(ws)
    columns = _columns(ws, labelers, survivors)
    blind = unread(ws, labelers, [sample.id for sample in survivors])
    covered = over(len(survivors), len(blind))
    found = []
    for axis in ws.config.taxonomy.axes:
        with progress.stage("vote", len(survivors)) as step:
            votes = vote(asked[axis.name], axis, lambda a, b: _rows(columns, a, b), len(survivors), step)
        one = _labelling(ws, axis, votes, survivors)
        found.append(dataclasses.replace(one, report={**one.report, **covered}))
        _record(ws, axis, survivors, found[-1])
    first = {key: found[0].report[key] for key in ("samples", "labelled", "abstained", "model", "functions", "gold")}
    return covered | first | {"unscored": len(blind), "seconds": round(time.monotonic() - started, 3)}


def check(config: LabelConfig, axes: Sequence[Axis]) -> None:
    """Refuse a label model that does not exist, or a class balance that is none; raises UsageError."""
    if config.model != "auto":
        model(config.model, config.seed)
    known = [name for axis in axes for name in axis.classes]
    for name in config.balance:
        if name not in known:
            raise UsageError(f"label.balance.{name}: no such class; {suggest(name, known)}")
    for axis in axes:
        shares = [config.balance[name] for name in axis.classes if name in config.balance]
        if shares and (len(shares) < len(axis.classes) or min(shares) <= 0 or not math.isclose(sum(shares), 1)):
            raise UsageError(f"label.balance: give every class of axis {axis.name} a share above 0, with a sum of 1")


def model(name: str, seed: int) -> LabelModel:
    """The label model of that name, with the seed if it takes one; raises UsageError with the nearest name."""
    cls = plugin_class(module("curate.models", name, "label.model", "label model"))
    takes = {one.name for one in dataclasses.fields(cls)}
    made: LabelModel = build(cls, {"seed": seed} if "seed" in takes else {}, f"label.model.{name}", Path())
    return made


# -- what is voted on ------------------------------------------------------------------------------------------------


def _functions(ws: Workspace, built_in: Functions, fields: Sequence[str]) -> dict[str, Sequence["LabelingFunction"]]:
    axes = ws.config.taxonomy.axes
    users = own(ws.config.label.functions, axes)
    return {axis.name: unique([*built_in(axis, fields), *users[axis.name]]) for axis in axes}


def _survivors(ws: Workspace) -> list[Sample]:
    """What is labelled, by id."""
    stored = samples(ws)
    return [stored[one] for one in eligibility.survivors(ws.catalog)]


def _columns(ws: Workspace, labelers: Sequence[Labeler], survivors: Sequence[Sample]) -> dict[str, Any]:
    """The fields of a row: what is known of the sample, and `<labeler>_<column>`."""
    found = "SELECT sample, min(locator) FROM candidates WHERE kind = 'url' AND sample IS NOT NULL GROUP BY sample"
    urls = dict(map(tuple, ws.catalog.rows(found)))
    ids = [sample.id for sample in survivors]
    columns: dict[str, Any] = {name: [getattr(one, name) for one in survivors] for name in ATTRIBUTES[:-1]}
    columns["url"] = [urls.get(name) for name in ids]
    for name, labeler in by_name(labelers).items():
        columns |= {f"{name}_{column}": values for column, values in read(ws, labeler, ids).items()}
    return columns


def _rows(columns: Mapping[str, Any], start: int, stop: int) -> list[SimpleNamespace]:
    """Rows as Snorkel's own preprocessors take them: copied, then changed."""
    parts = [values[start:stop] for values in columns.values()]
    plain = [part.tolist() if getattr(part, "ndim", 0) == 1 else part for part in parts]
    return [SimpleNamespace(**dict(zip(columns, values, strict=True))) for values in zip(*plain, strict=True)]


# -- what the votes come to ------------------------------------------------------------------------------------------


def _labelling(ws: Workspace, axis: Axis, votes: Votes, survivors: Sequence[Sample]) -> Labelling:
    import numpy as np

    for name, (count, first) in votes.faults.items():
        log.warning("labelling function %s failed on %d samples, first with %s", name, count, first)
    used, probabilities = _predict(ws.config.label, axis, votes.matrix)
    places = decide(probabilities)
    gold = _gold(ws, axis, survivors)
    labels = [axis.classes[place] if place >= 0 else None for place in places]
    known = [round(float(probabilities[n, place]), 6) if place >= 0 else None for n, place in enumerate(places)]
    labelled = int(np.count_nonzero(places >= 0))
    found = {
        "axis": axis.name,
        "samples": len(survivors),
        "labelled": labelled,
        "abstained": len(survivors) - labelled,
        "model": used,
        "functions": list(report(votes, gold)),
        "gold": agreement(places, gold),
    }
    each = [None if row[0] != row[0] else row for row in probabilities.round(6).tolist()]
    return Labelling(labels, known, each, votes.matrix.tolist(), found)


def _predict(config: LabelConfig, axis: Axis, votes: "np.ndarray") -> tuple[str, "np.ndarray"]:
    """The name of the model that was used, and float64[n, k]; NaN where nobody votes."""
    import numpy as np

    voting = int((votes >= 0).any(axis=0).sum())
    name = config.model
    if name == "auto":
        name = "snorkel" if voting >= ENOUGH else "majority"
    if not voting:
        return name, np.full((len(votes), len(axis.classes)), np.nan)
    return name, model(name, config.seed).predict(votes, balance(config, axis, votes))


def balance(config: LabelConfig, axis: Axis, votes: "np.ndarray") -> "np.ndarray":
    """The share of each class, float64[k]: what the config declares, else what the majority of votes comes to.

    An even balance where there is none costs more than the label model can gain, on both accuracy and macro accuracy;
    one label is added to each class, so that none is impossible.
    """
    import numpy as np

    if declared := [config.balance[name] for name in axis.classes if name in config.balance]:
        return np.array(declared, dtype=np.float64)
    k = len(axis.classes)
    counts = np.nansum(Majority().predict(votes, np.full(k, 1 / k)), axis=0) + 1
    shares: np.ndarray = counts / counts.sum()
    return shares


def decide(probabilities: "np.ndarray") -> "np.ndarray":
    """The place of the most probable class, int[n]; -1 where there is none, or where two are as probable."""
    import numpy as np

    known = np.nan_to_num(probabilities, nan=0.0)
    ordered = np.sort(known, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > TIE
    return np.where(clear, known.argmax(axis=1), -1)


def _gold(ws: Workspace, axis: Axis, survivors: Sequence[Sample]) -> "np.ndarray":
    """What people said of each survivor itself, int[n], -1 for nothing.

    Test samples count for nothing: functions are tuned by the report, and must not be by what models are measured on.
    Nor does what people judged because the machine was unsure of it: on that it looks worse than it is.
    """
    import numpy as np

    test = {row[0] for row in ws.catalog.rows("SELECT sample FROM members WHERE split = 'test'")}
    taxonomy = ws.config.taxonomy.version
    humans = views.humans(ws.catalog, axis.name, taxonomy, axis.classes)
    left_out = test | views.chosen(ws.catalog, axis.name, taxonomy)
    own = {name: one.label for name, one in humans.items() if not one.carried and name not in left_out}
    said = {name: axis.classes.index(label) for name, label in own.items()}
    return np.array([said.get(sample.id, -1) for sample in survivors], dtype=np.int64)


def agreement(places: "np.ndarray", gold: "np.ndarray") -> dict[str, object]:
    """Weak labels beside people's: `n` survivors with gold, `labelled` of them; accuracy over those, and its mean over
    the classes that people gave (null where there are none)."""
    import numpy as np

    both = (gold >= 0) & (places >= 0)
    right = places[both] == gold[both]
    each = [right[gold[both] == place].mean() for place in np.unique(gold[both])]
    return {
        "n": int((gold >= 0).sum()),
        "labelled": int(both.sum()),
        "accuracy": round(float(right.mean()), 4) if len(right) else None,
        "macro_accuracy": round(float(np.mean(each)), 4) if each else None,
    }


def _record(ws: Workspace, axis: Axis, survivors: Sequence[Sample], found: Labelling) -> None:
    """The table first, then the row that puts it in force; the table that was in force before is removed."""
    import pyarrow as pa

    table = pa.table(
        {
            "id": pa.array([sample.id for sample in survivors], pa.string()),
            "label": pa.array(found.labels, pa.string()),
            "probability": pa.array(found.probabilities, pa.float64()),
            "probabilities": pa.array(found.each, pa.list_(pa.float64())),
            "votes": pa.array(found.votes, pa.list_(pa.int8())),
        }
    )
    mark = fingerprint(axis.name, ws.config.taxonomy.version, hashlib.sha256(to_parquet(table)).hexdigest())
    ws.table("weak", mark).write("all", table)
    before = ws.catalog.one("SELECT fingerprint FROM labellings WHERE axis = ?", (axis.name,))
    with ws.catalog.tx() as db:
        row = (axis.name, mark, canonical(found.report), ws.catalog.run)
        db.execute("INSERT OR REPLACE INTO labellings VALUES (?, ?, ?, ?)", row)
    if before not in (None, mark):
        shutil.rmtree(ws.table("weak", before).path, ignore_errors=True)
