"""What `auto` does where nobody's answers are there to check it by: it turns over nothing on which all votes agree."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from curate.config import Config, LabelConfig
from curate.contracts import Evidence
from curate.errors import UsageError
from curate.label.choose import combine, decide
from curate.label.functions import vote
from curate.label.run import check_classes
from curate.label.table import other
from curate.progress import Progress
from curate.records import Axis
from labelers.onnx import Onnx
from tests.support.samples import workspace

AXIS = Axis(name="content", classes=("drawings", "neutral", "porn"), safe=("drawings", "neutral"))
Votes = npt.NDArray[np.int8]


def said(votes: Votes) -> Evidence:
    n, k = len(votes), len(AXIS.classes)
    return Evidence(
        votes, np.eye(k, dtype=bool), np.full(k, 1 / k), np.empty((n, 0), np.float32), np.full(n, -1, np.int8),
        np.arange(n, dtype=np.int32),
    )  # fmt: skip


def declared(n: int = 99, m: int = 30) -> Votes:
    """What sources declare of 99 drawings and 30 others."""
    return np.array([0] * n + [1] * m, dtype=np.int8)


@pytest.mark.parametrize("size", [(99, 30), (700, 90), (40, 400)])
def test_tiny_functions_turn_over_nothing(size: tuple[int, int]) -> None:
    truth = declared(*size)
    few, one = np.full(len(truth), -1, np.int8), np.full(len(truth), -1, np.int8)
    few[:10], one[-1] = 0, 1
    used = combine(LabelConfig(), AXIS, said(np.stack([truth, few, one], axis=1)))
    assert (decide(used.probabilities) == truth).all()
    assert used.model == "majority"


def test_a_copy_of_a_function_is_no_function_more() -> None:
    truth, rng = declared(600, 200), np.random.default_rng(0)
    other = np.where(rng.random(800) < 0.3, 2, truth).astype(np.int8)
    used = combine(LabelConfig(), AXIS, said(np.stack([truth, other, other, other], axis=1)))
    assert used.model == "majority"
    assert "(2): majority" in used.chosen["reason"]


@pytest.mark.parametrize("seed", range(6))
def test_where_all_votes_agree_no_model_says_otherwise_unchecked(seed: int) -> None:
    """Functions that vote for one class only make Snorkel's model answer it everywhere."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, 900, p=[0.85, 0.1, 0.05]).astype(np.int8)
    one_sided = [np.where((truth == n) & (rng.random(900) < 0.7), n, -1).astype(np.int8) for n in (0, 0, 0, 1)]
    noise = np.where(rng.random(900) < 0.2, rng.integers(0, 3, 900), -1).astype(np.int8)
    votes = np.stack([*one_sided, noise], axis=1)
    used = combine(LabelConfig(), AXIS, said(votes))
    cast = np.where(votes < 0, -9, votes)
    most = cast.max(axis=1)
    alone = (most >= 0) & ((votes == most[:, None]) | (votes < 0)).all(axis=1)
    answers = decide(used.probabilities)
    for n in range(3):
        rows = alone & (most == n)
        assert (answers[rows] == n).mean() >= 0.99, (used.model, used.chosen["reason"])


@pytest.mark.parametrize("answer", [True, False, "neutral", None, 1.0, np.True_])
def test_an_answer_that_is_no_place_is_none(answer: object) -> None:
    from types import SimpleNamespace

    from snorkel.labeling import LabelingFunction

    votes = vote(
        [LabelingFunction("f", lambda x: answer)], AXIS, lambda a, b: [SimpleNamespace(id=str(n)) for n in range(a, b)],
        5, Progress(quiet=True).stage("vote", 5).__enter__(),
    )  # fmt: skip
    assert votes.faults["f"][0] == 5
    assert (votes.matrix == -2).all()


def test_a_class_that_no_axis_has_is_refused(tmp_path: Path) -> None:
    axes = (AXIS, Axis(name="medium", classes=("drawing", "photo"), safe=("drawing", "photo")))
    options = {"path": tmp_path / "a.onnx", "sha256": "0" * 64, "outputs": ("a", "b")}
    for wrong, near in (("pron", "porn"), ("drawings_", "drawings"), ("neutrl", "neutral")):
        made = Onnx(**options, classes={"a": (wrong,), "b": ("neutral",)})  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=rf"classes\.a: no such class '{wrong}'; did you mean '{near}'"):
            check_classes([made], axes)
    check_classes([Onnx(**options, classes={"a": ("drawing",), "b": ("neutral",)})], axes)  # type: ignore[arg-type]
    assert Config().label.model == "auto"


def test_labels_that_were_made_with_no_labelers_are_other_than_those_of_some(tmp_path: Path) -> None:
    """What an older curate did not keep on record is not told."""
    ws = workspace(tmp_path, [])
    for report, said in (({"named": []}, "without declared"), ({"named": ["declared"]}, None), ({}, None)):
        with ws.catalog.tx() as db:
            db.execute("INSERT OR REPLACE INTO labellings VALUES ('content', '', ?, NULL)", (json.dumps(report),))
        assert other(ws) == said
