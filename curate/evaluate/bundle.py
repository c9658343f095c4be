"""A trained baseline as files: weights without code, and all that turns a picture's bytes into the network's input."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from curate.config import EngineConfig
from curate.contracts import Labeler
from curate.engine import Aside
from curate.errors import ItemError, StoreError, UsageError
from curate.features.inspect import FetchedBytes
from curate.linear import Floats, Head, Probabilities
from curate.media.decode import Bounds, open_image, scaled
from curate.options import Plugin
from curate.plugins import kind_of, make, options_of, own_file_of
from curate.store.blobs import write

if TYPE_CHECKING:
    import torch
    from PIL import Image

WEIGHTS, RECIPE = "model.safetensors", "preprocessing.json"


_LIST = "give a list of the bytes of image files, [path.read_bytes(), ...]"


class Backbone(Labeler, Protocol):
    """A labeler whose column `embedding` a network computes, from pixels that are prepared as it says."""

    def module(self) -> "torch.nn.Module": ...
    def preprocessing(self) -> dict[str, object]: ...


def save(folder: Path, backbone: Backbone, head: Head, classes: Sequence[str]) -> None:
    """Write the network with its head, and the recipe; same head, same bytes."""
    from safetensors.numpy import save as packed

    tensors = {f"backbone.{name}": tensor.numpy() for name, tensor in backbone.module().state_dict().items()}
    write(folder / WEIGHTS, packed(tensors | {"head.weight": head.weight, "head.bias": head.bias}))
    own = {"sha256": digest} if (digest := own_file_of(backbone)) else {}
    recipe = {
        **backbone.preprocessing(),
        "features": backbone.columns["embedding"],
        "output": "softmax",
        "labels": list(classes),
        "backbone": {"use": kind_of(backbone), "version": backbone.version, "options": options_of(backbone), **own},
    }
    write(folder / RECIPE, (json.dumps(recipe, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


@dataclass(frozen=True)
class Preparing:
    """The work of making a network's input from a file's bytes."""

    recipe: Mapping[str, Any]

    def load(self) -> None:
        """Nothing to load."""

    @property
    def most(self) -> int:
        """Bytes of an answer."""
        height, width = self.recipe["size"]
        return int(4 * 3 * height * width) + 2**16

    def fits(self, given: FetchedBytes, answer: "np.ndarray") -> bool:
        """Whether it has the network's shape."""
        return answer.shape == (3, *self.recipe["size"]) and answer.dtype == np.float32

    def __call__(self, item: FetchedBytes) -> "np.ndarray":
        """float32[3, height, width]; raises ItemError."""
        return pixels(scaled(open_image(item.data, Bounds(min_side=1)), self.recipe["shorter_side"]), self.recipe)


@dataclass(frozen=True, repr=False)
class Baseline:
    """A network, its head, and the classes of its outputs, in order."""

    classes: tuple[str, ...]
    recipe: Mapping[str, Any]
    network: "torch.nn.Module"
    head: Head

    @cached_property
    def _prepared(self) -> "Aside[FetchedBytes, Floats]":
        return Aside(EngineConfig(), Preparing(self.recipe))

    def predict(self, files: Sequence[bytes]) -> Probabilities:
        """The bytes of image files as float64[n, k].

        Raises UsageError for what is no list of bytes, ItemError for one that cannot be decoded: it says which, from 0.
        """
        if isinstance(files, bytes | bytearray | memoryview | str | PathLike) or not hasattr(files, "__iter__"):
            raise UsageError(f"predict: {_LIST}; this is {type(files).__name__}")
        for place, data in enumerate(files := list(files)):
            if not isinstance(data, bytes):
                raise UsageError(f"predict: item {place} is {type(data).__name__}, not bytes; {_LIST}")
        if not files:
            return np.empty((0, len(self.classes)))
        found = [self._of(place, data) for place, data in enumerate(files)]
        return self.head.probabilities(np.array(found, dtype=np.float32))

    def __repr__(self) -> str:
        return f"model of {', '.join(self.classes)} on {self.recipe['backbone']['use']}"

    def _of(self, place: int, data: bytes) -> Floats:
        try:
            return self._features(data)
        except ItemError as error:
            raise ItemError(error.reason, f"item {place}: {error.detail}".removesuffix(": ")) from error

    def _features(self, data: bytes) -> Floats:
        import torch

        prepared = self._prepared(FetchedBytes(0, data))
        with torch.inference_mode():
            features = self.network(torch.from_numpy(prepared[None]))[0].numpy()
        kind = str(self.recipe["features"]).partition("[")[0]  # the head was fitted on features of this precision
        return np.asarray(features.astype(kind), dtype=np.float32)


def pixels(image: "Image.Image", recipe: Mapping[str, Any]) -> Floats:
    """The centre of an RGB picture as float32[3, height, width], prepared as the recipe says."""
    from PIL import Image

    height, width = recipe["size"]
    edge = min(image.size) * recipe["center_crop"]
    left, top = (image.width - edge) / 2, (image.height - edge) / 2
    method = Image.Resampling[recipe["interpolation"].upper()]
    middle = image.resize((width, height), method, box=(left, top, left + edge, top + edge))
    values = (np.asarray(middle, dtype=np.float32) - np.float32(recipe["mean"])) / np.float32(recipe["std"])
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def load_model(path: str | Path, backbone: str | Path | None = None) -> Baseline:
    """A baseline from its folder; raises StoreError where files are missing or do not fit, UsageError for another
    version's backbone. Nothing in the files is code.

    `backbone`: the file of a backbone of one's own (`use = "./mine.py"`), which is run; the model does not say where it
    lies, and is only read with the very file that it was made with.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.numpy import load as unpacked

    path = Path(path)
    try:
        recipe = json.loads((path / RECIPE).read_text(encoding="utf-8"))
        tensors = unpacked((path / WEIGHTS).read_bytes())
        network = _backbone(recipe["backbone"], backbone).module()
        prefix = "backbone."
        state = {k.removeprefix(prefix): torch.from_numpy(v.copy()) for k, v in tensors.items() if k.startswith(prefix)}
        network.load_state_dict(state)
        head = Head(tensors["head.weight"], tensors["head.bias"], 0, "")
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise StoreError(
            f"{path}: not a baseline that this curate can read ({type(error).__name__}: {error})"
        ) from error
    return Baseline(tuple(recipe["labels"]), recipe, network.eval(), head)


def _backbone(said: Mapping[str, Any], file: str | Path | None) -> Backbone:
    name, wanted = said["use"], said.get("sha256")
    if wanted is not None and file is None:
        raise UsageError(
            f"backbone {name}: a file of one's own, {name}.py (sha256 {wanted[:12]}...): say where it lies,"
            f' load_model(path, backbone="{name}.py")'
        )
    if wanted is None and file is not None:
        raise UsageError(f"backbone {name}: no file of one's own; leave `backbone` out")
    use = name if file is None else str(Path(file).absolute())
    backbone: Backbone = make("labelers", Plugin(use, said["options"], "backbone"), "labeler")
    if wanted is not None and wanted != own_file_of(backbone):
        raise UsageError(
            f"backbone {name}: {file} is not the file that the model was made with (sha256 {wanted[:12]}...)"
        )
    if backbone.version != said["version"]:
        raise UsageError(
            f"backbone {name}: the model was made with its version {said['version']}, this one is {backbone.version};"
            " train anew"
        )
    return backbone
