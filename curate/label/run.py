"""`curate label`: scores -> votes -> a label model -> weak labels, with a report on each labelling function."""

import dataclasses
import gc
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from curate.config import LabelConfig
from curate.contracts import Engine, Evidence, Labeler
from curate.errors import UsageError
from curate.features.scores import by_name, compute, read_all
from curate.label import flags, slices, table
from curate.label import functions as voting
from curate.label.advice import advice, spread
from curate.label.choose import combine, decide, model
from curate.label.estimate.beside import beside
from curate.label.final import unknown, vanished
from curate.label.function_report import alarms, pairs, report
from curate.label.functions import Functions, Votes, own, unique, vote
from curate.label.gold import Gold, agreement, gold, groups
from curate.label.last import WITHOUT_GOLD, Last, last, wanted
from curate.label.rows import TEXTS, rows
from curate.label.table import Taught, Weak
from curate.options import suggest
from curate.plugins import name_of
from curate.progress import Progress
from curate.records import Axis
from curate.stats.coverage import over_some
from curate.store import eligibility, holds, views
from curate.store.columns import among
from curate.store.mentions import Mentions
from curate.store.samples import NUMBERS, Sets, collapse_sets, first_urls, stored
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from snorkel.labeling import LabelingFunction

ANSWER = ("samples", "labelled", "abstained", "contradicted", "overruled", "vanished", "model", "functions", "gold")
OF_AN_AXIS = (
    "model", "chosen", "bootstrap", "gold", "gold_contradicted", "gold_waiting", "functions", "pairs", "false_alarms",
)  # fmt: skip
ATTRIBUTES = ("id", "width", "height", "bytes", "media_type", "url")  # of each row, before the labelers' columns
SELDOM = 500_000  # objects that may be cyclic garbage: what a user's function leaves must go, rows have no cycles
log = logging.getLogger(__name__)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Look for cyclic garbage once in SELDOM new objects: millions are made, and nearly none is garbage."""
    before = gc.get_threshold()
    gc.set_threshold(max(SELDOM, before[0]) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@dataclass(frozen=True)
class Asked:
    """Every sample that is not held, by id, and which of them survive: only those are labelled, but what functions see
    in the others counts (`curate.label.flags`)."""

    ids: "pa.Array"
    survive: "np.ndarray"

    @cached_property
    def survivors(self) -> "pa.Array":
        """Those that are labelled."""
        return self.ids.filter(self.survive)


@dataclass(frozen=True)
class Near:
    """What belongs together: `groups` int32[n] of survivors by their looks, the catalog's collapse `sets`."""

    groups: "np.ndarray"
    sets: Sets


def _near(ws: Workspace, survivors: "pa.Array") -> Near:
    return Near(groups(ws, survivors), collapse_sets(ws.catalog))


@_seldom_collected()
def label(
    ws: Workspace, engine: Engine, labelers: Sequence[Labeler], functions: Functions, progress: Progress
) -> dict[str, object]:
    """Label every survivor on every axis; the answer is about the first axis, and of each in `axes`.

    Incomplete, too, where a function fails on more than 5 % of the samples; what the others say is written.

    A sample on which all abstain, or where two classes are as probable, stays unlabelled, and so does one that would be
    called safe though it is declared or flagged not safe, or a function failed on it: `contradicted`. What can be wrong
    with the config is found before anything is computed, but for functions that may not advise: raises UsageError.
    """
    import numpy as np

    started = time.monotonic()
    fields = fields_of(labelers)
    asked, sliced = _functions(ws, functions, fields)
    check(ws.config.label, ws.config.taxonomy.axes)
    check_classes(labelers, ws.config.taxonomy.axes)
    vectors = wanted(ws.config.label.bootstrap, labelers)
    _check_advise(ws.config.label, [one.name for each in asked.values() for one in each])
    compute(ws, engine, labelers, progress)
    known = Asked(*eligibility.active(ws.catalog))
    lost = np.zeros(len(known.ids), dtype=bool)
    mentions = Mentions(ws.catalog, again=True)
    columns = columns_of(ws, labelers, known.ids, lost, mentions)
    blind = int((lost & known.survive).sum())
    covered = over_some(len(known.survivors), blind, partial(eligibility.nothing, ws.catalog))
    found = []
    with ThreadPoolExecutor(1) as thread:  # the catalog answers while functions vote
        near = thread.submit(_near, ws, known.survivors)
        for axis in ws.config.taxonomy.axes:
            with progress.stage("vote", len(known.ids)) as step:
                ask = partial(rows, columns, mentions)
                votes = vote(asked[axis.name], axis, ask, len(known.ids), step)
            seen = voting.unseen(votes, lost)
            weak = _labelling(ws, axis, seen, known, near.result(), columns, vectors)
            short = "; ".join([*filter(None, [covered["incomplete"]]), *voting.failing(votes)]) or None
            said = {**weak.report, **covered, "incomplete": short}
            said |= _sliced(ws, axis, sliced[axis.name], ask, known, weak)
            found.append(dataclasses.replace(weak, report=said))
    for axis, weak in zip(ws.config.taxonomy.axes, found, strict=True):
        table.write(ws, axis, weak)
    held = len(holds.held(ws.catalog))
    first = {key: found[0].report[key] for key in (*ANSWER, "slices") if key in found[0].report}
    first["axes"] = {
        one.report["axis"]: {key: one.report[key] for key in OF_AN_AXIS} | {"audit": beside(ws, axis)}
        for axis, one in zip(ws.config.taxonomy.axes, found, strict=True)
    }
    why = dict.fromkeys(one.report["incomplete"] for one in found if one.report["incomplete"])
    covered |= {"incomplete": "; ".join(why) or None}
    return covered | first | {"unscored": blind, "held": held, "seconds": round(time.monotonic() - started, 3)}


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
    return {"slices": list(slices.report(some, ask, known.survive, places, gold(ws, axis, known.survivors).classes))}


