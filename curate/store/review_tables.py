"""Tables of migration 3: queues, sessions, what reviewers do beside deciding, and precedents."""

QUEUES = """
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
