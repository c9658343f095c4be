"""A split of a release for torch's loaders."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

if TYPE_CHECKING:
    from curate.release.access import Release


class Pictures:
    """A map-style dataset of (picture, place of its label in the release's `classes`).

    Pictures are decoded when they are asked for, and may be so in several workers. `ids`, `labels`, `weights` (what the
    row should weigh in training, 0 to 1) and `groups` (of near-duplicates) are lists, in order.
    """

    def __init__(self, release: "Release", rows: Any, transform: Callable[[Any], Any] | None) -> None:
        """Over rows of the release, a pyarrow Table."""
        self.transform, self._release = transform, release
        self.ids, self.labels, self.weights, self.groups = (
            rows.column(name).to_pylist() for name in ("id", "label", "weight", "group")
        )
        place = {name: n for n, name in enumerate(release.classes)}
        self.targets = [place[label] for label in self.labels]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        with self._release.stored(self.ids[row]) as file, Image.open(file) as image:
            picture = ImageOps.exif_transpose(image).convert("RGB")
        return (self.transform(picture) if self.transform else picture), self.targets[row]
