"""95 % intervals: Wilson's for shares, and a bootstrap over near-duplicate groups."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Interval = tuple[float, float]
Figure = Callable[[Floats], Floats]  # weights float[r, n] of the rows -> float[r], NaN where it is undefined

DIGITS = 4
RESAMPLES = 1000
BATCH, CELLS = 16, 8_192  # resamples at once, and more of few groups: what a core keeps near
Z = 1.959963984540054  # 95 %, two-sided
SEEN = 20  # groups' worth of the rarer answer, below which the variance between groups is not to be believed
SMALL = 300  # rows, below which a normal approximation is too narrow on both sides


def wilson(right: float, n: float, z: float = Z) -> Interval | None:
    """The 95 % Wilson score interval of a share, `right` of n (Wilson 1927); None for n = 0."""
    if n == 0:
        return None
    low, high = _wilson(right, n, z)
    return rounded(low), rounded(high)


def _wilson(right: float, n: float, z: float) -> Interval:
    share, spread = right / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * (share * (1 - share) / n + spread / (4 * n)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)


def covering(right: float, n: float, z: float = Z) -> Interval | None:
    """Wilson's interval where it covers, for any share and number; None for n = 0. Counts need not be whole.

    On the side of the rarer answer the end is Clopper & Pearson's (1934), and for n below 300 on both: Wilson's alone
    covers 83 to 94 % of some shares. Where all are alike it is Wilson's, which covers.
    """
    from scipy.special import betaincinv, ndtr

    if n == 0:
        return None
    low, high = _wilson(right, n, z)
    if 0 < right < n:
        small, tail = n < SMALL, ndtr(-z)
        if small or right <= n - right:
            low = min(low, float(betaincinv(right, n - right + 1, tail)))
        if small or n - right <= right:
            high = max(high, float(1 - betaincinv(n - right, right + 1, tail)))
    return rounded(low), rounded(high)


def half_width(n: int) -> float:
    """Half the width of the 95 % Wilson interval of a share of n where it is widest, at one half; 0.5 for n = 0."""
    return rounded(Z / (2 * (n + Z * Z) ** 0.5))


def at_most(seen: int, n: int) -> float:
    """How large a share may be of which `seen` of n were found, at 95 % confidence, one-sided (Clopper & Pearson 1934).

    For none seen that is about 3 / n; 1 for n = 0.
    """
    from scipy.stats import beta

    return rounded(1.0 if seen >= n else float(beta.ppf(0.95, seen + 1, n - seen)))


def members(groups: Sequence[str]) -> Ints:
    """The number of each row's group, int64[n] in 0..g-1."""
    return np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1].astype(np.int64)


def share(right: npt.NDArray[np.bool_], member: Ints, weights: Floats | None = None) -> tuple[float, Interval] | None:
    """A share of rows that hang together in groups, and its interval at their effective number; None for no row.

    right bool[n], member int[n] >= 0, weights float[n] > 0. The effective number is that of independent rows with the
    variance of the share between groups (Korn & Graubard 1998), at most n. Where the rarer answer is too rare for the
    groups to show how far their rows hang together, each group counts once (Kish 1965, where they are not of one size).
    """
    if not len(right):
        return None
    value, n = effective(right, member, weights)
    return rounded(value), covering(value * n, n) or (0.0, 1.0)


def effective(right: npt.NDArray[np.bool_], member: Ints, weights: Floats | None = None) -> tuple[float, float]:
    """The share of rows, and how many independent rows would know it as well."""
    weigh = np.ones(len(right)) if weights is None else weights
    whole = weigh.sum()
    value = float((weigh * right).sum() / whole)
    size = np.bincount(member, weigh)
    apart = np.bincount(member, weigh * (right - value))[size > 0]
    size = size[size > 0]
    if weights is None and len(size) == len(right):
        return value, float(len(right))
    of_groups, of_rows = whole**2 / (size**2).sum(), whole**2 / (weigh**2).sum()
    if len(size) < 2 or not 0 < value < 1:
        return value, float(of_groups)
    variance = len(size) / (len(size) - 1) * (apart**2).sum() / whole**2
    if min(value, 1 - value) * of_groups < SEEN or not variance:
        return value, float(of_groups)
    return value, float(min(of_rows, value * (1 - value) / variance * _few_groups(len(size)) ** 2))


