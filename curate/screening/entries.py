"""What the loaded lists hold, all together: which entry of which list a digest or a PDQ hash belongs to."""

import hashlib
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from curate.contracts import HashList
from curate.errors import GateError
from curate.media.pdq import BYTES
from curate.records import Algorithm, CorruptRow, Dated, ListedHash, SkippedRow
from curate.screening.listed import LoadedList, Match, Terms

if TYPE_CHECKING:
    from curate.screening.index import Bytes, Digests, PdqIndex

EXACT: tuple[Algorithm, ...] = ("sha256", "sha1", "md5")  # in the order in which they are asked
NAMED = 20  # doubtful rows whose doubt is kept
CHUNK = 1 << 18  # entries that are compared with harmless pictures at a time
WIDTHS: dict[Algorithm, int] = {"md5": 16, "sha1": 20, "sha256": 32, "pdq": BYTES}


class Names:
    """Many short texts in one block of bytes, by number: a tenth of what as many strings take."""

    def __init__(self) -> None:
        self._block, self._ends = bytearray(), array("Q")

    def append(self, text: str) -> None:
        """One more, under the next number."""
        self._block += text.encode()
        self._ends.append(len(self._block))

    def __getitem__(self, number: int) -> str:
        return self._block[self._ends[number - 1] if number else 0 : self._ends[number]].decode()

    def find(self, text: str) -> Iterator[int]:
        """Every number that has this text."""
        wanted = text.encode()
        at = self._block.find(wanted) if wanted else -1
        while at >= 0:
            number = bisect_left(self._ends, at + len(wanted))
            if self[number] == text:
                yield number
            at = self._block.find(wanted, at + 1)


@dataclass
class _Rows:
    """Hashes of one algorithm, end to end, with the list and the entry of each; then their index."""

    values: bytearray = field(default_factory=bytearray)
    owners: "array[int]" = field(default_factory=lambda: array("H"))
    names: Names = field(default_factory=Names)
    digests: "Digests | None" = None
    index: "PdqIndex | None" = None

    def build(self, kind: Algorithm) -> None:
        """Make the index; raises GateError where it does not find its canary."""
        from curate.screening.index import Digests, PdqIndex

        if kind == "pdq":
            self.index = PdqIndex.of(self.values)
        else:
            self.digests = Digests.of(self.values, WIDTHS[kind])
            if self.digests.find(bytes(self.values[: WIDTHS[kind]])) is None:
                raise GateError(f"the index of {kind} did not find its canary")
        self.values = bytearray()


Kind = tuple[Algorithm, int, bool]  # the radius of PDQ hashes (0 for digests), and whether they are negative


@dataclass
class Entries:
    """The hashes of all lists. `add` lists, then `build` once, then ask.

    PDQ hashes have an index for each radius, so that what a narrow list does not match hides nothing of a wider one.
    Negative hashes answer no question about an item.
    """

    lists: list[LoadedList] = field(default_factory=list)
    _rows: "defaultdict[Kind, _Rows]" = field(default_factory=lambda: defaultdict(_Rows))

    def add(self, name: str, one: HashList, terms: Terms | None = None) -> None:
        """Read a list; raises GateError where more of its rows are corrupt than can be read, or none is readable."""
        read = _Read(terms or Terms())
        for row in one.rows():
            read.take(row, self._rows, len(self.lists))
        if not read.entries:
            raise GateError(f"{one.path.name} holds no readable hash ({len(read.corrupt)} corrupt)")
        if len(read.corrupt) > read.entries:
            raise GateError(
                f"{one.path.name} is corrupt: {len(read.corrupt)} rows cannot be read (first: {read.corrupt[0]}),"
                f" and only {read.entries} can"
            )
        self.lists.append(read.loaded(name, one))

    def build(self) -> None:
        """Make the indexes; raises GateError where one does not find its canary."""
        for (kind, _, _), rows in self._rows.items():
            if rows.values:
                rows.build(kind)

    @property
    def by_look(self) -> bool:
        """Whether any PDQ hash is matched."""
        return any(self._pdq())

    # -- asking --------------------------------------------------------------------------------------------------------

    def exact(self, digests: dict[Algorithm, str]) -> Match | None:
        """What the lists say of bytes with these digests (lower-case hex)."""
        for kind in EXACT:
            known = self._known(kind)
            if known is not None and (row := known.find(bytes.fromhex(digests[kind]))) is not None:
                return self._match((kind, 0, False), row, digests[kind])
        return None

    def exact_all(self, digests: Mapping[str, Sequence[str]]) -> Iterator[tuple[int, Match]]:
        """The items, by number, that have a listed digest; `digests` are lower-case hex, by algorithm."""
        for kind in EXACT:
            known = self._known(kind)
            if known is not None and digests.get(kind):
                rows = known.find_all(bytes.fromhex("".join(digests[kind])))
                for n in (rows >= 0).nonzero()[0]:
                    yield int(n), self._match((kind, 0, False), int(rows[n]), digests[kind][int(n)])

    def near(self, hashes: "Bytes", many: bool = False) -> dict[int, Match]:
        """Of uint8[n, k, 32], by number, the nearest entry that lies within its own list's radius of any of the k.

        `many`: for millions of them, by a join.
        """
        import numpy as np

        found: dict[int, Match] = {}
        for kind, index in self._pdq():
            one = (index.joined if many else index.nearest)(hashes.reshape(-1, BYTES), kind[1])
            distance, row = one.distance.reshape(hashes.shape[:2]), one.row.reshape(hashes.shape[:2])
            best = distance.argmin(axis=1)
            for n in np.flatnonzero(row[np.arange(len(row)), best] >= 0):
                at, apart = int(row[n, best[n]]), int(distance[n, best[n]])
                if int(n) not in found or apart < found[int(n)].distance:
                    found[int(n)] = self._match(kind, at, index.value(at).hex(), apart)
        return found

    # -- about the entries themselves ------------------------------------------------------------------------------

    def chunks(self) -> "Iterator[tuple[Kind, int, Bytes]]":
        """All PDQ hashes that are matched, uint8[n, 32], many at a time: on which terms, and the first one's row."""
        for kind, index in self._pdq():
            for at in range(0, len(index), CHUNK):
                yield kind, at, index.values(at, at + CHUNK)

    def at(self, kind: Kind, row: int, value: str) -> Match:
        """The entry in a row that `chunks` gave."""
        return self._match(kind, row, value)

    def contradicted(self) -> Iterator[tuple[Match, str]]:
        """Every entry that a negative list has, too, or has within the entry's radius, and what it is called there."""
        for kind in EXACT:
            mine, others = self._known(kind), self._rows.get((kind, 0, True))
            if mine is None or others is None or others.digests is None:
                continue
            found = others.digests.find_all(mine.values.tobytes())
            for n in (found >= 0).nonzero()[0]:
                value = mine.values[n : n + 1].tobytes().hex()
                yield self._match((kind, 0, False), int(mine.rows[n]), value), self._name(others, int(found[n]))
        against = self._rows.get(("pdq", 0, True))
        if against is None or against.index is None:
            return
        for terms, at, hashes in self.chunks():
            close = against.index.joined(hashes, terms[1])
            for n in (close.row >= 0).nonzero()[0]:
                match = self._match(terms, at + int(n), hashes[n].tobytes().hex(), int(close.distance[n]))
                yield match, self._name(against, int(close.row[n]))

    def named(self, origin: str, entry: str) -> Iterator[Match]:
        """Every hash of a list's entry."""
        for kind, rows in self._rows.items():
            for n in rows.names.find(entry) if not kind[2] else ():
                if self.lists[rows.owners[n]].origin == origin:
                    yield self._match(kind, n, self._value(kind, n))

    def _pdq(self) -> "Iterator[tuple[Kind, PdqIndex]]":
        for kind, rows in self._rows.items():
            if rows.index is not None and not kind[2]:
                yield kind, rows.index

    def _known(self, kind: Algorithm) -> "Digests | None":
        rows = self._rows.get((kind, 0, False))
        return rows.digests if rows is not None else None

    def _value(self, kind: Kind, row: int) -> str:
        rows = self._rows[kind]
        if rows.index is not None:
            return rows.index.value(row).hex()
        assert rows.digests is not None
        at = int((rows.digests.rows == row).argmax())
        return rows.digests.values[at : at + 1].tobytes().hex()

    def _name(self, rows: _Rows, row: int) -> str:
        return f"{self.lists[rows.owners[row]].name} {rows.names[row]}"

    def _match(self, kind: Kind, row: int, value: str, distance: int = 0) -> Match:
        rows = self._rows[kind]
        owner = self.lists[rows.owners[row]]
        name = rows.names[row]
        return Match(owner.name, name, kind[0], owner.provider, distance, value=value, origin=owner.origin)


