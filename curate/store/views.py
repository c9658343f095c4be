"""What several verbs ask of the catalog."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from curate.store.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Human:
    """What people say of one sample: the label, how many of them decided, and the share of those who agree with it.

    `carried` says that the people judged another member of its collapse set.
    """

    label: str
    n: int
    agreement: float
    carried: bool = False


def votes(catalog: Catalog, axis: str, taxonomy: str, without: str | None = None) -> dict[str, Counter[str]]:
    """Each sample's decisions in force: a reviewer's last one counts, unless it was taken back.

    The last is the one that was recorded last: clocks differ, and one that was wrong must not have the last word.
    Who was `unsure` of a cluster said nothing of the item that stands for it. `without`: a queue whose decisions are
    left out.
    """
    sql = """
    SELECT sample, reviewer, label FROM in_force d WHERE axis = ? AND taxonomy = ? AND (? IS NULL OR queue IS NOT ?)
    AND NOT (label = 'unsure' AND EXISTS (
        SELECT 1 FROM queue_members m WHERE m.queue = d.queue AND m.item = d.sample))
    ORDER BY decision
    """
    last: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name, reviewer, label in catalog.iterate(sql, (axis, taxonomy, without, without)):
        last[name][reviewer] = label
    return {name: Counter(by.values()) for name, by in last.items()}


def precedents(catalog: Catalog, axis: str, taxonomy: str) -> dict[str, str]:
    """What somebody who had not judged a sample settled about it; the last word counts."""
    sql = "SELECT sample, label FROM precedents WHERE axis = ? AND taxonomy = ? ORDER BY precedent"
    return {row[0]: row[1] for row in catalog.iterate(sql, (axis, taxonomy))}


def settled(catalog: Catalog, axis: str, taxonomy: str, classes: tuple[str, ...]) -> dict[str, str]:
    """The class of each sample whose answer is sure enough to measure people by: it was settled, or two people and
    more judged it blind, and everybody who judged it says the same. Whoever is measured by an answer has no part in it.
    """
    sql = """
    SELECT d.sample, d.label FROM in_force d LEFT JOIN queue_items i ON i.queue = d.queue AND i.sample = d.sample
    WHERE d.axis = ? AND d.taxonomy = ? AND NOT coalesce(i.gold, 0) GROUP BY d.sample
    HAVING count(DISTINCT d.label) = 1 AND count(DISTINCT CASE WHEN d.shown = 'blind' THEN d.reviewer END) > 1
    """
    agreed = {row["sample"]: row["label"] for row in catalog.all(sql, (axis, taxonomy))}
    known = agreed | precedents(catalog, axis, taxonomy)
    return {name: label for name, label in known.items() if label in classes}


def selected_by_model(catalog: Catalog, axis: str, taxonomy: str) -> set[str]:
    """Samples that people judged only because the machine was unsure, or somebody contradicted it: no measure of it.

    What a change of the taxonomy had decided anew was chosen as it was before. Of a queue of clusters neither the items
    nor the members that audit them are a random sample.
    """
    sql = """
    SELECT d.sample FROM in_force d LEFT JOIN queues q ON q.queue = d.queue WHERE d.axis = ? AND (d.taxonomy = ? OR (
        q.kind IS NOT 'relabel' AND d.sample IN (SELECT sample FROM queue_items i JOIN queues r USING (queue)
        WHERE r.kind = 'relabel' AND r.axis = d.axis AND r.taxonomy = ?)))
    GROUP BY d.sample HAVING sum(d.queue IS NULL OR (coalesce(q.blind, 0) AND q.kind <> 'relabel'
        AND NOT EXISTS (SELECT 1 FROM queue_members m WHERE m.queue = d.queue))) = 0
    """
    return {row[0] for row in catalog.all(sql, (axis, taxonomy, taxonomy))}


@dataclass(frozen=True, slots=True)
class Audited:
    """One decision on which reported figures may rest: of which stratum, and the chance the sample had to be drawn."""

    sample: str
    label: str
    reviewer: str
    queue: str
    stratum: str
    inclusion: float


def audited(catalog: Catalog, axis: str, taxonomy: str) -> list[Audited]:
    """The decisions on which reported figures may rest; the one place that says which.

    Blind, and in force, on items of a queue drawn here for that, with the chance that the draw recorded. What was
    chosen in any other way, or mixed in as gold, is not among them; nor is what was imported from a file, unless it
    carries all three: the queue, the chance of this very draw, and `blind`.
    """
    sql = """
    SELECT d.sample, d.label, d.reviewer, d.queue, i.stratum, i.inclusion FROM in_force d
    JOIN queues q ON q.queue = d.queue AND q.reported AND q.axis = d.axis AND q.taxonomy = d.taxonomy
    JOIN queue_items i ON i.queue = d.queue AND i.sample = d.sample AND NOT i.gold AND i.inclusion > 0
    WHERE d.axis = ? AND d.taxonomy = ? AND d.shown = 'blind'
        AND (d.session IS NOT NULL OR abs(d.inclusion - i.inclusion) < 1e-9)
    ORDER BY d.queue, d.sample, d.decision
    """
    return [Audited(*row) for row in catalog.all(sql, (axis, taxonomy))]


def humans(
    catalog: Catalog,
    axis: str,
    taxonomy: str,
    classes: tuple[str, ...],
    given: Mapping[str, Counter[str]] | None = None,
) -> dict[str, Human]:
    """What people say of each sample on one axis: what was settled, else what most say; a tie says nothing.

    A sample that nobody judged takes what people say of its collapse set, where they do not contradict each other.
    `given`: `votes`, where they are known.
    """
    own: dict[str, Human] = {}
    given = votes(catalog, axis, taxonomy) if given is None else given
    for name, counts in given.items():
        if (winner := consensus(counts, classes)) is not None:
            own[name] = winner
    for name, label in precedents(catalog, axis, taxonomy).items():
        if label in classes:
            own[name] = _ruled(label, given.get(name, Counter()), classes)
    if not own:
        return own
    sets: defaultdict[str, list[str]] = defaultdict(list)
    for sample, collapse in judged_sets(catalog, axis, taxonomy).items():
        sets[collapse].append(sample)
    return own | _carried(own, sets)


def judged_sets(catalog: Catalog, axis: str, taxonomy: str) -> dict[str, str]:
    """The collapse set of every sample that is in one with a sample that people judged, by sample."""
    return dict(catalog.iterate_tuples(_JUDGED_SETS, (axis, taxonomy) * 2))


_JUDGED_SETS = """
SELECT sample, collapse FROM members WHERE collapse IN (
    SELECT m.collapse FROM members m JOIN (
        SELECT sample FROM decisions WHERE axis = ? AND taxonomy = ?
        UNION SELECT sample FROM precedents WHERE axis = ? AND taxonomy = ?
    ) USING (sample)
) ORDER BY sample
"""


def consensus(counts: Mapping[str, int], classes: tuple[str, ...]) -> Human | None:
    """The class that more people chose than any other; None for a tie, or where nobody chose a class."""
    chosen = {label: n for label, n in counts.items() if label in classes}
    most = max(chosen.values(), default=0)
    first = [label for label, n in chosen.items() if n == most]
    if not most or len(first) > 1:
        return None
    n = sum(chosen.values())
    return Human(first[0], n, most / n)


def _ruled(label: str, counts: Mapping[str, int], classes: tuple[str, ...]) -> Human:
    """What was settled, with whoever settled it as one more who judged."""
    n = 1 + sum(counts.get(one, 0) for one in classes)
    return Human(label, n, (1 + counts.get(label, 0)) / n)


def _carried(own: Mapping[str, Human], sets: Mapping[str, list[str]]) -> dict[str, Human]:
    found: dict[str, Human] = {}
    for members in sets.values():
        judged = [own[name] for name in members if name in own]
        if len({one.label for one in judged}) == 1:
            best = max(judged, key=lambda one: (one.n, one.agreement))
            carried = Human(best.label, best.n, best.agreement, carried=True)
            found |= {name: carried for name in members if name not in own}
    return found
