"""A split of a release for torch's loaders."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

if TYPE_CHECKING:
    from curate.release.access import Release


class Pictures:
    """A map-style dataset of (picture, place of its label).

    Pictures are decoded when they are asked for, and may be so in several workers.
    """

    def __init__(
        self, release: "Release", ids: Sequence[str], labels: Sequence[str], transform: Callable[[Any], Any] | None
    ) -> None:
        self.ids, self.transform, self._release = ids, transform, release
        place = {name: n for n, name in enumerate(release.classes)}
        self.targets = [place[label] for label in labels]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        with self._release.stored(self.ids[row]) as file, Image.open(file) as image:
            picture = ImageOps.exif_transpose(image).convert("RGB")
        return (self.transform(picture) if self.transform else picture), self.targets[row]
