"""Test-set metrics of a classifier with 95 % intervals (cluster bootstrap over near-duplicate groups)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.stats.intervals import Figure, Floats, bootstrap, rounded, wilson

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Predictions:
    """Rows of known class: truth int64[n] in 0..k-1, probabilities float64[n, k], groups[n] of what hangs together."""

    truth: Ints
    probabilities: Floats
    groups: Sequence[str]
    classes: Sequence[str]


def evaluate(judged: Predictions, safe: Sequence[str], borderline: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """The figures of `curate train`: all in 0..1, 4 digits; None where a figure is undefined on these rows.

    Accuracy has a Wilson interval; the others' come from resampling whole groups, since near-duplicates are not news.
    """
    predicted = judged.probabilities.argmax(axis=1) if len(judged.truth) else judged.truth
    right = int((predicted == judged.truth).sum())
    n = len(judged.truth)
    return {
        "n": n,
        "groups": len(set(judged.groups)),
        "accuracy": rounded(right / n) if n else None,
        "accuracy_interval": wilson(right, n),
        **_ranking(judged, "", _one_vs_rest(judged.truth, judged.probabilities), seed),
        "confusion": {
            "classes": list(judged.classes),
            "rows": _confusion(judged.truth, predicted, len(judged.classes)),
        },
        **_not_safe(judged, safe, borderline, seed),
    }


def said_by(sources: Sequence[str]) -> dict[str, Any]:
    """Whose labels a figure is held against: `labels` counts those of people, of the label model, of a classifier.

    `heading` is what a share of right answers may be called: accuracy where all labels are people's, else agreement.
    """
    counts = {name: sum(one == name for one in sources) for name in ("human", "weak", "model")}
    machine = "the label model" if counts["weak"] or not counts["model"] else "a classifier"
    if counts["weak"] and counts["model"]:
        machine = "the label model and a classifier"
    heading = "accuracy" if counts["human"] == len(sources) and sources else f"agreement with {machine}"
    if counts["human"] and heading != "accuracy":
        heading = f"agreement with people ({counts['human']} labels) and {machine}"
    return {"labels": counts, "heading": heading}


def against(test: Mapping[str, Any]) -> str:
    """A line on whose labels a model's figures are held against, and how many of them each gave."""
    if "labels" not in test:  # of an older curate
        return f"agreement with labels of whom nothing is on record (n = {test['n']})"
    said = ", ".join(f"{n} {who}" for who, n in test["labels"].items())
    return f"{test['heading']} (labels: {said}; n = {test['n']})"


def _confusion(truth: Ints, predicted: Ints, k: int) -> list[list[int]]:
    """Rows are the truth, columns what was said."""
    counts = np.zeros((k, k), dtype=np.int64)
    np.add.at(counts, (truth, predicted), 1)
    rows: list[list[int]] = counts.tolist()
    return rows


# -- ranking figures -------------------------------------------------------------------------------------------------

Questions = list[tuple[Mask, Floats]]  # (which rows are positive, how positive each looks)


def _one_vs_rest(truth: Ints, probabilities: Floats) -> Questions:
    return [(truth == c, probabilities[:, c]) for c in sorted(set(truth.tolist()))]


def _ranking(judged: Predictions, prefix: str, questions: Questions, seed: int) -> dict[str, Any]:
    """Area under the ROC curve and average precision, macro over the questions that have an answer."""
    found: dict[str, Any] = {}
    for name, score in (("roc_auc", roc_auc), ("average_precision", average_precision)):
        figure = _macro(score, questions)
        value = float(figure(np.ones((1, len(judged.groups))))[0])
        found[f"{prefix}{name}"] = None if np.isnan(value) else rounded(value)
        few = _fewest(questions, judged.groups)
        found[f"{prefix}{name}_interval"] = None if np.isnan(value) else bootstrap(figure, judged.groups, seed, few)
    return found


