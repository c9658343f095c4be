"""A labeler that says of an animation what each of its frames says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from curate.contracts import Decoded, Resources


@dataclass
class Flicker:
    """The mean of each channel, 0 to 255, five times; nothing is said of a picture without any blue."""

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(batch=2, side=256)
    columns: ClassVar[Mapping[str, str]] = {
        "most": "float32", "least": "float32", "mean": "float32", "first": "float32", "all": "float16[3]",
        "said": "string",
    }  # fmt: skip
    over_frames: ClassVar[Mapping[str, str]] = {"most": "max", "least": "min", "mean": "mean", "all": "max"}

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        rows = np.array([np.asarray(one.image(256)).mean(axis=(0, 1)) for one in batch], dtype=np.float32)
        rows = np.where(rows[:, 2:] < 1, np.nan, rows)
        red = rows[:, 0]
        said = np.array([f"{one:.0f}" for one in red], dtype=object)
        return {"most": red, "least": red, "mean": red, "first": red, "all": rows.astype(np.float16), "said": said}
