"""Who contradicts whom: sources within what looks alike, people within one picture. Rows with a reason for review."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from curate.groups import Rows
from curate.store import views
from curate.store.workspace import Workspace

Judged = dict[str, dict[str, str]]  # axis -> sample -> the label that people gave this very sample
Row = tuple[str, str, str, str]  # kind, subject, axis, reason


def judged(ws: Workspace) -> Judged:
    """What people say of each sample that they looked at, where they do not contradict each other."""
    taxonomy = ws.config.taxonomy
    found: Judged = {}
    for axis in taxonomy.axes:
        votes = views.votes(ws.catalog, axis.name, taxonomy.version)
        said = ((sample, views.consensus(counts, axis.classes)) for sample, counts in votes.items())
        found[axis.name] = {sample: human.label for sample, human in said if human is not None}
    return found


def declared(ws: Workspace, ids: Sequence[str], near: Rows, names: Sequence[str]) -> Iterator[Row]:
    """Groups in which sources declare different classes for samples that look alike; an album alone is no conflict."""
    at = {one: row for row, one in enumerate(ids)}
    for axis in ws.config.taxonomy.axes:
        rows, labels, classes = _said(ws, axis.name, at)
        number = len(classes)
        sets = np.unique(near[rows] * number + labels) // max(number, 1)
        several = np.unique(sets[1:][sets[1:] == sets[:-1]])
        concerned = np.isin(near[rows], several)
        once = np.unique(rows[concerned] * number + labels[concerned])
        groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row, label in zip(*(part.tolist() for part in np.divmod(once, max(number, 1))), strict=True):
            groups[names[row]][classes[label]] += 1
        for name, counts in groups.items():
            yield "declared", name, axis.name, f"sources declare {_listed(counts)}"


def _said(ws: Workspace, axis: str, at: Mapping[str, int]) -> tuple[Rows, Rows, list[str]]:
    """Each declaration on an axis: its row, its class (a place in the list), the classes."""
    sql = """
    SELECT c.sample, d.label FROM declared d JOIN candidates c USING (candidate)
    WHERE d.axis = ? AND c.sample IS NOT NULL
    """
    numbers: dict[str, int] = {}
    found = list(ws.catalog.values(sql, (axis,)))
    rows = np.array([at.get(sample, -1) for sample, _ in found], dtype=np.int64)
    labels = np.array([numbers.setdefault(label, len(numbers)) for _, label in found], dtype=np.int64)
    return rows[rows >= 0], labels[rows >= 0], list(numbers)


def human(ids: Sequence[str], collapse: Sequence[str], judged: Judged) -> Iterator[Row]:
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
