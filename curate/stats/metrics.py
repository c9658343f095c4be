"""Figures of a classifier on rows of known class, each with its 95 % interval and whose labels it is held against.

Rows that hang together (near-duplicate groups) are one piece of news: shares have Wilson's interval at their effective
number, rankings and losses a bootstrap over groups. docs/baseline.md says how to read them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.errors import UsageError
from curate.stats import calibration
from curate.stats.guarantee import guarantee
from curate.stats.intervals import (
    Floats,
    Interval,
    Ints,
    around,
    counted,
    members,
    middle,
    resampled,
    rounded,
    share,
    wilson,
)
from curate.stats.operating import curves, false_alarms_at, recall_at
from curate.stats.ranking import Question, average_precision, macro, roc_auc, variance

__all__ = [
    "Predictions", "against", "average_precision", "check", "curves", "evaluate", "guarantee", "roc_auc", "said_by",
    "wilson",
]  # fmt: skip

Mask = npt.NDArray[np.bool_]
WHO = ("human", "weak", "model")
SLACK = 1e-6  # of a probability, beyond 0 and 1


@dataclass(frozen=True)
class Predictions:
    """Rows of known class: truth int64[n] in 0..k-1, probabilities float64[n, k], groups[n] of what hangs together.

    A row of NaN was asked for and could not be read: it counts as an error. `sources` say who labelled each row (human,
    weak, model; empty: not known), `weights` float[n] for how many each stands (None: for itself).
    """

    truth: Ints
    probabilities: Floats
    groups: Sequence[str]
    classes: Sequence[str]
    sources: Sequence[str] = ()
    weights: Floats | None = field(default=None)

    def pick(self, rows: Mask) -> "Predictions":
        """Some of the rows, bool[n]."""
        both = (self.groups, self.sources)
        groups, sources = ([some[n] for n in np.flatnonzero(rows).tolist()] if some else () for some in both)
        weights = None if self.weights is None else self.weights[rows]
        return replace(
            self, truth=self.truth[rows], probabilities=self.probabilities[rows], groups=groups, sources=sources,
            weights=weights,
        )  # fmt: skip

    @cached_property
    def member(self) -> Ints:
        """The number of each row's group."""
        return members(self.groups)

    @cached_property
    def read(self) -> Mask:
        """Which rows have probabilities."""
        return np.asarray(~np.isnan(self.probabilities).any(axis=1))

    @cached_property
    def right(self) -> Mask:
        """Which rows are called what they are."""
        called = np.where(self.read[:, None], self.probabilities, 0).argmax(axis=1) if len(self.truth) else self.truth
        return np.asarray((called == self.truth) & self.read)

    @cached_property
    def human(self) -> Mask:
        """Which rows people labelled; none where nobody says."""
        return np.array([one == "human" for one in self.sources] or [False] * len(self.truth), dtype=bool)

    def looks(self, of: Floats, positive: Mask) -> Floats:
        """A score of each row, on the wrong side of every other where it could not be read."""
        return np.where(self.read, of, np.where(positive, -1.0, 2.0))


@dataclass(frozen=True)
class Measured:
    """A figure on some rows, bool[n]; None where it is undefined on these."""

    what: str
    value: float | None
    interval: Interval | None
    rows: Mask

    @classmethod
    def of(cls, what: str, found: tuple[float, Interval] | None, rows: Mask) -> "Measured":
        """From a value with its interval."""
        return cls(what, None, None, rows) if found is None else cls(what, *found, rows)

    def facts(self, judged: Predictions) -> dict[str, Any]:
        """As a row of `figures`."""
        low, high = self.interval or (None, None)
        return {
            "what": self.what, "value": self.value, "low": low, "high": high, "n": int(self.rows.sum()),
            "groups": len(np.unique(judged.member[self.rows])),
            "people": int((self.rows & judged.human).sum()) if judged.sources else None,
        }  # fmt: skip


def flat(found: Sequence[Measured]) -> dict[str, Any]:
    """Figures as `NAME` and `NAME_interval`."""
    return {
        key: one for each in found for key, one in ((each.what, each.value), (f"{each.what}_interval", each.interval))
    }


def check(truth: Any, probabilities: Any) -> None:
    """Raise UsageError for classes and probabilities of which no figure can be told; a row of NaN alone is no fault."""
    if probabilities.ndim != 2 or len(truth) != len(probabilities):
        raise UsageError(f"metrics: {len(truth)} classes, and probabilities of shape {probabilities.shape}")
    unread = np.isnan(probabilities)
    if (unread.any(axis=1) & ~unread.all(axis=1)).any():
        raise UsageError("metrics: a row has NaN beside probabilities")
    known = probabilities[~unread.any(axis=1)]
    if known.size and not (known.min() >= -SLACK and known.max() <= 1 + SLACK):
        raise UsageError("metrics: probabilities lie between 0 and 1")


