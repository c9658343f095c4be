"""`curate label`: scores -> votes -> a label model -> weak labels, with a report on each labelling function."""

import dataclasses
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from curate.config import LabelConfig
from curate.contracts import Engine, Evidence, Labeler, LabelModel
from curate.errors import UsageError
from curate.features.scores import by_name, compute, read, samples, unread
from curate.label import flags, slices, table
from curate.label import functions as voting
from curate.label.final import vanished
from curate.label.functions import Functions, Votes, own, unique, vote
from curate.label.models.majority import Majority
from curate.label.rows import rows
from curate.label.table import Weak
from curate.options import Plugin, suggest
from curate.plugins import called, make, named
from curate.progress import Progress
from curate.records import Axis, Sample
from curate.stats.coverage import over_some
from curate.store import eligibility, holds, views
from curate.store.mentions import Mentions
from curate.store.samples import some
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

TIE = 1e-5  # two classes nearer than this are as probable as each other
ENOUGH = 3  # functions that vote, from which on `auto` weighs them
ANSWER = ("samples", "labelled", "abstained", "contradicted", "overruled", "vanished", "model", "functions", "gold")
ATTRIBUTES = ("id", "width", "height", "bytes", "media_type", "url")  # of each row, before the labelers' columns
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """Every sample that is not held, by id, and which of them survive: only those are labelled, but what functions see
    in the others counts (`curate.label.flags`)."""

    samples: Sequence[Sample]
    survive: "np.ndarray"

    @property
    def ids(self) -> list[str]:
        """All of them."""
        return [one.id for one in self.samples]

    @property
    def survivors(self) -> list[str]:
        """Those that are labelled."""
        return [one.id for one, survives in zip(self.samples, self.survive.tolist(), strict=True) if survives]


def label(
    ws: Workspace, engine: Engine, labelers: Sequence[Labeler], functions: Functions, progress: Progress
) -> dict[str, object]:
    """Label every survivor on every axis; the answer is about the first axis.

    Incomplete, too, where a function fails on more than 5 % of the samples; what the others say is written.

    A sample on which all abstain, or where two classes are as probable, stays unlabelled, and so does one that would be
    called safe though it is declared or flagged not safe, or a function failed on it: `contradicted`. What can be wrong
    with the config is found before anything is computed, but for functions that may not advise: raises UsageError.
    """
    import numpy as np

    started = time.monotonic()
    fields = [*ATTRIBUTES, *(f"{name}_{column}" for name, one in by_name(labelers).items() for column in one.columns)]
    asked, sliced = _functions(ws, functions, fields)
    check(ws.config.label, ws.config.taxonomy.axes)
    _check_advise(ws.config.label, [one.name for each in asked.values() for one in each])
    compute(ws, engine, labelers, progress)
    known = _asked(ws)
    columns, mentions = columns_of(ws, labelers, known.samples), Mentions(ws.catalog)
    lost = frozenset(unread(ws, labelers, known.ids))
    blind = lost.intersection(known.survivors)
    covered = over_some(len(known.survivors), len(blind), partial(eligibility.nothing, ws.catalog))
    found = []
    for axis in ws.config.taxonomy.axes:
        with progress.stage("vote", len(known.samples)) as step:
            ask = partial(rows, columns, mentions)
            votes = vote(asked[axis.name], axis, ask, len(known.samples), step)
        weak = _labelling(
            ws, axis, voting.unseen(votes, np.array([one in lost for one in known.ids], dtype=bool)), known
        )
        short = "; ".join([*filter(None, [covered["incomplete"]]), *voting.failing(votes)]) or None
        said = {**weak.report, **covered, "incomplete": short, **_sliced(ws, axis, sliced[axis.name], ask, known, weak)}
        found.append(dataclasses.replace(weak, report=said))
    for axis, weak in zip(ws.config.taxonomy.axes, found, strict=True):
        table.write(ws, axis, weak)
    held = len(holds.held(ws.catalog))
    first = {key: found[0].report[key] for key in (*ANSWER, "slices") if key in found[0].report}
    why = dict.fromkeys(one.report["incomplete"] for one in found if one.report["incomplete"])
    covered |= {"incomplete": "; ".join(why) or None}
    return covered | first | {"unscored": len(blind), "held": held, "seconds": round(time.monotonic() - started, 3)}


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
    cls = named("curate.label.models", name, "label.model", "label model")
    options = {"seed": seed} if any(one.name == "seed" for one in dataclasses.fields(cls)) else {}
    made: LabelModel = make("curate.label.models", Plugin(name, options, "label.model"), "label model")
    return made


# -- what is voted on ------------------------------------------------------------------------------------------------


Asking = dict[str, Sequence["LabelingFunction"]]


