"""Label models on made-up votes: what is true of each, and what Snorkel's traps would make false."""

import hashlib
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate.contracts import Evidence
from curate.errors import UsageError
from curate.label.models.majority import Majority
from curate.label.models.snorkel import Snorkel

FAST = Snorkel(epochs=20)
K = 4


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    """Votes of three to five functions, of which any may be silent, on any of the classes."""
    n, m = draw(st.integers(1, 30)), draw(st.integers(3, 5))
    return draw(arrays(np.int8, (n, m), elements=st.integers(-1, K - 1)))


def even(k: int = K) -> np.ndarray:
    return np.full(k, 1 / k)


def single(votes: np.ndarray, balance: np.ndarray) -> Evidence:
    """Votes for one class each."""
    return Evidence(votes, np.eye(len(balance), dtype=bool), balance)


def crowd(n: int, truth: np.ndarray, accuracies: list[float], coverage: float, seed: int = 0) -> np.ndarray:
    """Votes of independent functions of two classes."""
    rng = np.random.default_rng(seed)
    columns = []
    for accuracy in accuracies:
        said = np.where(rng.random(n) < accuracy, truth, 1 - truth)
        columns.append(np.where(rng.random(n) < coverage, said, -1))
    return np.stack(columns, axis=1).astype(np.int8)


def check(votes: np.ndarray, found: np.ndarray) -> None:
    covered = (votes >= 0).any(axis=1)
    assert found.shape == (len(votes), K)
    assert np.isnan(found[~covered]).all(), "where nobody votes, nothing is said"
    assert (found[covered] >= 0).all()
    assert found[covered].sum(axis=1) == pytest.approx(1)
    unvoted = sorted(set(range(K)) - set(votes[votes >= 0].tolist()))
    assert (found[covered][:, unvoted] == 0).all(), "a class that nobody votes for is not made up"


# -- majority --------------------------------------------------------------------------------------------------------


@given(matrices(), st.randoms(use_true_random=False))
def test_majority_counts_votes(votes: np.ndarray, shuffle: random.Random) -> None:
    found = Majority().predict(single(votes, even()))
    check(votes, found)
    for row, shares in zip(votes, found, strict=True):
        said = row[row >= 0]
        for label in range(K):
            assert not len(said) or shares[label] == pytest.approx((said == label).mean())
    order = shuffle.sample(range(len(votes)), len(votes))
    columns = shuffle.sample(range(votes.shape[1]), votes.shape[1])
    again = Majority().predict(single(votes[order][:, columns], even()))
    assert again.tobytes() == found[order].tobytes(), "the order of rows and of functions says nothing"


SETS = np.vstack([np.eye(K, dtype=bool), [[1, 1, 0, 0], [0, 1, 1, 1], [1, 0, 1, 0]]]).astype(bool)


@st.composite
def ballots(draw: st.DrawFn) -> Evidence:
    """Votes for one class or several, of three to five functions."""
    n, m = draw(st.integers(1, 30)), draw(st.integers(3, 5))
    return Evidence(draw(arrays(np.int8, (n, m), elements=st.integers(-1, len(SETS) - 1))), SETS, even())


@given(ballots())
def test_majority_shares_a_vote_among_its_classes(evidence: Evidence) -> None:
    found = Majority().predict(evidence)
    for row, shares in zip(evidence.votes, found, strict=True):
        said = [SETS[place] for place in row if place >= 0]
        assert np.isnan(shares).all() if not said else shares == pytest.approx(
            sum(one / one.sum() for one in said) / len(said))  # fmt: skip


def test_votes_for_several_classes_alone_decide_nothing() -> None:
    """A photograph is neutral, sexy or porn: whatever the number of those who say so, no class leads."""
    votes = np.array([[5, 5, 5], [5, 4, -1]], dtype=np.int8)
    found = Majority().predict(Evidence(votes, SETS, even()))
    assert found[0].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
    assert found[1].argmax() == 1, "but together they may: drawn or photographed, and of the two that overlap"


