"""Draws splits so that each class has its share of every split, as far as groups allow, and nothing placed moves.

A group goes where the hash of its name says, so that it goes there in every workspace with this salt, unless that split
has its quota of the group's class already: the share of all rows of the class that are there, rounded by the largest
remainder. Those groups, the ones whose points are last, go where their class is furthest behind: the least
(g + 2p) / share, for g rows beside the p that a split has (Webster's method, by which seats are given for votes).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.dedupe.conflicts import HumanLabels
from curate.dedupe.groups import Rows, hash_points, hash_split
from curate.records import SPLITS
from curate.store import samples
from curate.store.workspace import Workspace

Counts = Sequence[tuple[int, int]]  # of a group: a class (a place) and how many of its rows are of it


@dataclass(frozen=True)
class Strata:
    """What a draw balances: n rows, with the group of each (its first row), its class (a place) and whether it counts.

    `remembered` int64[n]: the split of a row that was placed before, -1 of others. Of what collapses one row counts.
    """

    groups: Rows
    classes: Rows
    counts: npt.NDArray[np.bool_]
    remembered: Rows

    def draw(self, salt: str, shares: Mapping[str, float], names: Sequence[str], heads: Rows, taken: Rows) -> Rows:
        """The splits of the groups with these names and first rows (ascending), as places in SPLITS; int64[n].

        `taken`: the split of each group that has one already, at its first row; -1 of others.
        """
        size = int(self.classes.max(initial=-1)) + 1
        mine, drawn = self._of_groups(heads, size), hash_split(salt, shares, names)
        tally = _Tally(self._placed(taken, size), _quotas(self._placed(taken, size, heads), shares), shares)
        order = np.argsort(hash_points(salt, names), kind="stable").tolist()
        late = [at for at in order if not tally.fits(int(drawn[at]), mine[at])]
        for at in late:
            drawn[at] = tally.furthest_behind(mine[at])
        return drawn

    def _placed(self, taken: Rows, size: int, new: Rows | None = None) -> list[list[int]]:
        """How many rows of each class each split has; with `new` groups, as if these were of the first split.

        A row that leaves its group's split is in no release.
        """
        split = taken.copy()
        if new is not None:
            split[new] = 0
        split = split[self.groups]
        stays = self.counts & (split >= 0) & ((self.remembered < 0) | (self.remembered == split))
        found = np.zeros((len(SPLITS), size), dtype=np.int64)
        np.add.at(found, (split[stays], self.classes[stays]), 1)
        rows: list[list[int]] = found.tolist()
        return rows

    def _of_groups(self, heads: Rows, size: int) -> list[Counts]:
        """Of each group how many rows of which classes count."""
        rows = np.flatnonzero(self.counts)
        rows = rows[np.isin(self.groups[rows], heads)]
        place = np.searchsorted(heads, self.groups[rows])
        pairs, n = np.unique(place * max(size, 1) + self.classes[rows], return_counts=True)
        found: list[list[tuple[int, int]]] = [[] for _ in range(len(heads))]
        for pair, many in zip(pairs.tolist(), n.tolist(), strict=True):
            found[pair // size].append((pair % size, many))
        return list(found)


class _Tally:
    """How many rows of each class each split has, and may have."""

    def __init__(self, placed: list[list[int]], quotas: list[list[int]], shares: Mapping[str, float]) -> None:
        self._placed, self._quotas = placed, quotas
        self._open = [(place, shares[split]) for place, split in enumerate(SPLITS) if shares[split] > 0]
        self._weights = [1 / max(sum(whole), 1) for whole in zip(*quotas, strict=True)]

    def fits(self, split: int, mine: Counts) -> bool:
        """Put a group into a split, where that has room for it."""
        if not self._has_room(split, mine):
            return False
        self._put(split, mine)
        return True

    def furthest_behind(self, mine: Counts) -> int:
        """Put a group into the split that lacks its classes most, of those with room for it, and say which."""
        best, least = self._open[0][0], float("inf")
        for split, share in [one for one in self._open if self._has_room(one[0], mine)] or self._open:
            there = self._placed[split]
            cost = sum(n * (n + 2 * there[one]) * self._weights[one] for one, n in mine) / share
            if cost < least:
                best, least = split, cost
        self._put(best, mine)
        return best

    def _has_room(self, split: int, mine: Counts) -> bool:
        there, room = self._placed[split], self._quotas[split]
        return all(there[one] + n <= room[one] for one, n in mine)

    def _put(self, split: int, mine: Counts) -> None:
        for one, n in mine:
            self._placed[split][one] += n


def _quotas(rows: Sequence[Sequence[int]], shares: Mapping[str, float]) -> list[list[int]]:
    """How many rows of each class a split is to have: its share, what is left over by the largest remainder (of equal
    ones test before val before train)."""
    found: list[list[int]] = [[] for _ in SPLITS]
    for whole in map(sum, zip(*rows, strict=True)):
        exact = [round(whole * shares[split], 9) for split in SPLITS]
        quota = [int(one) for one in exact]
        by_remainder = sorted(range(len(SPLITS)), key=lambda place: (quota[place] - exact[place], -place))
        for place in by_remainder[: whole - sum(quota)]:
            quota[place] += 1
        for column, n in zip(found, quota, strict=True):
            column.append(n)
    return found


def classes_of(ws: Workspace, ids: Sequence[str], judged: HumanLabels) -> Rows:
    """The class of each row that is known before labels are made: people's, else the one that sources declare.

    A place in the first axis's classes; the one after the last where nothing is known, or sources contradict each
    other.
    """
    axis = ws.config.taxonomy.first
    place = {name: n for n, name in enumerate(axis.classes)}
    said = samples.declared(ws.catalog, axis.name)
    known = {one: labels[0] for one, labels in said.items() if len(labels) == 1} | judged.get(axis.name, {})
    unknown = len(axis.classes)
    return np.fromiter((place.get(known.get(one, ""), unknown) for one in ids), dtype=np.int64, count=len(ids))
