"""What a network of timm's sees in a picture, as numbers: the network by its name, its weights by a file."""

import copy
import difflib
import hashlib
import io
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from curate.contracts import Decoded, Resources
from curate.errors import UsageError
from curate.media.pixels import pixels, shape
from labelers._graphs import EMBEDDING, features_of
from labelers._sessions import opened, read
from labelers._torch import at_once

if TYPE_CHECKING:
    import numpy as np
    import torch

WHERE, REMEDY = "labelers.timm", "start again, or put the weights back that were there"
OPSET = 17
_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")  # no hub and no folder, which timm would ask for a name like `hf-hub:`
_SIDES = (256, 512, 1024)
_OTHER_HEADS = ("AuxLogits.",)  # beside a network's `classifier`, what only training has


@dataclass
class Timm:
    """The pooled features of a network of the package `timm`, which is an extra, with weights that lie on this machine.

    `architecture`: `resnet50` and whatever else `timm.list_models()` has; behind a point, as `timm.list_pretrained()`
    has it, for which of its weights the preprocessing is (`resnet50.a1_in1k`), which is timm's own. `weights`: a
    `.safetensors` file, or a state dict that torch reads without running code; by default
    `timm/<architecture>.safetensors` in XDG_CACHE_HOME/curate, else in ~/.cache/curate. Nothing is downloaded.
    `sha256`, of the weights, and `timm`, its version, are those that are there where none are given; they go with the
    features and into a model, and others than are given are refused.

    Column `embedding`: as many numbers as the network has before its classifier. onnxruntime runs it, a picture at a
    time; in torch (`module()`) it says the same within 1e-5. It has no classes of this field and votes on nothing.
    """

    architecture: str
    weights: Path | None = None
    sha256: str = ""
    timm: str = ""

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = {"embedding": "float16[1]"}  # of one that is built: by its network
    devices: ClassVar[Sequence[str]] = ("cuda", "mps")
    device: ClassVar[str] = "cpu"

    def __post_init__(self) -> None:
        """Find out what the network gives and takes; ValueError for a network, weights or a timm that are not there."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "curate"  # noqa: PTH111 (never raises)
        self._file = (
            self.weights or cache / "timm" / f"{self.architecture}.safetensors"
        )  # workers have another environment
        version, empty, digest = _timm().__version__, self._empty(), self._digest()
        for name, wanted, found in (("sha256", self.sha256, digest), ("timm", self.timm, version)):
            if wanted not in ("", found):
                raise ValueError(f"{name}: {wanted} is asked for, and what is there is {found}")
        self._recipe = _recipe(empty)
        own = {
            "sha256": digest, "timm": version, "columns": {EMBEDDING: f"float16[{_width(empty, self._recipe)}]"},
            "needs": Resources(side=int(self._recipe["shorter_side"])),
        }  # fmt: skip
        vars(self).update(own)

    @property
    def reads(self) -> Sequence[Path]:
        """The weights."""
        return [self._file]

    def load(self) -> None:
        """Open the network; raises UsageError where the weights have changed, or are another network's."""
        if self.device != "cpu":
            self._network = self.module().to(self.device)
            return
        self._session = opened(self._file, self.sha256, WHERE, REMEDY, change=self._exported)

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """The features of each picture."""
        import numpy as np

        ready = np.empty((len(batch), *shape(self._recipe)), np.float32)
        for place, one in enumerate(batch):
            ready[place] = pixels(one.image(self.needs.side), self._recipe)
        if self.device != "cpu":
            return {EMBEDDING: at_once(self._network, ready, self.device)}
        rows = [self._session.run(None, {"pixels": one[None]})[0][0] for one in ready]
        width = int(self.columns[EMBEDDING][8:-1])
        return {EMBEDDING: np.array(rows, np.float16).reshape(len(batch), width)}

    def module(self) -> "torch.nn.Module":
        """The network in evaluation mode: float32[n, 3, height, width] as `preprocessing` says -> float32[n, d]."""
        network: torch.nn.Module = self._filled(read(self._file, self.sha256, WHERE, REMEDY))
        return network

    def graph(self) -> bytes:
        """The network as one ONNX file: `pixels` float32[n, 3, height, width] -> `embedding` float32[n, d]."""
        return self._exported(read(self._file, self.sha256, WHERE, REMEDY))

    def with_weights(self, path: Path) -> "Timm":
        """The same network with the weights of another file, which is called by nothing but its digest."""
        made = copy.copy(self)
        made._file = path
        made.sha256 = made._digest()
        return made

    def preprocessing(self) -> Mapping[str, object]:
        """What turns a picture into the network's input, as timm says of these weights."""
        return self._recipe

    def _digest(self) -> str:
        if not self._file.is_file():
            table = f'use = "timm", architecture = "{self.architecture}", weights = "..."'
            where = f"put them there, or say where they lie ([[labelers]]: {table})"
            raise ValueError(f"no weights of {self.architecture} at {self._file}: {where}; nothing is downloaded")
        with self._file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _empty(self) -> Any:
        """The network without weights, which takes no memory and computes shapes alone."""
        import torch

        with torch.device("meta"):
            return _made(self.architecture)

    def _filled(self, data: bytes) -> Any:
        """The network with the weights of a file; UsageError for one that has not just what it takes."""
        network, state = _made(self.architecture), self._state(data)
        said = network.pretrained_cfg.get("classifier") or ()
        heads = tuple(f"{one}." for one in ([said] if isinstance(said, str) else said)) + _OTHER_HEADS
        try:
            lacking, strange = network.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise self._wrong(str(error)) from error
        if strange := [name for name in strange if not name.startswith(heads)]:
            raise self._wrong(f"{strange[0]} and {len(strange) - 1} more are not of it")
        if lacking:
            raise self._wrong(f"{lacking[0]} and {len(lacking) - 1} more are not there")
        return network

    def _state(self, data: bytes) -> Mapping[str, Any]:
        """What a file's tensors are; of a pickle nothing is run."""
        import torch
        from safetensors.torch import load

        try:
            if self._file.suffix == ".safetensors":
                return dict(load(data))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a pickle that is none of torch's; the error says so
                found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            return dict(found.get("state_dict", found))
        except Exception as error:  # of either format, and of whatever else somebody called so
            raise self._wrong(f"{type(error).__name__}: {error}") from error

    def _wrong(self, why: str) -> UsageError:
        return UsageError(f"{WHERE}: {self._file}: no weights of {self.architecture} ({' '.join(why.split())[:200]})")

    def _exported(self, data: bytes) -> bytes:
        """The graph of the network with the weights of a file: the same bytes from the same ones."""
        import torch

        export: Any = torch.onnx.export
        network, file, given = self._filled(data), io.BytesIO(), torch.zeros(1, *shape(self._recipe))
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # the exporter that needs no package more is the older one
            export(
                network, (given,), file, opset_version=OPSET, dynamo=False, input_names=["pixels"],
                output_names=[EMBEDDING], dynamic_axes={"pixels": {0: "batch"}, EMBEDDING: {0: "batch"}},
            )  # fmt: skip
        return features_of(file.getvalue(), None, EMBEDDING, WHERE)


