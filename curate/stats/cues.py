"""How much of a label one thing that is not the picture gives away, to a simple model that knows nothing else.

It is judged where it never looked: five folds, no near-duplicate group in two of them. The same with labels shuffled
from group to group shows what chance gives.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.stats.folds import folds

FOLDS = 5
SHUFFLES = 5
TELLING, GIVEN_AWAY = 0.70, 0.90  # AUC from which a shortcut is said to tell much of the label, to give it away


@dataclass(frozen=True)
class Shortcut:
    """`auc`: macro one-vs-rest; `chance`: its highest value over shuffled labels. `why_not` where it was not asked."""

    by: str
    auc: float | None = None
    chance: float | None = None
    rows: int = 0
    why_not: str = ""

    @property
    def found(self) -> bool:
        """Whether it says much more of the label than chance does."""
        return self.auc is not None and self.auc >= TELLING and self.auc > (self.chance or 0) + 0.1

    @property
    def verdict(self) -> str:
        """In words."""
        if self.auc is None:
            return self.why_not
        if not self.found:
            return "says little of the label"
        return "gives the label away" if self.auc >= GIVEN_AWAY else "says much of the label"


WHY_NOT = f"not asked: it takes two labels with {2 * FOLDS} groups of pictures each"


def enough(labels: Sequence[str], groups: Sequence[Any]) -> set[str]:
    """The labels of which there are enough groups to ask about."""
    counted = Counter(label for label, _ in set(zip(labels, groups, strict=True)))
    found = {label for label, n in counted.items() if n >= 2 * FOLDS}
    return found if len(found) > 1 else set()


class Asked:
    """The labels to predict, the folds to predict them in, and labels shuffled from group to group."""

    def __init__(self, labels: Sequence[str], groups: Sequence[Any]) -> None:
        self.classes, self.truth = np.unique(np.array(labels), return_inverse=True)
        self.groups = np.unique(np.array(groups), return_inverse=True)[1]
        fold = folds(self.truth, self.groups) % FOLDS
        self.folds = [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(FOLDS)]

    def shuffled(self, seed: int) -> "np.ndarray":
        """Each group with the label of another group's first row."""
        _, first = np.unique(self.groups, return_index=True)
        return np.asarray(np.random.default_rng(seed).permutation(self.truth[first])[self.groups])

    def words(self, by: str, values: Sequence[str | None]) -> Shortcut:
        """What a word says: the shares of labels that each word had, smoothed by one (categorical naive Bayes)."""
        if all(value is None for value in values):
            return Shortcut(by, why_not="not asked: nothing says it")
        names, codes = np.unique(np.array([value or "" for value in values]), return_inverse=True)
        if len(names) < 2:
            return Shortcut(by, why_not=f"not asked: all have the same ({by})")

        def model() -> Any:
            from sklearn.naive_bayes import CategoricalNB

            return CategoricalNB(min_categories=len(names))

        return self._score(by, codes.reshape(-1, 1), model)

    def numbers(self, by: str, values: "np.ndarray") -> Shortcut:
        """What numbers say, float[n, d] without NaN: a decision tree."""
        return self._score(by, values, _tree)

    def _score(self, by: str, features: "np.ndarray", model: Callable[[], Any]) -> Shortcut:
        chance = max(self._auc(features, self.shuffled(seed), model) for seed in range(1, SHUFFLES + 1))
        auc = self._auc(features, self.truth, model)
        return Shortcut(by, round(auc, 3), round(chance, 3), len(self.truth))

    def _auc(self, features: "np.ndarray", truth: "np.ndarray", model: Callable[[], Any]) -> float:
        """Macro one-vs-rest AUC of predictions made where the model never looked, all folds together."""
        from sklearn.metrics import roc_auc_score

        said = np.zeros((len(truth), len(self.classes)))
        for train, test in self.folds:
            fitted = model().fit(features[train], truth[train])
            said[np.ix_(test, fitted.classes_)] = fitted.predict_proba(features[test])
        present = np.unique(truth)
        return float(np.mean([roc_auc_score(truth == one, said[:, one]) for one in present]))


def _tree() -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=8, min_samples_leaf=5, random_state=0)
