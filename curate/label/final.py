"""The label that a sample has in the end, and why it may have none: people's decisions before weak labels."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.label import flags
from curate.label import table as weak_table
from curate.records import Axis
from curate.store import clusters, samples, views
from curate.store.taxonomies import renamed

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from curate.store.workspace import Workspace


DIGITS = 4
HUMAN = "human"  # the source of a label that people gave


# -- labels ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Label:
    """One sample's label on one axis. `human_n` counts the people who judged this very sample, not one like it."""

    name: str
    probability: float
    source: str
    weight: float
    human_n: int = 0
    agreement: float | None = None

    @property
    def seen(self) -> bool:
        """Whether somebody judged this very sample."""
        return self.human_n > 0


@dataclass(frozen=True, slots=True)
class Labels:
    """What is known on one axis: a label by sample, and by sample why it may not be released, whatever is said of it.

    `contradicted`: declared or flagged not safe, and nobody but a machine says otherwise (`flags`). `conflict`: people
    contradict each other about it, or sources about its near-duplicates, and nobody has looked. Only the last of
    these leaves it a label.
    """

    by_sample: Mapping[str, Label]
    withheld: Mapping[str, str]


CONTRADICTED, CONFLICT = "contradicted", "conflict"
WITHHELD = (None, CONTRADICTED, CONFLICT)
_CONTRADICTED, _CONFLICT = 1, 2  # places in it


@dataclass(frozen=True, slots=True)
class Columns:
    """`Labels` as columns of n samples, those of the catalog by id, then what else is labelled.

    `place` int64[n]: the label's place in `classes`, -1 for none. `probability` float64[n], NaN without a label.
    `human` are the rows that people labelled, with what they say. `withheld` int8[n]: a place in WITHHELD.
    `by_model` bool[n]: the bootstrap classifier's, not the label model's. `weight` float64[n]: what a label counts for
    in training, its probability, but where a decision on a cluster gave it.
    """

    ids: "pa.Array"
    classes: Sequence[str]
    place: "np.ndarray"
    probability: "np.ndarray"
    human: Mapping[int, views.Human]
    withheld: "np.ndarray"
    by_model: "np.ndarray"
    weight: "np.ndarray"


def labels(ws: "Workspace", axis: Axis) -> Labels:
    """The label of each sample that may have one: people's word before the label model's, which obeys the rule.

    Every label of a release, a page or a figure comes from here, and so from `columns`.
    """
    import numpy as np

    found = columns(ws, axis)
    rows = np.flatnonzero((found.place >= 0) | (found.withheld > 0))
    by_sample, withheld = {}, {}
    each = (found.ids.take(rows).to_pylist(), rows.tolist(), found.place[rows].tolist(),
            found.probability[rows].tolist(), found.withheld[rows].tolist())  # fmt: skip
    for sample, row, place, p, why in zip(*each, strict=True):
        if place >= 0:
            one = found.human.get(row)
            by_sample[sample] = (
                Label(found.classes[place], p, "model" if found.by_model[row] else "weak", float(found.weight[row]))
                if one is None
                else of_people(one)
            )
        if why:
            withheld[sample] = str(WITHHELD[why])
    return Labels(by_sample, withheld)


def columns(
    ws: "Workspace", axis: Axis, known: Callable[[], samples.Sets] | None = None, without: str | None = None
) -> Columns:
    """The same as columns: Python looks only at samples that people judged. `known` gives the catalog's collapse sets,
    where somebody else reads them.

    `without`: a queue whose decisions are left out, since labels that they mended cannot be measured by them.
    """
    import numpy as np

    weak, more = weak_table.columns(ws, axis), list[str]()
    given = views.votes(ws.catalog, axis.name, ws.config.taxonomy.version, without)
    humans = views.humans(ws.catalog, axis.name, ws.config.taxonomy.version, axis.classes, given)
    declared = flags.declared_unsafe(ws, axis)  # before the sets are waited for, which somebody may be reading
    sets = known() if known is not None else samples.collapse_sets(ws.catalog)
    asked = _rows(sets, weak.ids, more) if weak is not None else np.empty(0, dtype=np.int64)
    human = dict(zip(_rows(sets, list(humans), more).tolist(), humans.values(), strict=True))
    n, judged = len(sets.ids), np.fromiter(human, dtype=np.int64)
    place, probability = np.full(n + len(more), -1), np.full(n + len(more), np.nan)
    if weak is not None:
        place[asked], probability[asked] = weak.places(axis.classes), _rounded(weak.probability())
    by_model = np.zeros(n + len(more), dtype=bool)
    if weak is not None and weak.rest.taught is not None:
        by_model[asked] = weak.rest.taught.decided
    drawn = clusters.clusters(ws.catalog, axis.name, ws.config.taxonomy.version, axis.classes)
    worth = np.full(n + len(more), np.nan)
    if shared := clusters.carried(drawn):  # a person's word on a cluster, which a machine made
        members = _rows(sets, list(shared))
        said = [shared[one] for one in sets.ids.take(members).to_pylist()]
        place[members] = [axis.classes.index(label) for label, _ in said]
        probability[members], by_model[members] = [round(p, DIGITS) for _, p in said], False
        worth[members] = [round(clusters.worth(p), DIGITS) for _, p in said]
    by_model[judged], worth[judged] = False, np.nan
    place[judged], probability[judged] = [axis.classes.index(one.label) for one in human.values()], 1.0
    withheld = np.zeros(n + len(more), dtype=np.int8)
    withheld[np.setdiff1d(_rows(sets, sorted(samples.disputed(ws.catalog, axis.name))), judged)] = _CONFLICT
    kept = np.append(_accused(ws, axis, weak, sets, asked, declared).any, np.zeros(len(more), dtype=bool))
    kept &= np.array([*(name in axis.safe for name in axis.classes), True])[place]  # -1, the last: without a label
    kept[[row for row, one in human.items() if not one.carried]] = False
    open_ = _rows(sets, sorted(contested(ws, axis, given)))
    withheld[kept], withheld[open_] = _CONTRADICTED, _CONFLICT
    place[kept], place[open_] = -1, -1
    probability[place < 0] = np.nan
    weight = np.where(np.isnan(worth) | (place < 0), probability, worth)
    return Columns(_with(sets.ids, more), axis.classes, place, probability, human, withheld, by_model, weight)


