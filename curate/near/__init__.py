"""Which perceptual hashes lie near each other: complete (finds what brute force finds), and no index to keep.

The method is a pigeonhole join, after Norouzi, Punjani, Fleet: "Fast Search in Hamming Space with Multi-Index Hashing"
(2012). Bits are dealt into slots; two hashes within the radius nearly agree in at least one slot; so only rows whose
slots nearly agree are compared. Small inputs are compared one by one in numpy and wait for no compiler.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from curate.errors import CurateError
from curate.near.components import Classes, Ids, Words, flatten, union
from curate.near.join import join

__all__ = ["beside", "cross", "groups", "link", "pairs"]

Hashes = npt.NDArray[np.uint8]
STRETCH = 1 << 21  # rows of each side that `cross` joins at a time


def pairs(hashes: Hashes, radius: int, *, max_pairs: int = 10_000_000) -> Ids:
    """Every two rows whose hashes differ in at most `radius` bits.

    `hashes` is uint8[n, 8 or 32]. Returns int64[m, 2] with i < j, sorted, each pair once. Raises CurateError past
    `max_pairs`, before they fill the memory: one placeholder seen 50,000 times is 1.25 billion pairs (see `groups`).
    """
    words = _words(hashes, radius)
    classes = Classes.from_words(words)
    sizes = classes.sizes
    room = _spend(max_pairs, int((sizes * (sizes - 1) // 2).sum()), max_pairs)
    twins = np.flatnonzero(sizes > 1)
    found = [classes.product(twins, classes, twins)]
    found[0] = found[0][found[0][:, 0] < found[0][:, 1]]
    for near in join(words, (classes.first, None), radius, np.arange(len(words))):
        mine, theirs = classes.label[near[:, 0]], classes.label[near[:, 1]]
        room = _spend(room, int(sizes[mine] @ sizes[theirs]), max_pairs)
        found.append(np.sort(classes.product(mine, classes, theirs), axis=1))
    return _sorted(np.concatenate(found))


def cross(a: Hashes, b: Hashes, radius: int, *, max_pairs: int = 10_000_000) -> Ids:
    """Every row of `a` with every row of `b` whose hashes differ in at most `radius` bits.

    `a` is uint8[n, 8 or 32], `b` uint8[m, as a]. Returns int64[k, 2] of (row of a, row of b), sorted, each once.
    Raises CurateError past `max_pairs`. What a held-out set shares with a training set, asked directly.
    """
    left, right = _words(a, radius), _words(b, radius)
    if left.shape[1] != right.shape[1]:
        raise ValueError(f"hashes of {a.shape[1]} and of {b.shape[1]} bytes cannot be compared")
    room, found = max_pairs, [np.empty((0, 2), dtype=np.int64)]
    for row, some in _stretches(left):
        for column, others in _stretches(right):
            for near in _crossed(some, others, radius, room, max_pairs):
                room -= len(near)
                found.append(near + np.array((row, column), dtype=np.int64))
    return _sorted(np.concatenate(found))


def groups(hashes: Hashes, radius: int, *, old: Ids | None = None) -> Ids:
    """Connected components under Hamming distance <= `radius`: int64[n], labels are the smallest rows.

    `hashes` is uint8[n, 8 or 32]. Pairs are never all in memory. `old` is the answer for the first len(old) rows at
    the same radius: with it only the later rows are searched for (among themselves and against the old ones), and the
    answer is the same. Components chain: two rows of one may be far apart.
    """
    words = _words(hashes, radius)
    classes = Classes.from_words(words)
    parent, first = classes.first[classes.label], classes.first
    if old is None:
        searches: list[tuple[Ids, Ids | None]] = [(first, None)]
    else:
        _check_old(old, len(words))
        union(parent, np.arange(len(old)), old)
        past, new = first[first < len(old)], first[first >= len(old)]
        searches = [(past, new), (new, None)]
    for sides in searches:
        for near in join(words, sides, radius, parent):
            union(parent, near[:, 0], near[:, 1])
    return flatten(parent)


def link(labels: Ids, a: Hashes, b: Hashes, radius: int, *, some: tuple[Ids, Ids] | None = None) -> Ids:
    """Groups joined further, where row i of `a` and row j of `b` differ in at most `radius` bits.

    `a` and `b` are uint8[n, 8 or 32], two views of the same n rows (upright, and mirrored, say); `labels` is int64[n],
    an answer of `groups`, and so is what is returned. `some`: only these rows of `a`, and these of `b`, are searched.
    Pairs are never all in memory, and rows that are together already cost nothing.
    """
    words = np.concatenate([_words(a, radius), _words(b, radius)])
    rows = len(labels)
    left, right = some or (np.arange(rows), np.arange(rows))
    parent = np.concatenate([labels, labels])
    for near in join(words, (left, right + rows), radius, parent):
        union(parent, near[:, 0], near[:, 1])
    return flatten(parent)[:rows]


def beside(a: Hashes, b: Hashes, radius: int) -> npt.NDArray[np.bool_]:
    """Which rows of `a` differ from some row of `b` in at most `radius` bits: bool[n].

    `a` is uint8[n, 8 or 32], `b` uint8[m, as a]. Pairs are never all in memory: a row is asked until one is found.
    """
    words = np.concatenate([_words(a, radius), _words(b, radius)])
    found = np.arange(1, len(words) + 1)
    found[len(a) :] = 0
    for near in join(words, (np.arange(len(a)), np.arange(len(a), len(words))), radius, found):
        found[near[:, 0]] = 0
    return np.asarray(found[: len(a)] == 0)


def _stretches(words: Words) -> Iterator[tuple[int, Words]]:
    """Where a stretch of rows begins, and its hashes: so many at a time that a join's tables stay small."""
    yield from ((start, words[start : start + STRETCH]) for start in range(0, len(words), STRETCH))


def _crossed(left: Words, right: Words, radius: int, room: int, limit: int) -> Iterator[Ids]:
    here, there = Classes.from_words(left), Classes.from_words(right)
    words = np.concatenate([left, right])
    for near in join(words, (here.first, there.first + len(left)), radius, np.arange(len(words))):
        mine, theirs = here.label[near[:, 0]], there.label[near[:, 1] - len(left)]
        room = _spend(room, int(here.sizes[mine] @ there.sizes[theirs]), limit)
        yield here.product(mine, there, theirs)


def _words(hashes: Hashes, radius: int) -> Words:
    if hashes.dtype != np.uint8 or hashes.ndim != 2 or hashes.shape[1] not in (8, 32):
        raise ValueError(f"hashes must be uint8[n, 8] or uint8[n, 32], not {hashes.dtype}{list(hashes.shape)}")
    if radius < 0:
        raise ValueError(f"radius must be at least 0 bits, not {radius}")
    return np.require(hashes, requirements=["C", "ALIGNED", "OWNDATA"]).view(np.uint64)


def _check_old(old: Ids, rows: int) -> None:
    if old.dtype != np.int64 or old.ndim != 1 or len(old) > rows:
        raise ValueError(f"old must be int64[at most {rows}], not {old.dtype}{list(old.shape)}")
    if (old < 0).any() or (old > np.arange(len(old))).any():
        raise ValueError("old must hold an earlier answer: component labels, none of a later row")


def _spend(room: int, count: int, limit: int) -> int:
    if count > room:
        raise CurateError(
            f"more than {limit:,} pairs lie within the radius: raise max_pairs, or ask for groups instead"
        )
    return room - count


def _sorted(found: Ids) -> Ids:
    return found[np.lexsort((found[:, 1], found[:, 0]))]
