"""From a picture to the 64 x 64 px that PDQ makes of it: exactly, or rounded as pdqhash rounds."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    import numpy as np

    from curate.media.pdq_kernels import Axis

Turn = tuple[
    int, int, int
]  # 0 or 1 each: mirrored top to bottom, mirrored left to right, and after that in the diagonal
_STRIP = 1 << 22  # px; Pillow has a larger picture in several pieces


@dataclass
class Pixels:
    """An RGB picture with sides of 5 px or more."""

    picture: Image.Image

    def exact(self, side: int = 8) -> "tuple[np.ndarray, np.ndarray]":
        """The 64 x 64 px of the four mirrors, without drift: float64[2, 2, 64, 64]; [1, 0] is upside down. And the mean
        grey level of each `side` x `side` px, rounded: uint8[rows, columns].

        One pass over the pixels: integers, then sums over a few rows in single and all others in double precision.
        """
        import numpy as np

        from curate.media.pdq_kernels import PLACES, SIDE, add

        width, height = self.picture.size
        down, across = _axis(height), _axis(width)
        found, blocks = np.zeros((PLACES, PLACES)), np.zeros((-(-height // side), -(-width // side)))
        for top, words in self._strips():
            add(words, top, down, across, found, blocks, side)
        grey = np.rint(blocks / (1000 * _areas(width, height, side))).astype(np.uint8)
        return (found / 1000).reshape(2, SIDE, 2, SIDE).transpose(2, 0, 3, 1), grey

    def rounded(self, turn: Turn) -> "np.ndarray":
        """The 64 x 64 px of the picture so turned, every sum rounded as pdqhash does: float32[64, 64]."""
        from curate.media.pdq_kernels import shrunk

        down, across, flip = turn
        return shrunk(self._grey, down, across) if flip else shrunk(self._flipped, across, down)

    @cached_property
    def _grey(self) -> "np.ndarray":
        import numpy as np

        from curate.media.pdq_kernels import luminance

        grey = np.empty((self.picture.height, self.picture.width), dtype=np.float32)
        for top, words in self._strips():
            luminance(words, grey[top : top + len(words)])
        return grey

    @cached_property
    def _flipped(self) -> "np.ndarray":
        from curate.media.pdq_kernels import transposed

        return transposed(self._grey)

    def _strips(self) -> "Iterator[tuple[int, np.ndarray]]":
        """Pillow's own memory with the number of its first row, uint32[rows, width]; copies where it is in pieces."""
        width, height = self.picture.size
        rows = max(1, _STRIP // width)
        for top in range(0, height, rows):
            part = self.picture if rows >= height else self.picture.crop((0, top, width, min(top + rows, height)))
            yield top, words_of(part)


@lru_cache(maxsize=64)
def _axis(length: int) -> "Axis":
    from curate.media.pdq_kernels import axis

    return axis(length)


@lru_cache(maxsize=16)
def _areas(width: int, height: int, side: int) -> "np.ndarray":
    """How many px each block of `side` x `side` px has: those at two edges are cut."""
    import numpy as np

    rows, columns = (np.minimum(side, length - np.arange(0, length, side)) for length in (height, width))
    return np.asarray(np.outer(rows, columns))


def words_of(picture: Image.Image) -> "np.ndarray":
    """Pillow's own memory of an RGB picture, uint32[height, width]; a copy where it is in pieces."""
    import numpy as np
    import pyarrow as pa

    try:
        memory = pa.array(picture).buffers()[-1]
    except ValueError:  # in pieces all the same: PILLOW_BLOCK_SIZE can make them small
        memory = picture.tobytes("raw", "RGBX")
    return np.frombuffer(memory, dtype=np.uint32).reshape(picture.height, picture.width)


@cache
def cosines() -> "np.ndarray":
    """The DCT's rows 1..16 over 64 px, without the mean (row 0): float64[16, 64]."""
    import numpy as np

    return np.asarray((2 / 64) ** 0.5 * _waves())


@cache
def rounded_cosines() -> "np.ndarray":
    """The same as pdqhash rounds them: float32[16, 64]."""
    import numpy as np

    return np.asarray(float(np.float32((2 / 64) ** 0.5)) * _waves(), dtype=np.float32)


def _waves() -> "np.ndarray":
    import numpy as np

    return np.asarray(np.cos(np.pi / 2 / 64 * np.outer(np.arange(1, 17), 2 * np.arange(64) + 1)))


@cache
def faithful() -> bool:
    """Whether pdqhash, as it was compiled here, rounds as `rounded` does; ImportError where it is missing."""
    import numpy as np
    import pdqhash

    from curate.media.pdq_kernels import coefficients

    noise = np.random.default_rng(0).integers(0, 256, (150, 210, 3), dtype=np.uint8)
    found = coefficients(Pixels(Image.fromarray(noise)).rounded((0, 0, 0)), rounded_cosines())
    return bool(np.array_equal(found.ravel()[::-1], pdqhash.compute_float(noise)[0]))
