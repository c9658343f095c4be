"""Clusters of vectors: spherical k-means on a part of the rows, to which the others are then assigned in chunks."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

FIT = 20_000  # rows that centres are fitted on
CHUNK = 10_000  # rows that are read and assigned at a time
ROUNDS = 20
SEED = 0


class Clustered:
    """`label` int64[n]: the cluster of each row, -1 where it has no vector; `cosine` float32[n] to its centre, NaN."""

    def __init__(self, n: int) -> None:
        self.label = np.full(n, -1, dtype=np.int64)
        self.cosine = np.full(n, np.nan, dtype=np.float32)


def cluster(read: Callable[[Ints], npt.NDArray[np.floating]], n: int, k: int) -> Clustered:
    """k clusters, or fewer, of n rows; `read` gives some rows, float[r, d], NaN where nothing is known.

    Vectors are taken about the mean of those that centres are fitted on, the first FIT, since features of networks all
    point one way. The same rows, the same clusters.
    """
    found = Clustered(n)
    first = _known(np.asarray(read(np.arange(min(n, FIT))), dtype=np.float32))
    if not len(first) or k < 1:
        return found
    middle = first.mean(axis=0)
    centres = _kmeans(unit(first - middle), k)
    for start in range(0, n, CHUNK):
        rows = np.arange(start, min(start + CHUNK, n))
        vectors = np.asarray(read(rows), dtype=np.float32)
        there = np.isfinite(vectors).all(axis=1)
        near = unit(vectors[there] - middle) @ centres.T
        found.label[rows[there]] = near.argmax(axis=1)
        found.cosine[rows[there]] = near.max(axis=1, initial=-1.0)
    return found


def _known(vectors: Floats) -> Floats:
    return np.asarray(vectors[np.isfinite(vectors).all(axis=1)])


def unit(vectors: Floats) -> Floats:
    """Rows of length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def _kmeans(rows: Floats, k: int) -> Floats:
    """Centres float32[k, d] of length 1 (Dhillon & Modha 2001), begun far apart (Arthur & Vassilvitskii 2007)."""
    rng, k = np.random.default_rng(SEED), min(k, len(rows))
    chosen = [int(rng.integers(len(rows)))]
    far = 1 - rows @ rows[chosen[0]]
    while len(chosen) < k and (weights := np.maximum(far, 0) ** 2).sum() > 0:
        chosen.append(int(rng.choice(len(rows), p=weights / weights.sum())))
        far = np.minimum(far, 1 - rows @ rows[chosen[-1]])
    centres = rows[chosen]
    before = None
    for _ in range(ROUNDS):
        label = (rows @ centres.T).argmax(axis=1)
        if before is not None and np.array_equal(label, before):
            break
        before = label
        sums = np.zeros_like(centres)
        np.add.at(sums, label, rows)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), centres).astype(np.float32)
    return centres
