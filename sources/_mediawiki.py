"""MediaWiki's Action API: one request at a time, errors that come with HTTP 200, answers in parts, values in HTML."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from itertools import count
from typing import Any

from curate.contracts import Http
from curate.errors import ItemError
from curate.records import Reason, Response

BATCH = 50  # pages a request may name, and thumbnails it may ask for (ApiQueryImageInfo::TRANSFORM_LIMIT)
PATIENCE = 600.0  # seconds waited for one answer
LAG = 5.0  # where the server names no Retry-After
BACKOFF = 10.0  # doubled each time

ODD = (KeyError, TypeError, ValueError, AttributeError, IndexError)  # what an item raises that is not as documented
_MAPS = ("query", "continue", "entities", "error")  # of an answer
_LISTS = ("imageinfo", "categories", "templates", "revisions")  # of a page
_BUSY = {"maxlag": Reason.MAXLAG, "ratelimited": Reason.HTTP_429_RATE, "readonly": Reason.API_ERROR}
_BLOCKS = frozenset({"br", "p", "div", "li", "td", "th", "tr", "dd", "dt", "hr", "h1", "h2", "h3", "h4", "table", "ul"})
_VOID = frozenset({"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_URL = re.compile(r"https?://\S+")


@dataclass(frozen=True)
class Api:
    """A wiki's `api.php`. `maxlag`: how many seconds its database replicas may lag behind before we wait for them."""

    http: Http
    url: str
    maxlag: int = 5
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def ask(self, params: Mapping[str, str]) -> dict[str, Any]:
        """One whole answer, waited for while the server is busy; raises ItemError: maxlag, http_429_rate, api_error."""
        whole = {"format": "json", "formatversion": "2", "maxlag": str(self.maxlag), **params}
        waited = 0.0
        for tried in count():
            response = await self.http.get(self.url, params=whole)
            answer = _parsed(response)
            error = answer.get("error")
            if error is None:
                return _documented(answer)
            code = str(error.get("code"))
            pause = _pause(code, response.headers.get("retry-after", ""), tried)
            if code not in _BUSY or waited + pause > PATIENCE:
                raise ItemError(_BUSY.get(code, Reason.API_ERROR), f"{code}: {_URL.sub('', str(error.get('info')))}")
            await self.sleep(pause)
            waited += pause
        raise AssertionError("unreachable")


def _parsed(response: Response) -> dict[str, Any]:
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ItemError(Reason.API_ERROR, "no JSON in the answer; `api` is the address of a wiki's api.php")
    return answer


def _pause(code: str, asked: str, tried: int) -> float:
    """Seconds until the next try: what the server asks for (seconds or a date), else by the kind of error."""
    if asked.isdigit():
        return float(asked)
    with contextlib.suppress(ValueError):
        return max(1.0, parsedate_to_datetime(asked).timestamp() - time.time())
    return LAG if code == "maxlag" else BACKOFF * 2.0**tried


def _documented(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with maps where maps belong, and without pages, and parts of pages, that are none."""
    kept = answer | {name: found for name in _MAPS if (found := table(answer.pop(name, None)))}
    if query := kept.get("query"):
        pages = query.get("pages")
        kept["query"] = query | {"pages": [_page(page) for page in pages if isinstance(page, dict)] if pages else []}
        kept["query"] |= {name: table(query[name]) for name in ("statistics",) if name in query}
    return kept


def _page(page: dict[str, Any]) -> dict[str, Any]:
    lists = {name: [one for one in page[name] or () if isinstance(one, dict)] for name in _LISTS if name in page}
    return page | lists


def table(value: Any) -> dict[str, Any]:
    """A map of an answer; PHP writes an empty one as a list."""
    return value if isinstance(value, dict) else {}


def merge(held: dict[str, Any], answer: Mapping[str, Any]) -> None:
    """Put an answer's pages into `held`, by page id (by title where there is none); lists come in parts."""
    for page in answer.get("query", {}).get("pages", ()):
        known = held.setdefault(str(page.get("pageid") or page.get("title")), {})
        for name, value in page.items():
            known[name] = known.get(name, []) + value if isinstance(value, list) else value


def texts(value: Any) -> list[str]:
    """A value of `extmetadata` as HTML, in each of the languages it is there in; English first."""
    if isinstance(value, dict):
        languages = sorted((k for k in value if not k.startswith("_")), key=lambda k: (k != "en", k))
        return [str(value[language]) for language in languages]
    return [] if value is None else [str(value)]


def plain(html: str, *, hidden: bool = False) -> str:
    """The text of a piece of HTML on one line; what its own style hides is left out unless `hidden`."""
    reader = _Reader(hidden)
    reader.feed(html)
    reader.close()
    return " ".join("".join(reader.parts).split())


class _Reader(HTMLParser):
    """Collects text. Inside a hidden element it counts open tags until that element ends."""

    def __init__(self, hidden: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._show_hidden = hidden
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._separate(tag)
        style = next((value or "" for name, value in attrs if name == "style"), "")
        hides = tag in ("style", "script") or (not self._show_hidden and _HIDDEN.search(style) is not None)
        if tag not in _VOID and (self._depth or hides):
            self._depth += 1

    def handle_endtag(self, tag: str) -> None:
        self._separate(tag)
        if self._depth and tag not in _VOID:
            self._depth -= 1

    def _separate(self, tag: str) -> None:
        if tag in _BLOCKS and not self._depth:
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._depth:
            self.parts.append(data)
