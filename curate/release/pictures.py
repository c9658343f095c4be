"""The pictures of a release as they leave: what is to be taken out of each is found out once, by workers, and kept.

A worker looks at a stored file, and answers how the bytes that leave are made of it (`curate.media.leaving.Cut`), and
their sha256. From then on nothing that a stranger wrote is read here: the stored bytes are cut, and what comes of them
must have that digest. What has to be coded anew (TIFF, BMP, AVIF, what `[export] max_side` makes smaller) is made by
workers each time, and must have its digest, too.
"""

import hashlib
import re
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import PIL

from curate.contracts import Engine, Resources
from curate.engine import each, slices
from curate.errors import ItemError, StoreError
from curate.fingerprint import fingerprint
from curate.media import leaving
from curate.media.decode import Bounds
from curate.media.leaving import Cut
from curate.progress import Progress
from curate.records import Reason
from curate.store.blobs import LocalBlobs
from curate.store.eligibility import inactive
from curate.store.lost import BYTES
from curate.store.tables import Table, to_table

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

NAME = "leaving"
ITEM = 16  # samples that a worker looks at before it answers
PART = 4096  # rows of a part; what a killed run may have to look at again
AHEAD, READERS = 64, 4  # pictures that are read before they are asked for, and by how many threads
_PASSING = (Reason.WORKER_DIED, Reason.TOO_SLOW, Reason.FILE_MISSING)  # asked again the next time
_SHA256 = re.compile("[0-9a-f]{64}")
_ANEW = -1  # stands for a cut that there is not


@dataclass(frozen=True, slots=True)
class Treated:
    """What leaves of a sample: digest and type of its bytes, and their `cut`; None where they are coded anew."""

    sha256: str
    media_type: str
    cut: Cut | None


# -- the work of workers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Looking:
    blobs: LocalBlobs
    bounds: Bounds
    side: int | None

    @property
    def reads(self) -> list[Path]:
        """The store's bytes."""
        return [self.blobs.root]

    def load(self) -> None:
        """Import what the first item would otherwise wait for."""
        import numpy as np  # noqa: F401

    def _left(self, sample: str) -> tuple[bytes, bytes, str]:
        """What is stored of a sample, what leaves of it, and of which type that is; raises ItemError."""
        try:
            with self.blobs.open(sample) as blob:
                data = blob.read()
        except (OSError, StoreError) as error:
            raise ItemError(Reason.FILE_MISSING, "its bytes cannot be read") from error
        if hashlib.sha256(data).hexdigest() != sample:
            raise ItemError(Reason.FILE_MISSING, "its bytes are not those that were stored")
        return data, *leaving.leaving(data, self.bounds, self.side)


@dataclass(frozen=True)
class Examine(_Looking):
    """Finds out what leaves of a sample; raises ItemError where nothing can."""

    most: ClassVar[int] = 2**17

    def fits(self, _: str, answer: Treated) -> bool:
        """Whether it can be the treatment of a picture."""
        cut = answer.cut or Cut(0, 0)
        fits = 0 <= cut.begin <= cut.end and len(cut.head) + len(cut.tail) <= leaving.ENDS
        return fits and answer.media_type in leaving.MEDIA_TYPES and _SHA256.fullmatch(answer.sha256) is not None

    def __call__(self, item: str) -> Treated:
        """What leaves of it."""
        data, left, media_type = self._left(item)
        return Treated(hashlib.sha256(left).hexdigest(), media_type, leaving.cut(data, left))


@dataclass(frozen=True)
class Make(_Looking):
    """Makes the bytes that leave of a sample; raises ItemError where nothing can."""

    most: ClassVar[int] = leaving.SIZE + 1024

    def __call__(self, item: str) -> bytes:
        """The bytes."""
        return self._left(item)[1]


# -- as formats are given them ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leaving:
    """A release's pictures as formats are given them (`records.Pictures`); `left_out`: why some have none, by id."""

    treated: Mapping[str, Treated]
    left_out: Mapping[str, str]
    work: Make
    engine: Engine

    def open(self, id: str) -> bytes:
        """The bytes that leave of a sample; raises LookupError where none do, StoreError where they are spoilt."""
        if id not in self.treated:
            raise LookupError(f"{id}: no picture of that id leaves")
        return next(self.each([id]))

    def each(self, ids: Iterable[str]) -> Iterator[bytes]:
        """Those of many, in order: read by threads, or made by workers, before they are asked for."""
        ids = list(ids)
        rest = iter(ids)
        begun: deque[Future[bytes] | None] = deque()
        with (
            ThreadPoolExecutor(READERS) as threads,
            closing(self._made([one for one in ids if self.treated[one].cut is None])) as made,
        ):
            while True:
                for one in islice(rest, AHEAD - len(begun)):
                    cut = self.treated[one].cut
                    begun.append(None if cut is None else threads.submit(self._cut, one, cut))
                if not begun:
                    return
                read = begun.popleft()
                yield next(made) if read is None else read.result()

    def _cut(self, id: str, cut: Cut) -> bytes:
        with self.work.blobs.open(id) as blob:
            return self._checked(id, cut.of(blob.read()))

    def _made(self, ids: Sequence[str]) -> Generator[bytes, None, None]:
        """What workers make, in order, whatever order it comes in."""
        waiting: dict[str, bytes | Exception] = {}
        found = self.engine.map(self.work, ids, Resources()) if ids else iter(())
        for one in ids:
            while one not in waiting:
                other, made = next(found)
                waiting[other] = made
            yield self._checked(one, waiting.pop(one))

    def _checked(self, id: str, found: bytes | Exception) -> bytes:
        """The bytes, where they are those that were examined."""
        if isinstance(found, bytes) and hashlib.sha256(found).hexdigest() == self.treated[id].sha256:
            return found
        said = f" ({found})" if isinstance(found, Exception) else ""
        raise StoreError(
            f"{id}: its bytes are not those that were stored{said}; `curate verify --repair`, then the same again"
        )


