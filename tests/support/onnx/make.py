"""Makes the small models beside this file, on which the labeler `onnx` is tried.

pip install onnx
python tests/support/onnx/make.py
"""

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
PER_CHANNEL = np.array([[4, 0, 0], [0, 4, 0], [0, 0, 4]], np.float32)  # output n is 4 times the mean of channel n


def main() -> None:
    """One file a fault, and two without."""
    write("channels", model())
    write("channels_last", model(last=True))
    write("two_inputs", model(beside=True))
    write("named", model(names="{0: 'red', 1: 'green', 2: 'blue'}"))
    write("no_numbers", model(weights=PER_CHANNEL * np.float32("nan")))
    write("no_outputs", odd())
    for name, kind in (("ints", TensorProto.INT64), ("bools", TensorProto.BOOL), ("strings", TensorProto.STRING)):
        write(name, odd(helper.make_node("Cast", ["logits"], ["said"], to=kind), kind=kind))
    sequence = helper.make_tensor_sequence_value_info("said", TensorProto.FLOAT, None)
    write("sequence", odd(helper.make_node("SequenceConstruct", ["logits"], ["said"]), value=sequence))
    write("exbibytes", odd(*exbibytes(), kind=TensorProto.FLOAT))
    for name, place in (("beside", "weights.bin"), ("above", "../weights.bin"), ("absolute", "/etc/hostname")):
        write(f"weights_{name}", model(place=place))


def write(name: str, made: Any) -> None:
    """One model as a file."""
    (HERE / f"{name}.onnx").write_bytes(made.SerializeToString(deterministic=True))


def model(
    weights: "np.ndarray" = PER_CHANNEL, last: bool = False, beside: bool = False, names: str = "", place: str = ""
) -> Any:
    """The mean of each channel, of a picture of 8 x 8 px, times the weights."""
    shape: list[str | int | None] = ["n", 8, 8, 3] if last else ["n", 3, 8, 8]
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)]
    inputs += [helper.make_tensor_value_info("mask", TensorProto.FLOAT, shape)] * beside
    tensor = numpy_helper.from_array(weights, "weights")
    if place:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", place), ("offset", "0"), ("length", "36")):
            tensor.external_data.add(key=key, value=value)
    nodes = [helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2])] if last else []
    source = "planes" if last else "pixels"
    if beside:
        nodes.append(helper.make_node("Mul", [source, "mask"], ["masked"]))
        source = "masked"
    nodes += [
        helper.make_node("GlobalAveragePool", [source], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("MatMul", ["means", "weights"], ["logits"]),
    ]
    outputs = [helper.make_tensor_value_info(one, TensorProto.FLOAT, ["n", 3]) for one in ("logits", "means")]
    graph = helper.make_graph(nodes, "channels", inputs, outputs, [tensor])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if names:
        helper.set_model_props(made, {"names": names})
    return made


def odd(*more: Any, kind: int | None = None, value: Any = None) -> Any:
    """The model with nodes behind its end, and what they give (`said`, of a kind) as its one output, or none."""
    made = model()
    made.graph.node.extend(more)
    del made.graph.output[:]
    if value is not None:
        made.graph.output.append(value)
    elif kind is not None:
        made.graph.output.append(helper.make_tensor_value_info("said", kind, ["n", 3]))
    return made


def exbibytes() -> list[Any]:
    """The same numbers, with the sum of 2^60 zeros added: more memory than there is."""
    shape = numpy_helper.from_array(np.array([2**30, 2**30], np.int64), "")
    return [
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Add", ["logits", "sum"], ["said"]),
    ]


if __name__ == "__main__":
    main()
