"""Which samples hang together, what their group is called, which split it has, and who survives: pure arithmetic.

Samples are rows of arrays, sorted by id. Nothing here depends on the order in which anything arrived.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from curate.near.components import flatten, union
from curate.records import SPLITS

Rows = npt.NDArray[np.int64]
Said = tuple[str, str]
Alike = Callable[[Rows, Rows], npt.NDArray[np.bool_]]
Draw = Callable[[Sequence[str], Rows, Rows], Rows]  # names of groups, their first rows, splits by first row -> splits
STARS = 256  # collapse sets that one chain of look-alikes may fall into; past it, what is left stays uncollapsed


class Names:
    """Numbers for names, in their order: those of the samples that are there, and those of groups that are gone."""

    def __init__(self, ids: Sequence[str], gone: Iterable[str]) -> None:
        self._ids = ids
        self._gone = sorted(set(gone))
        self._before = np.array([bisect_left(ids, name) for name in self._gone], dtype=np.int64)
        rows = np.arange(len(ids))
        self.of_rows: Rows = rows + np.searchsorted(self._before, rows, side="right")
        self._numbers = {
            name: int(before) + n for n, (name, before) in enumerate(zip(self._gone, self._before, strict=True))
        }

    def __len__(self) -> int:
        return len(self._ids) + len(self._gone)

    def of_gone(self, name: str) -> int:
        """The number of a name that is nobody's here."""
        return self._numbers[name]

    def spelled(self) -> list[str]:
        """Every name, by number."""
        return sorted([*self._ids, *self._gone])


@dataclass(frozen=True)
class Memory:
    """What earlier runs said of each row: its group's name (a number of `known`), its split (a place in SPLITS).

    `minimum_splits`: the strongest split that the group of that name had of members taken down since. int64[n] each;
    -1 where nothing was said. Nothing here is forgotten.
    """

    known: Names
    names: Rows
    splits: Rows
    minimum_splits: Rows

    @classmethod
    def from_remembered(
        cls,
        ids: Sequence[str],
        names: Iterable[Said],
        splits: Iterable[Said],
        minimum_splits: Mapping[str, str] | None = None,
    ) -> "Memory":
        """From what is remembered, as (id, name) and (id, split); those who are not there count for nothing."""
        at = {one: row for row, one in enumerate(ids)}
        here = [(at[one], at.get(name, -1), name) for one, name in names if one in at]
        known = Names(ids, (name for _, to, name in here if to < 0))
        found, kept, least = (np.full(len(ids), -1, dtype=np.int64) for _ in range(3))
        for row, to, name in here:
            found[row] = known.of_gone(name) if to < 0 else known.of_rows[to]
            if minimum_splits and name in minimum_splits:
                least[row] = SPLITS.index(minimum_splits[name])
        for one, split in splits:
            if one in at:
                kept[at[one]] = SPLITS.index(split)
        return cls(known, found, kept, least)

    def beside(self, wanted: Rows) -> "Memory":
        """The same where a split is asked for some rows (-1: none is): their groups are of that one, or a stronger."""
        return replace(self, minimum_splits=np.maximum(self.minimum_splits, wanted))


@dataclass(frozen=True)
class Grouping:
    """Each row's group, the split it keeps (a place in SPLITS), and the split for whose sake it leaves (-1: it stays).

    `renamed` are the rows whose group had another name so far, or none.
    """

    names: list[str]
    splits: Rows
    merged: Rows
    renamed: Rows


def merge_components(near: Rows, tied: Rows) -> Rows:
    """Component labels (int64[n], each the smallest row): `near`'s, merged along the pairs `tied` (int64[m, 2])."""
    parent = near.copy()
    union(parent, tied[:, 0], tied[:, 1])
    return flatten(parent)


def remembered_pairs(memory: Memory) -> Rows:
    """The rows that once were in one group, and the row that the group was named after, in pairs: int64[m, 2].

    A group never comes apart.
    """
    rows = np.flatnonzero(memory.names >= 0)
    ahead = np.full(len(memory.known), len(memory.names), dtype=np.int64)  # a name's first row, or whose name it is
    np.minimum.at(ahead, memory.names[rows], rows)
    ahead[memory.known.of_rows] = np.arange(len(memory.names))
    first = ahead[memory.names[rows]]
    apart = first != rows
    return np.stack([first[apart], rows[apart]], axis=1)


