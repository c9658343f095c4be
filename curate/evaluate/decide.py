"""From probabilities to what should become of a picture: safe, review or block, by a model's stored thresholds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import StoreError
from curate.store.model_files import file

THRESHOLDS = "thresholds.json"
SAFE, REVIEW, BLOCK = "safe", "review", "block"


@dataclass(frozen=True)
class Thresholds:
    """From `review` on a picture goes to people, from `block` on it is held back until they have looked: least sums of
    the probabilities of what is not safe. None: that decision cannot be given with the promise that was asked."""

    review: float | None = None
    block: float | None = None

    def decision(self, risk: float) -> str:
        """What a picture whose classes that are not safe have the probability `risk` should be. Without a threshold for
        review nothing is called safe."""
        if self.block is not None and risk >= self.block:
            return BLOCK
        return REVIEW if self.review is None or risk >= self.review else SAFE


def thresholds(folder: Path, files: Mapping[str, str]) -> Thresholds:
    """Those of a model; none where it has no `thresholds.json`. Raises StoreError for one that cannot be read."""
    if THRESHOLDS not in files:
        return Thresholds()
    try:
        said: dict[str, Any] = json.loads(file(folder, THRESHOLDS, files[THRESHOLDS]))
        found = [said[name] for name in (REVIEW, BLOCK)]
        if not all(one is None or (isinstance(one, int | float) and 0 <= one <= 1) for one in found):
            raise ValueError(f"{REVIEW} and {BLOCK} lie between 0 and 1, or are null")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"{folder / THRESHOLDS}: no thresholds ({type(error).__name__}: {error})") from error
    return Thresholds(*found)