def evaluate(judged: Predictions, safe: Sequence[str], borderline: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """The figures of rows: all with 4 digits; None where a figure is undefined on these rows.

    Each stands as `NAME` and `NAME_interval`, and in `figures` with the n, groups and people's labels that it rests on.
    Where people did not give all labels, the share of right answers is `agreement`, and `accuracy` is None. Raises
    UsageError as `check` does.
    """
    check(judged.truth, judged.probabilities)
    rows = np.ones(len(judged.truth), dtype=bool)
    apart = _Sides.of(judged, safe, borderline)
    found = [Measured.of("accuracy", share(judged.right, judged.member, judged.weights), rows)]
    found += [*_ranked(judged, apart, seed), *calibrated(judged, seed)]
    found += apart.shares() if apart.both else []
    who = said_by(judged.sources) if judged.sources else {}
    if who and who["heading"] != "accuracy":
        found[:1] = [replace(found[0], what="agreement"), Measured("accuracy", None, None, rows & False)]
    return {
        "n": len(rows), "groups": len(set(judged.groups)), **who,
        **flat(found),
        "unread": int((~judged.read).sum()),
        "figures": [one.facts(judged) for one in found if one.value is not None],
        "confusion": _confusion(judged), **(apart.counts() if apart.both else {}), **_curves(judged, apart),
    }  # fmt: skip


def said_by(sources: Sequence[str]) -> dict[str, Any]:
    """Whose labels a figure is held against: `labels` counts those of people, of the label model, of a classifier.

    `heading` is what a share of right answers may be called: accuracy where all labels are people's, else agreement.
    """
    counts = {name: sum(one == name for one in sources) for name in WHO}
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


def right_of(test: Mapping[str, Any]) -> tuple[float | None, Interval | None]:
    """The share of right answers, whatever it may be called, and its interval."""
    name = "agreement" if test.get("agreement") is not None else "accuracy"
    return test.get(name), test.get(f"{name}_interval")


def _confusion(judged: Predictions) -> dict[str, Any]:
    """Rows are the truth, columns what was said; rows that could not be read are in none, and counted by class."""
    k = len(judged.classes)
    counts, read = np.zeros((k, k), dtype=np.int64), judged.read
    if read.any():
        np.add.at(counts, (judged.truth[read], judged.probabilities[read].argmax(axis=1)), 1)
    unread = np.bincount(judged.truth[~read], minlength=k).tolist()
    return {"classes": list(judged.classes), "rows": counts.tolist()} | ({"unread": unread} if any(unread) else {})


# -- safe against not safe -------------------------------------------------------------------------------------------


def unsafe_of(judged: Predictions, safe: Sequence[str], borderline: Sequence[str]) -> tuple[Floats, Mask, Mask]:
    """How probable it is that each row is not safe, float[n]; which rows are not safe, and which safe, bool[n]."""
    found = _Sides.of(judged, safe, borderline)
    return found.looks, found.positive, found.negative


@dataclass(frozen=True)
class _Sides:
    """Which rows are not safe, which are safe, which are borderline and belong to neither, bool[n]; how probable it is
    that each is not safe, float[n]."""

    judged: Predictions
    positive: Mask
    negative: Mask
    apart: Mask
    looks: Floats

    @classmethod
    def of(cls, judged: Predictions, safe: Sequence[str], borderline: Sequence[str]) -> "_Sides":
        between = np.array([name in borderline for name in judged.classes], dtype=bool)
        bad = np.array([name not in safe and name not in borderline for name in judged.classes], dtype=bool)
        positive, apart = bad[judged.truth], between[judged.truth]
        return cls(
            judged,
            positive,
            ~positive & ~apart,
            apart,
            judged.looks(judged.probabilities[:, bad].sum(axis=1), positive),
        )

    @property
    def both(self) -> bool:
        """Whether there is something to part."""
        return bool(self.positive.any() and self.negative.any())

    @property
    def rows(self) -> Mask:
        """What is not borderline."""
        return np.asarray(~self.apart)

    def shares(self) -> Iterator[Measured]:
        """At one half, and where a threshold finds so much or raises so many false alarms."""
        flagged, member, weights = self.looks >= 0.5, self.judged.member, self.judged.weights
        for name, rows in (("recall", self.positive), ("false_positive_rate", self.negative)):
            some = None if weights is None else weights[rows]
            yield Measured.of(f"not_safe_{name}", share(flagged[rows], member[rows], some), rows)
        if weights is not None:
            return
        parts = self.positive[self.rows], self.looks[self.rows], member[self.rows]
        yield Measured.of("not_safe_fpr_at_95_tpr", false_alarms_at(*parts, 0.95), self.rows)
        yield Measured.of("not_safe_fpr_at_99_tpr", false_alarms_at(*parts, 0.99), self.rows)
        yield Measured.of("not_safe_tpr_at_1_fpr", recall_at(*parts, 0.01), self.rows)

    def counts(self) -> dict[str, int]:
        """How many are not safe, how many borderline, and how many of these are flagged."""
        return {
            "not_safe_n": int(self.positive.sum()),
            "borderline_n": int(self.apart.sum()),
            "borderline_flagged": int((self.looks[self.apart] >= 0.5).sum()),
        }


def _curves(judged: Predictions, sides: _Sides) -> dict[str, Any]:
    """What a page draws: ROC and precision against recall of what is not safe, and reliability."""
    found: dict[str, Any] = {}
    if judged.weights is not None:
        return {"curves": found}
    if sides.both:
        found |= curves(sides.positive[sides.rows], sides.looks[sides.rows])
    if judged.read.any():
        truth, probabilities = judged.truth[judged.read], judged.probabilities[judged.read]
        found["reliability"] = calibration.Bins.from_rows(truth, probabilities).table()
    return {"curves": found}


# -- what is resampled -----------------------------------------------------------------------------------------------


def _ranked(judged: Predictions, sides: _Sides, seed: int) -> list[Measured]:
    """Area under the ROC curve and average precision: macro over the classes there are, and of what is not safe."""
    every = np.ones(len(judged.truth), dtype=bool)
    asked = [(judged.truth == c, judged.looks(judged.probabilities[:, c], judged.truth == c)) for c in _classes(judged)]
    found = _macro(judged, "", asked, every, seed)
    if sides.both:
        found += _macro(judged, "not_safe_", [(sides.positive, sides.looks)], sides.rows, seed)
    return found


def _classes(judged: Predictions) -> list[int]:
    found: list[int] = sorted(set(judged.truth.tolist()))
    return found


def _macro(
    judged: Predictions, prefix: str, asked: Sequence[tuple[Mask, Floats]], rows: Mask, seed: int
) -> list[Measured]:
    weights = None if judged.weights is None else judged.weights[rows]
    member = np.unique(judged.member[rows], return_inverse=True)[1]
    questions = [Question.of(positive[rows], looks[rows], member, weights) for positive, looks in asked]
    names = (f"{prefix}roc_auc", f"{prefix}average_precision")
    values = macro(questions, np.ones((1, int(member.max(initial=-1)) + 1)))[:, 0]
    if np.isnan(values).all():
        return [Measured(name, None, None, rows) for name in names]
    known = resampled(lambda drawn: macro(questions, drawn), int(member.max()) + 1, seed)
    sides = [(counted(judged.member[one & rows]), counted(judged.member[~one & rows])) for one, _ in asked]
    fewest = min((n for each in sides for n in each if n), default=0.0)
    least = _least(values[0], sides)
    raised = max(1.0, least / max(float(np.nanstd(known[0])), 1e-12)) if least else 1.0
    spreads = [raised * float(np.nanstd(row)) for row in known]
    return [
        Measured(name, rounded(value), around(row, float(value), fewest, spread), rows)
        for name, value, row, spread in zip(names, values, known, spreads, strict=True)
    ]


def _least(area: float, sides: Sequence[tuple[float, float]]) -> float:
    """The deviation that an area has where each group is one row; two classes ask one question twice."""
    some = [variance(area, a, b) for a, b in sides if a and b]
    alone = 1 if len(some) == 2 else len(some)
    return float((sum(some[:alone]) / alone**2) ** 0.5) if some else 0.0


def calibrated(judged: Predictions, seed: int = 0) -> list[Measured]:
    """Brier score, log-loss and calibration error of the rows that have probabilities."""
    read = judged.read
    if not read.any():
        return [Measured(name, None, None, read) for name in ("brier", "log_loss", "ece")]
    truth, probabilities = judged.truth[read], judged.probabilities[read]
    member = np.unique(judged.member[read], return_inverse=True)[1]
    weights = np.ones(len(truth)) if judged.weights is None else judged.weights[read]
    losses = (calibration.brier(truth, probabilities), calibration.log_loss(truth, probabilities))
    mass, *sums = (np.bincount(member, weights * one) for one in (np.ones(len(truth)), *losses))
    known = resampled(lambda drawn: np.array([drawn @ one for one in sums]) / (drawn @ mass), len(mass), seed)
    found = [
        Measured(name, rounded(one.sum() / mass.sum()), middle(row, counted(member)), read)
        for name, one, row in zip(("brier", "log_loss"), sums, known, strict=True)
    ]
    if judged.weights is not None:
        return found
    bins = calibration.Bins.from_rows(truth, probabilities)
    return [*found, Measured("ece", rounded(bins.error()), bins.interval(member, seed), read)]
