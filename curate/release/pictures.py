"""The pictures of a release as they leave: what is to be taken out of each is found out once, by workers, and kept.

A worker looks at a stored file, and answers how the bytes that leave are made of it (`curate.media.leaving.Cut`), and
their sha256. From then on nothing that a stranger wrote is read here: the stored bytes are cut, and what comes of them
must have that digest. What has to be coded anew (TIFF, BMP, AVIF, what `[export] max_side` makes smaller) is made by
workers each time, and must have its digest, too.
"""

import hashlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from curate.contracts import Engine, Resources
from curate.engine import each, slices
from curate.errors import ItemError, StoreError
from curate.features import leaving as features
from curate.media import leaving
from curate.media.decode import Bounds
from curate.media.leaving import Cut, Treated
from curate.progress import Progress
from curate.records import Reason
from curate.store.blobs import LocalBlobs
from curate.store.eligibility import inactive
from curate.store.lost import BYTES
from curate.store.tables import Table

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

ITEM = 16  # samples that a worker looks at before it answers
PART = 4096  # rows of a part; what a killed run may have to look at again
AHEAD, READERS = 64, 4  # pictures that are read before they are asked for, and by how many threads
_PASSING = (Reason.WORKER_DIED, Reason.TOO_SLOW, Reason.FILE_MISSING)  # asked again the next time


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
        return leaving.is_treated(answer)

    def __call__(self, item: str) -> Treated:
        """What leaves of it."""
        data, left, media_type = self._left(item)
        return leaving.treated(data, left, media_type)


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
    bounds, side = features.bounds(ws), ws.config.export.max_side
    work = Make(ws.blobs, bounds, side)
    held = inactive(ws.catalog)
    lost = {one: BYTES for one in ids if one not in held and not ws.blobs.path(one).is_file()}
    left_out = lost | {one: held[one] for one in ids if one in held}
    table = features.table(ws)
    treated, problems = features.known(table, set(ids) - left_out.keys())
    missing = sorted(set(ids) - left_out.keys() - treated.keys() - problems.keys())
    with progress.stage("pictures", len(missing)) as step:  # where there are none, no worker is woken
        for found, failed in _examined(table, missing, Examine(ws.blobs, bounds, side), engine) if missing else ():
            treated |= found
            problems |= failed
            step(len(found) + len(failed))
    return Leaving(treated, left_out | problems, work, engine)


# -- what is found out ----------------------------------------------------------------------------------------------


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
            features.write(table, treated, problems, "export")
            yield treated, problems | passing
            treated, problems, passing = {}, {}, {}
    features.write(table, treated, problems, "export")
    yield treated, problems | passing
