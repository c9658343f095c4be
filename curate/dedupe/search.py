"""What is near what, stage by stage; remembered in tables, so that only what is new is searched for.

A stage joins samples into components by one measure: pHash, with and without borders, the same over mirrors and quarter
turns, PDQ, PDQ over mirrors and quarter turns, or an embedding.
What it found is a table `near-<stage>@<mark>` (id, component, its size, a digest of the hash): where hashes, radius and
everything else that the answer rests on are the same, old samples are not searched for again. A component that lost a
member, or whose member has another hash now, is searched for anew: the answer is the one that a first run would give.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from curate.fingerprint import fingerprint
from curate.near import dihedral, groups
from curate.near.components import Classes, digests, flatten, union
from curate.near.join import join
from curate.store.tables import Table, to_table
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1
BLOCK = 4096  # vectors compared at a time
TURNED = 1 << 17  # rows of which all orientations are in memory twice
Rows = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Search = Callable[[Rows, Rows], Rows]  # (rows, the answer for the first of them) -> the answer for all, by place


@dataclass(frozen=True)
class Stage:
    """One measure: its name, what its answer rests on, and each row's features as bytes: uint8[n, a multiple of 8]."""

    name: str
    rests_on: tuple[object, ...]
    features: Bytes
    search: Search

    def table(self, ws: Workspace) -> Table:
        """Where its answers are remembered."""
        return ws.table(f"near-{self.name}", fingerprint(VERSION, self.name, *self.rests_on))


def by_hash(name: str, mark: str, hashes: Bytes, radius: int) -> Stage:
    """Hashes uint8[n, 8 or 32] within `radius` bits of each other."""

    def search(rows: Rows, old: Rows) -> Rows:
        return groups(hashes[rows], radius, old=old if len(old) else None)

    return Stage(name, (mark, radius), hashes, search)


def by_forms(name: str, mark: str, hashes: Bytes, told: npt.NDArray[np.bool_], radius: int, turned: bool) -> Stage:
    """Pictures of several forms, uint8[n, m, 8], of which one lies within `radius` bits of another picture's.

    Forms that are not `told`, bool[n, m], are near to nothing. With `turned`, in any orientation (`near.dihedral`).
    """
    known = np.zeros((len(hashes), 8), dtype=np.uint8)
    known[:, : told.shape[1]] = told
    features = np.concatenate([*np.where(told[..., None], hashes, 0).transpose(1, 0, 2), known], axis=1)
    find = dihedral.groups if turned else groups

    def search(rows: Rows, old: Rows) -> Rows:
        place, form = np.nonzero(told[rows])
        head = np.searchsorted(place, np.arange(len(rows)))
        labels = find(hashes[rows][place, form], radius, old=head[old][place[place < len(old)]] if len(old) else None)
        union(labels, head[place], np.arange(len(place)))
        return place[flatten(labels)[head]]

    return Stage(name, (mark, radius), features, search)


