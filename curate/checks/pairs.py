"""Which pairs of rows are listed: all of a small group; of a large one, each row with its nearest ones.

So a list grows with the rows and not with their pairs: 10,000 equal files are 50 million pairs, and 9,999 are listed.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from curate.checks.measures import FAR, SAME_BYTES
from curate.checks.sides import Counts, Ids, Sides

SMALL = 50  # rows of a group of which all pairs are listed
LEAK, CONFLICT, DUPLICATE = range(3)  # in which list a pair is: the first of them that it is
ALONE = -1  # what stands beside a row that was compared with too few to name one
_COLUMNS = 5  # of a pair: left, right, group, how far apart, in which list


@dataclass
class Listed:
    """Pairs of rows, packed: they may be many. `found` is how many are near in all, listed or not."""

    found: int = 0
    _packed: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, pairs: Ids, near: int) -> None:
        """Take the pairs of a group, int64[m, 5], of the `near` ones that it has."""
        self.found += near
        self._packed.frombytes(np.ascontiguousarray(pairs, dtype=np.int64).tobytes())

    @property
    def left_out(self) -> int:
        """How many near pairs are not listed."""
        every = self._every()
        return self.found - int((every[:, 1] != ALONE).sum())

    def of(self, kind: int) -> Ids:
        """The pairs of one list by group, the closest first: int64[m, 5]."""
        every = self._every()
        some = every[every[:, 4] == kind]
        by_group: Ids = some[np.lexsort((some[:, 1], some[:, 0], some[:, 3], some[:, 2]))]
        return by_group

    def _every(self) -> Ids:
        return np.frombuffer(self._packed, dtype=np.int64).reshape(-1, _COLUMNS)


class Group:
    """The rows of one group, picture by picture, and the pairs of them that are found while it is gone through."""

    def __init__(self, places: Sequence[Sequence[int]], some: Ids, sides: Sides) -> None:
        mentions = [places[p] for p in some.tolist()]
        self._sides, self._some = sides, some
        self._counts = np.array([len(one) for one in mentions], dtype=np.int64)
        self._rows = np.array([row for one in mentions for row in one], dtype=np.int64)
        self._at = np.repeat(np.arange(len(some)), self._counts)  # whose picture's each row is, by place in the group
        self._first = None if len(self._rows) <= SMALL else _First(mentions, sides)
        self._found: list[Ids] = []
        self._near = 0

    def take(self, block: Ids, bits: Counts, whole: Counts, last: int) -> None:
        """What one block of places is near to: how far the nearest frames are, and the first ones; int64[b, m].

        Places from `last` on come in no block: what is near to them is met once, all else twice.
        """
        weights = np.where(np.arange(len(self._some)) < last, self._counts, 2 * self._counts)
        self._near += int(self._counts[block] @ ((bits < FAR) @ weights)) - int(self._counts[block].sum())
        mine = np.flatnonzero((self._at >= block[0]) & (self._at <= block[-1]))
        if self._first is None:
            left, right = (some + mine[0] for some in np.triu_indices(len(mine), 1, len(self._rows) - mine[0]))
            chosen = bits[self._at[left] - block[0], self._at[right]] < FAR
            self._keep(left[chosen], right[chosen], block, bits, whole)
            return
        for left, rows in self._nearest(self._first, mine, block, bits, whole):
            self._keep(left, rows, block, bits, whole)

    def pairs(self, number: int, last: int) -> tuple[Ids, int]:
        """The pairs that are listed, int64[m, 5], and how many there are that are near."""
        pairs = np.unique(np.concatenate(self._found), axis=0)
        alone = self._rows[self._at >= last]
        rest = np.stack([alone, *(np.full_like(alone, what) for what in (ALONE, FAR, DUPLICATE))], axis=1)
        every = np.concatenate([pairs, rest])
        return np.insert(every, 2, number, axis=1), self._near // 2

    def _keep(self, left: Ids, right: Ids, block: Ids, bits: Counts, whole: Counts) -> None:
        """Keep pairs of places among the rows: int64[m, 4] of rows, how far apart, and in which list."""
        at = self._at[left] - block[0], self._at[right]
        far, alike = bits[at], whole[at] < FAR
        one, other = self._rows[left], self._rows[right]
        splits, labels = (of[np.stack([one, other])] for of in (self._sides.split, self._sides.label))
        leak = (splits >= 0).all(axis=0) & (splits[0] != splits[1])
        torn = alike & (labels >= 0).all(axis=0) & (labels[0] != labels[1])
        turned = np.where(leak, splits[0] > splits[1], one > other)
        one, other = np.where(turned, other, one), np.where(turned, one, other)
        kind = np.where(leak, LEAK, np.where(torn, CONFLICT, DUPLICATE))
        self._found.append(np.stack([one, other, far, kind], axis=1))

    def _nearest(
        self, first: "_First", mine: Ids, block: Ids, bits: Counts, whole: Counts
    ) -> Iterator[tuple[Ids, Ids]]:
        """Each row of a block with its nearest, its nearest in each other split, and its nearest of another label."""
        picture = self._at[mine] - block[0]
        far = bits.copy()
        far[np.arange(len(block)), block] = np.where(self._counts[block] > 1, SAME_BYTES, FAR)
        nearest = far.argmin(axis=1)[picture]
        other = np.where(first.row[nearest] == mine, first.second[nearest], first.row[nearest])
        yield mine, other
        split, label = self._sides.split[self._rows[mine]], self._sides.label[self._rows[mine]]
        for there in range(first.split.shape[1]):
            rows = _row(np.where(first.split[:, there] >= 0, bits, FAR), picture, first.split[:, there])
            some = (rows >= 0) & (split >= 0) & (split != there)
            yield mine[some], rows[some]
        for here in np.unique(label[label >= 0]).tolist():
            own = first.label == here
            others = np.where(own, first.other, first.label_row)
            rows = _row(np.where(others >= 0, whole, FAR), picture, others)
            some = (rows >= 0) & (label == here)
            yield mine[some], rows[some]


def _row(far: Counts, picture: Ids, rows: Ids) -> Ids:
    """For each picture of a block, the given row of the nearest one; -1 where none is near: int64[b]."""
    nearest = far.argmin(axis=1)
    near = far[np.arange(len(far)), nearest] < FAR
    found: npt.NDArray[np.int64] = np.where(near, rows[nearest], -1)[picture]
    return found


class _First:
    """Of each picture of a group, where among the group's rows its first one of each kind is; -1: none.

    `row`, `second` int64[m]; `split` int64[m, splits]; `label_row` the first with a label, `label` which that is, and
    `other` the first with another one.
    """

    def __init__(self, mentions: Sequence[Sequence[int]], sides: Sides) -> None:
        size = len(mentions)
        self.row, self.second, self.label_row, self.label, self.other = np.full((5, size), -1, dtype=np.int64)
        self.split = np.full((size, len(sides.splits)), -1, dtype=np.int64)
        at = 0
        for place, rows in enumerate(mentions):
            self.row[place], self.second[place] = at, at + 1 if len(rows) > 1 else -1
            for row in rows:
                split, label = sides.split[row], sides.label[row]
                if split >= 0 and self.split[place, split] < 0:
                    self.split[place, split] = at
                if label >= 0 and self.label_row[place] < 0:
                    self.label_row[place], self.label[place] = at, label
                elif label >= 0 and label != self.label[place] and self.other[place] < 0:
                    self.other[place] = at
                at += 1