def check_classes(labelers: Sequence[Labeler], axes: Sequence[Axis]) -> None:
    """Refuse what a labeler's option `classes` says of an output, where no axis has that class."""
    known = [name for axis in axes for name in axis.classes]
    for one in labelers:
        said = getattr(one, "classes", None)
        for output, names in said.items() if isinstance(said, Mapping) else ():
            for name in names:
                if name not in known:
                    where = f"labelers.{name_of(one)}.classes.{output}"
                    raise UsageError(f"{where}: no such class '{name}'; {suggest(str(name), known)}")


def _check_advise(config: LabelConfig, names: Sequence[str]) -> None:
    for name in config.advise:
        if name not in names:
            raise UsageError(f"label.advise: no labelling function '{name}'; {suggest(name, sorted({*names}))}")


def fields_of(labelers: Sequence[Labeler]) -> list[str]:
    """The names of a row's fields: what is known of the sample, and `<labeler>_<column>`.

    Raises UsageError where two are one name: a function that reads it would see the wrong numbers.
    """
    named = [(f"{name}_{column}", name) for name, one in by_name(labelers).items() for column in one.columns]
    taken = dict.fromkeys((*ATTRIBUTES, *TEXTS), "a row")
    for field, name in named:
        if (other := taken.setdefault(field, name)) != name:
            raise UsageError(f'labelers.{name}: its column is {field}, which {other} has, too; give it a name = "..."')
    return [*ATTRIBUTES, *(field for field, _ in named)]


def columns_of(
    ws: Workspace, labelers: Sequence[Labeler], ids: "pa.Array", lost: "np.ndarray", mentions: Mentions | None = None
) -> dict[str, Any]:
    """The fields of a row: what is known of the sample, and `<labeler>_<column>`, NumPy arrays, or Arrow's of text;
    `lost` and `mentions` as of `scores.read_all`."""
    with ThreadPoolExecutor(1) as thread:  # the catalog answers while the tables of scores are read
        urls, known = (
            thread.submit(first_urls, ws.catalog, ids),
            thread.submit(stored, ws.catalog, ATTRIBUTES[1:-1], ids),
        )
        scores = read_all(ws, labelers, ids, lost, mentions)
    columns = {name: values.to_numpy() if name in NUMBERS else values for name, values in known.result().items()}
    columns = {"id": ids, **columns, "url": urls.result()}
    for labeler, found in zip(labelers, scores, strict=True):
        columns |= {f"{name_of(labeler)}_{column}": values for column, values in found.items()}
    return columns


# -- what the votes come to ------------------------------------------------------------------------------------------


