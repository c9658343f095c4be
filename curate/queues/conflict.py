"""Where somebody must be wrong: people, sources or labelling functions contradict each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from curate.contracts import Pick, Pool


@dataclass(frozen=True)
class Conflict:
    """What people contradict each other about or cannot tell, then duplicates whose sources disagree, then functions.

    What people have settled is asked no more, whoever else disagrees.
    """

    reported: ClassVar[bool] = False
    blind: ClassVar[bool] = False

    def pick(self, pool: Pool, size: int) -> Sequence[Pick]:
        """One row a sample, under the first stratum that it is in; functions that are split evenly come first."""
        open_ = ~pool.judged
        split = _minority(pool.votes)
        people = np.flatnonzero(pool.contested == 2)
        sources = np.flatnonzero((pool.contested == 1) & open_)
        functions = np.flatnonzero((pool.contested == 0) & open_ & (split > 0))
        functions = functions[np.argsort(-split[functions], kind="stable")]
        strata = (("people", people), ("sources", sources), ("functions", functions))
        return [Pick(int(row), name) for name, rows in strata for row in rows][:size]


def _minority(votes: np.ndarray) -> np.ndarray:
    """The share of votes that are not for the class with most of them, float64[n]; 0 where nobody votes."""
    highest = np.zeros(len(votes))
    for place in range(int(votes.max(initial=-1)) + 1):
        highest = np.maximum(highest, (votes == place).sum(axis=1))
    cast = np.maximum((votes >= 0).sum(axis=1), 1)
    share: np.ndarray = np.where((votes >= 0).any(axis=1), 1 - highest / cast, 0.0)
    return share
