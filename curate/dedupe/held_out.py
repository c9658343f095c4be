"""Sets to evaluate on that somebody holds out: "remove from A what is in B", remembered from run to run.

Of the items of such a set only hashes are kept, those of distinct frames included. Whatever is near to one of them, by
any hash that groups samples, and whatever shows the same picture as that, leaves every later release with the reason
`held_out`.
"""

import math
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.contracts import Engine, Task
from curate.dedupe.groups import Rows
from curate.dedupe.sharing import Every
from curate.dedupe.similarity import EVERY, FLAT, TURNS, HashArrays
from curate.engine import each, slices
from curate.errors import ItemError, UsageError
from curate.features import frames, hashes
from curate.features.frames import Other
from curate.features.inspect import FetchedBytes, Inspect
from curate.media import pdq, phash
from curate.media.decode import Bounds
from curate.near import beside, turns
from curate.progress import Progress
from curate.store.catalog import now
from curate.store.workspace import Workspace

REASON = "held_out"
ITEM = 4  # files that a worker hashes at a time: their bytes are all in memory at once
Forms = tuple[bytes, bytes, bytes, float]  # signs; phash, signs and quality within the border
# sha256, the first frame (b"": no such hash) and what other distinct ones there are, what else is known of the first.
Item = tuple[str, list[Other], Forms]
NONE: Forms = (b"", b"", b"", 0.0)


