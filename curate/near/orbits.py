"""The large join over all orientations at once: one table a slot, in which a hash lies under its slot's canonical key.

A slot that holds bit (v, u) wherever it holds (u, v) is turned into itself: the slot's key of a turned picture is a
function of its key. The least of a key's eight forms is its canonical one. Where two hashes are within the radius in
some orientation, the keys of some slot are within `flips` bits in that orientation; so one of the keys near to the one
row's own has the canonical form of the other's. The row is compared in the orientation that takes that key to its
canonical form, with what lies under it, which is stored so turned. Nothing is lost, whatever the hashes are, and a row
is looked up once for all eight orientations.
"""

import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from curate.near.components import Ids, Words
from curate.near.kernels import Orbits, key_order, keys_of, ordered, scan_orbits
from curate.near.plan import WIDEST, Slot
from curate.near.turns import SIDE, transposed, turns

TURN, PLACE = 40.0, 160.0  # what a key turned and looked up, and a row put in its place, cost in compared pairs
BUFFER = 1 << 16  # hits a thread holds before it hands them over


def join_orbits(words: Words, new: Ids, every: Ids, radius: int, joined: Ids) -> Iterator[Ids]:
    """Pairs of a row of `new` and one of `every` within `radius` bits in some orientation, in blocks of int64[k, 2].

    `words` is uint64[n]; `new` is part of `every`, both ascending. A pair may come more than once. Pairs with equal
    values in `joined` may be left out; the caller may join more values while it reads.
    """
    itself = len(new) == len(every)
    across = transposed(words[every].view(np.uint8).reshape(-1, SIDE)).view(np.uint64)[:, 0]
    upright = words[every]
    asked = np.arange(len(every)) if itself else np.searchsorted(every, new)
    slots = plan(radius, len(new), len(every))
    with ThreadPoolExecutor(_cores()) as pool:
        tables = pool.submit(_table, slots[0], upright, across, every)
        for done, slot in enumerate(slots):
            table, keys = tables.result()
            if done + 1 < len(slots):
                tables = pool.submit(_table, slots[done + 1], upright, across, every)
            order, _ = key_order(table.canon[keys[asked]], len(slot.bits))  # what is looked up together lies together
            rows = asked[order]
            mine = (every[rows], upright[rows], across[rows], keys[rows])
            yield from _scans(table, mine, slot, radius, itself, joined, pool)


def plan(radius: int, new: int, every: int) -> tuple[Slot, ...]:
    """The cheapest slots that turns leave alone and whose flips, one added to each, sum up to more than the radius.

    The lowest bit, of the mean, is in none: it is the same in all pictures. For each two of the rest a turn decides, so
    of random hashes one bit in two agrees.
    """
    orbits = [
        sorted({SIDE * u + v, SIDE * v + u}) for u in range(SIDE) for v in range(u, SIDE) if u + v > 0
    ]  # by memory's byte and the bit from its high end
    orbits.sort(key=lambda orbit: (len(orbit) == 1, orbit[0] // SIDE + orbit[0] % SIDE))
    best: tuple[float, tuple[Slot, ...]] | None = None
    for count in range(1, min(radius + 1, len(orbits)) + 1):
        slots = _dealt(orbits, count, radius)
        cost = sum(_cost(slot, new, every) for slot in slots)
        if best is None or cost < best[0]:
            best = cost, slots
    assert best is not None
    return best[1]


def _dealt(orbits: list[list[int]], count: int, radius: int) -> tuple[Slot, ...]:
    bits: list[list[int]] = [[] for _ in range(count)]
    for orbit in orbits:
        least = min(bits, key=len)
        if len(least) + len(orbit) <= WIDEST:
            least += orbit
    return tuple(
        Slot(np.array([one - one % 8 + 7 - one % 8 for one in sorted(some)]), (radius - n) // count)
        for n, some in enumerate(sorted(bits, key=len, reverse=True))
    )


def _cost(slot: Slot, new: int, every: int) -> float:
    pairs = new * (every / 2 if new == every else every)
    compared = pairs * min(1.0, 8 * slot.near / 2 ** len(slot.bits))
    return float(compared + TURN * new * slot.near + PLACE * every)


def _table(slot: Slot, upright: Words, across: Words, ids: Ids) -> tuple[Orbits, npt.NDArray[np.uint32]]:
    """What lies under each canonical key, and every row's own key.

    A row whose key is the same in several orientations lies there in each of them.
    """
    flips, canon, which = _forms(slot)
    how = turns()
    columns = upright[None]
    keys = keys_of(columns, slot.bits)
    turned_keys = keys_of(across[None], slot.bits)
    own = canon[keys]
    rows, hashes = [], []
    for turn in range(len(how.flips)):
        form = turned_keys if how.transposed[turn] else keys
        lies = np.flatnonzero((form ^ flips[turn]) == own)
        rows.append(lies)
        hashes.append((across if how.transposed[turn] else upright)[lies] ^ how.flips[turn])
    row, hashed = np.concatenate(rows), np.concatenate(hashes)
    order, starts = key_order(own[row], len(slot.bits))
    table = Orbits(ordered(ids[row], order), ordered(hashed, order), starts, canon, which, how.transposed, how.flips)
    return table, keys


def _forms(slot: Slot) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """What each turn flips in a key, uint32[8]; of each key the least of its eight forms, and the turn to that."""
    how = turns()
    flips = np.array([keys_of(one.reshape(1, 1), slot.bits)[0] for one in how.flips], dtype=np.uint32)
    place = {int(bit): n for n, bit in enumerate(slot.bits)}
    every = np.arange(1 << len(slot.bits), dtype=np.uint32)
    mirrored = np.zeros_like(every)
    for bit, n in place.items():
        mirrored |= ((every >> np.uint32(n)) & np.uint32(1)) << np.uint32(place[_mirror(bit)])
    canon, which = every.copy(), np.zeros(len(every), dtype=np.uint8)
    for turn in range(1, len(how.flips)):
        form = (mirrored if how.transposed[turn] else every) ^ flips[turn]
        less = form < canon
        canon[less], which[less] = form[less], turn
    return flips, canon, which


def _mirror(bit: int) -> int:
    """Where a bit of the word (0 is the lowest of the first byte) goes when the hash is transposed."""
    row, column = bit // 8, 7 - bit % 8
    return 8 * column + 7 - row


def _scans(
    table: Orbits,
    mine: tuple[Ids, Words, Words, npt.NDArray[np.uint32]],
    slot: Slot,
    radius: int,
    itself: bool,
    joined: Ids,
    pool: ThreadPoolExecutor,
) -> Iterator[Ids]:
    masks = slot.masks().astype(np.uint32)

    def work(cursor: Ids) -> tuple[Ids, Ids]:
        out = np.empty((BUFFER, 2), dtype=np.int64)
        return out[: scan_orbits(table, *mine, masks, radius, itself, joined, cursor, out)].copy(), cursor

    rows = len(mine[0])
    ends = np.linspace(0, rows, min(16 * _cores(), rows // 4096 + 1) + 1).astype(np.int64)
    running = {pool.submit(work, np.array([begin, 0, 0, end])) for begin, end in pairwise(ends)}
    while running:
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            hits, cursor = future.result()
            if cursor[0] < cursor[3]:
                running.add(pool.submit(work, cursor))
            yield hits


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
