"""Which of several pictures that are alike stays: by split, then pixels, bytes and path."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from curate.checks.dataset import SPLIT_NAMES, DatasetRow
from curate.checks.scan import Seen
from curate.errors import UsageError

# Whose picture stays where two splits share one: splits by what they are for (0 train, 1 val, 2 test, 3 anything else).
KEEPS = {"test": (2, 1, 3, 0), "train": (0, 3, 1, 2), "largest": ()}


def check(keep: str) -> None:
    """Raise UsageError for a rule that there is not."""
    if keep not in KEEPS:
        near = get_close_matches(str(keep), KEEPS, n=1)
        raise UsageError(f"keep {keep}: one of {', '.join(KEEPS)}{f'; did you mean {near[0]!r}?' if near else ''}")


def order(rows: Sequence[DatasetRow], looks: Mapping[str, Seen], keep: str) -> npt.NDArray[np.int64]:
    """Where each row stands among those that may stay, the first one being 0: int64[rows]."""
    ranks = KEEPS[keep]
    by_split = {split: _rank(split, ranks) for split in {row.split for row in rows}}
    seen = [looks[row.path] for row in rows]
    pixels = np.array([one.width * one.height for one in seen], dtype=np.int64)
    size = np.array([one.size for one in seen], dtype=np.int64)
    split = np.array([by_split[row.split] for row in rows], dtype=np.int64)
    found = np.empty(len(rows), dtype=np.int64)
    found[np.lexsort((np.arange(len(rows)), -size, -pixels, split))] = np.arange(len(rows))  # rows are sorted by path
    return found


def _rank(split: str | None, ranks: Sequence[int]) -> int:
    if not ranks:
        return 0
    return len(ranks) if split is None else ranks.index(SPLIT_NAMES.get(split.lower(), len(ranks) - 1))
