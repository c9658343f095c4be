"""Wikimedia Commons, or any other MediaWiki: categories with a label, and uploads without one."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from curate.contracts import Http
from curate.records import Candidate, Change, Estimate, Note, Page, Upstream
from sources._mediawiki import BATCH, ODD, Api, merge
from sources._plan import of_tree, of_uploads
from sources._tree import Category, Tree
from sources._uploads import Sample, Uploads, Window
from sources._walk import State, Walk
from sources._wikifile import Place, candidate, query

__all__ = ["Category", "Commons", "Uploads"]

WIDTHS = (20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840)  # mediawiki.org/wiki/Common_thumbnail_sizes


@dataclass(frozen=True)
class Commons:
    """Files of a wiki, through its Action API, one request at a time.

    `categories` are walked breadth first, `uploads` are the stream or a random sample of it; first the ones, then the
    others. `width` is one of the widths (px) that Wikimedia makes thumbnails of; without it the originals are fetched,
    whose sha1 is checked. Drawings (SVG) always come as pictures made of them. `depicts` asks for the structured data
    too, where the wiki has any: one request more for 50 files. `maxlag` is the lag (seconds) above which we wait.
    """

    api: str = "https://commons.wikimedia.org/w/api.php"
    categories: tuple[Category, ...] = ()
    uploads: tuple[Uploads, ...] = ()
    width: int | None = None
    depicts: bool = True
    maxlag: int = 5

    def __post_init__(self) -> None:
        """Refuse a source of nothing, a width that is answered with 429, an address that is none."""
        if not self.categories and not self.uploads:
            raise ValueError("give categories, uploads or both")
        if self.width is not None and self.width not in WIDTHS:
            raise ValueError(f"width: {self.width} is not served; there are: {', '.join(map(str, WIDTHS))}")
        if urlsplit(self.api).scheme not in ("http", "https") or not self.system:
            raise ValueError(f"api: {self.api!r} is no address of an api.php")

    @classmethod
    def of_system(cls, system: str) -> "Commons | None":
        """What can be asked about files of one of Wikimedia's wikis, by its host; it lists nothing that is wanted."""
        known = system == "commons.wikimedia.org" or system.endswith(".wikipedia.org")
        return cls(f"https://{system}/w/api.php", uploads=(Uploads("random", n=1),)) if known else None

    @property
    def system(self) -> str:
        """The name of the wiki in each candidate's `upstream`: the host of its API."""
        return urlsplit(self.api).netloc.rpartition("@")[2].lower()

    def classes(self) -> frozenset[str | None]:
        """The labels of the categories; None where one has none, and for uploads."""
        return frozenset(category.label for category in self.categories) | ({None} if self.uploads else frozenset())

    async def pages(self, http: Http, cursor: str | None) -> AsyncIterator[Page]:
        """A page a request, so that what was killed asks at most one thing again.

        Raises UsageError for a title that is no category's, ItemError where the API cannot answer.
        """
        api = Api(http, self.api, self.maxlag)
        state, walk = State.read(cursor), None
        while state.job < len(self.categories) + len(self.uploads):
            walk = walk or self._walk(state)
            candidates, notes = await self._step(api, walk, state)
            if state.done:
                state, walk = state.next(), None
            yield Page(tuple(candidates), state.write(), tuple(notes))
        yield Page((), None)

    async def plan(self, http: Http) -> Sequence[Estimate]:
        """An estimate for each category and each lot of uploads, from counts and one page of each listing."""
        api = Api(http, self.api, self.maxlag)
        calls_each = 2 if self.depicts and await _has_structured_data(api) else 1
        trees = [await of_tree(api, one, self.width, calls_each) for one in self.categories]
        return [*trees, *[await of_uploads(api, one, self.width, calls_each) for one in self.uploads]]

    async def changes(self, http: Http, known: Sequence[Upstream]) -> AsyncIterator[Change]:
        """What was deleted, moved or overwritten among the `known` files of this wiki, in the order of page ids."""
        api = Api(http, self.api, self.maxlag)
        mine = {(int(one.page_id), one.sha1 or ""): one for one in known if one.page_id and one.system == self.system}
        files = [mine[key] for key in sorted(mine)]
        for start in range(0, len(files), BATCH):
            batch = files[start : start + BATCH]
            pages = await _pages(api, sorted({str(one.page_id) for one in batch}))
            for one in batch:
                with suppress(*ODD):  # a page that is not as documented says nothing of its file
                    for change in list(_compared(one, pages.get(str(one.page_id)))):
                        yield change

    async def explain(self, http: Http, change: Change) -> str:
        """A deletion's time and reason, where the log says so."""
        if change.kind != "deleted" or change.detail or change.upstream.title is None:
            return change.detail
        asked = {"action": "query", "list": "logevents", "leaction": "delete/delete", "leprop": "ids|timestamp|comment"}
        api = Api(http, self.api, self.maxlag)
        answer = await api.ask({**asked, "letitle": change.upstream.title, "lelimit": "50"})
        events = answer.get("query", {}).get("logevents") or ()
        mine = (event for event in events if str(event.get("logpage")) == change.upstream.page_id)
        return next((f"{one['timestamp']} {one.get('comment', '')}".strip() for one in mine), "")

    def _walk(self, state: State) -> Walk:
        """The way that the state stands on: the categories' first, then those of the uploads."""
        if state.job < len(self.categories):
            return Tree(self.categories[state.job], state)
        uploads = self.uploads[state.job - len(self.categories)]
        return Window(uploads, state) if uploads.mode == "window" else Sample(uploads, state)

    async def _step(self, api: Api, walk: Walk, state: State) -> tuple[list[Candidate], list[Note]]:
        """At most one request, and what came of it."""
        if state.structured is None:
            state.structured = self.depicts and await _has_structured_data(api)
            return [], []
        if (notes := await walk.prepare(api)) is not None:
            return [], notes
        if not state.whole:
            await state.read_on(api, {**query(self.width), **walk.params()})
            return self._settle(walk, state, {}) if state.whole and not self._entities(state) else ([], [])
        entities = await api.ask({"action": "wbgetentities", "ids": self._entities(state), "props": "labels|claims"})
        return self._settle(walk, state, entities.get("entities", {}))

    def _entities(self, state: State) -> str:
        """The structured data that belongs to the batch, as `wbgetentities` wants it; empty where there is none."""
        files = sorted(page["pageid"] for page in state.held.values() if page.get("imageinfo") and "pageid" in page)
        return "|".join(f"M{number}" for number in files) if state.structured else ""

    def _settle(self, walk: Walk, state: State, entities: Mapping[str, Any]) -> tuple[list[Candidate], list[Note]]:
        """Turn a whole batch into candidates and notes."""
        path = tuple(state.at or ())
        place = Place(self.system, walk.where, self.width, walk.label, path)
        pages, notes = walk.take()
        state.held, state.whole = {}, False
        found: list[Candidate] = []
        for page in pages:
            if state.found == walk.limit:
                notes.append(Note("capped", walk.where, f"{walk.limit} files"))
                break
            one = candidate(page, place, entities.get(f"M{page.get('pageid')}"))
            if isinstance(one, Note):
                notes.append(one)
            else:
                found.append(one)
                state.found += 1
        if state.found == walk.limit:
            state.done = True
        elif state.more is None:
            walk.finish()
        return found, notes


