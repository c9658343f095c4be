"""Any model on a release: scores of a third party, labelers, and by how much each differs from the baseline."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.evaluate import run
from curate.evaluate.compare import ENOUGH, Ground, side_by_side
from curate.evaluate.contenders import Contender, of_csv, of_labeler
from curate.evaluate.rows import Rows
from curate.evaluate.run import Asked, evaluate
from curate.evaluate.slices import ratio, worst
from curate.records import Axis
from curate.release.reader import load
from curate.stats.metrics import Predictions
from curate.store.model_files import reseal, withdraw
from curate.store.workspace import Workspace
from labelers.nsfwjs import Nsfwjs
from tests.train.test_train import Tiny, items, released, trained

ROOT = Path(__file__).resolve().parents[1]
AXIS = Axis()
FIVE = list(AXIS.classes)


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return released(tmp_path_factory.mktemp("eval"), items())


def rows(ws: Workspace) -> Mapping[str, str]:
    table = load(ws.work / "releases" / "1.0.0").rows["test"]
    return dict(zip(table.column("id").to_pylist(), table.column("label").to_pylist(), strict=True))


def written(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join([*lines, ""]))
    return str(path)


def said(ws: Workspace, file: str, split: str = "test") -> dict[str, Any]:
    return evaluate(ws, Asked(file, "1.0.0", split), Serial(), [])


def test_scores_of_a_third_party(ws: Workspace, tmp_path: Path) -> None:
    """Right on all but one; one is missing, and is in no figure."""
    known = list(rows(ws).items())
    lines = [
        f"{one},{0.9 if label == 'drawings' else 0.2},{0.1 if label == 'drawings' else 0.8}" for one, label in known
    ]
    lines[0] = f"{known[0][0]},0.4,0.6" if known[0][1] == "drawings" else f"{known[0][0]},0.6,0.4"
    found = said(ws, written(tmp_path / "api.csv", ["sha256,drawings,neutral", *lines[:-1]]))
    assert (found["of"], found["missing"], found["figures_of"]["n"]) == (8, 1, 7)
    assert found["figures_of"]["agreement"] == round(6 / 7, 4)
    assert found["figures_of"]["heading"] == "agreement with the label model"
    assert found["coverage"]["said"] == "7 of 8 rows; 1 have no score"
    assert found["incomplete"], "more than 5 % are missing"
    kept = ws.catalog.scalar("SELECT result FROM models WHERE model = 'eval:api.csv@1.0.0/test'")
    assert json.loads(kept)["missing"] == 1
    assert not any(one in kept for one, _ in known)


def test_what_is_missing_is_missing_where_every_class_is_safe() -> None:
    """Where no class is not safe there is nothing to add up, and 0 is no answer."""
    axis = replace(AXIS, classes=("drawings", "neutral"), safe=("drawings", "neutral"), borderline=())
    said = Contender.of("x", axis, np.array([[0.9, 0.1], [np.nan, np.nan]]))
    assert np.isnan(said.unsafe).tolist() == [False, True]


def test_a_pipe_is_not_waited_for(ws: Workspace, tmp_path: Path) -> None:
    for name in ("pipe.csv", "pipe.toml"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(UsageError, match="no plain file"):
            said(ws, str(tmp_path / name))


def test_one_score_tells_safe_from_not_safe(ws: Workspace, tmp_path: Path) -> None:
    lines = [f"{one[:64]},{0.1 + n / 100}" for n, one in enumerate(rows(ws))]
    found = said(ws, written(tmp_path / "one.csv", ["id,not_safe", *lines]))
    assert found["figures_of"]["confusion"]["classes"] == ["safe", "not_safe"]
    assert found["figures_of"]["agreement"] == 1.0, "all of them are safe, and none scores a half"


@pytest.mark.parametrize(
    ("head", "row", "says"),
    [
        ("sha256,drawings,neutral", "ID,0.5,nan", r":2: neutral: nan is no probability"),
        ("sha256,drawings,neutral", "ID,0.5,x", r":2: neutral: 'x' is no number"),
        ("sha256,drawings,neutral", "ID,0.5,1.5", r":2: neutral: 1.5 is no probability"),
        ("sha256,drawings,neutral", "ID,0.5,0.1", r":2: the probabilities of a row add up to 1, not 0.6"),
        ("sha256,drawings,neutral", "ffff,0.5,0.5", r":2: no row of this split has the id 'ffff'"),
        ("sha256,drawings,neutral", "ID,0.5,0.5\nID,0.5,0.5", r":3: the id .* stands there twice"),
        ("sha256,drawings,neutral", "ID,,", r"not one score of the 8 rows"),
        ("sha256,drawings,neutral", "", r"not one score of the 8 rows"),
        ("sha256,not_safe", "ID,0,9", r":2: 3 cells below 2 names; decimals take a point"),
        ("sha256,sha256,not_safe", "ID,ID,0.5", r"column 'sha256' is there twice"),
        ("sha256,drawings,neutral,drawings", "ID,0.5,0.5,0.1", r"column 'drawings' is there twice"),
        ("sha256,drawings,neutral,not_safe", "ID,0.5,0.5,0.5", r"has not_safe and drawings, neutral"),
        ("sha256,score", "ID,0.5", r"needs a column sha256 and one a class"),
        ("name,not_safe", "ID,0.5", r"needs a column sha256"),
        ("", "", r"needs a column sha256"),
    ],
)
def test_scores_that_are_none_are_a_line_and_nothing_is_written(
    ws: Workspace, tmp_path: Path, head: str, row: str, says: str
) -> None:
    file = written(tmp_path / "bad.csv", [head, row.replace("ID", next(iter(rows(ws))))])
    with pytest.raises(UsageError, match=says):
        said(ws, file)
    assert ws.catalog.scalar("SELECT count(*) FROM models WHERE model LIKE 'eval:bad%'") == 0


@pytest.mark.parametrize(
    ("model", "version", "split", "says"),
    [
        ("x.csv", "9.9.9", "test", "release 9.9.9: no such release"),
        ("x.csv", "1.0.0", "tset", "no such split 'tset'; did you mean 'test'"),
        ("nowhere", "1.0.0", "test", "nowhere: no such model"),
        ("nowhere.csv", "1.0.0", "test", "nowhere.csv"),
        ("nowhere.toml", "1.0.0", "test", "nowhere.toml: cannot be read"),
    ],
)
def test_what_is_not_there(ws: Workspace, model: str, version: str, split: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        evaluate(ws, Asked(model, version, split), Serial(), [])


def test_rows_that_are_held_since_are_counted_and_not_looked_at(tmp_path: Path) -> None:
    held = released(tmp_path, items())
    one, *others = rows(held)
    with held.catalog.tx() as db:
        db.execute("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'why', '')", (one,))
    file = written(tmp_path / "s.csv", ["sha256,drawings,neutral", *(f"{name},0.5,0.5" for name in others)])
    found = said(held, file)
    assert (found["held"], found["of"], found["missing"]) == (1, 7, 0)
    with pytest.raises(UsageError, match="not one score of the 7 rows"):
        said(held, written(tmp_path / "t.csv", ["sha256,drawings,neutral", f"{one},0.5,0.5"]))
    gone = "ab" * 32
    before = written(tmp_path / "u.csv", ["sha256,drawings,neutral", *(f"{x},0.5,0.5" for x in (*rows(held), gone))])
    with pytest.raises(UsageError, match=rf":10: no row of this split has the id '{gone}'"):
        said(held, before)
    line = {"tombstones": [["sha256", held.catalog.digest("sha256", gone)]], "reason": "r", "receipt": "1", "at": ""}
    held.tombstones.append(line)
    found = said(held, before)
    assert (found["of"], found["missing"]) == (7, 0), "a file from before the hold and the takedown counts as it did"
    held.close()


def test_any_onnx_model_with_its_recipe(ws: Workspace, tmp_path: Path) -> None:
    """One that calls a picture by its strongest channel: asked in a worker's way, and kept nowhere but as figures."""
    file = ROOT / "support" / "onnx" / "channels.onnx"
    table = {
        "use": "onnx", "path": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "size": 8,
        "outputs": ["red", "green", "blue"],
    }  # fmt: skip
    lines = [*(f"{key} = {json.dumps(value)}" for key, value in table.items()), "[classes]"]
    recipe = written(tmp_path / "theirs.toml", [*lines, 'red = ["neutral"]', 'green = ["drawings"]', 'blue = ["porn"]'])
    found = said(ws, recipe)
    assert (found["model"], found["of"], found["missing"]) == ("onnx", 8, 0)
    assert found["figures_of"]["n"] == 8
    assert found["figures_of"]["roc_auc"] is not None
    with pytest.raises(UsageError, match="says of no column which class"):
        said(ws, written(tmp_path / "mute.toml", lines[:-1]))
    with pytest.raises(UsageError, match="none of its columns is the probability of what is not safe"):
        said(ws, written(tmp_path / "safe.toml", [*lines, 'red = ["neutral", "drawings"]']))
    with pytest.raises(UsageError, match=r"labelers\.onnx\.classes\.blue: no such class 'prn'"):
        said(ws, written(tmp_path / "odd.toml", [*lines, 'red = ["neutral"]', 'blue = ["prn"]']))


