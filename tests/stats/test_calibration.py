"""Losses and calibration against their definitions; what a threshold buys, by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, roc_curve

from curate.errors import UsageError
from curate.stats import calibration
from curate.stats.metrics import Predictions, calibrated, evaluate
from curate.stats.operating import curves, false_alarms_at, recall_at


def rows(n: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    return np.append(np.arange(k), chance.integers(0, k, n)), chance.dirichlet(np.ones(k), n + k)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(2, 5))
def test_losses_are_those_of_scikit_learn(seed: int, k: int) -> None:
    truth, said = rows(30, k, seed)
    assert calibration.log_loss(truth, said).mean() == pytest.approx(log_loss(truth, said, labels=range(k)))
    if k == 2:  # theirs is of one class of two: half of the sum over both
        assert calibration.brier(truth, said).mean() == pytest.approx(2 * brier_score_loss(truth, said[:, 1]))


def test_the_calibration_error_by_hand() -> None:
    """30 rows that say 0.6, of which 20 are right, then 30 that say 0.9, of which 20 are right: bins of 4 each."""
    truth = np.array([0] * 20 + [1] * 10 + [0] * 20 + [1] * 10)
    said = np.repeat([[0.6, 0.4], [0.9, 0.1]], 30, axis=0)
    chance = np.random.default_rng(0)
    order = chance.permutation(60)
    found = calibration.Bins.from_rows(truth[order], said[order])
    bins = [np.flatnonzero(found.of == number) for number in range(15)]
    assert {len(one) for one in bins} == {4}
    expected = sum(abs(found.right[one].sum() - found.top[one].sum()) for one in bins) / 60
    assert found.error() == pytest.approx(expected)
    assert sum(one["n"] for one in found.table()) == 60
    low, high = found.interval(np.arange(60), 0)
    assert low < found.error() < high


def test_a_model_that_knows_how_sure_to_be_has_no_error_within_its_interval() -> None:
    chance = np.random.default_rng(1)
    said = chance.dirichlet(np.ones(3), 2000)
    truth = np.array([chance.choice(3, p=one) for one in said])
    groups = [str(n) for n in range(2000)]
    found = {one.what: one for one in calibrated(Predictions(truth, said, groups, ["a", "b", "c"]))}
    assert found["ece"].interval is not None
    assert found["ece"].interval[0] == 0.0
    too_sure = calibration.tempered(said, 0.3)
    worse = {one.what: one for one in calibrated(Predictions(truth, too_sure, groups, ["a", "b", "c"]))}
    assert worse["ece"].interval is not None
    assert worse["ece"].interval[0] > 0.05
    assert calibration.temperature(truth, too_sure) == pytest.approx(1 / 0.3, rel=0.1)
    assert calibration.temperature(np.zeros(9, dtype=np.int64), said[:9]) == 1.0, "one class says nothing"


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_operating_points_are_those_of_the_curve(seed: int) -> None:
    chance = np.random.default_rng(seed)
    positive = np.append([True, False], chance.random(80) < 0.4)
    looks = np.round(chance.normal(size=82) + positive, 1)
    alarms, recalls, _ = roc_curve(positive, looks, drop_intermediate=False)
    at = false_alarms_at(positive, looks, np.arange(82), 0.95)
    assert at is not None
    assert at[0] == pytest.approx(alarms[recalls >= 0.95].min(), abs=1e-4)
    assert at[1][0] <= at[0] <= at[1][1]
    found = recall_at(positive, looks, np.arange(82), 0.05)
    assert found is not None
    assert found[0] == pytest.approx(recalls[alarms <= 0.05].max(), abs=1e-4)
    assert false_alarms_at(positive & False, looks, np.arange(82), 0.95) is None
    drawn = curves(positive, looks)
    assert drawn["roc"][-1] == [1.0, 1.0]


def test_the_interval_of_a_rare_operating_point_says_that_nobody_knows() -> None:
    """Of 30 that are not safe the lowest scores say little of where 99 % lie."""
    chance = np.random.default_rng(2)
    positive = np.arange(330) < 30
    looks = chance.normal(size=330) + 3 * positive
    found = false_alarms_at(positive, looks, np.arange(330), 0.99)
    assert found is not None
    assert found[1][1] == 1.0


def test_rows_that_could_not_be_read_are_errors() -> None:
    """In shares and rankings, on the wrong side of every other; losses are of the rows that have probabilities."""
    truth, said = np.array([0, 0, 0, 1, 1, 1]), np.array([[0.9, 0.1]] * 3 + [[0.1, 0.9]] * 3)
    said[[0, 3]] = np.nan
    found = evaluate(Predictions(truth, said, list("abcdef"), ["safe", "bad"]), ["safe"], [])
    assert (found["n"], found["unread"], found["accuracy"]) == (6, 2, 0.6667)
    assert found["roc_auc"] == pytest.approx((2 * 2) / 9, abs=1e-4)
    assert (found["not_safe_recall"], found["not_safe_false_positive_rate"]) == (0.6667, 0.3333)
    assert found["brier"] == pytest.approx(2 * 0.01, abs=1e-4)
    assert found["confusion"] == {"classes": ["safe", "bad"], "rows": [[2, 0], [0, 2]], "unread": [1, 1]}


@pytest.mark.parametrize("said", [[[0.5, np.nan]], [[1.5, -0.5]], [0.5]])
def test_what_is_no_probability_is_refused(said: object) -> None:
    with pytest.raises(UsageError, match="metrics: "):
        evaluate(Predictions(np.array([0]), np.array(said), ["a"], ["a", "b"]), ["a", "b"], [])
