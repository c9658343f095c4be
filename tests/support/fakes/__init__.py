"""Labelers that exist for tests: files of their own, so that a worker process can import them."""
