"""Makes `labelers/_weights/nsfwjs.onnx` of the npm package nsfwjs 4.4.0: its model "MobileNetV2Mid", as it is.

    pip install onnx && npm pack nsfwjs@4.4.0
    python -m benchmarks.make_nsfwjs nsfwjs-4.4.0.tgz

The weights stay what they are in the package: uint8, with a scale and a least value a tensor, and the graph makes
float32 of them (value = byte * scale + least) where a session is opened. No JavaScript is run: each file of the
package wraps one literal. In front of the package's graph stands what its own code does with a picture: resize the
whole of it to 224 x 224 px, bilinear with aligned corners, and divide by 255. Same tarball, same bytes (onnx 1.23.2).

Input `picture`: uint8[height, width, 3], RGB. Outputs: `probabilities` float32[1, 5] (drawings, hentai, neutral, porn,
sexy) and `embedding` float32[1, 1792].
"""

import base64
import hashlib
import json
import re
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from labelers.nsfwjs import FILE

SHA256 = "585cd178f3b994337c4d10a87b080d342fc52f8b9bf0085c4d1f345a3a1c5382"
FOLDER = "package/dist/models/mobilenet_v2_mid"
SIDE = 224
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|!0|!1|void 0|-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[A-Za-z_$][\w$]*|.', re.S)
_MENDED = {"!0": "true", "!1": "false", "void 0": "null"}


def main() -> None:
    """Write the model."""
    tarball = Path(sys.argv[1])
    if hashlib.sha256(tarball.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{tarball}: not nsfwjs 4.4.0 as npm has it (sha256 differs)")
    with tarfile.open(tarball) as archive:
        members = [one for one in archive.getmembers() if one.name.startswith(FOLDER)]
        texts = {Path(one.name).name: archive.extractfile(one).read().decode() for one in members}  # type: ignore[union-attr]
    described = literal(texts["model.min.js"])
    shards = [texts[f"group1-shard{n}of2.min.js"] for n in (1, 2)]
    data = b"".join(base64.b64decode(max(re.findall(r'"([A-Za-z0-9+/=]+)"', one), key=len)) for one in shards)
    FILE.write_bytes(model(described, data).SerializeToString(deterministic=True))
    print(FILE, FILE.stat().st_size, hashlib.sha256(FILE.read_bytes()).hexdigest())


def literal(text: str) -> Any:
    """The object that a minified file exports."""
    begin = text.index(".exports={") + len(".exports=")
    out: list[str] = []
    depth = 0
    for match in _WORD.finditer(text, begin):
        word = match[0]
        depth += (word in "{[") - (word in "}]")
        out.append(_json(word))
        if depth == 0:
            return json.loads("".join(out))
    raise ValueError("the literal has no end")


def _json(word: str) -> str:
    if word in _MENDED:
        return _MENDED[word]
    if word[0].isalpha() or word[0] in "_$":  # a key
        return word if word in ("true", "false", "null") else json.dumps(word)
    return re.sub(r"^(-?)\.", r"\g<1>0.", word) if word[0] in "-." else word


def model(described: Mapping[str, Any], data: bytes) -> ModelProto:
    """The whole graph."""
    made = _Graph(_tensors(described["weightsManifest"][0]["weights"], data))
    made.picture()
    for node in described["modelTopology"]["node"]:
        made.take(node)
    graph = helper.make_graph(
        made.nodes,
        "nsfwjs MobileNetV2Mid",
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, ["height", "width", 3])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 5]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 1792]),
        ],
        made.initializers,
    )
    found = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="curate")
    checker.check_model(found, full_check=True)
    return found


def _tensors(described: list[dict[str, Any]], data: bytes) -> dict[str, tuple["np.ndarray", float, float]]:
    """Of each tensor its bytes, the scale and the least value; the data is used up exactly."""
    found, at = {}, 0
    for one in described:
        size = int(np.prod(one["shape"], dtype=np.int64))
        values = np.frombuffer(data, np.uint8, size, at).reshape(one["shape"])
        found[one["name"]] = values, one["quantization"]["scale"], one["quantization"]["min"]
        at += size
    assert at == len(data), (at, len(data))
    return found