def _functions(ws: Workspace, built_in: Functions, fields: Sequence[str]) -> tuple[Asking, Asking]:
    """Who votes on each axis, and the slices of each."""
    axes = ws.config.taxonomy.axes
    users = own(ws.config.label.functions, axes)
    every = {axis.name: unique([*built_in(axis, fields), *users[axis.name]]) for axis in axes}
    found: Asking = {name: [one for one in some if not slices.is_slicing(one)] for name, some in every.items()}
    for axis in axes:
        voting.check(found[axis.name], axis)
    return found, {name: [one for one in some if slices.is_slicing(one)] for name, some in every.items()}


def _sliced(
    ws: Workspace, axis: Axis, some: Sequence["LabelingFunction"], ask: Any, known: Asked, weak: Weak
) -> dict[str, Any]:
    """How the labels fare on each slice; nothing where there is none."""
    import numpy as np

    if not some:
        return {}
    at = {name: place for place, name in enumerate(axis.classes)} | {None: -1}
    places = np.array([at[name] for name in weak.labels], dtype=np.int64)[known.survive]
    return {"slices": list(slices.report(some, ask, known.survive, places, gold_of(ws, axis, known.survivors)))}


def _check_advise(config: LabelConfig, names: Sequence[str]) -> None:
    for name in config.advise:
        if name not in names:
            raise UsageError(f"label.advise: no labelling function '{name}'; {suggest(name, sorted({*names}))}")


def _asked(ws: Workspace) -> Asked:
    """Every active sample, and which of them survive."""
    import numpy as np

    stored = samples(ws)
    active = [one for one in eligibility.standings(ws.catalog) if one.held is None]
    return Asked([stored[one.id] for one in active], np.array([one.survives for one in active], dtype=bool))


def columns_of(ws: Workspace, labelers: Sequence[Labeler], known: Sequence[Sample]) -> dict[str, Any]:
    """The fields of a row: what is known of the sample, and `<labeler>_<column>`."""
    ids = [sample.id for sample in known]
    found = "SELECT sample, min(locator) FROM candidates WHERE kind = 'url' AND sample IS NOT NULL {} GROUP BY sample"
    urls = dict(ws.catalog.iterate_tuples(*some(found, "AND sample", ids)))
    columns: dict[str, Any] = {name: [getattr(one, name) for one in known] for name in ATTRIBUTES[:-1]}
    columns["url"] = [urls.get(name) for name in ids]
    for name, labeler in by_name(labelers).items():
        columns |= {f"{name}_{column}": values for column, values in read(ws, labeler, ids).items()}
    return columns


# -- what the votes come to ------------------------------------------------------------------------------------------


def _labelling(ws: Workspace, axis: Axis, votes: Votes, asked: Asked) -> Weak:
    import numpy as np

    for name, (count, first) in votes.faults.items():
        log.warning(
            "labelling function %s failed on %d samples, first with %s; no machine calls these safe: %s",
            name,
            count,
            first,
            votes.mend(name),
        )
    safe = [name in axis.safe for name in axis.classes]
    said = flags.accusations(ws, axis, asked.ids, flags.flags(votes.matrix, votes.sets, safe))
    advise = flags.advice(ws, axis, votes.names, said.of(asked.survivors))
    said = said.of(asked.survivors).without([votes.names.index(name) for name in advise])
    cast = dataclasses.replace(votes, matrix=votes.matrix[asked.survive])
    used, probabilities = _predict(ws.config.label, axis, cast.matrix, cast.sets, said.any)
    places = decide(probabilities)
    whole = np.full((len(asked.samples), len(axis.classes)), np.nan)
    whole[asked.survive] = probabilities
    labels = np.full(len(asked.samples), None, dtype=object)
    labels[asked.survive] = [axis.classes[place] if place >= 0 else None for place in places]
    found = _report(ws, axis, cast, asked.survivors, said, places) | {"model": used, "advise": advise}
    sets = [[axis.classes[n] for n in np.flatnonzero(one)] for one in votes.sets]
    return Weak(asked.ids, labels.tolist(), whole, votes.matrix, axis.classes, sets, votes.names, found)


def _report(
    ws: Workspace, axis: Axis, votes: Votes, ids: Sequence[str], said: flags.Accusations, places: "np.ndarray"
) -> dict[str, Any]:
    """What there is to say of the survivors on an axis. What people judged themselves waits for nobody."""
    import numpy as np

    people = views.humans(ws.catalog, axis.name, ws.config.taxonomy.version, axis.classes)
    judged = np.array([name in people and not people[name].carried for name in ids], dtype=bool)
    called_safe = np.array([name in people and people[name].label in axis.safe for name in ids], dtype=bool)
    kept = said.any & (places < 0) & ~judged
    gold = gold_of(ws, axis, ids)
    labelled = int(np.count_nonzero(places >= 0))
    alone = [int((said.alone(column) & kept).sum()) for column in range(len(votes.names))]
    given = {axis.classes[place] for place in places[places >= 0]} | {one.label for one in people.values()}
    found: dict[str, Any] = {
        "axis": axis.name,
        "samples": len(ids),
        "labelled": labelled,
        "abstained": len(ids) - labelled,
        "contradicted": int(kept.sum()),
        "overruled": int((said.any & judged & called_safe).sum()),
        "vanished": vanished(ws, axis, given),
        "functions": [one | {"alone": n} for one, n in zip(voting.report(votes, gold), alone, strict=True)],
        "gold": agreement(places, gold),
    }
    _warn(axis, found)
    return found


