"""A labeler that takes its worker with it, as a broken native library does."""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from curate.contracts import Decoded, Resources


@dataclass
class Killer:
    """1 for a sample that lives; the process dies at a victim, or at once with `always`."""

    victims: tuple[str, ...] = ()
    always: bool = False
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = {"alive": "float32"}

    def load(self) -> None:
        if self.always:
            os.kill(os.getpid(), signal.SIGKILL)

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        if any(one.sample.id in self.victims for one in batch):
            os.kill(os.getpid(), signal.SIGKILL)
        return {"alive": np.ones(len(batch), dtype=np.float32)}
