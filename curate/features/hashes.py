"""The tables of perceptual hashes: completed where a sample lacks one, and read as arrays."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from curate.contracts import Engine
from curate.engine import each, slices
from curate.errors import ItemError
from curate.features.hash_worker import Found, Hashing, Wanted
from curate.fingerprint import fingerprint
from curate.media import pdq, phash
from curate.media.decode import Bounds
from curate.media.pdq import Pdq
from curate.progress import Progress, Step
from curate.store.tables import Table, to_bytes, to_table
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ITEM = 64  # samples that a worker hashes at a time
BATCH = 1 << 21  # rows read at a time: to find their places takes a look at all that are asked for
THUMBS = 1 << 18  # of those, rows with thumbnails
FORMS = ("", "inner_")  # what the columns of the whole picture's hashes begin with, and of the one within its border
PART = 4096  # rows of a part; what a killed run may have to hash again


@dataclass(frozen=True)
class Hashes:
    """Of each sample asked for the hashes of the whole picture, then those of the one within its border.

    `both` uint8[n, 2, 8]; `signs` uint8[n, 2, 8], from which those of mirrors and turns follow; `qualities` float32[n,
    2], NaN where there is no border. `known` bool[n] says who has a row at all. Zeros alone say nothing: they are the
    hash and the quality of a black picture, and of one that has none.
    """

    both: "np.ndarray"
    signs: "np.ndarray"
    qualities: "np.ndarray"
    known: "np.ndarray"

    @property
    def phash(self) -> "np.ndarray":
        """Those of the whole pictures: uint8[n, 8]."""
        whole: np.ndarray = self.both[:, 0]
        return whole

    @property
    def quality(self) -> "np.ndarray":
        """The same: float32[n]."""
        whole: np.ndarray = self.qualities[:, 0]
        return whole


@dataclass(frozen=True)
class PdqHashes:
    """PDQ of the "main" parts of samples: hashes uint8[n, 1 to 8, 32], quality uint8[n]; `known`: who has a row.

    `turned`, uint8[m, 8, 32]: all orientations of those of whom they were asked for.
    """

    hashes: "np.ndarray"
    quality: "np.ndarray"
    known: "np.ndarray"
    turned: "np.ndarray"

    def tells(self, quality: int) -> "np.ndarray":
        """Whose hash may be compared: bool[n]. A side of less than 5 px has none, which pdqhash says by zeros."""
        tells: np.ndarray = self.known & (self.quality >= quality) & self.hashes[:, 0].any(axis=1)
        return tells


@dataclass
class Completed:
    """What `complete` met: samples that lack a hash for good, parts of a table that it made again, void tables.

    A table is void whose hashes were made by rules that no longer hold; it was removed, and is made anew.
    """

    unhashed: list[str] = field(default_factory=list)
    rebuilt: list[str] = field(default_factory=list)
    void: list[str] = field(default_factory=list)


def side(ws: Workspace) -> int:
    """The side in px of the decodes that pHashes are made from: `fetch` decodes in full where it looks for PDQ too."""
    screening = ws.config.screening
    return phash.FULL if screening.lists or screening.matchers else phash.SIDE


def table(ws: Workspace) -> Table:
    """Where the pHashes are kept: one row a sample."""
    return ws.table(phash.NAME, phash.fingerprint_of(side(ws)))


def outdated(ws: Workspace, ids: Iterable[str]) -> int:
    """How many samples have a pHash of another configuration only: `complete` makes those of this one."""
    other = ws.table(phash.NAME, phash.fingerprint_of(phash.SIDE if side(ws) == phash.FULL else phash.FULL))
    if not other.path.is_dir() or not (asked := list(ids)):
        return 0
    return int((_lacking(table(ws), asked, Completed()) & ~_lacking(other, asked, Completed())).sum())


def pdq_table(ws: Workspace) -> Table:
    """Where the PDQs are kept: a row for each part of a sample (id, part, pdq, quality), "main" always there."""
    return ws.table(pdq.NAME, pdq.FINGERPRINT)


def complete(ws: Workspace, ids: Sequence[str], engine: Engine, progress: Progress) -> Completed:
    """Make sure that each sample of `ids` (sorted) has its rows in both tables, as far as its bytes allow."""
    done = Completed(void=_void(ws))
    lacking = [_lacking(one, ids, done) for one in (table(ws), pdq_table(ws))]
    missing = [
        (ids[row], *(bool(one[row]) for one in lacking)) for row in (lacking[0] | lacking[1]).nonzero()[0].tolist()
    ]
    if missing:
        with progress.stage("hash", len(missing)) as step:
            _fill(ws, missing, engine, done, step)
    return done


def _void(ws: Workspace) -> list[str]:
    """The tables of earlier rules that were there; they are not any more."""
    marks = [*((pdq.NAME, mark) for mark in pdq.VOID), *((phash.NAME, mark) for mark in phash.VOID)]
    found = [one for one in (ws.table(*mark) for mark in marks) if one.path.is_dir()]
    for one in found:
        shutil.rmtree(one.path)
    return [one.path.name for one in found]


def _lacking(rows_of: Table, ids: Sequence[str], done: Completed) -> "np.ndarray":
    """Which samples a table has no row of: bool[n]."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = []
    for part, rows in rows_of.each([]):
        if rows is None:
            done.rebuilt.append(f"{rows_of.name}/{part}")
        else:
            known += rows.column("id").chunks
    found: np.ndarray = pc.is_in(pa.array(ids, pa.string()), value_set=pa.chunked_array(known, pa.string())).to_numpy(
        zero_copy_only=False
    )
    return ~found


