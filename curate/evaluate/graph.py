"""A baseline as one ONNX graph: its backbone, the head, the temperature and the softmax; a batch of any size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import StoreError, UsageError
from curate.linear import Head
from curate.media.networks import opened
from curate.media.pixels import shape

if TYPE_CHECKING:
    import numpy as np

OUTPUT = "probabilities"
_ALIKE = 1e-4  # how far apart a picture's probabilities may be alone and in a batch


def assemble(backbone: bytes, head: Head, classes: Sequence[str]) -> bytes:
    """The graph of a backbone (its one output are features) with a head on it; its one output, `probabilities`, is
    float32[batch, k], a row a picture, each summing to 1.

    Its metadata `names` lists the classes, as exporters of other tools write them. Raises UsageError for a graph that
    the head does not fit, or that is no ONNX graph.
    """
    import numpy as np
    from onnx import TensorProto, checker, helper, load_from_string, numpy_helper

    model = load_from_string(backbone)
    features = model.graph.output[0].name
    nodes = [
        helper.make_node("Flatten", [features], ["head.flat"], axis=1),
        helper.make_node("Cast", ["head.flat"], ["head.features"], to=TensorProto.FLOAT),
        helper.make_node("Gemm", ["head.features", "head.weight", "head.bias"], ["head.logits"], transB=1),
        helper.make_node("Div", ["head.logits", "head.temperature"], ["head.scaled"]),
        helper.make_node("Softmax", ["head.scaled"], [OUTPUT], axis=1),
    ]
    weights = {"weight": head.weight, "bias": head.bias, "temperature": np.array(head.temperature, np.float32)}
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(one, f"head.{name}") for name, one in weights.items())
    del model.graph.output[:], model.metadata_props[:]
    model.graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", len(classes)]))
    helper.set_model_props(model, {"names": repr(list(classes))})
    model.producer_name, model.doc_string = "curate", ""
    try:
        checker.check_model(model)
    except checker.ValidationError as error:
        raise UsageError(
            f"backbone: no baseline can be put on its graph ({' '.join(str(error).split())[:200]})"
        ) from error
    return bytes(model.SerializeToString(deterministic=True))


def tensors(data: bytes) -> dict[str, "np.ndarray"]:
    """The weights in a graph, by name."""
    from onnx import load_from_string, numpy_helper

    return {one.name: numpy_helper.to_array(one) for one in load_from_string(data).graph.initializer}


def takes_batches(data: bytes, recipe: Mapping[str, Any]) -> bool:
    """Whether pictures in a batch get what they get alone: graphs with a batch of one written into them do not."""
    import numpy as np
    import onnxruntime as ort

    said = ort.SessionOptions()
    said.intra_op_num_threads, said.log_severity_level = 1, 4
    session = ort.InferenceSession(data, said, providers=["CPUExecutionProvider"])
    some = np.random.default_rng(0).uniform(0, 1, (3, *shape(recipe))).astype(np.float32)
    name = session.get_inputs()[0].name
    alone = np.concatenate([session.run(None, {name: one[None]})[0] for one in some])
    try:
        together = session.run(None, {name: some})[0]
    except Exception:  # noqa: BLE001 (onnxruntime's errors have no common class of their own)
        return False
    return together.shape == alone.shape and bool(np.abs(together - alone).max() < _ALIKE)


class Network:
    """A baseline's graph, opened: pixels in, probabilities out."""

    def __init__(self, path: Path, sha256: str, recipe: Mapping[str, Any], classes: Sequence[str]) -> None:
        """Raises StoreError for a graph with other inputs or classes than the model's other files say."""
        try:
            self._session = opened(path, sha256, "model", "train again")
        except UsageError as error:
            raise StoreError(str(error).removeprefix("model: ")) from error
        if (problem := self._wrong(recipe, list(classes))) is not None:
            raise StoreError(f"{path}: {problem}; train again")
        self._input = self._session.get_inputs()[0].name

    def __call__(self, pixels: "np.ndarray") -> "np.ndarray":
        """float32[height, width, 3] or as the recipe's layout has it -> float32[k]."""
        found: np.ndarray = self._session.run([OUTPUT], {self._input: pixels[None]})[0][0]
        return found

    def _wrong(self, recipe: Mapping[str, Any], classes: list[str]) -> str | None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        wanted = [None, *shape(recipe)]
        takes, gives = (", ".join(f"{one.name} {one.shape}" for one in some) for some in (inputs, outputs))
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != len(wanted):
            return f"its inputs are {takes}; one picture is what it is given"
        if any(isinstance(a, int) and a != b for a, b in zip(inputs[0].shape[1:], wanted[1:], strict=True)):
            return f"its input is {inputs[0].shape}; preprocessing.json makes {wanted[1:]}"
        if [one.name for one in outputs] != [OUTPUT] or outputs[0].shape[1:] != [len(classes)]:
            return f"its outputs are {gives}; {OUTPUT} of {len(classes)} classes is asked"
        names = self._session.get_modelmeta().custom_metadata_map.get("names")
        return None if names == repr(classes) else f"its classes are {names}; the model's are {classes}"
