"""Near-duplicates, the group that each sample belongs to, and the split of each group: `curate dedupe`.

Read `run`, then `search`, `similarity`, `groups` and `membership`.
"""
