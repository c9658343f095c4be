"""Any image classifier that is one ONNX file: its outputs as columns, and what they are worth as a vote."""

import ast
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from curate.contracts import Decoded, Resources
from curate.errors import UsageError
from curate.media.pixels import pixels
from curate.records import Axis
from labelers._columns import by_meaning, meant
from labelers._graphs import features_of
from labelers._sessions import devices, opened, read

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from snorkel.labeling import LabelingFunction

REMEDY = "give the file's sha256, and a model of one file with one picture as its input"
_FLOATS = ("tensor(float)", "tensor(double)", "tensor(float16)")
_SIDES = (256, 512, 1024)


@dataclass
class Onnx:
    """A classifier of yours. It says of each output how probable it is, and votes for the classes that you name.

    `outputs` are the model's, in its order; `classes` what each means on an axis, a class or several; an output that is
    not there means nothing. Preprocessing: the whole picture (`fit = "crop"`: its middle square) to `size` px, pixels
    mapped to `range`, less `mean`, by `std`. `activation` makes probabilities of what the model gives. `embedding` is
    the name of an output of `embedding_size` numbers. What it gets wrong, and what it was trained on, is the model's
    affair: docs/labels.md has the settings of some that are published.

    Columns: `p_<output>`, float32, of an animation the largest of three frames; where the output means something, also
    `p_<output>_least`, the smallest, which counts where it means a safe class; `embedding`, float16.
    """

    path: Path
    sha256: str
    outputs: tuple[str, ...]
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    size: int = 224
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    range: tuple[float, ...] = (0.0, 1.0)
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    fit: Literal["stretch", "crop"] = "stretch"
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"] = "bilinear"
    activation: Literal["softmax", "sigmoid", "none"] = "softmax"
    embedding: str = ""
    embedding_size: int = 0
    version: ClassVar[int] = 2
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = {"embedding": "float16[1]"}  # of one that is built: by its outputs
    over_frames: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        """Refuse options that cannot be meant; ValueError says which."""
        largest, least = (
            [_column(one) for one in self.outputs],
            [_least(one) for one in self.outputs if one in self.classes],
        )
        names = [*largest, *least]
        if not names or len(set(names)) < len(names):
            raise ValueError("outputs: name each output of the model, no two alike")
        if strange := sorted(self.classes.keys() - set(self.outputs)):
            raise ValueError(f"classes.{strange[0]}: no such output; there are: {', '.join(self.outputs)}")
        if [len(self.range), len(self.mean), len(self.std)] != [2, 3, 3] or 0 in self.std:
            raise ValueError("range has two numbers, mean and std have three each, and none of std is 0")
        if not 1 <= self.size <= _SIDES[-1]:
            raise ValueError(f"size: 1 to {_SIDES[-1]} px")
        if bool(self.embedding) != (self.embedding_size > 0):
            raise ValueError("embedding and embedding_size go together")
        columns = dict.fromkeys(names, "float32")
        vector = {"embedding": f"float16[{self.embedding_size}]"} if self.embedding else {}
        own = {
            "columns": columns | vector,
            "over_frames": dict.fromkeys(largest, "max") | dict.fromkeys(least, "min"),
            "needs": Resources(side=next(one for one in _SIDES if one >= self.size)),
        }
        vars(self).update(own)

    device: ClassVar[str] = "cpu"

    @property
    def devices(self) -> Sequence[str]:
        """What it can run on beside the CPU."""
        return devices()

    def load(self) -> None:
        """Open the model and try it; raises UsageError for another file, and for another model than the options say."""
        self._session = opened(self.path, self.sha256, "labelers.onnx", REMEDY, device=self.device)
        if problem := self._wrong():
            raise UsageError(f"labelers.onnx: {self.path}: {problem}")

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """What the model says of each picture, one at a time."""
        import numpy as np

        said = [self._run(self.pixels(one.image(self.needs.side))) for one in batch]
        table = np.array([row for row, _ in said], np.float32).reshape(len(batch), len(self.outputs))
        found: dict[str, np.ndarray] = {_column(name): table[:, n] for n, name in enumerate(self.outputs)}
        found |= {_least(name): table[:, n] for n, name in enumerate(self.outputs) if name in self.classes}
        if self.embedding:
            shape = (len(batch), self.embedding_size)
            found["embedding"] = np.array([row for _, row in said], np.float16).reshape(shape)
        return found

    def pixels(self, image: "Image.Image") -> "np.ndarray":
        """The model's input of one picture: float32[1, 3, size, size], or with the channels last."""
        return pixels(image, self.preprocessing())[None]

    def preprocessing(self) -> dict[str, object]:
        """What turns a picture into the model's input, as the options say."""
        return {
            "shorter_side": self.needs.side,
            "center_crop": 1.0 if self.fit == "crop" else None,
            "size": [self.size, self.size],
            "interpolation": self.interpolation,
            "range": list(self.range),
            "mean": list(self.mean),
            "std": list(self.std),
            "layout": self.layout,
        }

    def graph(self) -> bytes:
        """The model up to its output `embedding`; raises UsageError where it has none, or is another file."""
        if not self.embedding:
            raise UsageError(f"labelers.onnx: {self.path}: no features: name its output by embedding, embedding_size")
        data = read(self.path, self.sha256, "labelers.onnx", REMEDY)
        return features_of(data, None, self.embedding, f"labelers.onnx: {self.path}")

    def says(self, axis: Axis) -> Mapping[str, Sequence[str]]:
        """Its columns by what `classes` says that they mean."""
        found = {one: meant(self.classes.get(one, ()), axis) for one in self.outputs}
        return {
            (_least if set(classes) & set(axis.safe) else _column)(one): classes
            for one, classes in found.items()
            if classes
        }

    def functions(self, axis: Axis, columns: Collection[str]) -> "list[LabelingFunction]":
        """One vote by what its outputs mean."""
        return by_meaning("onnx", {f"onnx_{one}": classes for one, classes in self.says(axis).items()}, axis, columns)

    def _run(self, pixels: "np.ndarray") -> "tuple[np.ndarray, np.ndarray | None]":
        asked = [one.name for one in self._asked()]
        found = self._session.run(asked, {self._session.get_inputs()[0].name: pixels})
        return self._probabilities(found[0].reshape(-1)), found[1].reshape(-1) if self.embedding else None

    def _asked(self) -> list[Any]:
        """The scores, the first output that is not the embedding; then the embedding, where there is to be one."""
        every = self._session.get_outputs()
        scores = [one for one in every if one.name != self.embedding][:1]
        return [*scores, *(one for one in every if self.embedding and one.name == self.embedding)]

    def _probabilities(self, values: "np.ndarray") -> "np.ndarray":
        import numpy as np

        if not np.isfinite(values).all():  # no abstention: it has not looked at the picture
            raise ValueError("the model answers with what is no number")
        if self.activation == "none":
            return values
        wide = np.asarray(values, np.float64)
        if self.activation == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-wide.clip(-500, 500))))
        shares = np.exp(wide - wide.max())
        return np.asarray(shares / shares.sum())

    def _wrong(self) -> str | None:
        """In what the model is another than the options say; None where it is the one."""
        import numpy as np

        inputs, outputs = self._session.get_inputs(), [one.name for one in self._session.get_outputs()]
        if not outputs:
            return "it has no outputs"
        if len(inputs) != 1:
            return (
                f"it has {len(inputs)} inputs ({', '.join(one.name for one in inputs)}); one picture is all it is given"
            )
        if inputs[0].type != "tensor(float)":
            return f"its input is {inputs[0].type}; float32 is what it is given"
        if self.embedding and (self.embedding not in outputs or len(outputs) < 2):
            return f"embedding: no such output beside its scores; there are: {', '.join(outputs)}"
        if strange := [one for one in self._asked() if one.type not in _FLOATS]:
            return f"its output {strange[0].name} is {strange[0].type}; floating-point numbers are what is taken"
        asked = self.pixels(_grey(self.size))
        shape = list(inputs[0].shape)
        if len(shape) != 4 or any(isinstance(a, int) and a != b for a, b in zip(shape, asked.shape, strict=True)):
            return f"its input is {shape}; size and layout make {list(asked.shape)}"
        try:
            scores, features = self._run(asked)
        except Exception as error:  # onnxruntime's errors have no common class of their own
            why = f"it fails on a grey picture ({' '.join(str(error).split())[:200]})"
            raise UsageError(f"labelers.onnx: {self.path}: {why}") from error
        if len(scores) != len(self.outputs):
            return f"it has {len(scores)} outputs; named are {len(self.outputs)}: {', '.join(self.outputs)}"
        if features is not None and len(features) != self.embedding_size:
            return f"embedding_size: it has {len(features)} numbers"
        if not np.all((scores >= 0) & (scores <= 1.001)):
            return f'what it gives are no probabilities (activation = "{self.activation}")'
        return self._other_names()

    def _other_names(self) -> str | None:
        """Where the file has the names of its outputs with it, as some exporters write them, they are the ones."""
        said = self._session.get_modelmeta().custom_metadata_map.get("names")
        try:
            names = ast.literal_eval(said) if said else None
        except (ValueError, SyntaxError):
            return None
        names = [names[key] for key in sorted(names)] if isinstance(names, dict) else names
        if names is None or list(names) == list(self.outputs):
            return None
        return f"its outputs are {', '.join(map(str, names))}; named are {', '.join(self.outputs)}"


def _least(output: str) -> str:
    return f"{_column(output)}_least"


def _column(output: str) -> str:
    return f"p_{re.sub(r'[^0-9A-Za-z]+', '_', output).lower()}"


def _grey(size: int) -> "Image.Image":
    from PIL import Image

    return Image.new("RGB", (size, size), (127, 127, 127))
