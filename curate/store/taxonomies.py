"""How decisions came from one version of the taxonomy to the next, as `curate relabel` recorded it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curate.store.catalog import Catalog

CARRIED = "carried"  # what `shown` says of a decision that a mapping carried over from an earlier version
Targets = Mapping[str, tuple[str, ...]]  # of an old class the new ones: one is the same, several are a split, none


@dataclass(frozen=True)
class Change:
    """One mapping that was applied: from version `origin` to `taxonomy`, by axis, and why."""

    taxonomy: str
    origin: str
    reason: str
    axes: Mapping[str, Targets]


def changes(catalog: Catalog, taxonomy: str) -> list[Change]:
    """Every mapping that leads to a version, the last ones first; of none there are no decisions here."""
    known: dict[str, list[Change]] = {}
    for row in catalog.all("SELECT taxonomy, origin, reason, axes FROM relabels ORDER BY taxonomy, origin"):
        one = Change(row["taxonomy"], row["origin"], row["reason"], targets(json.loads(row["axes"])))
        known.setdefault(one.taxonomy, []).append(one)
    found, open_ = list[Change](), [taxonomy]
    while open_:  # no version leads to itself: `curate relabel` refuses it
        now = known.pop(open_.pop(0), [])
        found += now
        open_ += [one.origin for one in now]
    return found


def targets(axes: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, Targets]:
    """From JSON."""
    return {axis: {old: tuple(new) for old, new in each.items()} for axis, each in axes.items()}


def renamed(catalog: Catalog, axis: str, taxonomy: str) -> dict[str, tuple[str, ...]]:
    """What the class names of earlier versions stand for now, where a mapping says so: sources go on declaring them.

    A name that is still a class is that class.
    """
    found: dict[str, tuple[str, ...]] = {}
    classes = set[str]()
    for one in changes(catalog, taxonomy):
        last, each = one.taxonomy == taxonomy, one.axes.get(axis, {})
        classes |= {name for new in each.values() for name in new} if last else set()
        for old, new in each.items():
            now = new if last else tuple(dict.fromkeys(name for two in new for name in found.get(two, (two,))))
            found.setdefault(old, now)
    return {old: new for old, new in found.items() if old not in classes}


def harmless(safe: Sequence[str], before: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The names that mean something safe: of classes, and of earlier ones (as `renamed` gives them) that became nothing
    else."""
    return (*safe, *(old for old, new in before.items() if new and set(new) <= set(safe)))
