"""Who contradicts whom: sources within what looks alike, people within one picture. Rows with a reason for review."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curate.dedupe.groups import Rows
from curate.store import views
from curate.store.taxonomies import renamed
from curate.store.workspace import Workspace

HumanLabels = dict[str, dict[str, str]]  # axis -> sample -> the label that people gave this very sample
Row = tuple[str, str, str, str]  # kind, subject, axis, reason


def judged(ws: Workspace) -> HumanLabels:
    """What people say of each sample that they looked at, where they do not contradict each other."""
    taxonomy = ws.config.taxonomy
    found: HumanLabels = {}
    for axis in taxonomy.axes:
        votes = views.votes(ws.catalog, axis.name, taxonomy.version)
        said = ((sample, views.consensus(counts, axis.classes)) for sample, counts in votes.items())
        found[axis.name] = {sample: human.label for sample, human in said if human is not None}
    return found


@dataclass(frozen=True)
class Disputes:
    """What sources contradict each other about: rows for review, and the samples concerned, as (axis, sample)."""

    conflicts: list[Row]
    samples: list[tuple[str, str]]


def declared(ws: Workspace, ids: Sequence[str], near: Rows, names: Sequence[str]) -> Disputes:
    """Groups in which sources declare different classes for samples that look alike as a whole.

    `near` has component labels (int64[n]) by that: an album, or one frame in common, alone is no conflict.
    """
    at = {one: row for row, one in enumerate(ids)}
    found = Disputes([], [])
    for axis in ws.config.taxonomy.axes:
        rows, labels, classes = _said(ws, axis.name, at)
        number = len(classes)
        sets = np.unique(near[rows] * number + labels) // max(number, 1)
        several = np.unique(sets[1:][sets[1:] == sets[:-1]])
        found.samples.extend((axis.name, ids[row]) for row in np.flatnonzero(np.isin(near, several)).tolist())
        concerned = np.isin(near[rows], several)
        once = np.unique(rows[concerned] * number + labels[concerned])
        groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row, label in zip(*(part.tolist() for part in np.divmod(once, max(number, 1))), strict=True):
            groups[names[row]][classes[label]] += 1
        for name, counts in groups.items():
            found.conflicts.append(("declared", name, axis.name, f"sources declare {_listed(counts)}"))
    return found


def _said(ws: Workspace, axis: str, at: Mapping[str, int]) -> tuple[Rows, Rows, list[str]]:
    """Each declaration on an axis: its row, its class (a place in the list), the classes."""
    sql = """
    SELECT c.sample, d.label FROM declared d JOIN candidates c USING (candidate)
    WHERE d.axis = ? AND c.sample IS NOT NULL
    """
    now = renamed(ws.catalog, axis, ws.config.taxonomy.version)
    numbers: dict[str, int] = {}
    found = [
        (sample, now[label][0] if len(now.get(label, ())) == 1 else label)
        for sample, label in ws.catalog.iterate_tuples(sql, (axis,))
    ]
    rows = np.array([at.get(sample, -1) for sample, _ in found], dtype=np.int64)
    labels = np.array([numbers.setdefault(label, len(numbers)) for _, label in found], dtype=np.int64)
    return rows[rows >= 0], labels[rows >= 0], list(numbers)


def human(ids: Sequence[str], collapse: Sequence[str], judged: HumanLabels) -> Iterator[Row]:
    """Collapse sets whose members people gave different labels."""
    for axis, labels in judged.items():
        sets: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for one, name in zip(ids, collapse, strict=True) if labels else ():
            if one in labels:
                sets[name][labels[one]] += 1
        for name, counts in sets.items():
            if len(counts) > 1:
                yield "human", name, axis, f"people say {_listed(counts)}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{label} ({n})" for label, n in sorted(counts.items()))
