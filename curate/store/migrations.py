"""The catalog's schema, as a list of functions; each runs once, in one transaction with the number that records it."""

import json
import sqlite3
from collections.abc import Callable

from curate.errors import StoreError
from curate.store.dedupe_tables import FRAMES, NEAR
from curate.store.first import FIRST
from curate.store.given_tables import GIVEN, TAKEN_OUT
from curate.store.journal_log import journalled, noted
from curate.store.policy_tables import POLICY
from curate.store.removal_tables import REMOVALS
from curate.store.review_tables import QUEUES
from curate.store.upstream_tables import UPSTREAM

Migration = Callable[[sqlite3.Connection], None]
MIGRATIONS: list[Migration] = []


def migrate(db: sqlite3.Connection) -> None:
    """Bring the catalog to this version's schema; raises StoreError for one that a newer version made."""
    at = db.execute("PRAGMA user_version").fetchone()[0]
    if at > len(MIGRATIONS):
        raise StoreError(
            f"catalog.db: schema {at} was made by a newer curate (this one knows {len(MIGRATIONS)}); upgrade curate"
        )
    for number, step in enumerate(MIGRATIONS[at:], start=at + 1):
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone()[0] < number:  # nobody else got here first
            step(db)
            db.execute(f"PRAGMA user_version = {number}")
        db.execute("COMMIT")


def _statements(db: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";;"):
        if statement.strip():
            db.execute(statement)


@MIGRATIONS.append
def m001_first(db: sqlite3.Connection) -> None:
    """Everything that cannot be added later."""
    _statements(db, FIRST)


@MIGRATIONS.append
def m002_incidents(db: sqlite3.Connection) -> None:
    """Something may be held on behalf of several incidents; an incident knows the candidate that it is about."""
    _statements(db, _INCIDENTS)


_INCIDENTS = """
ALTER TABLE quarantine RENAME TO quarantine_001
;;
CREATE TABLE quarantine (
    kind TEXT NOT NULL, subject TEXT NOT NULL, incident INTEGER REFERENCES incidents (incident), reason TEXT NOT NULL,
    at TEXT NOT NULL
)
;;
CREATE UNIQUE INDEX quarantine_once ON quarantine (kind, subject, coalesce(incident, 0))
;;
INSERT INTO quarantine SELECT kind, subject, incident, reason, at FROM quarantine_001
;;
DROP TABLE quarantine_001
;;
ALTER TABLE incidents ADD COLUMN candidate INTEGER REFERENCES candidates (candidate) ON DELETE SET NULL
"""


@MIGRATIONS.append
def m003_queues(db: sqlite3.Connection) -> None:
    """What people are asked, what they do beside deciding, and how long they have been at it."""
    _statements(db, QUEUES)


@MIGRATIONS.append
def m004_upstream(db: sqlite3.Connection) -> None:
    """What became of items upstream, what fetch withholds, what each item's way here was, what APIs were asked."""
    _statements(db, UPSTREAM)


@MIGRATIONS.append
def m005_removals(db: sqlite3.Connection) -> None:
    """What is being removed, what was redacted, who was given a release, and which files were put where."""
    _statements(db, REMOVALS)


@MIGRATIONS.append
def m006_files(db: sqlite3.Connection) -> None:
    """What was put beside the catalog, file by file: releases, exports, models, receipts."""
    _statements(db, _FILES)


_FILES = """
-- Paths are below `work/`. What has no row was not finished, or is not ours.
CREATE TABLE files (path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, run TEXT) WITHOUT ROWID
"""


@MIGRATIONS.append
def m007_near(db: sqlite3.Connection) -> None:
    """Parts of groups that chain; sets that are held out, to be evaluated on."""
    _statements(db, NEAR)


@MIGRATIONS.append
def m008_misfires(db: sqlite3.Connection) -> None:
    """How often each entry of a screening list has matched, and which ones the operator set aside."""
    _statements(db, _MISFIRES)


_MISFIRES = """
-- One row a match. `list` is what curate.toml calls it, `name` what the list calls its row; `entry` and `digest` are
-- keyed digests, of the entry's hash and of the item's bytes. `media`: what they were. `sealed`: where they are,
-- of what was added to an incident.
CREATE TABLE matches (
    match INTEGER PRIMARY KEY, at TEXT NOT NULL, run TEXT, incident INTEGER NOT NULL REFERENCES incidents (incident),
    list TEXT NOT NULL, entry TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL,
    candidate INTEGER REFERENCES candidates (candidate) ON DELETE SET NULL, source TEXT, part TEXT NOT NULL,
    distance INTEGER NOT NULL, quality INTEGER, media TEXT, sealed TEXT, expires TEXT
)
;;
CREATE INDEX matches_entry ON matches (list, entry)
;;
CREATE INDEX matches_incident ON matches (incident)
;;
-- Hashes that a list has and that match nothing any more: all that is kept of a list, since it must be compared.
-- `ended_at`: restored. Rows are never removed.
CREATE TABLE set_aside (
    number INTEGER PRIMARY KEY, list TEXT NOT NULL, value TEXT NOT NULL, name TEXT NOT NULL, reason TEXT NOT NULL,
    by TEXT NOT NULL, at TEXT NOT NULL, run TEXT, ended_at TEXT, ended_by TEXT, ended_reason TEXT
)
;;
CREATE UNIQUE INDEX set_aside_once ON set_aside (list, value) WHERE ended_at IS NULL
"""


