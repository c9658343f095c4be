"""What is computed once for each stored file, and kept in tables: hashes, detail maps, frames, labeler scores.

Read `inspect` (the one decode, in a worker), then `hashes`, `frames`, `detail`; then `scores` with its worker.
"""
