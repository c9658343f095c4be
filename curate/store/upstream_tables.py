"""Tables of migration 4: what became of items upstream, what is withheld, and what was asked of APIs."""

UPSTREAM = """
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
