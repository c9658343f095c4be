"""Rows that vote alike are one pattern: there are fewer of these, and each is answered once."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MOST = 200_000  # rows that a model is fitted on: more change no third digit, and cost minutes and gigabytes
_ROOM = 2**62  # of a code


def patterns(votes: "np.ndarray") -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """The distinct rows of votes int[n, m] in order, int[p, m]; of each row its place among them; how often each is.

    As np.unique(votes, axis=0) gives them, several times as fast: rows become numbers.
    """
    import numpy as np

    base = int(votes.max(initial=-1)) + 2  # -1 and up
    code, room = np.zeros(len(votes), dtype=np.int64), 1
    for column in votes.T:
        if room * base > _ROOM:
            known, code = np.unique(code, return_inverse=True)
            room = len(known)
        code = code * base + (column.astype(np.int64) + 1)
        room *= base
    _, first, place, counts = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
    return votes[first], place, counts


def spread(counts: "np.ndarray", most: int) -> "tuple[np.ndarray, np.ndarray]":
    """At most so many rows, evenly spaced over all in the order of their patterns: which patterns, and how many."""
    import numpy as np

    whole = int(counts.sum())
    if whole <= most:
        return np.arange(len(counts)), counts.astype(np.float64)
    places = ((np.arange(most) + 0.5) * whole / most).astype(np.int64)
    kept, taken = np.unique(np.searchsorted(np.cumsum(counts), places, side="right"), return_counts=True)
    return kept, taken.astype(np.float64)
