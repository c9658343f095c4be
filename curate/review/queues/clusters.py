"""Tight clusters, each shown as a sheet of its members: one decision for all of them, held against random members."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from curate.contracts import AuditedPool, CandidatePool, Selection, Vectors
from curate.stats.clusters import FIT, Floats, cluster, unit

MOST = 1000  # times as much as the embedding: beyond that nothing of it is left
CLUSTER, MEMBER = "cluster", "member"
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """Of what nobody has judged, spherical k-means on the embeddings and, weighed by `scores` and `votes`, on where
    each number of a labeler stands among all, and on what functions say: as many clusters as `size` can decide and
    audit, the largest first; near-duplicate groups of what has no embedding. A cluster that people found mixed is
    parted in two before anything else. What is contradicted or contested is left to `conflict`: each needs a look of
    its own.

    Of each cluster `audit` random members are judged one by one as well, blind like all of it. Members less than
    `tight` (cosine about the mean) like their cluster are in none. Never for figures.
    """

    reported: ClassVar[bool] = False
    blind: ClassVar[bool] = True

    audit: int = 1
    scores: float = 1.3
    votes: float = 0.3
    tight: float = 0.1
    least: int = 3

    def __post_init__(self) -> None:
        """Refuse clusters that nobody would audit, or of one member."""
        weights = all(0 <= one <= MOST for one in (self.scores, self.votes))
        if self.audit < 1 or self.least < 2 or not -1 <= self.tight <= 1 or not weights:
            raise ValueError(
                f"audit must be 1 and more, least 2 and more, tight between -1 and 1, scores and votes 0 to {MOST}"
            )

    def pick(self, pool: CandidatePool, size: int) -> Sequence[Selection]:
        """An item a cluster, for its member nearest to the centre, and after it the members that audit it."""
        found: list[Selection] = []
        for rows in sorted(self._clusters(pool, size // (1 + self.audit)), key=lambda rows: (-len(rows), int(rows[0]))):
            if len(found) + 1 + self.audit > size:
                break
            item, rest = int(rows[0]), np.sort(rows[1:])  # in the pool's random order
            found.append(Selection(item, CLUSTER, people=1, members=(item, *rest.tolist())))
            found += [Selection(int(row), MEMBER, people=1) for row in rest[-self.audit :]]
        return found

    def _clusters(self, pool: CandidatePool, most: int) -> Iterator[Rows]:
        """Rows of each, the nearest to the centre first."""
        open_ = np.flatnonzero(~pool.judged & ~pool.contradicted & (pool.contested == 0))
        mixed = pool.split if isinstance(pool, AuditedPool) else None
        split = np.full(len(open_), -1) if mixed is None else mixed[open_]
        made = 0
        for name in np.unique(split[split >= 0]).tolist():
            for rows in self._parted(pool, open_[split == name], 2):
                made += 1
                yield rows
        yield from self._parted(pool, open_[split < 0], most - made)

    def _parted(self, pool: CandidatePool, rows: Rows, k: int) -> Iterator[Rows]:
        if pool.embeddings is None:
            yield from self._grouped(pool, rows)
            return
        found = cluster(_features(pool, pool.embeddings, rows, (self.scores, self.votes)), len(rows), k)
        order = np.lexsort((-found.cosine, found.label))
        order = order[(found.label[order] >= 0) & (found.cosine[order] >= self.tight)]
        starts = np.flatnonzero(np.diff(found.label[order], prepend=-1))
        yield from (rows[part] for part in np.split(order, starts[1:]) if len(part) >= self.least)
        yield from self._grouped(pool, rows[found.label < 0])

    def _grouped(self, pool: CandidatePool, rows: Rows) -> Iterator[Rows]:
        """Near-duplicate groups, where these are known."""
        if pool.groups is None:
            return
        order = rows[np.argsort(pool.groups[rows], kind="stable")]
        starts = np.flatnonzero(np.diff(pool.groups[order], prepend=-1))
        yield from (part for part in np.split(order, starts[1:]) if len(part) >= self.least)


def _features(
    pool: CandidatePool, vectors: Vectors, rows: Rows, weights: tuple[float, float]
) -> Callable[[Rows], Floats]:
    """What clusters are sought in: embeddings about their mean, of length 1; scores, together of about the length that
    the first weight says; and a column for each answer of each function."""
    first = unit(np.asarray(vectors[rows[:FIT]], dtype=np.float32))
    there = np.isfinite(first).all(axis=1)
    middle = first[there].mean(axis=0) if there.any() else np.float32(0)
    told = pool.scores if isinstance(pool, AuditedPool) else None
    numbers = np.empty((len(pool.samples), 0), np.float32) if told is None else told
    known = [np.sort(column[np.isfinite(column)]) for column in numbers[rows[:FIT]].T]

    def read(some: Rows) -> Floats:
        own = unit(unit(np.asarray(vectors[rows[some]], dtype=np.float32)) - middle)
        stand = [_stand(column, among) for column, among in zip(numbers[rows[some]].T, known, strict=True)]
        length = weights[0] * (12 / max(len(stand), 1)) ** 0.5
        votes = pool.votes[rows[some]]
        answers = np.arange(-1, len(pool.sets))
        said = (votes[:, :, None] == answers).reshape(len(votes), votes.shape[1] * len(answers))
        parts = [own, *(length * one[:, None] for one in stand), weights[1] * said]
        return np.hstack(parts, dtype=np.float32, casting="same_kind")

    return read


def _stand(values: Floats, among: Floats) -> Floats:
    """Where each value is among sorted ones, from -0.5 to 0.5; 0 where it is not known, or none is."""
    below, upto = (np.searchsorted(among, values, side=side) for side in ("left", "right"))
    found = (below + upto) / (2 * max(len(among), 1)) - 0.5
    return np.where(np.isfinite(values) & (len(among) > 0), found, 0).astype(np.float32)
