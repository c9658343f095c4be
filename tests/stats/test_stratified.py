"""Intervals of stratified shares hold as often as they say, and are no wider than those of a simple random sample."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from benchmarks.estimate import SIZES, Cell, cells, compared, looked_at, planned
from curate.stats.allocation import ASKS, EVEN, Pilot, allocate, split
from curate.stats.stratified import Counts, anytime, interval, share

EVERY = [(cell, n) for cell in cells() for n in SIZES]
NAMES = [f"{cell.prevalence:g}-{cell.auc:g}-{n}" for cell, n in EVERY]


@pytest.mark.parametrize(("cell", "n"), EVERY, ids=NAMES)
def test_intervals_hold_and_are_no_wider_than_a_random_samples(cell: Cell, n: int) -> None:
    """Of 300 repeats; a cell that covers 95 % has 91 % in one of 1,000."""
    for row in compared(cell, n, 300):
        assert row["coverage"] >= 0.91, row
        assert row["against"] <= 1.10, row


@pytest.mark.soak
@pytest.mark.parametrize("pilot", [False, True])
@pytest.mark.parametrize(("cell", "n"), EVERY, ids=NAMES)
def test_intervals_hold_over_many_repeats(cell: Cell, n: int, pilot: bool) -> None:
    for row in compared(cell, n, 5000, pilot):
        assert row["coverage"] >= 0.94, row
        assert row["against"] <= 1.10, row
        assert row["against_at_equal_coverage"] <= 1.10, row


@pytest.mark.parametrize(("cell", "n"), EVERY[::6], ids=NAMES[::6])
def test_a_sequence_holds_at_every_look(cell: Cell, n: int) -> None:
    assert min(looked_at(cell, n, 100)["sequence"].values()) >= 0.93


def test_a_fixed_interval_does_not_hold_at_every_look() -> None:
    assert min(looked_at(*EVERY[-5], 100)["fixed"].values()) < 0.9


@pytest.mark.soak
@pytest.mark.parametrize(("cell", "n"), EVERY, ids=NAMES)
def test_sequences_hold_over_many_repeats(cell: Cell, n: int) -> None:
    assert min(looked_at(cell, n, 1000)["sequence"].values()) >= 0.95


@pytest.mark.parametrize(
    ("prevalence", "auc", "what"),
    [(0.01, 0.99, "recall"), *((p, auc, what) for p, auc in ((0.05, 0.88), (0.5, 0.76)) for what in ASKS)],
)
def test_a_plan_keeps_what_it_promised(prevalence: float, auc: float, what: str) -> None:
    """In the median of some runs, from a sample of 300."""
    cell = next(one for one in cells() if (one.prevalence, one.auc) == (prevalence, auc))
    assert 0.8 <= planned(cell, what, 15) <= 1.2


@pytest.mark.soak
@pytest.mark.parametrize("cell", [*cells()], ids=NAMES[::2])
@pytest.mark.parametrize("what", ASKS)
def test_plans_keep_what_they_promised(cell: Cell, what: str) -> None:
    assert 0.8 <= planned(cell, what, 200) <= 1.2


def test_one_stratum_is_clopper_pearsons() -> None:
    for n, x in ((10, 0), (10, 10), (57, 3), (300, 150)):
        counts = Counts(np.array([1e9]), np.array([n]), np.array([x]), np.array([n - x]))
        low, high = interval(counts, counts)
        assert low == pytest.approx(beta.ppf(0.025, x, n - x + 1) if x else 0, abs=1e-6)
        assert high == pytest.approx(beta.ppf(0.975, x + 1, n - x) if x < n else 1, abs=1e-6)
        assert share(counts) == pytest.approx(x / n)


def test_what_was_looked_at_as_a_whole_is_known() -> None:
    counts = Counts(np.array([10, 20]), np.array([10, 20]), np.array([3, 0]), np.array([7, 20]))
    low, high = interval(counts, counts)
    assert (float(low), float(high)) == pytest.approx((0.1, 0.1), abs=1e-6)


def test_a_stratum_without_a_sample_may_be_anything() -> None:
    counts = Counts(np.array([100, 50]), np.array([100, 0]), np.array([50, 0]), np.array([50, 0]))
    low, high = interval(counts, counts)
    assert float(low) == pytest.approx(50 / 150, abs=1e-6)
    assert float(high) == pytest.approx(100 / 150, abs=1e-6)
    known = Counts(counts.size, counts.n, counts.a, counts.b, np.array([True, False]), np.array([True, False]))
    assert float(interval(known, known)[1]) == pytest.approx(0.5, abs=1e-6)


def test_nothing_found_has_no_share() -> None:
    counts = Counts(np.array([100]), np.array([10]), np.array([0]), np.array([0]))
    assert np.isnan(share(counts))
    assert [float(one) for one in interval(counts, counts)] == [0, 1]


FEW = st.integers(0, 60)


@given(st.lists(st.tuples(st.integers(1, 10**5), FEW, FEW, FEW), min_size=1, max_size=7))
def test_the_value_lies_in_its_interval(rows: Any) -> None:
    size, a, b, rest = np.array(rows, dtype=float).T
    n = a + b + rest
    counts = Counts(np.maximum(size, n), n, a, b)
    value, (low, high) = share(counts), interval(counts, counts)
    assert 0 <= low <= high <= 1
    if np.isfinite(value) and (n > 0).all():
        assert low - 1e-9 <= value <= high + 1e-9


def test_who_may_look_at_any_time_pays_for_it() -> None:
    alphas = anytime(np.arange(1, 601), 600)
    assert (alphas < 0.01).all()
    assert alphas.argmax() > 300


# -- how a budget is split -------------------------------------------------------------------------------------------


def test_the_default_leaves_each_stratum_most_of_its_share() -> None:
    """So that no interval can be more than 10 % wider, whatever the score is worth."""
    assert 1 / (1 - EVEN) <= 1.1**2
    sizes = [80_000, 15_000, 3_000, 1_500, 500]
    given_ = allocate(sizes, 600, EVEN)
    assert all(n >= (1 - EVEN) * 600 * size / 100_000 - 1 for n, size in zip(given_, sizes, strict=True))


def pilot(called: list[float], judged: list[list[float]], positive: list[list[float]]) -> Pilot:
    return Pilot(np.array(called), np.array(judged), np.array(positive))


def test_a_split_follows_what_is_asked() -> None:
    sizes = [90_000, 5_000, 5_000]
    known = pilot([0, 0.5, 1], [[0, 20, 40], [100, 20, 0]], [[0, 10, 32], [1, 4, 0]])
    precision, prevalence = (split(sizes, 300, known, (one,)) for one in ("precision", "prevalence"))
    assert precision[2] > prevalence[2]
    assert sum(precision) == sum(prevalence) == 300
    assert min(precision[0], prevalence[0]) >= 0.29 * 300 * 0.9  # the floor in the large stratum of low scores


@given(st.lists(st.tuples(st.integers(1, 10**5), st.floats(0, 1), st.integers(0, 30), st.integers(0, 30),
                          st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=7), st.integers(7, 900))  # fmt: skip
def test_any_pilot_gives_a_split(rows: Any, total: int) -> None:
    size, called, yes, no, p, q = np.array(rows, dtype=float).T
    found = split(
        [int(one) for one in size], total, Pilot(called, np.array([yes, no]), np.array([yes * p, no * q])), ASKS
    )
    assert sum(found) == min(total, int(size.sum()))
    assert min(found) >= 1
