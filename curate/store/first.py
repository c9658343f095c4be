"""The catalog's schema as it was first made; `migrations` has what became of it since."""

FIRST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID
;;
-- Every verb's run; status: running, done, failed, interrupted (a run that stays 'running' was killed).
CREATE TABLE runs (
    run TEXT PRIMARY KEY, verb TEXT NOT NULL, status TEXT NOT NULL, tool TEXT NOT NULL, config TEXT,
    started_at TEXT NOT NULL, ended_at TEXT, result TEXT
)
;;
-- Append-only and hash-chained: who fetched, revealed, exported, took down. `subject` is a keyed digest, never an id.
CREATE TABLE log (
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, run TEXT, actor TEXT NOT NULL, action TEXT NOT NULL,
    subject TEXT, detail TEXT NOT NULL, prev TEXT NOT NULL, digest TEXT NOT NULL
)
;;
CREATE TRIGGER log_no_update BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END
;;
CREATE TRIGGER log_no_delete BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END
;;
-- One row a configured source; `cursor` is committed with the page that it follows.
CREATE TABLE sources (
    source TEXT PRIMARY KEY, plugin TEXT NOT NULL, options TEXT NOT NULL, cursor TEXT, listed INTEGER NOT NULL DEFAULT 0
)
;;
-- One row a distinct URL or path. state: pending, stored, failed.
CREATE TABLE candidates (
    candidate INTEGER PRIMARY KEY, kind TEXT NOT NULL, locator TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'pending',
    reason TEXT, detail TEXT, retryable INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
    sample TEXT REFERENCES samples (id), host TEXT, final_url TEXT, http_status INTEGER, headers TEXT,
    fetched_at TEXT, run TEXT, may_depict_minors INTEGER NOT NULL DEFAULT 0, UNIQUE (kind, locator)
)
;;
CREATE INDEX candidates_state ON candidates (state, candidate)
;;
CREATE INDEX candidates_sample ON candidates (sample)
;;
-- One row each time a source names a candidate: what it says of it, and the item's identity upstream.
CREATE TABLE mentions (
    candidate INTEGER NOT NULL REFERENCES candidates (candidate), source TEXT NOT NULL REFERENCES sources (source),
    ref TEXT NOT NULL, album TEXT, license TEXT, attribution TEXT, upstream TEXT, page_id TEXT, sha1 TEXT, facts TEXT,
    PRIMARY KEY (candidate, source, ref)
) WITHOUT ROWID
;;
CREATE INDEX mentions_page ON mentions (page_id) WHERE page_id IS NOT NULL
;;
-- What a source met and made no candidate of: a branch that was pruned, a file that is no image.
CREATE TABLE notes (
    source TEXT NOT NULL REFERENCES sources (source), kind TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY (source, kind, subject)
) WITHOUT ROWID
;;
-- The class that a mention declares, per axis.
CREATE TABLE declared (
    candidate INTEGER NOT NULL, source TEXT NOT NULL, ref TEXT NOT NULL, axis TEXT NOT NULL, label TEXT NOT NULL,
    PRIMARY KEY (candidate, source, ref, axis),
    FOREIGN KEY (candidate, source, ref) REFERENCES mentions (candidate, source, ref) ON DELETE CASCADE
) WITHOUT ROWID
;;
-- Bytes that are in the store. `parent` and `at_ms` place a frame in its video. `shard` is its unit of work, kept.
CREATE TABLE samples (
    id TEXT PRIMARY KEY, sha1 TEXT NOT NULL, md5 TEXT NOT NULL, bytes INTEGER NOT NULL, media_type TEXT NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, frames INTEGER NOT NULL DEFAULT 1,
    parent TEXT REFERENCES samples (id), at_ms INTEGER, shard INTEGER, run TEXT
) WITHOUT ROWID
;;
CREATE INDEX samples_shard ON samples (shard)
;;
-- Written by dedupe, remembered for ever: which split a sample was first given. Nothing ever moves.
CREATE TABLE splits (sample TEXT PRIMARY KEY REFERENCES samples (id), split TEXT NOT NULL, run TEXT) WITHOUT ROWID
;;
-- Written anew by dedupe: the loose group (shares a split), the tight collapse set (one survivor).
CREATE TABLE members (
    sample TEXT PRIMARY KEY REFERENCES samples (id), grp TEXT NOT NULL, collapse TEXT NOT NULL,
    survivor TEXT NOT NULL, split TEXT NOT NULL, excluded TEXT
) WITHOUT ROWID
;;
CREATE INDEX members_group ON members (grp)
;;
CREATE INDEX members_collapse ON members (collapse)
;;
-- The name a group was given at first sight, by each member that has had it.
CREATE TABLE group_names (sample TEXT PRIMARY KEY REFERENCES samples (id), grp TEXT NOT NULL) WITHOUT ROWID
;;
-- Rows with a reason that a person should look at: sources or people who contradict each other.
CREATE TABLE conflicts (
    kind TEXT NOT NULL, subject TEXT NOT NULL, axis TEXT NOT NULL, reason TEXT NOT NULL, run TEXT,
    PRIMARY KEY (kind, subject, axis)
) WITHOUT ROWID
;;
-- Human judgements, append-only. shown: obscured, revealed, blind, imported. `carried_from` is the sample judged, where
-- this one is another member of its collapse set. `undoes` names the decision that this row takes back.
CREATE TABLE decisions (
    decision INTEGER PRIMARY KEY, sample TEXT NOT NULL, axis TEXT NOT NULL, taxonomy TEXT NOT NULL,
    reviewer TEXT NOT NULL, label TEXT NOT NULL, decided_at TEXT NOT NULL, shown TEXT NOT NULL, guideline TEXT,
    seconds REAL, queue TEXT, inclusion REAL, carried_from TEXT, undoes INTEGER REFERENCES decisions (decision),
    note TEXT, run TEXT
)
;;
CREATE INDEX decisions_sample ON decisions (sample, axis)
;;
CREATE UNIQUE INDEX decisions_once ON decisions
    (sample, axis, taxonomy, reviewer, decided_at, label, coalesce(undoes, 0))
