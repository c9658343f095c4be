"""Where somebody must be wrong: people, sources or labelling functions contradict each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from curate.contracts import CandidatePool, Selection


@dataclass(frozen=True)
class Conflict:
    """What is declared or flagged not safe and no machine may call safe; then what people contradict each other about
    or cannot tell, then duplicates whose sources disagree, then functions.

    What people have settled is asked no more, whoever else disagrees.
    """

    reported: ClassVar[bool] = False
    blind: ClassVar[bool] = False

    def pick(self, pool: CandidatePool, size: int) -> Sequence[Selection]:
        """One row a sample, under the first stratum that it is in; functions that are split evenly come first."""
        open_ = ~pool.judged & ~pool.contradicted
        split = _minority(pool.votes, pool.sets)
        kept_back = np.flatnonzero(pool.contradicted & (pool.contested != 2))
        people = np.flatnonzero(pool.contested == 2)
        sources = np.flatnonzero((pool.contested == 1) & open_)
        functions = np.flatnonzero((pool.contested == 0) & open_ & (split > 0))
        functions = functions[np.argsort(-split[functions], kind="stable")]
        strata = (("contradicted", kept_back), ("people", people), ("sources", sources), ("functions", functions))
        return [Selection(int(row), name) for name, rows in strata for row in rows][:size]


def _minority(votes: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """The share of votes that do not hold the class that most of them hold, float64[n]; 0 where nobody votes."""
    holds = np.vstack([sets, np.zeros(sets.shape[1], dtype=bool)]).astype(np.int64)  # -1 holds nothing: the last row
    held = np.zeros((len(votes), sets.shape[1]), dtype=np.int64)
    for column in votes.T:
        held += holds[column]
    cast = (votes >= 0).sum(axis=1)
    share: np.ndarray = np.where(cast > 0, 1 - held.max(axis=1, initial=0) / np.maximum(cast, 1), 0.0)
    return share
