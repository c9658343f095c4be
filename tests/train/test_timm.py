"""The example of docs/baseline.md: a network of timm as a backbone of one's own, with weights from the disk alone."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.errors import UsageError
from curate.options import Plugin
from curate.plugins import make
from tests.support.pictures import texture

PAGE = Path(__file__).resolve().parents[2] / "docs" / "baseline.md"
SMALL = {'"resnet50", 2048': '"resnet10t", 512'}  # of the same family, in a fraction of a second


@pytest.fixture
def backbone(tmp_path: Path) -> Any:
    """The example, of a small network; `weights` is where they would lie."""
    found = re.search(r"<!-- example: timm -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    text = found[1]
    for old, new in SMALL.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "resnet50.py").write_text(text)
    options = {"weights": str(tmp_path / "weights.safetensors")}
    return make("labelers", Plugin(str(tmp_path / "resnet50.py"), options, "train.backbone"), "labeler")


def test_without_weights_it_says_where_they_were_looked_for(backbone: Any) -> None:
    with pytest.raises(UsageError, match=re.escape(str(backbone.weights))):
        backbone.load()


def test_features_are_those_of_the_weights(backbone: Any) -> None:
    timm = pytest.importorskip("timm", reason="pip install timm")
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("resnet10t").eval()
    save_file(network.state_dict(), backbone.weights)

    class View:
        def image(self, side: int) -> Image.Image:
            return texture(1, (side, side))

    backbone.load()
    said = backbone.label([View(), View()])["embedding"]
    assert said.shape == (2, 512)
    assert (said[0] == said[1]).all()
    with torch.inference_mode():
        wanted = network.forward_head(network.forward_features(_input(backbone)), pre_logits=True).numpy()
    assert np.abs(said[:1].astype(np.float32) - wanted).max() < 1e-2


def _input(backbone: Any) -> Any:
    import torch

    from curate.media.pixels import pixels

    return torch.from_numpy(pixels(texture(1, (256, 256)), backbone.preprocessing())[None])
