"""Writes what dedupe found: one transaction, and only the rows that say something else than before."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curate.dedupe.groups import Grouping, Memory, merge_components, moved_names
from curate.records import SPLITS
from curate.store.catalog import Catalog

Row = tuple[object, ...]
INDEXES = {"members_group": "members (grp)", "members_collapse": "members (collapse)"}
CACHE = -128 * 1024  # KiB of pages that SQLite keeps while a million rows are written


@dataclass(frozen=True)
class Members:
    """Of each sample, by id: its group with name and split, its collapse set, who survives, why it leaves the release.

    `parts` are of samples whose group is too wide for one part: the part's centre.
    """

    ids: Sequence[str]
    grouping: Grouping
    collapse: Sequence[str]
    survivors: Sequence[str]
    excluded: Sequence[str | None]
    parts: Mapping[str, str]

    def rows(self) -> Iterator[Row]:
        """The rows of `members`, by id."""
        splits = (SPLITS[split] for split in self.grouping.splits.tolist())
        columns = (self.ids, self.grouping.names, self.collapse, self.survivors, splits, self.excluded)
        return zip(*columns, strict=True)


def write(catalog: Catalog, found: Members, memory: Memory, conflicts: Iterable[Row], disputed: Iterable[Row]) -> None:
    """One transaction; rows that say what they said before are left alone. `disputed`: axes and samples."""
    empty = catalog.scalar("SELECT 1 FROM members LIMIT 1") is None
    changed, gone = (found.rows(), []) if empty else _differences(catalog, found.rows())
    fresh = (memory.splits < 0).nonzero()[0].tolist()
    catalog.all(f"PRAGMA cache_size = {CACHE}")
    with catalog.tx() as db:
        for index in INDEXES if empty else ():
            db.execute(f"DROP INDEX {index}")  # a million rows are written faster, and indexed at once
        db.executemany("DELETE FROM members WHERE sample = ?", gone)
        verb = "INSERT" if empty else "INSERT OR REPLACE"
        db.executemany(f"{verb} INTO members VALUES (?, ?, ?, ?, ?, ?)", changed)
        for index, columns in INDEXES.items() if empty else ():
            db.execute(f"CREATE INDEX {index} ON {columns}")
        splits = found.grouping.splits
        db.executemany(
            "INSERT INTO splits VALUES (?, ?, ?)",
            ((found.ids[row], SPLITS[splits[row]], catalog.run) for row in fresh),
        )
        renamed = found.grouping.renamed.tolist()
        db.executemany(
            "INSERT OR REPLACE INTO group_names VALUES (?, ?)",
            ((found.ids[row], found.grouping.names[row]) for row in renamed),
        )
        _follow(db, moved_names(memory, found.grouping))
        _floors(db, found, memory)
        _parts(db, found.parts)
        _conflicts(db, set(conflicts), catalog.run)
        known, wanted = {tuple(row) for row in db.execute("SELECT axis, sample FROM disputed")}, set(disputed)
        db.executemany("DELETE FROM disputed WHERE axis = ? AND sample = ?", sorted(known - wanted))
        db.executemany("INSERT INTO disputed VALUES (?, ?)", sorted(wanted - known))


def _differences(catalog: Catalog, rows: Iterator[Row]) -> tuple[list[Row], list[Row]]:
    """Rows to insert or update, and ids to delete (as rows of one)."""
    changed, gone = [], []
    old = catalog.iterate_tuples("SELECT * FROM members ORDER BY sample")
    known = next(old, None)
    for row in rows:
        while known is not None and str(known[0]) < str(row[0]):
            gone.append(known[:1])
            known = next(old, None)
        if known is None or known[0] != row[0]:
            changed.append(row)
            continue
        if known != row:
            changed.append(row)
        known = next(old, None)
    if known is not None:
        gone += [known[:1], *(row[:1] for row in old)]
    return changed, gone


def _follow(db: sqlite3.Connection, moved: Mapping[str, str]) -> None:
    """Members that are held back, and those that are yet to come from a release, bear their group's name of now."""
    old = json.dumps([*moved])
    for table, key in (("group_names", "sample"), ("given", "candidate")) if moved else ():
        asked = f"SELECT DISTINCT {key}, grp FROM {table} WHERE grp IN (SELECT value FROM json_each(?))"  # noqa: S608 (constants)
        rows = [(moved[name], one, name) for one, name in db.execute(asked, (old,)).fetchall()]
        db.executemany(f"UPDATE {table} SET grp = ? WHERE {key} = ? AND grp = ?", rows)  # noqa: S608 (constants)


