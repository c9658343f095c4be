"""The baseline learns from train, stops by val, is judged on test, and is the same again from its files."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw

import curate
from curate.admin import configured
from curate.config import Config, TrainConfig
from curate.contracts import Decoded, Resources
from curate.engine.serial import Serial
from curate.errors import CurateError, ItemError, StoreError, UsageError
from curate.evaluate.bundle import load_model, pixels
from curate.evaluate.rows import _without
from curate.features.scores import read
from curate.options import Plugin
from curate.plugins import fingerprint_of, make
from curate.release.export import export
from curate.release.reader import load
from curate.store.model_files import reseal
from curate.store.workspace import Workspace
from curate.train.run import lines, train
from labelers.efficientnet_lite0 import EfficientnetLite0
from tests.support.pictures import encode, texture
from tests.support.releases import QUIET, SCREENED, Item, contents, far, stocked
from tests.support.samples import declare, judge

RECIPE = {"shorter_side": 256, "center_crop": 1.0, "size": [16, 16], "interpolation": "bicubic", "mean": [127.0] * 3,
          "std": [128.0] * 3}  # fmt: skip


@dataclass
class Tiny:
    """A backbone that costs nothing: 16 coarse pixels, three colours each."""

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = {"embedding": "float16[48]"}

    def load(self) -> None:
        self._network = self.module()

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        import torch

        views = np.array([pixels(one.image(256), RECIPE) for one in batch])
        return {"embedding": self._network(torch.from_numpy(views)).detach().numpy().astype(np.float16)}

    def module(self) -> Any:
        import torch

        return torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten()).eval()

    def preprocessing(self) -> dict[str, object]:
        return dict(RECIPE)


def drawing(seed: int) -> Image.Image:
    """Circles on white."""
    image = Image.new("RGB", (160, 120), "white")
    for x, y, r in np.random.default_rng(seed).integers(8, 100, (3, 3)).tolist():
        ImageDraw.Draw(image).ellipse((x - r // 4, y - r // 4, x + r // 4, y + r // 4), fill="black")
    return image


def items(n: int = 40) -> list[Item]:
    """Textures that are `neutral` and circles that are `drawings`; 6 in 10 train, 2 val, 2 test."""
    found = []
    for number in range(n):
        drawn, split = number % 2 == 0, ("train", "train", "train", "val", "test")[number // 2 % 5]
        data = encode(drawing(number) if drawn else texture(number))
        label = {"content": ("drawings" if drawn else "neutral", 0.9)}
        found.append(Item(str(number), split, data=data, weak=label, hash=far(number)))
    return found


def released(root: Path, held: Sequence[Item], config: Config | None = None) -> Workspace:
    ws = stocked(root, held, config)
    ws.blobs.put((item.id, item.content) for item in held)
    export(ws, "1.0.0", {}, QUIET, SCREENED)
    return ws


def trained(ws: Workspace) -> dict[str, Any]:
    return train(ws, "1.0.0", Serial(), Tiny(), QUIET)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, Any]]:
    ws = released(tmp_path_factory.mktemp("train"), items())
    return ws, trained(ws)


def test_it_says_what_it_found(done: tuple[Workspace, dict[str, Any]]) -> None:
    ws, result = done
    assert result["classes"] == ["drawings", "neutral"]
    assert result["rows"] == {"train": 24, "val": 8, "test": 8}
    assert result["fit"]["stopping"] == "val"
    test = result["test"]
    assert (test["n"], test["agreement"], test["roc_auc"], test["average_precision"]) == (8, 1.0, 1.0, 1.0)
    assert test["agreement_interval"] == (0.6756, 1.0)
    assert test["confusion"] == {"classes": ["drawings", "neutral"], "rows": [[4, 0], [0, 4]]}
    assert not [name for name in test if name.startswith("not_safe")]
    row = ws.catalog.all("SELECT model, version, result FROM models")[0]
    assert (row["model"], row["version"]) == ("1.0.0", "1.0.0")
    assert json.loads(row["result"])["test"]["n"] == 8
    assert {p.name for p in Path(result["path"]).iterdir()} == {
        "card.md",
        "log.csv",
        "model.json",
        "model.safetensors",
        "preprocessing.json",
        "metrics.json",
        "thresholds.json",
    }


def test_it_says_whose_labels_it_is_held_against(done: tuple[Workspace, dict[str, Any]], tmp_path: Path) -> None:
    """All labels here are the label model's: no line calls a figure accuracy, and none is a point."""
    _, result = done
    assert result["test"]["labels"] == {"human": 0, "weak": 8, "model": 0}
    assert result["test"]["heading"] == "agreement with the label model"
    assert result["test"]["human"] == {"n": 0, "accuracy": None, "interval": None}
    said = list(lines(result))
    assert "agreement with the label model (labels: 0 human, 8 weak, 0 model; n = 8), on the test split:" in said
    assert not any("accuracy" in line for line in said)
    assert result["test"]["accuracy"] is result["test"]["accuracy_interval"] is None
    assert {one["people"] for one in result["test"]["figures"]} == {0}
    kept = json.loads((Path(result["path"]) / "metrics.json").read_text())
    assert kept["test"]["labels"]["weak"] == 8
    for name in ("agreement", "roc_auc", "average_precision"):
        low, high = kept["test"][f"{name}_interval"]
        assert low < 0.7 < high == 1.0, f"{name}: eight rows show no certainty"
    mine = items()
    judged = [replace(one, people={"content": {"ada": one.weak["content"][0]}}) for one in mine if one.split == "test"]
    known = trained(released(tmp_path / "all", [one for one in mine if one.split != "test"] + judged))
    assert known["test"]["heading"] == "accuracy"
    assert "  accuracy                     1.0000   0.6756 to 1.0000" in list(lines(known))
    some = trained(released(tmp_path / "some", [one for one in mine if one.id != judged[0].id] + judged[:1]))
    assert some["test"]["heading"] == "agreement with people (1 labels) and the label model"
    assert some["test"]["human"] == {"n": 1, "accuracy": 1.0, "interval": (0.2065, 1.0)}


