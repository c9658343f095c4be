"""What a labeler says of some samples, asked now and kept nowhere; and of the same pictures altered."""

import copy
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curate.contracts import Decoded, Engine, Labeler, Resources
from curate.errors import CurateError
from curate.features.score_worker import Columns, Scores, Scoring, Task, blank
from curate.features.scores import samples
from curate.media.decode import Bounds

if TYPE_CHECKING:
    from PIL import Image

    from curate.store.workspace import Workspace

SHARD = 64  # samples of a task


def asked(ws: "Workspace", engine: Engine, labelers: Mapping[str, Labeler], ids: Sequence[str]) -> dict[str, Columns]:
    """The columns of labelers of pixels, aligned with `ids`; NaN where a picture cannot be read.

    Each picture is decoded once, in a worker, by the bounds that fetch has.
    """
    found = {name: blank(labeler, len(ids)) for name, labeler in labelers.items()}
    stored, at = samples(ws, ids), {one: n for n, one in enumerate(ids)}
    some = [stored[one] for one in ids if one in stored]
    tasks = [Task(n, tuple(some[n : n + SHARD]), tuple(labelers)) for n in range(0, len(some), SHARD)]
    work = Scoring(dict(labelers), ws.blobs, Bounds(max_pixels=ws.config.fetch.max_pixels, min_side=1))
    side = max((one.needs.side for one in labelers.values()), default=0)
    for task, scores in engine.map(work, tasks, Resources(side=side)) if tasks else ():
        each = [(task, scores)]
        if isinstance(scores, Exception):  # one of them took its worker along: one at a time
            each = list(engine.map(work, list(task.singly()), Resources(side=side)))
        for part, answer in each:
            if isinstance(answer, CurateError) and len(each) == 1:
                raise answer
            if isinstance(answer, Scores):
                _put(found, answer, [at[one.id] for one in part.samples])
    return found


def _put(found: Mapping[str, Columns], scores: Scores, rows: Sequence[int]) -> None:
    for name, columns in scores.columns.items():
        for column, values in columns.items():
            found[name][column][rows] = values


# -- alterations -----------------------------------------------------------------------------------------------------


@dataclass
class Altered:
    """A labeler that is shown each picture altered; `how` is a key of ALTERATIONS."""

    inner: Labeler
    how: str
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources()
    columns: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        """It is asked as the labeler itself is."""
        own = ("version", "needs", "columns", "over_frames", "reads", "network", "device", "devices")
        vars(self).update({name: getattr(self.inner, name) for name in own if hasattr(self.inner, name)})

    def load(self) -> None:
        """Load a copy of the labeler."""
        self.inner = copy.copy(self.inner)
        self.inner.load()

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        """What the labeler says of the altered pictures."""
        return self.inner.label([_View(one, ALTERATIONS[self.how]) for one in batch])


class _View:
    def __init__(self, one: Decoded, alter: "Callable[[Image.Image], Image.Image]") -> None:
        self._one, self._alter = one, alter

    def image(self, side: int | None) -> "Image.Image":
        return self._alter(self._one.image(side))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._one, name)


def _compressed(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    out = io.BytesIO()
    image.save(out, "JPEG", quality=30)
    return Image.open(out).convert("RGB")


def _small(image: "Image.Image") -> "Image.Image":
    """160 px on the shorter side, and back."""
    from PIL import Image

    scale = 160 / min(image.size)
    if scale >= 1:
        return image
    size = [max(1, round(edge * scale)) for edge in image.size]
    return image.resize((size[0], size[1]), Image.Resampling.BICUBIC).resize(image.size, Image.Resampling.BICUBIC)


def _grey(image: "Image.Image") -> "Image.Image":
    return image.convert("L").convert("RGB")


def _blurred(image: "Image.Image") -> "Image.Image":
    from PIL import ImageFilter

    return image.filter(ImageFilter.GaussianBlur(min(image.size) / 128))


def _bordered(image: "Image.Image") -> "Image.Image":
    """A black border of a tenth of the shorter side."""
    from PIL import ImageOps

    return ImageOps.expand(image, max(1, min(image.size) // 10), "black")


def _flipped(image: "Image.Image") -> "Image.Image":
    from PIL import ImageOps

    return ImageOps.mirror(image)


ALTERATIONS: "Mapping[str, Callable[[Image.Image], Image.Image]]" = {
    "jpeg q30": _compressed, "160 px": _small, "grey": _grey, "blur": _blurred, "border": _bordered, "flip": _flipped,
}  # fmt: skip