def _labelling(
    ws: Workspace, axis: Axis, votes: Votes, asked: Asked, near: Near, columns: Mapping[str, Any], vectors: str | None
) -> Weak:
    """`vectors` names the column that the bootstrap learns from; None: there is no bootstrap."""
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
    said = flags.accusations(ws, axis, asked.ids, flags.flags(votes.matrix, votes.sets, safe), near.sets)
    said = said.of(asked.survivors)
    advised = advice(ws, axis, votes.names, said)
    said = said.but(advised.spared)
    cast = dataclasses.replace(votes, matrix=votes.matrix[asked.survive])
    people = gold(ws, axis, asked.survivors)
    evidence = _evidence(axis, cast, asked, people, near.groups, columns)
    used = combine(ws.config.label, axis, evidence, said.any)
    if people.waiting:
        reason = f"{used.chosen['reason']}; {people.waiting} that people judged wait for `curate dedupe`"
        used = dataclasses.replace(used, chosen={**used.chosen, "reason": reason})
    end = last(
        ws, Last(axis, asked.survivors, used, evidence, said.any), columns[vectors] if vectors else None, asked.survive
    )
    places = decide(end.probabilities)
    whole = np.full((len(asked.ids), len(axis.classes)), np.nan)
    whole[asked.survive] = end.probabilities
    labels = np.full(len(asked.ids), None, dtype=object)
    labels[asked.survive] = np.array([*axis.classes, None], dtype=object)[places]
    found = _report(ws, axis, cast, asked.survivors, said, places, people) | {"advise": advised.facts}
    found |= {"model": end.model, "chosen": end.chosen, "bootstrap": end.facts}
    _warn(axis, found, used.short)
    if strange := unknown(ws, axis):
        log.warning(
            "axis %s: sources declare %s, which the taxonomy has not, so that no machine calls these samples safe:"
            " `curate relabel --mapping FILE.toml` says what became of a class",
            axis.name, ", ".join(strange),
        )  # fmt: skip
    sets = [[axis.classes[n] for n in np.flatnonzero(one)] for one in votes.sets]
    weak = Weak(asked.ids, labels, whole, votes.matrix, axis.classes, sets, votes.names, found, end.taught)
    spared = spread(ws, asked.ids, asked.survivors, advised.spared)
    return dataclasses.replace(weak, learnt=_learnt(asked, used.model, people.classes, end.taught), spared=spared)


def _learnt(asked: Asked, model: str, gold: "np.ndarray", taught: Taught | None) -> "np.ndarray | None":
    """bool[n], what taught the label model or the bootstrap; None where nothing did."""
    import numpy as np

    found = np.zeros(len(asked.ids), dtype=bool)
    if model not in WITHOUT_GOLD:
        found[asked.survive] = gold >= 0
    if taught is not None and taught.decided.any():
        found |= taught.trained
    return found if found.any() else None


def _evidence(
    axis: Axis, cast: Votes, asked: Asked, people: Gold, groups: "np.ndarray", columns: Mapping[str, Any]
) -> Evidence:
    """What a label model is told of the survivors: votes, every column that is one number, and what people said."""
    import numpy as np

    k = len(axis.classes)
    numbers = [name for name, one in columns.items() if isinstance(one, np.ndarray) and one.ndim == 1]
    numbers = [name for name in numbers if columns[name].dtype.kind == "f"]
    scores = np.empty((len(cast.matrix), len(numbers)), dtype=np.float32)
    for place, name in enumerate(numbers):
        scores[:, place] = columns[name][asked.survive]
    even = np.full(k, 1 / k)  # `combine` knows better
    return Evidence(cast.matrix, cast.sets, even, scores, people.classes, groups, numbers)


def _report(
    ws: Workspace, axis: Axis, votes: Votes, ids: "pa.Array", said: flags.Accusations, places: "np.ndarray",
    gold: Gold,
) -> dict[str, Any]:  # fmt: skip
    """What there is to say of the survivors on an axis. What people judged themselves waits for nobody."""
    import numpy as np

    people = views.humans(ws.catalog, axis.name, ws.config.taxonomy.version, axis.classes)
    judged = among([name for name, one in people.items() if not one.carried], ids)
    called_safe = among([name for name, one in people.items() if one.label in axis.safe], ids)
    kept = said.any & (places < 0) & ~judged
    safe = [name in axis.safe for name in axis.classes]
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
        "functions": [one | {"alone": n} for one, n in zip(report(votes, gold.classes, safe), alone, strict=True)],
        "pairs": pairs(votes, gold.classes),
        "false_alarms": alarms(np.append(~np.array(safe), False)[places], gold.classes, safe),
        "gold": agreement(places, gold.classes),
        "gold_contradicted": gold.contradicted,
        "gold_waiting": gold.waiting,
    }
    return found


def _warn(axis: Axis, found: Mapping[str, Any], short: str | None) -> None:
    """What nobody should have to look for. `short`: what the label model lacks of gold."""
    n = found["samples"]
    if short is not None and found["functions"]:
        log.warning(
            "axis %s: %s is used, unchecked: %s (`curate queue gold`, then `curate review gold`)",
            axis.name, found["model"], short,
        )  # fmt: skip
    if waiting := found["gold_waiting"]:
        log.warning(
            "axis %s: %d samples that people judged are no gold yet: which are of the test split is known after `curate"
            " dedupe`; then label again",
            axis.name, waiting,
        )  # fmt: skip
    if contradicted := found["gold_contradicted"]:
        log.warning(
            "axis %s: people contradict each other about %d samples or copies of them, which are no gold until somebody"
            " settles them (`curate queue conflict`)",
            axis.name, contradicted,
        )  # fmt: skip
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
