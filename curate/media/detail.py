"""How much detail there is in each place of a picture: what a mosaic takes away, and no average shows."""

from typing import TYPE_CHECKING

from PIL import Image

from curate.fingerprint import fingerprint
from curate.media.decode import luminance

if TYPE_CHECKING:
    import numpy as np

NAME = "grain"
VERSION = 1
DECODED = 256  # px of the shorter side from which a JPEG is decoded
SIDE = 192  # px of the luminance that is looked at, whatever the picture's size and shape
CELLS = 32  # a side
FLOOR = 20.0  # grey levels squared: differences of flat places are noise
STEP = 0.03  # nats of a stored number
SAME = 0.33  # nats by which the detail of four cells may differ between two versions of one picture
MARK = fingerprint(NAME, VERSION, DECODED, SIDE, CELLS)


def detail_map(image: Image.Image) -> bytes:
    """The variance of the luminance within each of 32x32 cells, on a log scale: 1,024 bytes, row by row.

    From an opened image; raises ItemError.
    """
    return of_grey(luminance(image, DECODED).image)


def of_grey(picture: Image.Image) -> bytes:
    """The same of a picture's luminance, in mode L."""
    import numpy as np

    levels = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), dtype=np.float32)
    variance = levels.reshape(CELLS, SIDE // CELLS, CELLS, SIDE // CELLS).var(axis=(1, 3))
    steps = np.rint(np.log1p(variance / FLOOR) / STEP).clip(0, 255)
    return bytes(steps.astype(np.uint8).tobytes())


def same(left: "np.ndarray", right: "np.ndarray") -> "np.ndarray":
    """Whether no place lost detail, or gained it, that the picture as a whole did not: bool[n], of uint8[n, 1024] each.

    A smaller or coarser copy has less of it everywhere, which is what the median takes out. A mosaic that hides nothing
    (over a clear sky) changes nothing either.
    """
    import numpy as np

    apart = (left.astype(np.int16) - right.astype(np.int16)).astype(np.float32) * STEP
    apart -= np.median(apart, axis=1, keepdims=True)
    cells = apart.reshape(-1, CELLS, CELLS)
    four = (cells[:, 1:, 1:] + cells[:, :-1, 1:] + cells[:, 1:, :-1] + cells[:, :-1, :-1]) / 4
    return np.asarray((np.abs(four) <= SAME).all(axis=(1, 2)))