def unread(ws: Workspace, ids: Sequence[str]) -> list[str]:
    """Those of `ids` that have no row of a hash that dedupe is to ask: nothing is known of what they are near to."""
    wanted = [table(ws)] + ([pdq_table(ws)] if ws.config.dedupe.by_pdq else [])
    lacking = [_lacking(one, ids, Completed()) for one in wanted]
    return [ids[row] for row in (lacking[0] | lacking[-1]).nonzero()[0].tolist()]


def _fill(ws: Workspace, missing: list[Wanted], engine: Engine, done: Completed, step: Step) -> None:
    held: list[Found] = []
    asked = {one: (phash_too, pdq_too) for one, phash_too, pdq_too in missing}
    try:
        for found in _hashed(ws, missing, engine):
            step()
            phash_too, pdq_too = asked[found.id]
            if (phash_too and found.phash is None) or (pdq_too and not found.pdq):
                done.unhashed.append(found.id)
            held.append(found)
            if len(held) >= PART:
                write(ws, held, "dedupe")
                held.clear()
    finally:
        write(ws, held, "dedupe")
    done.unhashed.sort()


def _hashed(ws: Workspace, missing: list[Wanted], engine: Engine) -> Iterator[Found]:
    """Each sample with its rows, or with none where a worker died over it."""
    work = Hashing(ws.blobs.root, Bounds(ws.config.fetch.max_pixels, 1, ws.config.fetch.max_frames), side(ws))
    for item, result in each(engine, work, slices(missing, ITEM)):
        if isinstance(result, ItemError):
            yield Found(item[0])
        elif isinstance(result, Exception):
            raise result
        else:
            yield replace(result, id=item[0])  # which sample that is, no worker says


def write(ws: Workspace, found: Sequence[Found], who: str) -> None:
    """One part of each table from samples that were hashed; the part is named after `who` and what is in it."""
    import numpy as np

    rows = sorted((one.id, one.phash) for one in found if one.phash is not None)
    if rows:
        columns: dict[str, object] = {
            "id": [one for one, _ in rows],
            "phash": [row["phash"] for _, row in rows],
            "signs": [row["signs"] for _, row in rows],
            "quality": np.array([row["quality"] for _, row in rows], dtype=np.float32),
            "thumb": [row["thumb"] for _, row in rows],
            "inner_phash": [row["inner_phash"] for _, row in rows],
            "inner_signs": [row["inner_signs"] for _, row in rows],
            "inner_quality": np.array([row["inner_quality"] for _, row in rows], dtype=np.float32),
        }
        table(ws).write(f"{who}-{fingerprint(columns['id'])}", to_table(columns))
    parts_of = [(one.id, part) for one in sorted(found, key=lambda one: one.id) for part in one.pdq]
    if parts_of:
        pdq_table(ws).write(f"{who}-{fingerprint([one for one, _ in parts_of])}", pdq_rows(parts_of))


def pdq_rows(parts_of: Sequence[tuple[str, Pdq]]) -> "pa.Table":
    """Rows of the PDQ table, from samples with their parts."""
    import numpy as np

    columns: dict[str, object] = {
        "id": [one for one, _ in parts_of],
        "part": [part.part for _, part in parts_of],
        "pdq": [part.hashes for _, part in parts_of],
        "quality": np.array([part.quality for _, part in parts_of], dtype=np.uint8),
    }
    return to_table(columns)


def read(ws: Workspace, ids: Sequence[str]) -> Hashes:
    """The hashes of samples, in the order asked for."""
    import numpy as np

    both, signs = np.zeros((len(ids), 2, 8), dtype=np.uint8), np.zeros((len(ids), 2, 8), dtype=np.uint8)
    qualities, known = np.full((len(ids), 2), (0, np.nan), dtype=np.float32), np.zeros(len(ids), dtype=bool)
    columns = [f"{which}{name}" for which in FORMS for name in ("phash", "signs", "quality")]
    for at, rows in _aligned(ws, ids, columns):
        for form, which in enumerate(FORMS):
            both[at, form] = to_bytes(rows.column(f"{which}phash"))
            signs[at, form] = to_bytes(rows.column(f"{which}signs"))
            qualities[at, form] = rows.column(f"{which}quality").to_numpy()
        known[at] = True
    return Hashes(both, signs, qualities, known)


def thumbs(ws: Workspace, ids: Sequence[str]) -> "tuple[np.ndarray, np.ndarray]":
    """The thumbnails of samples, in the order asked for: uint8[n, 1024], grey levels; and who has one: bool[n]."""
    import numpy as np

    found, known = np.zeros((len(ids), phash.THUMB**2), dtype=np.uint8), np.zeros(len(ids), dtype=bool)
    for at, some, _ in each_thumb(ws, ids):
        found[at], known[at] = some, True
    return found, known


