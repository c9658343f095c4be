"""A split of a release for torch's loaders."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from curate.errors import ItemError, StoreError
from curate.media.decode import Bounds, flattened, open_image

if TYPE_CHECKING:
    from curate.release.access import Release

_BOUNDS = Bounds(2**31, 1)  # whoever made the release had bounds


class Pictures:
    """A map-style dataset of (picture, place of its label in the release's `classes`).

    Pictures are decoded when they are asked for, and may be so in several workers: as labelers saw them, turned as they
    say, transparency on white. `ids`, `labels`, `weights` (what the
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

    def __repr__(self) -> str:
        return f"{len(self)} pictures of release {self._release.version}, with labels"

    def __getitem__(self, row: int) -> tuple[Any, int]:
        with self._release.stored(self.ids[row]) as file:
            data = file.read()
        try:
            picture = flattened(open_image(data, _BOUNDS), "RGB")
        except ItemError as error:
            raise StoreError(
                f"{self.ids[row]}: not the picture that was released ({error}); `curate verify`"
            ) from error
        return (self.transform(picture) if self.transform else picture), self.targets[row]
