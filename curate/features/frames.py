"""The table of frames: what each animation, or file of many pages, shows beside its first picture; made once.

A row a distinct frame: those by which two files may have a picture in common.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from curate.contracts import Engine
from curate.features import hashes
from curate.features.blobwork import Making, made
from curate.fingerprint import fingerprint
from curate.media import keyframes, pdq, phash
from curate.media.decode import Bounds, open_image
from curate.media.pdq import Pdq
from curate.progress import Progress
from curate.store.tables import Table, to_bytes, to_table
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "frames"
VERSION = 1
MARK = fingerprint(NAME, VERSION, phash.VERSION, phash.THUMB, keyframes.MOST)
ITEM = 4  # samples that a worker looks at before it answers
PART = 1024  # samples of a part; what a killed run may have to do again

Other = tuple[int, bytes, float, bytes, int]  # number, phash, its quality, upright PDQ, its quality (0: none)
Rows = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
ROW = np.dtype([("frame", "<i4"), ("count", "<i4"), ("quality", "<f4"), ("phash", "u1", (8,))])


@dataclass
class Completed:
    """What `complete` met: samples whose frames cannot be looked at, and parts of the table that it made again."""

    unread: list[str] = field(default_factory=list)
    rebuilt: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Keys:
    """Distinct frames of samples, but for the first ones, by place of their sample in the ids that were asked for.

    `owner` int64[m] (ascending), `number` int64[m]; phash uint8[m, 8] with its quality float32[m]; PDQ uint8[m, 32]
    with its quality uint8[m], zeros where the table of PDQ has none.
    """

    owner: Rows
    number: Rows
    phash: Bytes
    quality: npt.NDArray[np.float32]
    pdq: Bytes
    pdq_quality: Bytes


def frames_of(data: bytes, bounds: Bounds) -> bytes:
    """The rows (ROW, one after another) of a file's distinct frames; raises ItemError where one cannot be decoded."""
    every = [hashed for _, hashed in keyframes.each(open_image(data, bounds))]
    numbers = keyframes.distinct([one["thumb"] for one in every])
    rows = np.zeros(len(numbers), dtype=ROW)
    rows["frame"], rows["count"] = numbers, len(every)
    rows["quality"] = [every[number]["quality"] for number in numbers]
    rows["phash"] = [np.frombuffer(every[number]["phash"], dtype=np.uint8) for number in numbers]
    return rows.tobytes()


def are_others(found: Sequence[Other]) -> bool:
    """Whether these can be distinct frames of one file."""
    return len(found) <= 1 + keyframes.MOST and all(map(_is_other, found))


