"""Takes samples out of the catalog: every row that is about them, and their names out of the rows of others."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from curate.records import SPLITS
from curate.store.catalog import Catalog
from curate.store.tombstones import scrub

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

# Tables with a column `sample` whose rows stay: they are emptied of names otherwise, or by the removal itself.
KEPT = {"candidates", "removing", "members"}
_COUNTED = {
    "mentions": "SELECT count(*) FROM mentions JOIN candidates USING (candidate) WHERE sample IN gone",
    "decisions": "SELECT count(*) FROM decisions WHERE sample IN gone OR carried_from IN gone",
}


def group_name(catalog: Catalog, sample: str) -> str:
    """Replacement name for a group named after a removed sample: a keyed digest, so the id is not disclosed."""
    return catalog.digest("group", sample)


def count(catalog: Catalog) -> dict[str, int]:
    """How much there is of the samples in `removing`, for the receipt."""
    return {name: int(catalog.scalar(sql)) for name, sql in _COUNTED.items()}


def erase(ws: "Workspace", db: sqlite3.Connection, candidates: Sequence[int]) -> None:
    """Remove the samples in `removing` from every table, inside one transaction.

    The group of what is removed keeps its other members, under another name where it bore the removed one's, and its
    split: what is left does not move. `candidates` without bytes are taken out with those of the samples.
    """
    catalog = ws.catalog
    db.execute("PRAGMA defer_foreign_keys = ON")
    gone = [row[0] for row in db.execute("SELECT sample FROM removing")]
    _floors(db)
    _rename(db, {one: group_name(catalog, one) for one in gone})
    _survivors(db)
    db.execute(
        "DELETE FROM changes WHERE page_id IN"
        " (SELECT m.page_id FROM mentions m JOIN candidates c USING (candidate) WHERE c.sample IN gone)"
    )
    own = [row[0] for row in db.execute("SELECT candidate FROM candidates WHERE sample IN gone")]
    list(scrub(catalog, db, sorted({*own, *candidates})))
    db.execute("DELETE FROM decisions WHERE carried_from IN gone")
    db.execute("DELETE FROM queue_members WHERE item IN gone")  # nobody has decided about these any more
    db.execute("DELETE FROM quarantine WHERE kind = 'sample' AND subject IN gone")
    db.execute("DELETE FROM conflicts WHERE subject IN gone")
    for table in ("held_out", "held_out_frames"):
        db.execute(f"DELETE FROM {table} WHERE item IN gone")  # noqa: S608 (constants)
    for table in about_samples(db):
        db.execute(f"DELETE FROM {table} WHERE sample IN gone")  # noqa: S608 (names of the schema)
    db.execute("DELETE FROM samples WHERE id IN gone")
    catalog.journal.renew(db)  # what it says of them, and that they were taken out, goes as well


def about_samples(db: sqlite3.Connection) -> list[str]:
    """Every table whose rows are each about one sample, those that are yet to be invented included."""
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    columns = {table: {row[1] for row in db.execute(f"PRAGMA table_info({table})")} for table in tables}
    return sorted(table for table in tables if "sample" in columns[table] and table not in KEPT - {"members"})


def _floors(db: sqlite3.Connection) -> None:
    """Remember the strongest split of each group that loses a member and has others."""
    found: dict[str, str] = {}
    sql = """
    SELECT g.grp, s.split FROM group_names g JOIN splits s USING (sample) WHERE g.sample IN gone
        AND EXISTS (SELECT 1 FROM group_names o WHERE o.grp = g.grp AND o.sample NOT IN gone)
    UNION ALL SELECT grp, split FROM floors
    """
    for name, split in db.execute(sql):
        found[name] = max(found.get(name, split), split, key=SPLITS.index)
    db.executemany("INSERT OR REPLACE INTO floors VALUES (?, ?)", found.items())


def _rename(db: sqlite3.Connection, names: Mapping[str, str]) -> None:
    """Groups that bear a removed sample's name get another."""
    for table, column in _NAMED:
        sql = f"UPDATE OR REPLACE {table} SET {column} = ? WHERE {column} = ?"  # noqa: S608 (constants)
        db.executemany(sql, ((new, old) for old, new in names.items()))


_NAMED = (
    ("group_names", "grp"),
    ("members", "grp"),
    ("floors", "grp"),
    ("group_parts", "part"),
    ("conflicts", "subject"),
    ("given", "grp"),
)


def _survivors(db: sqlite3.Connection) -> None:
    """Collapse sets that lose their survivor, or the member that named them, get another of their own."""
    sets = db.execute(
        """
    SELECT m.collapse, m.sample, m.survivor FROM members m JOIN samples s ON s.id = m.sample
    WHERE m.sample NOT IN gone AND m.collapse IN (
        SELECT collapse FROM members WHERE sample IN gone OR survivor IN gone UNION SELECT sample FROM gone
    ) ORDER BY m.collapse, m.excluded IS NOT NULL, s.width * s.height DESC, s.bytes DESC, m.sample
    """
    ).fetchall()
    left = {row[0] for row in db.execute("SELECT sample FROM removing")}
    members: dict[str, list[tuple[str, str]]] = {}
    for collapse, sample, survivor in sets:
        members.setdefault(collapse, []).append((sample, survivor))
    for collapse, found in members.items():
        survivor = found[0][0] if found[0][1] in left else found[0][1]
        name = min(sample for sample, _ in found)
        db.execute(
            "UPDATE members SET survivor = ?, collapse = ? WHERE collapse = ? AND sample NOT IN gone",
            (survivor, name, collapse),
        )
        db.execute("UPDATE OR REPLACE conflicts SET subject = ? WHERE kind = 'human' AND subject = ?", (name, collapse))
