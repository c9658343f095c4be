"""Labels that are probably wrong: a classifier that had not seen them says something else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from curate.contracts import CandidatePool, Selection


@dataclass(frozen=True)
class Suspect:
    """Confident learning (Northcutt et al. 2021), on the out-of-fold probabilities of the bootstrap classifier: first
    what people judged, then what the label model did, where another class is more probable than it is on average where
    it was given; then where the two merely part. The largest difference of the probabilities comes first.

    Without such probabilities there is nothing to ask. Never for figures: what is picked is what is likely wrong.
    """

    reported: ClassVar[bool] = False
    blind: ClassVar[bool] = False

    def pick(self, pool: CandidatePool, size: int) -> Sequence[Selection]:
        """One row a sample, under the first stratum that it is in; what is contradicted is left to `conflict`."""
        if pool.out_of_fold is None or pool.given is None:
            return []
        other, lead = _doubts(pool.out_of_fold, pool.given)
        asked = (other >= 0) & ~pool.contradicted & (pool.contested != 2)
        parted = asked & (lead > 0)
        sure = parted & _confident(pool.out_of_fold, pool.given, other)
        strata = (
            ("people", sure & pool.judged),
            ("label", sure & ~pool.judged),
            ("parted", parted & ~sure & ~pool.judged),
        )
        found = [Selection(int(row), name) for name, rows in strata for row in _ordered(np.flatnonzero(rows), lead)]
        return found[:size]


def _doubts(said: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most probable other class, int[n], and by how much it is more probable than the one given, float64[n];
    -1 where either is not known."""
    known = (given >= 0) & ~np.isnan(said).any(axis=1)
    rows = np.flatnonzero(known)
    rest = said[rows]  # a copy
    own = rest[np.arange(len(rows)), given[rows]]
    rest[np.arange(len(rows)), given[rows]] = -1.0
    other, lead = np.full(len(said), -1), np.full(len(said), -1.0)
    if said.shape[1] > 1:
        other[rows], lead[rows] = rest.argmax(axis=1), rest.max(axis=1) - own
    return other, lead


def _confident(said: np.ndarray, given: np.ndarray, other: np.ndarray) -> np.ndarray:
    """bool[n], where the other class is at least as probable as it is, on average, of the rows that were given it."""
    thresholds = np.full(said.shape[1] + 1, np.inf)  # of a class that nothing was given nobody knows; -1: the last
    for one in range(said.shape[1]):
        own = said[(given == one) & ~np.isnan(said[:, one]), one]
        thresholds[one] = own.mean() if len(own) else np.inf
    rows = np.arange(len(said))
    found: np.ndarray = np.nan_to_num(said[rows, other], nan=-1.0) >= thresholds[other]
    return found


def _ordered(rows: np.ndarray, lead: np.ndarray) -> np.ndarray:
    return np.asarray(rows[np.argsort(-lead[rows], kind="stable")])
