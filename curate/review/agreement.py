"""Inter-annotator agreement, accuracy on gold items, and progress.

Reviewers appear under pseudonyms; how fast somebody works, and what somebody looked at, is told to that person alone.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from curate.records import UNSURE, Axis
from curate.review import yields
from curate.review.guideline import guideline, precedents
from curate.store import views
from curate.store.catalog import Catalog
from curate.store.reviewer import pseudonym, reviewer_name
from curate.store.workspace import Workspace

PAIRS = 10  # pairs of reviewers, those with most items in common
BLOCK = 20  # gold items that make a point in time


def stats(ws: Workspace, reviewer: str | None = None) -> dict[str, Any]:
    """Everything that decisions say about themselves, by axis and by queue; with a reviewer, also that one's own."""
    found: dict[str, Any] = {
        "taxonomy": ws.config.taxonomy.version,
        "guideline": guideline(ws.config.taxonomy).version,
        "axes": [_axis(ws, axis) for axis in ws.config.taxonomy.axes],
        "queues": _queues(ws.catalog),
        "precedents": [vars_of(one) for one in precedents(ws.catalog, ws.config.taxonomy)],
    }
    return found | ({"you": _own(ws, reviewer_name(reviewer))} if reviewer is not None else {})


def vars_of(one: Any) -> dict[str, Any]:
    """A slotted dataclass as a dict."""
    return {name: getattr(one, name) for name in one.__slots__}


# -- one axis --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Blind:
    """Labels that people gave without seeing anybody's: by sample, by reviewer; what was unsure is no label."""

    axis: Axis
    by_sample: Mapping[str, Mapping[str, str]]
    group: Mapping[str, str]

    def double(self) -> list[str]:
        """The samples with two labels or more, sorted."""
        return sorted(name for name, given in self.by_sample.items() if len(given) > 1)

    def groups(self, samples: Sequence[str]) -> list[str]:
        """The near-duplicate group of each: what looks alike is no news."""
        return [self.group.get(name, name) for name in samples]


def _axis(ws: Workspace, axis: Axis) -> dict[str, Any]:
    taxonomy = ws.config.taxonomy.version
    votes = views.votes(ws.catalog, axis.name, taxonomy)
    sql = "SELECT reviewer, label FROM in_force WHERE axis = ? AND taxonomy = ?"
    given = ws.catalog.all(sql, (axis.name, taxonomy))
    blind = _blind(ws.catalog, axis, taxonomy)
    return {
        "axis": axis.name,
        "decisions": len(given),
        "reviewers": len({row["reviewer"] for row in given}),
        "samples": len(votes),
        "unsure": sum(row["label"] == UNSURE for row in given),
        "consensus": _consensus(ws, axis, votes),
        "double": {"n": len(blind.double()), "share": _share(len(blind.double()), len(votes))},
        **_alpha(blind),
        "pairs": _pairs(ws.catalog, blind),
        "gold": _gold(ws, axis),
        "queues": yields.queues(ws.catalog, axis, taxonomy),
        "repeats": yields.repeats(ws.catalog, axis, taxonomy),
    }


def _blind(catalog: Catalog, axis: Axis, taxonomy: str) -> _Blind:
    sql = """
    SELECT sample, reviewer, label FROM in_force WHERE axis = ? AND taxonomy = ? AND shown = 'blind'
    ORDER BY decision
    """
    by: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for row in catalog.all(sql, (axis.name, taxonomy)):
        if row["label"] in axis.classes:
            by[row["sample"]][row["reviewer"]] = row["label"]
    group = {row["sample"]: row["grp"] for row in catalog.iterate("SELECT sample, grp FROM members")}
    return _Blind(axis, by, group)


def _consensus(ws: Workspace, axis: Axis, votes: Mapping[str, Counter[str]]) -> dict[str, int]:
    """How each judged sample got its label, or why it has none: adjudicated, unanimous, majority, tie, all unsure."""
    settled = views.precedents(ws.catalog, axis.name, ws.config.taxonomy.version)
    kinds = Counter(_kind(name in settled, counts, axis) for name, counts in votes.items())
    return {kind: kinds[kind] for kind in ("settled", "unanimous", "majority", "tie", "unsure")}


def _kind(settled: bool, counts: Mapping[str, int], axis: Axis) -> str:
    given = [label for label in counts if label in axis.classes]
    if settled:
        return "settled"
    if not given:
        return "unsure"
    if len(given) == 1:
        return "unanimous"
    return "tie" if views.consensus(counts, axis.classes) is None else "majority"


def _alpha(blind: _Blind) -> dict[str, Any]:
    """Krippendorff's alpha over all classes, and of each class against the rest."""
    import numpy as np

    from curate.stats.interrater import alpha, measured

    samples, classes = blind.double(), blind.axis.classes
    counts = np.zeros((len(samples), len(classes)))
    for n, name in enumerate(samples):
        for label in blind.by_sample[name].values():
            counts[n, classes.index(label)] += 1
    groups = blind.groups(samples)
    value, interval = measured(alpha(counts), groups)
    each = []
    for place, name in enumerate(classes):
        rest = np.stack([counts[:, place], counts.sum(axis=1) - counts[:, place]], axis=1)
        one, between = measured(alpha(rest), groups)
        each.append({"class": name, "n": int(counts[:, place].sum()), "alpha": one, "interval": between})
    return {"alpha": value, "alpha_interval": interval, "classes": each}


