"""Whether two animations, or files of many pages, agree in every frame: the first one alone is no answer.

What is compared is made for samples that would collapse otherwise, as `curate.features.detail` does it for pictures.
"""

from collections.abc import Mapping, Sequence, Set
from functools import partial

import numpy as np
import numpy.typing as npt

from curate.contracts import Engine
from curate.dedupe.groups import Rows
from curate.features.blobwork import Making, made
from curate.fingerprint import fingerprint
from curate.media import detail, keyframes, phash
from curate.media.decode import Bounds, Luminance, flattened, frames, load, open_image
from curate.progress import Progress
from curate.store.tables import Table, to_table
from curate.store.workspace import Workspace

NAME = "frame-detail"
VERSION = 1
FINGERPRINT = fingerprint(NAME, VERSION, phash.VERSION, phash.THUMB, detail.MARK, keyframes.MOST)
ITEM = 4  # samples that a worker looks at before it answers
THUMB, GRAIN = phash.THUMB**2, detail.CELLS**2  # bytes of each frame, one after the other
Told = npt.NDArray[np.bool_]


def keyframes_of(data: bytes, bounds: Bounds) -> bytes:
    """Thumbnail and detail of the frames that are spread over a file; raises ItemError where one cannot be decoded."""
    image, found = open_image(data, bounds), []
    for number in keyframes.spread(frames(image)):
        load(image, number)
        grey = flattened(image, "L")
        found.append(phash.row_of(Luminance(grey, grey.size))["thumb"] + detail.of_grey(grey))
    return b"".join(found)


class Animations:
    """Frames of samples, asked for a few at a time: `counts` are how many each row has.

    `rebuilt` names the corrupt parts of the table.
    """

    def __init__(self, ws: Workspace, ids: Sequence[str], counts: Rows, engine: Engine, progress: Progress) -> None:
        self._ws, self._ids, self._counts, self._engine, self._progress = ws, ids, counts, engine, progress
        self._known: dict[str, bytes | None] = {}
        self.rebuilt: list[str] = []

    def same(self, left: Rows, right: Rows) -> Told:
        """Whether two rows have as many frames, in one order, each the same picture: bool[n].

        Rows of one frame are not looked at; what cannot be read is like nothing.
        """
        found = self._counts[left] == self._counts[right]
        several = np.flatnonzero(found & (self._counts[left] > 1))
        self._look(np.unique(np.concatenate([left[several], right[several]])))
        for at in several.tolist():
            one, other = (self._known[self._ids[int(side[at])]] for side in (left, right))
            found[at] = one is not None and other is not None and _agree(one, other)
        return np.asarray(found)

    @property
    def unread(self) -> list[str]:
        """The samples that were asked for and could not be looked at."""
        return [one for one, found in self._known.items() if found is None]

    def _look(self, rows: Rows) -> None:
        wanted = {self._ids[row]: self._size(row) for row in rows.tolist() if self._ids[row] not in self._known}
        if not wanted:
            return
        self._known |= self._read(wanted.keys())
        missing = sorted(wanted.keys() - self._known.keys())
        bounds = Bounds(self._ws.config.fetch.max_pixels, 1)
        work = Making(self._ws.blobs.root, partial(keyframes_of, bounds=bounds), THUMB + GRAIN)
        with self._progress.stage("frames", len(missing)) as step:
            for one, found in made(self._engine, work, missing, ITEM):
                step()
                self._known[one] = found if found is not None and len(found) == wanted[one] else None
        write(self._ws, {one: found for one in missing if (found := self._known[one]) is not None})

    def _size(self, row: int) -> int:
        return len(keyframes.spread(int(self._counts[row]))) * (THUMB + GRAIN)

    def _read(self, wanted: Set[str]) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        for part, rows in table(self._ws).each(["detail"]):
            if rows is None:
                self.rebuilt.append(f"{NAME}/{part}")
                continue
            ids = rows.column("id").to_pylist()
            found |= {one: rows.column("detail")[n].as_py() for n, one in enumerate(ids) if one in wanted}
        return found


def table(ws: Workspace) -> Table:
    """Where it is kept: (id, detail), `THUMB` and `GRAIN` bytes of each frame in turn."""
    return ws.table(NAME, FINGERPRINT)


def write(ws: Workspace, found: Mapping[str, bytes]) -> None:
    """One part of the table."""
    if found:
        ids = sorted(found)
        table(ws).write(f"dedupe-{fingerprint(ids)}", to_table({"id": ids, "detail": [found[one] for one in ids]}))


def _agree(one: bytes, other: bytes) -> bool:
    left, right = (np.frombuffer(side, dtype=np.uint8).reshape(-1, THUMB + GRAIN) for side in (one, other))
    return len(left) == len(right) and bool(
        phash.same(left[:, :THUMB], right[:, :THUMB]).all() and detail.same(left[:, THUMB:], right[:, THUMB:]).all()
    )
