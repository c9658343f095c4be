"""Label models that learn: Dawid-Skene and the stack, and `auto`, which goes by what people said."""

import dataclasses
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.label_models import AXIS as TWO
from benchmarks.label_models import FIGURES, figures, simulated
from curate.config import LabelConfig
from curate.contracts import Evidence
from curate.errors import UsageError
from curate.label import flags
from curate.label.choose import combine, decide, log_loss
from curate.label.models._patterns import patterns, spread
from curate.label.models.dawid_skene import DawidSkene
from curate.label.models.majority import Majority
from curate.label.models.snorkel import Snorkel
from curate.label.models.stack import Stack
from curate.options import Plugin
from curate.plugins import make
from curate.records import Axis
from curate.stats.folds import folds

K = 3
SETS = np.vstack([np.eye(K, dtype=bool), [[1, 1, 0], [0, 1, 1]]]).astype(bool)
EVEN = np.full(K, 1 / K)


def crowd(n: int = 600, seed: int = 0, right: tuple[float, ...] = (0.9, 0.7, 0.6)) -> tuple[np.ndarray, Evidence]:
    """The truth, and independent functions of three classes."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, K, n)
    votes = [np.where(rng.random(n) < p, truth, rng.integers(0, K, n)) for p in right]
    return truth, Evidence(np.stack(votes, axis=1).astype(np.int8), SETS, EVEN)


def taught(evidence: Evidence, truth: np.ndarray, rows: int) -> Evidence:
    """With gold on the first rows."""
    return dataclasses.replace(evidence, gold=np.where(np.arange(len(truth)) < rows, truth, -1).astype(np.int8))


# -- patterns and folds ----------------------------------------------------------------------------------------------


@given(arrays(np.int8, st.tuples(st.integers(1, 30), st.integers(0, 40)), elements=st.integers(-1, 126)))
def test_patterns_are_the_distinct_rows(votes: np.ndarray) -> None:
    """Forty columns of 128 answers do not fit one number: they are packed anew on the way."""
    rows, place, counts = patterns(votes)
    assert np.array_equal(rows[place], votes)
    expected, times = np.unique(votes, axis=0, return_counts=True) if votes.shape[1] else (votes[:1], [len(votes)])
    assert np.array_equal(rows, expected)
    assert counts.tolist() == list(times)


def test_what_is_fitted_on_is_spread_evenly() -> None:
    kept, weights = spread(np.array([600, 1, 399]), 100)
    assert dict(zip(kept.tolist(), weights.tolist(), strict=True)) == {0: 60, 2: 40}
    assert spread(np.array([3, 4]), 100)[1].tolist() == [3, 4]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 25)), min_size=1, max_size=60), st.randoms())
def test_folds_part_no_group_and_do_not_depend_on_order(pairs: list[tuple[int, int]], chance: object) -> None:
    truth, groups = (np.array(one) for one in zip(*pairs, strict=True))
    fold = folds(truth, groups)
    for group in set(groups.tolist()):
        assert len(set(fold[groups == group].tolist())) == 1
    assert sorted(set(fold.tolist())) == list(range(min(10, len(set(groups.tolist())))))


# -- Dawid-Skene -----------------------------------------------------------------------------------------------------


def test_dawid_skene_weighs_functions_by_what_they_are_worth() -> None:
    truth, told = crowd(3000, right=(0.95, 0.5, 0.5, 0.5, 0.5))
    right = {m: (m.predict(told).argmax(axis=1) == truth).mean() for m in (Majority(), DawidSkene())}
    assert right[DawidSkene()] > right[Majority()] + 0.05


def test_a_set_is_an_answer_of_its_own() -> None:
    """Who only says "not the first", and is right, tells the other two apart by how often it says so."""
    truth, told = crowd(3000, right=(0.7, 0.7, 0.7))
    rest = np.where(truth == 0, 0, 4).astype(np.int8)  # the first class, or one of the others
    more = dataclasses.replace(told, votes=np.column_stack([told.votes, rest]))
    found = DawidSkene().predict(more).argmax(axis=1)
    assert (found[truth == 0] == 0).mean() > 0.97
    assert (found == truth).mean() > (DawidSkene().predict(told).argmax(axis=1) == truth).mean() + 0.03


def test_who_has_one_answer_is_heard_by_voting() -> None:
    truth, told = crowd(3000, right=(0.6, 0.6, 0.6))
    shout = np.where((truth == 1) & (np.random.default_rng(1).random(3000) < 0.5), 1, -1).astype(np.int8)
    more = dataclasses.replace(told, votes=np.column_stack([told.votes, shout]))
    assert (DawidSkene().predict(more)[shout == 1].argmax(axis=1) == 1).mean() > 0.95


@settings(max_examples=30, deadline=None)
@given(arrays(np.int8, st.tuples(st.integers(1, 20), st.integers(1, 5)), elements=st.integers(-1, len(SETS) - 1)))
def test_dawid_skene_takes_any_votes(votes: np.ndarray) -> None:
    found = DawidSkene().predict(Evidence(votes, SETS, EVEN))
    covered = (votes >= 0).any(axis=1)
    assert np.isnan(found[~covered]).all()
    assert found[covered].sum(axis=1) == pytest.approx(1)
    order = np.random.default_rng(0).permutation(len(votes))
    assert DawidSkene().predict(Evidence(votes[order], SETS, EVEN)).tobytes() == found[order].tobytes()


# -- the stack -------------------------------------------------------------------------------------------------------


def test_a_row_with_gold_and_its_group_are_answered_by_who_had_not_seen_them() -> None:
    """Gold that is noise cannot be learnt: out of fold it is guessed, in fold a weak penalty would have recited it."""
    rng = np.random.default_rng(0)
    n = 80
    scores = np.repeat(rng.normal(0, 1, (n // 2, 60)), 2, axis=0).astype(np.float32)  # pairs of near-duplicates
    gold = np.repeat(rng.integers(0, 2, n // 2), 2)
    groups = np.repeat(np.arange(n // 2), 2).astype(np.int32)
    learnt = np.where(np.arange(n) % 2 == 0, gold, -1).astype(np.int8)
    votes = np.zeros((n, 0), dtype=np.int8)
    told = Evidence(votes, np.eye(2, dtype=bool), np.array([0.5, 0.5]), scores, learnt, groups)
    found = Stack().predict(told)
    assert ((found[:, 1] > 0.5) == gold).mean() < 0.6
    alone = dataclasses.replace(told, groups=np.arange(n, dtype=np.int32))
    assert ((Stack().predict(alone)[:, 1] > 0.5) == gold)[1::2].mean() > 0.65, "copies in other groups give it away"


def test_scores_that_are_missing_say_so_and_nothing_else() -> None:
    truth, told = crowd(900)
    score = np.where(np.arange(900) % 3 == 0, np.nan, truth + np.random.default_rng(2).normal(0, 0.1, 900))
    with_score = dataclasses.replace(taught(told, truth, 300), scores=score[:, None].astype(np.float32))
    right = Stack().predict(with_score)[300:].argmax(axis=1) == truth[300:]
    there = ~np.isnan(score[300:])
    assert right[there].mean() > 0.97
    assert 0.9 < right[~there].mean() < right[there].mean(), "where it is missing, votes are heard"


def test_a_row_of_which_nothing_is_known_gets_no_answer() -> None:
    truth, told = crowd(200)
    votes = told.votes.copy()
    votes[-2:] = -1
    scores = np.full((200, 1), np.nan, dtype=np.float32)
    scores[:-1] = 1.0
    found = Stack().predict(dataclasses.replace(taught(told, truth, 100), votes=votes, scores=scores))
    assert np.isnan(found[-1]).all()
    assert found[-2].sum() == pytest.approx(1), "a score is enough"


@pytest.mark.parametrize(("gold", "said"), [([], "0 samples of 0 classes"), ([1] * 60, "60 samples of 1 classes")])
def test_the_stack_refuses_gold_of_one_class(gold: list[int], said: str) -> None:
    _, told = crowd(100)
    with pytest.raises(UsageError, match=f"label.model: stack learns from what people said, and that is {said}"):
        Stack().predict(taught(told, np.array(gold + [0] * (100 - len(gold))), len(gold)))


_PROGRAM = """
import hashlib
import os
os.cpu_count = lambda: 1
import tests.label.test_learning as here
truth, told = here.crowd()
for model in (here.Stack(), here.DawidSkene()):
    print(hashlib.sha256(model.predict(here.taught(told, truth, 100)).tobytes()).hexdigest())
