"""What the loaded lists hold, all together: which entry of which list a digest or a PDQ hash belongs to."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate, islice
from operator import ne
from pathlib import Path
from typing import TYPE_CHECKING

from curate.contracts import HashList
from curate.errors import GateError
from curate.media.pdq import BYTES
from curate.records import Algorithm, CorruptRow, ListedHash, SkippedRow

if TYPE_CHECKING:
    from curate.screening.index import Bytes, Digests, Nearest, PdqIndex

EXACT: tuple[Algorithm, ...] = ("sha256", "sha1", "md5")  # in the order in which they are asked
NAMED = 20  # doubtful rows whose doubt is kept
STRETCH = 1024  # rows of a list that are taken at a time: many at once cost half of what each does alone
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


@dataclass(frozen=True, slots=True)
class Match:
    """What a list said of some bytes: which list, which of its rows, by which hash, how far away, in which part."""

    list: str
    entry: str
    algorithm: str
    provider: str = "self"
    distance: int = 0
    part: str = ""


@dataclass(frozen=True, slots=True)
class LoadedList:
    """One list as it was loaded: what a release and `curate screening status` say of it.

    `corrupt` rows could not be read, `doubtful` ones are odd and matched all the same (`doubts`: why the first ones
    are), `skipped` ones are counted by what they are. `sha256` is that of the file, or of the names and digests of a
    folder's files.
    """

    name: str
    provider: str
    sha256: str
    entries: int
    corrupt: tuple[str, ...]
    modified: str
    doubtful: int = 0
    doubts: tuple[str, ...] = ()
    skipped: dict[str, int] = field(default_factory=dict)
    hashes: dict[str, int] = field(default_factory=dict)


@dataclass
class _Rows:
    """Hashes of one algorithm, end to end, with the list and the entry of each."""

    values: bytearray = field(default_factory=bytearray)
    owners: "array[int]" = field(default_factory=lambda: array("H"))
    names: Names = field(default_factory=Names)

    def extend(self, hashes: Sequence[ListedHash], owner: int) -> None:
        """Hashes of the list with this number."""
        self.values += bytes.fromhex("".join([row.value for row in hashes]))
        self.owners.extend([owner] * len(hashes))
        self.names.extend([row.entry for row in hashes])


@dataclass
class Entries:
    """The hashes of all lists. `add` lists, then `build` once, then ask."""

    lists: list[LoadedList] = field(default_factory=list)
    _rows: dict[Algorithm, _Rows] = field(default_factory=lambda: {kind: _Rows() for kind in WIDTHS})
    _digests: "dict[Algorithm, Digests]" = field(default_factory=dict)
    pdq: "PdqIndex | None" = None

    def add(self, name: str, one: HashList) -> None:
        """Read a list; raises GateError where more of its rows are corrupt than can be read, or none is readable."""
        read, rows = _Read(), one.rows()
        while some := list(islice(rows, STRETCH)):
            read.take(some, self._rows, len(self.lists))
        listed = self._loaded(name, one, read)
        if not read.entries:
            raise GateError(f"{one.path.name} holds no readable hash ({len(read.corrupt)} corrupt)")
        if len(read.corrupt) > read.entries:
            raise GateError(
                f"{one.path.name} is corrupt: {len(read.corrupt)} rows cannot be read (first: {read.corrupt[0]}),"
                f" and only {read.entries} can"
            )
        self.lists.append(listed)

    def _loaded(self, name: str, one: HashList, read: "_Read") -> LoadedList:
        files = sorted(one.path.iterdir()) if one.path.is_dir() else [one.path]
        newest = max(datetime.fromtimestamp(file.stat().st_mtime, UTC) for file in files)
        stamp = newest.isoformat(timespec="seconds").replace("+00:00", "Z")
        corrupt, doubts = tuple(read.corrupt), tuple(read.doubts)
        counts = dict(sorted(read.hashes.items()))
        skipped = dict(sorted(read.skipped.items()))
        return LoadedList(
            name, one.provider, _sha256(files), read.entries, corrupt, stamp, read.doubtful, doubts, skipped, counts
        )

    def build(self) -> None:
        """Make the indexes; raises GateError where one does not find its canary."""
        for kind, rows in self._rows.items():
            if not rows.values:
                continue
            from curate.screening.index import Digests, PdqIndex

            if kind == "pdq":
                self.pdq = PdqIndex.of(rows.values)
            else:
                self._digests[kind] = Digests.of(rows.values, WIDTHS[kind])
                if self._digests[kind].find(bytes(rows.values[: WIDTHS[kind]])) is None:
                    raise GateError(f"the index of {kind} did not find its canary")
            rows.values = bytearray()

    def exact(self, digests: dict[Algorithm, str]) -> Match | None:
        """What the lists say of bytes with these digests (lower-case hex)."""
        for kind in EXACT:
            if kind in self._digests and (row := self._digests[kind].find(bytes.fromhex(digests[kind]))) is not None:
                return self._match(kind, row)
        return None

    def exact_all(self, digests: Mapping[str, Sequence[str]]) -> Iterator[tuple[int, Match]]:
        """The items, by number, that have a listed digest; `digests` are lower-case hex, by algorithm."""
        for kind in EXACT:
            if kind in self._digests and digests.get(kind):
                rows = self._digests[kind].find_all(bytes.fromhex("".join(digests[kind])))
                for n in (rows >= 0).nonzero()[0]:
                    yield int(n), self._match(kind, int(rows[n]))

    def nearest(self, queries: "Bytes", radius: int) -> "Nearest":
        """The nearest listed PDQ hash of each of uint8[m, 32] within `radius` bits."""
        assert self.pdq is not None
        return self.pdq.nearest(queries, radius)

    def near(self, row: int, distance: int, part: str) -> Match:
        """A match with a row that `nearest` gave."""
        return self._match("pdq", row, distance, part)

    def _match(self, kind: Algorithm, row: int, distance: int = 0, part: str = "") -> Match:
        rows = self._rows[kind]
        owner = self.lists[rows.owners[row]]
        return Match(owner.name, rows.names[row], kind, owner.provider, distance, part)


@dataclass
class _Read:
    """What one list holds, counted while it is read."""

    entries: int = 0
    corrupt: list[str] = field(default_factory=list)
    doubtful: int = 0
    doubts: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    hashes: Counter[str] = field(default_factory=Counter)
    last: str = ""

    def take(
        self, rows: Sequence[ListedHash | CorruptRow | SkippedRow], into: dict[Algorithm, _Rows], owner: int
    ) -> None:
        """Count the next rows, and keep what they list."""
        hashes = [row for row in rows if isinstance(row, ListedHash)]
        self.corrupt += [f"{row.entry}: {row.problem}" for row in rows if isinstance(row, CorruptRow)]
        self.skipped.update([row.kind for row in rows if isinstance(row, SkippedRow)])
        entries = [self.last, *[row.entry for row in hashes]]
        self.entries += sum(map(ne, entries[1:], entries))  # one row may be listed by several hashes
        self.last = entries[-1]
        odd = [row for row in hashes if row.doubt]
        self.doubtful += len(odd)
        self.doubts += [f"{row.entry}: {row.doubt}" for row in odd[: NAMED - len(self.doubts)]]
        for kind, kept in into.items():
            if some := [row for row in hashes if row.algorithm == kind]:
                self.hashes[kind] += len(some)
                kept.extend(some, owner)


def _sha256(files: list[Path]) -> str:
    if len(files) == 1:
        return _digest(files[0])
    each = (f"{_digest(file)}  {file.name}\n" for file in files if file.is_file())
    return hashlib.sha256("".join(each).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
