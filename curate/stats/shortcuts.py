"""Whether something that is not the picture gives its label away.

A classifier learns what is easy. Where all of one class came from one site, or all of the other has 1280 px, a model
can score well and have learnt nothing; so each of these is given to a simple model alone, and judged where it never
looked: five folds, no near-duplicate group in two of them. The same with labels shuffled shows what chance gives.
"""

import warnings
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FOLDS = 5
SHUFFLES = 5
MOST = 50_000  # rows that a model looks at, the same ones every time
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


def some(labels: Sequence[str | None], groups: Sequence[Hashable], most: int = MOST) -> list[int]:
    """The rows that a model looks at: labelled ones, `most` at most, of labels that have enough groups for the folds.

    Empty where fewer than two labels have as many.
    """
    import numpy as np

    labelled = [n for n, label in enumerate(labels) if label is not None]
    step = np.random.default_rng(0).permutation(len(labelled))[:most]
    labelled = [labelled[n] for n in sorted(step.tolist())]
    counted = Counter(str(label) for label, _ in {(labels[n], groups[n]) for n in labelled})
    enough = {label for label, n in counted.items() if n >= 2 * FOLDS}
    return [n for n in labelled if str(labels[n]) in enough] if len(enough) >= 2 else []


TOO_FEW = f"not asked: it takes two labels with {2 * FOLDS} groups of pictures each"


class Asked:
    """The labels to predict, the folds to predict them in, and labels shuffled from group to group."""

    def __init__(self, labels: Sequence[str], groups: Sequence[Hashable]) -> None:
        import numpy as np
        from sklearn.model_selection import StratifiedGroupKFold

        self.classes, self.truth = np.unique(np.array(labels), return_inverse=True)
        self.groups = np.unique(np.array(groups), return_inverse=True)[1]
        splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.folds = list(splitter.split(np.zeros(len(self.truth)), self.truth, self.groups))

    def shuffled(self, seed: int) -> "np.ndarray":
        """Each group with the label of another group's first row."""
        import numpy as np

        _, first = np.unique(self.groups, return_index=True)
        return np.asarray(np.random.default_rng(seed).permutation(self.truth[first])[self.groups])


def by_word(by: str, values: Sequence[str | None], asked: Asked) -> Shortcut:
    """What a word says: the shares of labels that each word had, smoothed by one (categorical naive Bayes)."""
    import numpy as np

    if all(value is None for value in values):
        return Shortcut(by, why_not="not asked: nothing says it")
    names, codes = np.unique(np.array([value or "" for value in values]), return_inverse=True)
    if len(names) < 2:
        return Shortcut(by, why_not=f"not asked: all have the same ({by})")

    def model() -> Any:
        from sklearn.naive_bayes import CategoricalNB

        return CategoricalNB(min_categories=len(names))

    return by_numbers(by, codes.reshape(-1, 1), asked, model)


def by_numbers(by: str, features: "np.ndarray", asked: Asked, model: Any) -> Shortcut:
    """What numbers float64[n, d] say to a model that scikit-learn fits; `model` makes one."""
    chance = max(_auc(features, asked.shuffled(seed), asked, model) for seed in range(1, SHUFFLES + 1))
    auc = _auc(features, asked.truth, asked, model)
    return Shortcut(by, round(auc, 3), round(chance, 3), len(asked.truth))


def _auc(features: "np.ndarray", truth: "np.ndarray", asked: Asked, model: Any) -> float:
    """Macro one-vs-rest AUC of predictions made where the model never looked, all folds together."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    said = np.zeros((len(truth), len(asked.classes)))
    for train, test in asked.folds:
        fitted = model().fit(features[train], truth[train])
        said[np.ix_(test, fitted.classes_)] = fitted.predict_proba(features[test])
    present = np.unique(truth)
    return float(np.mean([roc_auc_score(truth == one, said[:, one]) for one in present]))
