"""Large joins: plan the slots, split what is skewed, and run the compiled loops on every core."""

import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from curate.near.components import Ids, Words
from curate.near.kernels import Places, Rule, Table, key_order, keys_of, ordered, scan
from curate.near.plan import Plan, Slot, is_spread, plan
from curate.near.sides import Sides, pairs_of

SAMPLE = 1 << 16  # rows that stand for a side when slots are planned; a seeded choice
BUFFER = 1 << 16  # hits a thread holds before it hands them over
SPLIT_FROM = 1 << 28  # pairs: less is done in a fraction of a second as it is
SPLIT_ROW = 64  # pairs for each row of the join: a bucket that costs more is split off


@dataclass(frozen=True)
class _Side:
    """Row numbers, and their hashes word by word: uint64[words, n]."""

    ids: Ids
    columns: Words

    @classmethod
    def from_words(cls, words: Words, ids: Ids) -> "_Side":
        return cls(ids, np.stack([words[ids, word] for word in range(words.shape[1])]))

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, chosen: npt.NDArray[np.bool_]) -> "_Side":
        return _Side(self.ids[chosen], self.columns[:, chosen])

    @cached_property
    def sample(self) -> Words:
        if len(self) <= SAMPLE:
            return self.columns
        return np.ascontiguousarray(self.columns[:, np.random.default_rng(0).integers(0, len(self), SAMPLE)])

    @cached_property
    def ones(self) -> npt.NDArray[np.float64]:
        """How often each bit is set."""
        bits = np.arange(64, dtype=np.uint64)
        return np.concatenate([[(column >> bit & 1).mean() for bit in bits] for column in self.sample])

    def by_key(self, slot: Slot) -> Table:
        keys = keys_of(self.columns, slot.bits)
        order, starts = key_order(keys, len(slot.bits))
        a, b, c, d = self._words(order)
        return Table(ordered(self.ids, order), a, b, c, d, ordered(keys, order), starts)

    def as_it_is(self, slot: Slot) -> Table:
        """Enough for a side that looks up a small one."""
        a, b, c, d = self._words(None)
        return Table(self.ids, a, b, c, d, keys_of(self.columns, slot.bits), self.ids[:0])

    def spread(self, slot: Slot) -> Table:
        """Each row under every key near its own, so that one look-up finds all."""
        masks = slot.masks().astype(np.uint32)
        keys = (keys_of(self.columns, slot.bits)[:, None] ^ masks).ravel()
        order, starts = key_order(keys, len(slot.bits))
        order //= len(masks)
        a, b, c, d = self._words(order)
        return Table(ordered(self.ids, order), a, b, c, d, keys[:0], starts)

    def _words(self, order: Places | None) -> list[Words]:
        words = [column if order is None else ordered(column, order) for column in self.columns]
        return words + [words[0][:0]] * (4 - len(words))


@dataclass(frozen=True)
class _Job:
    """Rows to join with rows, or with themselves (then `right` is `left`)."""

    left: _Side
    right: _Side

    @property
    def itself(self) -> bool:
        return self.right is self.left

    @property
    def compared(self) -> int:
        return pairs_of(len(self.left), len(self.right), self.itself)

    @cached_property
    def agree(self) -> npt.NDArray[np.float64]:
        """How likely a left and a right row are to have the same bit, for each bit."""
        return self.left.ones * self.right.ones + (1 - self.left.ones) * (1 - self.right.ones)

    def plan(self, radius: int) -> Plan:
        small, large = sorted([len(self.left), len(self.right)])
        return plan(self.agree, radius, large, None if self.itself else small)


def join_slots(words: Words, sides: Sides, radius: int, joined: Ids) -> Iterator[Ids]:
    """As `join`, compiled and on all cores, in the memory of a few copies of the hashes."""
    left = _Side.from_words(words, sides[0])
    jobs = [_Job(left, left if sides[1] is None else _Side.from_words(words, sides[1]))]
    pool, none = ThreadPoolExecutor(_cores()), np.empty(0, dtype=np.int64)
    try:
        while jobs:
            job = jobs.pop()
            slots = job.plan(radius)
            pieces = _split(job, slots)
            jobs += pieces
            if not pieces:
                yield from _run(job, slots, Rule(words, radius, none, words[:0], none, joined), pool)
    finally:
        pool.shutdown(cancel_futures=True)


