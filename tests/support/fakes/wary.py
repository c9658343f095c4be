"""A labeler that raises on some pictures, as code does that nobody has tried on everything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from curate.contracts import Decoded, Resources


@dataclass
class Wary:
    """1 for a sample; it raises at a victim, or `always`, and says NaN of one that it is `unsure` of."""

    victims: tuple[str, ...] = ()
    always: bool = False
    unsure: str = ""
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = {"seen": "float32", "vector": "float16[2]"}

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        ids = [one.sample.id for one in batch]
        if self.always or set(ids) & set(self.victims):
            raise ZeroDivisionError("division by zero")
        seen = np.array([np.nan if one == self.unsure else 1 for one in ids], np.float32)
        return {"seen": seen, "vector": np.ones((len(ids), 2), np.float16)}
