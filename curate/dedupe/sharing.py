"""Which samples have a picture in common, where some are animations or files of many pages: any frame of either counts.

A frame is compared upright, and only where its hash says something. What a frame joins is one group, and nothing more:
two animations with one title card are not one picture, and their classes do not contradict each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from curate.dedupe.groups import Alike, Rows
from curate.dedupe.similarity import FLAT, HashArrays, Told
from curate.features import frames
from curate.near import cross, groups
from curate.store.workspace import Workspace

Bytes = npt.NDArray[np.uint8]
MAIN = 0  # the number of the first frame


@dataclass(frozen=True)
class Every:
    """One hash of every distinct frame: uint8[n, 8 or 32], with the row of its sample and its own number: int64[n].

    Only frames of which it says something are here: the first ones of all samples, by row, before the others.
    """

    name: str
    radius: int  # of a group
    hashes: Bytes
    rows: Rows
    numbers: Rows

    @property
    def firsts(self) -> int:
        """How many of these are samples' first frames."""
        return int((self.numbers == MAIN).sum())

    @property
    def words(self) -> npt.NDArray[np.uint64]:
        """The hashes as uint64[n, 1 or 4]."""
        return np.ascontiguousarray(self.hashes).view(np.uint64)

    @cached_property
    def _order(self) -> Rows:
        return np.argsort(self.rows, kind="stable")

    @cached_property
    def _ordered(self) -> Rows:
        return self.rows[self._order]

    def of(self, row: int) -> Rows:
        """The places of a sample's frames."""
        start, end = np.searchsorted(self._ordered, [row, row + 1])
        return self._order[start:end]

    def closest(self, left: int, right: int) -> tuple[int, int, int] | None:
        """The fewest bits between a frame of one sample and one of another, and the two numbers."""
        one, other = self.of(left), self.of(right)
        if not one.size or not other.size:
            return None
        words = self.words
        bits = np.bitwise_count(words[one][:, None] ^ words[other][None]).sum(axis=2, dtype=np.int64)
        a, b = np.unravel_index(int(bits.argmin()), bits.shape)
        return int(bits[a, b]), int(self.numbers[one[a]]), int(self.numbers[other[b]])

    def beside(self, row: int) -> Rows:
        """The rows of the samples that have a frame within the radius of one of this sample's."""
        near = np.zeros(len(self.hashes), dtype=bool)
        words = self.words
        for place in self.of(row).tolist():
            near |= np.bitwise_count(words[place] ^ words).sum(axis=1, dtype=np.int64) <= self.radius
        return np.unique(self.rows[near])


def every(ws: Workspace, ids: Sequence[str], looks: HashArrays) -> tuple[Every, ...]:
    """The hashes that dedupe groups by, of every frame; of the first frames alone where the config says so."""
    config = ws.config.dedupe
    several = frames.several(ws, ids) if config.frames == "any" else np.empty(0, dtype=np.int64)
    keys = frames.keys(ws, ids, several)
    told = keys.quality >= config.phash_quality
    tells = (keys.pdq_quality >= config.pdq_quality) & keys.pdq.any(axis=1) & (keys.quality >= FLAT)
    found = []
    for name, radius, first, of_first, hashed, of_each in (
        ("pHash", config.group_radius, looks.phash, looks.by_phash, keys.phash, told & config.by_phash),
        ("PDQ", config.pdq_group_radius, looks.pdq, looks.by_pdq, keys.pdq, tells & config.by_pdq),
    ):
        rows, some = np.flatnonzero(of_first), np.flatnonzero(of_each)
        numbers = np.concatenate([np.full(len(rows), MAIN), keys.number[some]])
        of = np.concatenate([rows, keys.owner[some]])
        found.append(Every(name, radius, np.concatenate([first[rows], hashed[some]]), of, numbers))
    return tuple(found)


def several(hashes: Sequence[Every]) -> bool:
    """Whether there is a frame beside the first ones."""
    return any(one.firsts < len(one.rows) for one in hashes)


def joined(hashes: Sequence[Every], near: Rows) -> Rows:
    """The samples that a frame after the first joins to others, in pairs: int64[m, 2].

    `near` has the component labels by first frames and what else united them: these are not compared again.
    """
    found = [np.empty((0, 2), dtype=np.int64)]
    for one in hashes:
        if (firsts := one.firsts) < len(one.rows):
            _, first, inverse = np.unique(near[one.rows[:firsts]], return_index=True, return_inverse=True)
            labels = groups(one.hashes, one.radius, old=first[inverse].astype(np.int64))
            found.append(np.stack([one.rows, one.rows[labels]], axis=1))
    return np.concatenate(found)


def alike(hashes: Sequence[Every], otherwise: Alike) -> Alike:
    """Whether two rows are alike otherwise, or have a frame in common."""
    if not several(hashes):
        return otherwise
    animated = np.unique(np.concatenate([one.rows[one.firsts :] for one in hashes]))

    def found(left: Rows, right: Rows) -> Told:
        told = otherwise(left, right)
        asked = ~told & (np.isin(left, animated) | np.isin(right, animated))
        for at in np.flatnonzero(asked).tolist():
            told[at] = any(_near(one, int(left[at]), int(right[at])) for one in hashes)
        return told

    return found


def _near(one: Every, left: int, right: int) -> bool:
    closest = one.closest(left, right)
    return closest is not None and closest[0] <= one.radius


def crossed(left: Sequence[Every], right: Sequence[Every]) -> Iterator[tuple[str, int, Rows]]:
    """What two sets of samples have in common, frame by frame, by hash: its name, its radius, rows int64[m, 2]."""
    for one, other in zip(left, right, strict=True):
        found = cross(one.hashes, other.hashes, one.radius)
        pairs = np.stack([one.rows[found[:, 0]], other.rows[found[:, 1]]], axis=1)
        yield one.name, one.radius, np.unique(pairs, axis=0)
