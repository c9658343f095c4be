"""The labeler `nsfwjs` says what the npm package says of the same pictures; what its function votes, and does not."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.errors import UsageError
from curate.features.score_worker import fill
from curate.label import last
from curate.label.functions import meanings
from curate.policy.written import Written
from curate.records import Axis, Sample
from curate.testing import check_labeler
from labelers import nsfwjs
from labelers.nsfwjs import CLASSES, Nsfwjs, functions

STORED = Path(__file__).parents[1] / "support" / "nsfwjs"
ANSWERS: Mapping[str, Mapping[str, Any]] = json.loads((STORED / "answers.json").read_text(encoding="utf-8"))
COLUMNS = [f"nsfwjs_{name}" for name in (*CLASSES, "embedding")]
NOT_HARMLESS = {"hentai", "porn", "sexy"}


class Shown(Written):
    """A picture as it is."""

    sample = Sample("0" * 64, "", "", 0, "image/png", 0, 0)
    declared: Mapping[str, tuple[str, ...]] = {}

    def __init__(self, image: Image.Image) -> None:
        self._image = image

    def image(self, side: int | None) -> Image.Image:
        assert side is not None
        assert min(self._image.size) <= side, "it would come smaller"
        return self._image


@pytest.fixture(scope="module")
def labeler() -> Nsfwjs:
    made = Nsfwjs()
    made.load()
    return made


def shown() -> list[Shown]:
    return [Shown(Image.open(STORED / name).convert("RGB")) for name in ANSWERS]


def test_it_says_what_the_package_says(labeler: Nsfwjs) -> None:
    found = labeler.label(shown())
    assert len(ANSWERS) == 12
    for name in CLASSES:
        assert found[name] == pytest.approx([one[name] for one in ANSWERS.values()], abs=1e-4)
    assert sum(found[name] for name in CLASSES) == pytest.approx(np.ones(12), abs=1e-5)


def test_its_features_are_the_package_s(labeler: Nsfwjs) -> None:
    """Of each picture every 64th of the 1,792 is stored."""
    features = labeler.label(shown())["embedding"]
    assert features.dtype == np.float16
    assert features[:, ::64] == pytest.approx(np.array([one["features"] for one in ANSWERS.values()]), abs=2e-3)
    assert 0 <= features.min() <= features.max() <= 6


def test_it_keeps_the_promises_of_every_labeler() -> None:
    check_labeler(Nsfwjs())
    assert Nsfwjs().columns.keys() == {*CLASSES, "embedding"}


def test_without_its_features_it_says_the_same_and_makes_no_embedding(labeler: Nsfwjs) -> None:
    short = Nsfwjs(embedding=False)
    check_labeler(short)
    short.load()
    found, whole = short.label(shown()[:3]), labeler.label(shown()[:3])
    assert set(found) == set(short.columns) == set(CLASSES) < set(Nsfwjs.columns)
    assert all(found[name].tolist() == whole[name].tolist() for name in CLASSES)
    assert last.wanted(None, [short]) is None
    assert last.wanted(None, [labeler]) == "nsfwjs_embedding"


def test_no_picture_is_no_row(labeler: Nsfwjs) -> None:
    assert {name: values.shape for name, values in labeler.label([]).items()} == (
        dict.fromkeys(CLASSES, (0,)) | {"embedding": (0, 1792)}
    )


def test_of_an_animation_the_worst_frame_counts(labeler: Nsfwjs) -> None:
    from curate.features.score_worker import blank

    frames = shown()[:3]
    columns = blank(labeler, 1)
    fill(columns, labeler, {0: frames})
    each = labeler.label(frames)
    for name in CLASSES:
        best = max if name in NOT_HARMLESS else min
        assert columns[name][0] == best(each[name])
    assert columns["embedding"][0].tobytes() == each["embedding"][0].tobytes()


@pytest.mark.parametrize("change", ["cut", "other", "missing"])
def test_other_weights_are_refused(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "nsfwjs.onnx"
    data = nsfwjs.FILE.read_bytes()
    if change != "missing":
        path.write_bytes(data[:-1] if change == "cut" else data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])
    monkeypatch.setattr(nsfwjs, "FILE", path)
    with pytest.raises(UsageError, match=r"labelers\.nsfwjs: .*install curate-media anew"):
        Nsfwjs().load()


# -- what it votes ---------------------------------------------------------------------------------------------------


def said(axis: Axis, **probabilities: float) -> Any:
    """The classes that the function votes for, or -1."""
    (function,) = functions(axis, COLUMNS)
    row = SimpleNamespace(**{f"nsfwjs_{name}": probabilities.get(name, 0.0) for name in CLASSES})
    answer = function(row)
    return answer if answer == -1 else meanings(function, axis)[answer]


@pytest.mark.parametrize(
    ("probabilities", "vote"),
    [
        ({"porn": 0.8, "neutral": 0.2}, {"porn"}),
        ({"hentai": 0.81, "drawings": 0.19}, {"hentai"}),
        ({"sexy": 0.95, "porn": 0.05}, {"sexy"}),
        ({"porn": 0.45, "sexy": 0.45, "neutral": 0.1}, NOT_HARMLESS),
        ({"porn": 0.7, "neutral": 0.3}, -1),
        ({"neutral": 0.9, "porn": 0.1}, -1),
        ({"neutral": 0.5, "drawings": 0.46, "porn": 0.04}, {"drawings", "neutral"}),
        ({"drawings": 0.99}, {"drawings", "neutral"}),  # a drawing to it is anime; clip art is neutral
        ({"neutral": float("nan"), "drawings": float("nan"), "porn": float("nan")}, -1),
    ],
)
def test_it_votes_from_high_probabilities_on(probabilities: dict[str, float], vote: Any) -> None:
    assert said(Axis(), **probabilities) == vote


@pytest.mark.parametrize(
    ("classes", "porn", "both", "harmless"),
    [
        (("sfw", "nsfw"), {"nsfw"}, {"nsfw"}, {"sfw"}),
        (("gore", "porn", "safe"), {"porn"}, -1, {"gore", "safe"}),  # nothing said of blood
        (("porn", "neutral"), {"porn"}, -1, {"neutral"}),  # what is drawn has no class here
    ],
)
def test_it_speaks_of_the_classes_that_an_axis_has(
    classes: tuple[str, ...], porn: Any, both: Any, harmless: Any
) -> None:
    axis = Axis("any", classes, (), ())
    assert said(axis, porn=0.9) == porn
    assert said(axis, porn=0.79, hentai=0.21) == both
    assert said(axis, drawings=0.5, neutral=0.5) == harmless


def test_no_votes_without_its_classes_or_its_columns() -> None:
    for classes in (("photograph", "drawing"), ("nsfw", "other"), ("violent", "safe")):
        assert functions(Axis("any", classes, (), ()), COLUMNS) == []
    assert functions(Axis(), ["id", "open_nsfw_nsfw"]) == []
