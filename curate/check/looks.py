"""One look at each file: digests, size, hashes, or why it cannot be read. The limits are those of `fetch`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from curate.check.dataset import regular
from curate.contracts import Engine
from curate.engine import each, slices
from curate.errors import ItemError
from curate.intake import Arrival, Intake
from curate.media.decode import Bounds
from curate.media.pdq import BYTES
from curate.progress import Progress
from curate.records import Reason

ITEM = 16  # files that a worker looks at before it answers
MAX_BYTES = 64 * 2**20  # of a file


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
    phash: bytes = b""
    quality: float = 0.0
    pdq: bytes = b""  # upright, 32 bytes
    pdq_quality: int = 0
    reason: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class Looking:
    """The work that is mapped over paths."""

    intake: Intake

    def load(self) -> None:
        """Import what the first item would otherwise wait for."""
        self.intake.load()

    def __call__(self, item: str) -> Seen:
        """What was found at the path."""
        path = item
        try:
            if not regular(path):
                return Seen(path, reason="not_a_file")
            if (size := os.stat(path).st_size) > MAX_BYTES:  # noqa: PTH116
                return Seen(path, size=size, reason=Reason.TOO_LARGE)
            with open(path, "rb") as file:  # noqa: PTH123
                data = file.read()
        except OSError as error:
            return Seen(path, reason=Reason.FILE_MISSING, detail=error.strerror or "")
        look = self.intake(Arrival(0, data))
        if look.sample is None or look.hashes is None:
            failure = look.failure or ItemError(Reason.DECODE_ERROR)
            return Seen(path, look.sha256, look.md5, len(data), reason=failure.reason, detail=failure.detail)
        s, h, main = look.sample, look.hashes, look.pdq[0]
        hashes = (h["phash"], float(h["quality"]), main.hashes[:BYTES], main.quality)
        return Seen(path, s.id, s.md5, s.bytes, s.width, s.height, s.media_type, *hashes)


def look(paths: Sequence[str], engine: Engine, progress: Progress) -> dict[str, Seen]:
    """What each path holds; one over which a worker died costs itself only."""
    found: dict[str, Seen] = {}
    with progress.stage("look", len(paths)) as step:
        for path, seen in each(engine, Looking(Intake(Bounds())), slices(sorted(set(paths)), ITEM)):
            if isinstance(seen, ItemError):
                found[path] = Seen(path, reason=seen.reason, detail=seen.detail)
            elif isinstance(seen, Exception):
                raise seen
            else:
                found[path] = seen
            step()
    return found
