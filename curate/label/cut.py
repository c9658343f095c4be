"""Which weak labels to believe: those that lie among their like (the cut statistic)."""

import numpy as np
import numpy.typing as npt

NEIGHBOURS = 20
_BLOCK = 1024  # rows whose distances to all are held at a time
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def nearest(vectors: Floats, count: int = NEIGHBOURS) -> tuple[Ints, Floats]:
    """The `count` nearest of each row by cosine, itself left out: places int[n, count], distances float32[n, count].

    Exact, by blocks: n is bounded by whoever asks. Fewer columns where there are fewer rows.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, 1e-12)
    count = max(0, min(count, len(unit) - 1))
    places = np.zeros((len(unit), count), dtype=np.int64)
    distances = np.zeros((len(unit), count), dtype=np.float32)
    for start in range(0, len(unit) if count else 0, _BLOCK):
        near = unit[start : start + _BLOCK] @ unit.T
        rows = np.arange(len(near))
        near[rows, start + rows] = -np.inf
        found = np.argpartition(-near, count - 1, axis=1)[:, :count]
        places[start : start + len(near)] = found
        distances[start : start + len(near)] = 1 - np.take_along_axis(near, found, axis=1)
    return places, distances.clip(0)


def cut(labels: Ints, places: Ints, distances: Floats) -> npt.NDArray[np.float64]:
    """float64[n], how much more often a row's neighbours bear another label than chance would have it, in standard
    deviations: the lower, the surer the label (Lang et al. 2022; Muhlenbach et al. 2004).

    labels int[n] >= 0; a neighbour counts 1 / (1 + distance). A label that all rows have says nothing: 0.
    """
    shares = np.bincount(labels) / max(1, len(labels))
    own = shares[labels]
    weights = 1 / (1 + distances.astype(np.float64))
    cuts = (weights * (labels[places] != labels[:, None])).sum(axis=1)
    expected = (1 - own) * weights.sum(axis=1)
    spread = np.sqrt(own * (1 - own) * (weights**2).sum(axis=1))
    found = np.zeros(len(labels))
    np.divide(cuts - expected, spread, out=found, where=spread > 0)
    return found