class _Graph:
    """Nodes as they are made of the package's, one by one."""

    def __init__(self, tensors: Mapping[str, tuple["np.ndarray", float, float]]) -> None:
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._tensors = tensors
        self._named: dict[str, str] = {"input": "x"}  # the package's long names -> those here

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def constant(self, values: "np.ndarray", name: str) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weight(self, name: str, how: tuple[int, ...] | None = None) -> str:
        """A tensor as float32, turned if asked."""
        values, scale, least = self._tensors[name]
        if (here := f"w{list(self._tensors).index(name)}") in self._named.values():
            return here
        self._named[name] = here
        turned = values.transpose(how) if how else values
        inputs = [self.constant(turned, f"{here}_bytes")]
        wide = self.node("Cast", inputs, f"{here}_wide", to=TensorProto.FLOAT)
        scaled = self.node("Mul", [wide, self.constant(np.array(scale, np.float32), f"{here}_scale")], f"{here}_far")
        return self.node("Add", [scaled, self.constant(np.array(least, np.float32), f"{here}_least")], here)

    def picture(self) -> None:
        """What the package's `classify` does first."""
        wide = self.node("Cast", ["picture"], "wide", to=TensorProto.FLOAT)
        planes = self.node("Transpose", [wide], "planes", perm=[2, 0, 1])
        one = self.node("Unsqueeze", [planes, self.constant(np.array([0]), "first")], "one")
        shares = self.node("Div", [one, self.constant(np.array(255, np.float32), "most")], "shares")
        sizes = self.constant(np.array([1, 3, SIDE, SIDE]), "sizes")
        how = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
        self.node("Resize", [shares, "", "", sizes], "x", **how)

    def take(self, node: Mapping[str, Any]) -> None:
        """One node of the package's."""
        kind, name = node["op"], node["name"]
        inputs = [one.partition(":")[0] for one in node.get("input", ())]
        out = f"n{len(self.nodes)}"
        if kind in ("Const", "Placeholder", "Identity"):
            return
        if kind in ("_FusedConv2D", "FusedDepthwiseConv2dNative"):
            self._convolution(node, inputs, out)
        elif kind in ("Mul", "Sub", "AddV2"):
            self.node({"AddV2": "Add"}.get(kind, kind), [self._here(one) for one in inputs], out)
        elif kind == "AvgPool":
            assert _ints(node, "ksize") == [1, 7, 7, 1]  # of what is 7 x 7: an average of all
            self.node("GlobalAveragePool", [self._here(inputs[0])], out)
        elif kind == "Squeeze":
            out = self.node("Flatten", [self._here(inputs[0])], "embedding")
        elif kind == "_FusedMatMul":
            weights = [self.weight(one) for one in inputs[1:]]
            self.node("Gemm", [self._here(inputs[0]), *weights], out)
        elif kind == "Softmax":
            out = self.node("Softmax", [self._here(inputs[0])], "probabilities", axis=-1)
        else:
            raise ValueError(f"{name}: {kind} is not known here")
        self._named[name] = out

    def _convolution(self, node: Mapping[str, Any], inputs: list[str], out: str) -> None:
        deep = node["op"] == "FusedDepthwiseConv2dNative"
        values = self._tensors[inputs[1]][0]
        assert base64.b64decode(node["attr"]["padding"]["s"]) == b"SAME"
        assert _ints(node, "dilations") == [1, 1, 1, 1]
        assert not deep or values.shape[3] == 1
        weights = self.weight(inputs[1], (2, 3, 0, 1) if deep else (3, 2, 0, 1))
        fused = [base64.b64decode(one).decode() for one in node["attr"]["fused_ops"]["list"]["s"]]
        assert fused in (["BiasAdd"], ["BiasAdd", "Relu6"]), fused
        bounded = len(fused) == 2
        self.node(
            "Conv", [self._here(inputs[0]), weights, self.weight(inputs[2])], f"{out}c" if bounded else out,
            auto_pad="SAME_UPPER", group=values.shape[2] if deep else 1, kernel_shape=list(values.shape[:2]),
            strides=_ints(node, "strides")[1:3],
        )  # fmt: skip
        if bounded:
            ends = [self._end(0), self._end(6)]
            self.node("Clip", [f"{out}c", *ends], out)

    def _end(self, value: int) -> str:
        name = f"end{value}"
        known = any(one.name == name for one in self.initializers)
        return name if known else self.constant(np.array(value, np.float32), name)

    def _here(self, name: str) -> str:
        return self._named[name] if name in self._named else self.weight(name)


def _ints(node: Mapping[str, Any], name: str) -> list[int]:
    return [int(one) for one in node["attr"][name]["list"]["i"]]


if __name__ == "__main__":
    main()
