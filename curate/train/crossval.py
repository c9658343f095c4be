"""How good the baseline is where one test split is too small to say: each row judged by a head that never saw it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from curate.config import TrainConfig
from curate.errors import UsageError
from curate.linear import Examples, Floats, Ints, fit
from curate.stats.metrics import Predictions, evaluate


def grouped_cross_validation(
    features: Floats, labels: Sequence[str], groups: Sequence[str], k: int = 5, seed: int = 0
) -> dict[str, Any]:
    """k folds, stratified by label, no group in two of them; the fold after the judged one stops the fit early.

    features float[n, d], labels[n], groups[n]. Returns {"k", "accuracy_per_fold", "accuracy_mean", "overall": the
    figures of `metrics.evaluate` over all n rows}. Raises UsageError with fewer than two labels or k groups.
    """
    classes = sorted(set(labels))
    if len(classes) < 2 or len(set(groups)) < k:
        raise UsageError(
            f"cross-validation: {len(classes)} classes and {len(set(groups))} groups; 2 and {k} are needed"
        )
    truth = np.array([classes.index(label) for label in labels], dtype=np.int64)
    rows = Examples(np.asarray(features, dtype=np.float32), truth, np.ones(len(truth), dtype=np.float32))
    judged = np.zeros((len(truth), len(classes)))
    accuracy = []
    for fold, val in _folds(truth, groups, k, seed):
        train = np.setdiff1d(np.arange(len(truth)), np.concatenate([fold, val]))
        head = fit(rows.pick(train), rows.pick(val), len(classes), TrainConfig())
        judged[fold] = head.probabilities(rows.features[fold])
        accuracy.append(round(float((judged[fold].argmax(axis=1) == truth[fold]).mean()), 4))
    overall = evaluate(Predictions(truth, judged, groups, classes), safe=classes, borderline=(), seed=seed)
    mean = round(sum(accuracy) / len(accuracy), 4)
    return {"k": k, "accuracy_per_fold": accuracy, "accuracy_mean": mean, "overall": overall}


def _folds(truth: Ints, groups: Sequence[str], k: int, seed: int) -> Iterator[tuple[Ints, Ints]]:
    """(judged, val) row numbers; every row is judged once."""
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(n_splits=k, shuffle=True, random_state=seed)
    folds = [test for _, test in splitter.split(np.zeros(len(truth)), truth, groups)]
    for number, fold in enumerate(folds):
        yield fold, folds[(number + 1) % k]
