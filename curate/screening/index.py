"""Indexes over the hashes of all lists: digests, exactly, and PDQ within a radius. Complete: what brute force finds.

Nothing is kept on disk: to read a list takes longer than to build its index, and an index that was saved can be stale.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from curate.errors import GateError

if TYPE_CHECKING:
    from curate.screening.kernels import Slots

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

RADIUS = 31  # bits, that of the decision
PLAIN = 1 << 22  # pairs that numpy compares in less time than a compiler takes to load
LONG = 1 << 16  # hashes: as many as a slot of 16 bits has keys; fewer are compared one by one in less time
NOTHING = 257  # a distance that is none


@dataclass(frozen=True)
class DigestIndex:
    """Digests of one algorithm, sorted; `rows` are their numbers in the order they were listed."""

    values: npt.NDArray[np.bytes_]
    rows: Ints

    @classmethod
    def from_bytes(cls, values: bytes | bytearray, width: int) -> "DigestIndex":
        """From digests of `width` bytes, end to end, duplicates included."""
        array = np.frombuffer(values, dtype=f"S{width}")
        order = np.argsort(array, kind="stable")
        return cls(array[order], order)

    def find(self, digest: bytes) -> int | None:
        """The row of the first entry with this digest, or None."""
        at = int(np.searchsorted(self.values, np.array(digest, dtype=self.values.dtype)))
        if at < len(self.values) and self.values[at : at + 1].tobytes() == digest:
            return int(self.rows[at])
        return None

    def find_all(self, digests: bytes) -> Ints:
        """The row of the first entry of each of many digests, end to end; -1 where it is not listed."""
        asked = np.frombuffer(digests, dtype=self.values.dtype)
        at = np.minimum(np.searchsorted(self.values, asked), len(self.values) - 1)
        return np.where(self.values[at] == asked, self.rows[at], -1)


@dataclass(frozen=True)
class Nearest:
    """Of each query the nearest entry: its distance in bits (257: none within the radius) and its row, or -1."""

    distance: npt.NDArray[np.uint16]
    row: Ints


@dataclass(frozen=True)
class PdqIndex:
    """PDQ hashes in the order in which they were listed, duplicates included: uint64[4, n], word by word."""

    columns: Words
    slots: "Slots | None" = None  # of a long list

    @classmethod
    def from_bytes(cls, values: bytes | bytearray) -> "PdqIndex":
        """From hashes of 32 bytes, end to end; raises GateError where it misses its canary."""
        columns = np.frombuffer(values, dtype=np.uint64).reshape(-1, 4).T.copy()
        if columns.shape[1] < LONG:
            index = cls(columns)
        else:
            from curate.screening.kernels import slots

            index = cls(columns, slots(columns))
        index.check()
        return index

    def __len__(self) -> int:
        return int(self.columns.shape[1])

    def value(self, row: int) -> bytes:
        """The hash that was listed in this place."""
        return self.columns[:, row].tobytes()

    def values(self, first: int, last: int) -> Bytes:
        """The hashes from one place up to another, as uint8[n, 32]."""
        return np.ascontiguousarray(self.columns[:, first:last].T).view(np.uint8)

    def nearest(self, queries: Bytes, radius: int) -> Nearest:
        """The nearest entry of each query (uint8[m, 32]) within `radius` bits, found among all; of equals the first.

        The more queries are asked at once the less each costs, up to millions; their order does not matter.
        """
        asked = np.ascontiguousarray(queries).view(np.uint64).reshape(-1, 4)
        if not asked.size or not len(self):
            return Nearest(np.full(len(asked), NOTHING, np.uint16), np.full(len(asked), -1, np.int64))
        if self.slots is None and len(asked) * len(self) <= PLAIN:
            distance, place = _plainly(self.columns, asked)
        else:
            from curate.screening.kernels import nearest

            distance, place = nearest(self.columns, self.slots, asked, radius)
        found = distance <= radius
        return Nearest(np.where(found, distance, NOTHING).astype(np.uint16), np.where(found, place, -1))

    def check(self) -> None:
        """Raise GateError unless a few entries are found: themselves, and at the edge of the radius.

        The edge is probed once for each slot of bits, as only that slot can find it. The public index of the reference
        library finds nothing once it holds one entry and was saved and loaded.
        """
        for row in sorted({0, len(self) // 2, len(self) - 1}) if len(self) else ():
            known = self.columns[:, row].copy()
            found = self.nearest(known.view(np.uint8) ^ CANARIES, RADIUS)
            same = found.row[0] >= 0 and (self.columns[:, found.row[0]] == known).all()
            if found.distance[0] != 0 or not same or found.distance.max() > RADIUS:
                raise GateError("the index of PDQ hashes did not find its canary")


def _canaries() -> Bytes:
    """No bit, then 31 bits in 16 ways: two of each 16 bits, but one where the way's number is."""
    few = np.full((17, 16), 0x0101, dtype=np.uint16)
    few[0] = 0
    few[np.arange(1, 17), np.arange(16)] = 1
    return few.view(np.uint8)


CANARIES = _canaries()


def _plainly(columns: Words, asked: Words) -> tuple[npt.NDArray[np.uint16], Ints]:
    distance, place = np.empty(len(asked), np.uint16), np.empty(len(asked), np.int64)
    for number, query in enumerate(asked):
        apart = np.bitwise_count(columns ^ query[:, None]).sum(axis=0, dtype=np.uint16)
        place[number] = apart.argmin()
        distance[number] = apart[place[number]]
    return distance, place