;;
CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions
BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END
;;
-- The table of weak labels in force, per axis, and its labelling-function report.
CREATE TABLE labellings (axis TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, report TEXT NOT NULL, run TEXT)
;;
CREATE TABLE releases (
    version TEXT PRIMARY KEY, sha256 TEXT NOT NULL, parent TEXT, created_at TEXT NOT NULL, run TEXT
)
;;
CREATE TABLE released (version TEXT NOT NULL REFERENCES releases (version), sample TEXT NOT NULL, split TEXT NOT NULL,
    PRIMARY KEY (version, sample)) WITHOUT ROWID
;;
CREATE INDEX released_sample ON released (sample)
;;
CREATE TABLE models (model TEXT PRIMARY KEY, version TEXT NOT NULL, result TEXT NOT NULL, run TEXT)
;;
-- What a screening list matched, or a person reported. Digests are keyed; no URL, no perceptual hash.
CREATE TABLE incidents (
    incident INTEGER PRIMARY KEY, at TEXT NOT NULL, run TEXT, kind TEXT NOT NULL, digest TEXT NOT NULL,
    list TEXT, entry TEXT, source TEXT, state TEXT NOT NULL DEFAULT 'open', detail TEXT
)
;;
-- Held back from every queue, view, table and release until the operator decides.
CREATE TABLE quarantine (
    kind TEXT NOT NULL, subject TEXT NOT NULL, incident INTEGER REFERENCES incidents (incident), reason TEXT NOT NULL,
    at TEXT NOT NULL, PRIMARY KEY (kind, subject)
) WITHOUT ROWID
;;
-- What was taken down: keyed digests that block its return. kind: sha256, url, page, pdq.
CREATE TABLE tombstones (
    kind TEXT NOT NULL, digest TEXT NOT NULL, reason TEXT NOT NULL, receipt TEXT, at TEXT NOT NULL,
    PRIMARY KEY (kind, digest)
) WITHOUT ROWID
"""
