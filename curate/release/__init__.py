"""A frozen, versioned dataset with its provenance: `curate export`.

Read `export`, then `rows`, `gates`, `header` and `provenance`; `reader` opens what it wrote.
"""
