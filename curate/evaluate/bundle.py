"""A trained baseline as files: weights without code, and all that turns a picture's bytes into the network's input."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image

from curate.config import EngineConfig
from curate.contracts import Labeler
from curate.engine import Aside
from curate.errors import CurateError, ItemError, StoreError, UsageError
from curate.evaluate import graph
from curate.features.inspect import FetchedBytes
from curate.linear import Head, Probabilities
from curate.media import keyframes
from curate.media.decode import Bounds, frames, load, open_image, scaled
from curate.media.pixels import pixels
from curate.options import Plugin, own_file
from curate.plugins import kind_of, make, options_of, own_file_of
from curate.store.blobs import write
from curate.store.model_files import checked, file

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

__all__ = ["Backbone", "Baseline", "Predicting", "load_model", "pixels", "save"]
WEIGHTS, RECIPE, NETWORK = "model.safetensors", "preprocessing.json", "model.onnx"
DECODING: Mapping[str, object] = {  # what is done before a backbone's own recipe begins, in the order of doing
    "frame": "the first; of an animation also the middle and the last distinct one, and the least safe of the answers",
    "scaled_decode": "JPEG: by the smallest of 1/1, 1/2, 1/4, 1/8 whose shorter side is not below shorter_side",
    "orientation": "exif",
    "deep": "16-bit grey: value * 255 / 65535, rounded down; 16-bit colour: the upper byte",
    "profile": "no colour profile is applied",
    "transparency": "on white",
    "color": "RGB",
    "shrink": "to shorter_side where it is larger, sides rounded: bicubic, Pillow's resize with reducing_gap=3",
}
_LIST = "give a list of the bytes of image files, [path.read_bytes(), ...]"


class Backbone(Labeler, Protocol):
    """A labeler whose column `embedding` a network computes, from pixels that are prepared as its recipe says.

    It has one of two, or both: `graph() -> bytes`, the network as an ONNX model; `module() -> torch.nn.Module`.
    """

    def preprocessing(self) -> Mapping[str, object]: ...  # `curate.media.pixels` has the keys


def save(folder: Path, backbone: Backbone, head: Head, classes: Sequence[str]) -> None:
    """Write the network with its head, and the recipe; same head, same bytes."""
    from safetensors.numpy import save as packed

    own = {"sha256": digest} if (digest := own_file_of(backbone)) else {}
    recipe: dict[str, Any] = {
        **DECODING,
        **backbone.preprocessing(),
        "features": backbone.columns["embedding"],
        "output": "softmax",
        "temperature": head.temperature,
        "labels": list(classes),
        "backbone": {"use": kind_of(backbone), "version": backbone.version, "options": options_of(backbone), **own},
    }
    network: bytes | None = None
    if (made := getattr(backbone, "graph", None)) is not None:
        backbone_graph: bytes = made()
        network = graph.assemble(backbone_graph, head, classes)
        recipe["batch"] = "any" if graph.takes_batches(network, recipe) else 1
    tensors = _state(backbone) if hasattr(backbone, "module") else graph.tensors(backbone_graph)
    named = {f"backbone.{name}": one for name, one in tensors.items()} | head.tensors()
    write(folder / WEIGHTS, packed(named))
    if network is not None:
        write(folder / NETWORK, network)
    write(folder / RECIPE, (json.dumps(recipe, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


def _state(backbone: Any) -> dict[str, "np.ndarray"]:
    return {name: tensor.numpy() for name, tensor in backbone.module().state_dict().items()}


@dataclass
class Predicting:
    """The work of a model: a file's bytes in, float64[k] out, of an animation the least safe of three frames'.

    `backbone` is a backbone of one's own that is no ONNX graph; None where the model's own graph is all it takes.
    """

    folder: Path
    files: Mapping[str, str]
    recipe: Mapping[str, Any]
    classes: Sequence[str]
    safe: Sequence[str]
    backbone: Any = None
    bounds: Bounds = field(default_factory=lambda: Bounds(min_side=1))

    @property
    def plugins(self) -> bool:
        """Whether code of a plug-in is run."""
        return self.backbone is not None

    def load(self) -> None:
        """Open the network; raises StoreError where it is not the one that the model's other files are of."""
        self._network: Callable[[np.ndarray], np.ndarray]
        if self.backbone is None:
            path = self.folder / NETWORK
            self._network = graph.Network(path, self.files[NETWORK], self.recipe, self.classes)
        else:
            self._network = in_torch(self.folder, self.files, self.backbone)

    def try_out(self) -> None:
        """Load, and judge a plain picture; raises StoreError where the recipe makes nothing of it to be judged."""
        plain = Image.new("RGB", (16, 16))
        try:
            self.load()
            answer = self._network(pixels(scaled(plain, self.recipe["shorter_side"]), self.recipe))
            if not np.isfinite(answer).all():
                raise ValueError("the network answers with what is no number")
        except CurateError:
            raise
        except Exception as error:  # whatever a recipe of strangers leads to
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise StoreError(f"{self.folder / RECIPE}: no picture can be judged by it ({why}); train again") from error

    def fits(self, given: FetchedBytes, answer: "np.ndarray") -> bool:
        """Whether these can be the probabilities of all classes."""
        whole = answer.shape == (len(self.classes),) and answer.dtype == np.float64
        return whole and bool((answer >= 0).all()) and abs(float(answer.sum()) - 1) < 1e-3

    def __call__(self, item: FetchedBytes) -> "np.ndarray":
        """Raises ItemError for what cannot be decoded."""
        image = open_image(item.data, self.bounds)
        if frames(image, self.bounds) == 1:
            shown = [image]
        else:
            shown = [self._frame(item.data, number) for number in keyframes.numbers(image)]
        found = np.array([self._said(one) for one in shown], dtype=np.float64)
        if not np.isfinite(found).all():
            raise ValueError("the network answers with what is no number")
        risk = found[:, [name not in self.safe for name in self.classes]].sum(axis=1)
        return np.asarray(found[risk.argmax()])

    def _frame(self, data: bytes, number: int) -> "Image.Image":
        opened = open_image(data, self.bounds)
        if number:
            load(opened, number)
        return opened

    def _said(self, opened: "Image.Image") -> "np.ndarray":
        return self._network(pixels(scaled(opened, self.recipe["shorter_side"]), self.recipe))


