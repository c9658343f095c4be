"""A labelling function that reads columns alone: one rule, for many rows at once and, as Snorkel asks, for one."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from curate.records import Axis

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

HIGH, HARMLESS = 0.8, 0.95  # a vote's least probability: for what is not safe, and for what may be
Columns = Mapping[str, "np.ndarray"]
Rule = Callable[[Columns], "np.ndarray"]  # the place of an answer for each row, or -1


def voter(
    name: str, rule: Rule, columns: Sequence[str], sets: Sequence[str | Sequence[str]] | None
) -> "LabelingFunction":
    """The function of a rule that reads some columns; numbers reach it as float64, so that a threshold means the same
    of one row and of many. `sets` as of any function (None: the axis's classes one by one)."""
    from snorkel.labeling import LabelingFunction

    def over(every: Columns) -> "np.ndarray":
        return rule({one: _numbers(every[one]) for one in columns})

    def vote(x: Any) -> int:
        return int(rule({one: _single(getattr(x, one)) for one in columns})[0])

    made = LabelingFunction(name, vote)
    made.over = over
    if sets is not None:
        made.sets = sets
    return made


def meant(classes: Collection[str], axis: Axis) -> tuple[str, ...]:
    """Those of some classes that the axis has, in its order; none where these are all: that says nothing."""
    found = tuple(one for one in axis.classes if one in classes)
    return found if len(found) < len(axis.classes) else ()


def by_meaning(
    name: str, meaning: Mapping[str, Sequence[str]], axis: Axis, columns: Collection[str]
) -> "list[LabelingFunction]":
    """One vote by probabilities, each of which means classes: what means nothing safe from HIGH on, else what does from
    HARMLESS on. No function where a column is not there, or none means anything."""
    safe = [bool(set(classes) & set(axis.safe)) for classes in meaning.values()]
    asked = [(n, column, HARMLESS if safe[n] else HIGH) for n, column in enumerate(meaning)]
    asked.sort(key=lambda one: safe[one[0]])  # flags first
    if not meaning or not meaning.keys() <= set(columns):
        return []

    def rule(c: Columns) -> "np.ndarray":
        return first(*((c[column] >= least, n) for n, column, least in asked))

    return [voter(name, rule, list(meaning), tuple(meaning.values()))]


def first(*cases: "tuple[np.ndarray | bool, int]") -> "np.ndarray":
    """The answer of the first case that holds on each row, or -1."""
    import numpy as np

    return np.select([rows for rows, _ in cases], [answer for _, answer in cases], -1)


def _numbers(values: "np.ndarray") -> "np.ndarray":
    import numpy as np

    return values.astype(np.float64) if values.dtype.kind == "f" else values


def _single(value: Any) -> "np.ndarray":
    import numpy as np

    return np.array([value], dtype=object if value is None or isinstance(value, str) else np.float64)
