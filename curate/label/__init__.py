"""Labeler scores, votes of labelling functions, a label model, the weak-label table: `curate label`.

Read `run`, then `functions`, `models/` and `table`; `final` says which label a sample has in the end.
"""
