"""How well a score puts what is of a class before what is not: over many weightings of the same rows at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.stats.intervals import Floats, Ints

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Question:
    """Rows by falling score: their `order` int[n], which are of the class, `positive` bool[n] in that order, and which
    is the `last` of those that look alike, bool[n]."""

    order: Ints
    positive: Mask
    last: Mask

    @classmethod
    def of(cls, positive: Mask, looks: Floats) -> "Question":
        """Which rows are positive, bool[n], and how positive each looks, float[n]."""
        order = np.argsort(-looks, kind="stable")
        return cls(order, positive[order], np.append(np.diff(looks[order]) != 0, True))

    def scores(self, weights: Floats) -> tuple[Floats, Floats]:
        """The area under the ROC curve and average precision, float[r] each, of weights float[r, n] >= 0; NaN where a
        side weighs nothing."""
        ranked = weights[:, self.order]
        hits = np.cumsum(ranked * self.positive, axis=1)[:, self.last]
        both = np.cumsum(ranked, axis=1)[:, self.last]
        new = np.diff(hits, prepend=0)
        precision = (new * hits / np.maximum(both, 1e-12)).sum(axis=1)
        found, misses = hits[:, -1], both[:, -1] - hits[:, -1]
        before = both - hits - np.diff(both - hits, prepend=0) / 2  # negatives above, a tie counting half
        area = found * misses - (new * before).sum(axis=1)
        known = (found > 0) & (misses > 0)
        whole, here = np.where(known, found * misses, 1), np.where(known, found, 1)
        return np.where(known, area / whole, np.nan), np.where(known, precision / here, np.nan)


def macro(questions: Sequence[Question], weights: Floats) -> Floats:
    """The mean over the questions that have an answer, float[2, r]: area under the ROC curve, average precision."""
    if not questions:
        return np.full((2, len(weights)), np.nan)
    values = np.array([one.scores(weights) for one in questions])
    answered = ~np.isnan(values)
    n = answered.sum(axis=0)
    return np.where(n > 0, np.nansum(values, axis=0) / np.maximum(n, 1), np.nan)


def variance(area: float, positives: float, negatives: float) -> float:
    """That of an area under the ROC curve of so many independent rows (Hanley & McNeil 1982)."""
    two, other = area / (2 - area), 2 * area**2 / (1 + area)
    parts = area * (1 - area) + (positives - 1) * (two - area**2) + (negatives - 1) * (other - area**2)
    return max(0.0, parts / max(positives * negatives, 1.0))


def roc_auc(positive: Mask, looks: Floats, weights: Floats) -> Floats:
    """The share of (positive, negative) pairs in the right order, a tie counting half.

    positive bool[n], looks float[n], weights float[r, n] >= 0 -> float[r], NaN where a side weighs nothing.
    """
    return Question.of(positive, looks).scores(weights)[0]


def average_precision(positive: Mask, looks: Floats, weights: Floats) -> Floats:
    """The precision at each threshold, weighed by the recall it adds; shapes and NaN as for `roc_auc`."""
    return Question.of(positive, looks).scores(weights)[1]
