"""How much of a picture has the colour of light skin: the method of the 1990s, to compare with. Trained on nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curate.contracts import Decoded, Resources

if TYPE_CHECKING:
    import numpy as np


@dataclass
class Skin:
    """Shares of a picture whose pixels a rule on red, green and blue takes for skin. It votes on nothing, for a reason.

    The rule was written for light skin in daylight: dark skin it misses, sand, wood, fur and sunsets it takes for skin,
    and a face fills it as well as a body does. So what it finds says who is on a picture sooner than what they do, and
    no function should vote by it alone. Here it is a baseline: what a classifier has to beat.
    Columns: `share`, of all pixels, and `largest`, of the largest connected region, 0 to 1; of an animation the largest
    of three frames. Sources: Fleck, Forsyth and Bregler, ECCV 1996; the rule is Kovac, Peer and Solina's, EUROCON 2003.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = dict.fromkeys(("share", "largest"), "float32")
    over_frames: ClassVar[Mapping[str, str]] = dict.fromkeys(("share", "largest"), "max")

    def load(self) -> None:
        """Import what finds regions, on one thread."""
        import cv2

        cv2.setNumThreads(1)

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """Both shares of each picture."""
        import cv2
        import numpy as np

        found = np.zeros((len(batch), 2), np.float32)
        for place, one in enumerate(batch):
            mask = skin(np.asarray(one.image(self.needs.side)))
            _, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
            largest = stats[1:, cv2.CC_STAT_AREA].max(initial=0)
            found[place] = mask.mean(), largest / mask.size
        return dict(zip(self.columns, found.T, strict=True))


def skin(pixels: "np.ndarray") -> "np.ndarray":
    """Which pixels of uint8[h, w, 3] the rule takes for skin: bool[h, w]."""
    import numpy as np

    wide = pixels.astype(np.int16)
    red, green, blue = wide.transpose(2, 0, 1)
    spread = wide.max(axis=2) - wide.min(axis=2)
    found: np.ndarray = (red > 95) & (green > 40) & (blue > 20) & (spread > 15) & (red - green > 15) & (red > blue)
    return np.ascontiguousarray(found)
