"""Every vote counts the same."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.contracts import Evidence

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Majority:
    """The probability of a class is its share of the votes; two classes with as many votes are a tie.

    A vote for several classes is shared evenly among them, so that such votes alone end in a tie and decide nothing.
    The class balance is not used: no function is taken to be better than another, and no class to be more frequent.
    """

    def predict(self, evidence: Evidence) -> "np.ndarray":
        """float64[n, k]; a row with no vote is NaN."""
        import numpy as np

        votes, sets = evidence.votes, evidence.sets
        found = np.zeros((len(votes), sets.shape[1]))
        for place, shares in enumerate(sets / sets.sum(axis=1, keepdims=True)):
            found += (votes == place).sum(axis=1)[:, None] * shares
        cast = (votes >= 0).sum(axis=1)[:, None]
        probabilities: np.ndarray = np.divide(found, cast, out=np.full_like(found, np.nan), where=cast > 0)
        return probabilities
