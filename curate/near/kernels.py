"""The compiled inner loops. Imported only where the input is large: importing numba alone takes half a second.

Every kernel lets go of the interpreter's lock, so plain threads run them side by side: no OpenMP in the process, which
would forbid a later fork. All of them live in this one file because numba's cache watches only the caller's file.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from numba.extending import intrinsic

from curate.compiled import compiled
from curate.near.components import Ids, Words

Keys = npt.NDArray[np.uint32]
Places = npt.NDArray[np.int32]
Masks = npt.NDArray[np.int64]
U = np.uint64  # indexes are unsigned: for a signed one numba tests whether it counts from the end
BLOCK = U(256)  # places looked at before their hits are picked out


class Table(NamedTuple):
    """Rows of one side, column by column: their numbers, the words of their hashes, a slot's bits of each.

    `keys` serves the side that looks up; `starts` the other one, whose rows with a key begin at `starts[key]`.
    """

    ids: Ids
    first: Words
    second: Words  # as the next two, empty for hashes of one word
    third: Words
    fourth: Words
    keys: Keys
    starts: Ids


class Rule(NamedTuple):
    """What is a hit: within `radius`, not within `flips` on an `earlier` slot, not yet `joined` (equal values)."""

    hashes: Words  # uint64[rows, words], by row number
    radius: int
    masks: Masks  # how the other row's key may differ
    earlier: Words
    flips: Ids
    joined: Ids


class Orbits(NamedTuple):
    """One slot of hashes that turns are counted off: see `curate.near.orbits`.

    `ids` and `hashes` (so turned that the key is the canonical one) lie by that key, from `starts[key]` on. Of a key,
    `canon` is its canonical form, `which` the turn that leads there; what a turn does, `transposed` and `flips` say.
    """

    ids: Ids
    hashes: Words
    starts: Ids
    canon: Keys
    which: npt.NDArray[np.uint8]
    transposed: npt.NDArray[np.bool_]
    flips: Words


@intrinsic  # type: ignore[untyped-decorator]
def _popcount(typing: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.uint64(numba.uint64), generate


@compiled
def keys_of(columns: Words, bits: Ids) -> Keys:
    """The slot's bits of each hash, gathered into a number; `columns` is uint64[words, n]."""
    rows = columns.shape[1]
    keys = np.zeros(rows, dtype=np.uint32)
    for begin in range(0, rows, 4096):  # a stretch that stays in the cache while bit after bit is added
        end = min(begin + 4096, rows)
        for place in range(len(bits)):
            column, shift = columns[bits[place] >> 6], U(bits[place] & 63)
            for row in range(U(begin), U(end)):
                keys[row] |= np.uint32((column[row] >> shift) & U(1)) << np.uint32(place)
    return keys


@compiled
def key_order(keys: Keys, width: int) -> tuple[Places, Ids]:
    """The order of keys of `width` bits, and where each key begins in it: a counting sort."""
    starts = np.zeros((1 << width) + 1, dtype=np.int64)
    for key in keys:
        starts[key + 1] += 1
    starts = np.cumsum(starts)
    free = starts[:-1].astype(np.int32)
    order = np.empty(len(keys), dtype=np.int32)
    for row in range(len(keys)):
        order[free[keys[row]]] = row
        free[keys[row]] += 1
    return order, starts


@compiled
def ordered(values: npt.NDArray[Any], order: Places) -> npt.NDArray[Any]:
    """values[order], with the interpreter's lock let go."""
    result = np.empty(len(order), dtype=values.dtype)
    for place in range(len(order)):
        result[place] = values[order[place]]
    return result


