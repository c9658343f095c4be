"""When two samples are near (a group, a part of it) and when they are one picture (a collapse set), pair by pair."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from curate.config import DedupeConfig
from curate.dedupe.animations import Animations
from curate.dedupe.groups import Alike, Rows
from curate.features import hashes
from curate.features.detail import DetailMaps
from curate.media import pdq, phash
from curate.near import cross, groups
from curate.near import turns as near_turns
from curate.store.workspace import Workspace

FLAT = 0.05  # of pHash's quality: below it a picture is of one colour, and PDQ says how that was rounded
EVERY = range(pdq.ORIENTATIONS)
TURNS = EVERY[1:]  # all orientations but upright
CHUNK = 16384  # thumbnails compared at a time
Told = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class HashArrays:
    """The hashes of samples, by row, and of whom they tell.

    `both` and `signs`, uint8[n, 2, 8], are pHash's bits, and those that mirrors and turns follow from, of the whole
    picture and of the one within its border; `told` bool[n, 2]. `pdq` uint8[n, 32] is upright; `lacking`, ascending,
    are the rows of which PDQ tells and pHash does not, with their eight orientations in `turned`, uint8[m, 8, 32]. A
    picture without texture has a hash that says nothing: such a row is near to nothing by that hash. `hashed` are the
    rows that have a pHash, whatever it says; `missing` those that lack a hash that the config asks for. `vectors` are
    embeddings of unit length, float32[n, d], or of length 0 where there is none; float32[0, 0] where none is asked for.
    """

    both: npt.NDArray[np.uint8]
    signs: npt.NDArray[np.uint8]
    told: Told
    pdq: npt.NDArray[np.uint8]
    by_pdq: Told
    lacking: Rows
    turned: npt.NDArray[np.uint8]
    hashed: Told
    missing: Told
    vectors: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))

    @classmethod
    def from_workspace(cls, ws: Workspace, ids: Sequence[str], config: DedupeConfig | None = None) -> "HashArrays":
        """Read those that the config asks for: the workspace's, where no other is given."""
        config, found = config or ws.config.dedupe, hashes.read(ws, ids)
        told = found.known[:, None] & (found.qualities >= config.phash_quality) & config.by_phash
        told[:, 1] &= config.borders
        upright, turned = np.zeros((len(ids), pdq.BYTES), dtype=np.uint8), hashes.read_pdq(ws, []).turned
        by_pdq, missing = np.zeros(len(ids), dtype=bool), ~found.known
        untold = np.flatnonzero(~told[:, 0]) if config.orientations else np.empty(0, dtype=np.int64)
        if config.by_pdq:
            read = hashes.read_pdq(ws, ids, 1, untold)
            upright, turned = read.hashes[:, 0], read.turned
            by_pdq, missing = read.tells(config.pdq_quality) & (found.quality >= FLAT), ~(found.known & read.known)
        lacking, turned = untold[by_pdq[untold]], turned[by_pdq[untold]] if len(turned) else turned
        return cls(found.both, found.signs, told, upright, by_pdq, lacking, turned, found.known, missing)

    def between(self, begin: int, end: int) -> "HashArrays":
        """Those of the rows from `begin` to `end`, which then count from 0; no vectors."""
        inside = slice(*np.searchsorted(self.lacking, [begin, end]))
        rows = slice(begin, end)
        some = (self.both[rows], self.signs[rows], self.told[rows], self.pdq[rows], self.by_pdq[rows])
        turned = self.lacking[inside] - begin, self.turned[inside]
        return HashArrays(*some, *turned, self.hashed[rows], self.missing[rows])

    @property
    def phash(self) -> npt.NDArray[np.uint8]:
        """pHash of the whole pictures: uint8[n, 8]."""
        return self.both[:, 0]

    @property
    def by_phash(self) -> Told:
        """Whom it tells of: bool[n]."""
        return self.told[:, 0]


def near(looks: HashArrays, config: DedupeConfig) -> Alike:
    """Whether two rows are within the group radius of one of the hashes."""
    place = np.full(len(looks.pdq), -1, dtype=np.int64)
    place[looks.lacking] = np.arange(len(looks.lacking))

    def alike(left: Rows, right: Rows) -> Told:
        found = _within(looks.pdq, looks.by_pdq, left, right, config.pdq_group_radius)
        for mine, theirs in np.ndindex(2, 2):
            told = looks.told[left, mine] & looks.told[right, theirs]
            found |= told & (_apart(looks.both[left, mine], looks.both[right, theirs]) <= config.group_radius)
            some = np.flatnonzero(told & ~found) if config.orientations else np.empty(0, dtype=np.int64)
            here, there = looks.signs[left[some], mine], looks.signs[right[some], theirs]
            for turn in EVERY if some.size else ():
                found[some] |= _apart(near_turns.turned(here, turn), there) <= config.turned_radius
        for one, other in ((left, right), (right, left)):
            asked = np.flatnonzero((place[one] >= 0) & looks.by_pdq[other])
            turns, upright = looks.turned[place[one[asked]]], looks.pdq[other[asked]][:, None]
            found[asked] |= (_apart(turns, upright) <= config.pdq_group_radius).any(axis=1)
        if len(looks.vectors):
            found |= cosines(looks.vectors, left, right) >= config.cosine
        return found

    return alike


