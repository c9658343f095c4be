"""A catalog as an earlier version wrote it: what later migrations made is taken away again."""

import sqlite3

from curate.store.migrations import MIGRATIONS

_MADE = {
    "m013_journal": "DROP TABLE outbox; DROP TABLE forgotten; DELETE FROM meta WHERE key = 'journal'",
    "m014_orientations": ";".join(
        f"ALTER TABLE held_out DROP COLUMN {name}" for name in ("signs", "inner_phash", "inner_signs", "inner_quality")
    ),
    "m015_asked": "ALTER TABLE runs DROP COLUMN asked",
    "m016_policy": "DROP TABLE relabels; DROP TABLE queue_members; DROP TABLE queue_labels",
    "m017_given": "DROP TABLE given",
    "m018_taken_out": "DROP TABLE taken_out",
    "m019_approvals": "DROP TABLE approvals",
}


def before(db: sqlite3.Connection, migration: str) -> None:
    """Make it a catalog that has not met `migration` and those after it. Raises KeyError for one not known here."""
    names = [one.__name__ for one in MIGRATIONS]
    start = names.index(migration)
    if migration <= "m013_journal":
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE name GLOB 'journal_*'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
    for name in reversed(names[start:]):
        db.executescript(_MADE[name])
    db.execute(f"PRAGMA user_version = {start}")
    db.commit()
