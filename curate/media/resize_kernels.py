"""The loops of Pillow's resize of 8-bit pixels, four weights at a time along rows that lie together in memory.

Pixels are Pillow's words (uint32[height, width]: four bytes each, all of which are resized). As Pillow has it: first
across, then down, rounded to whole levels after either; weights are whole numbers of 2**-BITS.
"""

import numpy as np
import numpy.typing as npt

from curate.compiled import compiled

BITS = 22
TAPS = 4  # weights that are taken at a time: their number is a multiple of it
STRIP = 64  # rows that are turned, resized across and turned back at a time: they stay in the processor's cache

_HALF, _SHIFT, _LEAST, _MOST = np.int32(1 << (BITS - 1)), np.int32(BITS), np.int32(0), np.int32(255)

Words = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]
Starts = npt.NDArray[np.int64]
Weights = npt.NDArray[np.int32]


@compiled
def resized(words: Words, lefts: Starts, across: Weights, tops: Starts, down: Weights) -> Words:
    """uint32[len(tops), len(lefts)]: each pixel the sum of those from its start on, times its weights."""
    height, width = words.shape
    found = np.empty((len(tops), len(lefts)), dtype=np.uint32)
    narrow = np.zeros((height, len(lefts)), dtype=np.uint32)
    turned = np.zeros((width, STRIP), dtype=np.uint32)
    columns = np.empty((len(lefts), STRIP), dtype=np.uint32)
    for top in range(0, height, STRIP):
        _turn(words[top : top + STRIP], turned)
        _weigh(turned.view(np.uint8), lefts, across, columns.view(np.uint8))
        _turn(columns[:, : height - top], narrow[top : top + STRIP])
    _weigh(narrow.view(np.uint8), tops, down, found.view(np.uint8))
    return found


@compiled
def _turn(given: Words, found: Words) -> None:
    height, width = given.shape
    for top in range(0, height, 16):
        for left in range(0, width, 16):
            for y in range(top, min(top + 16, height)):
                for x in range(left, min(left + 16, width)):
                    found[x, y] = given[y, x]


@compiled
def _weigh(rows: Bytes, starts: Starts, weights: Weights, found: Bytes) -> None:
    """Each row of `found` the weighted sum of rows, from its start on."""
    sums = np.empty(rows.shape[1], dtype=np.int32)
    for n in range(len(starts)):
        sums[:] = _HALF
        for tap in range(0, weights.shape[1], TAPS):
            a, b, c, d = weights[n, tap], weights[n, tap + 1], weights[n, tap + 2], weights[n, tap + 3]
            start = starts[n] + tap
            first, second, third, fourth = rows[start], rows[start + 1], rows[start + 2], rows[start + 3]
            for x in range(len(sums)):
                sums[x] += (
                    np.int32(first[x]) * a + np.int32(second[x]) * b + np.int32(third[x]) * c + np.int32(fourth[x]) * d
                )
        row = found[n]
        for x in range(len(sums)):
            row[x] = min(max(sums[x] >> _SHIFT, _LEAST), _MOST)
