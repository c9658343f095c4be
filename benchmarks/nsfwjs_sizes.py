"""The two other models of npm's nsfwjs 4.4.0, of which curate ships the middle one: MobileNetV2 1.0 and InceptionV3.

They are asked where the package's tarball lies in the benchmarks' cache (`npm pack nsfwjs@4.4.0` there), and in
benchmarks alone. Both are Keras models: each layer becomes a node or two, no JavaScript is run.
"""

import base64
import hashlib
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, checker, helper, numpy_helper

from benchmarks.corpus import cache
from benchmarks.make_nsfwjs import SHA256, literal
from curate.contracts import Decoded
from curate.media.pixels import pixels
from labelers.nsfwjs import CLASSES, RECIPE

TARBALL = "nsfwjs-4.4.0.tgz"
SIZES = {"nsfwjs MobileNetV2 1.0": ("mobilenet_v2", 224), "nsfwjs InceptionV3": ("inception_v3", 299)}
_POOLS = {"AveragePooling2D": "AveragePool", "MaxPooling2D": "MaxPool"}


@dataclass
class Size:
    """One of SIZES, asked as the package asks it: the whole picture, bilinear, corners aligned."""

    name: str
    network: Any = field(default=None, repr=False)

    def load(self) -> None:
        """Read the tarball and open the model."""
        import onnxruntime

        folder, side = SIZES[self.name]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        model = _model(*_read(folder), side)
        self.network = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, npt.NDArray[np.float32]]:
        """The five classes of each picture."""
        side = SIZES[self.name][1]
        recipe: dict[str, Any] = {**RECIPE, "size": [side, side], "shorter_side": 512 if side > 256 else 256}
        views = [pixels(one.image(recipe["shorter_side"]), recipe)[None] for one in batch]
        rows = [self.network.run(None, {"x": view})[0][0] for view in views]
        return dict(zip(CLASSES, np.array(rows, np.float32).T, strict=True))


def there() -> Path | None:
    """The tarball, where it is the pinned one."""
    path = cache() / TARBALL
    return path if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == SHA256 else None


def _read(folder: str) -> tuple[Mapping[str, Any], bytes]:
    path = there()
    assert path is not None
    with tarfile.open(path) as archive:
        names = [one for one in archive.getnames() if one.startswith(f"package/dist/models/{folder}/")]
        texts = {Path(one).name: archive.extractfile(one).read().decode() for one in names}  # type: ignore[union-attr]
    shards = sorted(name for name in texts if name.startswith("group1"))
    data = b"".join(base64.b64decode(max(re.findall(r'"([A-Za-z0-9+/=]+)"', texts[one]), key=len)) for one in shards)
    return literal(texts["model.min.js"]), data


def _model(described: Mapping[str, Any], data: bytes, side: int) -> bytes:
    """float32[1, 3, side, side], 0 to 1 -> float32[1, 5]."""
    made = _Layers(_weights(described["weightsManifest"][0]["weights"], data))
    for layer in described["modelTopology"]["model_config"]["config"]["layers"]:
        made.take(layer)
    shapes = {"x": [1, 3, side, side], made.last: [1, 5]}
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(made.nodes, "nsfwjs", ends[:1], ends[1:], made.initializers)
    found = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(found, full_check=True)
    return bytes(found.SerializeToString())


def _weights(described: Sequence[Mapping[str, Any]], data: bytes) -> dict[str, npt.NDArray[np.float32]]:
    found, at = {}, 0
    for one in described:
        size, how = int(np.prod(one["shape"], dtype=np.int64)), one["quantization"]
        values = np.frombuffer(data, np.uint8, size, at).reshape(one["shape"]).astype(np.float32)
        found[one["name"]] = values * np.float32(how["scale"]) + np.float32(how["min"])
        at += size
    assert at == len(data), (at, len(data))
    return found


class _Layers:
    """Nodes as they are made of Keras's layers, one by one; `last` is the newest."""

    def __init__(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        self.nodes, self.initializers, self.last = list[Any](), list[Any](), "x"
        self._weights, self._made = weights, dict[str, str]()

    def take(self, layer: Mapping[str, Any]) -> None:
        name, kind, config = layer["name"], layer["class_name"], layer["config"]
        given = [self._made[one[0]] for one in (layer["inbound_nodes"] or [[]])[0]]
        if kind == "InputLayer":
            self._made[name] = "x"
        elif kind == "Dropout":
            self._made[name] = given[0]
        else:
            self.last = self._made[name] = self._taken(name, kind, config, given)

    def _taken(self, name: str, kind: str, config: Mapping[str, Any], given: list[str]) -> str:
        if kind in ("Conv2D", "DepthwiseConv2D"):
            return self._convolution(name, kind, config, given[0])
        if kind == "BatchNormalization":
            return self._normal(name, config, given[0])
        if kind in _POOLS:
            shape = {"kernel_shape": config["pool_size"], "strides": config["strides"], "auto_pad": _pad(config)}
            return self._node(_POOLS[kind], given, name, **shape)
        if kind == "ZeroPadding2D":
            (top, bottom), (left, right) = config["padding"]
            pads = self._constant(np.array([0, 0, top, left, 0, 0, bottom, right]), f"{name}/pads")
            return self._node("Pad", [*given, pads], name)
        if kind == "Dense":
            parts = [self._constant(self._weights[f"{name}/{one}"], f"{name}/{one}") for one in ("kernel", "bias")]
            return self._active(self._node("Gemm", [*given, *parts], f"{name}_sum"), config["activation"], name)
        if kind == "ReLU":
            bounds = (0, config["max_value"])
            ends = [self._constant(np.array(value, np.float32), f"{name}/{value}") for value in bounds]
            return self._node("Clip", [*given, *ends], name)
        if kind == "Activation":
            return self._active(given[0], config["activation"], name)
        if kind == "Concatenate":
            return self._node("Concat", given, name, axis=1)
        return self._node({"Add": "Add", "Flatten": "Flatten"}[kind], given, name)

    def _convolution(self, name: str, kind: str, config: Mapping[str, Any], given: str) -> str:
        deep = kind == "DepthwiseConv2D"
        values = self._weights[f"{name}/{'depthwise_kernel' if deep else 'kernel'}"]
        assert (config["activation"], config["use_bias"], config["dilation_rate"]) == ("linear", False, [1, 1])
        turned = self._constant(values.transpose((2, 3, 0, 1) if deep else (3, 2, 0, 1)), f"{name}/kernel")
        group = values.shape[2] if deep else 1
        return self._node("Conv", [given, turned], name, strides=config["strides"], auto_pad=_pad(config), group=group)

    def _normal(self, name: str, config: Mapping[str, Any], given: str) -> str:
        ones = np.ones_like(self._weights[f"{name}/beta"])
        values = [self._weights.get(f"{name}/gamma", ones)]
        values += [self._weights[f"{name}/{one}"] for one in ("beta", "moving_mean", "moving_variance")]
        parts = [self._constant(one, f"{name}/{number}") for number, one in enumerate(values)]
        return self._node("BatchNormalization", [given, *parts], name, epsilon=config["epsilon"])

    def _active(self, given: str, how: str, name: str) -> str:
        return self._node({"relu": "Relu", "softmax": "Softmax"}[how], [given], name)

    def _constant(self, values: npt.NDArray[Any], name: str) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _node(self, kind: str, given: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, given, [name], name, **attributes))
        return name


def _pad(config: Mapping[str, Any]) -> str:
    return {"same": "SAME_UPPER", "valid": "VALID"}[config["padding"]]