def leaving_of(ws: "Workspace", ids: Sequence[str], engine: Engine, progress: Progress) -> Leaving:
    """What leaves of these samples, those that are held back left out; what was not examined before is now."""
    bounds, side = Bounds(ws.config.fetch.max_pixels, 1, ws.config.fetch.max_frames), ws.config.export.max_side
    work = Make(ws.blobs, bounds, side)
    held = inactive(ws.catalog)
    lost = {one: BYTES for one in ids if one not in held and not ws.blobs.path(one).is_file()}
    left_out = lost | {one: held[one] for one in ids if one in held}
    mark = fingerprint(NAME, leaving.VERSION, PIL.__version__, bounds.max_pixels, bounds.max_frames, side)
    table = ws.table(NAME, mark)
    treated, problems = _known(table, set(ids) - left_out.keys())
    missing = sorted(set(ids) - left_out.keys() - treated.keys() - problems.keys())
    with progress.stage("pictures", len(missing)) as step:
        for found, failed in _examined(table, missing, Examine(ws.blobs, bounds, side), engine):
            treated |= found
            problems |= failed
            step(len(found) + len(failed))
    return Leaving(treated, left_out | problems, work, engine)


# -- what is known of them -------------------------------------------------------------------------------------------


def _known(table: Table, ids: Collection[str]) -> tuple[dict[str, Treated], dict[str, str]]:
    """What was found out of samples before: what leaves, and why nothing does."""
    treated, problems = dict[str, Treated](), dict[str, str]()
    ends: dict[bytes, bytes] = {}  # most files have one of few
    for _, rows in table.each():
        for row in [] if rows is None else rows.to_pylist():
            if row["id"] not in ids:
                continue
            if row["problem"]:
                problems[row["id"]] = row["problem"]
            else:
                head, tail = (ends.setdefault(row[name], row[name]) for name in ("head", "tail"))
                cut = None if row["begin"] == _ANEW else Cut(row["begin"], row["end"], head, tail)
                treated[row["id"]] = Treated(row["sha256"], row["media_type"], cut)
    return treated, problems


def _examined(
    table: Table, ids: Sequence[str], work: Examine, engine: Engine
) -> Iterator[tuple[dict[str, Treated], dict[str, str]]]:
    """What is found out of samples now, part by part, each kept as soon as it is whole."""
    treated, problems, passing = dict[str, Treated](), dict[str, str](), dict[str, str]()
    for one, found in each(engine, work, slices(ids, ITEM)):
        if isinstance(found, Treated):
            treated[one] = found
        elif isinstance(found, ItemError):
            (passing if found.reason in _PASSING else problems)[one] = str(found)
        else:
            raise found
        if len(treated) + len(problems) + len(passing) == PART:
            _write(table, treated, problems)
            yield treated, problems | passing
            treated, problems, passing = {}, {}, {}
    _write(table, treated, problems)
    yield treated, problems | passing


def _write(table: Table, treated: Mapping[str, Treated], problems: Mapping[str, str]) -> None:
    import numpy as np

    ids = sorted(treated.keys() | problems.keys())
    if not ids:
        return
    nothing = Treated("", "", None)
    found = [treated.get(one, nothing) for one in ids]
    cuts = [one.cut or Cut(_ANEW, _ANEW) for one in found]
    columns: dict[str, object] = {
        "id": ids,
        "sha256": [one.sha256 for one in found],
        "media_type": [one.media_type for one in found],
        "problem": [problems.get(one, "") for one in ids],
        "begin": np.array([one.begin for one in cuts], dtype=np.int64),
        "end": np.array([one.end for one in cuts], dtype=np.int64),
        "head": [one.head for one in cuts],
        "tail": [one.tail for one in cuts],
    }
    table.write(f"export-{fingerprint(ids)}", to_table(columns))
