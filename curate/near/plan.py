"""Which bits go into which slot, and how far a slot may differ: every plan is exact, the cheapest is taken.

Let slot s allow f(s) flipped bits. Two hashes that differ by more in every slot differ by at least the sum of
f(s) + 1. So a plan is exact when that sum exceeds the radius, whichever bits the slots hold.
"""

from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from curate.near.components import Ids, Words

WIDEST = 20  # bits: the table of 2^20 buckets still sits in the cache
SPREAD = 1 << 20  # rows of a small side, each entered under every key near its own, that a large side runs past
# What steps cost, in compared pairs: a bucket looked up in key order, a row run past a small side, a row sorted.
LOOKUP, PASS, PLACE = 8.0, 60.0, 80.0


@dataclass(frozen=True)
class Slot:
    """Some bits of the hash (0 is the lowest bit of the first word), and how many of them may differ."""

    bits: Ids
    flips: int

    @property
    def near(self) -> int:
        """How many keys are near a key."""
        return sum(comb(len(self.bits), flipped) for flipped in range(self.flips + 1))

    def masks(self) -> Ids:
        """What turns a key into those near it, ascending: int64[near]."""
        every = np.arange(1 << len(self.bits))
        return every[np.bitwise_count(every) <= self.flips]

    def mask(self, words: int) -> Words:
        """The slot's bits set in a hash of that many words: uint64[words]."""
        mask = np.zeros(words, dtype=np.uint64)
        np.bitwise_or.at(mask, self.bits >> 6, np.uint64(1) << (self.bits & 63).astype(np.uint64))
        return mask


Plan = tuple[Slot, ...]
WHOLE: Plan = (Slot(np.empty(0, dtype=np.int64), 0),)  # one bucket holds all: brute force


def plan(agree: npt.NDArray[np.float64], radius: int, large: int, small: int | None) -> Plan:
    """The cheapest slots to join `large` rows with `small` rows (None: with themselves).

    `agree[b]` is the chance that the two rows of a pair have the same bit b; bits that tell most are dealt first.
    """
    order = np.argsort(agree, kind="stable")
    best, least = WHOLE, float(large * (large - 1) / 2 if small is None else large * small)
    compared, widest = least, min(WIDEST, large.bit_length() + 1)
    for count in range(1, min(radius + 1, len(order)) + 1):
        slots = _deal(order, count, radius, widest)
        cost = sum(compared * _chance(agree[slot.bits], slot.flips) + _overhead(slot, large, small) for slot in slots)
        if cost < least:
            best, least = slots, cost
    return best


def is_spread(slot: Slot, small: int | None) -> bool:
    """Whether the small side is entered under every near key, rather than both sides sorted."""
    return small is not None and small * slot.near <= SPREAD


def _overhead(slot: Slot, large: int, small: int | None) -> float:
    if is_spread(slot, small):
        return large * PASS
    return large * LOOKUP * slot.near + (large + (small or 0)) * PLACE


def _deal(order: Ids, count: int, radius: int, widest: int) -> Plan:
    """`count` slots whose flips, one added to each, sum up to `radius` + 1; earlier ones are wider and allow more."""
    return tuple(Slot(order[s::count][:widest], (radius - s) // count) for s in range(count))


def _chance(agree: npt.NDArray[np.float64], flips: int) -> float:
    """The chance that at most `flips` of independent bits disagree (Poisson binomial)."""
    chance = np.zeros(flips + 1)
    chance[0] = 1.0
    for same in agree:
        chance[1:] = chance[1:] * same + chance[:-1] * (1 - same)
        chance[0] *= same
    return float(chance.sum())