def test_what_is_contradicted_since_is_not_trained_on(tmp_path: Path) -> None:
    """A release is frozen; what its rows are declared to be is not."""
    ws = released(tmp_path, items())
    neutral = [one for one in items() if one.split == "train" and one.weak["content"][0] == "neutral"]
    for one in neutral[:3]:
        declare(ws, one.id, ws.config.taxonomy.first, "porn")
    judge(ws, neutral[0].id, "neutral")  # after the release: its row still says weak
    result = trained(ws)
    assert (result["contradicted"], result["rows"]["train"]) == ({"train": 3, "val": 0, "test": 0}, 21)
    for one in neutral[3:]:
        declare(ws, one.id, ws.config.taxonomy.first, "porn")
    with pytest.raises(UsageError, match="fewer than two classes are left in its train split"):
        trained(ws)


def test_trained_again_it_is_the_same_to_the_byte(done: tuple[Workspace, dict[str, Any]], tmp_path: Path) -> None:
    ws, result = done
    before = contents(Path(result["path"]))
    other = trained(released(tmp_path, list(reversed(items()))))
    assert contents(Path(other["path"])) == before
    trained(ws)
    assert contents(Path(result["path"])) == before
    assert ws.catalog.scalar("SELECT count(*) FROM models") == 1


def test_test_rows_teach_nothing_and_val_rows_only_stop(done: tuple[Workspace, dict[str, Any]], tmp_path: Path) -> None:
    """With the labels of test turned round the model is the same, and as wrong as it was right."""
    turned = {"drawings": "neutral", "neutral": "drawings"}
    held = [
        replace(i, weak={"content": (turned[i.weak["content"][0]], 0.9)}) if i.split == "test" else i for i in items()
    ]
    other = trained(released(tmp_path / "other", held))
    assert other["test"]["agreement"] == other["test"]["roc_auc"] == 0.0
    for name in ("model.safetensors", "preprocessing.json"):
        assert (Path(other["path"]) / name).read_bytes() == (Path(done[1]["path"]) / name).read_bytes()
    config = replace(Config(), train=TrainConfig(patience=200, epochs=30))
    bad_val = [replace(i, weak={"content": ("porn", 0.9)}) if i.split == "val" else i for i in items()]
    no_val = trained(released(tmp_path / "no_val", bad_val, config))
    assert no_val["fit"]["epochs"] == 30
    assert "fewer than two classes" in no_val["fit"]["stopping"]


def test_unsafe_figures_where_both_sides_are_there(tmp_path: Path) -> None:
    """Harmless pictures that are only called so."""
    held = [replace(i, weak={"content": ("porn", 0.9)}) if i.weak["content"][0] == "drawings" else i for i in items()]
    test = trained(released(tmp_path, held))["test"]
    assert (test["not_safe_n"], test["not_safe_recall"], test["not_safe_roc_auc"], test["borderline_n"]) == (4, 1, 1, 0)


