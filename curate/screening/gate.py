"""The gate that every byte passes before it is kept. A gate that cannot answer says no."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from curate.contracts import HashList
from curate.errors import CurateError, GateError
from curate.records import CorruptRow, ListedHash

REMEDY = "see docs/screening.md"
BANNER = "SCREENING IS OFF: no hash list is loaded ([screening] required = false); every release will say so"


@dataclass(frozen=True, slots=True)
class Match:
    """What a list said of some bytes: which list, which of its rows, by which hash."""

    list: str
    entry: str
    algorithm: str


@dataclass(frozen=True, slots=True)
class LoadedList:
    """One list as it was loaded: what a release and `curate screening status` say of it."""

    name: str
    provider: str
    sha256: str
    entries: int
    corrupt: tuple[str, ...]
    modified: str


@dataclass
class Gate:
    """Exact hashes of the lists, and whether an answer is required. Build it with `load`."""

    required: bool
    lists: tuple[LoadedList, ...] = ()
    problems: tuple[str, ...] = ()
    stop_after_matches: int = 1
    _index: dict[tuple[str, str], Match] = field(default_factory=dict, repr=False)

    @property
    def healthy(self) -> bool:
        """True when at least one list is loaded and every configured one can answer."""
        return bool(self.lists) and not self.problems

    def check(self, sha256: str, sha1: str, md5: str) -> Match | None:
        """What the lists say of bytes with these digests (lower-case hex)."""
        for algorithm, value in (("sha256", sha256), ("sha1", sha1), ("md5", md5)):
            if (match := self._index.get((algorithm, value))) is not None:
                return match
        return None

    @property
    def banner(self) -> str | None:
        """What must be said aloud where nothing is screened."""
        return None if self.lists else BANNER

    def summary(self) -> dict[str, object]:
        """What a release and `curate screening status` say: which lists, of whom, how large, how old."""
        return {
            "required": self.required,
            "healthy": self.healthy,
            "lists": [asdict(one) | {"corrupt": len(one.corrupt)} for one in self.lists],
            "problems": list(self.problems),
        }

    def admit(self, classes: frozenset[str | None], safe: Sequence[str]) -> None:
        """Say yes to fetching these classes, or raise GateError."""
        risky = sorted(str(label or "unlabelled") for label in classes if label not in safe)
        if self.problems:
            raise GateError(f"screening: {self.problems[0]}; nothing is fetched; {REMEDY}")
        if self.lists:
            return
        if risky:
            raise GateError(
                f"screening: no list is loaded, and the sources can yield {', '.join(risky)}, which the taxonomy"
                f" does not call safe; nothing is fetched; {REMEDY}"
            )
        if self.required:
            raise GateError(
                "screening: required, and no list is loaded; nothing is fetched. Where every class is safe,"
                f" [screening] required = false is possible; {REMEDY}"
            )


def load(lists: Sequence[tuple[str, HashList]], required: bool, max_age_days: float | None, stop_after: int) -> Gate:
    """A gate over the configured (name, list) pairs; what is wrong with them is kept as `problems`, to refuse with."""
    gate = Gate(required, stop_after_matches=stop_after)
    loaded, problems = [], []
    for name, one in lists:
        try:
            loaded.append(_load(gate, name, one, max_age_days))
        except CurateError as error:
            problems.append(f"{name}: {error}")
    gate.lists, gate.problems = tuple(loaded), tuple(problems)
    return gate


def _load(gate: Gate, name: str, one: HashList, max_age_days: float | None) -> LoadedList:
    corrupt: list[str] = []
    entries = 0
    for row in one.rows():
        if isinstance(row, CorruptRow):
            corrupt.append(f"{row.entry}: {row.problem}")
        else:
            entries += 1
            gate._index[(row.algorithm, row.value)] = Match(name, row.entry, row.algorithm)
    if not entries:
        raise GateError(f"{one.path.name} holds no readable hash ({len(corrupt)} corrupt)")
    _canary(gate)
    modified = datetime.fromtimestamp(one.path.stat().st_mtime, UTC)
    age = (datetime.now(UTC) - modified).total_seconds() / 86400
    if max_age_days is not None and age > max_age_days:
        raise GateError(f"{one.path.name} is {age:.0f} days old; [screening] max_age_days allows {max_age_days:g}")
    stamp = modified.isoformat(timespec="seconds").replace("+00:00", "Z")
    return LoadedList(name, one.provider, _sha256(one.path), entries, tuple(corrupt), stamp)


def _canary(gate: Gate) -> None:
    """A known entry must match, or the index is not to be trusted."""
    probe = ListedHash("sha256", hashlib.sha256(b"curate canary").hexdigest(), "canary")
    gate._index[(probe.algorithm, probe.value)] = Match("canary", probe.entry, probe.algorithm)
    found = gate.check(probe.value, "", "")
    del gate._index[(probe.algorithm, probe.value)]
    if found is None or found.list != "canary":
        raise GateError("the index did not find its canary entry")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
