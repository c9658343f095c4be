"""How well a score puts what is of a class before what is not: over many weightings of the same rows at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.stats.intervals import Floats, Ints

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Question:
    """Rows by falling score: `take` int[n], the column of weights that each has, and `mass` float[n], what it weighs
    beside (None: nothing). Of each of the p positive rows, int[p]: its place `at`; where what looks as it does begins
    and ends, among all (`first`, `last`) and among positives (`head`, `tail`)."""

    take: Ints
    mass: Floats | None
    at: Ints
    first: Ints
    last: Ints
    head: Ints
    tail: Ints

    @classmethod
    def of(
        cls, positive: Mask, looks: Floats, member: Ints | None = None, mass: Floats | None = None
    ) -> "Question":  # fmt: skip
        """Which rows are positive, bool[n], and how positive each looks, float[n]; `member` int[n], whose weight each
        bears (None: its own)."""
        order = np.argsort(-looks, kind="stable")
        new = np.append(True, np.diff(looks[order]) != 0)[: len(order)]
        starts = np.flatnonzero(new)
        run = np.cumsum(new) - 1
        at = np.flatnonzero(positive[order])
        ends = np.append(starts[1:], len(order)) - 1
        own = run[at]  # the run of each positive
        head, tail = np.searchsorted(own, own, "left"), np.searchsorted(own, own, "right") - 1
        take = order if member is None else member[order]
        return cls(take, None if mass is None else mass[order], at, starts[own], ends[own], head, tail)

    def scores(self, weights: Floats) -> tuple[Floats, Floats]:
        """The area under the ROC curve and average precision, float[r] each, of weights float[r, m] >= 0; NaN where a
        side weighs nothing."""
        ranked = np.ascontiguousarray(weights.T)[self.take]  # rows by weightings: what is added lies side by side
        if self.mass is not None:
            ranked *= self.mass[:, None]
        if not len(self.at):
            return np.full(len(weights), np.nan), np.full(len(weights), np.nan)
        ours = ranked[self.at]
        both, hits = np.cumsum(ranked, axis=0), np.cumsum(ours, axis=0)
        found, misses = hits[-1], both[-1] - hits[-1]
        until, hit = both[self.last], hits[self.tail]
        precision = np.einsum("pr,pr->r", ours, hit / np.maximum(until, 1e-12))
        until += both[self.first] - ranked[self.first]  # what is above, twice, and what looks alike
        until -= hit + hits[self.head] - ours[self.head]
        area = found * misses - np.einsum("pr,pr->r", ours, until) / 2
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