def test_a_withdrawn_model_says_so_asked_about_and_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A takedown is on a model's files; whoever measures it is told."""
    ws = released(tmp_path / "w", items())
    path = Path(trained(ws)["path"])
    monkeypatch.setattr(run, "backbone_of", lambda folder, recipe: {"use": "tiny", "options": {}, "version": 1})
    monkeypatch.setattr(run, "make", lambda *_: Tiny())
    clean = said(ws, "1.0.0")
    assert (clean["taken_down"], clean["seen"]) == ([], {"train": 0, "val": 0})
    assert not any("saw" in line for line in run.lines(clean))
    withdraw(path, "r1")
    found = said(ws, "1.0.0")
    assert found["taken_down"] == ["r1"]
    told = "1.0.0 was trained on something that was taken down since (receipt r1): train it again"
    assert told in run.lines(found)
    lines = [f"{one},0.4,0.6" for one in rows(ws)]
    beside = said(ws, written(tmp_path / "s.csv", ["sha256,drawings,neutral", *lines]))
    assert beside["taken_down"] == []
    assert beside["side_by_side"]["foot"] == [told.replace("1.0.0", "baseline")]
    ws.close()


def test_rows_that_a_model_learnt_from_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was taught it knows: such a figure says nothing of other rows, and says so."""
    ws = released(tmp_path / "w", items())
    path = Path(trained(ws)["path"])
    monkeypatch.setattr(run, "backbone_of", lambda folder, recipe: {"use": "tiny", "options": {}, "version": 1})
    monkeypatch.setattr(run, "make", lambda *_: Tiny())
    for split, counts in (("train", {"train": 24, "val": 0}), ("val", {"train": 0, "val": 8})):
        found = said(ws, "1.0.0", split)
        assert found["seen"] == counts
        n = sum(counts.values())
        assert any(f"1.0.0 saw {n} of these rows, or their near-duplicates" in one for one in run.lines(found))
    other = shutil.copytree(path, tmp_path / "elsewhere" / "1.0.0")
    assert said(ws, str(other))["seen"] == {"train": 0, "val": 0}, "the same release"
    reseal(other, release={"version": "1.0.0", "sha256": "0" * 64})
    found = said(ws, str(other))
    assert found["seen"] is None
    assert any("learnt from a release that is not here" in one for one in run.lines(found))
    ws.close()


# -- side by side ----------------------------------------------------------------------------------------------------


def ground(n: int, sources: list[str] | None = None) -> Ground:
    truth = np.array([FIVE.index(("neutral", "porn")[row % 2]) for row in range(n)])
    blank = np.zeros((n, 5))
    return Ground(Predictions(truth, blank, [str(row) for row in range(n)], FIVE, sources or ["weak"] * n), AXIS)


def model(name: str, here: Ground, wrong: slice, unknown: slice = slice(0, 0)) -> Contender:
    truth = here.judged.truth.copy()
    truth[wrong] = np.where(truth[wrong] == 2, 3, 2)
    said = np.eye(5)[truth] * 0.8 + 0.04
    said[unknown] = np.nan
    return Contender.of(name, AXIS, said)


def test_a_difference_is_paired_and_on_the_rows_that_both_have() -> None:
    here = ground(200)
    found = side_by_side(here, [model("a", here, slice(0, 40)), model("b", here, slice(0, 20), slice(100, 150))], 0)
    first, second = found["rows"]
    assert (found["of"], found["heading"]) == (200, "agreement with the label model")
    assert (first["right"], first["missing"], second["missing"]) == (0.8, 0, 50)
    assert second["right"] == round(130 / 150, 4)
    apart = second["difference"]
    assert apart["n"] == 150
    assert apart["right"] == round(20 / 150, 4)
    low, high = apart["right_interval"]
    assert 0 < low < apart["right"] < high < 0.25, "errors that both make are no difference"


def test_two_that_say_the_same_do_not_differ_and_nobody_is_sure() -> None:
    here = ground(40)
    _, second = side_by_side(here, [model("a", here, slice(0, 5)), model("b", here, slice(0, 5))], 0)["rows"]
    low, high = second["difference"]["right_interval"]
    assert low < 0 == second["difference"]["right"] < high


def test_a_score_alone_has_no_figures_of_classes() -> None:
    here = ground(40)
    alone = Contender("score", None, np.where(here.judged.truth == 3, 0.9, 0.1), "was trained on these")
    found = side_by_side(here, [model("a", here, slice(0, 5)), alone], 0)
    assert "right" not in found["rows"][1]
    assert found["rows"][1]["not_safe_roc_auc"] == 1.0
    assert found["rows"][1]["difference"]["not_safe_roc_auc"] > 0
    assert found["foot"] == ["score was trained on these"]


def test_a_labeler_that_says_of_safe_classes_only_stands_beside_nobody() -> None:
    nobody: Any = None
    axis, rows = Axis(), Rows(pa.table({"id": ["a"], "source": ["local"]}), Axis().classes)

    def said(**classes: list[str]) -> Contender | None:
        one: Any = SimpleNamespace(says=lambda axis: classes)
        return of_labeler(nobody, axis, one, rows, {name: np.array([0.3]) for name in classes})

    assert said(fine=["drawings", "neutral"]) is None
    assert said(mixed=["neutral", "sexy"]) is None
    assert said(one=["neutral"], other=["neutral"]) is None
    found = said(fine=["drawings", "neutral"], bad=["porn", "hentai"])
    assert found is not None
    assert found.unsafe.tolist() == [0.3]


def test_of_rows_that_were_fetched_anew_nobody_knows_what_a_labeler_has_seen() -> None:
    nobody: Any = None
    for sources, says in ((["urllist", "hydrate", "hydrate"], "; of 2 from releases"), (["urllist"] * 3, "")):
        rows = Rows(pa.table({"id": ["a", "b", "c"], "source": sources}), Axis().classes)
        columns = {name: np.full(3, 0.2) for name in Nsfwjs().says(Axis())}
        told = of_labeler(nobody, Axis(), Nsfwjs(), rows, columns)
        assert told is not None
        known, _, unknown = told.foot.partition(" and may be of it")
        assert f"{sources.count('urllist')} of the 3 rows come from a urllist source," in known
        assert unknown.startswith(says)
        assert bool(unknown) == bool(says)


def test_where_people_labelled_enough_their_rows_alone_count() -> None:
    sources = ["human"] * ENOUGH + ["weak"] * 100
    here = ground(len(sources), sources)
    found = side_by_side(here, [model("a", here, slice(ENOUGH, None))], 0)
    assert (found["of"], found["heading"], found["rows"][0]["right"]) == (ENOUGH, "accuracy", 1.0)


def test_a_file_may_name_fewer_classes_than_the_axis(tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    file.write_text("sha256,neutral,porn\naa,0.3,0.7\n")
    found = of_csv(file, AXIS, ["aa", "bb"])
    assert found.unsafe[0] == pytest.approx(0.7)
    assert np.isnan(found.unsafe[1])
    assert found.probabilities is not None
    assert found.probabilities[0].tolist() == pytest.approx([0, 0, 0.3, 0.7, 0])


# -- slices ----------------------------------------------------------------------------------------------------------


def test_the_worst_slice_is_one_that_is_large_enough() -> None:
    rows = ((None, 3, "few"), (0.9, 30, "a"), (0.7, 30, "b"))
    some: list[dict[str, Any]] = [{"right": right, "n": n, "name": name} for right, n, name in rows]
    found = worst(some)
    assert found is not None
    assert found["name"] == "b"
    assert worst(some[:1]) is None


def test_a_ratio_of_false_alarms_has_an_interval() -> None:
    """The published example of Donner & Zou: none is at hand, so by simulation: 0.2 over 0.1, 400 rows each."""
    from curate.stats.intervals import wilson

    held = 0
    chance = np.random.default_rng(0)
    for _ in range(300):
        a, b = chance.binomial(400, 0.2), chance.binomial(400, 0.1)
        of_a, of_b = wilson(a, 400), wilson(b, 400)
        assert of_a is not None
        assert of_b is not None
        _, (low, high) = ratio(a / 400, of_a, b / 400, of_b)
        held += low <= 2 <= (high or np.inf)
    assert held / 300 > 0.91
    value, (_, high) = ratio(0.1, (0.05, 0.2), 0.0, (0.0, 0.1))
    assert (value, high) == (None, None), "over none there is no bound"
