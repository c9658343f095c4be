"""Models side by side on the same rows, and by how much each differs from the first: paired, over groups."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from curate.evaluate.contenders import Contender
from curate.records import Axis
from curate.stats.intervals import (
    Floats,
    Interval,
    around,
    counted,
    covering,
    effective,
    resampled,
    rounded,
    tails,
    wilson,
)
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
    every = [_Said(kept, one, ~np.isnan(one.unsafe), seed) for one in some]
    found = []
    for said in every:
        missing = int((~said.rows).sum())
        apart = {} if said is every[0] else _differences(kept, said, every[0])
        found.append(
            {"name": said.one.name, "n": int(said.rows.sum()), "missing": missing, **said.facts(), "difference": apart}
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

    def __init__(self, ground: Ground, one: Contender, rows: Mask, seed: int) -> None:
        judged = ground.judged
        self.one, self.rows, self.seed = one, rows, seed
        self.member = np.unique(judged.member[rows], return_inverse=True)[1] if rows.any() else np.zeros(0, np.int64)
        truth, unsafe = judged.truth[rows], one.unsafe[rows]
        bad, good = (side[rows] for side in ground.sides)
        self.sums: dict[str, tuple[Mask, Mask]] = {}  # shares: of which rows, which count
        self.fewest = min((counted(self.member[side]) for side in (bad, good) if side.any()), default=0.0)
        self.questions: list[Question] = []
        if one.probabilities is not None:
            said = one.probabilities[rows]
            self.sums["right"] = np.ones(len(truth), dtype=bool), said.argmax(axis=1) == truth
            self.questions = [Question.of(truth == c, said[:, c], self.member) for c in sorted(set(truth.tolist()))]
        self.ours = []
        if bad.any() and good.any():
            both = bad | good
            self.ours = [Question.of(bad[both], unsafe[both], self.member[both])]
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
        for prefix, asked in (("", self.questions), ("not_safe_", self.ours)):
            if asked:
                found |= zip((f"{prefix}roc_auc", f"{prefix}average_precision"), macro(asked, drawn), strict=True)
        return found

    @cached_property
    def point(self) -> dict[str, float]:
        """Figures of the rows as they are; NaN where one is undefined."""
        return {name: float(one[0]) for name, one in self.values(np.ones((1, self.groups))).items()}

    @cached_property
    def known(self) -> dict[str, Floats]:
        """The same over resamples of groups: of one set of rows the same resamples, whatever the model."""
        names = list(self.point)
        if not names:
            return {}

        def figures(drawn: Floats) -> Floats:
            found = self.values(drawn)
            return np.array([found[name] for name in names])

        return dict(zip(names, resampled(figures, self.groups, self.seed), strict=True))

    def facts(self) -> dict[str, Any]:
        """Each figure with its interval."""
        found: dict[str, Any] = {}
        for name, value in self.point.items() if self.groups else ():
            if np.isnan(value):
                continue
            if name in self.sums:
                of, which = self.sums[name]
                share, n = effective(which[of], self.member[of])
                between: Interval | None = covering(share * n, n)
            else:
                between = around(self.known[name], value, self.fewest or self.groups)
            found |= {name: rounded(value), f"{name}_interval": between}
        return found


def _differences(ground: Ground, one: _Said, first: _Said) -> dict[str, Any]:
    """Of each figure that both have, on the rows of which both say something: over the same resamples."""
    rows = one.rows & first.rows
    ours, theirs = (
        said if (said.rows == rows).all() else _Said(ground, said.one, rows, said.seed) for said in (one, first)
    )
    found: dict[str, Any] = {"n": int(rows.sum())}
    for name in FIGURES if ours.groups else ():
        value = ours.point.get(name, math.nan) - theirs.point.get(name, math.nan)
        if not math.isnan(value):
            between = _between(ours.known[name] - theirs.known[name], ours.fewest or ours.groups)
            found |= {name: rounded(value), f"{name}_interval": between}
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