def _split(job: _Job, slots: Plan) -> list[_Job]:
    """The same join in pieces, where one bucket costs too much: templated images share slots, far apart or not.

    The bucket's rows are joined on their own, with slots planned for the bits in which they do differ, so that what
    they all share is not compared in slot after slot.
    """
    slot, key = _oversized(job, slots)
    if slot is None:
        return []
    near = np.bitwise_count(keys_of(job.left.columns, slot.bits) ^ np.uint32(key)) <= slot.flips
    some, rest = job.left.where(near), job.left.where(~near)
    if job.itself:
        pieces = [_Job(some, some), _Job(some, rest), _Job(rest, rest)]
    else:
        near = np.bitwise_count(keys_of(job.right.columns, slot.bits) ^ np.uint32(key)) <= slot.flips
        pieces = [_Job(some, job.right.where(near)), _Job(some, job.right.where(~near)), _Job(rest, job.right)]
    pieces = [piece for piece in pieces if len(piece.left) and len(piece.right)]
    return pieces if len(pieces) > 1 else []


def _oversized(job: _Job, slots: Plan) -> tuple[Slot | None, int]:
    """The slot and key whose bucket costs most, as samples tell, if that is too much."""
    if job.compared < SPLIT_FROM:
        return None, 0
    left, right = job.left.sample, job.right.sample
    scale = len(job.left) / left.shape[1] * len(job.right) / right.shape[1]
    worst: tuple[float, Slot | None, int] = (float(SPLIT_ROW * (len(job.left) + len(job.right))), None, 0)
    for slot in slots:
        mine, theirs = _histogram(left, slot), _histogram(right, slot)
        keys = np.argpartition(mine, -64)[-64:] if len(mine) > 64 else np.arange(len(mine))
        cost = mine[keys] * theirs[keys[:, None] ^ slot.masks()].sum(axis=1) * scale
        if cost.max() > worst[0]:
            worst = float(cost.max()), slot, int(keys[cost.argmax()])
    return worst[1:]


def _run(job: _Job, slots: Plan, rule: Rule, pool: ThreadPoolExecutor) -> Iterator[Ids]:
    swapped = len(job.left) < len(job.right)  # the smaller side is the one looked up
    job = _Job(job.right, job.left) if swapped else job
    earlier = np.stack([slot.mask(len(job.left.columns)) for slot in slots])
    flips = np.array([slot.flips for slot in slots])
    tables = pool.submit(_tables, job, slots[0])
    for done in range(len(slots)):
        left, right, masks = tables.result()
        if done + 1 < len(slots):
            tables = pool.submit(_tables, job, slots[done + 1])
        slot_rule = rule._replace(masks=masks, earlier=earlier[:done], flips=flips[:done])
        for hits in _scans(left, right, slot_rule, job.itself, pool):
            yield hits[:, ::-1] if swapped else hits


def _tables(job: _Job, slot: Slot) -> tuple[Table, Table, Ids]:
    """The side that looks up, the side looked up, and the masks under which it is."""
    masks = slot.masks()
    if job.itself:
        table = job.right.by_key(slot)
        return table, table, masks
    if is_spread(slot, len(job.right)):
        return job.left.as_it_is(slot), job.right.spread(slot), masks[:1]
    return job.left.by_key(slot), job.right.by_key(slot), masks


def _scans(left: Table, right: Table, rule: Rule, itself: bool, pool: ThreadPoolExecutor) -> Iterator[Ids]:
    def work(cursor: Ids) -> tuple[Ids, Ids]:
        out = np.empty((BUFFER, 2), dtype=np.int64)
        return out[: scan(left, right, rule, itself, cursor, out)].copy(), cursor

    ends = np.linspace(0, len(left.ids), _chunks(len(left.ids)) + 1).astype(np.int64)
    running = {pool.submit(work, np.array([begin, 0, 0, end])) for begin, end in pairwise(ends)}
    while running:
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            hits, cursor = future.result()
            if cursor[0] < cursor[3]:
                running.add(pool.submit(work, cursor))
            yield hits


def _chunks(rows: int) -> int:
    """How many pieces of work: enough to keep every core busy to the end, none too small to be worth handing out."""
    return min(16 * _cores(), rows // 4096 + 1)


def _histogram(columns: Words, slot: Slot) -> Ids:
    return np.bincount(keys_of(columns, slot.bits), minlength=1 << len(slot.bits))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