def test_a_picture_that_cannot_be_read_is_counted_not_guessed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = Item("broken", "test", data=b"no picture", weak={"content": ("neutral", 0.9)}, hash=far(99))
    result = trained(released(tmp_path, [*items(), broken]))
    assert result["skipped"] == {"train": 0, "val": 0, "test": 1}
    test = result["test"]
    assert (test["n"], test["unread"], test["agreement"]) == (9, 1, 0.8889), "what cannot be read is an error"
    assert test["confusion"]["unread"] == [0, 1]


def test_it_refuses_what_it_cannot_train_on(tmp_path: Path) -> None:
    ws = released(tmp_path / "one", [i for i in items() if i.weak["content"][0] == "neutral" or i.split != "train"])
    with pytest.raises(UsageError, match="fewer than two classes"):
        trained(ws)
    with pytest.raises(UsageError, match=r"release 1\.0\.1: no such release; did you mean '1\.0\.0'"):
        train(ws, "1.0.1", Serial(), Tiny(), QUIET)
    assert not (ws.work / "models").exists()


def test_a_release_that_was_changed_is_not_trained_on(tmp_path: Path) -> None:
    ws = released(tmp_path, items())
    path = ws.work / "releases" / "1.0.0" / "train.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="not the bytes that were released"):
        trained(ws)


def test_saved_and_loaded_the_real_backbone_says_the_same(tmp_path: Path) -> None:
    """The model's files alone, and the bytes of the pictures, give what training saw: |dp| < 1e-3."""
    ws = released(tmp_path, items(20))
    backbone = make("labelers", Plugin("efficientnet_lite0"), "labeler")
    result = train(ws, "1.0.0", Serial(), backbone, QUIET)
    moved = shutil.copytree(result["path"], tmp_path / "elsewhere")
    model = load_model(moved)
    assert model.classes == ("drawings", "neutral")
    ids = load(ws.work / "releases" / "1.0.0").rows["test"].column("id").to_pylist()
    seen = model.head.probabilities(read(ws, backbone, ids)["embedding"].astype(np.float32))
    said = model.predict([ws.blobs.path(one).read_bytes() for one in ids])
    assert len(ids) == 4
    assert np.abs(said - seen).max() < 1e-3
    assert result["test"]["agreement"] == 1.0
    recipe = json.loads((moved / "preprocessing.json").read_text())
    assert recipe["labels"] == ["drawings", "neutral"]
    assert recipe["backbone"]["use"] == "efficientnet_lite0"
    assert model.predict([]).shape == (0, 2)
    assert len(repr(model)) < 100
    good = ws.blobs.path(ids[0]).read_bytes()
    with pytest.raises(ItemError, match="item 1"):
        model.predict([good, b"junk"])
    for wrong in (good, "a.png", Path("a.png"), [good, Path("a.png")], 3):
        with pytest.raises(UsageError, match="give a list of the bytes of image files"):
            model.predict(wrong)  # type: ignore[arg-type]


