"""One page about a workspace: `curate report`.

Read `run`, then `counts` and `contact_sheet`; `html` with `templates/` is the page.
"""
