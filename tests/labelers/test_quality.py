"""The labelers `quality` and `skin` measure what they say, on pictures of which it is known."""

from collections.abc import Mapping

import numpy as np
import pytest
from PIL import Image, ImageFilter

from curate.contracts import Labeler
from curate.media.decode import Bounds
from curate.media.decoded import StoredImage
from curate.records import Sample
from curate.testing import check_labeler
from labelers import quality as quality_module
from labelers import skin as skin_module
from labelers.quality import Quality
from labelers.skin import Skin
from tests.support.pictures import encode, photograph

COFFEE = photograph("coffee.png")


def measured(labeler: Labeler, *images: Image.Image) -> Mapping[str, list[float]]:
    labeler.load()
    views = []
    for image in images:
        data, sample = encode(image, "PNG"), Sample("0" * 64, "", "", 0, "image/png", *image.size)
        views.append(StoredImage(sample, {}, lambda data=data: data, Bounds(min_side=1)))  # type: ignore[misc]
    return {name: values.tolist() for name, values in labeler.label(views).items()}


@pytest.mark.parametrize("labeler", [Quality(), Skin()])
def test_they_keep_the_promises_of_every_labeler(labeler: Labeler) -> None:
    check_labeler(labeler)
    assert {name: len(values) for name, values in measured(labeler).items()} == dict.fromkeys(labeler.columns, 0)


def test_blur_takes_sharpness_away() -> None:
    found = measured(Quality(), *(COFFEE.filter(ImageFilter.GaussianBlur(radius)) for radius in (0, 2, 6)))
    assert found["sharpness"] == sorted(found["sharpness"], reverse=True)
    assert found["sharpness"][0] > 100 > 20 > found["sharpness"][2]
    assert found["brightness"] == pytest.approx([found["brightness"][0]] * 3, abs=0.01)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    import cv2

    small = COFFEE.resize((200, 150))
    grey = np.asarray(small, np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    theirs = cv2.Laplacian(grey, cv2.CV_32F)[1:-1, 1:-1].var()
    assert measured(Quality(), small)["sharpness"] == pytest.approx([theirs], rel=1e-4)


@pytest.mark.parametrize(
    ("colour", "wanted"),
    [
        ("black", {"brightness": 0, "dark": 1, "bright": 0}),
        ("white", {"brightness": 1, "dark": 0, "bright": 1}),
        ("#808080", {"brightness": 128 / 255, "dark": 0, "bright": 0}),
    ],
)
def test_light(colour: str, wanted: dict[str, float]) -> None:
    found = measured(Quality(), Image.new("RGB", (60, 40), colour))
    wanted |= {"contrast": 0, "sharpness": 0, "plain": 1, "side": 40, "aspect": 1.5}
    assert {name: values[0] for name, values in found.items()} == pytest.approx(wanted, abs=1e-4)


def test_next_to_nothing_on_it() -> None:
    sheet = Image.new("RGB", (300, 300), "#fefefe")
    sheet.paste(COFFEE.resize((30, 30)), (10, 10))
    plain = measured(Quality(), sheet, COFFEE)["plain"]
    assert plain[0] > 0.95
    assert plain[1] < 0.5


def test_too_small_a_picture_is_abstained_on() -> None:
    assert np.isnan([values[0] for values in measured(Quality(), Image.new("RGB", (2, 9))).values()]).all()


def test_size_is_that_of_the_file() -> None:
    found = measured(Quality(), COFFEE.resize((1200, 600)), COFFEE.resize((600, 1200)))
    assert (found["side"], found["aspect"]) == ([600, 600], [2, 2])


# -- skin ------------------------------------------------------------------------------------------------------------


def test_regions_of_the_colour_are_found() -> None:
    image = Image.new("RGB", (100, 100), "#204080")
    image.paste((224, 172, 140), (0, 0, 50, 40))
    image.paste((224, 172, 140), (60, 60, 80, 80))
    found = measured(Skin(), image, Image.new("RGB", (9, 9), "white"), Image.new("RGB", (9, 9), (224, 172, 140)))
    assert found["share"] == pytest.approx([0.24, 0, 1], abs=0.01)
    assert found["largest"] == pytest.approx([0.20, 0, 1], abs=0.01)


def test_it_sees_light_skin_only_and_so_votes_on_nothing() -> None:
    """Colours of a palette of skin tones: the light ones are found, the darkest is not."""
    tones = [(240, 205, 180), (224, 172, 140), (141, 85, 55), (60, 42, 34)]
    assert measured(Skin(), *(Image.new("RGB", (9, 9), tone) for tone in tones))["share"] == [1, 1, 1, 0]
    assert not hasattr(skin_module, "functions")
    assert not hasattr(quality_module, "functions")
