"""Tables of migration 16: mappings between taxonomies, what an item of a queue stands for, and what it was called."""

POLICY = """
-- One row a mapping that was applied (`curate relabel`); `axes` is JSON: of each old class the new ones it became.
CREATE TABLE relabels (
    taxonomy TEXT NOT NULL, origin TEXT NOT NULL, reason TEXT NOT NULL, axes TEXT NOT NULL, at TEXT NOT NULL, run TEXT,
    PRIMARY KEY (taxonomy, origin)
) WITHOUT ROWID
;;
-- The samples that one item of a queue stands for, itself among them; the first by `place` are shown with it.
CREATE TABLE queue_members (
    queue TEXT NOT NULL REFERENCES queues (queue), item TEXT NOT NULL, sample TEXT NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (queue, sample)
) WITHOUT ROWID
;;
-- What the items of a queue were called when it was drawn, where they had a label.
CREATE TABLE queue_labels (
    queue TEXT NOT NULL REFERENCES queues (queue), sample TEXT NOT NULL, label TEXT NOT NULL,
    PRIMARY KEY (queue, sample)
) WITHOUT ROWID
"""
