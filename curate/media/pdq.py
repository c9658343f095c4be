"""PDQ, the 256-bit hash that screening lists speak: in all eight orientations, of every part of a file.

Source: Davis and Rosen, The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm (2019).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from PIL import Image

from curate.marks import fingerprint

if TYPE_CHECKING:
    import numpy as np

NAME = "pdq"
VERSION = 3
BITS = 256
BYTES = 32
ORIENTATIONS = 8
MAIN = "main"
MIN_QUALITY = 50  # below it a hash says too little of its picture to be matched
RADIUS = 31  # bits within which two pictures are the same to a screening list
MARK = fingerprint(NAME, VERSION)
VOID = tuple(fingerprint(NAME, version) for version in range(1, VERSION))  # marks of tables by rules that do not hold
ROUNDING = 0.01  # by which a coefficient of the full decode may differ from pdqhash's; 0.002 was the most seen
_SIDE, _LOW = 64, 16


@dataclass(frozen=True, slots=True)
class Pdq:
    """What PDQ says of one part of a file.

    `part`: "main" is the picture as it is shown; "frame:7", "page:2", "preview:0", "alpha:..." is what else is in the
    file. `hashes`: 8 x 32 bytes, upright first, then as `pdqhash.compute_dihedral` orders them (quarter turns 90, 180,
    270, mirrored in x, in y, in the diagonal, in the other one), each of the pixels so turned: from the coefficients of
    the upright one a mirrored picture's hash is only guessed, for fine textures up to 102 bits off. `quality`: 0..100.
    """

    part: str
    hashes: bytes
    quality: int

    @property
    def array(self) -> "np.ndarray":
        """The hashes as uint8[8, 32]."""
        import numpy as np

        return np.frombuffer(self.hashes, dtype=np.uint8).reshape(ORIENTATIONS, BYTES)


def compute(image: Image.Image, part: str = MAIN) -> Pdq:
    """The hashes that decide: `pdqhash` on the whole of an oriented RGB picture, at the size it has.

    A picture with a side of less than 5 px has hashes of zeros and quality 0. Bits are in the order of the hash's usual
    hex text.
    """
    import numpy as np
    import pdqhash

    picture = image.convert("RGB")
    pixels, quality = np.asarray(picture), 0
    known = _sure(picture)
    found = np.empty((ORIENTATIONS, BYTES), dtype=np.uint8)
    for mirror, places in zip(_MIRRORS, _PLACES, strict=True):
        down, across = mirror
        if mirror in known and mirror != _MIRRORS[-1]:
            found[list(places)] = known[mirror]
        else:
            vectors, quality = pdqhash.compute_dihedral(np.ascontiguousarray(pixels[::-down, ::-across]))
            found[list(places)] = np.packbits(np.asarray(vectors, dtype=np.uint8)[[0, 6]], axis=1)
    return Pdq(part, found.tobytes(), int(quality))


def _sure(picture: Image.Image) -> "dict[tuple[int, int], np.ndarray]":
    """Of a picture and its mirrors: both hashes of those whose every bit is pdqhash's own beyond doubt."""
    import numpy as np

    if min(picture.size) < _SMALLEST:
        return {}
    grey, down, across = _whole(picture)
    lows = _lows(grey, down, across)[1]
    sure = {one: low for one, low in lows.items() if (np.abs(low - _median(low)) < ROUNDING).sum() <= 1}
    return {one: np.packbits(np.stack([_bits(low), _bits(low.T)]), axis=1) for one, low in sure.items()}


# The picture as it is comes last: its quality counts. -1 leaves an axis as it is, 1 mirrors it. Each of the four gives
# two orientations, as it stands and mirrored in the diagonal, which the algorithm does exactly.
_MIRRORS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
_PLACES = ((2, 7), (4, 3), (5, 1), (0, 6))


def _whole(image: Image.Image) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """The luminance of an RGB picture as pdqhash has it, float32, and both axes' filters."""
    import numpy as np

    red, green, blue = (np.asarray(band).astype(np.float32) for band in image.split())
    grey = red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114)
    return grey, _filters(image.height, image.height, 1, 0), _filters(image.width, image.width, 1, 0)


def _lows(
    grey: "np.ndarray", down: "np.ndarray", across: "np.ndarray"
) -> "tuple[int, dict[tuple[int, int], np.ndarray]]":
    """The quality of a picture, and the coefficients of it and of its mirrors."""
    import numpy as np

    both = (down @ (grey @ across.T)).astype(np.float64).reshape(2, _SIDE, 2, _SIDE)
    lows = {(d, a): _cosines() @ both[int(d > 0), :, int(a > 0)] @ _cosines().T for d, a in _MIRRORS}
    return _quality(both[0, :, 0]), lows


_SMALLEST = 5  # px; a picture with a shorter side has no hash


def _median(low: "np.ndarray") -> float:
    """The lower median, as the reference has it."""
    import numpy as np

    return float(np.partition(low.ravel(), 127)[127])


def _bits(low: "np.ndarray") -> "np.ndarray":
    return (low > _median(low)).ravel()[::-1]


def _quality(buffer: "np.ndarray") -> int:
    """How much gradient there is, 0..100: whole steps of at least 1 % between neighbours."""
    import numpy as np

    steps = (np.trunc(np.abs(np.diff(buffer, axis=axis)) * (100 / 255)).sum() for axis in (0, 1))
    return min(100, int(sum(steps) / 90))


@lru_cache(maxsize=1)
def _cosines() -> "np.ndarray":
    """The DCT's rows 1..16 over 64 px; the mean (row 0) is left out."""
    import numpy as np

    at = np.outer(np.arange(1, _LOW + 1), 2 * np.arange(_SIDE) + 1)
    return np.asarray((2 / _SIDE) ** 0.5 * np.cos(np.pi / (2 * _SIDE) * at))


@lru_cache(maxsize=64)
def _filters(full: int, width: int, scale: int, before: int) -> "np.ndarray":
    """One axis of PDQ's way to 64 px as a matrix, and that of the mirrored axis below it: float32[128, width].

    Two box filters, then every so many px; these are not in the middle of what they stand for, so a mirror matters.

    Over an axis of `full` px that is seen in `width` px, each the mean of `scale`, of which `before` lie outside.
    """
    import numpy as np

    window = (full + 2 * _SIDE - 1) // (2 * _SIDE)
    ahead = (window + 2) // 2 - 1
    at = np.arange(full)
    first, last = np.maximum(at - (window - 1 - ahead), 0), np.minimum(at + ahead, full - 1)
    found = np.zeros((2 * _SIDE, width))
    for row, centre in enumerate(((np.arange(_SIDE) + 0.5) * full / _SIDE).astype(int)):
        near = np.arange(first[centre], last[centre] + 1)
        step = np.zeros(full + 1)
        weight = 1 / (len(near) * (last[near] - first[near] + 1))
        np.add.at(step, first[near], weight)
        np.add.at(step, last[near] + 1, -weight)
        weights = np.cumsum(step)[:full]
        np.add.at(found[row], (at + before) // scale, weights)
        np.add.at(found[_SIDE + row], (at + before) // scale, weights[::-1])
    return found.astype(np.float32)
