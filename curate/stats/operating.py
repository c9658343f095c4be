"""What a threshold on one score buys: false alarms at a recall, recall at a rate of false alarms, and the curves."""

from typing import Any

import numpy as np
import numpy.typing as npt

from curate.stats.intervals import Floats, Interval, Ints, covering, effective, rounded

Mask = npt.NDArray[np.bool_]
HALF = 2.2414027276049473  # 97.5 %, two-sided: two of these hold together with 95 %
POINTS = 200  # of a curve as a page draws it


def false_alarms_at(positive: Mask, looks: Floats, member: Ints, recall: float) -> tuple[float, Interval] | None:
    """The share of negatives at or above the highest threshold that finds `recall` of the positives; None where a side
    is missing.

    positive bool[n], looks float[n], member int[n], the group of each row. The interval counts both errors: where the
    threshold lies (ranks of the positives, binomial) and what is above it (Wilson); either is missed in 2.5 % at most,
    so it is conservative. With too few positives to place the threshold, it reaches 1.
    """
    return _crossed(positive, looks, member, recall)


def recall_at(positive: Mask, looks: Floats, member: Ints, false_alarms: float) -> tuple[float, Interval] | None:
    """The share of positives at or above the lowest threshold that flags at most `false_alarms` of the negatives;
    interval and None as of `false_alarms_at`."""
    found = _crossed(~positive, -looks, member, 1 - false_alarms)  # the same question from the other side
    if found is None:
        return None
    value, (low, high) = found
    return rounded(1 - value), (rounded(1 - high), rounded(1 - low))


def _crossed(kept: Mask, looks: Floats, member: Ints, share: float) -> tuple[float, Interval] | None:
    """Of the rows that are not `kept`, the share at or above the highest threshold that keeps `share` of those."""
    from scipy.stats import binom

    ours, others = np.sort(looks[kept]), ~kept
    if not len(ours) or not others.any():
        return None
    groups = np.bincount(member[kept])
    n = len(ours) ** 2 / float((groups**2).sum())  # as many as there are groups, were they of one size
    below = binom.ppf([0.0125, 0.9875], max(1, int(n)), 1 - share) / max(1, int(n))
    at = _cut(ours, 1 - share)
    sure, bold = _cut(ours, below[0], lower=True), _cut(ours, min(1.0, below[1] + 1 / max(1, int(n))))
    low, high = _end(looks, others, bold, member)[0], _end(looks, others, sure, member)[1]
    return rounded((looks[others] >= at).mean()), (low, high)


def _cut(ours: Floats, below: float, lower: bool = False) -> float:
    """The highest threshold with at most that share of the sorted rows below it; `lower`: with one row less."""
    rank = int(np.floor(below * len(ours) + 1e-9)) - lower
    if rank < 0:
        return -np.inf
    return float(ours[min(rank, len(ours) - 1)])


def _end(looks: Floats, rows: Mask, threshold: float, member: Ints) -> Interval:
    value, n = effective(looks[rows] >= threshold, member[rows])
    return covering(value * n, n, HALF) or (0.0, 1.0)


def curves(positive: Mask, looks: Floats) -> dict[str, list[list[float]]]:
    """`roc`: [false alarms, recall], `pr`: [recall, precision] at thresholds, at most POINTS each; empty where a side
    is missing."""
    if not positive.any() or positive.all():
        return {"roc": [], "pr": []}
    order = np.argsort(-looks, kind="stable")
    last = np.flatnonzero(np.append(np.diff(looks[order]) != 0, True))
    hits, seen = np.cumsum(positive[order])[last], last + 1
    kept = np.unique(np.linspace(0, len(last) - 1, POINTS).astype(int))
    recall, alarms = hits / positive.sum(), (seen - hits) / (~positive).sum()
    roc = [[0.0, 0.0], *_rounded(alarms[kept], recall[kept])]
    return {"roc": roc, "pr": _rounded(recall[kept], (hits / seen)[kept])}


def _rounded(x: Any, y: Any) -> list[list[float]]:
    return [[rounded(a), rounded(b)] for a, b in zip(x, y, strict=True)]
