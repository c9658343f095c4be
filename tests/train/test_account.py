"""What training says beside its test figures: thresholds, slices, altered pictures, other models.

Harmless pictures that are only called what they are called."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from curate.admin import configured
from curate.config import Config, GuaranteeConfig, LabelConfig, TrainConfig
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.options import Plugin, build
from curate.report.run import report
from curate.store.workspace import Workspace
from curate.train.run import lines, train
from tests.support.releases import QUIET, Item
from tests.train.test_train import Tiny, items, released

PROMISE = GuaranteeConfig(recall=0.5, confidence=0.9)  # four groups without an error bear it out
OWN = """
from snorkel.slicing import slicing_function


@slicing_function()
def everything(x):
    return x.width > 0
"""


def called(n: int = 120, people: bool = True) -> list[Item]:
    """Circles that people call porn, textures that they call neutral."""
    found = []
    for one in items(n):
        label = "porn" if one.weak["content"][0] == "drawings" else "neutral"
        who = {"content": {"ada": label}} if people or (one.split == "train" and int(one.name) % 4 < 2) else {}
        found.append(replace(one, weak={"content": (label, 0.9)}, people=who))
    return found


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, Any]]:
    root = tmp_path_factory.mktemp("account")
    (root / "mine.py").write_text(OWN)
    config = Config(
        train=TrainConfig(guarantee=PROMISE), label=LabelConfig(functions=(root / "mine.py",)),
        labelers=(Plugin("words", where="labelers"),),
    )  # fmt: skip
    ws = released(root / "ws", called(), config)
    return ws, train(ws, "1.0.0", Serial(), Tiny(), QUIET, configured.labelers(config))


def test_a_promise_of_peoples_labels_is_kept_apart_from_the_fit(done: tuple[Workspace, dict[str, Any]]) -> None:
    _, result = done
    found = result["thresholds"]
    assert (found["status"], found["missing"]) == ("guaranteed", 0)
    assert result["fit"]["promised"] >= 4
    assert found["guarantee"]["recall"]["n"] <= result["fit"]["promised"]
    assert found["review"] == found["bands"]["safe_below"] == found["guarantee"]["recall"]["threshold"]
    assert found["block"] is None
    assert found["test"]["guaranteed"]["recall"] >= 0.5
    assert found["test"]["guaranteed"]["heading"] == "accuracy"
    assert json.loads((Path(result["path"]) / "thresholds.json").read_text()) == json.loads(json.dumps(found))


def test_without_labels_it_says_how_many_lack(tmp_path: Path) -> None:
    ws = released(tmp_path, called(60, people=False))
    result = train(ws, "1.0.0", Serial(), Tiny(), QUIET)
    found = result["thresholds"]
    assert (found["status"], found["missing"], found["review"], found["bands"]) == ("refused", 59, None, None)
    assert result["fit"]["promised"] == 0
    assert found["estimated"]["heading"] == "agreement with the label model"
    assert any("59 human labels" in line for line in lines(result))
    (told,) = (line for line in lines(result) if line.startswith("  on test ("))
    assert told.startswith("  on test (n = 12, agreement with the label model): passed ")
    low, high = found["test"]["estimated"]["missed_interval"]
    assert f"({100 * low:.1f} % to {100 * high:.1f} %)" in told.partition("; missed ")[2]
    assert result["worst"] is None, "of 12 rows nothing is said"
    names = [row["name"] for row in result["side_by_side"]["rows"]]
    assert names[:2] == ["baseline", "head on people's labels only"]
    assert "label model" in names
    model = result["side_by_side"]["rows"][names.index("label model")]
    assert (model["right"], result["side_by_side"]["heading"]) == (1.0, "agreement with the label model")
    (foot,) = (one for one in result["side_by_side"]["foot"] if one.startswith("label model"))
    assert foot == "label model gave 12 of the 12 labels itself: of these it is right whatever they show"
    ws.close()


def test_slices_are_named_and_the_worst_first(done: tuple[Workspace, dict[str, Any]]) -> None:
    _, result = done
    found = {(one["kind"], one["name"]): one for one in result["slices"]}
    assert found["yours", "everything"]["n"] == result["test"]["n"] == 24
    assert (found["labels of", "human"]["people"], found["labels of", "human"]["heading"]) == (24, "accuracy")
    assert found["host", "#1 by rows"]["right"] == result["test"]["accuracy"]
    assert result["worst"]["n"] == 24
    (said,) = [line for line in lines(result) if line.startswith("worst slice: ")]
    assert f": accuracy {result['worst']['right']:.4f} (" in said


def test_altered_pictures_are_the_same_rows(done: tuple[Workspace, dict[str, Any]]) -> None:
    _, result = done
    rows = {one["name"]: one for one in result["robustness"]["rows"]}
    assert list(rows) == ["as it is", "jpeg q30", "160 px", "grey", "blur", "border", "flip"]
    assert {one["n"] for one in rows.values()} == {24}
    assert rows["as it is"]["right"] == result["test"]["accuracy"]
    for name, one in rows.items():
        if name != "as it is":
            low, high = one["difference"]["right_interval"]
            assert low <= one["difference"]["right"] <= high


def test_the_report_draws_it_and_says_whose_labels(done: tuple[Workspace, dict[str, Any]], tmp_path: Path) -> None:
    """Every part has its table, every plot a name that says what it is held against; no host is named."""
    page = report(done[0], QUIET, out=tmp_path / "page.html").read_text(encoding="utf-8")
    for title in ("Side by side, test split", "By slice, accuracy", "Altered pictures", "Shortcuts", "Thresholds"):
        assert f"{title}</caption>" in page, title
    for plot in ("ROC, not safe", "Precision and recall, not safe", "Reliability, 15 bins"):
        assert re.search(f'aria-label="{plot}: [^"]*, accuracy"', page), plot
    assert "example.org" not in page.partition('id="baseline"')[2]


def test_no_upload_window_no_natural_prevalence(done: tuple[Workspace, dict[str, Any]]) -> None:
    assert "no source is an upload window" in done[1]["natural"]["why_not"]


def test_shortcuts_are_in_the_file(done: tuple[Workspace, dict[str, Any]]) -> None:
    kept = json.loads((Path(done[1]["path"]) / "metrics.json").read_text())
    assert {one["cue"] for one in kept["shortcuts"]} == {"border", "jpeg quality", "size", "format", "host"}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"recall": 1.0}, r"train\.guarantee: recall must lie between 0 and 1"),
        ({"confidence": 0}, r"train\.guarantee: confidence must"),
        ({"recal": 0.9}, r"train\.guarantee\.recal: no such key; did you mean 'recall'"),
    ],
)
def test_what_is_no_promise(table: dict[str, float], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        build(Config, {"train": {"guarantee": table}}, "", Path())
