"""The ways through a wiki: a category's tree, a window of the upload stream, a random sample of the files.

Each goes one request at a time, and what it knows between two requests is a `State`, which is all of the cursor.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count, islice
from typing import Any, Literal, Protocol

from curate.errors import UsageError
from curate.records import Note
from sources._mediawiki import BATCH, Api, merge

CATEGORY, FILE = 14, 6  # namespaces
MOVED = "Template:Category redirect"

_TARGET = re.compile(
    r"\{\{[^{}|]*(?:redirect|see\s?cat)[^{}|]*\|\s*(?:1\s*=)?[\s:\[]*([^{}|\]]+?)\s*[|}\]]", re.IGNORECASE
)

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Category:
    """A category of `label`, and its sub-categories down to `depth` (0: its own files only).

    `include` and `exclude` are regular expressions, looked for in titles without regard to case: a sub-category is
    passed by, and all below it, unless it matches `include`; so is a sub-category or a file that matches `exclude`.
    """

    title: str
    label: str | None = None
    depth: int = 0
    include: str | None = None
    exclude: str | None = None
    max_files: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be walked."""
        if self.depth < 0:
            raise ValueError("depth must be 0 or more")
        if self.max_files is not None and self.max_files < 1:
            raise ValueError("max_files must be 1 or more")
        for name, pattern in (("include", self.include), ("exclude", self.exclude)):
            try:
                re.compile(pattern or "")
            except re.error as error:
                raise ValueError(f"{name}: no regular expression: {error}") from error


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
        if self.mode == "window" and (self.start is None or self.end is None or _utc(self.start) >= _utc(self.end)):
            raise ValueError("mode 'window' needs start and end, ISO dates or times, the earlier one first")


@dataclass
class State:
    """What is known between two requests."""

    job: int = 0  # which of the configured ways
    structured: bool | None = None  # whether the wiki has structured data; None: not asked yet
    queue: list[tuple[list[str], int | None]] | None = None  # paths of categories; redirects followed, None: no need
    visited: set[str] = field(default_factory=set)  # page ids of categories
    at: list[str] | None = None  # the path of the category that is being listed
    more: dict[str, Any] | None = None  # the API's `continue`, as it came
    held: dict[str, Any] = field(default_factory=dict)  # the pages of a batch that is not whole yet
    whole: bool = False
    found: int = 0
    top: int = 0  # the newest file's page id
    drawn: int = 0
    done: bool = False

    @classmethod
    def read(cls, cursor: str | None) -> "State":
        """The state that `write` wrote; None: the start."""
        if cursor is None:
            return cls()
        kept = json.loads(cursor)
        return cls(**kept | {"visited": set(kept["visited"])})

    def write(self) -> str:
        """The state as a cursor."""
        return json.dumps(asdict(self), default=sorted)

    def next(self) -> "State":
        """The start of the next way."""
        return State(job=self.job + 1, structured=self.structured)

    async def read_on(self, api: Api, params: Mapping[str, str]) -> None:
        """One request of a listing: more of the batch that is held, or the next one."""
        answer = await api.ask({**params, **{name: str(value) for name, value in (self.more or {}).items()}})
        merge(self.held, answer)
        self.more = answer.get("continue")
        self.whole = bool(answer.get("batchcomplete"))


class Walk(Protocol):
    """One way through a wiki."""

    state: State
    where: str  # in a candidate's `ref`
    label: str | None
    limit: int | None  # files

    async def prepare(self, api: Api) -> list[Note] | None:
        """Do one request that must come before the next listing; None where there is none to do."""
        ...

    def params(self) -> Mapping[str, str]:
        """What the listing asks for beside `_wikifile.query`."""
        ...

    def take(self) -> tuple[Sequence[Json], list[Note]]:
        """The files of the whole batch that is held, in order, and what was left out; the batch counts as done."""
        ...

    def finish(self) -> None:
        """The listing came to its end."""
        ...


def begin(job: Category | Uploads, state: State) -> Walk:
    """The way that a configured table describes, from where `state` stands."""
    if isinstance(job, Category):
        return Tree(job, state)
    return Window(job, state) if job.mode == "window" else Sample(job, state)


