"""Which rows of a dataset are in which split, and under which label, by picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.checks.dataset import DatasetRow

Ids = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sides:
    """How many rows of each split and of each label every picture has: int64[n, splits], int64[n, labels]."""

    splits: Sequence[str]
    labels: Sequence[str]
    by_split: Counts
    by_label: Counts
    split: Ids  # of each row, -1: none
    label: Ids

    @classmethod
    def from_rows(
        cls, rows: Sequence[DatasetRow], places: Sequence[Sequence[int]], splits: Sequence[str], labels: Sequence[str]
    ) -> "Sides":
        """`places[p]` are the places of picture p's rows."""
        split_at, label_at = ({name: n for n, name in enumerate(names)} for names in (splits, labels))
        split = np.array([split_at.get(row.split or "", -1) if row.split else -1 for row in rows], dtype=np.int64)
        label = np.array([label_at.get(row.label or "", -1) if row.label else -1 for row in rows], dtype=np.int64)
        return cls(
            splits, labels, _counted(places, split, len(splits)), _counted(places, label, len(labels)), split, label
        )


def _counted(pictures: Sequence[Sequence[int]], of: Ids, width: int) -> Counts:
    counts = np.zeros((len(pictures), width), dtype=np.int64)
    for picture, places in enumerate(pictures):
        for place in places:
            if of[place] >= 0:
                counts[picture, of[place]] += 1
    return counts
