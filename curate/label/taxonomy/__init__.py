"""A policy that changes: what differs between two taxonomies, and what becomes of decisions: `curate relabel`.

Read compare, mapping (the file), carry (decisions and the queue of what must be decided anew).
"""
