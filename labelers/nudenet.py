"""Trained on photographs with boxes round 18 parts of bodies; of drawings, and of acts, it knows nothing."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from curate.contracts import Decoded, Resources
from curate.errors import UsageError
from curate.records import Axis
from labelers._columns import Columns, first, voter
from labelers._sessions import devices, opened

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

SHA256 = "c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f"  # of nudenet/320n.onnx, version 3.4.2
PARTS = (  # of the model, in its order
    "female_genitalia_covered", "face_female", "buttocks_exposed", "female_breast_exposed", "female_genitalia_exposed",
    "male_breast_exposed", "anus_exposed", "feet_exposed", "belly_covered", "feet_covered", "armpits_covered",
    "armpits_exposed", "face_male", "belly_exposed", "male_genitalia_exposed", "anus_covered", "female_breast_covered",
    "buttocks_covered",
)  # fmt: skip
SIDE, FIRST, LEAST, OVERLAP = 320, 0.2, 0.25, 0.45  # the package's: of a box before and after, of two of one thing
BARE = ("female_genitalia_exposed", "male_genitalia_exposed", "anus_exposed", "female_breast_exposed",
        "buttocks_exposed")  # fmt: skip
HIGH = 0.6  # of one of these, on a photograph
PHOTOGRAPH = 0.5  # a drawing score below this is a photograph's
NAKED = ("porn", "sexy", "nsfw", "explicit", "suggestive")  # what a bare part may be, by the class's name
REMEDY = "pip install 'curate-media[nudenet]' (its package carries the AGPL-3.0: docs/labels.md)"


@dataclass
class Nudenet:
    """The detector 320n of the package `nudenet` 3.4.2, which is an extra: its licence file is the AGPL-3.0.

    Columns: of each part the highest score of its boxes, 0 where there is none, and of an animation the highest of
    three frames; `boxes`, those of the first frame as JSON: [[part, score, left, top, width, height], ...], in shares
    of the picture, the surest first. Preprocessing and choice of boxes are the package's own, on a picture whose
    shorter side is 512 px at most. Wrong by nature on drawings (every eighth has a box); bare skin is no act, and no
    box is no evidence. Source: github.com/notAI-tech/NudeNet.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=512)
    columns: ClassVar[Mapping[str, str]] = dict.fromkeys(PARTS, "float32") | {"boxes": "string"}
    over_frames: ClassVar[Mapping[str, str]] = dict.fromkeys(PARTS, "max")
    notice: ClassVar[str] = "scored by nudenet 3.4.2, whose licence file is the AGPL-3.0 (its metadata says MIT)"

    device: ClassVar[str] = "cpu"

    @property
    def devices(self) -> Sequence[str]:
        """What it can run on beside the CPU."""
        return devices()

    def load(self) -> None:
        """Open the package's weights, and no others; raises UsageError where they are missing or changed."""
        import cv2

        cv2.setNumThreads(1)
        self._session = opened(weights(), SHA256, "labelers.nudenet", REMEDY, device=self.device)

    def says(self, axis: Axis) -> Mapping[str, Sequence[str]]:
        """A bare part speaks for what is not safe; a score of a box is no probability, and is taken for one."""
        return {part: [one for one in axis.classes if one not in (*axis.safe, *axis.borderline)] for part in BARE}

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """The parts of each picture, one picture at a time."""
        import numpy as np

        found = [self._boxes(np.asarray(one.image(self.needs.side))) for one in batch]
        scores = np.zeros((len(batch), len(PARTS)), np.float32)
        for row, boxes in zip(scores, found, strict=True):
            for part, score, *_ in reversed(boxes):  # the surest last
                row[PARTS.index(part)] = score
        said = np.array([json.dumps(boxes, separators=(",", ":")) for boxes in found], dtype=object)
        return dict(zip(PARTS, scores.T, strict=True)) | {"boxes": said}

    def _boxes(self, pixels: "np.ndarray") -> list[Any]:
        """[part, score, left, top, width, height] of each box that is left."""
        import cv2
        import numpy as np

        high, wide = pixels.shape[:2]
        edge = max(high, wide)
        square = cv2.copyMakeBorder(pixels, 0, edge - high, 0, edge - wide, cv2.BORDER_CONSTANT)
        ready = cv2.dnn.blobFromImage(square, 1 / 255, (SIDE, SIDE), swapRB=True)  # blue first, as the package has it
        rows = self._session.run(None, {"images": ready})[0][0].T
        rows = rows[rows[:, 4:].max(axis=1) >= FIRST]
        scores, parts = rows[:, 4:].max(axis=1), rows[:, 4:].argmax(axis=1)
        ends = np.array([wide, high], np.float32)
        corners = ((rows[:, :2] - rows[:, 2:4] / 2) * (edge / SIDE)).clip(0, ends)
        sizes = np.minimum(rows[:, 2:4] * (edge / SIDE), ends - corners)
        boxes = np.concatenate([corners, sizes], axis=1)
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), LEAST, OVERLAP)
        shares = boxes / np.concatenate([ends, ends])
        return [
            [PARTS[parts[n]], round(float(scores[n]), 4), *(round(float(one), 4) for one in shares[n])]
            for n in np.asarray(kept, int).ravel()
        ]


def weights() -> Path:
    """The file of the packaged weights; raises UsageError where the package is not installed."""
    from importlib.util import find_spec

    spec = find_spec("nudenet")
    if spec is None or spec.origin is None:
        raise UsageError(f"labelers.nudenet: the package nudenet is not installed; {REMEDY}")
    return Path(spec.origin).with_name("320n.onnx")


def functions(axis: Axis, columns: Collection[str]) -> "list[LabelingFunction]":
    """One vote, on photographs: that a bare part is to be seen, which is of no harmless class; never that none is.

    Where the column of `drawing` is there, a drawing, or what could not be scored, is abstained on.
    """
    meant = tuple(name for name in axis.classes if name in NAKED)
    if not meant or len(meant) == len(axis.classes) or f"nudenet_{BARE[0]}" not in columns:
        return []
    bare = [f"nudenet_{part}" for part in BARE]
    read = [*bare, *(name for name in ("drawing_drawing",) if name in columns)]

    def rule(c: Columns) -> "np.ndarray":
        other = ~(c["drawing_drawing"] < PHOTOGRAPH) if "drawing_drawing" in c else False  # NaN is no photograph
        return first((other, -1), *((c[one] >= HIGH, 0) for one in bare))

    return [voter("nudenet", rule, read, (meant,))]
