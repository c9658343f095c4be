"""Which samples hang together, what their group is called, which split it has, and who survives: pure arithmetic.

Samples are rows of arrays, sorted by id. Nothing here depends on the order in which anything arrived.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from curate.near.components import flatten, union
from curate.records import SPLITS

Rows = npt.NDArray[np.int64]
Alike = Callable[[Rows, Rows], npt.NDArray[np.bool_]]
_STRENGTH = SPLITS.index  # train, val, test: what is tested on must not be trained on
STARS = 256  # collapse sets that one chain of look-alikes may fall into; past it, what is left stays uncollapsed


@dataclass(frozen=True)
class Memory:
    """What earlier runs said of each sample, by id: the name of its group, and its split. Nothing here is forgotten.

    `floors` are the splits that groups (by name) had of members that were taken down since.
    """

    names: Mapping[str, str]
    splits: Mapping[str, str]
    floors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Grouping:
    """Each row's group, the split it keeps, and why it leaves the next release (None: it stays)."""

    names: list[str]
    splits: list[str]
    excluded: list[str | None]


def unite(near: Rows, tied: Iterable[Sequence[int]]) -> Rows:
    """Each row's smallest fellow, as `near` has it (int64[n]) and with each list of rows in `tied` joined: int64[n]."""
    pairs = np.array([(rows[0], row) for rows in tied for row in rows[1:]], dtype=np.int64).reshape(-1, 2)
    parent = near.copy()
    union(parent, pairs[:, 0], pairs[:, 1])
    return flatten(parent)


def namesakes(ids: Sequence[str], names: Mapping[str, str]) -> list[list[int]]:
    """The rows that once were in one group, and the row that the group was named after: a group never comes apart."""
    at = {name: row for row, name in enumerate(ids)}
    found: dict[str, list[int]] = {}
    for row, one in enumerate(ids):
        if (name := names.get(one)) is not None:
            found.setdefault(name, [at[name]] if name in at else []).append(row)
    return [rows for rows in found.values() if len(rows) > 1]


def assign(ids: Sequence[str], groups: Rows, memory: Memory, draw: Callable[[str], str]) -> Grouping:
    """Names and splits of groups (int64[n], each row's smallest fellow).

    A group takes the smallest name that one of its members remembers, else the smallest id among them. It takes the
    strongest split that one of them remembers (test, then val, then train), else what `draw` says of its name. A
    member that remembers another split keeps it, and leaves the next release as `merged_with_<split>`.
    """
    name: dict[int, str] = {}
    split: dict[int, str] = {}
    labels = groups.tolist()
    for label, one in zip(labels, ids, strict=True):
        if (known := memory.names.get(one)) is not None:
            name[label] = min(name.get(label, known), known)
            if (floor := memory.floors.get(known)) is not None:
                split[label] = max(split.get(label, floor), floor, key=_STRENGTH)
        if (was := memory.splits.get(one)) is not None:
            split[label] = max(split.get(label, was), was, key=_STRENGTH)
    names = [name.get(label) or ids[label] for label in labels]
    for label in set(labels) - split.keys():
        split[label] = draw(name.get(label) or ids[label])
    strongest = [split[label] for label in labels]
    own = [memory.splits.get(one, now) for one, now in zip(ids, strongest, strict=True)]
    excluded = [None if was == now else f"merged_with_{now}" for was, now in zip(own, strongest, strict=True)]
    return Grouping(names, own, excluded)


def drawn(salt: str, shares: Mapping[str, float], name: str) -> str:
    """The split that a name falls into: sha256 of salt and name, against the shares of train, val, test in turn."""
    point = int.from_bytes(hashlib.sha256(f"{salt}\0{name}".encode()).digest()[:8]) / 2**64
    open_to = [split for split in SPLITS if shares[split] > 0]
    for split in open_to:
        point -= shares[split]
        if point < 0:
            return split
    return open_to[-1]


def stars(labels: Rows, rank: Rows, alike: Alike) -> Rows:
    """Each row's survivor: int64[n]. Rows of one label are candidates; `rank` is a total order, the best first.

    The best row of a component survives, and takes those that are alike to it itself; the best of the rest is next.
    So a set never chains: every member is alike to its survivor, and a survivor to no better one.
    """
    survivor = np.arange(len(labels))
    order = np.lexsort((rank, labels))
    left = order[np.bincount(labels, minlength=len(labels))[labels[order]] > 1]
    for _ in range(STARS):
        if not left.size:
            break
        first = np.ones(len(left), dtype=bool)
        first[1:] = labels[left[1:]] != labels[left[:-1]]
        star = left[first][np.cumsum(first) - 1]
        taken = first | alike(left, star)
        survivor[left[taken]] = star[taken]
        left = left[~taken]
    return survivor