@settings(max_examples=10, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(ballots())
def test_snorkel_abstains_on_votes_for_several_classes(evidence: Evidence) -> None:
    alone = np.where(evidence.votes < K, evidence.votes, -1).astype(np.int8)
    assume((alone >= 0).any(axis=0).sum() >= 3)
    assert FAST.predict(evidence).tobytes() == FAST.predict(single(alone, even())).tobytes()


def test_snorkel_says_that_it_takes_no_vote_for_several_classes() -> None:
    votes = np.array([[0, 5, 5, 4], [1, 5, 1, 6]], dtype=np.int8)
    with pytest.raises(UsageError, match=r"there are 2 \(it takes no vote for several classes\)"):
        Snorkel().predict(Evidence(votes, SETS, even()))


def test_majority_of_nothing() -> None:
    assert Majority().predict(single(np.empty((0, 3), dtype=np.int8), even())).shape == (0, K)
    assert np.isnan(Majority().predict(single(np.empty((2, 0), dtype=np.int8), even()))).all()


# -- Snorkel ---------------------------------------------------------------------------------------------------------


@settings(max_examples=15, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(matrices(), st.randoms(use_true_random=False))
def test_snorkel_holds_its_contract_on_any_votes(votes: np.ndarray, shuffle: random.Random) -> None:
    assume((votes >= 0).any(axis=0).sum() >= 3)
    balance = np.array([0.4, 0.3, 0.2, 0.1])
    found = FAST.predict(single(votes, balance))
    check(votes, found)
    order = shuffle.sample(range(len(votes)), len(votes))
    assert FAST.predict(single(votes[order], balance)).tobytes() == found[order].tobytes(), (
        "rows are answered, not places"
    )
    for votes_of, places in _same(votes).items():
        assert len({found[n].tobytes() for n in places}) == 1, f"one answer to {votes_of}"


def _same(votes: np.ndarray) -> dict[tuple[int, ...], list[int]]:
    places: dict[tuple[int, ...], list[int]] = {}
    for n, row in enumerate(votes.tolist()):
        places.setdefault(tuple(row), []).append(n)
    return places


def test_snorkel_ignores_what_is_not_there() -> None:
    """A function that never votes, rows without a vote and classes without one change no other answer."""
    rng = np.random.default_rng(3)
    votes = crowd(200, rng.integers(0, 2, 200), [0.9, 0.8, 0.7], 0.8)
    votes = votes[(votes >= 0).any(axis=1)]
    found = FAST.predict(single(votes, np.array([0.6, 0.4])))
    silent = np.full((len(votes), 1), -1, dtype=np.int8)
    wide = np.where(votes == 1, 3, votes).astype(np.int8)  # the same two classes as the first and last of four
    more = np.vstack([np.hstack([wide, silent]), np.full((5, 4), -1, dtype=np.int8)])
    again = FAST.predict(single(more, np.array([0.3, 0.1, 0.4, 0.2])))
    assert again[: len(votes), [0, 3]] == pytest.approx(found)
    assert (again[: len(votes), [1, 2]] == 0).all()
    assert np.isnan(again[len(votes) :]).all()


def test_snorkel_weighs_functions_by_what_they_are_worth() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random(3000) < 0.5).astype(int)
    votes = crowd(3000, truth, [0.95, 0.6, 0.6, 0.6, 0.6], 1.0)
    right = {type(model).__name__: (model.predict(single(votes, even(2))).argmax(axis=1) == truth).mean()
             for model in (Majority(), Snorkel())}  # fmt: skip
    assert right["Snorkel"] > 0.93
    assert right["Snorkel"] > right["Majority"] + 0.05


def test_snorkel_believes_the_balance() -> None:
    rng = np.random.default_rng(1)
    truth = (rng.random(3000) < 0.2).astype(int)
    votes = crowd(3000, truth, [0.85, 0.75, 0.8, 0.7], 0.8)
    covered = (votes >= 0).any(axis=1)

    def right(balance: list[float]) -> float:
        found = Snorkel().predict(single(votes, np.array(balance)))[covered].argmax(axis=1)
        return float((found == truth[covered]).mean())

    assert right([0.8, 0.2]) > right([0.5, 0.5]) + 0.05


def test_snorkel_needs_three_functions_that_vote() -> None:
    votes = np.array([[0, 1, -1], [1, 1, -1]], dtype=np.int8)
    with pytest.raises(UsageError, match=r"snorkel needs 3 labelling functions that vote, and there are 2"):
        Snorkel().predict(single(votes, even()))


def test_snorkel_of_one_class_is_sure() -> None:
    votes = np.array([[2, -1, -1, 2], [-1, 2, 2, -1], [-1, -1, -1, -1]], dtype=np.int8)
    found = Snorkel().predict(single(votes, even()))
    assert found[:2].tolist() == [[0, 0, 1, 0]] * 2
    assert np.isnan(found[2]).all()


def test_snorkel_leaves_the_process_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    import logging

    import torch

    votes = crowd(50, np.arange(50) % 2, [0.9, 0.8, 0.7], 0.9)

    def states() -> tuple[object, ...]:
        numpys = np.random.get_state(legacy=False)["state"]["key"].tolist()
        return random.getstate(), numpys, torch.get_rng_state().tolist()

    before = states()
    handlers, level, threads = list(logging.root.handlers), logging.root.manager.disable, torch.get_num_threads()
    FAST.predict(single(votes, even(2)))
    assert states() == before
    assert (list(logging.root.handlers), logging.root.manager.disable, torch.get_num_threads()) == (
        handlers, level, threads)  # fmt: skip
    assert capfd.readouterr() == ("", "")


_PROGRAM = """
import hashlib, sys
import numpy as np
from curate.contracts import Evidence
from curate.label.models.snorkel import Snorkel
votes = np.random.default_rng(5).integers(-1, 3, (300, 4)).astype(np.int8)
evidence = Evidence(votes, np.eye(3, dtype=bool), np.full(3, 1 / 3))
found = Snorkel(seed=int(sys.argv[1]), epochs=100).predict(evidence)
print(hashlib.sha256(found.tobytes()).hexdigest())
"""


def test_snorkel_gives_the_same_bytes_in_another_process() -> None:
    votes = np.random.default_rng(5).integers(-1, 3, (300, 4)).astype(np.int8)
    np.random.seed(12345)  # what came before in this process does not matter
    here = Snorkel(seed=7, epochs=100).predict(single(votes, even(3))).tobytes()
    there = subprocess.run([sys.executable, "-c", _PROGRAM, "7"], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == hashlib.sha256(here).hexdigest()
    assert Snorkel(seed=8, epochs=100).predict(single(votes, even(3))).tobytes() != here, "the seed is used"
