"""What the demo says of its model, from what `curate train` and `curate predict` answer."""

from pathlib import Path
from typing import Any

from curate.demo.model import last, tables

FIRST = {"name": "baseline", "n": 40, "right": 0.9, "right_interval": (0.8, 0.95), "difference": {}}
APART = {"n": 40, "right": -0.1, "right_interval": (-0.2, 0.0)}
BESIDE: dict[str, Any] = {
    "of": 40, "heading": "agreement with the label model", "labels": {"human": 0, "weak": 40, "model": 0},
    "rows": [FIRST, FIRST | {"name": "other", "right": 0.8, "difference": APART},
             {"name": "score", "n": 39, "difference": {}}],
    "foot": ["score was trained on these"],
}  # fmt: skip
WORST = {
    "kind": "size", "name": "small", "n": 20, "heading": "agreement with the label model", "right": 0.7,
    "right_interval": (0.5, 0.9),
}  # fmt: skip
THRESHOLDS = {
    "score": {"sum_of_probabilities": ["porn"]},
    "guarantee": {"recall": {"at_least": 0.95}, "confidence": 0.95},
    "missing": 59,
    "test": {},
}
ROWS = [
    {"path": "a/b.png", "probabilities": {"drawings": 0.75, "neutral": 0.25}, "decision": "review"},
    {"path": "c.png", "reason": "truncated", "detail": ""},
]
ASKED: dict[str, Any] = {"rows": ROWS, "thresholds": {"review": None, "block": None}}


def test_each_model_has_n_whose_labels_and_intervals() -> None:
    beside, _ = tables({"side_by_side": BESIDE, "path": "demo/work/models/1.0.0"}, ASKED)
    assert beside["title"] == "Side by side on 40 rows of test: agreement with the label model"
    assert beside["rows"] == [
        ["baseline", 40, 0.9, "0.8 to 0.95", "-", "-"],
        ["other", 40, 0.8, "0.8 to 0.95", "-0.1", "-0.2 to +0.0"],
        ["score", 39, "-", "-", "-", "-"],
    ]
    assert beside["note"].startswith("Labels: 0 human, 40 weak, 0 model.")
    assert beside["note"].endswith("score was trained on these")


def test_what_predict_says_and_with_which_command() -> None:
    _, said = tables({"side_by_side": BESIDE, "path": "demo/work/models/1.0.0"}, ASKED)
    assert said["rows"] == [["b.png", "review", "drawings 0.750, neutral 0.250"], ["c.png", "-", "truncated"]]
    assert said["note"].startswith("`curate predict demo/work/models/1.0.0 a/b.png c.png`.")
    assert "nothing is called safe" in said["note"]


def test_the_last_words_are_thresholds_the_worst_slice_and_where_the_plots_lie() -> None:
    trained = {"thresholds": THRESHOLDS, "worst": WORST, "path": "demo/work/models/1.0.0"}
    thresholds, worst, plots = last({"train": trained, "report": "demo/report.html"})
    assert thresholds == "Thresholds: no promise of a recall of 0.95: 59 human labels of val's groups lack"
    assert worst == "Worst slice: size, small: agreement with the label model 0.7 (0.5 to 0.9; n = 20)"
    assert "demo/report.html" in plots
    assert str(Path("demo/work/models/1.0.0/card.md")) in plots
