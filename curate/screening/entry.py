"""`curate screening entry HASH`: one hash of the lists: who has it, what it matched, and whether it is set aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import UsageError
from curate.options import is_said
from curate.records import ListedHash
from curate.screening import history, set_aside
from curate.screening.listed import Configured
from curate.screening.set_aside import Aside
from curate.store.blobs import write
from curate.store.catalog import now

if TYPE_CHECKING:
    from curate.store.catalog import Catalog

DIGITS = 8  # by which a hash may be named
RESCAN = "`curate screening rescan` screens what was stored meanwhile"


@dataclass(frozen=True)
class Found:
    """A hash, the rows of each list that has it, and where it is set aside."""

    value: str
    rows: dict[str, list[ListedHash]]  # by the list's name
    lists: dict[str, Configured]
    aside: dict[str, Aside]  # by the list's name

    def chosen(self, name: str | None, every: bool) -> list[str]:
        """The lists that something is done about; raises UsageError where it is not clear which."""
        known = sorted({*self.rows, *self.aside})
        if name is not None:
            if name not in known:
                raise UsageError(f"--list {name}: it does not have this hash; there are: {', '.join(known)}")
            return [name]
        if len(known) > 1 and not every:
            raise UsageError(f"{', '.join(known)} have this hash; say which (--list NAME), or --all-lists")
        return known


def find(catalog: "Catalog", lists: Sequence[Configured], name: str) -> Found:
    """The one hash that begins so, in either case; raises UsageError where no list has one, or more than one begins so.

    What lists of harmless pictures have is no entry: it matches nothing.
    """
    wanted = name.strip().lower()
    if len(wanted) < DIGITS or set(wanted) - set("0123456789abcdef"):
        raise UsageError(f"screening entry: give a hash, or its first {DIGITS} digits and more")
    rows: dict[str, dict[str, list[ListedHash]]] = {}
    harmless = False
    for one in lists:
        for row in one.reader.rows():
            if isinstance(row, ListedHash) and row.value.startswith(wanted):
                negative = row.negative or one.terms.negative
                harmless |= negative
                if not negative:
                    rows.setdefault(row.value, {}).setdefault(one.name, []).append(row)
    names = {one.terms.origin: one.name for one in lists}
    aside = [one for one in set_aside.in_force(catalog) if one.value.startswith(wanted)]
    values = sorted({*rows, *(one.value for one in aside)})
    if len(values) != 1:
        none = "only lists of harmless pictures have it; they match nothing" if harmless else "no list has it"
        raise UsageError(f"{wanted}: {'more than one hash begins so; give more digits' if values else none}")
    about = {names.get(one.list, one.list): one for one in aside}
    return Found(values[0], rows.get(values[0], {}), {one.name: one for one in lists}, about)


def describe(catalog: "Catalog", found: Found) -> dict[str, Any]:
    """What is known of a hash: a row a list."""
    said = []
    for name in found.chosen(None, every=True):
        rows, aside = found.rows.get(name, []), found.aside.get(name)
        origin = found.lists[name].terms.origin if name in found.lists else name
        one: dict[str, Any] = {"list": name, "entries": sorted({row.entry for row in rows})}
        one |= {"algorithms": sorted({row.algorithm for row in rows})}
        if (known := history.entry_of(catalog, origin, found.value)) is not None:
            one |= known.said()
        one |= {"set_aside": bool(aside)}
        said.append(one | ({"reason": aside.reason, "by": aside.by, "since": aside.at} if aside else {}))
    return {"hash": found.value, "lists": said}


def aside(catalog: "Catalog", found: Found, names: Sequence[str], by: str, reason: str) -> dict[str, Any]:
    """Set a hash of these lists aside; raises UsageError where all of them have it aside, or nobody says why."""
    if not is_said(reason):
        raise UsageError("screening entry --set-aside: say why (--reason)")
    new = [name for name in names if name not in found.aside]
    if not new:
        known = found.aside[names[0]]
        raise UsageError(f"{names[0]}: set aside already, by {known.by} at {known.at}: {known.reason}")
    with catalog.tx() as db:
        for name in new:
            entry = found.rows[name][0].entry
            one = Aside(found.lists[name].terms.origin, found.value, entry, reason, by, now())
            set_aside.add(catalog, db, one)
    left = sorted({*found.rows} - {*new, *found.aside})
    then = "what it matched stays out until its incidents are released (`curate screening release`)"
    return {"hash": found.value, "set_aside": new, "still_matched_by": left, "next": then}


def restore(catalog: "Catalog", found: Found, names: Sequence[str], by: str, reason: str) -> dict[str, Any]:
    """Let a hash of these lists match again; raises UsageError where none of them has it aside."""
    back = [name for name in names if name in found.aside]
    if not back:
        raise UsageError(f"{names[0]}: it is not set aside")
    with catalog.tx() as db:
        for name in back:
            set_aside.restore(catalog, db, found.aside[name], by, reason)
    return {"hash": found.value, "restored": back, "next": RESCAN}


def report(catalog: "Catalog", found: Found, names: Sequence[str], path: Path) -> dict[str, Any]:
    """Write for a list's owner what is wrong with it, in the owner's format; raises UsageError unless it is set aside.

    Nothing is sent. The file holds the hash, and is not written over another.
    """
    about = {one.list: one for one in set_aside.in_force(catalog) if one.value == found.value}
    if len(names) != 1:
        raise UsageError(f"--report: {', '.join(names)} have this hash; a file is for one list's owner (--list NAME)")
    name = names[0]
    if name not in found.rows:
        raise UsageError(f"--report: {name} does not have this hash any more")
    if (known := about.get(found.lists[name].terms.origin)) is None:
        raise UsageError(f"--report: {name}: set the hash aside first (--set-aside --reason)")
    if path.exists():
        raise UsageError(f"--report {path}: it is there already")
    write(path, found.lists[name].reader.dispute(found.rows[name], known.reason).encode())
    return {"report": str(path)}
