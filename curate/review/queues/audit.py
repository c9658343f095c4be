"""A random sample by strata of the score: the one queue on whose decisions reported figures may rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from curate.contracts import AuditedPool, CandidatePool, Selection
from curate.errors import UsageError
from curate.stats.allocation import ASKS, EVEN, Pilot, allocate, parts, split


@dataclass(frozen=True)
class Audit:
    """Simple random sampling within `strata` equal ranges of the probability that a sample is not safe, among what is
    declared or flagged not safe and has no label, and among what else has none (Cochran 1977, ch. 5).

    How many of each follows what an earlier audit found, and what is asked: `asks` names prevalence, precision, recall.
    Without an earlier one, or with `even`, that share is spread evenly, the rest by size: with 0.17, which is the
    default, no interval can become more than 10 % wider than a simple random sample's.
    """

    reported: ClassVar[bool] = True
    blind: ClassVar[bool] = True

    strata: int = 5
    even: float | None = None
    asks: tuple[str, ...] = ASKS

    def __post_init__(self) -> None:
        """Refuse strata that are none, and figures that are none."""
        if self.strata < 1 or (self.even is not None and not 0 <= self.even <= 1):
            raise ValueError("strata must be 1 and more, even between 0 and 1")
        if not self.asks or not set(self.asks) <= set(ASKS):
            raise ValueError(f"asks: one or more of {', '.join(ASKS)}")

    def pick(self, pool: CandidatePool, size: int) -> Sequence[Selection]:
        """The first rows of each stratum in the pool's random order; the chance of each is n of N of its stratum.

        Raises UsageError for fewer items than strata: what has no chance at all says nothing of the whole.
        """
        strata = dict(parts(pool.unsafe, pool.contradicted, self.strata))
        if size < len(strata):
            raise UsageError(f"audit: {size} items for {len(strata)} strata; take {len(strata)} or more, one of each")
        return [
            Selection(int(row), name, n / len(rows))
            for (name, rows), n in zip(strata.items(), self._shares(pool, strata, size), strict=True)
            for row in rows[:n]
        ]

    def _shares(self, pool: CandidatePool, strata: Mapping[str, np.ndarray], size: int) -> list[int]:
        sizes = [len(rows) for rows in strata.values()]
        audited = pool.audited if isinstance(pool, AuditedPool) else None
        if self.even is not None or audited is None:
            return allocate(sizes, size, EVEN if self.even is None else self.even)
        return split(sizes, size, _pilot(pool, audited, list(strata.values())), self.asks)


def _pilot(pool: CandidatePool, audited: np.ndarray, strata: Sequence[np.ndarray]) -> Pilot:
    """What an earlier audit found in each stratum, among what is called not safe and what is not."""
    called = np.nan_to_num(pool.unsafe, nan=0.0) >= 0.5
    sides = [[rows[called[rows] == side] for rows in strata] for side in (True, False)]
    judged = np.array([[(audited[rows] >= 0).sum() for rows in side] for side in sides], dtype=np.float64)
    positive = np.array([[(audited[rows] == 1).sum() for rows in side] for side in sides], dtype=np.float64)
    return Pilot(np.array([called[rows].mean() for rows in strata]), judged, positive)
