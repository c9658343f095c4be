"""The questions of this tool asked of a dataset that somebody already has: `curate check`. Nothing is written to it.

Read `run`, then `dataset`, `scan`, `duplicates`, `pairs`, `keep` and `shortcuts`; `terminal` and `page` say it, `lists`
and `clean` write it.
"""