def in_torch(folder: Path, files: Mapping[str, str], backbone: Any) -> "Callable[[np.ndarray], np.ndarray]":
    """The network of a model from its safetensors file, in torch: pixels float32[3, h, w] -> float64[k].

    Raises StoreError where the weights are not those of the backbone's module.
    """
    import torch

    tensors = _tensors(folder, files)
    head, network, prefix = Head.of(tensors), backbone.module(), "backbone."
    state = {k.removeprefix(prefix): torch.from_numpy(v.copy()) for k, v in tensors.items() if k.startswith(prefix)}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        why = " ".join(str(error).split())[:200]
        raise StoreError(f"{folder}: not a baseline that this curate can read (its weights: {why})") from error
    network = network.eval()

    def run(values: "np.ndarray") -> "np.ndarray":
        with torch.inference_mode():
            features = network(torch.from_numpy(values[None])).numpy()
        return np.asarray(head.probabilities(features)[0])

    return run


def _tensors(folder: Path, files: Mapping[str, str]) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as unpacked

    try:
        return dict(unpacked(file(folder, WEIGHTS, files[WEIGHTS])))
    except (SafetensorError, KeyError) as error:
        raise StoreError(f"{folder / WEIGHTS}: not a baseline's weights ({type(error).__name__}: {error})") from error


