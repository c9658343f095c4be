"""A random sample by strata of the score: the one queue on whose decisions reported figures may rest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from curate.contracts import CandidatePool, Selection
from curate.errors import UsageError

UNLABELLED, CONTRADICTED = "unlabelled", "contradicted"


@dataclass(frozen=True)
class Audit:
    """Simple random sampling within `strata` equal ranges of the probability that a sample is not safe, among what is
    declared or flagged not safe and has no label, and among what else has none. A share of `even` is spread evenly over
    the strata, the rest by their size (Cochran 1977, ch. 5).

    Even shares find rare classes, sizes keep the large, low-score stratum from weighing a single miss too much.
    """

    reported: ClassVar[bool] = True
    blind: ClassVar[bool] = True

    strata: int = 5
    even: float = 0.5

    def __post_init__(self) -> None:
        """Refuse strata that are none."""
        if self.strata < 1 or not 0 <= self.even <= 1:
            raise ValueError("strata must be 1 and more, even between 0 and 1")

    def pick(self, pool: CandidatePool, size: int) -> Sequence[Selection]:
        """The first rows of each stratum in the pool's random order; the chance of each is n of N of its stratum.

        Raises UsageError for fewer items than strata: what has no chance at all says nothing of the whole.
        """
        parts = dict(self._parts(pool.unsafe, pool.contradicted))
        if size < len(parts):
            raise UsageError(f"audit: {size} items for {len(parts)} strata; take {len(parts)} or more, one of each")
        shares = allocate([len(rows) for rows in parts.values()], size, self.even)
        return [
            Selection(int(row), name, n / len(rows))
            for (name, rows), n in zip(parts.items(), shares, strict=True)
            for row in rows[:n]
        ]

    def _parts(self, unsafe: np.ndarray, contradicted: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Each stratum that is not empty, with its rows."""
        place = np.minimum(np.nan_to_num(unsafe, nan=2.0) * self.strata, self.strata - 1).astype(int)
        for n in range(self.strata):
            if len(rows := np.flatnonzero((place == n) & ~np.isnan(unsafe))):
                yield f"{n / self.strata:.2f}-{(n + 1) / self.strata:.2f}", rows
        for name, among in ((CONTRADICTED, contradicted), (UNLABELLED, ~contradicted)):
            if len(rows := np.flatnonzero(np.isnan(unsafe) & among)):
                yield name, rows


def allocate(sizes: Sequence[int], total: int, even: float) -> list[int]:
    """How many of `total` each stratum gets: at least one where there are enough, never more than it has.

    Largest remainders (Hamilton); what a full stratum cannot take goes to the others.
    """
    room = np.array(sizes, dtype=np.int64)
    total = min(total, int(room.sum()))
    given = np.zeros(len(room), dtype=np.int64)
    if total >= len(room):
        given += 1
    while (left := total - int(given.sum())) > 0:
        free = np.flatnonzero(given < room)
        weights = even / len(free) + (1 - even) * room[free] / room[free].sum()
        wanted = left * weights / weights.sum()
        more = np.minimum(np.floor(wanted).astype(np.int64), room[free] - given[free])
        if not more.any():
            more[np.argsort(-(wanted - np.floor(wanted)), kind="stable")[:left]] = 1
        given[free] += more
    found: list[int] = given.tolist()
    return found
