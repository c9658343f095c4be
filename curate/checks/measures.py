"""By what `curate check` compares pictures: as dedupe does by default, at radii at which one may stop a build."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import numpy.typing as npt

from curate.checks.scan import Seen
from curate.dedupe.search import Stage, by_forms, by_hash, by_orientation
from curate.media import pdq, phash
from curate.near import turns as near_turns
from curate.near.components import union

Ids = npt.NDArray[np.int64]
Bits = npt.NDArray[np.int64]
Told = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

RADIUS = 8  # bits of pHash; tighter than a group's: a leak stops a build (at 10, one of 50 million pairs was wrong)
TURNED_RADIUS = 4  # bits where one of the two is mirrored or turned, for the same reason
PDQ_RADIUS = pdq.RADIUS  # bits of PDQ
# What is said of each measure: its name, of how many bits it is, and its radius.
SAID = (
    ("pHash", phash.BITS, RADIUS), ("PDQ", pdq.BITS, PDQ_RADIUS),
    ("mirrored or turned pHash", phash.BITS, TURNED_RADIUS), ("mirrored or turned PDQ", pdq.BITS, PDQ_RADIUS),
)  # fmt: skip
FAR = 1 << 30
SAME_BYTES = -1  # the distance of a picture from itself, where two rows mention it
EVERY = range(pdq.ORIENTATIONS)
TURNS = EVERY[1:]


@dataclass(frozen=True)
class Measure:
    """One way of comparing: how its neighbours are found, of whom it tells (bool[n]), and how far two pictures are.

    `apart` is given numbers of pictures, int64[b] and int64[m], and answers int64[b, m] bits; FAR: it says nothing.
    """

    stage: Stage
    tells: Told
    apart: Callable[[Ids, Ids], Bits]

    def unite(self, parent: Ids) -> None:
        """Join what lies within the radius, in place."""
        rows = np.flatnonzero(self.tells)
        if rows.size:
            union(parent, rows, rows[self.stage.search(rows, np.empty(0, dtype=np.int64))])


def measures(looks: Sequence[Seen]) -> tuple[Measure, ...]:
    """Those of SAID, in order."""
    told = np.stack([_tells(looks, name, phash.MIN_QUALITY) for name in ("quality", "inner_quality")], axis=1)
    bits, signs = (_array([getattr(one, name) for one in looks], 2, 8) for name in ("phash", "signs"))
    turned = _array([one.pdq for one in looks], pdq.ORIENTATIONS, pdq.BYTES)
    upright, by_pdq = turned[:, 0], _tells(looks, "pdq_quality", pdq.MIN_QUALITY)
    by_phash = np.asarray(told.any(axis=1))
    lacking = by_pdq & ~told[:, 0]
    some = np.flatnonzero(lacking)
    return (
        Measure(by_forms("phash", "", bits, told, RADIUS, turned=False), by_phash, partial(_forms, bits, told, (0,))),
        Measure(by_hash("pdq", "", upright, PDQ_RADIUS), by_pdq, partial(_forms, turned[:, :1], by_pdq[:, None], (0,))),
        Measure(
            by_forms("turned", "", signs, told, TURNED_RADIUS, turned=True),
            by_phash,
            partial(_forms, signs, told, EVERY),
        ),
        Measure(
            by_orientation("", upright, some, turned[some], PDQ_RADIUS),
            by_pdq,
            partial(_turned, turned, by_pdq, lacking),
        ),
    )


def _forms(values: Bytes, told: Told, turns: Sequence[int], block: Ids, some: Ids) -> Bits:
    """Of pictures in several forms, uint8[n, forms, 8 or 32], the nearest two forms; the other picture's so turned."""
    found = np.full((len(block), len(some)), FAR, dtype=np.int64)
    forms = np.flatnonzero(told[some].any(axis=0)).tolist()
    for turn, mine, theirs in product(turns, forms, forms):
        other = near_turns.turned(values[some, theirs], turn) if turn else values[some, theirs]
        both = told[block, mine][:, None] & told[some, theirs]
        np.minimum(found, np.where(both, _bits(values[block, mine], other), FAR), out=found)
    return found


def _turned(turned: Bytes, tells: Told, lacking: Told, block: Ids, some: Ids) -> Bits:
    """The nearest orientation, uint8[n, 8, 32], of whichever of the two is `lacking` to the upright other one."""
    found = np.full((len(block), len(some)), FAR, dtype=np.int64)
    both = tells[block][:, None] & tells[some]
    for turn in TURNS if lacking[some].any() or lacking[block].any() else ():
        there = _bits(turned[block, 0], turned[some, turn])
        np.minimum(found, np.where(both & lacking[some], there, FAR), out=found)
        back = _bits(turned[block, turn], turned[some, 0])
        np.minimum(found, np.where(both & lacking[block][:, None], back, FAR), out=found)
    return found


def _bits(one: Bytes, other: Bytes) -> Bits:
    words, others = (np.ascontiguousarray(some).view(np.uint64) for some in (one, other))
    return np.asarray(np.bitwise_count(words[:, None] ^ others).sum(axis=2, dtype=np.int64))


def _array(values: Sequence[bytes], forms: int, width: int) -> Bytes:
    return np.frombuffer(b"".join(values), dtype=np.uint8).reshape(len(values), forms, width)


def _tells(looks: Sequence[Seen], quality: str, least: float) -> Told:
    return np.array([getattr(one, quality) >= least for one in looks], dtype=bool)