def assign(ids: Sequence[str], groups: Rows, memory: Memory, draw: Draw) -> Grouping:
    """Names and splits of groups, which are given as component labels (int64[n], the smallest row of each).

    A group takes the smallest name that one of its members remembers, else the smallest id among them. It takes the
    strongest split that one of them remembers (test, then val, then train: what is tested on must not be trained on),
    else what `draw` says of it. A member that remembers another split keeps it, and leaves the next release.
    """
    nobody = len(memory.known)
    name = np.full(len(ids), nobody, dtype=np.int64)
    np.minimum.at(name, groups, np.where(memory.names < 0, nobody, memory.names))
    name = np.where(name == nobody, memory.known.of_rows, name)
    split = np.full(len(ids), -1, dtype=np.int64)
    np.maximum.at(split, groups, np.maximum(memory.splits, memory.minimum_splits))
    spelled = memory.known.spelled()
    heads = np.flatnonzero((groups == np.arange(len(ids))) & (split < 0))
    split[heads] = draw([spelled[number] for number in name[heads].tolist()], heads, split)
    strongest = split[groups]
    own = np.where(memory.splits < 0, strongest, memory.splits)
    numbers = name[groups]
    names = [spelled[number] for number in numbers.tolist()]
    merged = np.where(own == strongest, -1, strongest)
    return Grouping(names, own, merged, np.flatnonzero(numbers != memory.names))


def moved_names(memory: Memory, grouping: Grouping) -> dict[str, str]:
    """What groups were called that have another name now, and that name: members that are not here go with them."""
    spelled = memory.known.spelled()
    moved = (row for row in grouping.renamed.tolist() if memory.names[row] >= 0)
    return {spelled[memory.names[row]]: grouping.names[row] for row in moved}


def hash_points(salt: str, names: Sequence[str]) -> npt.NDArray[np.float64]:
    """sha256 of salt and name as a point in [0, 1): float64[n]."""
    salted = hashlib.sha256(f"{salt}\0".encode())
    return np.frombuffer(b"".join(_first_eight(salted, name) for name in names), dtype=">u8") / 2.0**64


def hash_split(salt: str, shares: Mapping[str, float], names: Sequence[str]) -> Rows:
    """The splits that names fall into, as places in SPLITS: int64[n].

    Their points, against the shares of train, val, test in turn.
    """
    points = hash_points(salt, names)
    open_to = [place for place, split in enumerate(SPLITS) if shares[split] > 0]
    found = np.full(len(names), open_to[-1], dtype=np.int64)
    falling = np.ones(len(names), dtype=bool)
    for place in open_to:
        points = points - shares[SPLITS[place]]
        found[falling & (points < 0)] = place
        falling &= points >= 0
    return found


def _first_eight(salted: "hashlib._Hash", name: str) -> bytes:
    digest = salted.copy()
    digest.update(name.encode())
    return digest.digest()[:8]


def cluster_by_representative(labels: Rows, rank: Rows, alike: Alike) -> Rows:
    """Each row's survivor: int64[n]. Rows of one label are candidates; `rank` is a total order, the best first.

    The best row of a component survives, and takes those that are alike to it itself; the best of the rest is next.
    So a set never chains: every member is alike to its survivor, and a survivor to no better one.
    """
    survivor = np.arange(len(labels))
    order = np.lexsort((rank, labels))
    left = order[np.bincount(labels, minlength=len(labels))[labels[order]] > 1]
    for _ in range(STARS):
        if not left.size:
            break
        first = np.ones(len(left), dtype=bool)
        first[1:] = labels[left[1:]] != labels[left[:-1]]
        star = left[first][np.cumsum(first) - 1]
        taken = first | alike(left, star)
        survivor[left[taken]] = star[taken]
        left = left[~taken]
    return survivor