def _fewest(questions: Questions, groups: Sequence[str]) -> int | None:
    """Of the questions that have an answer, how many groups the smallest side has."""
    names = np.asarray(groups, dtype=str)
    sides = [len(set(names[side])) for positive, _ in questions for side in (positive, ~positive)]
    return min((n for n in sides if n), default=None)


def _macro(score: Callable[[Mask, Floats, Floats], Floats], questions: Questions) -> Figure:
    def figure(weights: Floats) -> Floats:
        values = [score(positive, looks, weights) for positive, looks in questions] or [np.full(len(weights), np.nan)]
        answered = ~np.isnan(values)
        total, n = np.nansum(values, axis=0), answered.sum(axis=0)
        return np.where(n > 0, total / np.maximum(n, 1), np.nan)

    return figure


def roc_auc(positive: Mask, looks: Floats, weights: Floats) -> Floats:
    """The share of (positive, negative) pairs in the right order, a tie counting half.

    positive bool[n], looks float[n], weights float[r, n] >= 0 -> float[r], NaN where a side weighs nothing.
    """
    hits, misses = _caught(positive, looks, weights)
    area = (np.diff(misses, prepend=0) * (hits + _before(hits)) / 2).sum(axis=1)
    return _divided(area, hits[:, -1] * misses[:, -1])


def average_precision(positive: Mask, looks: Floats, weights: Floats) -> Floats:
    """The precision at each threshold, weighed by the recall it adds; shapes and NaN as for `roc_auc`."""
    hits, misses = _caught(positive, looks, weights)
    precision = hits / np.maximum(hits + misses, 1e-12)
    area = (np.diff(hits, prepend=0) * precision).sum(axis=1)
    return np.where(misses[:, -1] > 0, _divided(area, hits[:, -1]), np.nan)


def _caught(positive: Mask, looks: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """What weighs at or above each threshold, the highest first: positives float[r, t], negatives float[r, t]."""
    order = np.argsort(-looks, kind="stable")
    last = np.append(np.diff(looks[order]) != 0, True)  # rows that look alike are caught together
    ranked = weights[:, order]
    hits = np.cumsum(ranked * positive[order], axis=1)[:, last]
    return hits, np.cumsum(ranked * ~positive[order], axis=1)[:, last]


def _before(values: Floats) -> Floats:
    return np.concatenate([np.zeros((len(values), 1)), values[:, :-1]], axis=1)


def _divided(part: Floats, whole: Floats) -> Floats:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


# -- safe against not safe -------------------------------------------------------------------------------------------


def _not_safe(judged: Predictions, safe: Sequence[str], borderline: Sequence[str], seed: int) -> Mapping[str, Any]:
    """Safe against not safe, where both are there; borderline rows belong to neither and are counted apart."""
    between = np.array([name in borderline for name in judged.classes])
    bad = np.array([name not in safe and name not in borderline for name in judged.classes])
    looks = judged.probabilities[:, bad].sum(axis=1)
    apart, positive = between[judged.truth], bad[judged.truth]
    if not positive.any() or not (~positive & ~apart).any():
        return {}
    rows = ~apart
    part = Predictions(judged.truth[rows], judged.probabilities[rows], _chosen(judged.groups, rows), judged.classes)
    flagged = looks >= 0.5
    return {
        "not_safe_n": int(positive.sum()),
        "not_safe_recall": rounded(float(flagged[positive].mean())),
        "not_safe_recall_interval": wilson(int(flagged[positive].sum()), int(positive.sum())),
        "not_safe_false_positive_rate": rounded(float(flagged[rows & ~positive].mean())),
        "not_safe_false_positive_rate_interval": wilson(
            int(flagged[rows & ~positive].sum()), int((rows & ~positive).sum())
        ),
        **_ranking(part, "not_safe_", [(positive[rows], looks[rows])], seed),
        "borderline_n": int(apart.sum()),
        "borderline_flagged": int(flagged[apart].sum()),
    }


def _chosen(groups: Sequence[str], rows: npt.NDArray[np.bool_]) -> list[str]:
    return [name for name, kept in zip(groups, rows, strict=True) if kept]
