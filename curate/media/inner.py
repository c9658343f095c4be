"""The picture within the picture: what is left of it without a border, a letterbox's bars, or the page around it.

A row is plain where it is of one grey level, nearly that of the picture's first or last row; the tallest band between
plain rows is kept, then the widest between plain columns, and so once more (an XY-cut, after Nagy and Seth:
"Hierarchical representation of optically scanned documents", 1984). So a caption in a bar, or a line of text on the
page, is left out.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

VERSION = 1
EVEN = 16  # grey levels within a plain row, and between two of them
LEAST = 0.2  # of a side that must be left, or nothing was a picture in a frame
MOST = 0.98  # of both sides: a frame that takes less is none
SMALLEST = 24  # px

Box = tuple[int, int, int, int]  # left, upper, right, lower, in px


def box(levels: "np.ndarray") -> Box | None:
    """Where the inner picture lies in grey levels uint8[rows, columns]; None where it is the whole, or too small."""
    height, width = levels.shape
    left, upper, right, lower = 0, 0, width, height
    for _ in range(2):
        begin, end = _band(levels[upper:lower, left:right])
        upper, lower = upper + begin, upper + end
        begin, end = _band(levels[upper:lower, left:right].T)
        left, right = left + begin, left + end
    if lower - upper < max(LEAST * height, SMALLEST) or right - left < max(LEAST * width, SMALLEST):
        return None
    if lower - upper >= MOST * height and right - left >= MOST * width:
        return None
    return left, upper, right, lower


def _band(levels: "np.ndarray") -> tuple[int, int]:
    """The first row of the tallest band between plain rows, and the first one after it."""
    import numpy as np

    if (np.ptp(levels[[0, -1]], axis=1) > EVEN).all():
        return 0, len(levels)
    darkest, lightest = levels.min(axis=1).astype(np.int16), levels.max(axis=1).astype(np.int16)
    even, level = lightest - darkest <= EVEN, (darkest + lightest) // 2
    plain = np.zeros(len(levels) + 2, dtype=bool)
    plain[[0, -1]] = True
    for end, beside in (
        (0, min(1, len(level) - 1)),
        (-1, max(-2, -len(level))),
    ):  # an end may lie across a frame's edge
        for row in (end, beside) if even[end] else ():
            if even[row]:
                plain[1:-1] |= even & (np.abs(level - level[row]) <= EVEN)
    edges = np.flatnonzero(np.diff(plain))
    if not edges.size:
        return 0, len(levels)
    begins, ends = edges[0::2], edges[1::2]
    tallest = int((ends - begins).argmax())
    return int(begins[tallest]), int(ends[tallest])
