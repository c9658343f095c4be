"""The bootstrap classifier: what teaches it, whom it answers, what it may decide, and what is kept of it."""

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pytest

from curate.contracts import Evidence
from curate.errors import UsageError
from curate.label.bootstrap import Learnt, Lesson, learn
from curate.label.choose import decide
from curate.label.cut import cut, nearest
from curate.label.last import _hidden, finish, rounds, wanted
from curate.label.models.majority import Majority
from curate.label.models.stack import Stack
from curate.records import Axis
from tests.support.fakes.brightness import Brightness
from tests.support.fakes.colours import Colours

AXIS = Axis()
K = 3
SAFE = np.array([True, True, False])


def lesson(n: int = 600, d: int = 12, seed: int = 0, gold: int = 0, apart: float = 3.0, **given: Any) -> Lesson:
    """Classes that lie `apart` in `d` dimensions; three functions of which each is right in three of four votes."""
    rng = np.random.default_rng(seed)
    truth = truths(n)
    vectors = (rng.normal(0, 1, (K, d))[truth] * apart / 2 + rng.normal(0, 1, (n, d))).astype(np.float16)
    votes = np.where(rng.random((n, 3)) < 0.75, truth[:, None], rng.integers(0, K, (n, 3))).astype(np.int8)
    votes[rng.random((n, 3)) < 0.3] = -1
    votes[::5] = -1
    people = np.full(n, -1, dtype=np.int8)
    people[rng.choice(n, gold, replace=False)] = 0
    people = np.where(people == 0, truth, -1).astype(np.int8)
    groups = np.arange(n, dtype=np.int32) // 2
    evidence = Evidence(votes, np.eye(K, dtype=bool), np.full(K, 1 / K), gold=people, groups=groups)
    ids = [hashlib.sha256(f"{seed} {row}".encode()).hexdigest() for row in range(n)]
    no = np.zeros(n, dtype=bool)
    made = Lesson(ids, vectors, evidence, Majority().predict(evidence), people, ~no, no, SAFE, gold > 0)
    return dataclasses.replace(made, **given)


def truths(n: int) -> np.ndarray:
    return np.random.default_rng(99).choice(K, n, p=(0.5, 0.3, 0.2)).astype(np.int8)


def learnt(given: Lesson) -> Learnt:
    found = learn(given)
    assert isinstance(found, Learnt), found
    return found


# -- which weak labels are believed ------------------------------------------------------------------------------------


def test_neighbours_are_the_nearest_by_cosine() -> None:
    vectors = np.random.default_rng(0).normal(0, 1, (1500, 8)).astype(np.float32)  # two blocks
    places, distances = nearest(vectors, 5)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for row in (0, 700, 1499):
        far = 1 - unit @ unit[row]
        far[row] = np.inf
        assert set(places[row]) == set(np.argsort(far)[:5])
        assert np.allclose(np.sort(distances[row]), np.sort(far)[:5], atol=1e-5)


def test_the_cut_statistic_is_the_published_one() -> None:
    """Four rows, two classes; of the first, by hand: weights 1 and 1/2, one of them cut."""
    said = cut(
        np.array([0, 0, 1, 1]), np.array([[1, 2], [0, 2], [3, 0], [2, 0]]), np.array([[0.0, 1.0]] * 4, np.float32)
    )
    assert said[0] == pytest.approx((0.5 - 0.5 * 1.5) / np.sqrt(0.25 * 1.25))
    assert said[0] == said[1] < 0
    assert cut(np.zeros(4, np.int64), np.zeros((4, 2), np.int64), np.zeros((4, 2), np.float32)).tolist() == [0] * 4


def test_wrong_weak_labels_are_left_out_before_right_ones() -> None:
    one = lesson()
    taught = learnt(one).trained
    wrong = decide(one.weak) != truths(600)
    labelled = decide(one.weak) >= 0
    assert wrong[labelled].mean() > 0.05
    assert wrong[taught].mean() < wrong[labelled].mean() / 2


# -- whom it answers ---------------------------------------------------------------------------------------------------