@compiled
def scan(left: Table, right: Table, rule: Rule, itself: bool, cursor: Ids, out: Ids) -> int:
    """Write hits (left id, right id) to `out` until it is full or the left rows are done; return how many.

    `cursor` int64[4] is the row, the bucket, the place in it, and the row to stop before: it says where to go on.
    `itself`: the right table is the left one, in key order, and each two rows are met once.
    """
    # Locals throughout: to read a field of a tuple counts a reference, and threads that count wait for each other.
    first, second, third, fourth, ids = right.first, right.second, right.third, right.fourth, right.ids
    mine, my_second, my_third, my_fourth, my_ids = left.first, left.second, left.third, left.fourth, left.ids
    keys, masks, starts, joined, radius = left.keys, rule.masks, right.starts, rule.joined, U(rule.radius)
    hashes, earlier, flips, wide = rule.hashes, rule.earlier, rule.flips, len(second) > 0
    begins, ends = np.empty(len(masks), dtype=np.uint64), np.empty(len(masks), dtype=np.uint64)
    buckets, known, count = U(0), np.int64(-1), 0
    row, bucket, place, stop = U(cursor[0]), U(cursor[1]), U(cursor[2]), U(cursor[3])
    while row < stop:
        if keys[row] != known:
            known = np.int64(keys[row])
            buckets = _buckets(known, masks, starts, itself, begins, ends)
        a, b = mine[row], my_second[row] if wide else U(0)
        while bucket < buckets:
            place = max(place, begins[bucket], row + U(1) if itself else U(0))
            while place < ends[bucket]:
                block = min(place + BLOCK, ends[bucket])
                if (
                    _least_of_two(a, b, first, second, place, block) if wide else _least(a, first, place, block)
                ) > radius:
                    place = block
                while place < block:
                    apart = _popcount(a ^ first[place])
                    if wide:
                        apart += _popcount(b ^ second[place])
                        apart += _popcount(my_third[row] ^ third[place]) + _popcount(my_fourth[row] ^ fourth[place])
                    if apart <= radius and joined[my_ids[row]] != joined[ids[place]]:  # noqa: SIM102 (compiles as it is)
                        if _is_new(hashes, my_ids[row], ids[place], earlier, flips):
                            if count == len(out):
                                cursor[0], cursor[1], cursor[2] = row, bucket, place
                                return count
                            out[count, 0], out[count, 1] = my_ids[row], ids[place]
                            count += 1
                    place += U(1)
            place = U(0)
            bucket += U(1)
        bucket = U(0)
        row += U(1)
    cursor[0], cursor[1], cursor[2] = row, 0, 0
    return count


@compiled
def scan_orbits(
    table: Orbits,
    my_ids: Ids,
    upright: Words,
    across: Words,
    my_keys: Keys,
    masks: Keys,
    radius: int,
    itself: bool,
    joined: Ids,
    cursor: Ids,
    out: Ids,
) -> int:
    """As `scan`, over all orientations: each row is turned to the canonical form of each key near its own.

    `across` are the transposed hashes. `itself`: all rows are asked, so the smaller of two canonical keys asks.
    """
    ids, hashes, starts, canon, which = table.ids, table.hashes, table.starts, table.canon, table.which
    transposed, flips, limit = table.transposed, table.flips, U(radius)
    row, mask, place, stop, count = U(cursor[0]), U(cursor[1]), U(cursor[2]), U(cursor[3]), 0
    while row < stop:
        own, me = my_keys[row], my_ids[row]
        home = canon[own]
        while mask < U(len(masks)):
            key = own ^ masks[mask]
            there, turn = canon[key], which[key]
            if not itself or there >= home:
                a = (across[row] if transposed[turn] else upright[row]) ^ flips[turn]
                place, end = max(place, U(starts[there])), U(starts[U(there) + U(1)])
                while place < end:
                    block = min(place + BLOCK, end)
                    if _least(a, hashes, place, block) > limit:
                        place = block
                    while place < block:
                        if _popcount(a ^ hashes[place]) <= limit and joined[me] != joined[ids[place]]:
                            if count == len(out):
                                cursor[0], cursor[1], cursor[2] = row, mask, place
                                return count
                            out[count, 0], out[count, 1] = me, ids[place]
                            count += 1
                        place += U(1)
            place = U(0)
            mask += U(1)
        mask = U(0)
        row += U(1)
    cursor[0], cursor[1], cursor[2] = row, 0, 0
    return count


@compiled
def _buckets(own: int, masks: Masks, starts: Ids, itself: bool, begins: Words, ends: Words) -> U:
    """Fill in where the rows are whose keys are near `own` (not before it, for `itself`); neighbours become one."""
    count = 0
    for mask in masks:
        key = own ^ mask
        begin, end = U(starts[key]), U(starts[key + 1])
        if begin == end or (itself and key < own):
            continue
        if count and ends[count - 1] == begin:
            ends[count - 1] = end
        elif count and begins[count - 1] == end:
            begins[count - 1] = begin
        else:
            begins[count], ends[count] = begin, end
            count += 1
    return U(count)


@compiled
def _least(a: U, first: Words, begin: U, end: U) -> U:
    """The least distance over one word. No branch in the loop, so the compiler makes vectors of it."""
    least = U(64)
    for place in range(begin, end):
        least = min(least, _popcount(a ^ first[place]))
    return least


@compiled
def _least_of_two(a: U, b: U, first: Words, second: Words, begin: U, end: U) -> U:
    """The least distance over two words, which is at most that over all."""
    least = U(128)
    for place in range(begin, end):
        least = min(least, _popcount(a ^ first[place]) + _popcount(b ^ second[place]))
    return least


@compiled
def _is_new(hashes: Words, a: int, b: int, earlier: Words, flips: Ids) -> bool:
    """Not found by an earlier slot."""
    for slot in range(len(flips)):
        apart = U(0)
        for word in range(hashes.shape[1]):
            apart += _popcount((hashes[a, word] ^ hashes[b, word]) & earlier[slot, word])
        if apart <= U(flips[slot]):
            return False
    return True