def remember_groups(db: sqlite3.Connection, named: Iterable[tuple[str, str]]) -> None:
    """Add names of groups that samples had: what was ever in one group is, under its smallest name."""
    first: dict[str, str] = dict(db.execute("SELECT sample, grp FROM group_names").fetchall())
    numbers: dict[str, int] = {}
    pairs = [(numbers.setdefault(first.setdefault(sample, name), len(numbers)), numbers.setdefault(name, len(numbers)))
             for sample, name in [*first.items(), *named]]  # fmt: skip
    spelled = sorted(numbers)
    place = {numbers[name]: n for n, name in enumerate(spelled)}
    tied = np.array([(place[a], place[b]) for a, b in pairs], dtype=np.int64).reshape(-1, 2)
    parent = merge_components(np.arange(len(spelled)), tied).tolist()
    now = {name: spelled[parent[n]] for n, name in enumerate(spelled)}
    db.executemany(
        "INSERT OR REPLACE INTO group_names VALUES (?, ?)", ((one, now[name]) for one, name in first.items())
    )
    moved = {old: new for old, new in now.items() if old != new}
    _follow(db, moved)
    for grp, split in db.execute("SELECT grp, split FROM floors").fetchall():
        _owe(db, moved.get(grp, grp), split)


def _floors(db: sqlite3.Connection, found: Members, memory: Memory) -> None:
    """What a group owes to members that were taken down, under the name that it has now."""
    owed: dict[str, int] = {}
    for row in (memory.minimum_splits >= 0).nonzero()[0].tolist():
        name = found.grouping.names[row]
        owed[name] = max(owed.get(name, 0), int(memory.minimum_splits[row]))
    for name, split in owed.items():
        _owe(db, name, SPLITS[split])


def _owe(db: sqlite3.Connection, name: str, split: str) -> None:
    known = db.execute("SELECT split FROM floors WHERE grp = ?", (name,)).fetchone()
    if known is None or SPLITS.index(known[0]) < SPLITS.index(split):
        db.execute("INSERT OR REPLACE INTO floors VALUES (?, ?)", (name, split))


def _parts(db: sqlite3.Connection, parts: Mapping[str, str]) -> None:
    known = dict(db.execute("SELECT sample, part FROM group_parts").fetchall())
    db.executemany("DELETE FROM group_parts WHERE sample = ?", [(one,) for one in known.keys() - parts.keys()])
    new = [(one, part) for one, part in parts.items() if known.get(one) != part]
    db.executemany("INSERT OR REPLACE INTO group_parts VALUES (?, ?)", new)


def contested(catalog: Catalog) -> int:
    """How many samples look like others, or are in a set, about which sources or people contradict each other."""
    return int(catalog.scalar(_CONTESTED))


_CONTESTED = """
SELECT count(*) FROM (
    SELECT sample FROM disputed
    UNION SELECT m.sample FROM conflicts c JOIN members m ON c.subject = m.collapse WHERE c.kind <> 'declared'
)
"""


def _conflicts(db: sqlite3.Connection, conflicts: set[Row], run: str | None) -> None:
    noted = {tuple(row) for row in db.execute("SELECT kind, subject, axis, reason FROM conflicts")}
    ours = {row for row in noted if row[0] in ("declared", "human")}
    db.executemany(
        "DELETE FROM conflicts WHERE kind = ? AND subject = ? AND axis = ? AND reason = ?", sorted(ours - conflicts)
    )
    db.executemany("INSERT INTO conflicts VALUES (?, ?, ?, ?, ?)", ((*row, run) for row in sorted(conflicts - ours)))