def _pairs(catalog: Catalog, blind: _Blind) -> list[dict[str, Any]]:
    """Cohen's kappa of the pairs of reviewers with most items in common, over all classes and of each class."""
    common: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name in blind.double():
        for pair in combinations(sorted(blind.by_sample[name]), 2):
            common[pair].append(name)
    ranked = sorted(common.items(), key=lambda one: (-len(one[1]), one[0]))[:PAIRS]
    return [{"reviewers": [pseudonym(catalog, one) for one in pair]} | _kappa(blind, pair, of) for pair, of in ranked]


def _kappa(blind: _Blind, pair: tuple[str, str], samples: Sequence[str]) -> dict[str, Any]:
    import numpy as np

    from curate.stats.interrater import kappa, measured

    classes, groups = blind.axis.classes, blind.groups(samples)
    first, second = (np.array([classes.index(blind.by_sample[name][who]) for name in samples]) for who in pair)
    value, interval = measured(kappa(first, second, len(classes)), groups)
    each = []
    for place, name in enumerate(classes):
        sides = [(side == place).astype(np.int64) for side in (first, second)]
        one, between = measured(kappa(sides[0], sides[1], 2), groups)
        each.append({"class": name, "kappa": one, "interval": between})
    same = float((first == second).mean())
    found = {"n": len(samples), "same": round(same, 4), "kappa": value, "kappa_interval": interval}
    return found | {"classes": each}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


# -- against known answers -------------------------------------------------------------------------------------------

_ON_GOLD = """
SELECT d.reviewer, d.sample, d.label, d.decided_at FROM in_force d
JOIN queue_items i ON i.queue = d.queue AND i.sample = d.sample AND i.gold
WHERE d.axis = ? AND d.taxonomy = ? ORDER BY d.decision
"""


def _gold(ws: Workspace, axis: Axis) -> list[dict[str, Any]]:
    """Each reviewer on gold items mixed in: how many right, and in blocks over time (drift); unsure is not right."""
    answers = views.settled(ws.catalog, axis.name, ws.config.taxonomy.version, axis.classes)
    given: defaultdict[str, list[tuple[str, bool]]] = defaultdict(list)
    for row in ws.catalog.all(_ON_GOLD, (axis.name, ws.config.taxonomy.version)):
        if row["sample"] in answers:
            given[row["reviewer"]].append((row["decided_at"], row["label"] == answers[row["sample"]]))
    named = {pseudonym(ws.catalog, name): rows for name, rows in given.items()}
    return [{"reviewer": name} | _right(rows) | {"over_time": _blocks(rows)} for name, rows in sorted(named.items())]


def _blocks(rows: Sequence[tuple[str, bool]]) -> list[dict[str, Any]]:
    """Blocks of BLOCK gold items in time's order; the last is larger rather than small."""
    starts = range(0, max(len(rows) // BLOCK, 1) * BLOCK, BLOCK)
    blocks = [rows[start : start + BLOCK if start + 2 * BLOCK <= len(rows) else None] for start in starts]
    return [{"from": some[0][0][:10], "to": some[-1][0][:10]} | _right(some) for some in blocks if some]


def _right(rows: Sequence[tuple[str, bool]]) -> dict[str, Any]:
    from curate.stats.intervals import wilson

    right = sum(one for _, one in rows)
    return {"n": len(rows), "right": _share(right, len(rows)), "interval": wilson(right, len(rows))}


# -- queues, and one's own -------------------------------------------------------------------------------------------


def _queues(catalog: Catalog) -> list[dict[str, Any]]:
    """How far people have come with each queue: items, those with a decision in force, and decisions."""
    sql = """
    SELECT q.queue, q.kind, q.axis, json_extract(q.detail, '$.items') AS items,
        (SELECT count(DISTINCT sample) FROM in_force d WHERE d.queue = q.queue AND d.session IS NOT NULL) AS judged,
        (SELECT count(*) FROM in_force d WHERE d.queue = q.queue AND d.session IS NOT NULL) AS decisions
    FROM queues q ORDER BY q.created_at, q.queue
    """
    return [dict(row) for row in catalog.all(sql)]


def _own(ws: Workspace, reviewer: str) -> dict[str, Any]:
    """What is this person's business alone. `pace`: median seconds a decision; `days`: decisions and pace by day."""
    rows = ws.catalog.all("SELECT seconds, decided_at FROM in_force WHERE reviewer = ?", (reviewer,))
    days: defaultdict[str, list[float | None]] = defaultdict(list)
    for row in rows:
        days[row["decided_at"][:10]].append(row["seconds"])
    events = "SELECT kind, count(*) FROM review_events WHERE reviewer = ? GROUP BY kind"
    kinds = {row[0]: row[1] for row in ws.catalog.all(events, (reviewer,))}
    return {
        "reviewer": reviewer,
        "pseudonym": pseudonym(ws.catalog, reviewer),
        "decisions": len(rows),
        "pace": _pace([row["seconds"] for row in rows]),
        "days": [{"day": day, "n": len(some), "pace": _pace(some)} for day, some in sorted(days.items())],
        **{name: kinds.get(kind, 0) for name, kind in _EVENTS.items()},
    }


_EVENTS = {"revealed": "reveal", "skipped": "skip", "declined": "decline", "escalated": "escalate"}


def _pace(seconds: Sequence[float | None]) -> float | None:
    known = [one for one in seconds if one is not None]
    return round(statistics.median(known), 1) if known else None
