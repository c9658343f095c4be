"""What people said, learnt from the votes and scores beside it."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from curate.contracts import Evidence
from curate.errors import UsageError
from curate.stats.folds import folds

if TYPE_CHECKING:
    import numpy as np

CHUNK = 10_000  # rows that are answered at a time
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # C of the logistic regression, the strongest penalty first
THREADS = 4  # at most: each has a part of the rows in hand
FAR = 4.0  # standard deviations, at which a score is cut


@dataclass(frozen=True)
class Stack:
    """Logistic regression with an L2 penalty on scores and votes, trained on gold (stacking; Wolpert 1992).

    A vote is what it says of each class: its set's share of each less an even one, nothing where it abstains; the mean
    over the functions stands beside them. Scores are standardised and cut at four deviations; one that is missing is
    the mean, and a column of its own says so. The penalty is the one with the lowest log-loss over folds of
    near-duplicate groups: strong where gold is scarce. No class is weighted, so that probabilities are calibrated to
    gold drawn at random.

    Rows of a group with gold are answered by the fold that was trained without the group, the others by the model of
    all gold. A class without gold gets none.
    """

    def predict(self, evidence: Evidence) -> "np.ndarray":
        """float64[n, k]; a row with no vote and no score is NaN. Raises UsageError for gold of one class or none."""
        import numpy as np

        known = np.flatnonzero(evidence.gold >= 0)
        truth, groups = evidence.gold[known].astype(np.int64), evidence.groups[known].astype(np.int64)
        if len(classes := np.unique(truth)) < 2:
            raise UsageError(
                f"label.model: stack learns from what people said, and that is {len(known)} samples of {len(classes)}"
                ' classes (two at least; `curate queue gold`); use model = "auto" or "majority"'
            )
        reader = _Reader.of(evidence)
        fold = folds(truth, groups)
        with _still():
            models = _fitted(reader.read(known), truth, fold)
            found = np.full((len(evidence.votes), evidence.sets.shape[1]), np.nan)
            whose = _whose(evidence.groups, dict(zip(groups.tolist(), fold.tolist(), strict=True)))

            def answer(start: int) -> None:
                rows = np.arange(start, min(start + CHUNK, len(found)))
                _answer(models, reader.read(rows), whose[rows], found[rows[0] : rows[-1] + 1])

            _side_by_side(answer, range(0, len(found), CHUNK))
        found[reader.blank()] = np.nan
        return found


@dataclass(frozen=True)
class _Reader:
    """Makes numbers of evidence: float64[rows, features]."""

    evidence: Evidence
    says: "np.ndarray"  # float64[s + 1, k], what a vote says of each class; the last row: it abstains
    scores: "np.ndarray"  # int[d], the columns that tell rows apart
    mean: "np.ndarray"
    deviation: "np.ndarray"
    gaps: "np.ndarray"  # int[g], the columns that are known of some rows only

    @classmethod
    def of(cls, evidence: Evidence) -> "_Reader":
        import numpy as np

        k = evidence.sets.shape[1]
        shares = evidence.sets / evidence.sets.sum(axis=1, keepdims=True) - 1 / k
        scores = [evidence.scores[:, column] for column in range(evidence.scores.shape[1])]
        finite = [one[np.isfinite(one)].astype(np.float64) for one in scores]
        spread = np.array([one.std() if len(one) else 0.0 for one in finite])
        mean = np.array([one.mean() if len(one) else 0.0 for one in finite])
        kept = np.flatnonzero(spread > 0)
        gaps = np.array([n for n, one in enumerate(finite) if 0 < len(one) < len(scores[n])], dtype=np.int64)
        return cls(evidence, np.vstack([shares, np.zeros(k)]), kept, mean[kept], spread[kept], gaps)

    def read(self, rows: "np.ndarray") -> "np.ndarray":
        import numpy as np

        votes, scores = self.evidence.votes[rows], self.evidence.scores[rows]
        said = self.says[votes]  # rows, m, k
        cast = np.maximum((votes >= 0).sum(axis=1), 1)[:, None]
        away = (scores[:, self.scores] - self.mean) / self.deviation
        parts = [
            said.reshape(len(rows), -1),
            said.sum(axis=1) / cast,
            np.nan_to_num(away, nan=0.0, posinf=FAR, neginf=-FAR).clip(-FAR, FAR),
            np.isnan(scores[:, self.gaps]),
        ]
        return np.concatenate(parts, axis=1)

    def blank(self) -> "np.ndarray":
        """bool[n], of which rows nothing is known."""
        import numpy as np

        voted = (self.evidence.votes >= 0).any(axis=1)
        return np.asarray(~voted & ~np.isfinite(self.evidence.scores).any(axis=1))


def _fitted(features: "np.ndarray", truth: "np.ndarray", fold: "np.ndarray") -> list[Any]:
    """A model without each fold, and behind these the model of all, with the penalty that does best on what each was
    not trained on."""
    import numpy as np

    best, kept, strength = np.inf, list[Any](), STRENGTHS[0]
    k = int(truth.max()) + 1

    def without(of: tuple[float, int]) -> tuple[Any, np.ndarray]:
        c, one = of
        model, out = _regression(c, features[fold != one], truth[fold != one]), fold == one
        return model, _losses(model, features[out], truth[out], k)

    every = range(fold.max() + 1)
    fitted = iter(_side_by_side(without, [(c, one) for c in STRENGTHS for one in every]))
    for c in STRENGTHS:
        models, losses = zip(*(next(fitted) for _ in every), strict=True)
        if (loss := float(np.concatenate(losses).mean())) < best:
            best, kept, strength = loss, list(models), c
    return [*kept, _regression(strength, features, truth)]


def _regression(c: float, features: "np.ndarray", truth: "np.ndarray") -> Any:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    classes = np.unique(truth)
    return LogisticRegression(C=c, max_iter=1000, tol=1e-6).fit(features, truth) if len(classes) > 1 else classes


def _whole(model: Any, features: "np.ndarray", k: int) -> "np.ndarray":
    """float64[rows, k]; a class that was not there to learn gets 0."""
    import numpy as np

    found = np.zeros((len(features), k))
    if isinstance(model, np.ndarray):  # one class, and nothing to tell apart
        found[:, model] = 1.0
    else:
        found[:, model.classes_] = model.predict_proba(features)
    return found


def _losses(model: Any, features: "np.ndarray", truth: "np.ndarray", k: int) -> "np.ndarray":
    import numpy as np

    said = _whole(model, features, k)
    losses: np.ndarray = -np.log(said[np.arange(len(truth)), truth].clip(1e-3))
    return losses


def _whose(groups: "np.ndarray", fold: "dict[int, int]") -> "np.ndarray":
    """int[n], which model answers a row: that of its group's fold, or -1, that of all gold."""
    import numpy as np

    known = np.array(sorted(fold), dtype=np.int64)
    at = np.searchsorted(known, groups).clip(max=len(known) - 1)
    of = np.array([fold[one] for one in known.tolist()], dtype=np.int64)
    return np.where(known[at] == groups, of[at], -1)


def _answer(models: list[Any], features: "np.ndarray", whose: "np.ndarray", found: "np.ndarray") -> None:
    import numpy as np

    for one in np.unique(whose).tolist():
        rows = np.flatnonzero(whose == one)
        found[rows] = _whole(models[one], features[rows], found.shape[1])


T = TypeVar("T")
R = TypeVar("R")


def _side_by_side(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The result of each, in their order, by a thread a core: NumPy holds no lock while it computes."""

    def one(item: T) -> R:
        with _still():  # OpenMP counts threads for each of those that ask
            return work(item)

    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as threads:
        return list(threads.map(one, items))


@contextmanager
def _still() -> Iterator[None]:
    """One thread: sums come out the same on every machine of a kind."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
