"""A baseline classifier on a release, cross-validated by near-duplicate group: `curate train`.

Read `run`, then `crossval`.
"""
