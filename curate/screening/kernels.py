"""The compiled loops of the PDQ index, imported only where the list is long: numba alone takes half a second.

Multi-index hashing (Norouzi, Punjani, Fleet: "Fast Search in Hamming Space with Multi-Index Hashing", 2012) in two
steps: two hashes within r bits are within r // 4 in one of their four words, and that word within r // 16 in one of its
four slots of 16 bits. Each of the 16 slots keeps the words it is part of, sorted by its bits. A query looks at the few
keys near its own, whose words follow each other in memory, and one popcount of a word rules out nearly every row.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
import numpy.typing as npt
from numba.extending import intrinsic

from curate.compiled import compiled

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Shorts = npt.NDArray[np.uint32]
T = TypeVar("T")
R = TypeVar("R")
U = np.uint64  # indexes are unsigned: for a signed one numba tests whether it counts from the end

SLOTS, KEYS = 16, 1 << 16
HEAVY = 1 / 16  # of all rows: a query that would look at more is compared with all, which in order costs less
PIECE = 1 << 19  # queries that a core takes at a time, at most
STRETCH = U(4096)  # rows that stay in the cache while query after query passes them
LAST = U(KEYS - 1)
BLOCK = U(64)  # rows of which two words are looked at before the other two are


class Slots(NamedTuple):
    """Slot s is 16 bits of each hash: those of word s // 4 from bit s % 4 * 16 on."""

    starts: Shorts  # [16, 65537]: where the rows with a key begin
    words: Words  # [16, n]: the word that the bits are part of, by key
    rows: Shorts  # [16, n]: whose word it is; ascending within a key


class Found(NamedTuple):
    """Of each query the least distance so far (radius + 1: none) and the first row that has it, or -1."""

    distance: npt.NDArray[np.uint16]
    row: Ints


