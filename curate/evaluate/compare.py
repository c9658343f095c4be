"""Models side by side on the same rows, and by how much each differs from the first: paired, over groups."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.evaluate.contenders import Contender
from curate.records import Axis
from curate.stats.intervals import Floats, Interval, around, counted, effective, resampled, rounded, tails, wilson
from curate.stats.metrics import Mask, Predictions, said_by
from curate.stats.ranking import Question, macro

FIGURES = ("right", "roc_auc", "average_precision", "not_safe_roc_auc", "not_safe_average_precision", "not_safe_recall",
           "not_safe_false_positive_rate")  # fmt: skip
ENOUGH = 50  # rows that people labelled, from which on these alone are compared on


@dataclass(frozen=True)
class Ground:
    """The rows on which models are compared: what each is, a place in the axis's classes; groups; who says so."""

    judged: Predictions  # probabilities are not looked at
    axis: Axis

    @property
    def sides(self) -> tuple[Mask, Mask]:
        """Which rows are not safe, and which safe."""
        names = np.array(self.judged.classes)[self.judged.truth]
        safe, apart = np.isin(names, self.axis.safe), np.isin(names, self.axis.borderline)
        return ~safe & ~apart, safe & ~apart

    def chosen(self) -> Mask:
        """People's rows where there are enough, of two classes; else all."""
        human = self.judged.human
        enough = human.sum() >= ENOUGH and len(set(self.judged.truth[human].tolist())) > 1
        return human if enough else np.ones(len(human), dtype=bool)


def side_by_side(ground: Ground, contenders: Sequence[Contender], seed: int, whole: bool = False) -> dict[str, Any]:
    """A row a model, the first being what others are held against: `rows` of {name, n, missing, figures,
    `difference` of each figure to the first, with its interval}; whose labels these are; what to know of a model.

    `whole`: on all rows, and what a model could not read counts as an error; else `missing` rows are left out.
    """
    if whole:
        contenders = [_as_errors(ground, one) for one in contenders]
    rows = np.ones(len(ground.judged.truth), dtype=bool) if whole else ground.chosen()
    kept = Ground(ground.judged.pick(rows), ground.axis)
    some = [_picked(one, rows) for one in contenders]
    found = []
    for one in some:
        said = _Said(kept, one, ~np.isnan(one.unsafe))
        apart = {} if one is some[0] else _differences(kept, one, some[0], seed)
        missing = int(np.isnan(one.unsafe).sum())
        found.append(
            {
                "name": one.name,
                "n": len(rows[rows]) - missing,
                "missing": missing,
                **said.facts(seed),
                "difference": apart,
            }
        )
    return {
        "of": int(rows.sum()), "groups": len(set(kept.judged.groups)), **said_by(kept.judged.sources), "rows": found,
        "foot": [f"{one.name} {one.foot}" for one in some if one.foot],
    }  # fmt: skip


def _picked(one: Contender, rows: Mask) -> Contender:
    return Contender(
        one.name, None if one.probabilities is None else one.probabilities[rows], one.unsafe[rows], one.foot
    )


def _as_errors(ground: Ground, one: Contender) -> Contender:
    """Rows of which nothing is said, as wrong as can be."""
    bad, _ = ground.sides
    lost, truth = np.isnan(one.unsafe), ground.judged.truth
    said = one.probabilities
    if said is not None:
        wrong = np.where(np.arange(said.shape[1]) == truth[:, None], -1.0, 2.0)
        said = np.where(lost[:, None], wrong, said)
    return Contender(one.name, said, np.where(lost, np.where(bad, -1.0, 2.0), one.unsafe), one.foot)


