"""What the loaded lists hold, all together: which entry of which list a digest or a PDQ hash belongs to."""

import hashlib
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate, islice, pairwise
from operator import ne
from pathlib import Path
from typing import TYPE_CHECKING

from curate.contracts import HashList
from curate.errors import GateError
from curate.media.pdq import BYTES
from curate.records import Algorithm, CorruptRow, Dated, ListedHash, SkippedRow
from curate.screening.listed import LoadedList, Match, Terms

if TYPE_CHECKING:
    from curate.screening.index import Bytes, DigestIndex, PdqIndex

EXACT: tuple[Algorithm, ...] = ("sha256", "sha1", "md5")  # in the order in which they are asked
NAMED = 20  # doubtful rows whose doubt is kept
STRETCH = 1024  # rows of a list that are taken at a time: many at once cost half of what each does alone
CHUNK = 1 << 18  # entries that are compared with harmless pictures at a time
WIDTHS: dict[Algorithm, int] = {"md5": 16, "sha1": 20, "sha256": 32, "pdq": BYTES}


class Names:
    """Many short texts in one block of bytes, by number: a tenth of what as many strings take."""

    def __init__(self) -> None:
        self._block, self._ends = bytearray(), array("Q")

    def extend(self, texts: Iterable[str]) -> None:
        """More of them, under the next numbers."""
        encoded = [text.encode() for text in texts]
        self._ends.extend(islice(accumulate(map(len, encoded), initial=len(self._block)), 1, None))
        self._block += b"".join(encoded)

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
    digests: "DigestIndex | None" = None
    index: "PdqIndex | None" = None

    def extend(self, hashes: Sequence[ListedHash], owner: int) -> None:
        """Hashes of the list with this number."""
        self.values += bytes.fromhex("".join([row.value for row in hashes]))
        self.owners.extend([owner] * len(hashes))
        self.names.extend([row.entry for row in hashes])

    def build(self, kind: Algorithm) -> None:
        """Make the index; raises GateError where it does not find its canary."""
        from curate.screening.index import DigestIndex, PdqIndex

        if kind == "pdq":
            self.index = PdqIndex.from_bytes(self.values)
        else:
            self.digests = DigestIndex.from_bytes(self.values, WIDTHS[kind])
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
        read, rows = _Read(terms or Terms()), one.rows()
        while some := list(islice(rows, STRETCH)):
            read.take(some, self._rows, len(self.lists))
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

    def near(self, hashes: "Bytes") -> dict[int, Match]:
        """Of uint8[n, k, 32], by number, the nearest entry that lies within its own list's radius of any of the k."""
        import numpy as np

        found: dict[int, Match] = {}
        for kind, index in self._pdq():
            one = index.nearest(hashes.reshape(-1, BYTES), kind[1])
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
            close = against.index.nearest(hashes, terms[1])
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

    def _known(self, kind: Algorithm) -> "DigestIndex | None":
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
    set_aside: set[str] = field(default_factory=set)
    matched: int = 0
    guessed: int = 0
    newest: str = ""
    last: str = ""

    def take(
        self, rows: Sequence[ListedHash | CorruptRow | SkippedRow | Dated], into: "dict[Kind, _Rows]", owner: int
    ) -> None:
        """Count the next rows, and put what is matched where it is asked for."""
        self.corrupt += [f"{row.entry}: {row.problem}" for row in rows if isinstance(row, CorruptRow)]
        self.skipped.update([row.kind for row in rows if isinstance(row, SkippedRow)])
        self.newest = max([self.newest, *[row.at for row in rows if isinstance(row, Dated)]])
        hashes = [row for row in rows if isinstance(row, ListedHash)]
        entries = [self.last, *[row.entry for row in hashes]]
        self.entries += sum(map(ne, entries[1:], entries))  # one row may be listed by several hashes
        self.last = entries[-1]
        odd = [row for row in hashes if row.doubt]
        self.doubtful += len(odd)
        self.doubts += [f"{row.entry}: {row.doubt}" for row in odd[: NAMED - len(self.doubts)]]
        against = hashes if self.terms.negative else [row for row in hashes if row.negative]
        self.negative += len(against)
        positive = [row for row in hashes if not row.negative] if not self.terms.negative else []
        kept = [row for row in positive if row.value not in self.terms.set_aside] if self.terms.set_aside else positive
        self.matched += len(kept)
        self.set_aside.update(row.value for row in positive if row.value in self.terms.set_aside)
        self.guessed += sum(one.value == other.value and one.entry == other.entry for one, other in pairwise(hashes))
        for kind in WIDTHS:
            self.hashes[kind] += sum(row.algorithm == kind for row in hashes)
            for chosen, negative in ((kept, False), (against, True)):
                if some := [row for row in chosen if row.algorithm == kind]:
                    radius = self.terms.radius if kind == "pdq" and not negative else 0
                    into[kind, radius, negative].extend(some, owner)

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
            hashes={kind: count for kind, count in sorted(self.hashes.items()) if count},
            radius=self.terms.radius,
            negative=self.negative,
            set_aside=len(self.set_aside),
            matched=self.matched,
            guessed=self.guessed,
            newest=self.newest,
            origin=self.terms.origin or name,
        )


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _sha256(files: list[Path]) -> str:
    if len(files) == 1:
        return _digest(files[0])
    each = (f"{_digest(file)}  {file.name}\n" for file in files if file.is_file())
    return hashlib.sha256("".join(each).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
