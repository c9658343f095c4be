"""A second pair of perceptual hashes, from the thumbnail that pHash is made from: nothing is decoded for them.

dHash (Krawetz 2013) says where a picture grows lighter, wHash (imagehash; one level of Haar's wavelet is the mean of a
block) where it is lighter than its median. Both are sums of whole numbers, so they come out the same everywhere.
"""

from functools import cache
from typing import TYPE_CHECKING

from curate.media.phash import THUMB

if TYPE_CHECKING:
    import numpy as np

SIDE = 8  # of a hash: 64 bits
_ROWS = 1 << 15  # thumbnails at a time


def hashes(thumbs: "np.ndarray") -> "tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]":
    """Of thumbnails, uint8[n, 1024]: dHash across and down, and wHash, uint8[n, 8] each; and dHash's quality.

    `quality` float32[n]: the median step between neighbouring fields, in grey levels, of the direction that has less.
    Where it is small, the hash says how a plain picture was rounded.
    """
    import numpy as np

    found = [_hashes(thumbs[at : at + _ROWS]) for at in range(0, len(thumbs), _ROWS)]
    if not found:
        none = np.zeros((0, SIDE), dtype=np.uint8)
        return none, none, none, np.zeros(0, dtype=np.float32)
    across, down, blocks, quality = (np.concatenate(some) for some in zip(*found, strict=True))
    return across, down, blocks, quality


def _hashes(thumbs: "np.ndarray") -> "tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]":
    import numpy as np

    grey = thumbs.reshape(len(thumbs), THUMB, THUMB).astype(np.float32)
    eight, nine = _areas(SIDE), _areas(SIDE + 1)
    across = np.diff(eight @ grey @ nine.T, axis=2).reshape(len(grey), -1)
    down = np.diff(nine @ grey @ eight.T, axis=1).reshape(len(grey), -1)
    blocks = (eight @ grey @ eight.T).reshape(len(grey), -1)
    steps = np.minimum(np.median(np.abs(across), axis=1), np.median(np.abs(down), axis=1))
    bits = (across > 0, down > 0, blocks > np.median(blocks, axis=1, keepdims=True))
    packed = [np.packbits(one, axis=1) for one in bits]
    return packed[0], packed[1], packed[2], steps / np.float32(THUMB * THUMB)


@cache
def _areas(fields: int) -> "np.ndarray":
    """How much of each pixel lies in each of so many fields, in parts of a pixel: float32[fields, THUMB]."""
    import numpy as np

    ends, pixels = np.arange(fields + 1) * THUMB, np.arange(THUMB + 1) * fields
    upper = np.minimum(ends[1:, None], pixels[None, 1:])
    lower = np.maximum(ends[:-1, None], pixels[None, :-1])
    return np.asarray(np.clip(upper - lower, 0, None), dtype=np.float32)
