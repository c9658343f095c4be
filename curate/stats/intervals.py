"""95 % intervals: Wilson's for shares, and a bootstrap over near-duplicate groups."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]
Figure = Callable[[Floats], Floats]  # weights float[r, n] of the rows -> float[r], NaN where it is undefined

DIGITS = 4
RESAMPLES = 1000
CELLS = 4_000_000  # of a batch of resamples, to bound memory
Z = 1.959963984540054  # 95 %, two-sided


def wilson(right: float, n: int) -> Interval | None:
    """The 95 % Wilson score interval of a share, `right` of n (Wilson 1927); None for n = 0."""
    if n == 0:
        return None
    share, spread = right / n, Z * Z / n
    middle = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * (share * (1 - share) / n + spread / (4 * n)) ** 0.5
    return rounded(max(0.0, middle - half)), rounded(min(1.0, middle + half))


def half_width(n: int) -> float:
    """Half the width of the 95 % Wilson interval of a share of n where it is widest, at one half; 0.5 for n = 0."""
    return rounded(Z / (2 * (n + Z * Z) ** 0.5))


def at_most(seen: int, n: int) -> float:
    """How large a share may be of which `seen` of n were found, at 95 % confidence, one-sided (Clopper & Pearson 1934).

    For none seen that is about 3 / n; 1 for n = 0.
    """
    from scipy.stats import beta

    return rounded(1.0 if seen >= n else float(beta.ppf(0.95, seen + 1, n - seen)))


def bootstrap(figure: Figure, groups: Sequence[str], seed: int, fewest: int | None = None) -> Interval | None:
    """The middle 95 % of a figure over resamples of whole groups; None where most resamples leave it undefined.

    Resamples of what has no error hold none either: where all come to one value, which no sample can show, the answer
    is Wilson's interval of that share of `fewest` groups (of all, where that is not given).
    """
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    chance = np.random.default_rng(seed)
    values: list[float] = []
    while len(values) < RESAMPLES:
        batch = min(RESAMPLES - len(values), max(1, CELLS // len(member)))
        drawn = chance.multinomial(len(names), np.full(len(names), 1 / len(names)), size=batch)
        values += figure(drawn[:, member].astype(np.float64)).tolist()
    known = [value for value in values if not np.isnan(value)]
    if len(known) < RESAMPLES / 2:
        return None
    low, high = (rounded(one) for one in np.quantile(known, [0.025, 0.975]))
    if low == high and 0 <= low <= 1:
        n = len(names) if fewest is None else fewest
        return wilson(low * n, n)
    return low, high


def rounded(value: float) -> float:
    """A figure as it is printed: 4 digits."""
    return round(float(value), DIGITS)
