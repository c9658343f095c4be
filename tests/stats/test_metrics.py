"""Figures against what they are defined to be, worked out another way."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from curate.config import TrainConfig
from curate.errors import UsageError
from curate.linear import Examples, fit
from curate.stats.intervals import at_most, bootstrap, wilson
from curate.stats.metrics import Predictions, average_precision, evaluate, roc_auc, said_by
from curate.train.crossval import grouped_cross_validation

FIVE = ("drawings", "hentai", "neutral", "porn", "sexy")
SAFE, BORDERLINE = ("drawings", "neutral"), ("sexy",)


def judged(truth: list[int], probabilities: np.ndarray, classes: tuple[str, ...] = FIVE) -> Predictions:
    groups = [f"g{n}" for n in range(len(truth))]
    return Predictions(np.array(truth, dtype=np.int64), np.asarray(probabilities, dtype=np.float64), groups, classes)


def auc(positive: np.ndarray, looks: np.ndarray) -> float:
    """The share of (positive, negative) pairs that stand in the right order; a tie is half right."""
    pairs = list(product(looks[positive], looks[~positive]))
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


@pytest.mark.parametrize(
    ("right", "n", "interval"),
    [(0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (81, 100, (0.7222, 0.8749)), (1, 1, (0.2065, 1.0)), (0, 0, None)],
)
def test_wilson_is_that_of_the_textbook(right: int, n: int, interval: tuple[float, float] | None) -> None:
    assert wilson(right, n) == (interval and pytest.approx(interval, abs=2e-4))


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(2, 12))
def test_macro_auc_is_the_mean_over_classes_of_ordered_pairs(seed: int, n: int) -> None:
    chance = np.random.default_rng(seed)
    truth, probabilities = chance.integers(0, 5, n), np.round(chance.dirichlet(np.ones(5), n), 1)
    found = evaluate(judged(truth.tolist(), probabilities), SAFE, BORDERLINE)
    present = sorted(set(truth.tolist()))
    expected = [auc(truth == c, probabilities[:, c]) for c in present] if len(present) > 1 else None
    assert found["roc_auc"] == (None if expected is None else pytest.approx(np.mean(expected), abs=1e-4))
    assert found["n"] == n == sum(map(sum, found["confusion"]["rows"]))
    assert found["accuracy"] == pytest.approx((probabilities.argmax(axis=1) == truth).mean(), abs=1e-4)


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(2, 30))
def test_weighted_figures_are_those_of_scikit_learn(seed: int, n: int) -> None:
    chance = np.random.default_rng(seed)
    positive, looks = chance.integers(0, 2, n) == 1, np.round(chance.random(n), 1)
    weights = chance.integers(0, 3, (3, n)).astype(float)
    for ours, theirs in ((roc_auc, roc_auc_score), (average_precision, average_precision_score)):
        for row, found in zip(weights, ours(positive, looks, weights), strict=True):
            kept = row > 0
            if 0 < positive[kept].sum() < kept.sum():
                assert found == pytest.approx(theirs(positive[kept], looks[kept], sample_weight=row[kept]))
            else:
                assert np.isnan(found)


def test_average_precision_by_hand() -> None:
    """Class 0 is found at ranks 1 and 3 of 3: (1/1 + 2/3) / 2; class 1 at rank 2: 1/2."""
    looks = np.array([[0.9, 0.1], [0.7, 0.3], [0.8, 0.2]])
    found = evaluate(judged([0, 0, 1], looks, ("a", "b")), ("a", "b"), ())
    assert found["average_precision"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2, abs=1e-4)
    assert found["confusion"] == {"classes": ["a", "b"], "rows": [[2, 0], [1, 0]]}


def test_undefined_is_none_and_not_a_number_made_up() -> None:
    nobody = evaluate(judged([], np.empty((0, 5))), SAFE, BORDERLINE)
    assert (nobody["n"], nobody["accuracy"], nobody["accuracy_interval"]) == (0, None, None)
    one_class = evaluate(judged([2, 2], np.eye(5)[[2, 2]]), SAFE, BORDERLINE)
    assert one_class["accuracy"] == 1.0
    for found in (nobody, one_class):
        assert found["roc_auc"] is found["average_precision"] is found["roc_auc_interval"] is None
        assert not [name for name in found if name.startswith(("not_safe", "borderline"))]


def test_safe_against_not_safe_leaves_borderline_out() -> None:
    """Rows: neutral, drawings | hentai, porn | sexy. `porn` is missed; `sexy` looks unsafe and counts for neither."""
    looks = np.array(
        [
            [0.1, 0.1, 0.7, 0.1, 0],
            [0.8, 0.1, 0.1, 0, 0],
            [0, 0.9, 0.1, 0, 0],
            [0, 0, 0.7, 0.3, 0],
            [0, 0, 0.1, 0.6, 0.3],
        ]
    )
    found = evaluate(judged([2, 0, 1, 3, 4], looks), SAFE, BORDERLINE)
    assert found["not_safe_n"] == 2
    assert found["not_safe_recall"] == 0.5
    assert found["not_safe_false_positive_rate"] == 0.0
    assert found["not_safe_roc_auc"] == found["not_safe_average_precision"] == 1.0
    assert (found["borderline_n"], found["borderline_flagged"]) == (1, 1)


@pytest.mark.parametrize("truth", [[0, 2, 2], [1, 3, 3], [4, 4, 2]])
def test_safe_against_not_safe_needs_both(truth: list[int]) -> None:
    found = evaluate(judged(truth, np.full((3, 5), 0.2)), SAFE, BORDERLINE)
    assert not [name for name in found if name.startswith("not_safe")]


@pytest.mark.parametrize("n", [2, 3, 10, 300])
def test_no_interval_is_a_point(n: int) -> None:
    """Resamples of what holds no error hold none: n rows without one do not show that there is none."""
    truth = np.arange(n) % 2
    perfect = Predictions(truth, np.eye(2)[truth], [str(row) for row in range(n)], ["safe", "bad"])
    found = evaluate(perfect, ["safe"], [])
    for name, value in found.items():
        if name.endswith("_interval"):
            low, high = value
            assert low < high, name
    low, high = found["not_safe_roc_auc_interval"]
    assert high == 1.0
    assert low == pytest.approx((n // 2) / (n // 2 + 1.959964**2), abs=2e-4), "of the smaller side's groups, Wilson's"
    alike = Predictions(truth, np.eye(2)[truth], ["one"] * n, ["safe", "bad"])
    assert evaluate(alike, ["safe"], [])["roc_auc_interval"] == wilson(1, 1), "one group is one piece of news"


@pytest.mark.parametrize(
    ("seen", "n", "bound"), [(0, 300, 0.0099), (0, 30, 0.095), (1, 300, 0.0157), (5, 5, 1.0), (0, 0, 1.0)]
)
def test_how_much_may_be_of_what_was_not_seen(seen: int, n: int, bound: float) -> None:
    assert at_most(seen, n) == pytest.approx(bound, abs=1e-4)
    if seen == 0 and n:
        assert at_most(seen, n) <= 3 / n, "the rule of three"


@pytest.mark.parametrize(
    ("sources", "heading"),
    [
        (["human"] * 3, "accuracy"),
        (["weak"] * 3, "agreement with the label model"),
        (["model"] * 2, "agreement with a classifier"),
        (["human", "weak"], "agreement with people (1 labels) and the label model"),
        (["weak", "model"], "agreement with the label model and a classifier"),
        ([], "agreement with the label model"),
    ],
)
def test_a_share_of_right_answers_is_called_what_it_is(sources: list[str], heading: str) -> None:
    found = said_by(sources)
    assert found["heading"] == heading
    assert sum(found["labels"].values()) == len(sources)


def test_near_duplicates_do_not_make_an_interval_narrower() -> None:
    """The same 40 rows, alone and with 24 copies each in one group, are as uncertain; as rows they are not."""
    right = np.random.default_rng(1).integers(0, 2, 40).astype(float)

    def width(groups: list[str], values: np.ndarray) -> float:
        interval = bootstrap(lambda weights: (weights * values).sum(axis=1) / weights.sum(axis=1), groups, seed=0)
        assert interval is not None
        return interval[1] - interval[0]

    names = [f"g{n:02d}" for n in range(40)]
    alone, copied = width(names, right), width([name for name in names for _ in range(25)], np.repeat(right, 25))
    assert copied == pytest.approx(alone)
    assert width([str(n) for n in range(1000)], np.repeat(right, 25)) < alone / 3


def test_figures_are_the_same_again_and_seeded() -> None:
    chance = np.random.default_rng(3)
    case = judged(chance.integers(0, 5, 60).tolist(), chance.dirichlet(np.ones(5), 60))
    first = evaluate(case, SAFE, BORDERLINE, seed=1)
    assert first == evaluate(case, SAFE, BORDERLINE, seed=1)
    assert first["roc_auc_interval"] != evaluate(case, SAFE, BORDERLINE, seed=2)["roc_auc_interval"]
    low, high = first["roc_auc_interval"]
    assert low < first["roc_auc"] < high


# -- the head and cross-validation -----------------------------------------------------------------------------------


def blobs(n: int, k: int, seed: int, apart: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """n rows of 16 features about k centres."""
    chance = np.random.default_rng(seed)
    classes = np.arange(n) % k
    centres = np.random.default_rng(0).normal(size=(k, 16)) * apart
    return (centres[classes] + chance.normal(size=(n, 16))).astype(np.float32), classes.astype(np.int64)


def examples(n: int, k: int, seed: int, apart: float = 3.0) -> Examples:
    features, classes = blobs(n, k, seed, apart)
    return Examples(features, classes, np.ones(n, dtype=np.float32))


def test_the_head_learns_and_two_fits_are_one() -> None:
    train, val, test = examples(200, 3, 1), examples(40, 3, 2), examples(100, 3, 3)
    one, other = fit(train, val, 3, TrainConfig()), fit(train, val, 3, TrainConfig())
    assert one.weight.tobytes() == other.weight.tobytes()
    assert one.bias.tobytes() == other.bias.tobytes()
    assert (one.probabilities(test.features).argmax(axis=1) == test.classes).mean() > 0.97
    assert np.allclose(one.probabilities(test.features).sum(axis=1), 1)


def test_val_stops_the_fit_where_it_can() -> None:
    train, val = examples(30, 2, 1, apart=0.3), examples(60, 2, 2, apart=0.3)
    stopped = fit(train, val, 2, TrainConfig())
    assert stopped.stopping == "val"
    assert stopped.epochs < TrainConfig().epochs
    for few in (val.pick(np.flatnonzero(val.classes == 0)), val.pick(np.array([], dtype=np.int64))):
        through = fit(train, few, 2, TrainConfig())
        assert through.stopping.startswith("all epochs")
        assert through.epochs == TrainConfig().epochs


def test_rare_classes_and_row_weights_count() -> None:
    """1 row in 20 is of class 1; a class balance finds most of them, and rows that weigh nothing teach nothing."""
    features, classes = blobs(400, 2, 4, apart=0.5)
    kept = np.flatnonzero((classes == 0) | (np.arange(400) % 20 == 1))
    rare = Examples(features[kept], classes[kept], np.ones(len(kept), dtype=np.float32))
    test = examples(400, 2, 5, apart=0.5)
    none = test.pick(np.array([], dtype=np.int64))
    said = fit(rare, none, 2, TrainConfig()).probabilities(test.features).argmax(axis=1)
    assert (said == 1)[test.classes == 1].mean() > 0.7
    wrong = Examples(
        np.vstack([rare.features] * 2), np.append(rare.classes, 1 - rare.classes), np.tile(rare.weights, 2)
    )
    wrong.weights[len(rare.weights) :] = 1e-6
    kept_right = fit(wrong, none, 2, TrainConfig()).probabilities(test.features).argmax(axis=1)
    assert (kept_right == said).mean() > 0.95


def test_a_feature_that_hardly_varies_in_training_does_not_shout() -> None:
    train, test = examples(60, 2, 1), examples(60, 2, 2)
    train.features[:, 0] = 1 + np.where(train.classes == 1, 1e-5, 0)
    test.features[:, 0] = 5.0
    said = fit(train, test.pick(np.array([], dtype=np.int64)), 2, TrainConfig()).probabilities(test.features)
    assert (said.argmax(axis=1) == test.classes).mean() > 0.9


def test_cross_validation_keeps_groups_together() -> None:
    """Features that only tell groups apart are worth nothing on groups never seen; by rows they would be worth all."""
    chance = np.random.default_rng(0)
    centres, of = chance.normal(size=(40, 64)) * 5, chance.integers(0, 2, 40)
    group = np.repeat(np.arange(40), 6)
    features = (centres[group] + chance.normal(size=(240, 64)) * 0.1).astype(np.float32)
    labels = ["ab"[of[g]] for g in group]
    found = grouped_cross_validation(features, labels, [f"g{g}" for g in group])
    assert len(found["accuracy_per_fold"]) == 5
    assert found["overall"]["n"] == 240
    assert found["overall"]["groups"] == 40
    assert 0.2 < found["overall"]["accuracy"] < 0.8
    by_row = grouped_cross_validation(features, labels, [str(n) for n in range(240)])
    assert by_row["overall"]["accuracy"] > 0.95


def test_cross_validation_finds_what_is_there_and_repeats_itself() -> None:
    features, classes = blobs(150, 3, 6)
    labels, groups = ["abc"[c] for c in classes], [str(n // 3) for n in range(150)]
    found = grouped_cross_validation(features, labels, groups)
    assert found["accuracy_mean"] > 0.95
    assert found == grouped_cross_validation(features, labels, groups)


def test_cross_validation_refuses_what_it_cannot_split() -> None:
    with pytest.raises(UsageError, match="1 classes"):
        grouped_cross_validation(np.zeros((5, 2), dtype=np.float32), ["a"] * 5, list("abcde"))
    with pytest.raises(UsageError, match="2 groups"):
        grouped_cross_validation(np.zeros((4, 2), dtype=np.float32), list("abab"), list("xxyy"))
