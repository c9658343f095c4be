"""Whether two animations, or files of many pages, agree in every frame: the first one alone is no answer."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from curate import frames
from curate.groups import Rows
from curate.media import grain, phash
from curate.store.workspace import Workspace

Told = npt.NDArray[np.bool_]


class Animations:
    """Frames of samples, as the table has them, read for those that are asked about: `counts` says how many of each."""

    def __init__(self, ws: Workspace, ids: Sequence[str], counts: Rows) -> None:
        self._ws, self._ids, self._counts = ws, ids, counts
        self._frames: dict[str, npt.NDArray[np.void]] = {}

    def same(self, left: Rows, right: Rows) -> Told:
        """Whether two rows have as many frames, in one order, each the same picture: bool[n].

        Rows of one frame are not looked at; what cannot be read is like nothing.
        """
        found = self._counts[left] == self._counts[right]
        several = np.flatnonzero(found & (self._counts[left] > 1))
        asked = {self._ids[row] for row in np.concatenate([left[several], right[several]]).tolist()}
        if missing := sorted(asked - self._frames.keys()):
            self._frames |= frames.compared(self._ws, missing)
        for at in several.tolist():
            one, other = (self._frames.get(self._ids[int(side[at])]) for side in (left, right))
            found[at] = one is not None and other is not None and _agree(one, other)
        return np.asarray(found)


def _agree(one: npt.NDArray[np.void], other: npt.NDArray[np.void]) -> bool:
    return len(one) == len(other) and bool(
        phash.same(one["thumb"], other["thumb"]).all() and grain.same(one["grain"], other["grain"]).all()
    )