"""


def test_the_same_bytes_in_another_process_and_on_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, told = crowd()
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    monkeypatch.setattr("curate.label.models.stack.CHUNK", 50)
    here = [hashlib.sha256(m.predict(taught(told, truth, 100)).tobytes()).hexdigest() for m in (Stack(), DawidSkene())]
    there = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert there.stdout.split() == here


# -- auto ------------------------------------------------------------------------------------------------------------


def test_auto_with_300_gold_rows_beats_snorkel_s_defaults_on_correlated_classifiers() -> None:
    """Seeds that no default was set by; accuracy, average precision, false alarms of the hard slice, log-loss."""
    ours, theirs = [], []
    for seed in (20, 21):
        made = simulated(6000, seed)
        told, even = made.evidence(300, seed), made.evidence(0, seed, even=True)
        rows = told.gold < 0
        used = combine(LabelConfig(), TWO, told, np.zeros(6000, dtype=bool))
        ours.append(figures(made, used.probabilities, rows))
        theirs.append(figures(made, Snorkel(seed, 100).predict(even), rows))
    us, them = (dict(zip(FIGURES, np.mean(one, axis=0), strict=True)) for one in (ours, theirs))
    assert us["log-loss"] <= 0.2
    assert us["log-loss"] < them["log-loss"]
    assert us["accuracy"] > them["accuracy"]
    assert us["avg prec"] > them["avg prec"]
    assert us["hard FPR"] < them["hard FPR"]


AXIS = Axis("content", ("a", "b", "c"), ("a", "b", "c"), ())


def test_auto_takes_what_people_bear_out_and_says_why() -> None:
    truth, told = crowd(1500, right=(0.9, 0.5, 0.5))
    score = (truth + np.random.default_rng(3).normal(0, 0.15, 1500)).astype(np.float32)[:, None]
    used = combine(LabelConfig(), AXIS, dataclasses.replace(taught(told, truth, 200), scores=score))
    losses = used.chosen["log_loss"]
    assert set(losses) == {"majority", "snorkel", "dawid_skene", "stack"}
    assert used.model == used.chosen["model"] == min(losses, key=losses.__getitem__) == "stack"
    assert used.chosen["gold_n"] == 200
    assert used.chosen["reason"] == "the lowest cross-validated log-loss on 200 gold rows"
    assert used.short is None
    assert losses["stack"] == pytest.approx(
        log_loss(used.probabilities, np.where(np.arange(1500) < 200, truth, -1), EVEN), abs=1e-3
    )


@pytest.mark.parametrize(("rows", "few", "short"), [
    (0, 0, r"fewer than 50 gold rows \(0\)"), (49, 9, r"fewer than 50 gold rows \(49\)"),
    (80, 4, r"fewer than 5 gold rows of c \(4\)"), (80, 0, r"fewer than 5 gold rows of c \(0\)"),
])  # fmt: skip
def test_auto_without_enough_gold_goes_by_a_stated_rule(rows: int, few: int, short: str) -> None:
    truth, told = crowd(400)
    order = np.concatenate([np.flatnonzero(truth == 2)[:few], np.flatnonzero(truth < 2)])
    gold = np.full(400, -1, dtype=np.int8)
    gold[order[:rows]] = truth[order[:rows]]
    used = combine(LabelConfig(), AXIS, dataclasses.replace(told, gold=gold))
    assert (used.model, set(used.chosen["log_loss"])) == ("snorkel", {"snorkel"} if rows else set())
    assert re.match(short, used.chosen["reason"])
    assert used.chosen["reason"].endswith(
        "3 functions vote for one class on 1% of the rows, and are no copies: snorkel"
    )
    two = dataclasses.replace(told, votes=told.votes[:, :2], gold=gold)
    assert combine(LabelConfig(), AXIS, two).model == "majority"


@pytest.mark.parametrize("sets", [True, False])
def test_auto_without_gold_loses_no_class_for_which_hardly_anybody_votes_alone(sets: bool) -> None:
    """Three functions tell a from b; of c one speaks, and sets that hold it: Snorkel's model would never say c."""
    truth, told = crowd(400)
    told = dataclasses.replace(told, sets=np.vstack([np.eye(3), [[0, 1, 1]]]).astype(bool))
    votes = told.votes.copy()
    votes[:, 1:][votes[:, 1:] == 2] = 3 if sets else -1
    used = combine(LabelConfig(), AXIS, dataclasses.replace(told, votes=votes))
    assert used.model == "majority"
    assert used.chosen["reason"].endswith("fewer than 2 functions vote for c alone: majority")
    votes[:, 1][truth == 2] = 2
    assert combine(LabelConfig(), AXIS, dataclasses.replace(told, votes=votes)).model == "snorkel"


