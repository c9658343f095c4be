"""Slices: parts of the samples that a user's `@slicing_function()` names, and how the labels fare on each."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from curate.contracts import Resources
from curate.engine.serial import Serial
from curate.errors import described
from curate.stats.intervals import wilson

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

CHUNK = 10_000


def is_slicing(function: object) -> bool:
    """Whether it is Snorkel's SlicingFunction, which is a LabelingFunction by its class and casts no vote."""
    module = sys.modules.get("snorkel.slicing")  # who has not imported it has made none; it is slow to import
    return module is not None and isinstance(function, module.SlicingFunction)


class _Ask:
    """Asks a slicing function about a row; its answer is true or false."""

    def __init__(self, function: "LabelingFunction") -> None:
        self._function = function

    def load(self) -> None:
        """Nothing to load."""

    def __call__(self, item: Any) -> bool:
        return bool(self._function(item))


def report(
    slices: Sequence["LabelingFunction"], rows: Callable[[int, int], Sequence[Any]], keep: "np.ndarray",
    places: "np.ndarray", gold: "np.ndarray",
) -> Iterator[dict[str, object]]:  # fmt: skip
    """For each slice: how many of the samples `keep` bool[n] are in it, how many of these are labelled, and how many of
    its labels people bear out, with Wilson's interval.

    `places` and `gold` int[k] are of the kept samples: the place of the class, -1 for none. A row on which a slicing
    function fails is in no slice of its: `faults`, and `fault`, the first why.
    """
    import numpy as np

    for one in slices:
        inside, faults = members(one, rows, len(keep))
        mine = inside[keep]
        known = mine & (gold >= 0) & (places >= 0)
        right = int((places[known] == gold[known]).sum())
        yield {
            "name": one.name,
            "samples": int(mine.sum()),
            "labelled": int(np.count_nonzero(places[mine] >= 0)),
            "accuracy": round(right / int(known.sum()), 4) if known.any() else None,
            "interval": wilson(right, int(known.sum())),
            "gold": int(known.sum()),
            "faults": len(faults),
            "fault": faults[0] if faults else None,
        }


def members(
    one: "LabelingFunction", rows: Callable[[int, int], Sequence[Any]], n: int
) -> "tuple[np.ndarray, list[str]]":
    """bool[n], which rows are in the slice, and why the function failed on each that it failed on."""
    import numpy as np

    inside, faults = np.zeros(n, dtype=bool), list[str]()
    for start in range(0, n, CHUNK):
        part = rows(start, min(start + CHUNK, n))
        for place, (_, answer) in enumerate(Serial().map(_Ask(one), part, Resources(side=0)), start):
            if isinstance(answer, Exception):
                faults.append(described(answer))
            else:
                inside[place] = answer
    return inside, faults
