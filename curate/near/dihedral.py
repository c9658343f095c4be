"""Hashes of 8 x 8 signs under mirrors and quarter turns: which rows are near each other in some orientation.

Bit (u, v) of such a hash is the sign of the DCT coefficient of frequency u down and v across. To mirror the picture
left to right turns the sign where v is odd, upside down where u is odd; to mirror it in the diagonal transposes. So the
hash of each of the eight orientations is exact, every turn keeps distances, and its inverse finds the same pairs.
"""

import numpy as np

from curate.near.components import Classes, Ids, flatten, union
from curate.near.join import SMALL, join
from curate.near.sides import pairs_of
from curate.near.turns import ORDER, QUARTERS, SIDE, Hashes, turned


def groups(hashes: Hashes, radius: int, *, old: Ids | None = None) -> Ids:
    """Connected components under Hamming distance <= `radius` in some orientation; labels as in `near.groups`.

    `hashes` is uint8[n, 8]. With `old`, an answer for the first len(old) rows at the same radius, only the later ones
    are searched for, and the answer is the same. Upright neighbours are found as well.
    """
    if hashes.dtype != np.uint8 or hashes.ndim != 2 or hashes.shape[1] != SIDE:
        raise ValueError(f"hashes must be uint8[n, {SIDE}], not {hashes.dtype}{list(hashes.shape)}")
    words = np.ascontiguousarray(hashes).view(np.uint64)
    classes = Classes.from_words(words)
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
