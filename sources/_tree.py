"""A category and what lies below it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curate.errors import UsageError
from curate.records import Note
from sources._mediawiki import BATCH, Api
from sources._walk import CATEGORY, FILE, Json, State

MOVED = "Category redirect"

_TARGET = re.compile(
    r"\{\{[^{}|]*(?:redirect|see\s?cat)[^{}|]*\|\s*(?:1\s*=)?[\s:\[]*([^{}|\]]+?)\s*[|}\]]", re.IGNORECASE
)

_RESOLVE = {
    "action": "query", "redirects": "1", "prop": "info|categoryinfo|templates|revisions",
    "tltemplates": f"Template:{MOVED}", "rvprop": "content", "rvslots": "main",
}  # fmt: skip


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
            if str(page.get("pageid")) in self.state.visited:
                continue  # the graph has cycles
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
        moved = any(template["title"].partition(":")[2] == MOVED for template in page.get("templates", ()))
        self._queue.append(([*(self.state.at or []), page["title"]], 0 if moved else None))
        if not moved:
            self.state.visited.add(str(page["pageid"]))

    async def _resolve(self, api: Api, path: list[str], hops: int) -> list[Note]:
        """Find out what a title stands for: a category, a redirect (followed once), or nothing."""
        state, asked = self.state, path[-1]
        answer = (await api.ask({"titles": asked, **_RESOLVE})).get("query", {})
        page: Json = next(iter(answer.get("pages", ())), {})
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


def _by_id(held: Mapping[str, Json]) -> list[Json]:
    return sorted(held.values(), key=lambda page: int(page.get("pageid") or 0))


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