@dataclass
class _Read:
    """What one list holds, counted while it is read."""

    terms: Terms
    entries: int = 0
    corrupt: list[str] = field(default_factory=list)
    doubtful: int = 0
    doubts: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    hashes: Counter[str] = field(default_factory=Counter)
    negative: int = 0
    set_aside: int = 0
    newest: str = ""
    last: str = ""

    def take(self, row: ListedHash | CorruptRow | SkippedRow | Dated, rows: "dict[Kind, _Rows]", owner: int) -> None:
        """Count a row, and put what is matched where it is asked for."""
        if isinstance(row, CorruptRow):
            self.corrupt.append(f"{row.entry}: {row.problem}")
        elif isinstance(row, SkippedRow):
            self.skipped[row.kind] += 1
        elif isinstance(row, Dated):
            self.newest = max(self.newest, row.at)
        else:
            self._listed(row, rows, owner)

    def _listed(self, row: ListedHash, rows: "dict[Kind, _Rows]", owner: int) -> None:
        self.entries += row.entry != self.last  # one row may be listed by several hashes
        self.last = row.entry
        self.hashes[row.algorithm] += 1
        if row.doubt:
            self.doubtful += 1
            if len(self.doubts) < NAMED:
                self.doubts.append(f"{row.entry}: {row.doubt}")
        negative = row.negative or self.terms.negative
        self.negative += negative
        if not negative and row.value in self.terms.set_aside:
            self.set_aside += 1
            return
        into = rows[row.algorithm, self.terms.radius if row.algorithm == "pdq" and not negative else 0, negative]
        into.values += bytes.fromhex(row.value)
        into.owners.append(owner)
        into.names.append(row.entry)

    def loaded(self, name: str, one: HashList) -> LoadedList:
        """The list, in figures."""
        files = sorted(one.path.iterdir()) if one.path.is_dir() else [one.path]
        return LoadedList(
            name,
            one.provider,
            _sha256(files),
            self.entries,
            tuple(self.corrupt),
            modified=_stamp(max(file.stat().st_mtime for file in files)),
            doubtful=self.doubtful,
            doubts=tuple(self.doubts),
            skipped=dict(sorted(self.skipped.items())),
            hashes=dict(sorted(self.hashes.items())),
            radius=self.terms.radius,
            negative=self.negative,
            set_aside=self.set_aside,
            newest=self.newest,
            origin=self.terms.origin or name,
        )


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _sha256(files: list[Path]) -> str:
    if len(files) == 1:
        return hashlib.sha256(files[0].read_bytes()).hexdigest()
    each = (f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files if file.is_file())
    return hashlib.sha256("".join(each).encode()).hexdigest()
