"""Intervals hold what they are about: simulated, in groups of 1 to 20 rows, and against the textbook."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import binom

from curate.stats.intervals import Interval, covering, effective, resampled, share
from curate.stats.metrics import Predictions, calibrated, evaluate
from tests.support.simulated import Cell, held

LEAST, NOISE = 0.94, 0.03  # what is promised of 5,000 repeats; what 300 may be off by
CELLS = [
    Cell(20), Cell(60), Cell(200), Cell(60, (1, 5), 0.7), Cell(60, (1, 20), 0.7), Cell(60, (20, 20), 1.0),
    Cell(200, (1, 20), 0.0), Cell(200, (1, 20), 1.0), Cell(200, (20, 20), 0.7),
]  # fmt: skip


@pytest.mark.parametrize("n", [10, 20, 39, 40, 100, 400, 1500])
def test_an_interval_holds_every_share_at_every_number(n: int) -> None:
    """Summed over all counts, without chance; Wilson's alone falls to 0.83 where answers are rare."""
    ends = np.array([covering(right, n) for right in range(n + 1)])
    for truth in (*np.linspace(0.02, 0.98, 97), 0.005, 0.01, 0.99, 0.995):
        inside = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
        assert binom.pmf(np.arange(n + 1), n, truth)[inside].sum() >= LEAST, truth


def of_share(cell: Cell, truth: float) -> object:
    def once(chance: np.random.Generator) -> Interval | None:
        found = share(*cell.answers(chance, truth))
        return found and found[1]

    return once


def of_area(cell: Cell, apart: float) -> object:
    def once(chance: np.random.Generator) -> Interval | None:
        positive, scores, member = cell.scores(chance, apart, 0.3)
        looks = ndtr(scores - apart / 2)
        rows = Predictions(
            positive.astype(np.int64), np.stack([1 - looks, looks], 1), member.astype(str).tolist(), ["a", "b"]
        )
        found: Interval | None = evaluate(rows, ["a", "b"], [])["roc_auc_interval"]
        return found

    return once


def of_loss(cell: Cell) -> object:
    """A model that says 0.7, and is right as often: its Brier score is 0.42."""

    def once(chance: np.random.Generator) -> Interval | None:
        right, member = cell.answers(chance, 0.7)
        said = np.tile([0.3, 0.7], (len(right), 1))
        rows = Predictions(right.astype(np.int64), said, member.astype(str).tolist(), ["a", "b"])
        return calibrated(rows)[0].interval

    return once


@pytest.mark.parametrize("cell", [Cell(60), Cell(60, (1, 20), 0.7)], ids=str)
def test_intervals_hold_the_truth(cell: Cell) -> None:
    """300 repeats; the long run is `make soak`."""
    assert held(300, 0.9, of_share(cell, 0.9)) > LEAST - NOISE  # type: ignore[arg-type]
    assert held(300, 0.42, of_loss(cell)) > LEAST - NOISE  # type: ignore[arg-type]
    assert held(60, float(ndtr(1 / 2**0.5)), of_area(cell, 1.0)) > LEAST - 2 * NOISE  # type: ignore[arg-type]


@pytest.mark.soak
@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize("truth", [0.5, 0.9, 0.98, 0.995])
def test_shares_hold_in_the_long_run(cell: Cell, truth: float) -> None:
    assert held(5000, truth, of_share(cell, truth)) >= LEAST  # type: ignore[arg-type]


@pytest.mark.soak
@pytest.mark.parametrize("cell", [one for one in CELLS if one.groups >= 60], ids=str)
@pytest.mark.parametrize("apart", [1.0, 2.33])
def test_areas_hold_in_the_long_run(cell: Cell, apart: float) -> None:
    assert held(5000, float(ndtr(apart / 2**0.5)), of_area(cell, apart)) >= LEAST  # type: ignore[arg-type]


@pytest.mark.soak
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_losses_hold_in_the_long_run(cell: Cell) -> None:
    assert held(5000, 0.42, of_loss(cell)) >= LEAST  # type: ignore[arg-type]


def test_rows_of_a_group_are_one_piece_of_news() -> None:
    """Twenty copies of 50 answers are as uncertain as the 50; as rows of their own they would not be."""
    right = np.arange(50) % 10 != 0
    alone = share(right, np.arange(50))
    copied = share(np.repeat(right, 20), np.repeat(np.arange(50), 20))
    assert alone is not None
    assert copied == alone
    _, rows = effective(np.repeat(right, 20), np.arange(1000))
    assert rows == 1000


def test_resamples_are_of_groups_and_the_same_again() -> None:
    counts: list[np.ndarray] = []

    def keep(drawn: np.ndarray) -> np.ndarray:
        counts.append(drawn)
        return drawn[:, :1].T

    first = resampled(keep, 30, 5)
    assert {int(one) for each in counts for one in each.sum(axis=1)} == {30}
    assert first.shape == (1, 1000)
    assert (first == resampled(keep, 30, 5)).all()
    assert (first != resampled(keep, 30, 6)).any()
