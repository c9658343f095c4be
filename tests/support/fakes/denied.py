"""A labeler that reads what it did not name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from curate.contracts import Decoded, Resources


@dataclass(frozen=True)
class Denied:
    """Asks for a file at some samples, or, where none is named, at each."""

    victims: tuple[str, ...] = ()
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(batch=2, side=8)
    columns: ClassVar[Mapping[str, str]] = {"one": "float32"}

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        """One for each."""
        if not self.victims or any(one.sample.id in self.victims for one in batch):
            Path("/etc/passwd").read_bytes()
        return {"one": np.ones(len(batch), dtype=np.float32)}