@dataclass(frozen=True)
class Reading:
    """The work that is mapped over paths: the hashes of what they hold, nothing else of it."""

    intake: Inspect
    max_bytes: int

    def bring(self, item: str) -> FetchedBytes | None:
        """The bytes at a path, or None where there are none to look at: no worker opens it."""
        path = Path(item)
        try:
            if not path.is_file() or path.stat().st_size > self.max_bytes:
                return None
            return self.intake.bring(FetchedBytes(0, path.read_bytes()))
        except OSError:
            return None

    def fits(self, given: FetchedBytes | None, answer: Item | None) -> bool:
        """Whether the answer is about these bytes, and made of hashes."""
        if answer is None or given is None or given.digests is None:
            return answer is None
        sha256, found, (*hashed, quality) = answer
        sizes = {len(one) for one in hashed}
        whole = sizes <= {0, phash.BITS // 8} and 0 <= quality < math.inf
        return sha256 == given.digests[0] and len(found) > 0 and frames.are_others(found) and whole

    def load(self) -> None:
        """Import what the first item would otherwise wait for."""
        self.intake.load()

    def __call__(self, item: FetchedBytes | None) -> Item | None:
        """The hashes of a file, or None for one that is no picture."""
        if item is None:
            return None
        look = self.intake(item)
        if look.hashes is None:
            return None
        main, row = next(one for one in look.pdq if one.part == pdq.MAIN), look.hashes
        first = (0, bytes(row["phash"]), float(row["quality"]), main.hashes[: pdq.BYTES], main.quality)
        several = look.sample is not None and look.sample.frames > 1
        found = [first, *(frames.others(item.data, self.intake.bounds, look.pdq) if several else ())]
        return look.sha256, found, _forms(row["signs"], row["inner_phash"], row["inner_signs"], row["inner_quality"])


def _forms(signs: bytes, inner: bytes, inner_signs: bytes, quality: float) -> Forms:
    """What is kept beside the upright hash of the whole picture."""
    return (signs, inner, inner_signs, float(quality)) if quality >= 0 else (signs, b"", b"", 0.0)


def hold_out(ws: Workspace, origin: str, engine: Engine, progress: Progress) -> dict[str, object]:
    """Remember a folder of pictures, or a release of this workspace by its version, as a set that is held out.

    The same origin again replaces what was known of it. Raises UsageError where there is neither, or no picture in it.
    """
    folder = Path(origin)
    if ws.catalog.scalar("SELECT 1 FROM releases WHERE version = ?", (origin,)):
        name, items = origin, list(_released(ws, origin))
        unreadable = sum(not found[0][1] for _, found, _ in items)
    elif folder.is_dir():
        name, (items, unreadable) = str(folder.resolve()), _files(ws, folder, engine, progress)
    else:
        raise UsageError(f"against {origin}: neither a folder nor a release of this workspace")
    if not items:
        raise UsageError(f"against {origin}: no picture in it that can be read")
    with ws.catalog.tx() as db:
        _emptied(db, name)
        row = (name, origin, unreadable, now(), ws.catalog.run)
        db.execute("INSERT OR REPLACE INTO held_out_sets VALUES (?, ?, ?, ?, ?)", row)
        sql = (
            "INSERT OR IGNORE INTO held_out (name, item, phash, quality, pdq, pdq_quality, signs, inner_phash,"
            " inner_signs, inner_quality) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        for item, (first, *others), forms in items:
            db.execute(sql, (name, item, *first[1:], *forms))
            more = ((name, item, *one) for one in others)
            db.executemany("INSERT OR IGNORE INTO held_out_frames VALUES (?, ?, ?, ?, ?, ?, ?)", more)
        ws.catalog.append(db, "hold_out", name, {"items": len(items), "unreadable": unreadable})
    return {"name": name, "items": len(items), "unreadable": unreadable}


def forget(ws: Workspace, origin: str) -> None:
    """No longer hold out a set; raises UsageError where there is none of that origin."""
    name = ws.catalog.scalar("SELECT name FROM held_out_sets WHERE ? IN (name, origin)", (origin,))
    name = name or ws.catalog.scalar("SELECT name FROM held_out_sets WHERE name = ?", (os.path.realpath(origin),))
    if name is None:
        known = ", ".join(row[0] for row in ws.catalog.all("SELECT origin FROM held_out_sets ORDER BY origin"))
        raise UsageError(f"forget {origin}: no such set is held out; there is {known or 'none'}")
    with ws.catalog.tx() as db:
        _emptied(db, name)
        db.execute("DELETE FROM held_out_sets WHERE name = ?", (name,))
        ws.catalog.append(db, "forget_held_out", str(name), {})


def _emptied(db: sqlite3.Connection, name: object) -> None:
    db.execute("DELETE FROM held_out WHERE name = ?", (name,))
    db.execute("DELETE FROM held_out_frames WHERE name = ?", (name,))


def _files(ws: Workspace, folder: Path, engine: Engine, progress: Progress) -> tuple[list[Item], int]:
    paths = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    work: Task[Any, Item | None] = Reading(Inspect(Bounds(ws.config.fetch.max_pixels, 1)), ws.config.fetch.max_bytes)
    found: list[Item | None] = []
    with progress.stage("hash", len(paths)) as step:
        for _, result in each(engine, work, slices(paths, ITEM)):
            if isinstance(result, Exception) and not isinstance(result, ItemError):
                raise result
            found.append(None if isinstance(result, Exception) else result)
            step()
    items = [one for one in found if one is not None]
    return items, len(paths) - len(items)


def _released(ws: Workspace, version: str) -> Iterator[Item]:
    ids = [row[0] for row in ws.catalog.all("SELECT sample FROM released WHERE version = ? ORDER BY 1", (version,))]
    found, turned = hashes.read(ws, ids), hashes.read_pdq(ws, ids, 1)
    keys = frames.keys(ws, ids, frames.several(ws, ids))
    others: defaultdict[int, list[Other]] = defaultdict(list)
    for at, row in enumerate(keys.owner.tolist()):
        by_phash, by_pdq = keys.phash[at].tobytes(), keys.pdq[at].tobytes()
        one = (int(keys.number[at]), by_phash, float(keys.quality[at]), by_pdq, int(keys.pdq_quality[at]))
        others[row].append(one)
    for row, one in enumerate(ids):
        by_phash, forms = b"", NONE
        if found.known[row]:
            by_phash, inner = (hashed.tobytes() for hashed in found.both[row])
            forms = _forms(found.signs[row, 0].tobytes(), inner, found.signs[row, 1].tobytes(), found.qualities[row, 1])
        by_pdq = turned.hashes[row, 0].tobytes() if turned.known[row] else b""
        first = (0, by_phash, float(found.quality[row]), by_pdq, int(turned.quality[row]))
        yield one, [first, *others[row]], forms


def upright_only(ws: Workspace) -> list[str]:
    """The sets of which no mirrored, turned or bordered copies are found: they were held out before that was asked."""
    rows = ws.catalog.all("SELECT DISTINCT name FROM held_out WHERE phash != x'' AND signs = x'' ORDER BY name")
    return [row[0] for row in rows]


_LISTED = """
SELECT item, phash, quality, pdq, pdq_quality FROM held_out
UNION ALL SELECT item, phash, quality, pdq, pdq_quality FROM held_out_frames
"""


def near_held_out(
    ws: Workspace, ids: Sequence[str], looks: HashArrays, every: Sequence[Every]
) -> npt.NDArray[np.bool_]:
    """Which rows are an item of a set that is held out, or near to one: bool[n]."""
    rows = ws.catalog.all(_LISTED)
    found = np.zeros(len(ids), dtype=bool)
    if not rows or not len(ids):
        return found
    items = {row[0] for row in rows}
    found |= np.fromiter((one in items for one in ids), dtype=bool, count=len(ids))
    config = ws.config.dedupe
    by_phash = _array(row[1] for row in rows if row[1] and row[2] >= config.phash_quality)
    by_pdq = _array(row[3] for row in rows if any(row[3]) and row[4] >= config.pdq_quality and row[2] >= FLAT)
    for one, listed in zip(every, (by_phash, by_pdq), strict=True):
        _mark(found, one.hashes, one.rows, listed, one.radius)
    if config.by_phash:
        _mark_forms(ws, found, looks)
    for turn in TURNS if len(by_pdq) else ():
        _mark(found, looks.turned[:, turn], looks.lacking, by_pdq, config.pdq_group_radius)
    return found


def _mark_forms(ws: Workspace, found: npt.NDArray[np.bool_], looks: HashArrays) -> None:
    """Note the rows that are near to an item in some orientation, or where one of the two is without its border."""
    config = ws.config.dedupe
    sql = "SELECT phash, signs, quality, inner_phash, inner_signs, inner_quality FROM held_out"
    forms = [form for row in ws.catalog.all(sql) for form in (row[:3], row[3:])[: 1 + config.borders]]
    told = [(bits, signs) for bits, signs, quality in forms if bits and quality >= config.phash_quality]
    bits, signs = _array(one for one, _ in told), _array(one for _, one in told if one)
    turned = np.concatenate([turns.turned(signs, turn) for turn in EVERY])
    for form in range(looks.told.shape[1]):
        rows = np.flatnonzero(looks.told[:, form])
        _mark(found, looks.both[rows, form], rows, bits, config.group_radius)
        if config.orientations:
            _mark(found, looks.signs[rows, form], rows, turned, config.turned_radius)


def _mark(
    found: npt.NDArray[np.bool_], hashed: npt.NDArray[np.uint8], rows: Rows, listed: npt.NDArray[np.uint8], radius: int
) -> None:
    """Note the rows of which one hash is within the radius of a listed one."""
    asked = np.flatnonzero(~found[rows])
    if asked.size and len(listed):
        found[rows[asked[beside(hashed[asked], listed, radius)]]] = True


def _array(found: Iterable[bytes]) -> npt.NDArray[np.uint8]:
    hashed = list(found)
    return phash.to_array(hashed) if hashed else np.empty((0, 8), dtype=np.uint8)