class _Said:
    """What one model says of some rows of the ground, bool[n], and its figures under any weights of groups."""

    def __init__(self, ground: Ground, one: Contender, rows: Mask) -> None:
        judged = ground.judged
        self.member = np.unique(judged.member[rows], return_inverse=True)[1] if rows.any() else np.zeros(0, np.int64)
        truth, unsafe = judged.truth[rows], one.unsafe[rows]
        bad, good = (side[rows] for side in ground.sides)
        self.both = bad | good
        self.sums: dict[str, tuple[Mask, Mask]] = {}  # shares: of which rows, which count
        self.fewest = min((counted(self.member[side]) for side in (bad, good) if side.any()), default=0.0)
        self.questions: list[Question] = []
        if one.probabilities is not None:
            said = one.probabilities[rows]
            self.sums["right"] = np.ones(len(truth), dtype=bool), said.argmax(axis=1) == truth
            self.questions = [Question.of(truth == c, said[:, c]) for c in sorted(set(truth.tolist()))]
        self.ours = []
        if bad.any() and good.any():
            self.ours = [Question.of(bad[self.both], unsafe[self.both])]
            self.sums["not_safe_recall"] = bad, unsafe >= 0.5
            self.sums["not_safe_false_positive_rate"] = good, unsafe >= 0.5

    @property
    def groups(self) -> int:
        """How many there are."""
        return int(self.member.max(initial=-1)) + 1

    def values(self, drawn: Floats) -> dict[str, Floats]:
        """Figures float[r] of how often each group counts, float[r, groups]."""
        found = {}
        for name, (of, which) in self.sums.items():
            whole, part = (drawn @ np.bincount(self.member[some], minlength=self.groups) for some in (of, of & which))
            found[name] = np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)
        weights = drawn[:, self.member]
        if self.questions:
            found |= zip(("roc_auc", "average_precision"), macro(self.questions, weights), strict=True)
        if self.ours:
            some = macro(self.ours, weights[:, self.both])
            found |= zip(("not_safe_roc_auc", "not_safe_average_precision"), some, strict=True)
        return found

    def facts(self, seed: int) -> dict[str, Any]:
        """Each figure with its interval."""
        if not self.groups:
            return {}
        point = {name: float(one[0]) for name, one in self.values(np.ones((1, self.groups))).items()}
        ranked = [name for name in point if name not in self.sums]
        known: Mapping[str, Floats] = {}
        if ranked:
            stacked = resampled(lambda drawn: np.array([self.values(drawn)[one] for one in ranked]), self.groups, seed)
            known = dict(zip(ranked, stacked, strict=True))
        found: dict[str, Any] = {}
        for name, value in point.items():
            if np.isnan(value):
                continue
            if name in self.sums:
                of, which = self.sums[name]
                share, n = effective(which[of], self.member[of])
                between: Interval | None = wilson(share * n, n)
            else:
                between = around(known[name], value, self.fewest or self.groups)
            found |= {name: rounded(value), f"{name}_interval": between}
        return found


def _differences(ground: Ground, one: Contender, first: Contender, seed: int) -> dict[str, Any]:
    """Of each figure that both have, on the rows of which both say something: over the same resamples."""
    rows = ~np.isnan(one.unsafe) & ~np.isnan(first.unsafe)
    ours, theirs = _Said(ground, one, rows), _Said(ground, first, rows)
    if not ours.groups:
        return {"n": 0}
    single = np.ones((1, ours.groups))
    both = [name for name in FIGURES if name in ours.values(single).keys() & theirs.values(single).keys()]

    def apart(drawn: Floats) -> Floats:
        a, b = ours.values(drawn), theirs.values(drawn)
        return np.array([a[name] - b[name] for name in both])

    found: dict[str, Any] = {"n": int(rows.sum())}
    for name, value, values in zip(
        both, apart(single)[:, 0], resampled(apart, ours.groups, seed) if both else (), strict=True
    ):
        if not np.isnan(value):
            found |= {name: rounded(value), f"{name}_interval": _between(values, ours.fewest or ours.groups)}
    return found


def _between(values: Floats, groups: float) -> Interval | None:
    """The middle 95 % of differences; where no resample tells the two apart, as far as so many groups can say."""
    known = values[~np.isnan(values)]
    if len(known) < len(values) / 2:
        return None
    low, high = (rounded(one) for one in np.quantile(known, tails(groups)))
    if low == high:
        most = (wilson(0, groups) or (0.0, 1.0))[1]
        return rounded(low - most), rounded(high + most)
    return low, high


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The table for people: a line a model, the difference to the first in brackets."""
    yield f"side by side on {found['of']} rows, {found['heading']}:"
    for row in found["rows"]:
        parts = [
            f"{key.replace('_', ' ')} {row[key]:.4f}{_apart(row['difference'], key)}" for key in SHOWN if key in row
        ]
        missing = f" ({row['missing']} of {found['of']} missing)" if row["missing"] else ""
        yield f"  {row['name']}{missing}: {', '.join(parts) or 'nothing to compare'}"
    yield from (f"  {one}" for one in found["foot"])


SHOWN = ("right", "roc_auc", "not_safe_roc_auc", "not_safe_average_precision")


def _apart(difference: Mapping[str, Any], key: str) -> str:
    if key not in difference:
        return ""
    low, high = difference[f"{key}_interval"] or (math.nan, math.nan)
    return f" ({difference[key]:+.4f}: {low:+.4f} to {high:+.4f})"