def _warn(axis: Axis, found: Mapping[str, Any]) -> None:
    """What nobody should have to look for."""
    n = found["samples"]
    for one in found["functions"]:
        if one["alone"] > flags.LOUD * n:
            then = "look at them (`curate queue conflict`), raise its threshold, or see label.advise"
            if 2 * one["faults"] > one["alone"]:  # it kept back what it failed on, mostly
                then = f"{voting.mend(one['name'], one['file'])}, then `curate label`"
            log.warning(
                "labelling function %s alone keeps back %d of %d samples (%.1f %%), more than %.0f %%: %s",
                one["name"], one["alone"], n, 100 * one["alone"] / n, 100 * flags.LOUD, then,
            )  # fmt: skip
    if found["vanished"]:
        log.warning("axis %s: sources declare %s, and nothing has that label", axis.name, ", ".join(found["vanished"]))
    if set(axis.classes) <= set(axis.safe):
        log.warning("axis %s: the taxonomy calls every class safe, so nothing is kept back from any", axis.name)
    elif not axis.safe:
        log.warning("axis %s: the taxonomy calls no class safe", axis.name)


def _predict(
    config: LabelConfig, axis: Axis, votes: "np.ndarray",
    sets: "np.ndarray | None" = None, accused: "np.ndarray | None" = None,
) -> tuple[str, "np.ndarray"]:  # fmt: skip
    """The name of the model that was used, and float64[n, k] under the rule of `flags`; NaN where nobody votes.

    `sets` bool[s, k] is what votes int8[n, m] stand for (None: a class each); `accused` bool[n] are the rows that no
    machine may call safe (None: those that a vote flags).
    """
    import numpy as np

    k = len(axis.classes)
    safe = [name in axis.safe for name in axis.classes]
    sets = np.eye(k, dtype=bool) if sets is None else sets
    accused = np.asarray(flags.flags(votes, sets, safe).any(axis=1) if accused is None else accused)
    deciding = int(((votes >= 0) & (votes < k)).any(axis=0).sum())
    name = config.model
    if name == "auto":
        name = "snorkel" if deciding >= ENOUGH else "majority"
    if not (votes >= 0).any():
        return called(Plugin(name)), np.full((len(votes), k), np.nan)
    evidence = Evidence(votes.clip(-1), sets, balance(config, axis, votes))
    probabilities = model(name, config.seed).predict(evidence)
    flags.withhold(probabilities, decide(probabilities), accused, safe)
    return called(Plugin(name)), probabilities


def balance(config: LabelConfig, axis: Axis, votes: "np.ndarray") -> "np.ndarray":
    """The share of each class, float64[k]: what the config declares, else what the majority of votes comes to.

    An even balance where there is none costs more than the label model can gain, on both accuracy and macro accuracy;
    one label is added to each class, so that none is impossible. Votes for several classes do not tell, and are left
    out.
    """
    import numpy as np

    if declared := [config.balance[name] for name in axis.classes if name in config.balance]:
        return np.array(declared, dtype=np.float64)
    k = len(axis.classes)
    single = Evidence(np.where(votes < k, votes, -1), np.eye(k, dtype=bool), np.full(k, 1 / k))
    counts = np.nansum(Majority().predict(single), axis=0) + 1
    shares: np.ndarray = counts / counts.sum()
    return shares


def decide(probabilities: "np.ndarray") -> "np.ndarray":
    """The place of the most probable class, int[n]; -1 where there is none, or where two are as probable."""
    import numpy as np

    known = np.nan_to_num(probabilities, nan=0.0)
    ordered = np.sort(known, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > TIE
    return np.where(clear, known.argmax(axis=1), -1)


def gold_of(ws: Workspace, axis: Axis, ids: Sequence[str]) -> "np.ndarray":
    """What people said of each survivor itself, int[n], -1 for nothing.

    Test samples count for nothing: functions are tuned by the report, and must not be by what models are measured on.
    Nor does what people judged because the machine was unsure of it: on that it looks worse than it is.
    """
    import numpy as np

    test = {row[0] for row in ws.catalog.all("SELECT sample FROM members WHERE split = 'test'")}
    taxonomy = ws.config.taxonomy.version
    humans = views.humans(ws.catalog, axis.name, taxonomy, axis.classes)
    left_out = test | views.selected_by_model(ws.catalog, axis.name, taxonomy)
    own = {name: one.label for name, one in humans.items() if not one.carried and name not in left_out}
    said = {name: axis.classes.index(label) for name, label in own.items()}
    return np.array([said.get(name, -1) for name in ids], dtype=np.int64)


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
