"""A random sample whose labels are sure enough to measure reviewers and labelling functions by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from curate.contracts import CandidatePool, Selection


@dataclass(frozen=True)
class Gold:
    """Every sample as likely as any other; a share, `double`, is judged by two people, who see pictures only."""

    reported: ClassVar[bool] = False
    blind: ClassVar[bool] = True

    double: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        if not 0 <= self.double <= 1:
            raise ValueError("double must lie between 0 and 1")

    def pick(self, pool: CandidatePool, size: int) -> Sequence[Selection]:
        """The first rows of the pool, which is in a random order."""
        n = min(size, len(pool.samples))
        twice = round(self.double * n)
        return [Selection(row, people=2 if row < twice else 1) for row in range(n)]