def slots(columns: Words) -> Slots:
    """The slots of hashes, uint64[4, n] with n < 2^32: 192 bytes a hash."""
    shape = SLOTS, columns.shape[1]
    made = Slots(np.zeros((SLOTS, KEYS + 1), np.uint32), np.empty(shape, np.uint64), np.empty(shape, np.uint32))

    def sort(slot: int) -> None:
        _sort(columns[slot // 4], slot, made.starts[slot], made.words[slot], made.rows[slot])

    _on_cores(sort, range(SLOTS))
    return made


def nearest(columns: Words, slots: Slots | None, asked: Words, radius: int) -> Found:
    """Of each query (uint64[m, 4]) the least distance to a row of `columns` (uint64[4, n]), and the first such row.

    Where no row is within `radius` bits the distance is radius + 1 and the row -1. Without `slots` all are compared.
    """
    found, rest = _none(len(asked), radius), np.arange(len(asked))
    if slots is not None:
        rest = _few(columns, slots, asked, radius, found)
    if len(rest):
        found.distance[rest], found.row[rest] = _all(columns, asked[rest], radius)
    return found


def _few(columns: Words, slots: Slots, asked: Words, radius: int, found: Found) -> Ints:
    """Write what the slots find; return the queries for which they would look at too much."""
    every = np.arange(KEYS, dtype=np.uint64)
    masks = every[np.bitwise_count(every) <= radius // 16]

    def look(queries: Ints) -> Ints:
        heavy = _held(asked, queries, slots.starts, masks) > columns.shape[1] * HEAVY
        light = queries[~heavy]
        order = light[asked[light].view(np.uint16).argsort(axis=0, kind="stable")]  # what lies near is asked for next
        _look(asked, order, columns, slots, masks, found)
        return queries[heavy]

    pieces = max(-(-len(asked) // PIECE), min(_cores(), len(asked) // 32 + 1))
    return np.concatenate(_on_cores(look, np.array_split(np.arange(len(asked)), pieces)))


def _none(queries: int, radius: int) -> Found:
    return Found(np.full(queries, radius + 1, np.uint16), np.full(queries, -1, np.int64))


def _all(columns: Words, asked: Words, radius: int) -> Found:
    """As `nearest`, by comparing every query with every row."""
    ends = np.linspace(0, columns.shape[1], _cores() + 1).astype(np.int64)

    def scan(core: int) -> Found:
        found = _none(len(asked), radius)
        _scan(columns, asked, (ends[core], ends[core + 1]), found)
        return found

    parts = _on_cores(scan, range(_cores()))
    best, where = np.stack([part.distance for part in parts]), np.stack([part.row for part in parts])
    first = best.argmin(axis=0)[None]
    return Found(np.take_along_axis(best, first, axis=0)[0], np.take_along_axis(where, first, axis=0)[0])


def _on_cores(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    if len(items) == 1:
        return [work(items[0])]
    with ThreadPoolExecutor(_cores()) as pool:
        return list(pool.map(work, items))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@intrinsic  # type: ignore[untyped-decorator]
def _popcount(typing: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.uint64(numba.uint64), generate


@compiled
def _sort(column: Words, slot: int, starts: Shorts, words: Words, rows: Shorts) -> None:
    """A counting sort by 16 bits."""
    shift = U(slot % 4 * 16)
    for row in range(U(len(column))):
        starts[(column[row] >> shift & LAST) + U(1)] += 1
    for key in range(KEYS):
        starts[key + 1] += starts[key]
    free = starts[:-1].copy()
    for row in range(U(len(column))):
        key = column[row] >> shift & LAST
        words[free[key]], rows[free[key]] = column[row], row
        free[key] += 1


@compiled
def _held(asked: Words, queries: Ints, starts: Shorts, masks: Words) -> Ints:
    """How many rows the slots hold for each query."""
    held = np.zeros(len(queries), np.int64)
    for slot in range(SLOTS):
        for n in range(len(queries)):
            key = asked[queries[n], slot // 4] >> U(slot % 4 * 16) & LAST
            for mask in masks:
                held[n] += starts[slot, (key ^ mask) + U(1)] - starts[slot, key ^ mask]
    return held


@compiled
def _look(asked: Words, order: Ints, columns: Words, slots: Slots, masks: Words, found: Found) -> None:
    """Look at the rows whose keys are near each query's own; `order` is int64[m, 16], the queries slot by slot."""
    # Locals throughout: to read a field of a tuple counts a reference, and threads that count wait for each other.
    distance, row = found.distance, found.row
    for slot in range(SLOTS):
        starts, words, rows = slots.starts[slot], slots.words[slot], slots.rows[slot]
        for n in range(len(order)):
            query = order[n, slot]
            word, key = asked[query, slot // 4], asked[query, slot // 4] >> U(slot % 4 * 16) & LAST
            # Within the radius, or as near as what was found: an earlier row may be as near.
            most = U(distance[query]) - U(row[query] < 0)
            for mask in masks:
                begin, end = U(starts[key ^ mask]), U(starts[(key ^ mask) + U(1)])
                if begin == end or _least(word, words, begin, end) > most >> U(2):
                    continue
                for place in range(begin, end):
                    if _popcount(word ^ words[place]) <= most >> U(2):
                        apart = _apart(asked[query], columns, U(rows[place]))
                        if apart < most or (apart == most and U(rows[place]) < U(row[query])):
                            most = apart
                            distance[query], row[query] = apart, rows[place]


@compiled
def _apart(query: Words, columns: Words, row: U) -> U:
    return (
        _popcount(query[0] ^ columns[0, row])
        + _popcount(query[1] ^ columns[1, row])
        + _popcount(query[2] ^ columns[2, row])
        + _popcount(query[3] ^ columns[3, row])
    )


@compiled
def _least(word: U, words: Words, begin: U, end: U) -> U:
    """The least distance to a word. No branch in the loop, so the compiler makes vectors of it."""
    least = U(64)
    for place in range(begin, end):
        least = min(least, _popcount(word ^ words[place]))
    return least


@compiled
def _scan(columns: Words, asked: Words, stretch: Any, found: Found) -> None:
    """Look at the rows from stretch[0] to stretch[1] for every query."""
    distance, place = found.distance, found.row
    low, end = U(stretch[0]), U(stretch[1])
    while low < end:
        high = min(low + STRETCH, end)
        for query in range(U(len(asked))):
            begin, least = low, U(distance[query])
            while begin < high:
                stop = min(begin + BLOCK, high)
                if _least_of_half(asked[query], columns, begin, stop) < least:
                    near = _least_of_all(asked[query], columns, begin, stop) < least
                    for row in range(begin, stop if near else begin):
                        apart = _apart(asked[query], columns, row)
                        if apart < least:
                            least = apart
                            distance[query], place[query] = apart, row
                begin = stop
        low = high


@compiled
def _least_of_half(query: Words, columns: Words, begin: U, end: U) -> U:
    """The least distance over two words, which is at most that over all. No branch in the loop: vectors."""
    least = U(128)
    for row in range(begin, end):
        least = min(least, _popcount(query[0] ^ columns[0, row]) + _popcount(query[1] ^ columns[1, row]))
    return least


@compiled
def _least_of_all(query: Words, columns: Words, begin: U, end: U) -> U:
    least = U(256)
    for row in range(begin, end):
        least = min(least, _apart(query, columns, row))
    return least
