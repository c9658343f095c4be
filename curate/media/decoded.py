"""One sample's pictures, decoded when first asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from PIL import Image

from curate.media import keyframes
from curate.media.decode import Bounds, load, open_image, scaled
from curate.policy.written import Written
from curate.records import Sample


@dataclass
class StoredImage(Written):
    """The `Decoded` view of a sample, or of one frame of it; each side is decoded once, from the bytes alone."""

    sample: Sample
    declared: Mapping[str, tuple[str, ...]]
    read: Callable[[], bytes]
    bounds: Bounds = field(default_factory=Bounds)
    number: int = 0  # of the frame
    _views: dict[int | None, Image.Image] = field(default_factory=dict, repr=False)
    _others: "list[StoredImage] | None" = field(default=None, repr=False)  # its other frames, once somebody asked

    def image(self, side: int | None) -> Image.Image:
        """Oriented RGB, transparency on white, one frame, shorter side at most `side` px (None: full)."""
        if side not in self._views:
            opened = open_image(self.read(), self.bounds)
            if self.number:
                load(opened, self.number)
            self._views[side] = scaled(opened, side)
        return self._views[side]

    def frames(self) -> "list[StoredImage]":
        """The first, the middle and the last distinct frame of an animation, itself first; itself alone of a still."""
        if self._others is None:
            still = self.sample.frames == 1
            numbers = [0] if still else keyframes.numbers(open_image(self.read(), self.bounds))
            self._others = [replace(self, number=number, _views={}) for number in numbers if number]
        return [self, *self._others]
