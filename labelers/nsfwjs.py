"""Trained on pictures that forums call drawings, hentai, neutral, porn or sexy; on what else there is it guesses."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curate.contracts import Decoded, Resources
from curate.media.pixels import CORNERS
from curate.records import Axis
from labelers._columns import Columns, first, voter
from labelers._graphs import features_of
from labelers._sessions import WEIGHTS, devices, opened, read

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

FILE, SHA256 = WEIGHTS / "nsfwjs.onnx", "24bfd2a7471ef74b6b6c62319327871929ea9b011e7c665a15752ff46de4ff33"
CLASSES = ("drawings", "hentai", "neutral", "porn", "sexy")  # of the model, in its order
HIGH = 0.8  # a class from here on, or those that are not harmless together
LOW = 0.05  # what is left for these, below which the picture is taken for one of the others
# What a class of the model may be called on an axis: the first name that the axis has.
NAMES: Mapping[str, Sequence[str]] = {
    "porn": ("porn", "nsfw", "explicit"),
    "hentai": ("hentai", "nsfw", "explicit"),
    "sexy": ("sexy", "suggestive"),
}
HARMLESS = ("drawings", "neutral", "sfw", "safe")
RECIPE: Mapping[str, object] = {
    "shorter_side": 256, "size": [224, 224], "interpolation": CORNERS, "range": [0.0, 1.0], "layout": "NCHW",
}  # fmt: skip


@dataclass
class Nsfwjs:
    """MobileNetV2 1.4 of npm's nsfwjs 4.4.0 ("MobileNetV2Mid"): one probability for each of five classes.

    Trained by GantMan's nsfw_model on the lists of nsfw_data_scraper, cleaned by earlier models: what it says of items
    of those lists is said of its own training data. Columns: the five classes, 0 to 1, of an animation the largest of
    three frames for what is not harmless, the smallest for what is; `embedding`: 1,792 numbers from 0 to 6, from which
    they follow, unless the option `embedding` is false. `drawings` means anime and painted art: clip art is called
    neutral, so read drawings + neutral as "harmless". Wrong by nature on close-ups of skin-coloured things, and where a
    part of a picture is all there is.
    Preprocessing is the package's own (the whole picture to 224 x 224, bilinear, corners aligned), on a picture whose
    shorter side is 256 px at most. Source: github.com/infinitered/nsfwjs, github.com/GantMan/nsfw_model (both MIT).
    """

    embedding: bool = True
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = dict.fromkeys(CLASSES, "float32") | {"embedding": "float16[1792]"}
    over_frames: ClassVar[Mapping[str, str]] = (
        dict.fromkeys(("hentai", "porn", "sexy"), "max") | dict.fromkeys(("drawings", "neutral"), "min")
    )  # fmt: skip

    trained_on: ClassVar[Mapping[str, str]] = {"urllist": "the lists of nsfw_data_scraper"}
    device: ClassVar[str] = "cpu"

    def __post_init__(self) -> None:
        """Its columns are as many as the option says."""
        if not self.embedding:
            vars(self)["columns"] = dict.fromkeys(CLASSES, "float32")

    @property
    def devices(self) -> Sequence[str]:
        """What it can run on beside the CPU."""
        return devices()

    def load(self) -> None:
        """Open the weights, and no others; raises UsageError where they are missing or changed."""
        self._session = opened(FILE, SHA256, "labelers.nsfwjs", "install curate-media anew", device=self.device)

    def says(self, axis: Axis) -> Mapping[str, Sequence[str]]:
        """Its classes by the names that the axis has for them; a class without a name there says nothing."""
        named = {one: NAMES.get(one, (one, *HARMLESS[2:])) for one in CLASSES}
        known = {one: next((name for name in names if name in axis.classes), None) for one, names in named.items()}
        return {one: [name] for one, name in known.items() if name is not None}

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """Probabilities and features of each picture, one at a time."""
        import numpy as np

        said = np.empty((len(batch), len(CLASSES)), np.float32)
        features = np.empty((len(batch), 1792), np.float16)
        wanted = ["probabilities", "embedding"] if self.embedding else ["probabilities"]
        for place, one in enumerate(batch):
            found = self._session.run(wanted, {"picture": np.asarray(one.image(self.needs.side))})
            said[place] = found[0]
            features[place] = found[-1] if self.embedding else 0
        table = dict(zip(CLASSES, said.T, strict=True))
        return table | {"embedding": features} if self.embedding else table

    def graph(self) -> bytes:
        """Its network up to the features: `x` float32[n, 3, 224, 224] in 0..1 -> `embedding` float32[n, 1792]."""
        data = read(FILE, SHA256, "labelers.nsfwjs", "install curate-media anew")
        return features_of(data, "x", "embedding", "labelers.nsfwjs")

    def preprocessing(self) -> Mapping[str, object]:
        """What turns a picture into `x`: what the labeler's own graph does first."""
        return RECIPE


def functions(axis: Axis, columns: Collection[str]) -> "list[LabelingFunction]":
    """One vote: a class that is not harmless from HIGH on; one of those where they have HIGH only together; and where
    they have LOW or less together, any class but those. In between it abstains, and where it has no probabilities.

    None on an axis that has no class for porn, or none that is harmless.
    """
    named = {own: next((name for name in names if name in axis.classes), None) for own, names in NAMES.items()}
    if named["porn"] is None or not set(HARMLESS) & set(axis.classes) or f"nsfwjs_{CLASSES[0]}" not in columns:
        return []
    known = {own: name for own, name in named.items() if name is not None}
    single = tuple(dict.fromkeys(known.values()))
    others = tuple(name for name in axis.classes if name not in single)

    def rule(c: Columns) -> "np.ndarray":
        each = {name: sum(c[f"nsfwjs_{own}"] for own, meant in known.items() if meant == name) for name in single}
        together, harmless = sum(each.values()), c["nsfwjs_drawings"] + c["nsfwjs_neutral"]
        alone = [(score >= HIGH, place) for place, score in enumerate(each.values())]  # there is room for one of them
        return first(*alone, (together >= HIGH, len(single)), (harmless >= 1 - LOW, len(single) + 1))

    return [voter("nsfwjs", rule, [f"nsfwjs_{one}" for one in CLASSES], (*single, single, others))]
