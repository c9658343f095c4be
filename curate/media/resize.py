"""Pillow's bicubic resize, and its very bytes in a third of the time where many pictures are to come."""

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from PIL import Image

from curate.media.pdq_pixels import words_of

if TYPE_CHECKING:
    import numpy as np

    Axis = tuple["np.ndarray", "np.ndarray"]

_GAP = 3.0  # Pillow averages whole blocks of pixels before, where a side becomes twice as many times shorter
_LEAST = 32  # px of a side, below which there is nothing to win
_MOST = 2**23  # px of a picture: the loops want a copy of one that Pillow has in pieces, and memory is counted
_loops = False
log = logging.getLogger(__name__)


def load() -> None:
    """Compile the loops, and resize with them in this process from here on; with Pillow where they find other bytes."""
    global _loops
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 256, (72, 96, 3), dtype=np.uint8)
    probes = [(Image.fromarray(noise), (53, 41)), (Image.fromarray(noise.reshape(96, 72, 3)), (17, 19))]
    _loops = all(_bicubic(*probe).tobytes() == _pillow(*probe).tobytes() for probe in probes)
    if not _loops:
        log.info("pictures are resized by Pillow: the faster loops find other bytes here")


def bicubic(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The whole picture at a smaller `size` (width, height), as `Image.resize` has it with a reducing gap of 3.

    Pillow itself makes what lies in several steps (a side that becomes far shorter, a picture that loses more than
    twice as many rows as columns, which it resizes down first), and what is so large that memory counts.
    """
    lost = [own - new for own, new in zip(image.size, size, strict=True)]
    whole = all(own < 2 * _GAP * new for own, new in zip(image.size, size, strict=True))
    fits = min(image.size) >= _LEAST and image.width * image.height <= _MOST
    usual = image.mode == "RGB" and fits and min(lost) >= 0 and lost[1] <= 2 * lost[0]
    return _bicubic(image, size) if _loops and whole and usual else _pillow(image, size)


def _pillow(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=_GAP)


def _bicubic(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    from curate.media.resize_kernels import resized

    (width, height), (wide, high) = image.size, size
    found = resized(words_of(image), *_axis(width, wide), *_axis(height, high))
    return Image.frombytes("RGB", size, found, "raw", "RGBX")


@lru_cache(maxsize=64)
def _axis(length: int, size: int) -> "Axis":
    """Of each pixel of an axis that is resized: the first one that counts, and the weights of those from it on.

    int64[size], int32[size, n]. Source: Pillow's Resample.c, `precompute_coeffs` and `normalize_coeffs_8bpc`.
    """
    import numpy as np

    from curate.media.resize_kernels import BITS, TAPS

    scale = length / size
    wide = max(scale, 1.0)
    middles = (np.arange(size) + 0.5) * scale
    firsts = np.maximum((middles - 2 * wide + 0.5).astype(np.int64), 0)
    ends = np.minimum((middles + 2 * wide + 0.5).astype(np.int64), length)
    n = int((ends - firsts).max())
    n += -n % TAPS
    starts = np.minimum(firsts, length - n)
    places = starts[:, None] + np.arange(n)
    counts = (places >= firsts[:, None]) & (places < ends[:, None])
    weights = np.where(counts, _cubic(np.abs((places - middles[:, None] + 0.5) * (1.0 / wide))), 0.0)
    weights /= weights.cumsum(axis=1)[:, -1:]  # one after another, as Pillow adds them up
    return starts, np.trunc(weights * (1 << BITS) + np.where(weights < 0, -0.5, 0.5)).astype(np.int32)


def _cubic(x: "np.ndarray") -> "np.ndarray":
    import numpy as np

    a = -0.5
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, (((x - 5) * x + 8) * x - 4) * a
    return np.asarray(np.where(x < 1, near, np.where(x < 2, far, 0.0)))