def _is_other(one: Other) -> bool:
    number, by_phash, quality, by_pdq, pdq_quality = one
    sizes = len(by_phash) in (0, phash.BITS // 8) and len(by_pdq) in (0, pdq.BYTES)
    return sizes and 0 <= number < 2**31 and 0 <= quality < math.inf and 0 <= pdq_quality <= 100


def others(data: bytes, bounds: Bounds, parts: Iterable[Pdq]) -> list[Other]:
    """The distinct frames of a file but for the first one, with the PDQ of those that are among its parts.

    Raises ItemError where one cannot be decoded.
    """
    turned = {one.part: (one.hashes[: pdq.BYTES], one.quality) for one in parts}
    found = []
    for row in np.frombuffer(frames_of(data, bounds), dtype=ROW):
        number = int(row["frame"])
        if number:
            own = turned.get(f"frame:{number}") or turned.get(f"page:{number}") or (bytes(pdq.BYTES), 0)
            found.append((number, row["phash"].tobytes(), float(row["quality"]), *own))
    return found


def table(ws: Workspace) -> Table:
    """Where frames are kept: id and ROW's columns, at most `keyframes.MOST` rows a sample."""
    return ws.table(NAME, MARK)


def several(ws: Workspace, ids: Sequence[str]) -> Rows:
    """The places of those of `ids` (sorted) that have more than one frame."""
    found = {row[0] for row in ws.catalog.iterate_tuples("SELECT id FROM samples WHERE frames > 1")}
    return np.array([place for place, one in enumerate(ids) if one in found] if found else [], dtype=np.int64)


def complete(ws: Workspace, counts: Mapping[str, int], engine: Engine, progress: Progress) -> Completed:
    """Make sure that each of these samples, which have so many frames, has its rows, as far as its bytes allow."""
    known, broken = _known(ws)
    done = Completed(rebuilt=broken)
    missing = sorted(counts.keys() - known)
    work = Making(
        ws.blobs.root,
        partial(frames_of, bounds=Bounds(ws.config.fetch.max_pixels, 1)),
        ROW.itemsize,
        rows=keyframes.MOST,
    )
    held: dict[str, bytes] = {}
    with progress.stage("frames", len(missing)) as step:
        try:
            for one, found in made(engine, work, missing, ITEM):
                step()
                if found is None or np.frombuffer(found, dtype=ROW)["count"][0] != counts[one]:
                    done.unread.append(one)
                    continue
                held[one] = found
                if len(held) == PART:
                    write(ws, held)
                    held.clear()
        finally:
            write(ws, held)
    return done


def _known(ws: Workspace) -> tuple[set[str], list[str]]:
    """The samples that have their rows, and the corrupt parts, removed."""
    known, broken = set[str](), []
    for part, rows in table(ws).each([]):
        if rows is None:
            broken.append(f"{NAME}/{part}")
        else:
            known.update(rows.column("id").unique().to_pylist())
    return known, broken


def unread(ws: Workspace, ids: Sequence[str]) -> list[str]:
    """Those of `ids` whose frames dedupe is to ask, and that have no rows: nothing is known of what they share."""
    if ws.config.dedupe.frames != "any" or not (places := several(ws, ids)).size:
        return []
    known, _ = _known(ws)
    return [ids[place] for place in places.tolist() if ids[place] not in known]


def write(ws: Workspace, found: Mapping[str, bytes]) -> None:
    """One part of the table, from each sample's rows."""
    if not found:
        return
    ids = sorted(found)
    rows = [np.frombuffer(found[one], dtype=ROW) for one in ids]
    every = np.concatenate(rows)
    columns: dict[str, object] = {"id": [one for one, some in zip(ids, rows, strict=True) for _ in some]}
    for name in ROW.names or ():
        column = np.ascontiguousarray(every[name])
        columns[name] = [line.tobytes() for line in column] if column.ndim > 1 else column
    table(ws).write(f"dedupe-{fingerprint(ids)}", to_table(columns))


def keys(ws: Workspace, ids: Sequence[str], several: Rows) -> Keys:
    """The distinct frames of those of `ids` at the places `several` (ascending), as far as the table has them."""
    some = [ids[row] for row in several.tolist()]
    owner, rows = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=ROW)]
    for places, found in _of(ws, some, ["frame", "quality", "phash"]) if some else ():
        wanted = found["frame"] > 0
        owner.append(several[places[wanted]])
        rows.append(found[wanted])
    every, of_each = np.concatenate(rows), np.concatenate(owner)
    code, first = np.unique(_code(of_each, every["frame"]), return_index=True)
    every, of_each = every[first], of_each[first]
    turned, quality = np.zeros((len(code), 32), dtype=np.uint8), np.zeros(len(code), dtype=np.uint8)
    for places, number, hashed, told in hashes.frames_pdq(ws, some) if some and ws.config.dedupe.by_pdq else ():
        asked = _code(several[places], number)
        at = np.searchsorted(code, asked).clip(max=max(len(code) - 1, 0))
        here = np.flatnonzero(code[at] == asked) if len(code) else np.empty(0, dtype=np.int64)
        turned[at[here]], quality[at[here]] = hashed[here], told[here]
    number = every["frame"].astype(np.int64)
    return Keys(of_each, number, np.ascontiguousarray(every["phash"]), every["quality"].copy(), turned, quality)


def _code(owner: Rows, number: npt.NDArray[np.integer]) -> Rows:
    return np.asarray(owner.astype(np.int64) << 32 | number.astype(np.int64))


def _of(ws: Workspace, ids: Sequence[str], columns: list[str]) -> Iterator[tuple[Rows, npt.NDArray[np.void]]]:
    """The rows of samples, part by part: the place of each in `ids`, those of one side by side; and the rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(ids, pa.string())
    for _, rows in table(ws).each(columns):
        if rows is None:
            continue
        at = pc.index_in(rows.column("id"), value_set=wanted)
        if at.null_count < len(at):
            yield pc.drop_null(at).to_numpy().astype(np.int64), _rows(rows.filter(pc.is_valid(at)), columns)


def _rows(found: "pa.Table", columns: Sequence[str]) -> npt.NDArray[np.void]:
    rows = np.zeros(found.num_rows, dtype=ROW)
    for name in columns:
        column = found.column(name)
        rows[name] = to_bytes(column) if ROW[name].subdtype else column.to_numpy()
    return rows
