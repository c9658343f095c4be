"""One look at each file: digests, size, hashes, or why it cannot be read. The limits are those of `fetch`, but for the
smallest side: what is below it is read, and too small to compare."""

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from curate.checks.dataset import regular
from curate.contracts import Engine, Task
from curate.engine import each
from curate.errors import ItemError, plain
from curate.features import frames
from curate.features.frames import Other
from curate.features.inspect import FetchedBytes, Inspect
from curate.media import pdq, phash
from curate.media.answers import is_size
from curate.media.decode import Bounds
from curate.progress import Progress
from curate.records import MEDIA_TYPES, Reason

ITEM, ITEM_BYTES = 16, 2**24  # files that a worker looks at before it answers
MAX_BYTES = 64 * 2**20  # of a file
LEAST = Bounds().min_side  # px; a picture with a shorter side is compared by its bytes alone
CHANGED = "changed_meanwhile"  # why a file is unread that was written to while it was read


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found; `reason` says why there is no more than that."""

    path: str
    sha256: str = ""
    md5: str = ""
    size: int = 0
    width: int = 0
    height: int = 0
    media_type: str = ""
    phash: bytes = b""  # 8 bytes, then 8 of the picture within its border; so the signs
    signs: bytes = b""
    quality: float = 0.0
    inner_quality: float = 0.0  # 0 where there is no border
    pdq: bytes = b""  # eight orientations of 32 bytes, upright first
    pdq_quality: int = 0
    reason: str | None = None
    detail: str = ""
    others: tuple[Other, ...] = ()  # the distinct frames of an animation, but for the first
    frames: int = 0  # or pages; 0 where it cannot be read

    @property
    def small(self) -> bool:
        """Whether it is a picture, and too small to compare."""
        return self.reason is None and min(self.width, self.height) < LEAST


@dataclass(frozen=True)
class Looking:
    """The work that is mapped over paths. No worker opens them: it is given what they hold, and not where that was."""

    intake: Inspect

    def bring(self, item: str) -> FetchedBytes | Seen:
        """The bytes at the path, or why there are none."""
        try:
            if not regular(item):
                return Seen("", reason="not_a_file")
            with open(item, "rb") as file:  # noqa: PTH123 (names may hold bytes that are no text)
                before = os.fstat(file.fileno())
                if before.st_size > MAX_BYTES:
                    return Seen("", size=before.st_size, reason=Reason.TOO_LARGE)
                data = file.read(MAX_BYTES + 1)
                after = os.fstat(file.fileno())
        except OSError as error:
            return Seen("", reason=Reason.FILE_MISSING, detail=error.strerror or "")
        if before.st_mtime_ns != after.st_mtime_ns or not before.st_size == len(data) == after.st_size:
            return Seen("", reason=CHANGED)
        return self.intake.bring(FetchedBytes(0, data))

    def fits(self, given: FetchedBytes | Seen, answer: Seen) -> bool:
        """Whether the answer is about these bytes, and says what can be of a picture."""
        if isinstance(given, Seen) or given.digests is None:
            return answer == given
        if (answer.sha256, answer.md5, answer.size) != (given.digests[0], given.digests[2], len(given.data)):
            return False
        if answer.reason is not None:
            blank = Seen("", answer.sha256, answer.md5, answer.size, reason=answer.reason, detail=answer.detail)
            return answer == blank and answer.reason in set(Reason) and answer.detail == plain(answer.detail)
        return (
            answer.media_type in MEDIA_TYPES
            and is_size(answer.width, answer.height, self.intake.bounds)
            and 1 <= answer.frames <= self.intake.bounds.max_frames
            and len(answer.phash) == len(answer.signs) == 2 * phash.BITS // 8
            and len(answer.pdq) == pdq.ORIENTATIONS * pdq.BYTES
            and 0 <= answer.quality < math.inf
            and 0 <= answer.inner_quality < math.inf
            and 0 <= answer.pdq_quality <= 100
            and frames.are_others(answer.others)
        )

    def load(self) -> None:
        """Import what the first item would otherwise wait for."""
        self.intake.load()

    def __call__(self, item: FetchedBytes | Seen) -> Seen:
        """What was found in the bytes; the path is for whoever has it to add."""
        if isinstance(item, Seen):
            return item
        look = self.intake(item)
        if look.sample is None or look.hashes is None:
            failure = look.failure or ItemError(Reason.DECODE_ERROR)
            return Seen("", look.sha256, look.md5, len(item.data), reason=failure.reason, detail=failure.detail)
        s, h, main = look.sample, look.hashes, look.pdq[0]
        bits, signs = h["phash"] + h["inner_phash"], h["signs"] + h["inner_signs"]
        within = float(h["inner_quality"])
        hashes = (bits, signs, float(h["quality"]), within if within >= 0 else 0.0, main.hashes, main.quality)
        found = Seen("", s.id, s.md5, s.bytes, s.width, s.height, s.media_type, *hashes, frames=s.frames)
        if found.small:
            return replace(found, quality=0.0, inner_quality=0.0, pdq_quality=0)
        others = tuple(frames.others(item.data, self.intake.bounds, look.pdq)) if s.frames > 1 else ()
        return replace(found, others=others)


def look(paths: Sequence[str], engine: Engine, progress: Progress) -> dict[str, Seen]:
    """What each path holds; one over which a worker died costs itself only."""
    found: dict[str, Seen] = {}
    work: Task[Any, Seen] = Looking(Inspect(Bounds(min_side=1)))
    with progress.stage("look", len(paths)) as step:
        for path, seen in each(engine, work, _chunks(sorted(set(paths)))):
            if isinstance(seen, ItemError):
                found[path] = Seen(path, reason=seen.reason, detail=seen.detail)
            elif isinstance(seen, Exception):
                raise seen
            else:
                found[path] = replace(seen, path=path)
            step()
    return found


def _chunks(paths: Sequence[str]) -> Iterator[list[str]]:
    """The paths, a few at a time, and large ones alone: their bytes are all in memory at once."""
    chunk: list[str] = []
    size = 0
    for path in paths:
        with contextlib.suppress(OSError):
            size += os.stat(path).st_size  # noqa: PTH116
        if chunk and (len(chunk) == ITEM or size > ITEM_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(path)
    if chunk:
        yield chunk
