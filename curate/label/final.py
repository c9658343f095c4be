"""The label that a sample has in the end, and why it may have none: people's decisions before weak labels."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.label import flags
from curate.label import table as weak_table
from curate.records import Axis
from curate.store import samples, views

if TYPE_CHECKING:
    from curate.store.workspace import Workspace


DIGITS = 4


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


def labels(ws: "Workspace", axis: Axis) -> Labels:
    """The label of each sample that may have one: people's word before the label model's, which obeys the rule.

    Every label of a release, a page or a figure comes from here.
    """
    taxonomy = ws.config.taxonomy.version
    weak = weak_table.read(ws, axis)
    humans = views.humans(ws.catalog, axis.name, taxonomy, axis.classes)
    found = _weak(weak, axis) | {sample: _human(one) for sample, one in humans.items()}
    withheld = dict.fromkeys(_unseen(ws, axis, found), CONFLICT)
    for sample in accused(ws, axis, weak):
        one = found.get(sample)
        if one is None or (one.name in axis.safe and not one.seen):
            withheld[sample] = CONTRADICTED
            found.pop(sample, None)
    for sample in contested(ws, axis):
        withheld[sample] = CONFLICT
        found.pop(sample, None)
    return Labels(found, withheld)


def accused(ws: "Workspace", axis: Axis, weak: weak_table.Weak | None = None) -> set[str]:
    """Every sample that is declared or flagged not safe, itself or by what it collapses with."""
    import numpy as np

    weak = weak or weak_table.read(ws, axis)
    said = np.zeros((0, 0), dtype=bool) if weak is None else weak.flags(axis.safe)
    found = flags.accusations(ws, axis, weak.ids if weak else [], said).without(weak.advised() if weak else [])
    ids = list(found.at)
    return {ids[row] for row in np.flatnonzero(found.any)}


def vanished(ws: "Workspace", axis: Axis, given: Collection[str]) -> list[str]:
    """The classes that sources declare of samples and that are not among those given, in the axis's order."""
    declared = {label for said in samples.declared(ws.catalog, axis.name).values() for label in said}
    return [name for name in axis.classes if name in declared and name not in given]


def _unseen(ws: "Workspace", axis: Axis, found: Mapping[str, Label]) -> Iterator[str]:
    """Every sample among whose near-duplicates sources contradict each other, and that people have not judged."""
    for sample in samples.disputed(ws.catalog, axis.name):
        if sample not in found or found[sample].source != "human":
            yield sample


def _human(one: views.Human) -> Label:
    return Label(one.label, 1.0, "human", 1.0, 0 if one.carried else one.n, round(one.agreement, DIGITS))


def contested(ws: "Workspace", axis: Axis) -> Iterator[str]:
    """Every member of a collapse set, one picture that is, to which people gave more than one answer, or a tie."""
    settled = views.precedents(ws.catalog, axis.name, ws.config.taxonomy.version)
    given = views.votes(ws.catalog, axis.name, ws.config.taxonomy.version)
    if not settled and not given:
        return
    members = dict(ws.catalog.iterate_tuples("SELECT sample, collapse FROM members"))
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


def _weak(weak: weak_table.Weak | None, axis: Axis) -> dict[str, Label]:
    if weak is None:
        return {}
    by = [False] * len(weak.ids) if weak.taught is None else weak.taught.decided.tolist()
    rows = zip(weak.ids, weak.labels, weak.probability(), by, strict=True)
    known = ((one, label, round(float(p or 0), DIGITS), own) for one, label, p, own in rows if label in axis.classes)
    return {sample: Label(str(label), p, "model" if own else "weak", p) for sample, label, p, own in known}
