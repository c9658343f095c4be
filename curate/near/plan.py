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
LOOKUP, PLACE = 8.0, 80.0  # what looking up a bucket and sorting a row cost, in compared pairs


@dataclass(frozen=True)
class Slot:
    """Some bits of the hash (0 is the lowest bit of the first word), and how many of them may differ."""

    bits: Ids
    flips: int

    def masks(self) -> Ids:
        """Every pattern of at most `flips` flipped bits, ascending: int64[k]."""
        every = np.arange(1 << len(self.bits))
        return every[np.bitwise_count(every) <= self.flips]

    def mask(self, words: int) -> Words:
        """The slot's bits set in a hash of that many words: uint64[words]."""
        mask = np.zeros(words, dtype=np.uint64)
        np.bitwise_or.at(mask, self.bits >> 6, np.uint64(1) << (self.bits & 63).astype(np.uint64))
        return mask


Plan = tuple[Slot, ...]
WHOLE: Plan = (Slot(np.empty(0, dtype=np.int64), 0),)  # one bucket holds all: brute force


def plan(agree: npt.NDArray[np.float64], radius: int, compared: int, rows: int, looking: int) -> Plan:
    """The cheapest slots for a join of `compared` pairs among `rows` rows, of which `looking` look buckets up.

    `agree[b]` is the chance that the two rows of a pair have the same bit b; bits that tell most are dealt first.
    """
    order = np.argsort(agree, kind="stable")
    best, least = WHOLE, float(compared)
    widest = min(WIDEST, max(1, rows).bit_length() + 1)
    for count in range(1, min(radius + 1, len(order)) + 1):
        slots = _deal(order, count, radius, widest)
        cost = sum(compared * _chance(agree[s.bits], s.flips) + looking * LOOKUP * _ball(s) + rows * PLACE for s in slots)
        if cost < least:
            best, least = slots, cost
    return best


def _deal(order: Ids, count: int, radius: int, widest: int) -> Plan:
    """`count` slots whose flips, one added to each, sum up to `radius` + 1; earlier ones are wider and allow more."""
    return tuple(Slot(order[s::count][:widest], (radius - s) // count) for s in range(count))


def _ball(slot: Slot) -> int:
    return sum(comb(len(slot.bits), flipped) for flipped in range(slot.flips + 1))


def _chance(agree: npt.NDArray[np.float64], flips: int) -> float:
    """The chance that at most `flips` of independent bits disagree (Poisson binomial)."""
    chance = np.zeros(flips + 1)
    chance[0] = 1.0
    for same in agree:
        chance[1:] = chance[1:] * same + chance[:-1] * (1 - same)
        chance[0] *= same
    return float(chance.sum())
