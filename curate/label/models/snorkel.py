"""Votes weighed by how reliable each function seems from its agreement with the others."""

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.contracts import Evidence
from curate.errors import UsageError
from curate.label.models._patterns import MOST, patterns, spread

if TYPE_CHECKING:
    import numpy as np

CHUNK = 100_000  # patterns that are answered at a time
FEWEST = 3  # with two functions nobody can tell which of them is wrong


@dataclass(frozen=True)
class Snorkel:
    """Snorkel's `LabelModel` (Ratner et al. 2019, arxiv.org/abs/1810.02840), fitted on the votes that it then weighs.

    Fitted over the functions and classes that have votes, with the balance scaled to those classes. 500 epochs, since
    the library's 100 leave a result that depends on the seed. It takes functions for independent: several that copy one
    another outvote the rest. Its probabilities are over-confident; use them to rank, not as calibrated ones. Fitted
    on at most `rows` rows, spread evenly over the sorted patterns of votes.

    It knows votes for one class only, so a function abstains where it votes for several: asking of each class whether
    it is the one, by the side that a set decides, went wrong wherever functions can only say no (docs/decisions.md).
    """

    seed: int = 0
    epochs: int = 500
    rows: int = MOST

    def predict(self, evidence: Evidence) -> "np.ndarray":
        """float64[n, k]; a row with no vote for one class is NaN.

        The same votes give the same bits, whatever their place and their company's order. Raises UsageError with fewer
        than three functions that vote for one class.
        """
        import numpy as np

        balance = evidence.balance
        votes = np.where(evidence.votes < len(balance), evidence.votes, -1)
        voted = votes >= 0
        rows, functions = voted.any(axis=1), voted.any(axis=0)
        if functions.sum() < FEWEST:
            raise UsageError(
                f"label.model: snorkel needs {FEWEST} labelling functions that vote, and there are {functions.sum()}"
                ' (it takes no vote for several classes); use model = "auto" or "majority"'
            )
        classes = np.unique(votes[voted])
        found = np.full((len(votes), len(balance)), np.nan)
        found[rows] = 0.0
        if len(classes) == 1:
            found[rows, classes[0]] = 1.0
            return found
        shares = balance[classes] / balance[classes].sum()
        found[np.ix_(rows, classes)] = self._weigh(_dense(votes[rows][:, functions], classes), shares)
        return found

    def _weigh(self, votes: "np.ndarray", shares: "np.ndarray") -> "np.ndarray":
        import numpy as np

        with _undisturbed():
            from snorkel.labeling.model import LabelModel

            rows, place, counts = patterns(votes)
            if len(votes) > self.rows:
                kept, weights = spread(counts, self.rows)
                votes = np.repeat(rows[kept], weights.astype(np.int64), axis=0)
            model = LabelModel(cardinality=len(shares), verbose=False)
            model.fit(votes, class_balance=shares.tolist(), n_epochs=self.epochs, seed=self.seed, progress_bar=False)
            starts = range(0, len(rows), CHUNK)  # whole, they would be a dense n x mk
            answer = [model.predict_proba(rows[start : start + CHUNK]) for start in starts]
        found: np.ndarray = np.concatenate(answer)[place]
        return found


def _dense(votes: "np.ndarray", classes: "np.ndarray") -> "np.ndarray":
    """Votes for the classes 0, 1, ... without gaps."""
    import numpy as np

    return np.where(votes >= 0, np.searchsorted(classes, votes), -1).astype(np.int64)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave the process as it was: Snorkel seeds every global generator, logs to the root, and torch uses all cores."""
    import numpy as np
    import torch

    state, numpy_state, threads = random.getstate(), np.random.get_state(), torch.get_num_threads()
    quiet, level = logging.NullHandler(), logging.root.manager.disable
    logging.root.addHandler(quiet)
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
        logging.disable(level)
        logging.root.removeHandler(quiet)
        np.random.set_state(numpy_state)
        random.setstate(state)
