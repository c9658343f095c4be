"""What a decision on a cluster says of its members: carried, never counted as anybody's look at them, and only as long
as the members that were judged one by one bear it out.

An item of a queue may stand for others (`queue_members`). Who decides on it decides on a sheet of them; `unsure` says
that they are not one thing, and nothing of the item itself.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from curate.records import UNSURE
from curate.store.catalog import Catalog
from curate.store.views import consensus

SHOWN = 12  # members on the sheet: the first ones, by `place`
State = Literal["open", "pure", "impure", "mixed"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """One item, what was decided on it, and of its other members in the same queue how many were judged alone, and how
    many of these are what it was called. `open`: no class was given, or nobody has audited it; `mixed`: it was no one
    thing at sight; `impure`: a member was something else."""

    queue: str
    item: str
    members: Sequence[str]
    label: str | None
    audited: int
    agreed: int

    @property
    def state(self) -> State:
        """What is known of it."""
        if self.label == UNSURE:
            return "mixed"
        if self.label is None or not self.audited:
            return "open"
        return "pure" if self.agreed == self.audited else "impure"


def clusters(catalog: Catalog, axis: str, taxonomy: str, classes: tuple[str, ...]) -> list[Cluster]:
    """Every cluster that was drawn on an axis, in the order of the draws."""
    sql = """
    SELECT m.queue, m.item, m.sample FROM queue_members m JOIN queues q USING (queue)
    WHERE q.axis = ? AND q.taxonomy = ? ORDER BY q.created_at, m.queue, m.item, m.place
    """
    members: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for queue, item, sample in catalog.iterate_tuples(sql, (axis, taxonomy)):
        members[queue, item].append(sample)
    if not members:
        return []
    said = _said(catalog, {queue for queue, _ in members}, classes)
    return [_cluster(queue, item, some, said[queue]) for (queue, item), some in members.items()]


def _said(catalog: Catalog, queues: set[str], classes: tuple[str, ...]) -> Mapping[str, Mapping[str, str]]:
    """By queue what people said in it of each of its items; of those nobody could tell, or are tied, `unsure`."""
    given: dict[str, dict[str, Counter[str]]] = {name: {} for name in queues}
    for name in queues:
        for sample, label in catalog.iterate_tuples("SELECT sample, label FROM in_force WHERE queue = ?", (name,)):
            given[name].setdefault(sample, Counter())[label] += 1
    found = {}
    for name, each in given.items():
        found[name] = {
            sample: UNSURE if (one := consensus(counts, classes)) is None else one.label
            for sample, counts in each.items()
        }
    return found


def _cluster(queue: str, item: str, members: Sequence[str], said: Mapping[str, str]) -> Cluster:
    label = said.get(item)
    audited = [said[one] for one in members if one != item and said.get(one, UNSURE) != UNSURE]
    return Cluster(queue, item, members, label, len(audited), sum(one == label for one in audited))


def purity(found: Sequence[Cluster]) -> tuple[int, int]:
    """Of all audited members of clusters that were called something, how many are that, and how many there are."""
    some = [one for one in found if one.state in ("pure", "impure")]
    return sum(one.agreed for one in some), sum(one.audited for one in some)


def carried(found: Sequence[Cluster]) -> dict[str, tuple[str, float]]:
    """The class of each member of the clusters that are pure, and how probable it is: the purity of all clusters of
    the queue, since which of them are pure is known by a few members only. The last draw counts."""
    pure = {name: purity([one for one in found if one.queue == name]) for name in {one.queue for one in found}}
    labels: dict[str, tuple[str, float]] = {}
    for one in found:
        agreed, audited = pure[one.queue]
        for sample in one.members:
            labels.pop(sample, None)
            if one.state == "pure":
                labels[sample] = (str(one.label), agreed / audited)
    return labels


def worth(purity: float) -> float:
    """What a carried label weighs in training beside a person's word on that one picture: half as much as it is
    probable, since members of a cluster are wrong together (docs/decisions.md)."""
    return purity / 2


def parted(found: Sequence[Cluster]) -> dict[str, int]:
    """The number of the last cluster of each member, where that was found to be no one thing."""
    numbers: dict[str, int] = {}
    for number, one in enumerate(found):
        for sample in one.members:
            numbers.pop(sample, None)
            if one.state in ("mixed", "impure"):
                numbers[sample] = number
    return numbers