def each_thumb(ws: Workspace, ids: Sequence[str]) -> "Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]":
    """The same many at a time, where a gigabyte is too much: places in `ids`, int[r], uint8[r, 1024], and the pHashes
    that they gave, uint8[r, 8]."""
    for at, rows in _aligned(ws, ids, ["thumb", "phash"]) if ids else ():
        yield at, to_bytes(rows.column("thumb")), to_bytes(rows.column("phash"))


def read_pdq(
    ws: Workspace, ids: Sequence[str], turns: int = pdq.ORIENTATIONS, turned: "np.ndarray | None" = None
) -> PdqHashes:
    """PDQ of the samples' "main" parts, in the order asked for.

    With fewer `turns` the first of the orientations only: upright is first. `turned`: places in `ids`, ascending, of
    those whose orientations are all wanted besides.
    """
    import numpy as np
    import pyarrow.compute as pc

    hashes = np.zeros((len(ids), turns, pdq.BYTES), dtype=np.uint8)
    quality, known = np.zeros(len(ids), dtype=np.uint8), np.zeros(len(ids), dtype=bool)
    some = np.empty(0, dtype=np.int64) if turned is None else turned
    every, place = np.zeros((len(some), pdq.ORIENTATIONS, pdq.BYTES), dtype=np.uint8), np.full(len(ids), -1)
    place[some] = np.arange(len(some))
    columns = ["part", "pdq", "quality"]
    for at, rows in _aligned(ws, ids, columns, pdq_table(ws), lambda part: pc.equal(part, pdq.MAIN)) if ids else ():
        found = _hashes_of(rows)
        hashes[at] = found[:, :turns]
        quality[at] = rows.column("quality").to_numpy()
        known[at] = True
        mine = place[at]
        every[mine[mine >= 0]] = found[mine >= 0]
    return PdqHashes(hashes, quality, known, every)


def frames_pdq(ws: Workspace, ids: Sequence[str]) -> "Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]":
    """PDQ of the frames and pages after the first, many at a time: places in `ids`, numbers, upright hashes, quality.

    int64[n], int64[n], uint8[n, 32], uint8[n]; what a frame is shown as elsewhere (its other renderings) is left out.
    """
    import numpy as np
    import pyarrow.compute as pc

    def plain(part: "pa.ChunkedArray") -> "pa.ChunkedArray":
        return pc.match_substring_regex(part, "^(frame|page):[0-9]+$")

    for at, rows in _aligned(ws, ids, ["part", "pdq", "quality"], pdq_table(ws), plain):
        numbers = [int(part.partition(":")[2]) for part in rows.column("part").to_pylist()]
        quality = rows.column("quality").to_numpy()
        yield at.astype(np.int64), np.array(numbers, dtype=np.int64), _hashes_of(rows)[:, 0], quality


@dataclass(frozen=True)
class PdqRows:
    """Rows of the PDQ table: ids and parts [n], hashes uint8[n, 8, 32], quality uint8[n]."""

    ids: list[str]
    parts: list[str]
    hashes: "np.ndarray"
    quality: "np.ndarray"


def all_pdq(ws: Workspace) -> Iterator[PdqRows]:
    """Every row of the PDQ table, many at a time, in no order; a sample may come twice, with the same hashes."""
    for rows in _batches(pdq_table(ws), ["part", "pdq", "quality"]):
        yield PdqRows(
            rows.column("id").to_pylist(),
            rows.column("part").to_pylist(),
            _hashes_of(rows),
            rows.column("quality").to_numpy(),
        )


def _hashes_of(rows: "pa.Table") -> "np.ndarray":
    return to_bytes(rows.column("pdq")).reshape(-1, pdq.ORIENTATIONS, pdq.BYTES)


def _aligned(
    ws: Workspace, ids: Sequence[str], columns: list[str], of: Table | None = None,
    where: "Callable[[pa.ChunkedArray], pa.ChunkedArray] | None" = None,
) -> "Iterator[tuple[np.ndarray, pa.Table]]":  # fmt: skip
    """The rows that are asked for, many parts at a time, and their places in `ids`; `where`: only of such parts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(ids, pa.string())
    for rows in _batches(of or table(ws), columns, THUMBS if "thumb" in columns else BATCH):
        at = pc.index_in(rows.column("id"), value_set=wanted)
        if where is not None:
            at = pc.if_else(where(rows.column("part")), at, None)
        if not at.null_count:
            yield at.to_numpy(), rows
        elif at.null_count < len(at):
            yield pc.drop_null(at).to_numpy(), rows.filter(pc.is_valid(at))


def _batches(of: Table, columns: list[str], size: int = BATCH) -> "Iterator[pa.Table]":
    import pyarrow as pa

    held: list[pa.Table] = []
    for _, rows in of.each(columns):
        if rows is not None:
            held.append(rows)
        if sum(map(len, held)) >= size:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)