def _few_groups(n: float) -> float:
    """Z over Student's quantile: a variance that n groups tell is itself uncertain."""
    from scipy.special import stdtrit

    return Z / float(stdtrit(max(n - 1, 1), 0.975))


def bootstrap(figure: Figure, groups: Sequence[str], seed: int, fewest: int | None = None) -> Interval | None:
    """The interval of one figure over resamples of whole groups; see `resampled` and `middle`."""
    member = members(groups)
    g = int(member.max(initial=-1)) + 1
    found = resampled(lambda drawn: figure(drawn[:, member])[None], g, seed)
    return middle(found[0], g if fewest is None else fewest)


def resampled(figures: Callable[[Floats], Floats], groups: int, seed: int, times: int = RESAMPLES) -> Floats:
    """Figures over resamples of so many groups: float[f, times]. The same seed draws the same, so that figures of one
    set of rows may be compared.

    `figures` is given how often each group was drawn, float[r, groups], and answers float[f, r].
    """
    chance, found, done = np.random.default_rng(seed), list[Floats](), 0
    while done < times:
        batch = min(times - done, max(BATCH, CELLS // groups))
        drawn = chance.integers(0, groups, (batch, groups)) + groups * np.arange(batch)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=batch * groups).reshape(batch, groups)
        found.append(figures(counts.astype(np.float64)))
        done += batch
    return np.concatenate(found, axis=1)


def middle(values: Floats, groups: float) -> Interval | None:
    """The middle 95 % of a figure's resamples, a little more where there are few groups (Hesterberg 2015, expanded
    percentiles); None where most resamples leave it undefined.

    Resamples of what has no error hold none either: where all come to one value, which no sample can show, the answer
    is Wilson's interval of that share of the groups.
    """
    known = values[~np.isnan(values)]
    if len(known) < len(values) / 2:
        return None
    low, high = (rounded(one) for one in np.quantile(known, tails(groups)))
    if low == high and 0 <= low <= 1:
        return wilson(low * groups, groups)
    return low, high


def around(values: Floats, value: float, groups: float, least: float = 0.0) -> Interval | None:
    """The interval of a ranking figure in 0..1: the percentiles of its resamples, and Wilson's of as many independent
    rows as have their deviation, but `least` at least; whichever ends lie further out.

    Few groups that are ranked almost right show less variance than they have, and percentiles end too early there.
    """
    known = values[~np.isnan(values)]
    if len(known) < len(values) / 2:
        return None
    spread = max(float(known.std(ddof=1)), least)
    if spread == 0 or not 0 < value < 1:
        return wilson(value * groups, groups)
    n = value * (1 - value) / spread**2 * _few_groups(groups) ** 2
    low, high = np.quantile(known, tails(groups))
    below, above = wilson(value * n, n) or (0.0, 1.0)
    return rounded(min(low, below)), rounded(max(high, above))


def counted(member: Ints) -> float:
    """How many groups of one size would say as much as these (Kish 1965): n of size 1 are n; of no row 0."""
    size = np.bincount(member).astype(np.float64)
    return float(size.sum() ** 2 / max((size**2).sum(), 1.0))


def tails(groups: float) -> tuple[float, float]:
    """Which quantiles of the resamples of so many groups are the ends of an interval."""
    from scipy.special import ndtr, stdtrit

    if groups < 2:
        return 0.0, 1.0
    low = float(ndtr(-((groups / (groups - 1)) ** 0.5) * stdtrit(groups - 1, 0.975)))
    return low, 1 - low


def rounded(value: float) -> float:
    """A figure as it is printed: 4 digits."""
    return round(float(value), DIGITS)
