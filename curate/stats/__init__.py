"""Statistics without a model or a workspace: metrics with intervals, and agreement between annotators.

Read `intervals`, then `metrics`, then `interrater`.
"""
