"""PDQ, the 256-bit hash that screening lists speak: in all eight orientations, of every part of a file.

Source: Davis and Rosen, The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm (2019): two box
filters a direction, 64 x 64 px of what they leave, the 16 x 16 lowest coefficients of its DCT without the mean, and a
bit for each that is above their median.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from PIL import Image

from curate.errors import GateError
from curate.fingerprint import fingerprint
from curate.media.pdq_pixels import Pixels, Turn, cosines, faithful, rounded_cosines

if TYPE_CHECKING:
    import numpy as np

NAME = "pdq"
VERSION = 4
BITS = 256
BYTES = 32
ORIENTATIONS = 8
MAIN = "main"
MIN_QUALITY = 50  # below it a hash says too little of its picture to be matched
TOLERATED = 4  # bits by which the same pixels may have another hash here than by pdqhash
RADIUS = 31  # bits within which two pictures are the same to a screening list
FINGERPRINT = fingerprint(NAME, VERSION)
VOID = tuple(fingerprint(NAME, version) for version in range(1, VERSION))  # marks of tables by rules that do not hold
_SMALLEST = 5  # px; a picture with a shorter side has no hash


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


# What the eight are, in their order. Each mirror of the picture gives two, as it stands and mirrored in the diagonal.
_TURNS: tuple[Turn, ...] = (
    (0, 0, 0), (0, 1, 1), (1, 1, 0), (1, 0, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1),
)  # fmt: skip


def load() -> None:
    """Import and compile what the first picture would otherwise wait for; ImportError where PDQ is missing.

    Raises GateError where it does not find what pdqhash finds: whoever hashes has loaded this, in the same process.
    """
    import numpy as np
    import pdqhash

    for picture in probes():
        bits, quality = pdqhash.compute(picture)
        found = compute(Image.fromarray(picture))
        apart = int(np.bitwise_count(found.array[0] ^ np.packbits(bits.astype(np.uint8))).sum())
        if apart > TOLERATED or found.quality < MIN_QUALITY or quality < MIN_QUALITY:
            raise GateError(f"PDQ does not work here: {apart} bits of a known picture's hash are wrong")


def probes() -> "list[np.ndarray]":
    """Two pictures of noise, which PDQ must tell apart: uint8[96, 64, 3]."""
    import numpy as np

    return [np.random.default_rng(n).integers(0, 256, (96, 64, 3), dtype=np.uint8) for n in range(2)]


def compute(image: Image.Image, part: str = MAIN) -> Pdq:
    """The PDQ of an oriented picture in eight orientations: within TOLERATED bits of pdqhash's, mostly equal to it.

    RGB; other modes are converted. A picture with a side of less than 5 px has hashes of zeros and quality 0. Bits are
    in the order of the hash's usual hex text. The quality is at most 1 off, and on pdqhash's side of MIN_QUALITY.

    Coefficients are exact here, while pdqhash's have drifted by up to `drift`. Where that could turn more than
    TOLERATED bits of an orientation (patterns, symmetry), or decide whether a picture is compared at all, its whole
    arithmetic is repeated in its order, or, where its binary rounds otherwise on this machine, it is called. Not so for
    the bits of a picture below MIN_QUALITY, which nobody compares.
    """
    return with_grey(image, 8, part)[0]


def with_grey(image: Image.Image, side: int, part: str = MAIN) -> "tuple[Pdq, np.ndarray]":
    """The same, and the mean grey level of each `side` x `side` px, uint8[rows, columns], from the one pass."""
    import numpy as np

    picture = image if image.mode == "RGB" else image.convert("RGB")
    if min(picture.size) < _SMALLEST:
        return Pdq(part, bytes(ORIENTATIONS * BYTES), 0), np.asarray(picture.reduce(side).convert("L"))
    faithful()  # without pdqhash there is no PDQ: not now and then, when a doubt comes, but from the first picture on
    pixels, most = Pixels(picture), drift(max(picture.size))
    squares, grey = pixels.exact(side)
    lows = (cosines() @ squares @ cosines().T).round(9)  # without what is left of sums that are zero
    turned = np.stack([lows[down, across].T if flip else lows[down, across] for down, across, flip in _TURNS])
    hashes, quality = _hashes(turned), _quality(squares[0, 0], most)
    if quality is None:
        quality = _decided(pixels, _TURNS[0])[1]
    for n in np.flatnonzero(_unsure(turned, most) > TOLERATED) if quality >= MIN_QUALITY else ():
        hashes[n] = _decided(pixels, _TURNS[n])[0]
    return Pdq(part, hashes.tobytes(), quality), grey


def drift(side: int) -> float:
    """How far pdqhash's lowest coefficient may lie from the exact one; `side`: the longer of the picture, in px.

    Coefficient (u, v), 1..16 each, drifts 1 / sqrt(u * v) as far; steps between the 64 x 64 px a fifth. pdqhash's sums
    run along whole rows and columns in single precision. This is no bound that is proved, but a measured one: the most
    that was seen is two thirds of it, in chequered patterns, and under a half in photographs (`benchmarks.pdq`).
    """
    return 0.025 + 8e-6 * side


def _decided(pixels: Pixels, turn: Turn) -> "tuple[np.ndarray, int]":
    """The hash (uint8[32]) and the quality of the picture so turned, by pdqhash's arithmetic."""
    import numpy as np

    if faithful():
        from curate.media.pdq_kernels import coefficients

        square = pixels.rounded(turn)
        steps = np.abs(np.trunc(_steps(square))).sum(dtype=np.float64)
        return _hashes(coefficients(square, rounded_cosines())[None])[0], _graded(steps)
    import pdqhash

    down, across, flip = turn
    given = np.asarray(pixels.picture)[:: -1 if down else 1, :: -1 if across else 1]
    bits, quality = pdqhash.compute(np.ascontiguousarray(given.swapaxes(0, 1) if flip else given))
    return np.packbits(bits.astype(np.uint8)), int(quality)


