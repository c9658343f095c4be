"""Rows of known truth that hang together in groups, to see how often an interval holds it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.stats.intervals import Interval


@dataclass(frozen=True)
class Cell:
    """Groups of `sizes` rows each; rows of a group are the same with chance `same`."""

    groups: int
    sizes: tuple[int, int] = (1, 1)
    same: float = 0.0

    def member(self, chance: np.random.Generator) -> np.ndarray:
        """The group of each row."""
        low, high = self.sizes
        return np.repeat(np.arange(self.groups), chance.integers(low, high + 1, self.groups))

    def answers(self, chance: np.random.Generator, share: float) -> tuple[np.ndarray, np.ndarray]:
        """bool[n], right with this chance, and the group of each row."""
        member = self.member(chance)
        first = (chance.random(self.groups) < share)[member]
        alone = chance.random(len(member)) < share
        return np.where(chance.random(len(member)) < self.same, first, alone), member

    def scores(self, chance: np.random.Generator, apart: float, share: float) -> tuple[Any, Any, Any]:
        """Which rows are positive (a group is, or is not), a normal score `apart` deviations higher where they are, and
        the group of each row."""
        member = self.member(chance)
        positive = (chance.random(self.groups) < share)[member]
        noise = self.same**0.5 * chance.normal(size=self.groups)[member]
        noise += (1 - self.same) ** 0.5 * chance.normal(size=len(member))
        return positive, noise + apart * positive, member


def held(repeats: int, truth: float, once: Callable[[np.random.Generator], Interval | None]) -> float:
    """In which share of the repeats the interval holds the truth; those without one are not counted."""
    found = [once(np.random.default_rng([7, n])) for n in range(repeats)]
    known = [one for one in found if one is not None]
    return sum(low <= truth <= high for low, high in known) / len(known)
