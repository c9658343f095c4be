"""The part of a labeler's ONNX graph that makes its features, as a model of one file: what a baseline is put on."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from curate.errors import UsageError

EMBEDDING = "embedding"


def features_of(data: bytes, start: str | None, end: str, where: str, folder: Path | None = None) -> bytes:
    """The model from its tensor `start` (None: its one input) to its tensor `end`, which is called `embedding`.

    `folder`: where weights lie that are not in `data`; they are in what is returned. The first dimension of its input
    is `batch`. Raises UsageError, beginning with `where`, for a tensor that is not there.
    """
    import onnx
    from onnx import external_data_helper

    model = onnx.load_from_string(data)
    if folder is not None:
        external_data_helper.load_external_data_for_model(model, str(folder))
    for tensor in model.graph.initializer:
        if external_data_helper.uses_external_data(tensor):
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
    given = _inputs(model)
    begin = start or given[0].name
    nodes = _between(model.graph, begin, end)
    if not nodes:
        raise UsageError(f"{where}: no way in its graph from {begin} to {end}")
    _rename(nodes, end, EMBEDDING)
    used = {name for node in nodes for name in node.input}
    kept = [one for one in model.graph.initializer if one.name in used]
    strange = used - {one.name for one in kept} - {name for node in nodes for name in node.output} - {begin, ""}
    if strange:
        raise UsageError(f"{where}: its features need more than one picture: {', '.join(sorted(strange)[:3])}")
    del model.graph.node[:], model.graph.initializer[:], model.graph.input[:], model.graph.output[:]
    del model.graph.value_info[:], model.metadata_props[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(kept)
    model.graph.input.append(_picture(given, begin))
    model.graph.output.append(onnx.helper.make_tensor_value_info(EMBEDDING, onnx.TensorProto.FLOAT, None))
    return bytes(model.SerializeToString(deterministic=True))


def with_output(data: bytes, name: str) -> bytes:
    """The model with a tensor of its own as one more output."""
    import onnx

    model = onnx.load_from_string(data)
    model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return bytes(model.SerializeToString(deterministic=True))


def _inputs(model: Any) -> list[Any]:
    weights = {one.name for one in model.graph.initializer}
    return [one for one in model.graph.input if one.name not in weights]


def _between(graph: Any, start: str, end: str) -> list[Any]:
    """The nodes, in the graph's order, on which a tensor depends, up to another one."""
    makes = {name: node for node in graph.node for name in node.output if name}
    wanted, seen, found = [end], {start, ""}, set[int]()
    while wanted:
        name = wanted.pop()
        if name in seen or name not in makes:
            continue
        seen.add(name)
        found.add(id(makes[name]))
        wanted.extend(makes[name].input)
    order = {id(node): node for node in graph.node}
    reached = start in {name for one in found for name in order[one].input}
    return [node for node in graph.node if id(node) in found] if reached else []


def _rename(nodes: Collection[Any], old: str, new: str) -> None:
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [new if one == old else one for one in names]


def _picture(given: Collection[Any], name: str) -> Any:
    """What the graph takes: its own input, or the tensor of planes that stands for it; a batch of either."""
    import onnx

    own = next((one for one in given if one.name == name), None)
    if own is None:
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 3, 224, 224])
    own.type.tensor_type.shape.dim[0].dim_param = "batch"
    return own
