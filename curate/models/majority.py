"""Every vote counts the same."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Majority:
    """The probability of a class is its share of the votes; two classes with as many votes are a tie.

    The class balance is not used: no function is taken to be better than another, and no class to be more frequent.
    """

    def predict(self, votes: "np.ndarray", balance: "np.ndarray") -> "np.ndarray":
        """votes int8[n, m] (-1 abstains), balance float64[k] -> float64[n, k]; a row with no vote is NaN."""
        import numpy as np

        counts = np.stack([(votes == label).sum(axis=1) for label in range(len(balance))], axis=1).astype(np.float64)
        total = counts.sum(axis=1, keepdims=True)
        shares: np.ndarray = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
        return shares
