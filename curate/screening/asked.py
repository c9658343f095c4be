"""Which lists each stored sample was asked about: at its fetch, or by a complete rescan since.

Each run that screens notes what it asks (`runs.asked`); nothing is screened again to know it. A list is the same where
its file is, whatever was added to it, or where its content is; not with a wider radius, or an entry restored since.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from curate.errors import GateError
from curate.fingerprint import canonical
from curate.screening import set_aside
from curate.store import columns
from curate.store.catalog import Catalog
from curate.store.columns import Scan

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from curate.screening.gate import Gate

RESCAN = "run `curate screening rescan`"


@dataclass(frozen=True, slots=True)
class Asked:
    """A list or a remote matcher as a run asked it; `kinds` are the algorithms of its hashes.

    What versions before `origin` was noted asked is known by its name.
    """

    name: str
    provider: str
    origin: str = ""
    sha256: str = ""
    radius: int = 0
    kinds: tuple[str, ...] = ()

    def covers(self, other: "Asked") -> bool:
        """Whether whoever asked this has asked the other, but for entries that it got since."""
        if self.radius < other.radius:
            return False
        if self.sha256 and self.sha256 == other.sha256:
            return not self.kinds or set(other.kinds) <= set(self.kinds)
        mine, others = (self.origin, other.origin) if self.origin else (self.name, other.name)
        return mine == others and self.provider == other.provider


@dataclass(frozen=True, slots=True)
class _Run:
    """What one run asked, its place among all runs; `missed`: a rescan, but for samples with these keyed digests."""

    order: int
    at: str
    lists: tuple[Asked, ...]
    aside: frozenset[int]
    missed: frozenset[str] | None


@dataclass
class Tally:
    """How many samples were asked about; `never`: by which lists in force how many were not.

    `since`: when the first of the others were asked about each list; `before`: how many of them before its file
    changed.
    """

    of: int = 0
    unscreened: int = 0
    unknown: int = 0
    never: Counter[str] = field(default_factory=Counter)
    since: dict[str, str] = field(default_factory=dict)
    before: Counter[str] = field(default_factory=Counter)

    @property
    def lacking(self) -> str:
        """What is missing, in words; empty where nothing is."""
        if not self.unscreened:
            return ""
        each = [f"{count} of {self.of} samples were never screened by {name}" for name, count in self.never.items()]
        return "; ".join(each) or f"{self.unscreened} of {self.of} samples were never screened by any list"


def in_force(gate: "Gate") -> tuple[Asked, ...]:
    """The lists and the matchers that can match something."""
    lists = [
        Asked(one.name, one.provider, one.origin, one.sha256, one.radius, tuple(one.hashes))
        for one in gate.lists
        if one.matched
    ]
    matchers = [
        Asked(name, one.provider, f"{name.partition(':')[0]} {getattr(one, 'url', '')}".strip())
        for name, one in gate.matchers
    ]
    return (*lists, *matchers)


def note(catalog: Catalog, gate: "Gate", missed: Sequence[str] | None = None) -> None:
    """Put on record what this run asks; `missed`: it is a rescan of all that is stored, but for these samples."""
    said: dict[str, Any] = {"lists": [asdict(one) for one in in_force(gate)]}
    said["aside"] = [row[0] for row in catalog.all("SELECT number FROM set_aside WHERE ended_at IS NULL ORDER BY 1")]
    if missed is not None:
        said["missed"] = sorted(catalog.digest("sha256", one) for one in missed)
    with catalog.tx() as db:
        db.execute("UPDATE runs SET asked = ? WHERE run = ?", (canonical(said), catalog.run))


def tally(catalog: Catalog, gate: "Gate", ids: "Collection[str] | pa.Array | None" = None) -> Tally:
    """Which samples (None: all that are stored) were asked about, list by list."""
    runs, now, found = _runs(catalog), in_force(gate), Tally()
    again = _restored(catalog)
    for (stored, off, missed), count in _kinds(catalog, runs, ids).items():
        found.of += count
        first = min((runs.order.get(one, -1) for one in stored), default=-1)
        late = (run for one, run in runs.rescans.items() if run.order > first and one not in missed)
        known = [*(runs.known[one] for one in stored if one in runs.known), *late]
        if not known and not off:
            found.unknown += count
            continue
        lacks = not now and not any(run.lists for run in known)
        for one in now:
            asked = [(run, then) for run in known if (then := _then(run, one, again)) is not None]
            if not asked:
                found.never[one.name] += count
                lacks = True
                continue
            run, then = max(asked, key=lambda pair: pair[0].order)
            found.since[one.name] = min(found.since.get(one.name, run.at), run.at)
            found.before[one.name] += count if then.sha256 != one.sha256 else 0
        found.unscreened += count if lacks else 0
    return found


def check(catalog: Catalog, gate: "Gate", ids: "Collection[str] | pa.Array", otherwise: str) -> Tally:
    """Refuse what a list in force was never asked about, or where screening cannot answer; `otherwise`: what is not
    done then. Where screening is not required nothing is refused. Raises GateError."""
    found = tally(catalog, gate, ids)
    if gate.required and not gate.healthy:
        raise GateError(f"screening: {gate.lacking}; {otherwise}; {gate.remedy}")
    if gate.required and found.lacking:
        raise GateError(f"screening: {found.lacking}; {RESCAN}")
    return found


def _then(run: _Run, now: Asked, again: Mapping[str, frozenset[int]]) -> Asked | None:
    """The list as a run asked it; None where the run did not, or without an entry that was restored since."""
    if run.aside & again.get(now.origin, frozenset()):
        return None
    return next((one for one in run.lists if one.covers(now)), None)


def _restored(catalog: Catalog) -> dict[str, frozenset[int]]:
    """What was set aside once and matches again, by list."""
    still = set_aside.values(catalog)
    found: defaultdict[str, set[int]] = defaultdict(set)
    for row in catalog.all("SELECT number, list, value FROM set_aside WHERE ended_at IS NOT NULL"):
        if row["value"] not in still.get(row["list"], ()):
            found[row["list"]].add(row["number"])
    return {name: frozenset(some) for name, some in found.items()}


@dataclass(frozen=True)
class _Runs:
    known: Mapping[str, _Run]
    order: Mapping[str, int]

    @property
    def rescans(self) -> dict[str, _Run]:
        return {name: one for name, one in self.known.items() if one.missed is not None}


def _runs(catalog: Catalog) -> _Runs:
    """Every run that noted what it asks, and the order of all; by the log, whatever clocks said."""
    order = dict(catalog.iterate_tuples("SELECT run, min(seq) FROM log WHERE run IS NOT NULL GROUP BY run"))
    known = {}
    for row in catalog.all("SELECT run, started_at, asked FROM runs WHERE asked IS NOT NULL"):
        said = json.loads(row["asked"])
        lists = tuple(Asked(**one | {"kinds": tuple(one["kinds"])}) for one in said["lists"])
        missed = frozenset(said["missed"]) if "missed" in said else None
        at = order.get(row["run"], -1)
        known[row["run"]] = _Run(at, row["started_at"], lists, frozenset(said["aside"]), missed)
    return _Runs(known, order)


_Kind = tuple[
    frozenset[str], bool, frozenset[str]
]  # the runs that stored it, whether the gate was off, rescans it missed


def _kinds(catalog: Catalog, runs: _Runs, ids: "Collection[str] | pa.Array | None") -> Counter[_Kind]:
    """How many samples share the runs that stored them: few kinds, however many samples."""
    import numpy as np

    with catalog.reading() as db:
        stored = columns.read(db, Scan({"id": "id", "run": "run"}, "samples", "id", nullable=("run",)))
        how = columns.read(db, Scan(_HOW, "candidates", "candidate", "", (("sample IS NOT NULL", ()),), ("candidate",)))
    runs_of, by_run = _coded(stored["run"])
    stored_how, by_how = _stored_how(columns.rows(how["sample"], stored["id"]), how["how"], len(stored["id"]))
    counted = np.flatnonzero(columns.among(ids, stored["id"])) if ids is not None else np.arange(len(stored["id"]))
    missed, by_missed = _missed(catalog, stored["id"], counted, runs)
    each = (by_run * len(stored_how) + by_how)[counted] * len(missed) + by_missed
    _, first, counts = np.unique(each, return_index=True, return_counts=True)
    found: Counter[_Kind] = Counter()
    for at in np.argsort(first).tolist():
        place = int(first[at])
        run, others = runs_of[by_run[counted[place]]], stored_how[by_how[counted[place]]]
        names = frozenset(name for name in (run, *(one[0] for one in others)) if name)
        off = any(one[2] == "off" for one in others)
        found[names, off, missed[by_missed[place]]] += int(counts[at])
    return found


_HOW = {
    "candidate": "candidate", "sample": "sample", "how": "coalesce(run, '') || ' ' || coalesce(gate, '')",
}  # fmt: skip
_How = tuple[tuple[str, str, str], ...]  # of each of its candidates the run, a space, what the gate was


def _coded(column: "pa.Array") -> "tuple[list[str | None], np.ndarray]":
    """The values of a column, and which of them each row has."""
    coded = column.dictionary_encode(null_encoding="encode")
    return coded.dictionary.to_pylist(), coded.indices.to_numpy()


def _stored_how(rows: "np.ndarray", said: "pa.Array", n: int) -> "tuple[list[_How], np.ndarray]":
    """How each of `n` samples was stored, of candidates whose sample is known by its row, and what they say: the
    distinct answers, and which of them each sample has. Nearly all have one candidate."""
    import numpy as np

    texts, codes = _coded(said)
    each = [(str(one).partition(" "),) for one in texts]
    of_each: list[_How] = [(), *each]
    row, code = np.divmod(np.unique((rows * max(len(texts), 1) + codes)[rows >= 0]), max(len(texts), 1))
    found, several = np.zeros(n, dtype=np.int64), np.bincount(row, minlength=n)[row] > 1
    found[row[~several]] = 1 + code[~several]
    sets: defaultdict[int, tuple[int, ...]] = defaultdict(tuple)
    for one, which in zip(row[several].tolist(), code[several].tolist(), strict=True):
        sets[one] += (which,)
    known: dict[tuple[int, ...], int] = {}
    for one, some in sets.items():
        found[one] = known.setdefault(some, len(of_each) + len(known))
    return of_each + [tuple(each[which][0] for which in some) for some in known], found


def _missed(
    catalog: Catalog, ids: "pa.Array", counted: "np.ndarray", runs: _Runs
) -> "tuple[list[frozenset[str]], np.ndarray]":
    """The rescans that could not look at a sample: the distinct answers, the first of which is none, and which of them
    each counted sample has."""
    import numpy as np

    rescans, known = [(name, one.missed) for name, one in runs.rescans.items() if one.missed], {frozenset[str](): 0}
    found = np.zeros(len(counted), dtype=np.int64)
    digest = catalog.digester("sha256")
    for place, one in enumerate(ids.take(counted).to_pylist() if rescans else ()):
        named = digest(one)
        some = frozenset(name for name, missed in rescans if missed and named in missed)
        found[place] = known.setdefault(some, len(known))
    return list(known), found
