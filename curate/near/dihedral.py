"""Hashes of 8 x 8 signs under mirrors and quarter turns: which rows are near each other in some orientation.

Bit (u, v) of such a hash is the sign of the DCT coefficient of frequency u down and v across. To mirror the picture
left to right turns the sign where v is odd, upside down where u is odd; to mirror it in the diagonal transposes. So the
hash of each of the eight orientations is exact, every turn keeps distances, and its inverse finds the same pairs.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curate.near.components import Classes, Ids, Words, flatten, union
from curate.near.join import SMALL, join, pairs_of

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


def groups(hashes: Hashes, radius: int, *, old: Ids | None = None) -> Ids:
    """Which rows hang together through steps of at most `radius` bits in some orientation: each row's smallest fellow.

    `hashes` is uint8[n, 8]. With `old`, an answer for the first len(old) rows at the same radius, only the later ones
    are searched for, and the answer is the same. Upright neighbours are found as well.
    """
    if hashes.dtype != np.uint8 or hashes.ndim != 2 or hashes.shape[1] != SIDE:
        raise ValueError(f"hashes must be uint8[n, {SIDE}], not {hashes.dtype}{list(hashes.shape)}")
    words = np.ascontiguousarray(hashes).view(np.uint64)
    classes = Classes.of(words)
    parent, first, known = classes.first[classes.label], classes.first, 0
    if old is not None:
        union(parent, np.arange(len(old)), old)
        known = len(old)
    new = first[first >= known]
    if 8 * pairs_of(len(new), len(first), itself=False) <= SMALL:
        _plainly(hashes, new, first, radius, parent)
    else:
        from curate.near.orbits import join_orbits

        for near in join_orbits(words[:, 0], new, first, radius, parent):
            union(parent, near[:, 0], near[:, 1])
    return flatten(parent)


def _plainly(hashes: Hashes, new: Ids, every: Ids, radius: int, parent: Ids) -> None:
    """Each new row with every row, turn by turn."""
    if not len(new):
        return
    for turn in range(len(ORDER)):
        if turn == QUARTERS[1] and len(new) == len(every):
            continue  # which finds what the other quarter turn found
        words = np.concatenate([hashes[new], turned(hashes[every], turn)]).view(np.uint64)
        left, right = np.arange(len(new)), np.arange(len(new), len(words))
        for near in join(words, (left, right), radius, np.arange(len(words))):
            union(parent, new[near[:, 0]], every[near[:, 1] - len(new)])