def _rows(sets: samples.Sets, ids: "Sequence[str] | pa.Array", more: list[str] | None = None) -> "np.ndarray":
    """Where each of these is; what is not in the catalog (any more) comes after all others, in `more`, or is left out.

    Each id is there once.
    """
    import numpy as np

    found = sets.rows(ids)
    strange = np.flatnonzero(found < 0)
    if more is None:
        return found[found >= 0]
    known = {name: len(sets.ids) + n for n, name in enumerate(more)}
    for row in strange.tolist():
        found[row] = known.setdefault(str(ids[row]), len(sets.ids) + len(known))
    more[:] = known
    return found


def _with(ids: "pa.Array", more: Sequence[str]) -> "pa.Array":
    import pyarrow as pa

    return pa.concat_arrays([ids, pa.array(more, pa.large_string())]) if more else ids


def _rounded(probability: "np.ndarray") -> "np.ndarray":
    """To DIGITS as Python rounds, by the number's decimals: numpy scales first, and may meet a half that is none."""
    import numpy as np

    scaled = probability * 10**DIGITS
    found: np.ndarray = np.rint(scaled) / 10**DIGITS
    near = np.flatnonzero(np.abs(np.abs(scaled - np.floor(scaled)) - 0.5) < 1e-6)
    found[near] = [round(one, DIGITS) for one in probability[near].tolist()]
    return found


def accused(ws: "Workspace", axis: Axis) -> set[str]:
    """Every sample that is declared or flagged not safe, itself or by what it collapses with."""
    import numpy as np

    sets, weak = samples.collapse_sets(ws.catalog), weak_table.columns(ws, axis)
    asked = sets.rows(weak.ids) if weak is not None else np.empty(0, dtype=np.int64)
    return set(sets.ids.filter(_accused(ws, axis, weak, sets, asked).any).to_pylist())


def _accused(
    ws: "Workspace", axis: Axis, weak: weak_table.Columns | None, sets: samples.Sets, asked: "np.ndarray",
    declared: "pa.Array | None" = None,
) -> flags.Accusations:  # fmt: skip
    """By all flags that count, as if they were one; `asked` are the rows of the weak labels."""
    import numpy as np

    said: np.ndarray = np.zeros((len(sets.ids), 1), dtype=bool)
    if weak is not None:
        here = (asked >= 0) & (asked < len(sets.ids))
        said[asked[here], 0] = np.asarray(weak.rest.loud(axis.safe).any(axis=1))[here]
    return flags.accusations(ws, axis, sets.ids, said, sets, declared)


def vanished(ws: "Workspace", axis: Axis, given: Collection[str]) -> list[str]:
    """The classes that sources declare of samples and that are not among those given, in the axis's order."""
    declared = samples.declared_classes(ws.catalog, axis.name, ws.config.taxonomy.version)
    return [name for name in axis.classes if name in declared and name not in given]


def unknown(ws: "Workspace", axis: Axis) -> list[str]:
    """The names that sources declare of samples, sorted, that are no class, and of which no mapping says what they
    became."""
    version = ws.config.taxonomy.version
    said = samples.declared_classes(ws.catalog, axis.name, version)
    return sorted(said - {*axis.classes, *renamed(ws.catalog, axis.name, version)})


def of_people(one: views.Human) -> Label:
    """The label that people gave, which nothing is surer than."""
    return Label(one.label, 1.0, HUMAN, 1.0, 0 if one.carried else one.n, round(one.agreement, DIGITS))


def labelled_now(ws: "Workspace", axis: Axis) -> bool:
    """Whether this very run gave survivors labels, and `columns` leaves them some: they may lose one since people
    contradict each other, and for nothing else. False where only `columns` can tell."""
    said = weak_table.report(ws, axis, ws.catalog.run) if ws.catalog.run else None
    return said is not None and said["labelled"] > len({*contested(ws, axis)})


def contested(ws: "Workspace", axis: Axis, given: Mapping[str, Counter[str]] | None = None) -> Iterator[str]:
    """Every member of a collapse set, one picture that is, to which people gave more than one answer, or a tie."""
    settled = views.precedents(ws.catalog, axis.name, ws.config.taxonomy.version)
    if given is None:
        given = views.votes(ws.catalog, axis.name, ws.config.taxonomy.version)
    if not settled and not given:
        return
    members = views.judged_sets(ws.catalog, axis.name, ws.config.taxonomy.version)
    answers: defaultdict[str, set[str | None]] = defaultdict(set)
    for sample, label in settled.items():
        answers[members.get(sample, sample)].add(label)
    for sample, counts in given.items():
        if sample not in settled and any(counts[label] for label in axis.classes):
            winner = views.consensus(counts, axis.classes)
            answers[members.get(sample, sample)].add(winner.label if winner else None)
    for sample, collapse in members.items() if answers else ():
        if len(said := answers.get(collapse, set())) > 1 or None in said:
            yield sample
