"""The example of docs/baseline.md: a network of torchvision as a backbone of one's own, with weights from the disk."""

import re
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from curate.errors import UsageError
from curate.media.pixels import pixels
from curate.options import Plugin
from curate.plugins import make
from tests.support.pictures import texture
from tests.support.timm_networks import operators

PAGE = Path(__file__).resolve().parents[2] / "docs" / "baseline.md"


@pytest.fixture
def backbone(tmp_path: Path) -> Any:
    """The example; `weights` is where they would lie."""
    found = re.search(r"<!-- example: backbone -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    (tmp_path / "shufflenet.py").write_text(found[1])
    options = {"weights": str(tmp_path / "weights.safetensors")}
    return make("labelers", Plugin(str(tmp_path / "shufflenet.py"), options, "train.backbone"), "labeler")


def test_without_weights_it_says_where_they_were_looked_for(backbone: Any) -> None:
    with pytest.raises(UsageError, match=re.escape(str(backbone.weights))):
        backbone.load()


def test_features_are_those_of_the_weights(backbone: Any) -> None:
    if find_spec("torchvision") is None:
        pytest.skip("no torchvision here: pip install 'curate-media[timm]'")
    operators()
    import torch
    from safetensors.torch import save_file
    from torchvision.models import shufflenet_v2_x1_0

    torch.manual_seed(0)
    network = shufflenet_v2_x1_0().eval()
    save_file(network.state_dict(), backbone.weights)
    backbone.load()
    picture = texture(1, (256, 256))
    said = backbone.label([SimpleNamespace(image=lambda side: picture)] * 2)["embedding"]
    assert said.shape == (2, 1024)
    assert (said[0] == said[1]).all()
    with torch.inference_mode():
        network.fc = torch.nn.Identity()
        wanted = network(torch.from_numpy(pixels(picture, backbone.preprocessing())[None])).numpy()
    assert np.abs(said[:1].astype(np.float32) - wanted).max() < 1e-3 * max(1, np.abs(wanted).max())
