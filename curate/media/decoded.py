"""One sample's pictures, decoded when first asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from PIL import Image

from curate.media.decode import Bounds, open_image, scaled
from curate.records import Sample


@dataclass
class StoredImage:
    """The `Decoded` view of a sample; each side is decoded once, from the bytes alone."""

    sample: Sample
    declared: Mapping[str, tuple[str, ...]]
    read: Callable[[], bytes]
    bounds: Bounds = field(default_factory=Bounds)
    _views: dict[int | None, Image.Image] = field(default_factory=dict, repr=False)

    def image(self, side: int | None) -> Image.Image:
        """Oriented RGB, transparency on white, first frame, shorter side at most `side` px (None: full)."""
        if side not in self._views:
            self._views[side] = scaled(open_image(self.read(), self.bounds), side)
        return self._views[side]