def test_files_that_are_no_model_are_refused(done: tuple[Workspace, dict[str, Any]], tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(StoreError, match="not a baseline"):
            load_model(folder)
    tiny = shutil.copytree(done[1]["path"], tmp_path / "tiny")
    recipe = json.loads((tiny / "preprocessing.json").read_text())
    said = {"use": "efficientnet_lite0", "version": EfficientnetLite0.version, "options": {}}
    for change, error in ((said, StoreError), (said | {"version": 0}, UsageError), (said | {"use": "os"}, UsageError)):
        (tiny / "preprocessing.json").write_text(json.dumps(recipe | {"backbone": change}))
        reseal(tiny)
        with pytest.raises(error):
            load_model(tiny)
    (tiny / "preprocessing.json").write_text(json.dumps(recipe | {"backbone": said}))
    (tiny / "model.safetensors").write_bytes(b"\x80\x04cos\nsystem\n")
    reseal(tiny)
    with pytest.raises(StoreError, match="not a baseline"):
        load_model(tiny)


OWN = """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from curate.contracts import Resources
from curate.evaluate.bundle import pixels

RECIPE = {"shorter_side": 256, "center_crop": 1.0, "size": [16, 16], "interpolation": "bicubic", "mean": [127.0] * 3,
          "std": [128.0] * 3}


@dataclass(frozen=True)
class Mine:
    pool: int = 4
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[dict] = {"embedding": "float16[48]"}

    def load(self):
        pass

    def label(self, batch):
        import torch

        views = torch.from_numpy(np.array([pixels(one.image(256), RECIPE) for one in batch]))
        return {"embedding": self.module()(views).detach().numpy().astype(np.float16)}

    def module(self):
        import torch

        layers = torch.nn.BatchNorm2d(3), torch.nn.AdaptiveAvgPool2d(self.pool), torch.nn.Flatten()
        return torch.nn.Sequential(*layers).eval()

    def preprocessing(self):
        return dict(RECIPE)
"""


def test_a_model_on_a_backbone_of_ones_own_is_read_with_its_file(tmp_path: Path) -> None:
    """And with nothing else: the model's files name no path, and are no code."""
    ws, file = released(tmp_path, items()), tmp_path / "mine.py"
    file.write_text(OWN)
    result = train(ws, "1.0.0", Serial(), make("labelers", Plugin(str(file)), "labeler"), QUIET)
    assert str(tmp_path) not in (Path(result["path"]) / "preprocessing.json").read_text()
    with pytest.raises(UsageError, match=r'backbone="mine\.py"'):
        curate.load_model(result["path"])
    model = curate.load_model(result["path"], backbone=file)
    ids = load(ws.work / "releases" / "1.0.0").rows["test"].column("id").to_pylist()
    said = model.predict([ws.blobs.path(one).read_bytes() for one in ids])
    assert said.shape == (len(ids), 2)
    assert np.allclose(said.sum(axis=1), 1)
    file.write_text(OWN + "\n# changed\n")
    with pytest.raises(UsageError, match="not the file that the model was made with"):
        curate.load_model(result["path"], backbone=file)
    with pytest.raises(UsageError, match="No such file"):
        curate.load_model(result["path"], backbone=tmp_path / "gone" / "mine.py")


def test_a_model_on_a_backbone_of_ours_takes_no_file(done: tuple[Workspace, dict[str, Any]], tmp_path: Path) -> None:
    tiny, file = shutil.copytree(done[1]["path"], tmp_path / "tiny"), tmp_path / "mine.py"
    file.write_text(OWN)
    with pytest.raises(UsageError, match="no file of one's own"):
        curate.load_model(tiny, backbone=file)


def test_rows_that_are_held_since_are_not_looked_at(tmp_path: Path) -> None:
    ws = released(tmp_path, items())
    held = items()[0].id
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'why', '')", (held,))
    assert trained(ws)["rows"] == {"train": 23, "val": 8, "test": 8}
    scored = ws.table("test_train", fingerprint_of(Tiny())).read()
    assert scored is not None
    assert held not in scored.column("id").to_pylist()


@pytest.mark.parametrize("name", ["skin", "declared", "drawing"])
def test_a_backbone_without_vectors_is_refused_before_anything_else(name: str) -> None:
    with pytest.raises(UsageError, match=f"no vectors from '{name}'; there are: .*efficientnet_lite0"):
        configured.backbone(Config(train=TrainConfig(backbone=name)))
    assert configured.backbone(Config()).columns["embedding"]


def test_a_split_without_a_row_is_no_fault() -> None:
    """As small releases have them: nothing is left of nothing."""
    rows = pa.table({"id": pa.array([], pa.string())})
    assert _without(rows, set()).num_rows == _without(rows, {"a"}).num_rows == 0


def test_what_is_held_back_is_no_lack_of_classes(tmp_path: Path) -> None:
    ws = released(tmp_path, items())
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO withheld (sample, reason, detail, at) SELECT id, 'origin_lost', '', 'now' FROM samples")
    with pytest.raises(CurateError, match=r"24 of 24 rows of its train split are held back: .*`curate fetch`"):
        trained(ws)
    ws.close()


def test_each_network_can_be_a_backbone() -> None:
    """Also where its table says that no features are wanted of it; one without any says what is lacking."""
    tables = (Plugin("nsfwjs", {"embedding": False}, "labelers"), Plugin("open_nsfw", {}, "labelers"))
    for name, size in (("nsfwjs", 1792), ("open_nsfw", 1024), ("efficientnet_lite0", 1280)):
        config = Config(train=TrainConfig(backbone=name), labelers=tables)
        assert configured.backbone(config).columns["embedding"] == f"float16[{size}]"
    assert configured.labelers(config)[0].columns.keys() == {"drawings", "hentai", "neutral", "porn", "sexy"}
    own = Plugin("onnx", {"path": "/a.onnx", "sha256": "", "outputs": ["a", "b"]}, "labelers")
    with pytest.raises(UsageError, match="embedding and embedding_size"):
        configured.backbone(Config(train=TrainConfig(backbone="onnx"), labelers=(own,)))
