"""Which rows of a join are compared with which."""

from curate.near.components import Ids

Sides = tuple[Ids, Ids | None]  # rows to join with rows, or (None) with themselves


def pairs_of(left: int, right: int, itself: bool) -> int:
    """How many pairs a join compares by brute force."""
    return left * (left - 1) // 2 if itself else left * right
