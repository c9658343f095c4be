"""Embeddings of many samples, read from a labeler's table when rows are asked for: 1.3 million of them fill 3 GB."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from curate.config import Config
from curate.contracts import Labeler
from curate.plugins import fingerprint_of, make, name_of
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

COLUMN = "embedding"


class Embeddings:
    """float32[n, d] of `ids`, by row; NaN where a sample has none. Reads each part of the table once for each request,
    and holds one part and what was asked for."""

    def __init__(self, ws: Workspace, labeler: Labeler, ids: Sequence[str]) -> None:
        self._table = ws.table(name_of(labeler), fingerprint_of(labeler))
        self._ids = ids
        self.shape = (len(ids), int(labeler.columns[COLUMN].rstrip("]").partition("[")[2]))

    def __getitem__(self, rows: "np.ndarray") -> "np.ndarray":
        """Some of the rows, int[r] -> float32[r, d]."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = np.arange(self.shape[0])[rows]  # as NumPy takes them: negative, a mask, a slice
        found = np.full((len(rows), self.shape[1]), np.nan, dtype=np.float32)
        wanted = pa.array([self._ids[row] for row in rows.tolist()], pa.string())
        for _, part in self._table.each([COLUMN]):
            if part is None:
                continue
            where = pc.index_in(wanted, value_set=part.column("id").combine_chunks())
            here, places = where.is_valid().to_numpy(zero_copy_only=False), where.drop_null()
            if len(places):
                some = part.column(COLUMN).take(places).combine_chunks()
                found[here] = some.flatten().to_numpy(zero_copy_only=False).reshape(-1, self.shape[1])
        return found

    def each(self) -> "Iterator[tuple[np.ndarray, np.ndarray]]":
        """All rows that there are, a part at a time: their places int64[r], and float32[r, d]. An id once."""
        import numpy as np

        names = np.array(self._ids, dtype="S")
        order, seen = np.argsort(names), np.zeros(len(names), dtype=bool)
        names = names[order]
        for _, part in self._table.each([COLUMN]) if len(names) else ():
            if part is None:
                continue
            said = np.array(part.column("id").to_pylist(), dtype="S")
            at = np.minimum(np.searchsorted(names, said), len(names) - 1)
            rows = np.flatnonzero(names[at] == said)
            places = order[at[rows]]
            rows, places = rows[~seen[places]], places[~seen[places]]
            seen[places] = True
            flat = part.column(COLUMN).take(rows).combine_chunks().flatten().to_numpy(zero_copy_only=False)
            yield places, flat.reshape(-1, self.shape[1]).astype(np.float32)


def embeddings(ws: Workspace, config: Config, ids: Sequence[str]) -> Embeddings | None:
    """Those of the first configured labeler that has a column `embedding` and a table; None where there is none."""
    for table in config.labelers:
        labeler: Any = make("labelers", table, "labeler")
        if "[" in labeler.columns.get(COLUMN, "") and ws.table(name_of(labeler), fingerprint_of(labeler)).parts():
            return Embeddings(ws, labeler, ids)
    return None
