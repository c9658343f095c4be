"""How good a picture is as a picture: sharp, well lit, large enough, with something on it. Trained on nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curate.contracts import Decoded, Resources

if TYPE_CHECKING:
    import numpy as np

DARK, BRIGHT = 16, 239  # levels of luminance, below and above which a pixel shows nothing
LEAST = 3  # px of a side, below which no neighbours are there to look at


@dataclass
class Quality:
    """Plain measures of each picture, of its first frame; it votes on nothing, and is for functions of yours.

    Columns, of the picture with a shorter side of 256 px at most: `sharpness`, the variance of the Laplacian of the
    luminance, in squared levels: below 50 or so a photograph is blurred, and a clear sky is, too; `brightness` and
    `contrast`, mean and standard deviation of the luminance, 0 to 1; `dark` and `bright`, the shares of pixels near
    black and near white; `plain`, the share of the commonest colour (5 bits a channel): near 1 where there is next to
    nothing to see. Of the file as it is: `side`, the shorter one in px; `aspect`, the longer by the shorter. NaN where
    a side has fewer than 3 px. Source of the first: Pech-Pacheco et al., ICPR 2000.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("sharpness", "brightness", "contrast", "dark", "bright", "plain", "side", "aspect"), "float32"
    )
    slices: ClassVar[Mapping[str, tuple[str, float, float]]] = {
        "blurred": ("sharpness", 0, 50), "dark": ("brightness", 0, 0.2), "bright": ("brightness", 0.9, 1),
        "low contrast": ("contrast", 0, 0.08),
    }  # fmt: skip

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """The measures of each picture."""
        import numpy as np

        rows = [self._measured(one) for one in batch]
        return {name: np.array([row.get(name, np.nan) for row in rows], np.float32) for name in self.columns}

    def _measured(self, one: Decoded) -> dict[str, float]:
        import numpy as np

        pixels = np.asarray(one.image(self.needs.side))
        if min(pixels.shape[:2]) < LEAST:
            return {}
        grey = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        short, long = sorted((one.sample.width, one.sample.height))
        return {
            "sharpness": float(_laplacian(grey).var()),
            "brightness": float(grey.mean()) / 255,
            "contrast": float(grey.std()) / 255,
            "dark": float((grey < DARK).mean()),
            "bright": float((grey > BRIGHT).mean()),
            "plain": _commonest(pixels),
        } | ({"side": short, "aspect": long / short} if short else {})


def _laplacian(grey: "np.ndarray") -> "np.ndarray":
    """What each pixel differs from its four neighbours."""
    middle = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    found: np.ndarray = around - 4 * middle
    return found


def _commonest(pixels: "np.ndarray") -> float:
    import numpy as np

    red, green, blue = (pixels >> 3).astype(np.intp).transpose(2, 0, 1)
    return float(np.bincount((red << 10 | green << 5 | blue).ravel()).max() / red.size)
