"""The catalog's schema, as a list of functions; each runs once, in one transaction with the number that records it."""

import json
import sqlite3
from collections.abc import Callable

from curate.errors import StoreError
from curate.store.dedupe_tables import FRAMES, NEAR
from curate.store.first import FIRST
from curate.store.given_tables import GIVEN
from curate.store.journal_log import journalled, noted
from curate.store.policy_tables import POLICY

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
    _statements(db, _QUEUES)


_QUEUES = """
ALTER TABLE decisions ADD COLUMN session INTEGER
;;
-- Whoever asks twice for one thing (a retry, a second tab) gives the same nonce, and it is done once.
ALTER TABLE decisions ADD COLUMN nonce TEXT
;;
-- How the picture was on screen: obscured, revealed, unobscured; `shown` says `blind` where nothing else was told.
ALTER TABLE decisions ADD COLUMN media TEXT
;;
CREATE UNIQUE INDEX decisions_nonce ON decisions (reviewer, nonce) WHERE nonce IS NOT NULL
;;
CREATE INDEX decisions_undoes ON decisions (undoes) WHERE undoes IS NOT NULL
;;
CREATE INDEX decisions_reviewer ON decisions (reviewer, decided_at) WHERE session IS NOT NULL
;;
CREATE INDEX decisions_queue ON decisions (queue, reviewer, sample)
;;
CREATE VIEW in_force AS SELECT d.* FROM decisions d
WHERE d.undoes IS NULL AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes = d.decision)
;;
-- One row a draw. `reported`: figures may rest on its decisions; `detail` holds what it was drawn from, as JSON.
CREATE TABLE queues (
    queue TEXT PRIMARY KEY, kind TEXT NOT NULL, axis TEXT NOT NULL, taxonomy TEXT NOT NULL, seed INTEGER NOT NULL,
    reported INTEGER NOT NULL, blind INTEGER NOT NULL, detail TEXT NOT NULL, created_at TEXT NOT NULL, run TEXT
)
;;
-- What is in a queue. `raters`: how many people should judge it, 0 for everybody. `inclusion` is the chance that it had
-- to be drawn, of reported queues only. `place` is its order among those that are not blind.
CREATE TABLE queue_items (
    queue TEXT NOT NULL REFERENCES queues (queue), sample TEXT NOT NULL, place INTEGER NOT NULL, stratum TEXT,
    inclusion REAL, raters INTEGER NOT NULL, blind INTEGER NOT NULL, gold INTEGER NOT NULL, PRIMARY KEY (queue, sample)
) WITHOUT ROWID
;;
CREATE INDEX queue_items_sample ON queue_items (sample)
;;
CREATE TABLE sessions (
    session INTEGER PRIMARY KEY, queue TEXT NOT NULL, reviewer TEXT NOT NULL, started_at TEXT NOT NULL,
    ended_at TEXT, detail TEXT NOT NULL
)
;;
-- What a reviewer does beside deciding, append-only. kind: skip, decline, reveal, escalate, pause.
CREATE TABLE review_events (
    event INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, queue TEXT NOT NULL, sample TEXT,
    reviewer TEXT NOT NULL, session INTEGER, nonce TEXT, detail TEXT
)
;;
CREATE UNIQUE INDEX review_events_nonce ON review_events (reviewer, nonce) WHERE nonce IS NOT NULL
;;
CREATE INDEX review_events_queue ON review_events (queue, reviewer, sample)
;;
CREATE TRIGGER review_events_no_update BEFORE UPDATE ON review_events
BEGIN SELECT RAISE(ABORT, 'review events are append-only'); END
;;
-- Where each reviewer stands: seconds and reveals since the last pause; seen_at and pause_until are Unix seconds.
CREATE TABLE exposure (
    reviewer TEXT PRIMARY KEY, seconds REAL NOT NULL, reveals INTEGER NOT NULL, seen_at REAL NOT NULL, pause_until REAL
) WITHOUT ROWID
;;
-- What somebody else settled where people did not agree, and why: it wins over votes, and the guideline quotes it.
CREATE TABLE precedents (
    precedent INTEGER PRIMARY KEY, sample TEXT NOT NULL, axis TEXT NOT NULL, taxonomy TEXT NOT NULL,
    label TEXT NOT NULL, reviewer TEXT NOT NULL, reason TEXT NOT NULL, guideline TEXT, decided_at TEXT NOT NULL,
    run TEXT
)
;;
CREATE UNIQUE INDEX precedents_once ON precedents (sample, axis, taxonomy, reviewer, decided_at, label)
;;
CREATE TRIGGER precedents_no_update BEFORE UPDATE ON precedents
BEGIN SELECT RAISE(ABORT, 'precedents are append-only'); END
"""


