"""Which pictures of a dataset are the same or nearly so, across which splits, and under which labels.

The unit is a picture: distinct bytes. A row is a mention of one. Pictures are looked at component by component, so the
work grows with what is alike and not with all pairs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.checks.dataset import DatasetRow
from curate.checks.measures import FAR, PDQ_RADIUS, RADIUS, SAID, SAME_BYTES, Measure, measures
from curate.checks.pairs import Group, Listed
from curate.checks.scan import Seen
from curate.checks.sides import Counts, Ids, Sides
from curate.media import pdq, phash
from curate.near import groups as near_groups
from curate.near.components import flatten, union

BLOCK = 512  # pictures of a component that are compared with all of it at once
WIDEST = 30_000  # pictures of one component that are compared with each other; the rest of it with these only
EXAMPLES = 5
# What becomes of a row: it stays, or it goes since it cannot be read, since its picture is near to one that stays, or
# since that looks like one of another label.
STAYS, UNREAD, NEAR, TORN = range(4)


@dataclass(frozen=True)
class Hashes:
    """One hash of every picture, and of every other distinct frame of those that are animations, behind them.

    `values` uint8[m, 8 or 32]; `known` bool[m], whether it says anything; `owner` int64[m], the picture it belongs to.
    """

    name: str
    radius: int
    values: npt.NDArray[np.uint8]
    known: npt.NDArray[np.bool_]
    owner: Ids

    @cached_property
    def words(self) -> npt.NDArray[np.uint64]:
        """The hashes as uint64[m, 1 or 4]."""
        return np.ascontiguousarray(self.values).view(np.uint64)

    @cached_property
    def _others(self) -> dict[int, list[int]]:
        found: defaultdict[int, list[int]] = defaultdict(list)
        for place in np.flatnonzero(self.owner != np.arange(len(self.owner))).tolist():
            found[int(self.owner[place])].append(place)
        return found

    def unite(self, parent: Ids) -> None:
        """Join the pictures that are within the radius, or have a frame that is, in place."""
        rows = np.flatnonzero(self.known)
        if rows.size:
            of = self.owner[rows]
            union(parent, of, of[near_groups(self.values[rows], self.radius)])

    def frames(self, some: Ids) -> tuple[Ids, Ids]:
        """Where the known frames of some pictures are, first ones first, and whose they are, by place in `some`."""
        more = [(place, n) for n, one in enumerate(some.tolist()) for place in self._others.get(one, ())]
        found = np.array([*zip(some.tolist(), range(len(some)), strict=True), *more], dtype=np.int64).reshape(-1, 2)
        found = found[self.known[found[:, 0]]]
        return found[:, 0], found[:, 1]


@dataclass(frozen=True)
class Pictures:
    """Distinct bytes: `rows[p]` are the places of picture p's rows."""

    rows: list[list[int]]
    hashes: tuple[Hashes, ...]  # upright pHash and PDQ, of every distinct frame
    measures: tuple[Measure, ...]  # of the first ones, in every way
    group: Ids  # each picture's component label

    @classmethod
    def from_rows(cls, rows: Sequence[DatasetRow], looks: dict[str, Seen]) -> "Pictures":
        """The readable pictures, in the order of their digests."""
        at: defaultdict[str, list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            one = looks[row.path]
            if one.reason is None:
                at[one.sha256].append(place)
        places = [at[name] for name in sorted(at)]
        del at
        order = [looks[rows[some[0]].path] for some in places]
        hashes, found, parent = _hashes(order), measures(order), np.arange(len(order))
        for kind in hashes:
            kind.unite(parent)
        for way in found:
            way.unite(parent)
        return cls(places, hashes, found, flatten(parent))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def textured(self) -> npt.NDArray[np.bool_]:
        """Whether pHash says anything of a picture: bool[n]."""
        return self.hashes[0].known[: len(self)]


def _hashes(order: Sequence[Seen]) -> tuple[Hashes, Hashes]:
    """Upright pHash and PDQ of pictures, and of their other frames behind them."""
    others = [(n, other) for n, one in enumerate(order) for other in one.others]
    owner = np.array([*range(len(order)), *(n for n, _ in others)], dtype=np.int64)
    bits = [*(one.phash[:8] for one in order), *(other[1] for _, other in others)]
    told = [*(one.quality for one in order), *(other[2] for _, other in others)]
    finer = [*(one.pdq[: pdq.BYTES] for one in order), *(other[3] for _, other in others)]
    tells = [*(one.pdq_quality for one in order), *(other[4] for _, other in others)]
    return (
        Hashes("pHash", RADIUS, _array(bits, 8), np.array(told, dtype=np.float64) >= phash.MIN_QUALITY, owner),
        Hashes("PDQ", PDQ_RADIUS, _array(finer, pdq.BYTES), np.array(tells, dtype=np.int64) >= pdq.MIN_QUALITY, owner),
    )


def _array(values: Sequence[bytes], width: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(values), dtype=np.uint8).reshape(len(values), width)


@dataclass
class Pair:
    """Two rows that are alike: `bits` apart, or SAME_BYTES."""

    bits: int
    left: int
    right: int
    group: int


@dataclass
class Alike:
    """What is alike. `leaks`: (split, other) -> rows of `other` near to one of `split`; `shared`: groups in both.

    `within`: split -> rows with a near-duplicate in their own split. `torn`: rows with one of another label, and
    `contradicted`: those whose very bytes have two labels.
    """

    leaks: Counter[tuple[str, str]] = field(default_factory=Counter)
    shared: Counter[tuple[str, str]] = field(default_factory=Counter)
    within: Counter[str] = field(default_factory=Counter)
    torn: int = 0
    contradicted: int = 0
    torn_groups: int = 0
    leak_pairs: dict[tuple[str, str], list[Pair]] = field(default_factory=lambda: defaultdict(list))
    torn_pairs: list[Pair] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # rows of each group of two rows and more, the largest first
    largest: list[list[int]] = field(default_factory=list)  # the rows of the largest groups
    listed: Listed = field(default_factory=Listed)
    fate: npt.NDArray[np.int8] = field(default_factory=lambda: np.empty(0, dtype=np.int8))  # of each row


def alike(
    rows: Sequence[DatasetRow],
    pictures: Pictures,
    splits: Sequence[str],
    labels: Sequence[str],
    order: Ids | None = None,
) -> Alike:
    """Everything that is alike. `order` int64[rows]: where each row stands among those that may stay."""
    order = np.arange(len(rows)) if order is None else order
    found = Alike(fate=np.full(len(rows), UNREAD, dtype=np.int8))
    sides = Sides.from_rows(rows, pictures.rows, splits, labels)
    first = np.array([min(places, key=order.__getitem__) for places in pictures.rows], dtype=np.int64)
    for places in pictures.rows:
        found.fate[places] = NEAR
    found.fate[first] = STAYS
    members = defaultdict(list)
    for picture, group in enumerate(pictures.group.tolist()):
        members[group].append(picture)
    groups = [some for some in members.values() if len(some) > 1 or len(pictures.rows[some[0]]) > 1]
    sized = sorted(((sum(len(pictures.rows[p]) for p in some), some) for some in groups), key=lambda s: (-s[0], s[1]))
    for number, (_, some) in enumerate(sized, start=1):
        by_order = np.array(some)[np.argsort(order[first[some]])]
        _component(found, number, by_order, first, pictures, sides)
    found.sizes = [size for size, _ in sized]
    found.largest = [[row for p in some for row in pictures.rows[p]] for _, some in sized[:EXAMPLES]]
    for pairs in (*found.leak_pairs.values(), found.torn_pairs):
        pairs.sort(key=lambda pair: (pair.bits, rows[pair.left].name, rows[pair.right].name))
    return found


def _component(found: Alike, number: int, some: Ids, first: Ids, pictures: Pictures, sides: Sides) -> None:
    """Count what one component shares, by its pairs within the radius, list pairs, and say who stays of it."""
    by_split, by_label = sides.by_split[some], sides.by_label[some]
    best: dict[tuple[str, str], Pair] = {}
    torn: list[Pair] = []
    torn_rows, last = 0, min(len(some), WIDEST)
    group = Group(pictures.rows, some, sides)
    stays, odd = np.zeros((2, len(some)), dtype=bool)
    for block, bits, whole in _near(some[:last], some, pictures):
        near = (bits < FAR).astype(np.int64)
        alike = near if whole is bits else (whole < FAR).astype(np.int64)
        splits, labels = near @ by_split, alike @ by_label
        own_split, own_label = by_split[block], by_label[block]
        _count_splits(found, splits, own_split, sides.splits)
        other = labels.sum(axis=1, keepdims=True) - labels
        torn_rows += int(own_label[other > 0].sum())
        found.contradicted += int(own_label[(own_label > 0).sum(axis=1) > 1].sum())
        for pair, one in _closest_leaks(_Places(some, block, near, bits, pictures), sides):
            if pair not in best or one.bits < best[pair].bits:
                best[pair] = one
        odd[block] = (other * own_label > 0).any(axis=1)
        torn += _closest_torn(_Places(some, block, alike, whole, pictures), sides) if odd[block].any() else []
        _stay(stays, odd, block, near > 0)
        group.take(block, bits, whole, last)
    found.listed.add(*group.pairs(number, last))
    found.fate[first[some[~stays]]] = NEAR
    for picture in some[odd].tolist():
        found.fate[pictures.rows[picture]] = TORN
    for pair, one in best.items():
        found.leak_pairs[pair].append(one)
        found.shared[pair] += 1
    found.torn += torn_rows
    if torn_rows:
        found.torn_groups += 1
        found.torn_pairs.append(min(torn, key=lambda pair: (pair.bits, pair.left, pair.right)))


def _stay(stays: npt.NDArray[np.bool_], odd: npt.NDArray[np.bool_], block: Ids, near: npt.NDArray[np.bool_]) -> None:
    """Let those of a block stay, in place, that look like none of another label and are near to none that stays."""
    for row, place in enumerate(block.tolist()):
        stays[place] = not odd[place] and not (near[row] & stays).any()


def _count_splits(found: Alike, near: Counts, own: Counts, splits: Sequence[str]) -> None:
    for here, split in enumerate(splits):
        found.within[split] += int(own[near[:, here] > 1, here].sum())
        for there, other in enumerate(splits):
            if here != there:
                found.leaks[split, other] += int(own[near[:, here] > 0, there].sum())


def _near(these: Ids, some: Ids, pictures: Pictures) -> Iterator[tuple[Ids, Counts, Counts]]:
    """Blocks of (places in `some`, how far the nearest frame of each is, how far the first one is: int64[b, m]).

    FAR is beyond the radius; a picture is at SAME_BYTES from itself.
    """
    frames = [one.frames(some) for one in pictures.hashes]
    several = any((places >= len(pictures)).any() for places, _ in frames)
    for start in range(0, len(these), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(these)))
        steps = np.full((2 if several else 1, len(block), len(some)), FAR, dtype=np.int64)
        for place, (one, (places, owners)) in enumerate(zip(pictures.hashes, frames, strict=True)):
            words, first = one.words[places], places < len(pictures)
            mine = np.flatnonzero((owners >= start) & (owners <= block[-1]))
            for at in range(0, len(mine), BLOCK):
                rows = mine[at : at + BLOCK]
                bits = np.bitwise_count(words[rows][:, None] ^ words[None]).sum(axis=2, dtype=np.int64)
                far = np.where(bits <= one.radius, _step(bits, place, one.radius), FAR)
                _lower(steps[0], owners[rows] - start, owners, far)
                if several and (own := np.flatnonzero(first[rows])).size:
                    _lower(steps[1], owners[rows[own]] - start, owners[first], far[own][:, first])
        for place, (way, (_, _, radius)) in enumerate(zip(pictures.measures, SAID, strict=True)):
            bits = way.apart(some[block], some)
            np.minimum(steps, np.where(bits <= radius, _step(bits, place, radius), FAR), out=steps)
        steps[:, np.arange(len(block)), block] = SAME_BYTES
        nearest = steps[0]
        yield block, nearest, steps[1] if several else nearest


