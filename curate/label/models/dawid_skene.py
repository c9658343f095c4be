"""Votes weighed by how each function errs, class by class, learnt without anybody's answer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.contracts import Evidence
from curate.label.models._patterns import MOST, patterns, spread
from curate.label.models.majority import Majority

if TYPE_CHECKING:
    import numpy as np

CHUNK = 200_000  # rows that are answered at a time
RIGHT, WRONG = (
    1.0,
    0.25,
)  # made-up votes of each function on each class: of an answer that holds it, of one that does not
STILL = 1e-5  # no share moves more in a step: it has settled


@dataclass(frozen=True)
class DawidSkene:
    """Expectation-maximisation over a confusion table for each function (Dawid & Skene 1979, Applied Statistics 28(1),
    doi.org/10.2307/2346806): how often it gives each answer on each class, and how frequent the classes are.

    An answer may be a set of classes; it is a category of its own, with its own place in the table. Not voting says
    nothing, but for a function with one answer, which says something only by whether it votes. It starts from shares of
    votes. A few made-up votes keep tables of rare answers from 0 and 1, and the classes from changing their names.
    Fitted on at most `rows` rows, spread evenly over the sorted patterns of votes. It takes functions for independent
    given the class, and is over-confident where they are not.
    """

    iterations: int = 100
    rows: int = MOST

    def __post_init__(self) -> None:
        """Refuse numbers that fit nothing."""
        if self.iterations < 1 or self.rows < 1:
            raise ValueError("iterations and rows must be 1 and more")

    def predict(self, evidence: Evidence) -> "np.ndarray":
        """float64[n, k]; a row with no vote is NaN. The order of rows and of functions says nothing but rounding."""
        import numpy as np

        k = evidence.sets.shape[1]
        found = np.full((len(evidence.votes), k), np.nan)
        covered = (evidence.votes >= 0).any(axis=1)
        if not covered.any():
            return found
        rows, place, counts = patterns(evidence.votes[covered])
        table = _Table.of(rows, evidence.sets)
        prior, log_theta = self._fit(table, rows, counts, evidence)
        parts = [
            _posterior(table.hot(rows[start : start + CHUNK]), prior, log_theta) for start in range(0, len(rows), CHUNK)
        ]
        found[covered] = np.concatenate(parts)[place]
        return found

    def _fit(
        self, table: "_Table", rows: "np.ndarray", counts: "np.ndarray", evidence: Evidence
    ) -> "tuple[np.ndarray, np.ndarray]":
        """The classes' shares, float64[k], and log P(answer | class), float64[answers, k]."""
        import numpy as np

        kept, weights = spread(counts, self.rows)
        rows = rows[kept]
        hot, k = table.hot(rows), evidence.sets.shape[1]
        belief = Majority().predict(Evidence(rows, evidence.sets, evidence.balance))
        prior, log_theta = evidence.balance, np.zeros((len(table.answers), k))
        for _ in range(self.iterations):
            weighed = belief * weights[:, None]
            shares = weighed.sum(axis=0) + k * evidence.balance
            counted = hot.T @ weighed + table.made_up
            theta = counted / (table.functions @ counted)
            before, prior, log_theta = prior, shares / shares.sum(), np.log(theta)
            last, belief = belief, _posterior(hot, prior, log_theta)
            moved = weights @ np.abs(belief - last) / weights.sum()
            if max(moved.max(), np.abs(prior - before).max()) < STILL:
                break
        return prior, log_theta


@dataclass(frozen=True)
class _Table:
    """The answers that functions give: a row each of the confusion tables."""

    answers: "list[tuple[int, int]]"  # function, place in sets; -1: one-sided, and does not vote
    functions: Any  # float64[answers, answers], 1 where two are of one function
    made_up: "np.ndarray"  # float64[answers, k]

    @property
    def most(self) -> int:
        """The last place in sets that an answer has."""
        return max(answer for _, answer in self.answers)

    @classmethod
    def of(cls, rows: "np.ndarray", sets: "np.ndarray") -> "_Table":
        import numpy as np

        answers, k = [], sets.shape[1]
        for function, column in enumerate(rows.T):
            given = [int(one) for one in np.unique(column) if one >= 0]
            answers += [(function, one) for one in ([-1, *given] if len(given) == 1 else given)]
        whose = np.array([function for function, _ in answers])
        holds = np.vstack([sets, np.zeros((1, k), dtype=bool)])[[one for _, one in answers]]  # not voting: the last row
        silent = np.array([one < 0 for _, one in answers])
        made_up = np.where(holds | silent[:, None], RIGHT, WRONG)
        return cls(answers, (whose[:, None] == whose).astype(np.float64), made_up)

    def hot(self, rows: "np.ndarray") -> Any:
        """Which answers each row holds: sparse float64[rows, answers]."""
        import numpy as np
        from scipy.sparse import csr_array

        places = np.full((rows.shape[1], self.most + 2), -1)  # the last: does not vote
        for place, (function, answer) in enumerate(self.answers):
            places[function, answer] = place
        at = places[np.arange(rows.shape[1]), rows]
        there = at >= 0
        starts = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
        return csr_array((np.ones(int(starts[-1])), at[there], starts), shape=(len(rows), len(self.answers)))


def _posterior(hot: Any, prior: "np.ndarray", log_theta: "np.ndarray") -> "np.ndarray":
    """P(class | votes), float64[rows, k]."""
    import numpy as np

    logits = hot @ log_theta + np.log(prior)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return found
