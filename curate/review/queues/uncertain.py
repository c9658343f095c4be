"""What the label model is least sure of, of every kind: where a person's answer teaches most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from curate.contracts import CandidatePool, Selection, Vectors

SPREAD, MARGIN = "spread", "margin alone"


@dataclass(frozen=True)
class Uncertain:
    """The smallest margins between the two most probable classes, of what nobody has judged (Scheffer et al. 2001),
    spread over the embeddings: of the `candidates` x size smallest, one after the other is taken that is far from what
    was taken before, and unsure (greedy k-center, Sener and Savarese 2018, weighed by 1 - margin).

    What has no embedding is taken by its margin alone, and its stratum says so. Never for figures: what is picked is
    what the machine gets wrong.
    """

    reported: ClassVar[bool] = False
    blind: ClassVar[bool] = False

    candidates: int = 10

    def __post_init__(self) -> None:
        """Refuse to choose among fewer than are asked for."""
        if self.candidates < 1:
            raise ValueError("candidates must be 1 or more (1: by the margin alone)")

    def pick(self, pool: CandidatePool, size: int) -> Sequence[Selection]:
        """As they were taken; where margins are equal, in the pool's order. What has no label is left out."""
        ordered = np.sort(np.nan_to_num(pool.probabilities, nan=-1.0), axis=1)
        margins = ordered[:, -1] - ordered[:, -2]
        asked = np.flatnonzero((ordered[:, -1] >= 0) & ~pool.judged)
        rows = asked[np.argsort(margins[asked], kind="stable")][: self.candidates * max(0, size)]
        if pool.embeddings is None or len(rows) <= size:
            return [Selection(int(row), MARGIN) for row in rows[:size]]
        return [Selection(int(rows[n]), name) for n, name in _spread(rows, margins[rows], pool.embeddings, size)]


def _spread(rows: np.ndarray, margins: np.ndarray, embeddings: Vectors, size: int) -> list[tuple[int, str]]:
    """Places in `rows`, and by what each was taken; rows without a vector get their share of the size."""
    vectors = np.asarray(embeddings[rows], dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=1)
    there = np.isfinite(lengths) & (lengths > 0)
    known, bare = np.flatnonzero(there), np.flatnonzero(~there)
    by_margin = min(len(bare), max(size - len(known), round(size * len(bare) / len(rows))))
    unit = vectors[known] / lengths[known, None]
    far = _far(unit, 1 - margins[known], size - by_margin)
    return [(int(known[n]), SPREAD) for n in far] + [(int(n), MARGIN) for n in bare[:by_margin]]


def _far(unit: np.ndarray, unsure: np.ndarray, size: int) -> list[int]:
    """The most unsure first, then what is farthest (by cosine) from all taken before, weighed by how unsure it is."""
    taken: list[int] = []
    distance, left = np.full(len(unit), np.inf), np.ones(len(unit), dtype=bool)
    for _ in range(min(size, len(unit))):
        worth = np.where(np.isinf(distance), 1.0, distance) * unsure
        taken.append(int(np.where(left, worth, -1.0).argmax()))
        left[taken[-1]] = False
        distance = np.minimum(distance, (1 - unit @ unit[taken[-1]]).clip(0))
    return taken
