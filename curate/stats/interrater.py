"""How far people agree beyond chance, as figures of weights, so that resamples are matrix products.

The libraries for Krippendorff's alpha are licensed GPL or pinned to old releases; these few lines are held against one,
and against scikit-learn's kappa, by tests.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from curate.stats.intervals import Figure, Interval, bootstrap

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Measured = tuple[float | None, Interval | None]


def alpha(counts: Floats) -> Figure:
    """Krippendorff's alpha for nominal data (Krippendorff 2004, ch. 11); items with fewer than two labels say nothing.

    counts float[n, k], labels of each class on each item -> a figure; NaN where all labels are of one class.
    """
    each = counts.sum(axis=1)
    apart = np.where(each > 1, (each**2 - (counts**2).sum(axis=1)) / np.maximum(each - 1, 1), 0.0)
    counts, each = counts * (each > 1)[:, None], each * (each > 1)

    def figure(weights: Floats) -> Floats:
        whole, classes = weights @ each, weights @ counts
        expected = (whole**2 - (classes**2).sum(axis=1)) / np.maximum(whole - 1, 1)
        return np.where(expected > 0, 1 - weights @ apart / np.where(expected > 0, expected, 1), np.nan)

    return figure


def kappa(first: Ints, second: Ints, k: int) -> Figure:
    """Cohen's kappa of two raters (Cohen 1960); first, second int[n] in 0..k-1; NaN where chance explains it all."""
    one, other = np.eye(k)[first], np.eye(k)[second]
    same = (first == second).astype(np.float64)

    def figure(weights: Floats) -> Floats:
        whole = np.maximum(weights.sum(axis=1), 1e-12)
        chance = ((weights @ one) * (weights @ other)).sum(axis=1) / whole**2
        room = 1 - chance
        seen = weights @ same / whole
        return np.where(room > 1e-12, (seen - chance) / np.where(room > 1e-12, room, 1), np.nan)

    return figure


def measured(figure: Figure, groups: Sequence[str]) -> Measured:
    """A figure on all items, and its middle 95 % over 1,000 resamples of whole groups; None where it is undefined."""
    if not groups:
        return None, None
    value = float(figure(np.ones((1, len(groups))))[0])
    return (None, None) if np.isnan(value) else (round(value, 4), bootstrap(figure, groups, 0))