def test_gold_that_is_noise_makes_no_model_look_good() -> None:
    truth, told = crowd(600)
    noise = np.random.default_rng(9).integers(0, K, 600)
    used = combine(LabelConfig(), AXIS, taught(told, noise, 300))
    assert used.chosen["log_loss"]["stack"] > 1.0, "about log 3, a guess"
    assert (decide(used.probabilities) == truth)[300:].mean() < 0.6


def test_the_rule_stands_above_the_stack() -> None:
    """Whatever was learnt, what is flagged or declared not safe is never called safe."""
    axis = Axis("content", ("a", "b", "c"), ("a", "b"), ())
    _, told = crowd(600)
    accused = np.asarray(flags.flags(told.votes, SETS, [True, True, False]).any(axis=1)) | (np.arange(600) % 5 == 0)
    gold = np.zeros(600, dtype=np.int64)
    gold[:6] = 2  # people say that nearly all is safe
    for model in ("stack", "dawid_skene", "auto"):
        used = combine(LabelConfig(model=model), axis, taught(told, gold, 300), accused)
        assert not np.isin(decide(used.probabilities)[accused], (0, 1)).any()


_MODEL = '''
"""A label model."""
from dataclasses import dataclass
import numpy as np


@dataclass(frozen=True)
class Mine:
    """Says what it should not."""

    def predict(self, evidence):
        """Probabilities."""
        return {}
'''


