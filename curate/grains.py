"""The table of detail: made for samples that are about to be collapsed, and remembered."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curate.contracts import Engine, Needs
from curate.errors import ItemError, StoreError
from curate.marks import fingerprint
from curate.media import grain
from curate.media.decode import Bounds, open_image
from curate.progress import Progress
from curate.store.blobs import LocalBlobs
from curate.store.tables import Table, to_bytes, to_table
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

ITEM = 32  # samples that a worker looks at before it answers
Found = tuple[str, bytes | None]


@dataclass(frozen=True)
class Graining:
    """The work that is mapped over tuples of ids."""

    root: Path
    bounds: Bounds

    def load(self) -> None:
        """Import what the first item would otherwise wait for."""
        import numpy as np  # noqa: F401

    def __call__(self, item: tuple[str, ...]) -> list[Found]:
        """Each id with its detail, or None where its bytes are gone or are no picture any more."""
        return [(one, self._grain(one)) for one in item]

    def _grain(self, one: str) -> bytes | None:
        try:
            with LocalBlobs(self.root).open(one) as blob:
                return grain.of(open_image(blob.read(), self.bounds))
        except (ItemError, StoreError):
            return None


class Grains:
    """Detail of samples (by row: `ids`), asked for a few at a time. `rebuilt` names the corrupt parts of the table."""

    def __init__(self, ws: Workspace, ids: Mapping[int, str], engine: Engine, progress: Progress) -> None:
        self._ws, self._ids, self._engine, self._progress = ws, ids, engine, progress
        self._found: dict[int, bytes] | None = None
        self._gone: set[int] = set()
        self.rebuilt: list[str] = []

    def same(self, left: "np.ndarray", right: "np.ndarray") -> "np.ndarray":
        """Whether two rows have their detail in the same places: bool[n]. What cannot be read is like nothing."""
        import numpy as np

        known = self._of(np.unique(np.concatenate([left, right])).tolist())
        pairs = list(zip(left.tolist(), right.tolist(), strict=True))
        found = np.array([a in known and b in known for a, b in pairs], dtype=bool)
        for at in range(0, len(pairs), 16384):
            both = [n for n in range(at, min(at + 16384, len(pairs))) if found[n]]
            one, other = (
                np.frombuffer(b"".join(known[pairs[n][side]] for n in both), dtype=np.uint8) for side in (0, 1)
            )
            found[both] = grain.same(one.reshape(len(both), grain.CELLS**2), other.reshape(len(both), grain.CELLS**2))
        return found

    def _of(self, rows: Sequence[int]) -> Mapping[int, bytes]:
        if self._found is None:
            self._found = dict(self._read())
        missing = [row for row in rows if row not in self._found and row not in self._gone]
        if missing:
            self._make(missing, self._found)
        return self._found

    def _read(self) -> Iterator[tuple[int, bytes]]:
        at = {one: row for row, one in self._ids.items()}
        for part, rows in table(self._ws).each(["grain"]):
            if rows is None:
                self.rebuilt.append(f"{grain.NAME}/{part}")
                continue
            for one, found in zip(rows.column("id").to_pylist(), to_bytes(rows.column("grain")), strict=True):
                if one in at:
                    yield at[one], found.tobytes()

    def _make(self, rows: Sequence[int], known: dict[int, bytes]) -> None:
        work = Graining(self._ws.blobs.root, Bounds(self._ws.config.fetch.max_pixels, 1))
        named = {self._ids[row]: row for row in rows}
        made: dict[str, bytes] = {}
        with self._progress.stage("detail", len(rows)) as step:
            for one, found in _mapped(list(named), work, self._engine):
                step()
                if found is None:
                    self._gone.add(named[one])
                else:
                    made[one] = known[named[one]] = found
        write(self._ws, made)


def _mapped(ids: Sequence[str], work: Graining, engine: Engine) -> Iterator[Found]:
    items = [tuple(ids[at : at + ITEM]) for at in range(0, len(ids), ITEM)]
    for item, result in engine.map(work, items, Needs()):
        if isinstance(result, Exception) and not isinstance(result, ItemError):
            raise result
        if not isinstance(result, Exception):
            yield from result
        else:  # a worker died over one of them: which one, each tells by itself
            for alone, answer in engine.map(work, [(one,) for one in item], Needs()):
                yield answer[0] if not isinstance(answer, Exception) else (alone[0], None)


def table(ws: Workspace) -> Table:
    """Where detail is kept: (id, grain), 1,024 bytes each."""
    return ws.table(grain.NAME, grain.MARK)


def write(ws: Workspace, found: Mapping[str, bytes]) -> None:
    """One part of the table."""
    if found:
        ids = sorted(found)
        table(ws).write(f"dedupe-{fingerprint(ids)}", to_table({"id": ids, "grain": [found[one] for one in ids]}))
