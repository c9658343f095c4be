"""Files as they come: a window of the upload stream, or a random sample of all of them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, islice
from typing import Literal

from curate.records import Note
from sources._mediawiki import BATCH, Api
from sources._walk import FILE, Json, State

STREAM = {"generator": "allimages", "gaisort": "timestamp", "gailimit": str(BATCH)}


@dataclass(frozen=True)
class Uploads:
    """Files as they come, unlabelled: those of which the current version was uploaded in a window, or a random sample.

    `window` takes the first `n` (None: all) from `start` until `end`, ISO dates or times, UTC. `random` draws `n` from
    all files, each as likely as any other; the same seed draws the same page ids.
    """

    mode: Literal["window", "random"]
    start: str | None = None
    end: str | None = None
    n: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a window without ends and a sample without a size."""
        if self.n is not None and self.n < 1:
            raise ValueError("n must be 1 or more")
        if self.mode == "random" and self.n is None:
            raise ValueError("mode 'random' needs n, the number of files to draw")
        if self.mode == "window" and (self.start is None or self.end is None or utc(self.start) >= utc(self.end)):
            raise ValueError("mode 'window' needs start and end, ISO dates or times, the earlier one first")


class Window:
    """The upload stream between two times, oldest first."""

    label: str | None = None

    def __init__(self, uploads: Uploads, state: State) -> None:
        self.state, self.limit = state, uploads.n
        self._start, self._end = utc(uploads.start or ""), utc(uploads.end or "")
        self.where = f"uploads {self._start}"

    async def prepare(self, api: Api) -> list[Note] | None:
        return None

    def params(self) -> Mapping[str, str]:
        return STREAM | {"gaidir": "newer", "gaistart": self._start, "gaiend": self._end}

    def take(self) -> tuple[Sequence[Json], list[Note]]:
        return sorted(self.state.held.values(), key=lambda page: (_uploaded(page), page.get("title", ""))), []

    def finish(self) -> None:
        self.state.done = True


class Sample:
    """Files at random: page ids are drawn, and those that are no file are drawn again."""

    label: str | None = None

    def __init__(self, uploads: Uploads, state: State) -> None:
        self.state, self.limit = state, uploads.n
        self.where = f"random {uploads.seed}"
        self._seed = uploads.seed
        self._draws: Iterator[int] | None = None
        self._batch: list[int] = []

    async def prepare(self, api: Api) -> list[Note] | None:
        if not self.state.top:
            self.state.top = await newest(api)
            self.state.done = not self.state.top
            return []
        if self._draws is None:
            self._draws = islice(draws(self._seed, self.state.top), self.state.drawn, None)
        self._batch = self._batch or list(islice(self._draws, BATCH))
        if not self._batch:
            self.state.done = True
            return []
        return None

    def params(self) -> Mapping[str, str]:
        return {"pageids": "|".join(map(str, self._batch))}

    def take(self) -> tuple[Sequence[Json], list[Note]]:
        """In the order drawn: cutting an answer, which is sorted by page id, to size would prefer old files."""
        pages = [self.state.held.get(str(drawn), {}) for drawn in self._batch]
        self.state.drawn += len(self._batch)
        self._batch = []
        return [page for page in pages if page.get("ns") == FILE and not page.get("redirect")], []

    def finish(self) -> None:
        """A batch has its end; the sample goes on with the next draws."""


def draws(seed: int, top: int) -> Iterator[int]:
    """The page ids from 1 to `top` in random order, each once.

    Drawn below the next power of two, so that while a wiki grows up to there its older ids keep their order.
    """
    size = 1 << top.bit_length()
    seen: set[int] = set()
    for turn in count():
        if len(seen) == top:
            return
        page = int.from_bytes(hashlib.sha256(f"{seed}:{turn}".encode()).digest()[:8]) % size
        if 0 < page <= top and page not in seen:
            seen.add(page)
            yield page


async def newest(api: Api) -> int:
    """The highest page id among the newest uploads (a new version of an old file has an old id); 0: no files."""
    answer = await api.ask({"action": "query", "prop": "info", "gaidir": "older", **STREAM})
    return max((page.get("pageid", 0) for page in answer.get("query", {}).get("pages", ())), default=0)


def _uploaded(page: Json) -> str:
    return next((info.get("timestamp", "") for info in page.get("imageinfo", ())), "")


def utc(text: str) -> str:
    """An ISO date or time as the API wants it; raises ValueError."""
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