@MIGRATIONS.append
def m004_upstream(db: sqlite3.Connection) -> None:
    """What became of items upstream, what fetch withholds, what each item's way here was, what APIs were asked."""
    _statements(db, _UPSTREAM)


_UPSTREAM = """
-- What became of an item where it came from. kind: deleted, withdrawn, moved, overwritten; `ended_at`: no more so.
CREATE TABLE changes (
    page_id TEXT NOT NULL, sha1 TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL, seen_at TEXT NOT NULL,
    ended_at TEXT, run TEXT, PRIMARY KEY (page_id, sha1, kind, seen_at)
) WITHOUT ROWID
;;
-- Stored samples that are in no queue, view, table or release, for a reason of the closed list: suspected placeholders,
-- what is gone upstream. What takes the reason away takes the row away.
CREATE TABLE withheld (
    sample TEXT NOT NULL REFERENCES samples (id) ON DELETE CASCADE, reason TEXT NOT NULL, detail TEXT NOT NULL,
    at TEXT NOT NULL, run TEXT, PRIMARY KEY (sample, reason)
) WITHOUT ROWID
;;
-- Requests to documented APIs, by host and minute (since 1970), so that an hour's budget holds across runs.
CREATE TABLE api_calls (
    host TEXT NOT NULL, minute INTEGER NOT NULL, calls INTEGER NOT NULL, PRIMARY KEY (host, minute)
) WITHOUT ROWID
;;
-- What came of an item's request beside its end: redirects followed, a Retry-After (s), what robots.txt said, whether
-- the bytes have the sha1 that the source names (ok, mismatch, absent), what the gate said (clear, match, off).
ALTER TABLE candidates ADD COLUMN hops TEXT
;;
ALTER TABLE candidates ADD COLUMN retry_after REAL
;;
ALTER TABLE candidates ADD COLUMN robots TEXT
;;
ALTER TABLE candidates ADD COLUMN hash_check TEXT
;;
ALTER TABLE candidates ADD COLUMN gate TEXT
;;
-- Which version of a source was listed, and when that was done.
ALTER TABLE sources ADD COLUMN version TEXT
;;
ALTER TABLE sources ADD COLUMN listed_at TEXT
;;
-- What the gate said of itself at the start of a run: which lists, of whom, how old.
ALTER TABLE runs ADD COLUMN screening TEXT
"""


@MIGRATIONS.append
def m005_removals(db: sqlite3.Connection) -> None:
    """What is being removed, what was redacted, who was given a release, and which files were put where."""
    _statements(db, _REMOVALS)


_REMOVALS = """
-- One row a removal; state: pending, scrub, done. `plan` names what is removed until it is, then what the receipt says.
CREATE TABLE removals (
    receipt TEXT PRIMARY KEY, at TEXT NOT NULL, run TEXT, reason TEXT NOT NULL, state TEXT NOT NULL, plan TEXT NOT NULL
)
;;
-- Samples on their way out: held back from everything from the moment they are here. `receipt`: who removed them first,
-- where they came back with a backup.
CREATE TABLE removing (sample TEXT PRIMARY KEY, receipt TEXT) WITHOUT ROWID
;;
CREATE VIEW gone AS SELECT sample FROM removing
;;
-- What a redaction made of a release: the sha256 of release.json before and after it.
CREATE TABLE redactions (
    version TEXT NOT NULL, number INTEGER NOT NULL, receipt TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
    at TEXT NOT NULL, PRIMARY KEY (version, number)
) WITHOUT ROWID
;;
-- The strongest split of a group whose member that had it was removed: the others must not move for that.
CREATE TABLE floors (grp TEXT PRIMARY KEY, split TEXT NOT NULL) WITHOUT ROWID
;;
-- Who was given a release, and so must be told what is removed from it.
CREATE TABLE shares (
    version TEXT NOT NULL REFERENCES releases (version), name TEXT NOT NULL, at TEXT NOT NULL, run TEXT,
    PRIMARY KEY (version, name)
) WITHOUT ROWID
"""


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