def _lower(steps: Counts, rows: Ids, columns: Ids, far: Counts) -> None:
    """Put what is less there, in place; rows and columns may come several times."""
    if len(np.unique(rows)) == len(rows) and len(np.unique(columns)) == len(columns):
        grid = np.ix_(rows, columns)
        steps[grid] = np.minimum(steps[grid], far)
        return
    left, right = np.nonzero(far < FAR)
    np.minimum.at(steps, (rows[left], columns[right]), far[left, right])


def _step(bits: Counts, place: int, radius: int) -> Counts:
    """How far by which hash, as one number that sorts: the share of the radius in thousandths, then hash and bits."""
    return (1000 * bits // max(radius, 1)) * 10_000 + place * 1000 + bits


@dataclass(frozen=True)
class _Places:
    """One block of a component: what is near to what, and how far."""

    some: Ids
    block: Ids
    near: Counts
    bits: Counts
    pictures: Pictures

    def pair(self, rows: npt.NDArray[np.bool_], columns: npt.NDArray[np.bool_]) -> tuple[int, int, int] | None:
        """The closest (bits, picture, picture) of a block's row in `rows` and a member in `columns`."""
        far = np.where((self.near > 0) & rows[:, None] & columns[None, :], self.bits, FAR)
        at = int(far.argmin()) if far.size else 0
        if not far.size or far.flat[at] == FAR:
            return None
        row, column = divmod(at, far.shape[1])
        return int(far.flat[at]), int(self.some[self.block[row]]), int(self.some[column])


def _closest_leaks(places: _Places, sides: Sides) -> Iterator[tuple[tuple[str, str], Pair]]:
    """For each two splits of a block, their closest pair."""
    has = sides.by_split[places.some] > 0
    group = int(places.pictures.group[places.some[0]])
    for here in range(len(sides.splits)):
        for there in range(here + 1, len(sides.splits)):
            found = places.pair(has[places.block, here], has[:, there])
            if found is not None:
                bits, a, b = found
                left, right = _row(places, a, sides.split, here), _row(places, b, sides.split, there)
                yield (sides.splits[here], sides.splits[there]), Pair(bits, left, right, group)


def _closest_torn(places: _Places, sides: Sides) -> list[Pair]:
    """For each label of a block, its closest pair with another label."""
    labels = sides.by_label[places.some]
    group, pairs = int(places.pictures.group[places.some[0]]), []
    for label in np.flatnonzero(labels.any(axis=0)).tolist():
        others = np.delete(labels, label, axis=1).sum(axis=1) > 0
        found = places.pair(labels[places.block, label] > 0, others)
        if found is not None:
            bits, a, b = found
            left = _row(places, a, sides.label, label)
            right = next(row for row in places.pictures.rows[b] if sides.label[row] not in (-1, label))
            pairs.append(Pair(bits, left, right, group))
    return pairs


def _row(places: _Places, picture: int, of: Ids, value: int) -> int:
    return next(row for row in places.pictures.rows[picture] if of[row] == value)


def measured(step: int) -> tuple[str, int, int]:
    """By which measure two pictures are alike, how many bits apart, and of how many."""
    if step == SAME_BYTES:
        return "same bytes", 0, 0
    place, bits = divmod(step % 10_000, 1000)
    name, of, _ = SAID[place]
    return name, bits, of


def how(step: int) -> str:
    """How alike two pictures are, in words."""
    name, bits, of = measured(step)
    return f"{name} {bits} of {of} bits apart" if of else name


def facts(pair: Pair, rows: Sequence[DatasetRow]) -> dict[str, Any]:
    """A pair as it is said: names, labels, how alike."""
    a, b = rows[pair.left], rows[pair.right]
    return {"a": a.name, "b": b.name, "labels": [a.label, b.label], "how": how(pair.bits)}
