"""The table of perceptual hashes: completed where a sample lacks one, and read as arrays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.contracts import Engine, Needs
from curate.errors import ItemError, StoreError
from curate.marks import fingerprint
from curate.media import phash
from curate.media.decode import Bounds, open_image
from curate.progress import Progress, Step
from curate.records import Reason
from curate.store.blobs import LocalBlobs
from curate.store.tables import Table, to_table
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ITEM = 64  # samples that a worker hashes at a time
BATCH = 262_144  # rows read at a time
PART = 4096  # rows of a part; what a killed run may have to hash again

Found = tuple[str, dict[str, Any] | None]


@dataclass(frozen=True)
class Hashes:
    """Of each sample asked for: phash uint8[n, 8], quality float32[n] (0 and a hash of zeros where there is none)."""

    phash: "np.ndarray"
    quality: "np.ndarray"

    @property
    def textured(self) -> "np.ndarray":
        """The rows whose hash says something, as int64[m]: the others are near to nothing."""
        import numpy as np

        return np.flatnonzero(self.quality >= phash.MIN_QUALITY)


@dataclass
class Completed:
    """What `complete` met: samples whose bytes cannot be hashed, and parts of the table that it made again."""

    unhashed: list[str] = field(default_factory=list)
    rebuilt: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Hashing:
    """The work that is mapped over tuples of ids: one scaled decode a sample."""

    root: Path
    bounds: Bounds

    def load(self) -> None:
        """Import what the first item would otherwise wait for."""
        import imagehash  # noqa: F401

    def __call__(self, item: tuple[str, ...]) -> list[Found]:
        """Each id with its row, or None where its bytes are gone or are no picture any more."""
        return [(one, self._row(one)) for one in item]

    def _row(self, one: str) -> dict[str, Any] | None:
        try:
            with LocalBlobs(self.root).open(one) as blob:
                return phash.columns_of(open_image(blob.read(), self.bounds))
        except (ItemError, StoreError):
            return None


def table(ws: Workspace) -> Table:
    """Where the hashes are kept."""
    return ws.table(phash.NAME, phash.MARK)


def complete(ws: Workspace, ids: Sequence[str], engine: Engine, progress: Progress) -> Completed:
    """Make sure that each sample of `ids` (sorted) has its row, as far as its bytes allow."""
    done, known = Completed(), set[str]()
    for part, rows in table(ws).each(["quality"]):
        if rows is None:
            done.rebuilt.append(part)
        else:
            known.update(rows.column("id").to_pylist())
    missing = [one for one in ids if one not in known]
    if missing:
        with progress.stage("hash", len(missing)) as step:
            _fill(ws, missing, engine, done, step)
    return done


def _fill(ws: Workspace, missing: list[str], engine: Engine, done: Completed, step: Step) -> None:
    held: dict[str, dict[str, Any]] = {}
    try:
        for one, row in _hashed(ws, missing, engine):
            step()
            if row is None:
                done.unhashed.append(one)
                continue
            held[one] = row
            if len(held) >= PART:
                _flush(ws, held)
    finally:
        _flush(ws, held)
    done.unhashed.sort()


def _hashed(ws: Workspace, missing: list[str], engine: Engine) -> Iterator[Found]:
    """Each sample with its row. Those over which a worker died are tried one by one, so that one costs itself only."""
    work = Hashing(ws.blobs.root, Bounds(ws.config.fetch.max_pixels, 1))
    waiting = missing
    for size in (ITEM, 1):
        items = [tuple(waiting[at : at + size]) for at in range(0, len(waiting), size)]
        waiting = []
        for ids, result in engine.map(work, items, Needs()):
            if not isinstance(result, Exception):
                yield from result
            elif not (isinstance(result, ItemError) and result.reason is Reason.WORKER_DIED):
                raise result
            elif size > 1:
                waiting += ids
            else:
                yield ids[0], None
        waiting.sort()


def _flush(ws: Workspace, held: dict[str, dict[str, Any]]) -> None:
    if held:
        ids = sorted(held)
        columns = {name: [held[one][name] for one in ids] for name in held[ids[0]]}
        table(ws).write(f"dedupe-{fingerprint(ids)}", to_table({"id": ids} | columns))
        held.clear()


def read(ws: Workspace, ids: Sequence[str]) -> Hashes:
    """The hashes of samples, in the order asked for."""
    import numpy as np

    hashes, quality = np.zeros((len(ids), 8), dtype=np.uint8), np.zeros(len(ids), dtype=np.float32)
    for at, rows in _aligned(ws, ids, ["phash", "quality"]):
        hashes[at] = phash.to_array(rows.column("phash").to_pylist())
        quality[at] = rows.column("quality").to_numpy()
    return Hashes(hashes, quality)


def thumbs(ws: Workspace, ids: Sequence[str]) -> "np.ndarray":
    """The thumbnails of samples, in the order asked for: uint8[n, 1024], grey levels; zeros where there is none."""
    import numpy as np

    found = np.zeros((len(ids), phash.THUMB**2), dtype=np.uint8)
    for at, rows in _aligned(ws, ids, ["thumb"]) if ids else ():
        found[at] = phash.to_array(rows.column("thumb").to_pylist())
    return found


def _aligned(ws: Workspace, ids: Sequence[str], columns: list[str]) -> "Iterator[tuple[np.ndarray, pa.Table]]":
    """The rows that are asked for, many parts at a time, and their places in `ids`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(ids, pa.string())
    for rows in _batches(ws, columns):
        at = pc.index_in(rows.column("id"), value_set=wanted)
        if at.null_count < len(at):
            yield pc.drop_null(at).to_numpy(), rows.filter(pc.is_valid(at))


def _batches(ws: Workspace, columns: list[str]) -> "Iterator[pa.Table]":
    import pyarrow as pa

    held: list[pa.Table] = []
    for _, rows in table(ws).each(columns):
        if rows is not None:
            held.append(rows)
        if sum(map(len, held)) >= BATCH:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)
