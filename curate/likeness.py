"""When two samples are near (a group, a part of it) and when they are one picture (a collapse set), pair by pair."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from curate import hashes
from curate.animations import Animations
from curate.config import DedupeConfig
from curate.grains import Grains
from curate.groups import Alike, Rows
from curate.media import pdq, phash
from curate.near import groups
from curate.store.workspace import Workspace

FLAT = 0.05  # of pHash's quality: below it a picture is of one colour, and PDQ says how that was rounded
CHUNK = 16384  # thumbnails compared at a time
Told = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Looks:
    """The hashes of samples, by row: phash uint8[n, 8], pdq uint8[n, 1 or 8, 32] (upright first), who they tell of.

    A picture without texture has a hash that says nothing: such a row is near to nothing by that hash. `hashed` are the
    rows that have a pHash, whatever it says; `missing` those that lack a hash that the config asks for. `vectors` are
    embeddings of unit length, float32[n, d], or of length 0 where there is none; float32[0, 0] where none is asked for.
    """

    phash: npt.NDArray[np.uint8]
    pdq: npt.NDArray[np.uint8]
    by_phash: Told
    by_pdq: Told
    hashed: Told
    missing: Told
    vectors: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))

    @classmethod
    def of(cls, ws: Workspace, ids: Sequence[str]) -> "Looks":
        """Read those that the config asks for."""
        config, found = ws.config.dedupe, hashes.read(ws, ids)
        told = found.known & (found.quality >= config.phash_quality) & config.by_phash
        if not config.by_pdq:
            none = np.zeros((len(ids), 1, pdq.BYTES), dtype=np.uint8)
            return cls(found.phash, none, told, np.zeros(len(ids), dtype=bool), found.known, ~found.known)
        turned = hashes.read_pdq(ws, ids, pdq.ORIENTATIONS if config.orientations else 1)
        by_pdq = turned.tells(config.pdq_quality) & (found.quality >= FLAT)
        return cls(found.phash, turned.hashes, told, by_pdq, found.known, ~(found.known & turned.known))


def near(looks: Looks, config: DedupeConfig) -> Alike:
    """Whether two rows are within the group radius of one of the hashes."""

    def alike(left: Rows, right: Rows) -> Told:
        found = _within(looks.phash, looks.by_phash, left, right, config.group_radius)
        for turn in range(looks.pdq.shape[1]):
            found |= _within(looks.pdq, looks.by_pdq, left, right, config.pdq_group_radius, (0, turn))
            if turn:
                found |= _within(looks.pdq, looks.by_pdq, left, right, config.pdq_group_radius, (turn, 0))
        if len(looks.vectors):
            found |= cosines(looks.vectors, left, right) >= config.cosine
        return found

    return alike


def tight(looks: Looks, grouped: Rows, config: DedupeConfig) -> Rows:
    """Each row's smallest fellow in steps of the collapse radius: only such rows can be one picture."""
    told, hashed, radius = looks.by_phash, looks.phash, config.collapse_radius
    if not config.by_phash:
        told, hashed, radius = looks.by_pdq, looks.pdq[:, 0], config.pdq_collapse_radius
    rows, labels = several(grouped), np.arange(len(grouped))
    rows = rows[told[rows]]
    if rows.size:
        labels[rows] = rows[groups(hashed[rows], radius)]
    return labels


def several(labels: Rows) -> Rows:
    """The rows that share a label with another."""
    return np.flatnonzero(np.bincount(labels, minlength=len(labels))[labels] > 1)


def one_picture(
    ws: Workspace, ids: Sequence[str], looks: Looks, labels: Rows, grains: Grains, animations: Animations
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


def _within(
    hashed: npt.NDArray[np.uint8], tells: Told, left: Rows, right: Rows, radius: int, turns: tuple[int, int] = (0, 0)
) -> Told:
    """Whether the hashes of two rows, each in one orientation, differ in at most `radius` bits, and tell of both."""
    words = (hashed[:, None] if hashed.ndim == 2 else hashed).view(np.uint64)
    found = tells[left] & tells[right]
    asked = np.flatnonzero(found)
    for at in range(0, len(asked), CHUNK * 16):
        some = asked[at : at + CHUNK * 16]
        apart = np.bitwise_count(words[left[some], turns[0]] ^ words[right[some], turns[1]]).sum(axis=1, dtype=np.int64)
        found[some] = apart <= radius
    return np.asarray(found)