@MIGRATIONS.append
def m009_input(db: sqlite3.Connection) -> None:
    """What a source on this machine looked like when it was listed; which settings decided that a candidate failed."""
    _statements(db, "ALTER TABLE sources ADD COLUMN stamp TEXT;;ALTER TABLE candidates ADD COLUMN decided_by TEXT")


@MIGRATIONS.append
def m010_final(db: sqlite3.Connection) -> None:
    """A URL where redirects ended is looked up as fast as one that is listed."""
    _statements(db, _FINAL)


_FINAL = "CREATE INDEX candidates_final ON candidates (final_url) WHERE final_url IS NOT NULL"


@MIGRATIONS.append
def m011_frames(db: sqlite3.Connection) -> None:
    """Which samples a contradiction of sources is about, since groups are wider than that; frames that are held out."""
    _statements(db, FRAMES)


@MIGRATIONS.append
def m012_told(db: sqlite3.Connection) -> None:
    """Who was told of an incident. What a person reported, or decided about, that person knows."""
    _statements(db, _TOLD)


_TOLD = """
ALTER TABLE incidents ADD COLUMN acknowledged_at TEXT
;;
ALTER TABLE incidents ADD COLUMN acknowledged_by TEXT
;;
UPDATE incidents SET acknowledged_at = at, acknowledged_by = coalesce(json_extract(detail, '$.actor'),
    json_extract(detail, '$.decided.by'), json_extract(detail, '$.disputed.by'), 'unknown')
WHERE kind = 'person' OR state <> 'open'
"""


@MIGRATIONS.append
def m013_journal(db: sqlite3.Connection) -> None:
    """What people decide and what is held back is written beside the catalog, too: `curate.store.journal_log`."""
    _statements(db, _JOURNAL)
    journalled(db)
    noted(db)


_JOURNAL = """
-- What was deleted on purpose: paths below `work/`, with what they were.
CREATE TABLE forgotten (path TEXT PRIMARY KEY, sha256 TEXT, by TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID
;;
-- Changes on their way to journal.log, by triggers. `seq`, `line`: once they have their place in its chain.
CREATE TABLE outbox (n INTEGER PRIMARY KEY, change TEXT NOT NULL, seq INTEGER, line TEXT)
;;
CREATE INDEX outbox_open ON outbox (n) WHERE seq IS NULL
"""


@MIGRATIONS.append
def m014_orientations(db: sqlite3.Connection) -> None:
    """Of held-out items what mirrored, turned and bordered copies are found by; empty in sets held out before."""
    for column in ("signs BLOB NOT NULL DEFAULT x''", "inner_phash BLOB NOT NULL DEFAULT x''",
                   "inner_signs BLOB NOT NULL DEFAULT x''", "inner_quality REAL NOT NULL DEFAULT 0"):  # fmt: skip
        db.execute(f"ALTER TABLE held_out ADD COLUMN {column}")


@MIGRATIONS.append
def m015_asked(db: sqlite3.Connection) -> None:
    """Which lists each run asked, as JSON: `lists`, `aside` (numbers of set_aside that matched nothing then), `missed`
    (samples, of a rescan); NULL where nothing is known. Of runs before, by the names of the lists."""
    db.execute("ALTER TABLE runs ADD COLUMN asked TEXT")
    aside = "SELECT number FROM set_aside WHERE at <= ? AND (ended_at IS NULL OR ended_at > ?)"
    for run, at, text in db.execute("SELECT run, started_at, screening FROM runs WHERE screening NOT NULL").fetchall():
        said = json.loads(text)
        lists = [one for one in said["lists"] if sum(one.get("hashes", {"": 1}).values()) > one.get("negative", 0)]
        asked = [
            {name: one[name] for name in ("name", "provider", "sha256") if name in one}
            | {"radius": one.get("radius", 31), "kinds": list(one.get("hashes", ()))}
            for one in (*lists, *said.get("matchers", ()))
        ]
        numbers = [row[0] for row in db.execute(aside, (at, at))]
        db.execute("UPDATE runs SET asked = ? WHERE run = ?", (json.dumps({"lists": asked, "aside": numbers}), run))


@MIGRATIONS.append
def m016_policy(db: sqlite3.Connection) -> None:
    """How decisions came from one taxonomy version to the next; what an item of a queue stands for, and was called."""
    _statements(db, POLICY)
    journalled(db, ("relabels", "queue_members", "queue_labels"))


@MIGRATIONS.append
def m017_given(db: sqlite3.Connection) -> None:
    """What releases that are fetched anew say of their items."""
    _statements(db, GIVEN)


@MIGRATIONS.append
def m018_taken_out(db: sqlite3.Connection) -> None:
    """What makers of releases took out of theirs, and others name as well."""
    _statements(db, TAKEN_OUT)


@MIGRATIONS.append
def m019_approvals(db: sqlite3.Connection) -> None:
    """Who answered for each source, and why, as it was said at each fetch; what is said now is in its options, too."""
    _statements(db, _APPROVALS)


_APPROVALS = """
CREATE TABLE approvals (
    source TEXT NOT NULL, reason TEXT NOT NULL, approved_by TEXT NOT NULL, PRIMARY KEY (source, reason, approved_by)
) WITHOUT ROWID
"""
