"""Where the label model can hardly tell two classes apart: a label there teaches most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from curate.contracts import CandidatePool, Selection


@dataclass(frozen=True)
class Uncertain:
    """The smallest margins between the two most probable classes, of what nobody has judged (Scheffer et al. 2001).

    Never for figures: what is picked is what the machine gets wrong.
    """

    reported: ClassVar[bool] = False
    blind: ClassVar[bool] = False

    def pick(self, pool: CandidatePool, size: int) -> Sequence[Selection]:
        """The smallest margins first; where they are equal, in the pool's order. What has no label is left out."""
        ordered = np.sort(np.nan_to_num(pool.probabilities, nan=-1.0), axis=1)
        margins = ordered[:, -1] - ordered[:, -2]
        asked = np.flatnonzero((ordered[:, -1] >= 0) & ~pool.judged)
        return [Selection(int(row)) for row in asked[np.argsort(margins[asked], kind="stable")][:size]]
