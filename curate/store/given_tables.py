"""The table of what releases that are fetched anew say of their items."""

GIVEN = """
-- `id`: the sha256 that the bytes must have; `rendition`: the size of other bytes that are taken, too (640x480).
CREATE TABLE given (
    candidate INTEGER NOT NULL, source TEXT NOT NULL, ref TEXT NOT NULL, id TEXT NOT NULL, split TEXT NOT NULL,
    grp TEXT NOT NULL, rendition TEXT, PRIMARY KEY (candidate, source, ref),
    FOREIGN KEY (candidate, source, ref) REFERENCES mentions (candidate, source, ref) ON DELETE CASCADE
) WITHOUT ROWID
;;
CREATE INDEX given_id ON given (id)
"""
