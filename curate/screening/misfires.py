"""Which entries of the lists find what they should not, as far as that can be told without looking at anything."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from curate.screening import common, history, set_aside
from curate.screening.entries import Entries
from curate.screening.gate import Gate
from curate.screening.listed import Match
from curate.store.catalog import Catalog

ITEMS = 10  # different files that an entry matches before it is suspected, whatever else was screened
FEW, SHARE = 3, 1 / 1000  # different files, and the share of all that was screened, from which on it is
PLAIN = 60  # quality of PDQ below which a picture is nearly flat
SHORT = 12  # digits of a hash as it is said: enough to name it


@dataclass
class Suspect:
    """One entry that may be wrong, and why."""

    where: str
    name: str
    value: str = ""
    why: list[str] = field(default_factory=list)
    known: history.Entry | None = None

    def said(self, total: int, aside: bool) -> dict[str, Any]:
        """As `curate screening status` prints it."""
        said = {"list": self.where, "entry": self.name, "hash": self.value[:SHORT] or None, "why": self.why}
        if self.known is not None:
            said |= self.known.said() | {"share": self.known.items / total if total else None}
        return said | {"set_aside": aside}


def suspicious(catalog: Catalog, gate: Gate) -> list[dict[str, Any]]:
    """Entries that match suspiciously often, or flat and common pictures, or what a negative list calls harmless.

    They are matched all the same, until somebody sets them aside. What has matched most comes first.
    """
    found, screened = dict[tuple[str, str], Suspect](), history.screened(catalog).get("screened", 0)
    for match, why in _doubtful(gate):
        found.setdefault(history.key(catalog, match), Suspect(match.list, match.entry, match.value)).why.append(why)
    banks = {name for name, _ in gate.matchers}
    for entry in history.entries(catalog):
        if entry.list not in banks and (reasons := often(entry, screened)):
            value, name = _value(catalog, gate, entry), _list(gate, entry.list)
            found.setdefault((entry.list, entry.key), Suspect(name, entry.name, value)).why += reasons
        if (entry.list, entry.key) in found:
            found[entry.list, entry.key].known = entry
    aside = {(one.list, history.digest(catalog, one.value)) for one in set_aside.in_force(catalog)}
    order = sorted(found.items(), key=lambda one: -(one[1].known.items if one[1].known else 0))
    return [one.said(screened, key in aside) for key, one in order]


def often(entry: history.Entry, screened: int) -> list[str]:
    """Why an entry's matches are too many to be copies of one picture.

    In the search of LAION-5B that was published, a known picture came up to eight times among 32 million items.
    """
    why = []
    if entry.items >= ITEMS or (entry.items >= FEW and entry.items >= SHARE * screened):
        why.append(f"it matched {entry.items} different files of {screened} that were screened")
    if entry.items >= FEW and entry.quality is not None and entry.quality[1] < PLAIN:
        why.append(f"all that it matched is nearly flat (quality below {PLAIN})")
    return why


def _doubtful(gate: Gate) -> Iterator[tuple[Match, str]]:
    """What the hashes themselves say."""
    if gate.problems:
        return
    entries = gate.entries
    for kind, first, values in entries.chunks():
        for n, why in common.doubts(values, kind[1]):
            value = values[n].tobytes().hex()
            if not (common.odd(value) and _may_be_sha256(entries, value)):
                yield entries.at(kind, first + n, value), why
    for name, digests in common.digests():
        for _, match in entries.exact_all({kind: [value] for kind, value in digests.items()}):
            yield match, f"it is {name}"
    for match, other in entries.contradicted():
        yield match, f"a list of harmless pictures has it: {other}"


def _may_be_sha256(entries: Entries, value: str) -> bool:
    """Whether 64 digits are matched as a sha256 as well, since their list does not say what they are."""
    return any(True for _ in entries.exact_all({"sha256": [value]}))


def _value(catalog: Catalog, gate: Gate, entry: history.Entry) -> str:
    """The hash of an entry that matched; empty where no list has it any more."""
    known = gate.entries.named(entry.list, entry.name) if not gate.problems else ()
    return next((one.value for one in known if history.digest(catalog, one.value) == entry.key), "")


def _list(gate: Gate, origin: str) -> str:
    return next((one.name for one in gate.lists if one.origin == origin), origin)
