"""Shares of a population, from a random sample within strata: values, 95 % intervals, and how a sample is best split.

Arrays are float64[..., h]: strata are the last axis, so that thousands of samples are one call. Of a stratum `size`
items were there, `n` of them drawn and judged, `a` and `b` of those in one and the other of two classes that shut each
other out; others are in neither. What is asked for is A / (A + B) of the whole: a precision, a recall, a prevalence.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
ALPHA = 0.05
TINY = 1e-100  # a share whose square would be none is none
FULL = 1e-12  # a stratum that was looked at as a whole weighs no more than that


@dataclass(frozen=True)
class Counts:
    """What was found; `can_a`, `can_b` bool[h]: whether the stratum can hold any of a class (known of the machine)."""

    size: Any
    n: Any
    a: Any
    b: Any
    can_a: Any = True
    can_b: Any = True

    def swapped(self) -> "Counts":
        """The same with the classes' parts exchanged."""
        return replace(self, a=self.b, b=self.a, can_a=self.can_b, can_b=self.can_a)


def share(found: Counts) -> Floats:
    """A / (A + B), each judged item standing for size / n of its stratum (Hajek); NaN where there is neither."""
    weight = np.divide(found.size, found.n, out=np.zeros(np.broadcast(found.size, found.n).shape), where=_some(found.n))
    a, b = (weight * found.a).sum(axis=-1), (weight * found.b).sum(axis=-1)
    return np.where(a + b > 0, a / np.where(a + b > 0, a + b, 1), np.nan)


def interval(low: Counts, high: Counts, alpha: float | Floats = ALPHA) -> tuple[Floats, Floats]:
    """Where the share lies, missed with a chance of `alpha` at most; float[...] in 0..1, rounded outwards nowhere.

    `low` and `high` differ where something could not be judged: it counts against the share, then for it. Strata of
    which nothing was judged do the same. Of one stratum this is Clopper & Pearson's interval (1934). With more, one
    item of the other class is added where it weighs most (Fay & Feuer 1997), and a beta distribution has the mean and
    the linearised variance of the ratio (Korn & Graubard 1998).
    """
    return lower(low, alpha), 1 - lower(high.swapped(), alpha)


def lower(found: Counts, alpha: float | Floats = ALPHA) -> Floats:
    """The lower end of `interval`."""
    from scipy.special import betaincinv

    size, n, a, b, can_b = _scaled(found)
    weight = np.divide(size, n, out=np.zeros_like(size), where=n > 0)
    blank = (np.where((n == 0) & can_b, size, 0.0)).sum(axis=-1)
    worst = np.where(can_b, weight, 0.0)
    at = np.arange(size.shape[-1]) == worst.argmax(axis=-1)[..., None]
    at &= worst > 0
    b, n = b + at, n + at
    whole = (weight * (a + b)).sum(axis=-1) + blank
    whole = np.where(whole > TINY, whole, 0.0)
    r = np.divide((weight * a).sum(axis=-1), whole, out=np.zeros_like(whole), where=whole > 0)
    spread = (weight**2 * _spread(r[..., None], n, a, b)).sum(axis=-1) / np.where(whole > 0, whole, 1) ** 2
    known = (spread > 0) & (r > 0) & (r < 1)
    effective = np.divide(r * (1 - r), spread, out=np.ones_like(r), where=known)
    bound = betaincinv(
        np.where(known, r * effective, 1), np.where(known, (1 - r) * effective, 1), np.asarray(alpha) / 2
    )
    ends: Floats = np.where(known, np.minimum(bound, r), r)
    return ends


def _spread(r: Floats, n: Floats, a: Floats, b: Floats) -> Floats:
    """The sum of squares of what each item of a stratum adds to the ratio's numerator, about their mean."""
    middle: Floats = np.divide((1 - r) * a - r * b, n, out=np.zeros_like(a), where=n > 0)
    return np.maximum((1 - r) ** 2 * a + r**2 * b - np.maximum(n - 1, 0) * middle**2, 0.0)


def _scaled(found: Counts) -> tuple[Any, ...]:
    """As floats of one shape; counts are raised by what drawing without replacement gains: n to -N log(1 - n / N)."""
    size, n, a, b, can_b = np.broadcast_arrays(found.size, found.n, found.a, found.b, found.can_b)
    size, n = size.astype(np.float64), n.astype(np.float64)
    part = np.divide(n, size, out=np.zeros_like(n), where=size > 0)
    gain = np.divide(-np.log(np.maximum(1 - part, FULL)), part, out=np.ones_like(n), where=part > 0)
    gain = np.where(part >= 1, 1 / FULL, gain)
    return size, n * gain, a * gain, b * gain, can_b.astype(bool)


def _some(n: Any) -> Any:
    return np.asarray(n) > 0


def anytime(n: Any, planned: Any) -> Floats:
    """The alpha at which `interval` may be looked at after every decision, of `planned`: the intervals of a run all
    hold together, with a chance of 95 % (an asymptotic confidence sequence, narrowest where all are made: Waudby-Smith,
    Arbour, Sinha, Kennedy & Ramdas 2024, with the normal mixture of Robbins 1970).
    """
    from scipy.special import ndtr

    rho = (-2 * np.log(ALPHA) + np.log(-2 * np.log(ALPHA) + 1)) / np.maximum(planned, 1)
    at = np.maximum(n, 1) * rho
    found: Floats = 2 * ndtr(-np.sqrt((at + 1) / at * np.log((at + 1) / ALPHA**2)))
    return found