def by_orientation(mark: str, upright: Bytes, some: Rows, turned: Bytes, radius: int) -> Stage:
    """Hashes uint8[n, 32], of which one lies within `radius` bits of one of `some`, turned or mirrored.

    `some`, ascending, are the rows whose orientations are asked: uint8[m, 8, 32], upright first.
    """
    forms = np.zeros((len(upright), 8), dtype=np.uint8)
    flat = turned.reshape(len(some), turned.shape[1] * turned.shape[2])
    forms[some] = (digests(flat.view(np.uint64)) | np.uint64(1))[:, None].view(np.uint8)
    features = np.concatenate([upright, forms], axis=1)

    def search(rows: Rows, old: Rows) -> Rows:
        place = np.full(len(upright), -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        return _turned(features[rows], place[some], turned, old, radius)

    return Stage("orientations", (mark, radius), features, search)


def by_cosine(mark: str, vectors: npt.NDArray[np.float32], least: float) -> Stage:
    """Vectors of unit length, float32[n, d], whose cosine is at least `least`: all with all, a block at a time."""

    def search(rows: Rows, old: Rows) -> Rows:
        labels = np.concatenate([old, np.arange(len(old), len(rows))])
        for start in range(len(old), len(rows), BLOCK):
            some = vectors[rows[start : start + BLOCK]]
            for other in range(0, start + len(some), BLOCK):
                close = np.argwhere(some @ vectors[rows[other : other + BLOCK]].T >= least)
                union(labels, close[:, 0] + start, close[:, 1] + other)
        return flatten(labels)

    wide = np.zeros((len(vectors), -(-vectors.shape[1] // 2) * 2), dtype=np.float32)
    wide[:, : vectors.shape[1]] = vectors
    return Stage("embeddings", (mark, least), wide.view(np.uint8), search)


def _turned(features: Bytes, place: Rows, turned: Bytes, old: Rows, radius: int) -> Rows:
    """`place`: where among the rows those are whose orientations are asked; the first len(old) have an answer."""
    classes = Classes.from_words(features.view(np.uint64))  # who is equal in every orientation is searched for once
    first, known = classes.first, len(old)
    labels = np.concatenate([old, np.arange(known, len(features))])
    union(labels, first[classes.label], np.arange(len(features)))
    labels = flatten(labels)
    asked = np.isin(place, first)
    place, turned = place[asked], turned[asked]
    for start in range(0, len(place), TURNED):
        mine = place[start : start + TURNED]
        forms = turned[start : start + TURNED, 1:].transpose(1, 0, 2).reshape(-1, turned.shape[2])
        words = np.concatenate([features[:, : turned.shape[2]], forms]).view(np.uint64)
        row = np.concatenate([np.arange(len(features)), np.tile(mine, turned.shape[1] - 1)])
        parent = labels[row]
        ids = np.arange(len(features), len(words))
        new = np.tile(mine >= known, turned.shape[1] - 1)
        for sides in ((first, ids[new]), (first[first >= known], ids[~new])):
            if all(map(len, sides)):
                for near in join(words, sides, radius, parent):
                    union(parent, near[:, 0], near[:, 1])
        union(labels, np.arange(len(features)), flatten(parent)[: len(features)])
        labels = flatten(labels)
    return labels


def joined(ws: Workspace, stage: Stage, ids: Sequence[str], rows: Rows) -> tuple[Rows, list[str]]:
    """Component labels by one stage, int64[n]; and the corrupt parts of its table, which are made again.

    `ids` are sorted; `rows` (ascending) are those that have the feature, the others are near to nothing. Only what the
    stage's table does not know is searched for; what it did not know, it does then.
    """
    table, labels = stage.table(ws), np.arange(len(ids))
    if not len(rows):
        return labels, []
    import pyarrow as pa

    digest = digests(stage.features[rows].view(np.uint64))
    names = pa.array(ids, pa.string()).take(pa.array(rows))
    known, rebuilt = _read(table)
    order, old = _recalled(known, names, digest)
    found = stage.search(rows[order], old) if len(old) < len(order) else old
    least = np.full(len(order), len(ids))
    np.minimum.at(least, found, rows[order])
    labels[rows[order]] = least[found]
    if known is None or len(old) < len(order) or len(known) > len(order):
        component = labels[rows]
        columns = {"id": names, "component": component, "size": np.bincount(component)[component], "digest": digest}
        table.write("all", to_table(columns))
    return labels, rebuilt


def _read(table: Table) -> "tuple[pa.Table | None, list[str]]":
    """The one part of a stage's table."""
    found = list(table.each(["component", "size", "digest"]))
    return next((rows for _, rows in found if rows is not None), None), [
        f"{table.name}/{part}" for part, rows in found if rows is None
    ]


def _recalled(known: "pa.Table | None", ids: "pa.Array", digest: npt.NDArray[np.uint64]) -> tuple[Rows, Rows]:
    """An order of `ids` that begins with those whose component is known and whole, and the answer for these."""
    import pyarrow.compute as pc

    if known is None:
        return np.arange(len(ids)), np.empty(0, dtype=np.int64)
    place = pc.index_in(known.column("id"), value_set=ids).fill_null(-1).to_numpy()
    component, size = known.column("component").to_numpy(), known.column("size").to_numpy()
    same = place >= 0
    same[same] = known.column("digest").to_numpy()[same] == digest[place[same]]
    whole = np.bincount(component[same], minlength=int(component.max()) + 1)[component] == size
    old, new = place[whole].astype(np.int64), np.ones(len(ids), dtype=bool)
    new[old] = False
    _, first, inverse = np.unique(component[whole], return_index=True, return_inverse=True)
    return np.concatenate([old, np.flatnonzero(new)]), first[inverse]