def crossings(left: HashArrays, right: HashArrays, config: DedupeConfig) -> Iterator[tuple[str, int, Rows]]:
    """What of two sides is near by all but upright PDQ: how, its radius, rows of both as int64[m, 2]."""
    (rows, form), (others, other) = np.nonzero(left.told), np.nonzero(right.told)
    found = cross(left.both[rows, form], right.both[others, other], config.group_radius)
    yield "pHash", config.group_radius, _pairs(rows, others, found)
    if config.orientations:
        turned = np.concatenate([near_turns.turned(right.signs[others, other], turn) for turn in EVERY])
        found = cross(left.signs[rows, form], turned, config.turned_radius)
        yield "pHash, mirrored or turned", config.turned_radius, _pairs(rows, np.tile(others, len(EVERY)), found)
    rows, others = np.flatnonzero(left.by_pdq), np.flatnonzero(right.by_pdq)
    if config.orientations:
        flat, mine, theirs = (-1, pdq.BYTES), np.repeat(left.lacking, len(TURNS)), np.repeat(right.lacking, len(TURNS))
        found = cross(left.pdq[rows], right.turned[:, 1:].reshape(flat), config.pdq_group_radius)
        some = _pairs(rows, theirs, found)
        found = cross(left.turned[:, 1:].reshape(flat), right.pdq[others], config.pdq_group_radius)
        some = np.concatenate([some, _pairs(mine, others, found)])
        yield "PDQ, mirrored or turned", config.pdq_group_radius, np.unique(some, axis=0)


def _pairs(rows: Rows, others: Rows, found: Rows) -> Rows:
    return np.unique(np.stack([rows[found[:, 0]], others[found[:, 1]]], axis=1), axis=0)


def tight(looks: HashArrays, grouped: Rows, config: DedupeConfig) -> Rows:
    """Component labels under the collapse radius: only rows of one component can be one picture."""
    told, hashed, radius = looks.by_phash, looks.phash, config.collapse_radius
    if not config.by_phash:
        told, hashed, radius = looks.by_pdq, looks.pdq, config.pdq_collapse_radius
    rows, labels = several(grouped), np.arange(len(grouped))
    rows = rows[told[rows]]
    if rows.size:
        labels[rows] = rows[groups(hashed[rows], radius)]
    return labels


def several(labels: Rows) -> Rows:
    """The rows that share a label with another."""
    return np.flatnonzero(np.bincount(labels, minlength=len(labels))[labels] > 1)


def one_picture(
    ws: Workspace, ids: Sequence[str], looks: HashArrays, labels: Rows, grains: DetailMaps, animations: Animations
) -> Alike:
    """Whether two rows show the same picture all over, of rows that share a label with another.

    Each hash that tells of both is within its collapse radius, thumbnails are equal to a few levels everywhere, and
    the detail is in the same places: what a mosaic hides no average shows. Of animations every frame is so.
    """
    rows = several(labels)
    thumbs, known = hashes.thumbs(ws, [ids[row] for row in rows.tolist()])
    config = ws.config.dedupe

    def alike(left: Rows, right: Rows) -> Told:
        same = np.ones(len(left), dtype=bool)
        for hashed, tells, radius in (
            (looks.phash, looks.by_phash, config.collapse_radius),
            (looks.pdq, looks.by_pdq, config.pdq_collapse_radius),
        ):
            same &= _within(hashed, tells, left, right, radius) | ~(tells[left] & tells[right])
        close = np.flatnonzero(same)
        a, b = np.searchsorted(rows, left[close]), np.searchsorted(rows, right[close])
        for at in range(0, len(close), CHUNK):
            some = slice(at, at + CHUNK)
            same[close[some]] = known[a[some]] & known[b[some]] & phash.same(thumbs[a[some]], thumbs[b[some]])
        close = np.flatnonzero(same)
        apart = close[left[close] != right[close]]
        if apart.size:
            same[apart] = grains.same(left[apart], right[apart])
            apart = apart[same[apart]]
            same[apart] = animations.same(left[apart], right[apart])
        return same

    return alike


def cosines(vectors: npt.NDArray[np.float32], left: Rows, right: Rows) -> npt.NDArray[np.float32]:
    """The cosine of each two rows of unit length."""
    found = np.empty(len(left), dtype=np.float32)
    for at in range(0, len(left), CHUNK):
        some = slice(at, at + CHUNK)
        np.einsum("ij,ij->i", vectors[left[some]], vectors[right[some]], out=found[some])
    return found


def _within(hashed: npt.NDArray[np.uint8], tells: Told, left: Rows, right: Rows, radius: int) -> Told:
    """Whether the hashes of two rows differ in at most `radius` bits, and tell of both."""
    found = tells[left] & tells[right]
    asked = np.flatnonzero(found)
    for at in range(0, len(asked), CHUNK * 16):
        some = asked[at : at + CHUNK * 16]
        found[some] = _apart(hashed[left[some]], hashed[right[some]]) <= radius
    return np.asarray(found)


def _apart(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """How many bits differ, over the last axis of bytes."""
    words, others = (np.ascontiguousarray(some).view(np.uint64) for some in (one, other))
    return np.asarray(np.bitwise_count(words ^ others).sum(axis=-1, dtype=np.int64))
