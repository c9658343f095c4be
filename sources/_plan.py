"""How much a walk through a wiki will find, and cost, from counts that the wiki keeps and one page of each listing."""

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from curate.records import Candidate, Estimate
from sources._mediawiki import BATCH, ODD, Api, merge, table
from sources._tree import Category, Tree
from sources._uploads import STREAM, Uploads, newest, utc
from sources._walk import State
from sources._wikifile import Place, candidate, query

ASKED = 200  # requests that counting a tree may cost; what is beyond is not counted
DRAWN = 0.3  # bytes a pixel of a picture made of a drawing: its own size says nothing


@dataclass
class Sample:
    """One page of a listing: how many of its files are media that are taken, and how large those are."""

    pages: Sequence[Mapping[str, Any]]
    width: int | None
    sizes: list[float] = field(default_factory=list)
    host: str | None = None

    def __post_init__(self) -> None:
        """Read every page as a listing would."""
        for page in self.pages:
            one = candidate(page, Place("", "", self.width))
            if isinstance(one, Candidate):
                self.host = urlsplit(one.locator.value).netloc
                with suppress(*ODD):  # what is not as documented says nothing of sizes
                    self.sizes.append(_size(page["imageinfo"][0], self.width))

    @property
    def share(self) -> float:
        """The share of files that are taken; 1 where nothing is known."""
        return len(self.sizes) / len(self.pages) if self.pages else 1.0

    def bytes(self, items: int) -> int | None:
        """What so many files would weigh; None where none was seen."""
        return round(items * sum(self.sizes) / len(self.sizes)) if self.sizes else None


def _size(info: Mapping[str, Any], width: int | None) -> float:
    """Bytes of what would be fetched: of a thumbnail, the original's share by area."""
    area = info.get("thumbwidth", 0) * info.get("thumbheight", 0)
    if "svg" in info["mime"]:
        return float(area * DRAWN)
    whole = info["width"] * info["height"]
    return float(info["size"] * min(1.0, area / whole if width and whole else 1.0))


async def of_tree(api: Api, category: Category, width: int | None, calls_each: int) -> Estimate:
    """A category and what lies below it. Files in several categories count more than once."""
    state = State()
    walk = Tree(category, state)
    while state.at is None and not state.done:
        await walk.prepare(api)
    if state.at is None:
        return Estimate(0, 1, 0, exact=False)
    root = state.at[-1]
    info = await _everything(api, {"titles": root, "prop": "categoryinfo"})
    seen: dict[str, Mapping[str, Any]] = {root: next(iter(info.values()), {})}
    level, asked = [root], 2
    for _ in range(category.depth):
        below: dict[str, Mapping[str, Any]] = {}
        for title in level[: max(0, ASKED - asked)]:
            asked += 1
            members = {"generator": "categorymembers", "gcmtitle": title, "gcmtype": "subcat", "gcmlimit": "max"}
            pages = await _everything(api, {**members, "prop": "categoryinfo"})
            below |= {page["title"]: page for page in pages.values() if not _left_out(page["title"], category)}
        level = [title for title in below if title not in seen]
        seen |= {title: below[title] for title in level}
    first = {"generator": "categorymembers", "gcmtitle": root, "gcmtype": "file", "gcmlimit": str(BATCH)}
    sample = Sample(list((await _everything(api, {**query(width), **first}, most=1)).values()), width)
    counts = [table(page.get("categoryinfo")) for page in seen.values()]
    files = sum(one.get("files", 0) for one in counts)
    listing = sum(max(1, math.ceil((one.get("files", 0) + one.get("subcats", 0)) / BATCH)) for one in counts)
    return _capped(files, listing, category.max_files, sample, calls_each)


async def of_uploads(api: Api, uploads: Uploads, width: int | None, calls_each: int) -> Estimate:
    """A window, from how fast its first files came; or a random sample, from how many page ids are files."""
    if uploads.mode == "random":
        stream: dict[str, str] = STREAM | {"gaidir": "older"}
        top = await newest(api)
        said = await api.ask({"action": "query", "meta": "siteinfo", "siprop": "statistics"})
        files = int(said.get("query", {}).get("statistics", {}).get("images", 0))
        listing = math.ceil(top / BATCH)
    else:
        start, end = utc(uploads.start or ""), utc(uploads.end or "")
        stream = STREAM | {"gaidir": "newer", "gaistart": start, "gaiend": end}
    pages = list((await _everything(api, {**query(width), **stream}, most=1)).values())
    sample = Sample(pages, width)
    if uploads.mode == "window":
        files = _in_window(pages, start, end)
        listing = math.ceil(files / BATCH)
    return _capped(files, listing, uploads.n, sample, calls_each)


def _in_window(pages: Sequence[Mapping[str, Any]], start: str, end: str) -> int:
    """How many files a window holds that begins with these: all of them, or as many as come at their pace."""
    if len(pages) < BATCH:
        return len(pages)
    last = max(str(info.get("timestamp", "")) for page in pages for info in page.get("imageinfo", ()))
    span = (_time(last) - _time(start)).total_seconds()
    return round(len(pages) * (_time(end) - _time(start)).total_seconds() / max(1.0, span))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _capped(files: int, listing: int, most: int | None, sample: Sample, calls_each: int) -> Estimate:
    items = round(files * sample.share)
    if most is not None and items > most:
        listing = math.ceil(listing * most / items)
        items = most
    return Estimate(items, 1 + listing * calls_each, sample.bytes(items), sample.host, exact=False)


def _left_out(title: str, category: Category) -> bool:
    exclude, include = category.exclude, category.include
    if exclude is not None and re.search(exclude, title, re.IGNORECASE):
        return True
    return include is not None and not re.search(include, title, re.IGNORECASE)


async def _everything(api: Api, params: Mapping[str, str], most: int | None = None) -> dict[str, Any]:
    """The pages of a query; of a listing, the first `most` batches."""
    held: dict[str, Any] = {}
    more: Mapping[str, Any] | None = {}
    batches = 0
    while more is not None and batches != most:
        answer = await api.ask({"action": "query", **params, **{name: str(value) for name, value in more.items()}})
        merge(held, answer)
        batches += bool(answer.get("batchcomplete"))
        more = answer.get("continue")
    return held
