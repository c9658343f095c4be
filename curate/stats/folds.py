"""Folds for cross-validation that never part what hangs together."""

import numpy as np
import numpy.typing as npt

MANY = 1000  # rows from which on five folds do; below, ten leave more to learn from
Ints = npt.NDArray[np.int64]


def folds(truth: Ints, groups: Ints) -> Ints:
    """int64[n], the fold of each row, 0 and up: whole groups, of each class about as many in every fold.

    truth int[n], groups int[n]. Groups are dealt out in the order of their rarest class, then of their number, so that
    the order of rows says nothing. There are as many folds as groups, at most ten (five from 1,000 rows on).
    """
    counts = np.bincount(truth)
    order = np.lexsort((groups, counts[truth]))  # rare classes first: they are spread before the rest fills up
    _, first, member = np.unique(groups[order], return_index=True, return_inverse=True)
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    found = np.empty(len(truth), dtype=np.int64)
    found[order] = place[member] % max(1, min(5 if len(truth) >= MANY else 10, len(first)))
    return found