class Tree:
    """Breadth first through a category's tree, each category once: the graph has cycles."""

    def __init__(self, category: Category, state: State) -> None:
        self._category, self.state = category, state
        self.label, self.limit, self.where = category.label, category.max_files, category.title
        self._queue = state.queue = [([category.title], 0)] if state.queue is None else state.queue

    async def prepare(self, api: Api) -> list[Note] | None:
        state = self.state
        if state.at is not None:
            return None
        if not self._queue:
            state.done = True
            return []
        path, hops = self._queue.pop(0)
        if hops is None:
            state.at = path
            return None
        return await self._resolve(api, path, hops)

    def params(self) -> Mapping[str, str]:
        path = self.state.at or []
        kinds = "subcat|file" if len(path) <= self._category.depth else "file"
        return {"generator": "categorymembers", "gcmtitle": path[-1], "gcmtype": kinds, "gcmlimit": str(BATCH)}

    def take(self) -> tuple[Sequence[Json], list[Note]]:
        files: list[Json] = []
        notes: list[Note] = []
        for page in _by_id(self.state.held):
            if self._left_out(page):
                notes.append(Note("excluded", page["title"], " > ".join(self.state.at or [])))
            elif page["ns"] == CATEGORY:
                self._branch(page)
            elif page["ns"] == FILE:
                files.append(page)
        return files, notes

    def finish(self) -> None:
        self.state.at = None

    def _left_out(self, page: Json) -> bool:
        exclude, include = self._category.exclude, self._category.include
        if exclude is not None and re.search(exclude, page["title"], re.IGNORECASE):
            return True
        return page["ns"] == CATEGORY and include is not None and not re.search(include, page["title"], re.IGNORECASE)

    def _branch(self, page: Json) -> None:
        """Queue a sub-category that was not met before; one that redirects is looked at when its turn comes."""
        key, path = str(page["pageid"]), [*(self.state.at or []), page["title"]]
        if key in self.state.visited:
            return
        moved = any(template["title"] == MOVED for template in page.get("templates", ()))
        self._queue.append((path, 0 if moved else None))
        if not moved:
            self.state.visited.add(key)

    async def _resolve(self, api: Api, path: list[str], hops: int) -> list[Note]:
        """Find out what a title stands for: a category, a redirect (followed once), or nothing."""
        state, asked = self.state, path[-1]
        answer = (await api.ask({"titles": asked, **_RESOLVE}))["query"]
        page = answer["pages"][0]
        if page.get("ns") != CATEGORY or page.get("invalid"):
            if hops or len(path) > 1:
                return [Note("missing", asked, "redirects to no category")]
            raise UsageError(f'sources.commons.categories: {asked}: no title of a category; write "Category:NAME"')
        key, title = str(page.get("pageid") or page["title"]), page["title"]
        if key in state.visited:
            return []
        target = _target(page)
        if page.get("missing") and "categoryinfo" not in page:
            return [Note("missing", asked, "no such category")]
        state.visited.add(key)
        if target and hops == 0:
            self._queue.insert(0, ([*path[:-1], target], 1))
            return [Note("redirected", asked, target)]
        state.at = [*path[:-1], title]
        return [Note("redirected", asked, title)] if answer.get("redirects") else []


class Window:
    """The upload stream between two times, oldest first."""

    def __init__(self, uploads: Uploads, state: State) -> None:
        self.state, self.label, self.limit = state, None, uploads.n
        self._start, self._end = _utc(uploads.start or ""), _utc(uploads.end or "")
        self.where = f"uploads {self._start}"

    async def prepare(self, api: Api) -> list[Note] | None:
        return None

    def params(self) -> Mapping[str, str]:
        return _STREAM | {"gaidir": "newer", "gaistart": self._start, "gaiend": self._end}

    def take(self) -> tuple[Sequence[Json], list[Note]]:
        pages = self.state.held.values()
        return sorted(pages, key=lambda page: (page["imageinfo"][0]["timestamp"], page["title"])), []

    def finish(self) -> None:
        self.state.done = True


class Sample:
    """Files at random: page ids are drawn, and those that are no file are drawn again."""

    def __init__(self, uploads: Uploads, state: State) -> None:
        self.state, self.label, self.limit = state, None, uploads.n
        self.where = f"random {uploads.seed}"
        self._seed = uploads.seed
        self._draws: Iterator[int] | None = None
        self._batch: list[int] = []

    async def prepare(self, api: Api) -> list[Note] | None:
        if not self.state.top:
            self.state.top = await _newest(api)
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


async def _newest(api: Api) -> int:
    """The highest page id among the newest uploads (a new version of an old file has an old id); 0: no files."""
    answer = await api.ask({"action": "query", "prop": "info", "gaidir": "older", **_STREAM})
    return max((page.get("pageid", 0) for page in answer.get("query", {}).get("pages", ())), default=0)


def _by_id(held: Mapping[str, Json]) -> list[Json]:
    return sorted(held.values(), key=lambda page: int(page["pageid"]))


def _target(page: Json) -> str | None:
    """Where a category redirects to, by a template in its text: MediaWiki itself does not move members."""
    if not page.get("templates"):
        return None
    text = page["revisions"][0]["slots"]["main"]["content"]
    match = _TARGET.search(text)
    if match is None:
        return None
    prefix, name = page["title"].partition(":")[0], match[1]
    return name if name.lower().startswith(("category:", f"{prefix.lower()}:")) else f"{prefix}:{name}"


def _utc(text: str) -> str:
    """An ISO date or time as the API wants it; raises ValueError."""
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_STREAM = {"generator": "allimages", "gaisort": "timestamp", "gailimit": str(BATCH)}
_RESOLVE = {
    "action": "query", "redirects": "1", "prop": "info|categoryinfo|templates|revisions", "tltemplates": MOVED,
    "rvprop": "content", "rvslots": "main",
}  # fmt: skip