async def _has_structured_data(api: Api) -> bool:
    answer = await api.ask({"action": "query", "meta": "siteinfo", "siprop": "extensions"})
    extensions = answer.get("query", {}).get("extensions") or ()
    return any(extension.get("name") == "WikibaseMediaInfo" for extension in extensions)


async def _pages(api: Api, ids: Sequence[str]) -> Mapping[str, Any]:
    """Pages by their ids, with what their files are now."""
    params = {"action": "query", "pageids": "|".join(ids), "prop": "info|imageinfo", "iiprop": "sha1"}
    held: dict[str, Any] = {}
    more: Mapping[str, Any] | None = {}
    while more is not None:
        answer = await api.ask({**params, **{name: str(value) for name, value in more.items()}})
        merge(held, answer)
        more = answer.get("continue")
    return held


def _compared(known: Upstream, page: Mapping[str, Any] | None) -> Iterator[Change]:
    """What differs. A page that the answer does not name at all says nothing."""
    if page is None:
        return
    info: Mapping[str, Any] = next(iter(page.get("imageinfo", ())), {})
    if page.get("missing") or page.get("redirect"):
        yield Change(known, "deleted", "" if page.get("missing") else "a redirect now")
        return
    if not info.get("sha1"):
        yield Change(known, "withdrawn", "the file is hidden or gone")
        return
    if known.title is not None and page["title"] != known.title:
        yield Change(known, "moved", page["title"])
    if known.sha1 is not None and info["sha1"] != known.sha1:
        yield Change(known, "overwritten", info["sha1"])
