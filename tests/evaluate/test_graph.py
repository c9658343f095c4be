"""A model as one ONNX file says what the product says, and what its safetensors say; from outside, too."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from curate.engine.pool import Pool
from curate.errors import ItemError, StoreError, UsageError
from curate.evaluate.bundle import NETWORK, RECIPE, WEIGHTS, Baseline, in_torch, load_model, save
from curate.evaluate.graph import assemble
from curate.evaluate.predict import predict
from curate.evaluate.run import _of_folder
from curate.linear import Head
from curate.options import Plugin
from curate.plugins import make
from curate.store.model_files import checked, reseal, seal
from tests.support.model_pictures import files, moving, outside

CLASSES = ("drawings", "hentai", "neutral", "porn", "sexy")
FACTS = {"model": "1.0.0", "classes": list(CLASSES), "safe": ["drawings", "neutral"]}
CHANNELS = Path(__file__).parents[1] / "support" / "onnx" / "channels.onnx"
OWN = {
    "path": str(CHANNELS), "sha256": hashlib.sha256(CHANNELS.read_bytes()).hexdigest(), "size": 8,
    "std": [0.3, 0.4, 0.5], "outputs": ["red", "green", "blue"], "embedding": "means", "embedding_size": 3,
    "range": [-1.0, 1.0], "fit": "crop",
}  # fmt: skip
BACKBONES: dict[str, dict[str, Any]] = {
    "efficientnet_lite0": {}, "nsfwjs": {}, "open_nsfw": {"embedding": True}, "onnx": OWN,
}  # fmt: skip


def backbone(name: str) -> Any:
    return make("labelers", Plugin(name, BACKBONES[name], "labelers"), "labeler")


def head(size: int, seed: int = 0) -> Head:
    """One whose answers are neither sure nor all alike."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 1.5 / size**0.5, (len(CLASSES), size)).astype(np.float32)
    return Head(weight, rng.normal(0, 0.3, len(CLASSES)).astype(np.float32), 1, "val", 1.25)


def saved(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    made = backbone(name)
    save(folder, made, head(int(made.columns["embedding"][8:-1])), CLASSES)
    seal(folder, FACTS)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: saved(root / name, name) for name in BACKBONES}


def answers(model: Baseline, data: list[bytes]) -> "np.ndarray":
    """What the work says in this process."""
    work = replace(model.work)
    work.load()
    return np.array([work(item) for item in _items(data)])


def _items(data: list[bytes]) -> list[Any]:
    from curate.features.inspect import FetchedBytes

    return [FetchedBytes(n, one) for n, one in enumerate(data)]


@pytest.mark.parametrize(("name", "n"), [("efficientnet_lite0", 20), ("nsfwjs", 6), ("open_nsfw", 10), ("onnx", 20)])
def test_from_outside_the_file_alone_says_the_same(folders: dict[str, Path], name: str, n: int) -> None:
    """With onnxruntime, Pillow and preprocessing.json, and nothing of curate: |dp| < 1e-4, in one batch."""
    check_from_outside(folders[name], n)


@pytest.mark.soak
@pytest.mark.parametrize("name", BACKBONES)
def test_from_outside_on_200_pictures(folders: dict[str, Path], name: str) -> None:
    check_from_outside(folders[name], 200)


def check_from_outside(folder: Path, n: int) -> None:
    data = files(n)
    recipe = json.loads((folder / RECIPE).read_text())
    session = opened((folder / NETWORK).read_bytes())
    assert recipe["batch"] == "any"
    pixels = np.stack([outside(one, recipe) for one in data])
    (theirs,) = session.run(None, {session.get_inputs()[0].name: pixels})
    ours = answers(load_model(folder), data)
    assert np.abs(ours - theirs).max() < 1e-4
    assert len(np.unique(theirs.round(3), axis=0)) > n // 3, "the pictures are told apart"


