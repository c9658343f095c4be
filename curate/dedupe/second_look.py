"""What looks alike by hashes that dedupe does not group by: a second opinion on what lies in different splits.

Candidates come from dHash. By itself it is right too seldom to refuse anything, so each is confirmed by the other
hashes and by the thumbnails themselves; docs/dedupe.md has what that finds, and that no hard pair is taken for a copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from curate.dedupe.groups import Rows
from curate.features import hashes
from curate.media import dhash
from curate.near import cross
from curate.records import SPLITS
from curate.store.workspace import Workspace

QUALITY = 2.0  # grey levels: below it dHash is rounding
RADIUS = 10  # bits of 64 of dHash across, of a candidate
DOWN = 12
BLOCKS = 10
PDQ = 90  # bits of 256
CORRELATION = 0.97  # of thumbnails
Bytes = npt.NDArray[np.uint8]
Told = npt.NDArray[np.bool_]
CHUNK = 16384  # pairs of thumbnails compared at a time


@dataclass(frozen=True)
class Looked:
    """What a second look found among n samples: confirmed pairs of rows, int64[m, 2], the one of the weaker split
    first; how many pairs were asked about, and how many samples have a hash that says something."""

    pairs: Rows
    candidates: int
    told: int


def across(ws: Workspace, ids: Sequence[str], splits: Rows) -> Looked:
    """Who looks alike in different splits; `splits` are places in SPLITS, int64[n], -1 for none.

    Reads tables that dedupe made, and decodes nothing; whoever has no thumbnail, or a plain one, is near to nothing.
    """
    found, told = _hashed(ws, ids)
    pairs = [np.empty((0, 2), dtype=np.int64)]
    sides = [np.flatnonzero(told & (splits == place)) for place in range(len(SPLITS))]
    for one, other in combinations(sides, 2):
        near = cross(found[one, 0], found[other, 0], RADIUS)
        pairs.append(np.stack([one[near[:, 0]], other[near[:, 1]]], axis=1))
    asked = np.concatenate(pairs)
    return Looked(asked[_confirmed(ws, ids, found, asked)], len(asked), int(told.sum()))


def _hashed(ws: Workspace, ids: Sequence[str]) -> tuple[Bytes, Told]:
    """dHash across and down, and wHash: uint8[n, 3, 8]; and of whom they tell."""
    found, told = np.zeros((len(ids), 3, dhash.SIDE), dtype=np.uint8), np.zeros(len(ids), dtype=bool)
    for at, thumbs in hashes.each_thumb(ws, ids):
        *three, quality = dhash.hashes(thumbs)
        found[at], told[at] = np.stack(three, axis=1), quality >= QUALITY
    return found, told


def _confirmed(ws: Workspace, ids: Sequence[str], found: Bytes, asked: Rows) -> Told:
    """Which pairs the other hashes and the thumbnails bear out."""
    right = by_bits(found, asked)
    some, places = np.unique(asked[right], return_inverse=True)
    names, pairs = [ids[row] for row in some.tolist()], places.reshape(-1, 2)
    by_pdq, (thumbs, _) = hashes.read_pdq(ws, names, 1), hashes.thumbs(ws, names)
    right[right] = by_pdq.known[pairs].all(axis=1) & borne_out(by_pdq.hashes[:, 0], thumbs, pairs)
    return right


def by_bits(found: Bytes, pairs: Rows) -> Told:
    """Whether dHash, across and down, and wHash, uint8[n, 3, 8], are within their radii: bool[m]."""
    words = np.ascontiguousarray(found).view(np.uint64)[:, :, 0]
    bits = np.bitwise_count(words[pairs[:, 0]] ^ words[pairs[:, 1]])
    return np.asarray((bits <= (RADIUS, DOWN, BLOCKS)).all(axis=1))


def borne_out(by_pdq: Bytes, thumbs: Bytes, pairs: Rows) -> Told:
    """Whether PDQ, uint8[n, 32], and thumbnails, uint8[n, 1024], say so, too: bool[m]."""
    words = np.ascontiguousarray(by_pdq).view(np.uint64)
    apart = np.bitwise_count(words[pairs[:, 0]] ^ words[pairs[:, 1]]).sum(axis=1, dtype=np.int64)
    return np.asarray((apart <= PDQ) & (_alike(thumbs, pairs) >= CORRELATION))


def _alike(thumbs: Bytes, pairs: Rows) -> npt.NDArray[np.float64]:
    """The correlation of two thumbnails each: float64[m], in whole numbers till the end."""
    found = np.zeros(len(pairs))
    for at in range(0, len(pairs), CHUNK):
        one, other = (thumbs[pairs[at : at + CHUNK, side]].astype(np.int64) for side in (0, 1))
        n, sums, others = thumbs.shape[1], one.sum(axis=1), other.sum(axis=1)
        spread = (n * (one * one).sum(axis=1) - sums**2) * (n * (other * other).sum(axis=1) - others**2).astype(float)
        shared = n * (one * other).sum(axis=1) - sums * others
        found[at : at + CHUNK] = np.where(spread > 0, shared / np.sqrt(np.where(spread > 0, spread, 1)), 0)
    return found