def test_it_is_right_about_what_all_abstained_on() -> None:
    one = lesson()
    silent = (one.evidence.votes < 0).all(axis=1)
    assert silent.sum() > 100
    end = finish(one, one.weak, "majority", auto=True)
    filled = decide(end.probabilities)[silent] >= 0
    assert end.facts["does"] == "fills"
    assert end.decided.sum() == filled.sum() > 60
    assert not end.decided[~silent].any()
    assert (decide(end.probabilities) == truths(600))[silent][filled].mean() > 0.9
    assert np.array_equal(end.probabilities[~silent], one.weak[~silent], equal_nan=True)


def test_no_row_is_answered_by_what_was_taught_by_its_group() -> None:
    """Vectors say nothing of the class, and twins have one vector: only who was taught by the twin could know."""
    n = 200
    one = lesson(n, d=300, gold=n, apart=0)
    truth = np.repeat(truths(n)[::2], 2)
    vectors = np.repeat(np.asarray(one.vectors[np.arange(n)])[::2], 2, axis=0)
    weak = np.eye(K)[truth]
    twins = dataclasses.replace(
        one, vectors=vectors, weak=weak, people=truth, evidence=dataclasses.replace(one.evidence, gold=truth)
    )
    right = (learnt(twins).alone.argmax(axis=1) == truth).mean()
    assert right < 0.65  # the largest class is half
    apart = dataclasses.replace(
        twins, evidence=dataclasses.replace(twins.evidence, groups=np.arange(n, dtype=np.int32))
    )
    assert (learnt(apart).alone.argmax(axis=1) == truth).mean() > 0.8  # it could be learnt by heart


def test_no_test_row_teaches() -> None:
    one = lesson(gold=60)
    may = np.arange(600) % 3 > 0
    told = dataclasses.replace(one, may=may)
    first = learnt(told)
    assert not first.trained[~may].any()
    assert first.trained[may].any()
    weak, people = one.weak.copy(), one.people.copy()
    weak[~may], people[~may] = np.roll(weak[~may], 1, axis=1), -1
    people = np.where(may, one.people, -1).astype(np.int8)
    gold = dataclasses.replace(one.evidence, gold=people)
    heads = {
        learnt(dataclasses.replace(told, weak=w, people=people, evidence=gold)).facts["heads"] for w in (weak, one.weak)
    }
    assert len(heads) == 1


@pytest.mark.parametrize("gold", [0, 80])
def test_the_order_of_rows_says_nothing(gold: int) -> None:
    one = lesson(gold=gold)
    order = np.random.default_rng(5).permutation(600)
    vectors = np.asarray(one.vectors[np.arange(600)])
    evidence = dataclasses.replace(
        one.evidence, votes=one.evidence.votes[order], gold=one.evidence.gold[order], groups=one.evidence.groups[order],
        scores=one.evidence.scores[order],
    )  # fmt: skip
    other = dataclasses.replace(
        one, ids=[one.ids[row] for row in order], vectors=vectors[order], evidence=evidence, weak=one.weak[order],
        people=one.people[order], may=one.may[order], accused=one.accused[order],
    )  # fmt: skip
    first, second = (finish(two, two.weak, "majority", auto=True) for two in (one, other))
    assert np.array_equal(decide(first.probabilities)[order], decide(second.probabilities))
    assert first.facts == second.facts


def test_the_same_twice_and_by_seed_another_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.label.bootstrap.CANDIDATES", 150)
    one = lesson()
    first, again, other = learnt(one), learnt(one), learnt(dataclasses.replace(one, seed=1))
    assert first.probabilities.tobytes() == again.probabilities.tobytes()
    assert first.facts == again.facts
    assert first.facts["candidates"] <= 150
    assert first.facts["inputs"] != other.facts["inputs"]


def test_what_has_no_embedding_is_left_to_the_label_model() -> None:
    one = lesson(gold=100)
    vectors = np.asarray(one.vectors[np.arange(600)]).copy()
    vectors[:50] = np.nan
    end = finish(dataclasses.replace(one, vectors=vectors), one.weak, "majority", auto=True)
    assert end.facts["does"] == "decides"
    assert not end.decided[:50].any()
    assert end.decided[50:].all()
    assert np.array_equal(end.probabilities[:50], one.weak[:50], equal_nan=True)


# -- what it may decide ------------------------------------------------------------------------------------------------


