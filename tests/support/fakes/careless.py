"""A labeler that breaks its contract: one answer for a whole batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from curate.contracts import Decoded, Resources


@dataclass
class Careless:
    """One number, however many samples there are."""

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = {"one": "float32"}

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        return {"one": np.zeros(1, dtype=np.float32)}
