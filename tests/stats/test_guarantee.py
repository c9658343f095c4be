"""Thresholds that promise something keep it, and say what lacks where they cannot."""

import math

import numpy as np
import pytest

import curate
from curate.errors import UsageError
from curate.stats.guarantee import guarantee

RECALL, ALARMS = 0.9, 0.05


def broken(repeats: int, n: int, size: int) -> dict[str, float]:
    """How often each promise, and any, is broken: scores are uniform, so that a threshold's true error is known.

    Not safe scores are u ** 0.3 and safe ones u ** 3; `size` rows of a group score alike.
    """
    wrong = dict.fromkeys(("recall", "false_alarms", "any"), 0)
    for number in range(repeats):
        chance = np.random.default_rng([3, number])
        unsafe = np.arange(n) % 2 == 0
        scores = np.where(unsafe, chance.random(n) ** 0.3, chance.random(n) ** 3)
        groups = [str(one) for one in np.repeat(np.arange(n), size)]
        found = guarantee(np.repeat(scores, size), np.repeat(unsafe, size), RECALL, ALARMS, 0.95, groups)
        assert found["status"] == "guaranteed"
        missed = found["recall"]["threshold"] ** (1 / 0.3) > 1 - RECALL
        flagged = 1 - min(1.0, found["false_alarms"]["threshold"]) ** (1 / 3) > ALARMS
        for name, one in (("recall", missed), ("false_alarms", flagged), ("any", missed or flagged)):
            wrong[name] += one
    return {name: count / repeats for name, count in wrong.items()}


@pytest.mark.parametrize("size", [1, 5])
def test_promises_are_kept(size: int) -> None:
    """Both at once, with a confidence of 95 %: so each is asked at 97.5 %."""
    assert broken(300, 400, size)["any"] <= 0.05 + 0.025


@pytest.mark.soak
@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize("n", [160, 1000])
def test_promises_are_kept_in_the_long_run(n: int, size: int) -> None:
    assert broken(5000, n, size)["any"] <= 0.05


def test_the_point_estimate_would_not_keep_it() -> None:
    """A test that can fail: the threshold that has the recall on val itself breaks it about half of the time."""
    wrong = 0
    for number in range(300):
        scores = np.sort(np.random.default_rng([4, number]).random(200))
        wrong += scores[int(200 * (1 - RECALL))] > 1 - RECALL
    assert wrong / 300 > 0.3


@pytest.mark.parametrize(("n", "missing"), [(0, 59), (1, 58), (58, 1), (59, 0), (500, 0)])
def test_it_says_how_many_labels_lack(n: int, missing: int) -> None:
    """0.95 ** 59 is the first below 0.05. Safe rows do not help a promise of recall."""
    scores, labels = np.linspace(0, 1, n + 40), np.arange(n + 40) >= 40
    found = curate.metrics.guarantee(scores, labels, recall=0.95, confidence=0.95)
    assert (found["missing"], found["recall"]["n"]) == (missing, n)
    assert found["status"] == ("refused" if missing else "guaranteed")
    assert (found["recall"]["threshold"] is None) == bool(missing)


def test_near_duplicates_are_no_labels_more() -> None:
    scores, labels = np.full(590, 0.9), np.ones(590, dtype=bool)
    groups = [str(n // 20) for n in range(590)]
    assert guarantee(scores, labels, groups=groups)["missing"] == 59 - 30
    assert guarantee(scores, labels)["missing"] == 0


def test_what_is_flagged_is_the_threshold_and_more() -> None:
    """59 rows bear one promise out: none of them may be missed."""
    found = guarantee(np.linspace(0.2, 0.8, 59), np.ones(59))
    assert found["recall"]["threshold"] == 0.2
    both = guarantee(np.linspace(0, 0.5, 299), np.zeros(299), recall=None, false_alarms=0.01)
    assert both["false_alarms"]["threshold"] == np.nextafter(0.5, 1), "nothing that was seen is flagged"


@pytest.mark.parametrize(
    ("scores", "labels", "options", "says"),
    [
        ([0.1, math.nan], [0, 1], {}, "none is NaN"),
        ([0.1, 1.2], [0, 1], {}, "between 0 and 1"),
        ([0.1, 0.2], [0, 2], {}, "a label is 1"),
        ([0.1], [0, 1], {}, "one label a score"),
        (["a"], [1], {}, "are numbers"),
        ([0.1], [1], {"recall": 1.0}, "recall must lie between"),
        ([0.1], [1], {"recall": None}, "give a recall or a rate"),
        ([0.1], [1], {"confidence": 0}, "confidence must lie between"),
        ([0.1], [1], {"groups": ["a", "b"]}, "2 groups for 1 scores"),
    ],
)
def test_what_is_asked_wrongly(
    scores: list[object], labels: list[float], options: dict[str, object], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        guarantee(scores, labels, **options)  # type: ignore[arg-type]