@pytest.mark.parametrize(("answer", "said"), [
    ("np.zeros((2, 2))", r"gives float64\[2, 2\], and float64\[40, 3\] is asked for"),
    ("[[1, 0, 0]]", "gives list, and float64"),
    ("np.ones((40, 3))", "gives probabilities that are none"),
    ("np.where(np.eye(40, 3) > 0, np.nan, 0.5)", "gives a row that is NaN in part"),
    ("np.ma.masked_array(np.full((40, 3), 2.0), mask=True)", "gives MaskedArray, and float64"),
    ("np.full((40, 3), 1 / 3).view(type('Mine', (np.ndarray,), {}))", "gives Mine, and float64"),
    ("1 / 0", "ZeroDivisionError: division by zero"),
    ("evidence.votes.fill(0)", "ValueError: assignment destination is read-only"),
    ("evidence.gold.fill(0)", "ValueError: assignment destination is read-only"),
    ("evidence.sets.fill(True)", "ValueError: assignment destination is read-only"),
])  # fmt: skip
def test_a_model_of_one_s_own_that_answers_wrongly_is_named(tmp_path: Path, answer: str, said: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(_MODEL.format(answer))
    _, told = crowd(40)
    make("curate.label.models", Plugin(str(file), {}, "label.model"), "label model")
    with pytest.raises(UsageError, match=rf"label\.model: .*mine\.py: .*{said}"):
        combine(LabelConfig(model=str(file)), AXIS, told)


def test_a_model_of_one_s_own_cannot_change_what_the_rule_goes_by(tmp_path: Path) -> None:
    """Whatever it does to its arrays, they are copies: what was flagged stays so."""
    file, (_, told) = tmp_path / "mine.py", crowd(40)
    force = "[one.setflags(write=True) or one.fill(1) for one in (evidence.votes, evidence.sets)]"
    file.write_text(_MODEL.format(f"{force} and np.full((40, 3), 1 / 3)"))
    before = told.votes.copy(), told.sets.copy()
    make("curate.label.models", Plugin(str(file), {}, "label.model"), "label model")
    combine(LabelConfig(model=str(file)), AXIS, told)
    assert np.array_equal(told.votes, before[0])
    assert np.array_equal(told.sets, before[1])
