"""The tables that dedupe writes beside its first ones."""

NEAR = """
-- Written anew by dedupe, of groups too wide for one part: the sample within the radius of which all of a part lies.
CREATE TABLE group_parts (
    sample TEXT PRIMARY KEY REFERENCES samples (id) ON DELETE CASCADE, part TEXT NOT NULL
) WITHOUT ROWID
;;
-- Sets to evaluate on that are not ours to train on: what is near to one of their items leaves every later release.
CREATE TABLE held_out_sets (
    name TEXT PRIMARY KEY, origin TEXT NOT NULL, unreadable INTEGER NOT NULL, at TEXT NOT NULL, run TEXT
)
;;
-- Their items, by sha256: upright hashes with their quality; the bytes are not kept.
CREATE TABLE held_out (
    name TEXT NOT NULL REFERENCES held_out_sets (name), item TEXT NOT NULL, phash BLOB NOT NULL, quality REAL NOT NULL,
    pdq BLOB NOT NULL, pdq_quality INTEGER NOT NULL, PRIMARY KEY (name, item)
) WITHOUT ROWID
"""

FRAMES = """
-- Written anew by dedupe: samples that look like others as a whole, among which sources declare different classes.
CREATE TABLE disputed (
    axis TEXT NOT NULL, sample TEXT NOT NULL REFERENCES samples (id) ON DELETE CASCADE, PRIMARY KEY (axis, sample)
) WITHOUT ROWID
;;
INSERT INTO disputed SELECT DISTINCT c.axis, m.sample FROM members m JOIN conflicts c ON c.subject = m.grp
WHERE c.kind = 'declared'
;;
-- Of items of a set that is held out: their distinct frames but for the first, hashes as in held_out.
CREATE TABLE held_out_frames (
    name TEXT NOT NULL, item TEXT NOT NULL, number INTEGER NOT NULL, phash BLOB NOT NULL, quality REAL NOT NULL,
    pdq BLOB NOT NULL, pdq_quality INTEGER NOT NULL, PRIMARY KEY (name, item, number)
) WITHOUT ROWID
"""
