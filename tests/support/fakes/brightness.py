"""A labeler whose answer is plain to see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from curate.contracts import Decoded, Resources


@dataclass
class Brightness:
    """The mean of all channels, 0 to 1, and the mean of each."""

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(batch=3, side=256)
    columns: ClassVar[Mapping[str, str]] = {"mean": "float32", "channels": "float16[3]"}

    def load(self) -> None:
        self.loaded = True

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        assert self.loaded
        assert len(batch) <= self.needs.batch
        rows = np.array([np.asarray(one.image(256)).mean(axis=(0, 1)) / 255 for one in batch])
        return {"mean": rows.mean(axis=1).astype(np.float32), "channels": rows.astype(np.float16)}