@dataclass(frozen=True, repr=False)
class Baseline:
    """A network, its head, and the classes of its outputs, in order; `said` is what `model.json` says."""

    classes: tuple[str, ...]
    recipe: Mapping[str, Any]
    said: Mapping[str, Any]
    work: Predicting

    @cached_property
    def head(self) -> Head:
        """The trained layer, which takes the backbone's features."""
        return Head.of(_tensors(self.work.folder, self.work.files))

    @cached_property
    def _asked(self) -> "Aside[FetchedBytes, np.ndarray]":
        return Aside(EngineConfig(), self.work)

    def predict(self, files: Sequence[bytes]) -> Probabilities:
        """The bytes of image files as float64[n, k].

        Raises UsageError for what is no list of bytes, ItemError for one that cannot be decoded: it says which, from 0.
        """
        if isinstance(files, bytes | bytearray | memoryview | str | PathLike) or not hasattr(files, "__iter__"):
            raise UsageError(f"predict: {_LIST}; this is {type(files).__name__}")
        for place, data in enumerate(files := list(files)):
            if not isinstance(data, bytes):
                raise UsageError(f"predict: item {place} is {type(data).__name__}, not bytes; {_LIST}")
        found = [self._of(place, data) for place, data in enumerate(files)]
        return np.array(found, dtype=np.float64).reshape(len(found), len(self.classes))

    def __repr__(self) -> str:
        return f"model of {', '.join(self.classes)} on {self.recipe['backbone']['use']}"

    def _of(self, place: int, data: bytes) -> "np.ndarray":
        try:
            return self._asked(FetchedBytes(place, data))
        except ItemError as error:
            raise ItemError(error.reason, f"item {place}: {error.detail}".removesuffix(": ")) from error


def load_model(path: str | Path, backbone: str | Path | None = None) -> Baseline:
    """A baseline from its folder; raises StoreError where a file is missing, is not the one that `model.json` names (by
    one bit), or does not fit, UsageError for another version's backbone. Nothing in the files is code.

    `backbone`: the file of a backbone of one's own (`use = "./mine.py"`), which is run; the model does not say where it
    lies, and is only read with the very file that it was made with.
    """
    path = Path(path)
    said = checked(path)
    files = said["files"]
    try:
        recipe = json.loads(file(path, RECIPE, files[RECIPE]))
        classes, safe = tuple(recipe["labels"]), tuple(said["safe"])
        named = backbone_of(path, recipe)
        whole = classes == tuple(said["classes"]) and {"use", "version", "options"} <= named.keys()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(
            f"{path}: not a baseline that this curate can read ({type(error).__name__}: {error})"
        ) from error
    if not whole or WEIGHTS not in files:
        raise StoreError(f"{path}: not a baseline that this curate can read (its files are not of one model)")
    mine = _backbone(named, backbone, NETWORK in files)
    work = Predicting(path, files, recipe, classes, safe, mine)
    work.try_out()  # what is wrong with the files is said now
    return Baseline(classes, recipe, said, Predicting(path, files, recipe, classes, safe, mine))


def backbone_of(folder: Path, recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a model's recipe says of its backbone: `use`, `version`, `options`.

    Raises StoreError where `use` is a path: whoever made the model would have a file of their choice run.
    """
    said: Mapping[str, Any] = recipe["backbone"]
    if own_file(said["use"]):
        raise StoreError(f"{folder}: its backbone is a file's path ({said['use']}): nothing that a model names is run")
    return said


def _backbone(said: Mapping[str, Any], file: str | Path | None, graphed: bool) -> Any:
    """The backbone that has to be run; None where the model's own graph is all it takes."""
    name, wanted = said["use"], said.get("sha256")
    if graphed and file is None:
        return None
    if wanted is not None and file is None:
        raise UsageError(
            f"backbone {name}: a file of one's own, {name}.py (sha256 {wanted[:12]}...): say where it lies,"
            f' load_model(path, backbone="{name}.py")'
        )
    if wanted is None and file is not None:
        raise UsageError(f"backbone {name}: no file of one's own; leave `backbone` out")
    use = name if file is None else str(Path(file).absolute())
    backbone = make("labelers", Plugin(use, said["options"], "backbone"), "labeler")
    if wanted is not None and wanted != own_file_of(backbone):
        raise UsageError(
            f"backbone {name}: {file} is not the file that the model was made with (sha256 {wanted[:12]}...)"
        )
    if backbone.version != said["version"]:
        raise UsageError(
            f"backbone {name}: the model was made with its version {said['version']}, this one is {backbone.version};"
            " train anew"
        )
    return None if graphed else backbone
