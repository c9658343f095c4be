"""Features of altered pictures, as more rows to learn from: what a backbone says of train's pictures, each cropped,
mirrored, turned a little, recoloured, re-encoded or partly covered, by lots that the seed and the sample draw."""

import copy
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curate.contracts import Decoded, Resources
from curate.features.devices import device_of
from curate.plugins import fingerprint_of, name_of

if TYPE_CHECKING:
    from PIL import Image

COLUMN = "embedding"
CROP, TURN, COLOUR, QUALITY, COVER = (0.6, 1.0), 10.0, (0.8, 1.2), (30, 90), (0.02, 0.15)
"""Share of the sides that stays, degrees, factors, JPEG quality, share of the area: from and to."""


@dataclass
class Altered:
    """A backbone that is shown altered pictures; what it says is kept in a table of its own (`augment@...`).

    `of`: the backbone's fingerprint; `ways`: which alterations; `number`: of the copy; the same of all, the same bytes.
    """

    inner: Any
    of: str
    ways: tuple[str, ...]
    number: int
    seed: int
    version: ClassVar[int] = 1

    @property
    def needs(self) -> Resources:
        """What the backbone takes."""
        needs: Resources = self.inner.needs
        return needs

    @property
    def columns(self) -> Mapping[str, str]:
        """The backbone's features."""
        return {COLUMN: self.inner.columns[COLUMN]}

    @property
    def device(self) -> str:
        """What the backbone runs on."""
        return device_of(self.inner)

    @property
    def reads(self) -> Sequence[Path]:
        """What the backbone may read."""
        return tuple(getattr(self.inner, "reads", ()))

    @property
    def network(self) -> bool:
        """Whether the backbone asks for the internet."""
        return bool(getattr(self.inner, "network", False))

    def load(self) -> None:
        """Load a copy of the backbone."""
        self.inner = copy.copy(self.inner)
        self.inner.load()

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        """The features of each picture, altered."""
        said = self.inner.label([_View(one, self) for one in batch])
        return {COLUMN: said[COLUMN]}


def altered(backbone: Any, ways: Sequence[str], number: int, seed: int) -> Altered:
    """The backbone, shown altered pictures: the copy of that number."""
    return Altered(backbone, f"{name_of(backbone)}@{fingerprint_of(backbone)}", tuple(sorted(ways)), number, seed)


class _View:
    """A picture as the backbone sees it."""

    def __init__(self, inner: Decoded, by: Altered) -> None:
        self._inner, self._by = inner, by

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def image(self, side: int | None) -> "Image.Image":
        said = f"{self._by.seed} {self._by.number} {self._inner.sample.id}"
        lots = np.random.default_rng(int.from_bytes(hashlib.sha256(said.encode()).digest()[:8]))
        return alter(self._inner.image(side), self._by.ways, lots)


def alter(image: "Image.Image", ways: Sequence[str], lots: np.random.Generator) -> "Image.Image":
    """An RGB picture, altered in these ways (all lots are drawn, so that one way does not move another's)."""
    drawn = lots.uniform(size=12)
    for way, change in _WAYS.items():
        if way in ways:
            image = change(image, drawn)
    return image


def _between(lot: float, ends: tuple[float, float]) -> float:
    return float(ends[0] + lot * (ends[1] - ends[0]))


def _crop(image: "Image.Image", drawn: np.ndarray) -> "Image.Image":
    width, height = (max(1, round(side * _between(drawn[0], CROP))) for side in image.size)
    left, top = round(drawn[1] * (image.width - width)), round(drawn[2] * (image.height - height))
    return image.crop((left, top, left + width, top + height))


def _flip(image: "Image.Image", drawn: np.ndarray) -> "Image.Image":
    from PIL import ImageOps

    return ImageOps.mirror(image) if drawn[3] < 0.5 else image


def _rotate(image: "Image.Image", drawn: np.ndarray) -> "Image.Image":
    from PIL import Image

    shade = tuple(int(one) for one in np.asarray(image).reshape(-1, 3).mean(axis=0))
    return image.rotate(_between(drawn[4], (-TURN, TURN)), Image.Resampling.BICUBIC, fillcolor=shade)


def _colour(image: "Image.Image", drawn: np.ndarray) -> "Image.Image":
    from PIL import ImageEnhance

    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for kind, lot in zip(kinds, drawn[5:8], strict=True):
        image = kind(image).enhance(_between(lot, COLOUR))
    return image


def _erase(image: "Image.Image", drawn: np.ndarray) -> "Image.Image":
    share = _between(drawn[8], COVER) ** 0.5
    width, height = (max(1, round(side * share)) for side in image.size)
    left, top = round(drawn[9] * (image.width - width)), round(drawn[10] * (image.height - height))
    image = image.copy()
    image.paste((127, 127, 127), (left, top, left + width, top + height))
    return image


def _jpeg(image: "Image.Image", drawn: np.ndarray) -> "Image.Image":
    from PIL import Image

    with io.BytesIO() as file:
        image.save(file, "JPEG", quality=round(_between(drawn[11], QUALITY)))
        file.seek(0)
        return Image.open(file, formats=("JPEG",)).convert("RGB")


_WAYS = {"crop": _crop, "flip": _flip, "rotate": _rotate, "colour": _colour, "erase": _erase, "jpeg": _jpeg}