def test_it_decides_where_gold_bears_it_out_and_says_so() -> None:
    one = lesson(gold=100)
    end = finish(one, one.weak, "majority", auto=True)
    assert end.facts["does"] == "decides"
    assert end.facts["beats"] is True
    assert "it beats majority" in end.facts["said"]
    assert end.facts["calibrated_on"] == "gold"
    held = one.people < 0
    before, after = ((decide(p)[held] == truths(600)[held]).mean() for p in (one.weak, end.probabilities))
    assert after > before + 0.1
    named = finish(one, one.weak, "majority", auto=False)
    assert named.facts["does"] == "fills"


def test_it_does_not_decide_where_gold_does_not_and_says_so() -> None:
    right = np.where(np.eye(K, dtype=bool)[truths(600)], 0.998, 0.001)
    one = lesson(gold=150, apart=0, weak=right)  # embeddings that say nothing, and a label model that knows
    end = finish(one, one.weak, "majority", auto=True)
    assert end.facts["beats"] is False
    assert end.facts["does"] != "decides"
    assert "does not beat majority" in end.facts["said"]


@pytest.mark.parametrize("gold", [0, 100])
def test_nothing_that_is_contradicted_is_filled(gold: int) -> None:
    """What is accused stays as the label model left it, but for which class that is not safe."""
    one = lesson(gold=gold)
    accused = np.arange(600) % 2 == 0
    ruled = one.weak.copy()
    ruled[accused & (np.append(SAFE, True)[decide(ruled)])] = np.nan
    end = finish(dataclasses.replace(one, accused=accused), ruled, "majority", auto=True)
    assert end.decided.any()
    contradicted = accused & (decide(ruled) < 0)
    assert contradicted.sum() > 100
    assert np.isnan(end.probabilities[contradicted]).all()
    assert not end.decided[contradicted].any()
    assert set(decide(end.probabilities)[accused]) <= {-1, 2}


def test_gold_that_is_measured_on_is_hidden_from_the_label_model() -> None:
    """A stack that saw everybody's gold would tell it on through weak labels."""
    one = lesson(gold=100)
    asked: list[np.ndarray] = []

    def again(rows: np.ndarray, without: np.ndarray) -> np.ndarray:
        told = _hidden(one.evidence, rows, without)
        asked.append(without)
        assert int((told.gold >= 0).sum()) == 100 - int((one.evidence.gold[without] >= 0).sum())
        return np.asarray(Stack().predict(told)[: len(rows)])

    assert learnt(dataclasses.replace(one, again=again)).facts["heads"]
    assert sorted(np.concatenate(asked).tolist()) == list(range(600))


def test_one_class_is_nothing_to_learn() -> None:
    one = lesson()
    weak = np.tile([1.0, 0.0, 0.0], (600, 1))
    end = finish(dataclasses.replace(one, weak=weak), weak, "majority", auto=True)
    assert (end.facts["does"], end.learnt) == ("nothing", None)
    assert "fewer than two classes" in end.facts["said"]


def test_a_class_of_one_sample_is_not_learnt() -> None:
    """All classes weigh the same in a head: one sample would weigh as much as hundreds."""
    one = lesson()
    weak, people = one.weak.copy(), one.people.copy()
    weak[decide(weak) == 2] = np.nan
    people[7] = 2
    found = learnt(dataclasses.replace(one, weak=weak, people=people))
    assert (found.probabilities.argmax(axis=1) != 2).all()
    assert not found.trained[7]


def test_it_is_on_where_a_labeler_makes_embeddings() -> None:
    assert wanted(None, [Brightness(), Colours()]) == "colours_embedding"
    assert wanted(None, [Brightness()]) is None
    assert wanted(False, [Colours()]) is None
    with pytest.raises(UsageError, match=r"label\.bootstrap: no labeler that is configured has a column `embedding`"):
        wanted(True, [Brightness()])


def test_rounds_are_on_record_once_each() -> None:
    first = rounds(None, {"inputs": "a", "heads": "b", "does": "fills"})
    same = rounds({"bootstrap": {"rounds": first}}, {"inputs": "a", "heads": "b", "does": "fills"})
    other = rounds({"bootstrap": {"rounds": same}}, {"inputs": "c", "heads": "d", "does": "decides"})
    assert first == same == [{"inputs": "a", "heads": "b", "does": "fills"}]
    assert [one["inputs"] for one in other] == ["a", "c"]
    assert rounds({"bootstrap": None}, {"does": "nothing"}) == [{"does": "nothing"}]
