"""Whether two animations, or files of many pages, agree in every frame: the first one alone is no answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from curate.contracts import Engine
from curate.engine import each, slices
from curate.errors import ItemError, StoreError
from curate.groups import Rows
from curate.media import grain, phash
from curate.media.decode import Bounds, Luminance, flattened, load, open_image
from curate.progress import Progress
from curate.store.blobs import LocalBlobs
from curate.store.workspace import Workspace

MOST = 32  # frames that are compared of each, evenly spread, the first and the last among them
ITEM = 4  # samples that a worker looks at before it answers
Frames = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]  # thumbnails [n, 1024] and detail [n, 1024]


def spread(count: int) -> list[int]:
    """The numbers of the frames that are compared, of `count`: ascending, at most MOST."""
    return [round(n * (count - 1) / (min(count, MOST) - 1)) for n in range(min(count, MOST))] if count > 1 else [0]


@dataclass(frozen=True)
class Framing:
    """The work that is mapped over ids and their counts of frames."""

    root: Path
    bounds: Bounds

    @property
    def reads(self) -> tuple[Path]:
        """The store's bytes."""
        return (self.root,)

    def load(self) -> None:
        """Nothing: what is imported here is enough."""

    def __call__(self, item: tuple[str, int]) -> tuple[bytes, bytes] | None:
        """The thumbnails and the detail of its frames, or None where they cannot be read."""
        try:
            with LocalBlobs(self.root).open(item[0]) as blob:
                image = open_image(blob.read(), self.bounds)
            thumbs, detail = [], []
            for number in spread(item[1]):
                load(image, number)
                frame = flattened(image, "L")
                thumbs.append(phash.row_of(Luminance(frame, frame.size, 1))["thumb"])
                detail.append(grain.of_grey(frame))
            return b"".join(thumbs), b"".join(detail)
        except (ItemError, StoreError):
            return None


class Animations:
    """Frames of samples, asked for a few at a time: `counts` are how many each row has."""

    def __init__(self, ws: Workspace, ids: Sequence[str], counts: Rows, engine: Engine, progress: Progress) -> None:
        self._ws, self._ids, self._counts, self._engine, self._progress = ws, ids, counts, engine, progress
        self._frames: dict[int, Frames | None] = {}

    def same(self, left: Rows, right: Rows) -> npt.NDArray[np.bool_]:
        """Whether two rows have as many frames, in one order, each the same picture: bool[n].

        Rows of one frame are not looked at; what cannot be read is like nothing.
        """
        found = self._counts[left] == self._counts[right]
        several = np.flatnonzero(found & (self._counts[left] > 1))
        self._make(np.unique(np.concatenate([left[several], right[several]])))
        for at in several.tolist():
            found[at] = _agree(self._frames[int(left[at])], self._frames[int(right[at])])
        return np.asarray(found)

    @property
    def unread(self) -> list[str]:
        """The samples that were asked for and could not be looked at."""
        return [self._ids[row] for row, frames in self._frames.items() if frames is None]

    def _make(self, rows: Rows) -> None:
        missing = {self._ids[row]: row for row in rows.tolist() if row not in self._frames}
        work = Framing(self._ws.blobs.root, Bounds(self._ws.config.fetch.max_pixels, 1))
        items = [(one, int(self._counts[row])) for one, row in missing.items()]
        with self._progress.stage("frames", len(items)) as step:
            for (one, _), result in each(self._engine, work, slices(items, ITEM)):
                step()
                if isinstance(result, Exception) and not isinstance(result, ItemError):
                    raise result
                self._frames[missing[one]] = _unpacked(result) if isinstance(result, tuple) else None


def _unpacked(found: tuple[bytes, bytes]) -> Frames:
    thumbs, detail = (np.frombuffer(one, dtype=np.uint8) for one in found)
    return thumbs.reshape(-1, phash.THUMB**2), detail.reshape(-1, grain.CELLS**2)


def _agree(one: Frames | None, other: Frames | None) -> bool:
    if one is None or other is None:
        return False
    return bool(phash.same(one[0], other[0]).all() and grain.same(one[1], other[1]).all())
