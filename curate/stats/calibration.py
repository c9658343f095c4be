"""How far probabilities can be taken at their word: Brier score, log-loss, calibration error, and a temperature."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.stats.intervals import Floats, Interval, resampled, rounded, wilson

Ints = npt.NDArray[np.int64]
BINS = 15
LEAST = 1e-15  # a probability, where a logarithm is asked for
RANGE = (0.05, 20.0)  # of temperatures


def brier(truth: Ints, probabilities: Floats) -> Floats:
    """Of each row the sum over classes of squared differences (Brier 1950), 0 to 2: float[n]."""
    wanted = np.zeros_like(probabilities)
    wanted[np.arange(len(truth)), truth] = 1
    found: Floats = ((probabilities - wanted) ** 2).sum(axis=1)
    return found


def log_loss(truth: Ints, probabilities: Floats) -> Floats:
    """Of each row minus the logarithm of what the true class was given: float[n]."""
    return np.asarray(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], LEAST)))


@dataclass(frozen=True)
class Bins:
    """Rows in BINS bins of equal mass by the probability of the class that is called: `of` int[n], `top` float[n],
    `right` bool[n]."""

    of: Ints
    top: Floats
    right: npt.NDArray[np.bool_]

    @classmethod
    def from_rows(cls, truth: Ints, probabilities: Floats) -> "Bins":
        """Sorted by probability and cut into equal parts; fewer than BINS rows are a bin each."""
        top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
        of = np.empty(len(truth), dtype=np.int64)
        for number, rows in enumerate(np.array_split(np.argsort(top, kind="stable"), BINS)):
            of[rows] = number
        return cls(of, top, right)

    def error(self) -> float:
        """The expected calibration error (Naeini et al. 2015): how far a bin's share of right answers lies from its
        mean probability, a bin by its mass."""
        return float(np.abs(np.bincount(self.of, self.right - self.top)).sum() / len(self.of))

    def interval(self, member: Ints, seed: int) -> Interval:
        """Where the error lies: as far from what was found as 95 % of the resamples' bins, together, lie from it.

        No percentiles: the error of a sample is too high, and that of its resamples higher still. By the triangle
        inequality the interval is conservative.
        """
        groups, n = int(member.max()) + 1, len(self.of)
        apart = np.bincount(member * BINS + self.of, self.right - self.top, groups * BINS).reshape(groups, BINS)
        size, whole = np.bincount(member).astype(np.float64), apart.sum(axis=0) / n

        def far(drawn: Floats) -> Floats:
            found: Floats = np.abs(drawn @ apart / (drawn @ size)[:, None] - whole).sum(axis=1)[None]
            return found

        most, error = float(np.quantile(resampled(far, groups, seed), 0.95)), self.error()
        most = most or (wilson(0, groups) or (0.0, 1.0))[1]  # what holds no error shows none
        return rounded(max(0.0, error - most)), rounded(min(1.0, error + most))

    def table(self) -> list[dict[str, Any]]:
        """A row a bin that is not empty: how many, their mean probability, the share that is right."""
        return [
            {"n": int(rows.sum()), "said": rounded(self.top[rows].mean()), "right": rounded(self.right[rows].mean())}
            for rows in (self.of == number for number in range(BINS))
            if rows.any()
        ]


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """The probabilities of logits that are divided by a temperature (Guo et al. 2017)."""
    logits = np.log(np.maximum(probabilities, LEAST)) / temperature
    powers = np.exp(logits - logits.max(axis=1)[:, None])
    return np.asarray(powers / powers.sum(axis=1)[:, None])


def temperature(truth: Ints, probabilities: Floats) -> float:
    """The temperature of the lowest log-loss on these rows, 4 digits; 1.0 where they hold fewer than two classes."""
    from scipy.optimize import minimize_scalar

    if len(set(truth.tolist())) < 2:
        return 1.0
    low, high = np.log(RANGE)
    found = minimize_scalar(
        lambda at: float(log_loss(truth, tempered(probabilities, np.exp(at))).mean()),
        bounds=(low, high), method="bounded", options={"xatol": 1e-6},
    )  # fmt: skip
    return rounded(float(np.exp(found.x)))
