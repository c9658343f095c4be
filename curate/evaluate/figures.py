"""What a model is worth on a split: every figure, and in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curate.stats.metrics import Predictions, against, evaluate, right_of

NAMES = {
    "accuracy": "accuracy",
    "agreement": "agreement",
    "roc_auc": "ROC-AUC, macro",
    "average_precision": "average precision, macro",
    "brier": "Brier score",
    "log_loss": "log-loss",
    "ece": "calibration error",
    "not_safe_recall": "not safe: recall",
    "not_safe_false_positive_rate": "not safe: false alarms",
    "not_safe_fpr_at_95_tpr": "false alarms at 95 % recall",
    "not_safe_fpr_at_99_tpr": "false alarms at 99 % recall",
    "not_safe_tpr_at_1_fpr": "recall at 1 % false alarms",
    "not_safe_roc_auc": "not safe: ROC-AUC",
    "not_safe_average_precision": "not safe: average precision",
}


def measured(judged: Predictions, safe: Sequence[str], borderline: Sequence[str], seed: int) -> dict[str, Any]:
    """The figures of a split; `people` has those over the rows that people labelled, where these are not all."""
    test = evaluate(judged, safe, borderline, seed)
    value, interval = right_of(test)
    if (n := int(judged.human.sum())) == len(judged.truth):
        return test | {"human": {"n": n, "accuracy": value if n else None, "interval": interval if n else None}}
    theirs = evaluate(judged.pick(judged.human), safe, borderline, seed) if n else {}
    human = {"n": n, "accuracy": theirs.get("accuracy"), "interval": theirs.get("accuracy_interval")}
    return test | {"human": human} | ({"people": theirs} if n else {})


def lines(test: Mapping[str, Any], split: str) -> Iterator[str]:
    """The figures for people: each with its interval, under whose labels it is held against."""
    yield f"{against(test)}, on the {split} split:"
    yield from _figures(test)
    if people := test.get("people"):
        yield f"on the {people['n']} of these that people labelled:"
        yield from _figures(people)


def _figures(test: Mapping[str, Any]) -> Iterator[str]:
    for key, name in NAMES.items():
        if test.get(key) is not None:
            between = test.get(f"{key}_interval")
            shown = "" if between is None else f"   {between[0]:.4f} to {between[1]:.4f}"
            yield f"  {name:<28} {test[key]:.4f}{shown}"
    if n := test.get("unread"):
        yield f"  {n} of {test['n']} rows could not be read, and count as errors"
