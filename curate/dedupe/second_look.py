"""What looks alike by hashes that dedupe does not group by: a second opinion on what lies in different splits.

Candidates are within RADIUS bits of one hash of 256: dHash across and down, wHash and pHash. By themselves such are
right too seldom to refuse anything, so each is confirmed by PDQ, further out than dedupe groups, and by the thumbnails
themselves. docs/dedupe.md has what that finds, and that no hard pair is taken for a copy.
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

QUALITY = 1.0  # grey levels: below it dHash is rounding
RADIUS = 31  # bits of 256, of a candidate
PDQ = 90  # bits of 256, of which strangers have 128
CORRELATION = 0.93  # of thumbnails
CHUNK = 16384  # pairs of thumbnails compared at a time
Bytes = npt.NDArray[np.uint8]
Told = npt.NDArray[np.bool_]


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
    found, told = np.zeros((len(ids), 4 * dhash.SIDE), dtype=np.uint8), np.zeros(len(ids), dtype=bool)
    for at, thumbs, phashes in hashes.each_thumb(ws, ids):
        found[at], told[at] = looks(thumbs, phashes)
    pairs = [np.empty((0, 2), dtype=np.int64)]
    for one, other in combinations([np.flatnonzero(told & (splits == place)) for place in range(len(SPLITS))], 2):
        near = cross(found[one], found[other], RADIUS)
        pairs.append(np.stack([one[near[:, 0]], other[near[:, 1]]], axis=1))
    asked = np.concatenate(pairs)
    return Looked(_confirmed(ws, ids, asked), len(asked), int(told.sum()))


def looks(thumbs: Bytes, phashes: Bytes) -> tuple[Bytes, Told]:
    """The hash that candidates are found by, uint8[n, 32], of thumbnails and their pHashes, and of whom it tells."""
    *three, quality = dhash.hashes(thumbs)
    return np.concatenate([*three, phashes], axis=1), quality >= QUALITY


def _confirmed(ws: Workspace, ids: Sequence[str], asked: Rows) -> Rows:
    """The pairs that PDQ and the thumbnails bear out."""
    names, pairs = _named(ids, asked)
    by_pdq = hashes.read_pdq(ws, names, 1)
    asked = asked[by_pdq.known[pairs].all(axis=1) & by_bits(by_pdq.hashes[:, 0], pairs)]
    names, pairs = _named(ids, asked)
    return asked[by_thumbs(hashes.thumbs(ws, names)[0], pairs)]


def _named(ids: Sequence[str], pairs: Rows) -> tuple[list[str], Rows]:
    """The samples that are in pairs of rows, and the pairs as places among these."""
    some, places = np.unique(pairs, return_inverse=True)
    return [ids[row] for row in some.tolist()], places.reshape(-1, 2)


def by_bits(by_pdq: Bytes, pairs: Rows) -> Told:
    """Whether PDQ, uint8[n, 32], bears pairs out: bool[m]."""
    words = np.ascontiguousarray(by_pdq).view(np.uint64)
    return np.asarray(np.bitwise_count(words[pairs[:, 0]] ^ words[pairs[:, 1]]).sum(axis=1, dtype=np.int64) <= PDQ)


def by_thumbs(thumbs: Bytes, pairs: Rows) -> Told:
    """Whether the correlation of thumbnails, uint8[n, 1024], does: bool[m]. Plain ones bear out nothing."""
    found = np.zeros(len(pairs), dtype=bool)
    for at in range(0, len(pairs), CHUNK):
        one, other = (thumbs[pairs[at : at + CHUNK, side]].astype(np.int64) for side in (0, 1))
        n, sums, others = thumbs.shape[1], one.sum(axis=1), other.sum(axis=1)
        spreads = [n * (some * some).sum(axis=1) - total**2 for some, total in ((one, sums), (other, others))]
        shared = n * (one * other).sum(axis=1) - sums * others
        length = np.sqrt(spreads[0].astype(np.float64)) * np.sqrt(spreads[1].astype(np.float64))
        found[at : at + CHUNK] = (length > 0) & (shared >= CORRELATION * length)
    return found
