"""The eight orientations of a 64-bit hash of 8 x 8 values."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curate.near.components import Words

Hashes = npt.NDArray[np.uint8]
SIDE = 8
# Mirrored top to bottom, mirrored left to right, after that in the diagonal: in pdqhash's order, as PDQ's hashes are.
ORDER = ((0, 0, 0), (0, 1, 1), (1, 1, 0), (1, 0, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1))
QUARTERS = (1, 3)  # the two that are each other's inverse; all others are their own


class Turns(NamedTuple):
    """What each orientation does to a number of bits: whether it takes the transposed one, and which bits it flips.

    `flips` is uint64[8]; of a transposed hash they are the bits after that.
    """

    transposed: npt.NDArray[np.bool_]
    flips: Words


def turns() -> Turns:
    """The eight, of a whole hash as one word (bytes in the order of memory, the high bit of each first)."""
    odd = np.arange(SIDE) % 2 == 1
    found = []
    for down, across, flip in ORDER:
        signs = (odd[:, None] & bool(down)) ^ (odd[None, :] & bool(across))
        found.append(np.packbits(signs.T if flip else signs).view(np.uint64)[0])
    return Turns(np.array([flip == 1 for _, _, flip in ORDER]), np.array(found, dtype=np.uint64))


def turned(hashes: Hashes, turn: int) -> Hashes:
    """The hashes of the pictures in one orientation: uint8[n, 8] of uint8[n, 8]."""
    how = turns()
    given = transposed(hashes) if how.transposed[turn] else hashes
    return given ^ how.flips[[turn]].view(np.uint8)


def transposed(hashes: Hashes) -> Hashes:
    """Those of the pictures mirrored in the diagonal: uint8[n, 8] of uint8[n, 8]."""
    bits = np.unpackbits(hashes, axis=1).reshape(-1, SIDE, SIDE)
    return np.packbits(bits.transpose(0, 2, 1).reshape(-1, SIDE * SIDE), axis=1)
