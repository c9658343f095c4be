"""From a picture to a network's numbers: what the recipe says, in its order."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from curate.media.pixels import CORNERS, pixels, shape
from tests.support.pictures import photograph

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize("interpolation", ["bicubic", CORNERS])
@pytest.mark.parametrize(("layout", "channels"), [*product(["NCHW", "NHWC"], ["RGB", "BGR"])])
def test_a_recipe_is_followed_in_its_order(layout: str, channels: str, interpolation: str) -> None:
    """Each step to single precision's last bit."""
    image = photograph("chelsea.png").convert("RGB").resize((120, 90))
    recipe: dict[str, Any] = {"size": [64, 80], "interpolation": interpolation}
    plain = pixels(image, recipe | {"layout": "NHWC"})
    full = recipe | {"crop": [50, 60], "layout": layout, "channels": channels}
    full |= {"range": [-1.0, 1.0], "mean": MEAN, "std": STD}
    found = pixels(image, full)
    cut = plain[7:57, 10:70, :: -1 if channels == "BGR" else 1] * np.float32(2 / 255) + np.float32(-1)
    meant = (cut - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    assert found.dtype == np.float32
    assert found.shape == shape(full)
    assert found.flags.c_contiguous
    assert np.array_equal(found, meant.transpose(2, 0, 1) if layout == "NCHW" else meant)