@pytest.mark.parametrize(("name", "n"), [("efficientnet_lite0", 6), ("nsfwjs", 3), ("open_nsfw", 3), ("onnx", 10)])
def test_the_safetensors_say_the_same(folders: dict[str, Path], name: str, n: int) -> None:
    """Of the default backbone in torch; of the others as the weights of the labeler's graph."""
    folder, data = folders[name], files(n)
    recipe, model = json.loads((folder / RECIPE).read_text()), load_model(folder)
    if name == "efficientnet_lite0":
        run = in_torch(folder, checked(folder)["files"], backbone(name))
    else:
        run = graphed(folder, backbone(name))
    theirs = np.array([run(outside(one, recipe)) for one in data])
    assert np.abs(answers(model, data) - theirs).max() < 1e-4


def opened(data: bytes) -> Any:
    """The model in onnxruntime alone, on one thread."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def graphed(folder: Path, labeler: Any) -> Any:
    """The backbone's graph with every weight of the safetensors file in it, and the head by NumPy."""
    from onnx import load_from_string, numpy_helper
    from safetensors.numpy import load_file

    tensors = load_file(folder / WEIGHTS)
    model = load_from_string(labeler.graph())
    for one in model.graph.initializer:
        one.CopyFrom(numpy_helper.from_array(tensors[f"backbone.{one.name}"], one.name))
    session = opened(model.SerializeToString())
    found = Head.of(tensors)

    def run(pixels: "np.ndarray") -> "np.ndarray":
        (features,) = session.run(None, {session.get_inputs()[0].name: pixels[None]})
        return np.asarray(found.probabilities(features.reshape(1, -1))[0])

    return run


@pytest.mark.parametrize("name", ["nsfwjs", "onnx"])
def test_saved_again_it_is_the_same_to_the_byte(folders: dict[str, Path], name: str, tmp_path: Path) -> None:
    again = saved(tmp_path / "again", name)
    assert {one.name: one.read_bytes() for one in again.iterdir()} == {
        one.name: one.read_bytes() for one in folders[name].iterdir()
    }


def test_the_least_safe_frame_of_an_animation_counts(folders: dict[str, Path]) -> None:
    model = load_model(folders["onnx"])
    whole, singly = answers(model, [moving(1)])[0], [answers(model, [one])[0] for one in _frames(moving(1))]
    risk = [1 - one[0] - one[2] for one in singly]
    assert len(singly) == 3
    assert whole == pytest.approx(singly[int(np.argmax(risk))], abs=1e-6)
    assert max(risk) - min(risk) > 1e-3


def _frames(data: bytes) -> list[bytes]:
    import io

    from PIL import Image, ImageSequence

    from tests.support.pictures import encode

    return [encode(one.convert("RGB"), "PNG") for one in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]


def test_a_graph_that_is_another_models_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    """With other inputs, other classes, or no graph at all, though model.json names the very bytes."""
    folder = saved(tmp_path / "model", "onnx")
    made = backbone("onnx").graph()
    others = {
        "its input is": (folders["efficientnet_lite0"] / NETWORK).read_bytes(),
        "of 5 classes is asked": assemble(
            made, replace(head(3), weight=head(3).weight[:3], bias=head(3).bias[:3]), "abc"
        ),
        "its classes are": assemble(made, head(3), CLASSES[::-1]),
        "its outputs are": CHANNELS.read_bytes(),
        "not a model that can be run": b"junk",
    }
    for says, data in others.items():
        (folder / NETWORK).write_bytes(data)
        reseal(folder)
        with pytest.raises(StoreError, match=says):
            load_model(folder)


def test_nothing_that_a_model_names_is_run(folders: dict[str, Path], tmp_path: Path) -> None:
    """A stranger's model may be whole, and name a file beside it, or one that lies on this machine."""
    folder, ran = saved(tmp_path / "model", "onnx"), tmp_path / "ran"
    (folder / "mine.py").write_text(f"open({str(ran)!r}, 'w')\n")
    recipe = json.loads((folder / RECIPE).read_text())
    for graphed in (True, False):
        for use in ("./mine.py", str(folder / "mine.py")):
            (folder / RECIPE).write_text(json.dumps(recipe | {"backbone": recipe["backbone"] | {"use": use}}))
            reseal(folder)
            with pytest.raises(StoreError, match="nothing that a model names is run"):
                load_model(folder)
            with pytest.raises(StoreError, match="nothing that a model names is run"):
                _of_folder(cast("Any", None), folder, "x", cast("Any", None), cast("Any", None), cast("Any", None))
        if graphed:
            (folder / NETWORK).unlink()
    assert not ran.exists()