def _timm() -> Any:
    """The package; raises ValueError where it is missing, or does not go with what is installed beside it."""
    try:
        import timm
        import timm.data
    except ImportError as error:
        raise ValueError(f"the package timm is not installed ({error}); pip install 'curate-media[timm]'") from error
    except RuntimeError as error:
        why = " ".join(str(error).split())[:200]
        raise ValueError(f"timm does not load ({why}): install the torchvision that belongs to your torch") from error
    return timm


def _made(name: str) -> Any:
    """A network in evaluation mode, without its classifier; raises ValueError where timm has none of that name."""
    timm = _timm()
    if not _NAME.fullmatch(name) or not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=1)
        hint = f"did you mean '{close[0]}'?" if close else "`timm.list_models()` has those that there are"
        raise ValueError(f"architecture: timm {timm.__version__} has no '{name}'; {hint}")
    try:
        network = timm.create_model(name, pretrained=False, num_classes=0)
    except RuntimeError as error:  # the weights' name, behind the point
        raise ValueError(f"architecture: {name}: {' '.join(str(error).split())[:200]}") from error
    return network.eval()


def _recipe(network: Any) -> dict[str, Any]:
    """timm's preprocessing as `curate.media.pixels` has it; raises ValueError for one that it cannot do."""
    said = _timm().data.resolve_model_data_config(network)
    planes, *size = said["input_size"]
    whole = said["crop_mode"] == "squash" and said["crop_pct"] == 1
    side = next((one for one in _SIDES if one >= int(max(size) / said["crop_pct"])), None)
    if planes != 3 or size[0] != size[1] or side is None or not (whole or said["crop_mode"] == "center"):
        raise ValueError(f"architecture: its preprocessing is none that can be done here: {said}")
    return {
        "shorter_side": side,
        "center_crop": None if whole else float(said["crop_pct"]),
        "size": size,
        "interpolation": said["interpolation"],
        "range": [0.0, 1.0],
        "mean": list(said["mean"]),
        "std": list(said["std"]),
        "layout": "NCHW",
    }


def _width(network: Any, recipe: Mapping[str, Any]) -> int:
    """How many features the network gives; raises ValueError for one that gives something else."""
    import torch

    with torch.inference_mode(), torch.device("meta"):
        found = network(torch.empty(1, *shape(recipe)))
    if len(found.shape) != 2:
        raise ValueError(f"architecture: it gives {list(found.shape)} and not a row of features")
    return int(found.shape[1])
