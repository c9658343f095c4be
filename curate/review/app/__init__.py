"""`curate review`: FiftyOne's app around a queue, blurred by default, behind a guard that is the only way in.

Read `session`, then `guard`, `routes` and `controller`.
"""
