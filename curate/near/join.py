"""The join itself: numpy where that is quicker than loading a compiler, else slots, threads and compiled loops."""

from collections.abc import Iterator

import numpy as np

from curate.near.components import Ids, Words
from curate.near.sides import Sides, pairs_of

SMALL = 1 << 29  # words that numpy compares in about a second
BLOCK = 1 << 18  # pairs that numpy compares at once


def join(words: Words, sides: Sides, radius: int, joined: Ids) -> Iterator[Ids]:
    """Pairs of rows of `words` within `radius` bits, in blocks of int64[k, 2], each pair once, in no order.

    A pair is (left row, right row); of a join with itself either row may come first. Pairs with equal values in
    `joined` may be left out; the caller may join more values while it reads.
    """
    left, right = sides
    compared = pairs_of(len(left), len(left) if right is None else len(right), right is None)
    if compared * words.shape[1] <= SMALL:
        return _plainly(words, sides, radius)
    from curate.near.parallel import join_slots

    return join_slots(words, sides, radius, joined)


def _plainly(words: Words, sides: Sides, radius: int) -> Iterator[Ids]:
    left, right = sides
    others = left if right is None else right
    if not len(others):
        return
    step = max(1, BLOCK // len(others))
    for start in range(0, len(left), step):
        rows = left[start : start + step]
        columns = others[start + 1 :] if right is None else others
        row, column = _within(words[rows], words[columns], radius)
        if right is None:
            row, column = row[column >= row], column[column >= row]
        yield np.stack([rows[row], columns[column]], axis=1)


def _within(a: Words, b: Words, radius: int) -> tuple[Ids, Ids]:
    """The places (in a, in b) of hashes within the radius; a look at the first two words rules out nearly all."""
    apart = np.zeros((len(a), len(b)), dtype=np.uint16)
    for word in range(a.shape[1])[:2]:
        apart += np.bitwise_count(a[:, None, word] ^ b[None, :, word])
    row, column = np.nonzero(apart <= radius)
    whole = np.bitwise_count(a[row] ^ b[column]).sum(axis=1, dtype=np.int64)
    return row[whole <= radius], column[whole <= radius]