@pytest.mark.parametrize("wrong", [{"shorter_side": "x"}, {"mean": None}, {"interpolation": "best"}, {"size": []}])
def test_a_recipe_by_which_nothing_can_be_judged_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    folder = saved(tmp_path / "model", "onnx")
    recipe = json.loads((folder / RECIPE).read_text())
    (folder / RECIPE).write_text(json.dumps(recipe | wrong))
    reseal(folder)
    with pytest.raises(StoreError, match=RECIPE):
        load_model(folder)


def test_model_json_that_is_deep_or_a_pipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("[" * 100_000)
    with pytest.raises(StoreError, match="RecursionError"):
        load_model(tmp_path)
    (tmp_path / "model.json").unlink()
    os.mkfifo(tmp_path / "model.json")
    with pytest.raises(StoreError, match="no plain file"):
        load_model(tmp_path)


def test_no_baseline_is_put_on_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"name its output by embedding, embedding_size"):
        make("labelers", Plugin("onnx", OWN | {"embedding": "", "embedding_size": 0}), "labeler").graph()
    wrong = make("labelers", Plugin("onnx", OWN | {"embedding": "nothing"}), "labeler")
    with pytest.raises(UsageError, match="no way in its graph from pixels to nothing"):
        wrong.graph()


def test_files_are_judged_in_workers_in_order_and_faults_cost_themselves(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    data = files(12)
    paths = []
    for n, one in enumerate(data):
        (tmp_path / f"{n:02d}").write_bytes(one)
        paths.append(str(tmp_path / f"{n:02d}"))
    (tmp_path / "junk").write_bytes(b"<html>no picture")
    (tmp_path / "cut").write_bytes(data[0][:900])
    odd = [str(tmp_path / "junk"), str(tmp_path / "gone"), str(tmp_path), str(tmp_path / "cut"), "nul\0"]
    asked = [*paths[:5], *odd, *paths[5:]]
    model = load_model(folders["onnx"])
    rows = list(predict(model, Pool(workers=2), asked))
    assert [one["path"] for one in rows] == asked
    assert [one["reason"] for one in rows[5:10]] == [
        "html_instead_of_media", "file_missing", "unsupported_mime", "truncated", "file_missing",
    ]  # fmt: skip
    good = [one for one in rows if "reason" not in one]
    found = np.array([list(one["probabilities"].values()) for one in good])
    assert np.abs(found - answers(model, data)).max() < 1e-5
    assert {one["decision"] for one in good} == {"review"}, "without thresholds nothing is called safe"
    with pytest.raises(ItemError, match="item 1"):
        model.predict([data[0], b"junk"])


def test_thresholds_decide(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "onnx")
    (tmp_path / "a.png").write_bytes(files(2)[1])
    risk = 1 - sum(answers(load_model(folder), files(2)[1:])[0][[0, 2]])
    for review, block, wanted in (
        (risk + 0.01, None, "safe"), (risk - 0.01, None, "review"), (risk - 0.02, risk - 0.01, "block"),
        (None, risk + 0.01, "review"), (None, None, "review"), (None, risk - 0.01, "block"),
    ):  # fmt: skip
        (folder / "thresholds.json").write_text(json.dumps({"review": review, "block": block}))
        reseal(folder)
        (row,) = predict(load_model(folder), Pool(workers=1), [str(tmp_path / "a.png")])
        assert row["decision"] == wanted
    for text in ("{}", "[]", '{"review": 2, "block": null}', '{"review": "0.5", "block": null}', "junk"):
        (folder / "thresholds.json").write_text(text)
        reseal(folder)
        with pytest.raises(StoreError, match=r"thresholds\.json: no thresholds"):
            list(predict(load_model(folder), Pool(workers=1), [str(tmp_path / "a.png")]))
