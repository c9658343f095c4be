"""What train learns beside its rows' classes: soft labels, altered pictures, another axis; and the model's card."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from curate.admin.verify import verify
from curate.config import Config, TrainConfig
from curate.contracts import Decoded
from curate.engine.serial import Serial
from curate.errors import CurateError, UsageError
from curate.evaluate.rows import Featured, Rows
from curate.linear import Examples, fit
from curate.records import Axis, Taxonomy
from curate.removal.takedown import takedown
from curate.store.workspace import Workspace
from curate.train import run
from curate.train.augment import _WAYS, alter
from curate.train.lesson import _targets
from tests.support.releases import QUIET, Item, contents, far
from tests.support.weak import put
from tests.train.test_train import Tiny, items, released

WAYS = ("crop", "flip", "rotate", "colour", "jpeg", "erase")


def trained(ws: Workspace, backbone: Any = None, axis: str | None = None, variant: str = "") -> dict[str, Any]:
    return run.train(ws, "1.0.0", Serial(), backbone or Tiny(), QUIET, (), axis, variant)


def optioned(ws: Workspace, **options: Any) -> Workspace:
    ws.config = replace(ws.config, train=TrainConfig(epochs=20, **options))
    return ws


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    axes = (Axis(), Axis("medium", ("photograph", "drawing"), ("photograph", "drawing"), ()))
    held = [
        replace(one, weak=dict(one.weak) | {"medium": (("drawing", "photograph")[int(one.name) % 3 == 0], 0.8)})
        if int(one.name) % 5
        else one
        for one in items()
    ]
    return released(tmp_path_factory.mktemp("lesson"), held, replace(Config(), taxonomy=Taxonomy(axes=axes)))


# -- altered pictures ------------------------------------------------------------------------------------------------


def test_altered_pictures_are_rows_of_train_alone_and_the_same_again(stock: Workspace) -> None:
    plain = trained(optioned(stock))
    assert not list((stock.work / "tables").glob("augment@*")), "it is off unless asked for"
    weights = (Path(plain["path"]) / "model.safetensors").read_bytes()
    more = trained(optioned(stock, augment=WAYS, copies=2))
    assert (Path(more["path"]) / "model.safetensors").read_bytes() != weights
    assert more["rows"] == plain["rows"]
    made = contents(Path(more["path"]))
    folders = sorted((stock.work / "tables").glob("augment@*"))
    assert len(folders) == 2
    rows = [part for name in folders for _, part in stock.table("augment", name.name.partition("@")[2]).each()]
    assert [len(part) for part in rows if part is not None] == [24, 24], "of train's rows, and of no other"
    for part in folders[0].glob("*.parquet"):
        part.unlink()
    trained(stock)
    assert contents(Path(more["path"])) == made, "made again, the same bytes"
    trained(optioned(stock, augment=WAYS, copies=2, seed=1))
    assert contents(Path(more["path"]))["model.safetensors"] != made["model.safetensors"]


@pytest.mark.parametrize("way", _WAYS)
def test_each_way_alters_a_little_and_by_the_seed(way: str) -> None:
    ramp = np.add.outer(np.arange(120), np.arange(160)).astype(np.uint8)
    image = Image.fromarray(np.stack([ramp, ramp // 2, 255 - ramp], axis=2))
    found = [alter(image, [way], np.random.default_rng(seed)) for seed in (0, 0, 1, 2, 3)]
    assert found[0] == found[1]
    assert any(one != found[0] for one in found[2:])
    for one in found:
        assert one.mode == "RGB"
        assert min(one.size) >= 0.6 * 120 - 1
    assert image == Image.fromarray(np.stack([ramp, ramp // 2, 255 - ramp], axis=2)), "the picture itself stays"


# -- soft labels -----------------------------------------------------------------------------------------------------


def part(ids: Sequence[str], labels: Sequence[str], sources: Sequence[str]) -> Featured:
    table = pa.table(
        {"id": list(ids), "label": list(labels), "label_source": list(sources), "weight": [1.0] * len(ids)}
    )
    return Featured(Rows(table, ["drawings", "neutral"]), np.zeros((len(ids), 2), np.float32))


def test_what_machines_say_is_learnt_as_they_say_it_and_what_people_say_as_it_is(stock: Workspace) -> None:
    axis = stock.config.taxonomy.first
    known = items()[:3]  # drawings, neutral, drawings; 0.9 each
    put(stock, {one.id: one.weak["content"] for one in known}, axis=axis)
    labels = ["drawings", "neutral", "neutral", "drawings"]
    found = part([one.id for one in known] + ["f" * 64], labels, ["weak", "human", "model", "weak"])
    soft = _targets(optioned(stock, soft=True), axis, found)
    assert soft.sum(axis=1) == pytest.approx(1)
    assert soft[0, 0] == pytest.approx(0.9 / (0.9 + 0.1 / 4), abs=0.05)
    assert soft[1].tolist() == [0, 1], "people's"
    assert soft[2].tolist() == [0, 1], "the machine has changed its mind since the release"
    assert soft[3].tolist() == [1, 0], "nothing is known of it any more"
    said = _targets(optioned(stock, smoothing={"weak": 0.2, "model": 0.1}), axis, found)
    assert said == pytest.approx(np.array([[0.9, 0.1], [0, 1], [0.05, 0.95], [0.9, 0.1]]))


def test_one_hot_targets_teach_what_classes_do() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 60)
    rows = Examples(rng.normal(0, 1, (60, 4)).astype(np.float32), classes, np.ones(60, np.float32))
    hard = fit(rows, rows, 3, TrainConfig(epochs=10))
    soft = fit(replace(rows, targets=np.eye(3, dtype=np.float32)[classes]), rows, 3, TrainConfig(epochs=10))
    assert hard.weight == pytest.approx(soft.weight, abs=1e-4)
    smooth = fit(replace(rows, targets=np.full((60, 3), 1 / 3, np.float32)), rows, 3, TrainConfig(epochs=10))
    assert np.abs(smooth.weight).max() < np.abs(hard.weight).max() / 2, "nothing to tell apart"


@pytest.mark.parametrize(
    "wrong",
    [
        {"smoothing": {"people": 0.1}},
        {"smoothing": {"weak": 1.0}},
        {"copies": 0},
        {"epochs": 0},
        {"weight_decay": -1.0},
    ],
)
def test_options_that_cannot_be_meant_are_refused(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"smoothing|at least"):
        TrainConfig(**wrong)


# -- another axis ----------------------------------------------------------------------------------------------------


def test_a_further_axis_has_a_model_of_its_own(stock: Workspace) -> None:
    first = trained(optioned(stock))
    other = trained(stock, axis="medium", variant="medium")
    assert (other["axis"], other["classes"], other["model"]) == ("medium", ["photograph", "drawing"], "1.0.0+medium")
    assert 0 < sum(other["rows"].values()) < sum(first["rows"].values()), "rows without that label are left out"
    said = json.loads((Path(other["path"]) / "model.json").read_text())
    assert (said["axis"], said["safe"]) == ("medium", ["photograph", "drawing"])
    names = [row[0] for row in stock.catalog.all("SELECT model FROM models ORDER BY 1")]
    assert names == ["1.0.0", "1.0.0+medium"]
    with pytest.raises(UsageError, match=r"release 1\.0\.0 has no axis 'medum'; did you mean 'medium'"):
        trained(stock, axis="medum")


# -- what it leaves --------------------------------------------------------------------------------------------------


def test_the_log_has_a_row_an_epoch(stock: Workspace) -> None:
    result = trained(optioned(stock))
    rows = list(csv.DictReader((Path(result["path"]) / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == [str(n) for n in range(1, len(rows) + 1)]
    kept = [row for row in rows if row["kept"]]
    assert [int(row["epoch"]) for row in kept] == [result["fit"]["epochs"]]
    assert float(kept[0]["val_loss"]) == min(float(row["val_loss"]) for row in rows)
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])


def test_the_card_says_what_it_is_and_what_it_is_not_for(stock: Workspace) -> None:
    result = trained(optioned(stock))
    text = (Path(result["path"]) / "card.md").read_text()
    sha256 = stock.catalog.scalar("SELECT sha256 FROM releases")
    for words in (
        "# Model 1.0.0", f"sha256 `{sha256}`", "drawings, neutral", "8 weak", "agreement with the label model",
        "## What it must not be used for", "It advises; it does not act", "open to advice only", "about one half",
        "Screening of the release", "24 train, 8 val, 8 test",
    ):  # fmt: skip
        assert words in text, words
    assert not any(one.id in text for one in items())


def test_a_class_of_three_samples_is_said_to_be_few(tmp_path: Path) -> None:
    few = [replace(one, weak={"content": ("sexy", 0.9)}) if one.name in ("0", "2", "4") else one for one in items()]
    result = trained(released(tmp_path, few))
    assert result["few"] == {"drawings": 9, "sexy": 3}
    assert any(line.startswith("few: train has 3 rows of sexy") for line in run.lines(result))


class Odd(Tiny):
    """A backbone that answers with no number, of some pictures or of all."""

    every = False

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        found = dict(super().label(batch))
        found["embedding"][:: 1 if self.every else 2] = np.nan
        return found


def test_features_that_are_no_numbers_are_counted_not_learnt(tmp_path: Path) -> None:
    ws = released(tmp_path, items())
    result = trained(ws, Odd())
    assert sum(result["skipped"].values()) == 20
    made = Odd()
    made.every = True
    for part in (ws.work / "tables").glob("test_lesson@*/*"):
        part.unlink()
    with pytest.raises(CurateError, match="24 of 24 rows have no features"):
        trained(ws, made)


def test_a_takedown_marks_the_models_that_saw_the_item(tmp_path: Path) -> None:
    """And trained again they are without it."""
    extra = Item("extra", "train", data=items(44)[42].content, weak={"content": ("drawings", 0.9)}, hash=far(42))
    ws = released(tmp_path, [*items(), extra])
    trained(ws)
    trained(ws, variant="tiny")
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO models (model, version, result) VALUES ('eval:api.csv@1.0.0/test', '1.0.0', '{}')")
    said = takedown(ws, extra.id, "asked for")
    assert said["models_affected"] == ["1.0.0", "1.0.0+tiny"]
    receipt = Path(said["receipt"]).stem
    for name in said["models_affected"]:
        folder = ws.work / "models" / name
        assert (
            f"> **Withdrawn.** Something that this model saw was taken down since (receipt {receipt})"
            in (folder / "card.md").read_text()
        )
        assert json.loads((folder / "model.json").read_text())["taken_down"] == [receipt]
    assert not [one for one in verify(ws, QUIET)["items"] if one["id"].startswith("models/")]
    again = trained(ws)
    assert again["rows"]["train"] == 24
    assert "Withdrawn" not in (Path(again["path"]) / "card.md").read_text()
    assert "taken_down" not in json.loads((Path(again["path"]) / "model.json").read_text())
    ws.close()
