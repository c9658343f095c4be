"""The table of detail: made for samples that are about to be collapsed, and remembered."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from curate.contracts import Engine
from curate.features.blobwork import Making, made
from curate.fingerprint import fingerprint
from curate.media import detail
from curate.media.decode import Bounds, open_image
from curate.progress import Progress
from curate.store.tables import Table, to_bytes, to_table
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

PAIRS = 16384  # compared at a time
BATCH = 1 << 17  # rows of the table read at a time
ITEM = 32  # samples that a worker looks at before it answers


def _grain(data: bytes, bounds: Bounds) -> bytes:
    return detail.detail_map(open_image(data, bounds))


class DetailMaps:
    """Detail of samples, asked for a few at a time. `rebuilt` names the corrupt parts of the table.

    `ids` are of the samples that may be asked for, `rows` (ascending) the numbers that they are asked for by.
    """

    def __init__(
        self, ws: Workspace, ids: Sequence[str], rows: "np.ndarray", engine: Engine, progress: Progress
    ) -> None:
        import numpy as np

        self._ws, self._ids, self._rows, self._engine, self._progress = ws, ids, rows, engine, progress
        self._grain = np.zeros((len(ids), detail.CELLS**2), dtype=np.uint8)
        self._known, self._asked = np.zeros(len(ids), dtype=bool), np.zeros(len(ids), dtype=bool)
        self.rebuilt: list[str] = []
        if ids:
            self._read()

    def same(self, left: "np.ndarray", right: "np.ndarray") -> "np.ndarray":
        """Whether two rows have their detail in the same places: bool[n]. What cannot be read is like nothing."""
        import numpy as np

        one, other = np.searchsorted(self._rows, left), np.searchsorted(self._rows, right)
        missing = np.unique(np.concatenate([one, other]))
        missing = missing[~self._known[missing] & ~self._asked[missing]]
        if len(missing):
            self._make(missing.tolist())
        found: np.ndarray = self._known[one] & self._known[other]
        pairs = np.flatnonzero(found)
        for at in range(0, len(pairs), PAIRS):
            some = pairs[at : at + PAIRS]
            found[some] = detail.same(self._grain[one[some]], self._grain[other[some]])
        return found

    @property
    def unread(self) -> list[str]:
        """The samples that were asked for and could not be looked at."""
        return [self._ids[place] for place in (self._asked & ~self._known).nonzero()[0].tolist()]

    def _read(self) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array(self._ids, pa.string())
        for rows in self._batches():
            at = pc.index_in(rows.column("id"), value_set=wanted)
            places = pc.drop_null(at).to_numpy()
            self._grain[places] = to_bytes(rows.column("grain").filter(pc.is_valid(at))).reshape(len(places), -1)
            self._known[places] = True

    def _batches(self) -> "Iterator[pa.Table]":
        """Many parts at a time: to find their places takes a look at all that are asked for."""
        import pyarrow as pa

        held: list[pa.Table] = []
        for part, rows in table(self._ws).each(["grain"]):
            if rows is None:
                self.rebuilt.append(f"{detail.NAME}/{part}")
            else:
                held.append(rows)
            if sum(map(len, held)) >= BATCH:
                yield pa.concat_tables(held)
                held = []
        if held:
            yield pa.concat_tables(held)

    def _make(self, places: Sequence[int]) -> None:
        import numpy as np

        bounds = Bounds(self._ws.config.fetch.max_pixels, 1)
        work = Making(self._ws.blobs.root, partial(_grain, bounds=bounds), detail.CELLS**2, rows=1)
        named = {self._ids[place]: place for place in places}
        self._asked[places] = True
        known: dict[str, bytes] = {}
        with self._progress.stage("detail", len(places)) as step:
            for one, found in made(self._engine, work, list(named), ITEM):
                step()
                if found is not None:
                    known[one] = found
                    self._grain[named[one]], self._known[named[one]] = np.frombuffer(found, dtype=np.uint8), True
        write(self._ws, known)


def table(ws: Workspace) -> Table:
    """Where detail is kept: (id, grain), 1,024 bytes each."""
    return ws.table(detail.NAME, detail.MARK)


def write(ws: Workspace, found: Mapping[str, bytes]) -> None:
    """One part of the table."""
    if found:
        ids = sorted(found)
        table(ws).write(f"dedupe-{fingerprint(ids)}", to_table({"id": ids, "grain": [found[one] for one in ids]}))