def _hashes(lows: "np.ndarray") -> "np.ndarray":
    """Of coefficients [n, 16, 16] those above their lower median, as in the reference: uint8[n, 32]."""
    import numpy as np

    flat = lows.reshape(len(lows), BITS)
    return np.packbits((flat > np.partition(flat, BITS // 2 - 1, axis=1)[:, [BITS // 2 - 1]])[:, ::-1], axis=1)


def _unsure(lows: "np.ndarray", most: float) -> "np.ndarray":
    """How many coefficients may be on the other side of the median, or be the median: int[n] of float64[n, 16, 16]."""
    import numpy as np

    flat, far = lows.reshape(len(lows), BITS), most * _reach()
    median = np.argpartition(flat, BITS // 2 - 1, axis=1)[:, [BITS // 2 - 1]]
    apart = np.abs(flat - np.take_along_axis(flat, median, axis=1)) - (far + far[median])
    np.put_along_axis(apart, median, np.inf, axis=1)
    return np.asarray((apart <= 0).sum(axis=1))


@cache
def _reach() -> "np.ndarray":
    """How far each coefficient drifts beside the lowest: float64[256]."""
    import numpy as np

    return np.asarray(1 / np.sqrt(np.outer(np.arange(1, 17), np.arange(1, 17)))).ravel()


def _quality(square: "np.ndarray", most: float) -> int | None:
    """How much gradient there is, 0..100; None where steps that may round either way decide whether it is enough."""
    from curate.media.pdq_kernels import gradient

    least, greatest = (_graded(steps) for steps in gradient(square, most / 5 * 100 / 255))
    if greatest - least <= 1 and (least < MIN_QUALITY) == (greatest < MIN_QUALITY):
        return least
    return None


def _steps(square: "np.ndarray") -> "np.ndarray":
    """Between neighbours of the 64 x 64 px, in percent of the range of grey levels."""
    import numpy as np

    return np.concatenate([(square[:-1] - square[1:]).ravel(), (square[:, :-1] - square[:, 1:]).ravel()]) * 100 / 255


def _graded(steps: float) -> int:
    return min(100, int(steps) // 90)
