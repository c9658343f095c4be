"""List candidates, download or read them, screen them, store them: `curate fetch`.

Read `run`, then `listing`, `pipeline` and `recorder`, in the order that a candidate takes.
"""
