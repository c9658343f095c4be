"""Tables of migration 5: removals, redactions, and whom a release was shared with."""

REMOVALS = """
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
