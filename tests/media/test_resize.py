"""The loops that make pictures small: Pillow's bytes, whatever the picture, or Pillow itself."""

import logging

import numpy as np
import pytest
from PIL import Image

from curate.media import resize
from curate.media.decode import shrink
from tests.support.pictures import photograph


@pytest.fixture(autouse=True)
def loops(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Loaded for one test; the sizes that the loops were asked for since."""
    monkeypatch.setattr(resize, "_loops", False)
    resize.load()
    assert resize._loops
    asked, found = list[tuple[int, int]](), resize._bicubic

    def counted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
        asked.append(size)
        return found(image, size)

    monkeypatch.setattr(resize, "_bicubic", counted)
    return asked


def noise(width: int, height: int, levels: int = 256) -> Image.Image:
    """Each byte one of so many levels, of which the first is 0 and the last 255."""
    drawn = np.random.default_rng(width * height).integers(0, levels, (height, width, 3))
    return Image.fromarray((drawn * 255 // (levels - 1)).astype(np.uint8))


def same(image: Image.Image, size: tuple[int, int]) -> bool:
    """Whether a picture becomes what Pillow makes of it."""
    found, meant = resize.bicubic(image, size), image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    return (found.mode, found.size, found.tobytes()) == (meant.mode, meant.size, meant.tobytes())


def test_every_size_has_pillows_bytes(loops: list[tuple[int, int]]) -> None:
    """Also where the levels over- and undershoot, and by whichever way Pillow takes."""
    rng = np.random.default_rng(0)
    for number in range(400):
        width, height = (int(side) for side in rng.integers(10, 400, 2))
        across, down = rng.uniform(0.9, 7, 2)
        size = max(1, int(width / across)), max(1, int(height / down))
        assert same(noise(width, height, 2 if number % 2 else 256), size), (width, height, size)
    assert 100 < len(loops) < 300  # else one of the ways was not tried


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1280, 960), (2100, 2100), (341, 1400), (33, 900)])
@pytest.mark.parametrize("side", [256, 512, 32])
def test_a_photograph_shrinks_to_pillows_bytes(size: tuple[int, int], side: int) -> None:
    """Sides as labelers have them; one picture is so large that Pillow has it in several pieces."""
    whole = photograph("chelsea.png").convert("RGB").resize(size)
    assert same(whole, shrink(whole, side).size)


def test_what_was_decoded_at_scale_is_made_by_the_loops(loops: list[tuple[int, int]]) -> None:
    """A JPEG of a camera, upright or not, at the sides of the labelers."""
    for size in ((640, 480), (480, 640), (1280, 960)):
        shrink(noise(*size), 256)
    assert len(loops) == 3


def test_grey_and_transparent_pictures_are_pillows(loops: list[tuple[int, int]]) -> None:
    for mode in ("L", "RGBA", "I;16"):
        image = noise(200, 100).convert(mode)
        assert same(image, (90, 45)), mode
    assert not loops


def test_no_copy_is_made_of_a_large_picture(loops: list[tuple[int, int]]) -> None:
    """It may be nearly all that a worker has memory for."""
    shrink(Image.new("RGB", (4100, 2100)), 1024)
    assert not loops
    shrink(Image.new("RGB", (4000, 2000)), 1024)
    assert loops


def test_other_bytes_are_found_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where the loops do not find what Pillow finds, Pillow resizes, and it is said."""
    monkeypatch.setattr(resize, "_bicubic", lambda image, size: Image.new("RGB", size))
    with caplog.at_level(logging.INFO):
        resize.load()
    assert "by Pillow" in caplog.text
    assert resize.bicubic(noise(100, 100), (50, 50)).getextrema() != ((0, 0),) * 3
