"""The labeler `nudenet` says what the package says of the same pictures; what its function votes, and does not."""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.errors import UsageError
from curate.label.functions import meanings
from curate.records import Axis
from curate.testing import check_labeler
from labelers import nudenet
from labelers.nudenet import BARE, PARTS, Nudenet, functions
from tests.support.pictures import photograph

COLUMNS = [f"nudenet_{part}" for part in PARTS]
FACES = ("astronaut.png", "camera.png")


@pytest.fixture(scope="module")
def labeler() -> Nudenet:
    made = Nudenet()
    made.load()
    return made


def shown(*images: Image.Image) -> list[Any]:
    return [SimpleNamespace(image=lambda side, one=one: one) for one in images]


@pytest.mark.parametrize("size", [(512, 512), (300, 512), (512, 200), (320, 320), (90, 120)])
def test_it_says_what_the_package_says(labeler: Nudenet, size: tuple[int, int]) -> None:
    from nudenet import NudeDetector

    images = [photograph(name).resize(size) for name in (*FACES, "chelsea.png", "coins.png")]
    theirs = [NudeDetector().detect(np.asarray(one)[..., ::-1].copy()) for one in images]
    found = labeler.label(shown(*images))
    for ours, said in zip(found["boxes"], theirs, strict=True):
        boxes = json.loads(ours)
        assert [one[0] for one in boxes] == [one["class"].lower() for one in said]
        assert [one[1] for one in boxes] == pytest.approx([one["score"] for one in said], abs=1e-3)
        for box, one in zip(boxes, said, strict=True):
            assert np.array(box[2:]) * [*size, *size] == pytest.approx(np.array(one["box"]) + 0.5, abs=0.6)


def test_faces_are_found_and_nothing_bare(labeler: Nudenet) -> None:
    found = labeler.label(shown(*(photograph(name) for name in FACES), Image.new("RGB", (50, 50))))
    assert found["face_female"][0] > 0.5
    assert found["face_male"][1] > 0.5
    assert not any(found[part].any() for part in BARE)
    assert found["boxes"][2] == "[]"
    assert {name: len(values) for name, values in labeler.label([]).items()} == dict.fromkeys(Nudenet.columns, 0)


def test_a_score_is_that_of_its_surest_box(labeler: Nudenet, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = [["face_male", 0.9, 0, 0, 1, 1], ["feet_exposed", 0.5, 0, 0, 1, 1], ["face_male", 0.3, 0, 0, 1, 1]]
    monkeypatch.setattr(labeler, "_boxes", lambda pixels: boxes)
    found = labeler.label(shown(photograph()))
    assert {part: found[part][0] for part in PARTS if found[part][0]} == pytest.approx(
        {"face_male": 0.9, "feet_exposed": 0.5}
    )


def test_it_keeps_the_promises_of_every_labeler() -> None:
    check_labeler(Nudenet())


def test_without_its_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nudenet, "weights", lambda: tmp_path / "320n.onnx")
    (tmp_path / "320n.onnx").write_bytes(b"other")
    with pytest.raises(UsageError, match=r"not the bytes that are expected .* pip install 'curate-media\[nudenet\]'"):
        Nudenet().load()
    monkeypatch.undo()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"not installed; pip install 'curate-media\[nudenet\]' .*AGPL"):
        nudenet.weights()


@pytest.mark.parametrize(
    ("part", "score", "drawn", "vote"),
    [
        ("female_breast_exposed", 0.6, 0.1, {"porn", "sexy"}),
        ("male_genitalia_exposed", 0.9, None, {"porn", "sexy"}),
        ("female_breast_exposed", 0.59, 0.1, -1),
        ("female_breast_exposed", 0.9, 0.5, -1),  # a drawing
        ("female_breast_exposed", 0.9, float("nan"), -1),
        ("female_breast_covered", 0.9, 0.1, -1),
        ("feet_exposed", 0.9, 0.1, -1),
        ("anus_exposed", float("nan"), 0.1, -1),
    ],
)
def test_it_votes_for_bare_parts_on_photographs(part: str, score: float, drawn: float | None, vote: Any) -> None:
    row = dict.fromkeys(COLUMNS, 0.0) | {f"nudenet_{part}": score}
    row |= {} if drawn is None else {"drawing_drawing": drawn}
    (function,) = functions(Axis(), list(row))
    answer = function(SimpleNamespace(**row))
    assert (answer if answer == -1 else meanings(function, Axis())[answer]) == vote


def test_no_votes_without_its_classes_or_its_columns() -> None:
    assert functions(Axis("any", ("photograph", "drawing"), (), ()), COLUMNS) == []
    assert functions(Axis("any", ("nsfw", "explicit"), (), ()), COLUMNS) == []
    assert functions(Axis(), ["id"]) == []
