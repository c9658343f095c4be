"""Delete an item and everything derived from it: `curate takedown`, `curate screening rescan`.

Read `takedown` and `rescan`, then `remove`, `erase` and `receipts`.
"""
