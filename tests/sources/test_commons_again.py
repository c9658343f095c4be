"""The Commons source against a real MediaWiki: going on after a kill, waiting while it is busy, noticing changes."""

import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from email.utils import formatdate
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from curate.errors import ItemError
from curate.records import Change, Page, Reason, Response, Upstream
from sources._mediawiki import Api
from sources._mediawiki import _pause as pause
from sources._walk import State
from sources.commons import Category, Commons, Uploads
from tests.support.commonsworld import DAY, Asked, by_title, found, png, titles, tree
from tests.support.mediawiki import Wiki


async def test_a_run_goes_on_after_any_request(
    world: Wiki, http: Asked, switch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every page's cursor comes the same page, cursor included, so by induction the same rest; none costs two
    requests, so a kill costs at most one; answers in small parts included."""
    monkeypatch.setattr("sources._uploads.BATCH", 5)
    monkeypatch.setattr("sources._tree.BATCH", 2)
    (switch / "small").touch()
    world.say("depicts", {})
    uploads = (Uploads("window", *DAY, n=2), Uploads("random", n=7, seed=3))
    categories = (Category("Category:B", "neutral", 1, max_files=6), Category("Category:Old name", "drawings"))
    source = Commons(api=world.api, categories=categories, uploads=uploads, width=250)
    whole: list[Page] = []
    async for page in source.pages(http, None):
        whole.append(page)
        assert len(http.params) <= len(whole), "a page in which two requests would be lost"
    assert sum(len(page.candidates) for page in whole) == 6 + 1 + 2 + 7
    assert len({asked.get("pageids") for asked in http.params}) > 2
    assert sum("gcmcontinue" in asked for asked in http.params) > 1
    assert any(asked.keys() & {"iicontinue", "clcontinue"} for asked in http.params), "no answer came in parts"
    for page, after in pairwise(whole):
        assert await following(source, http, page.cursor) == after


async def following(source: Commons, http: Asked, cursor: str | None) -> Page | None:
    async for page in source.pages(http, cursor):
        return page
    return None


async def test_parts_are_put_together(world: Wiki, http: Asked, switch: Path) -> None:
    sources = tree(world), tree(world, "Category:Many")
    whole = [await found(source, http) for source in sources]
    (switch / "small").touch()
    assert not any(asked.keys() & {"iicontinue", "clcontinue"} for asked in http.params)
    assert [await found(source, http) for source in sources] == whole
    for part in ("iicontinue", "clcontinue"):
        assert any(part in asked for asked in http.params), f"{part}: no answer came in parts"
    (many,) = whole[1][0]
    assert len(many.facts["categories"]) == 61


async def test_a_lagging_wiki_is_waited_for(
    world: Wiki, http: Asked, switch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MediaWiki says maxlag with HTTP 200 and Retry-After: 5, and we ask again when those are over, not before."""
    (switch / "lag").touch()
    waited: list[tuple[float, int]] = []

    async def sleep(seconds: float) -> None:
        waited.append((seconds, len(http.params)))
        (switch / "lag").unlink()

    monkeypatch.setattr("sources.commons.Api", partial(Api, sleep=sleep))
    candidates, _ = await found(tree(world, "Category:C"), http)
    assert titles(candidates) == ["C1.png"]
    assert waited == [(5.0, 1)]
    assert len(http.params) > 1
    assert {asked["maxlag"] for asked in http.params} == {"5"}


@pytest.mark.parametrize(
    ("name", "reason", "pauses"),
    [("lag", Reason.MAXLAG, [5.0] * 120), ("ratelimit", Reason.HTTP_429_RATE, [10.0, 20.0, 40.0, 80.0, 160.0])],
)
async def test_patience_ends(
    world: Wiki, http: Asked, switch: Path, name: str, reason: Reason, pauses: list[float]
) -> None:
    """The wiki's errors are real, the waiting is not."""
    (switch / name).touch()
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    first = await Recorded(http).record(world.api)
    with pytest.raises(ItemError) as failed:
        await Api(first, world.api, 5, sleep).ask({"action": "query"})
    assert failed.value.reason is reason
    assert failed.value.reason.retryable
    assert waited == pauses


@pytest.mark.parametrize(
    ("code", "asked", "tried", "low", "high"),
    [
        ("maxlag", "7", 0, 7, 7),
        ("maxlag", "", 3, 5, 5),
        ("ratelimited", "", 2, 40, 40),
        ("maxlag", 60, 0, 30, 61),
        ("maxlag", -60, 0, 1, 1),
        ("maxlag", "soon", 0, 5, 5),
    ],
)
def test_a_pause_is_what_the_server_asks_for(code: str, asked: str | int, tried: int, low: float, high: float) -> None:
    """A number stands for a date so many seconds from now."""
    said = asked if isinstance(asked, str) else formatdate(time.time() + asked, usegmt=True)
    assert low <= pause(code, said, tried) <= high


class Recorded:
    """The wiki's one answer, again and again: 120 real ones would take long."""

    def __init__(self, http: Asked) -> None:
        self._http = http

    async def record(self, api: str) -> "Recorded":
        params = {"action": "query", "format": "json", "formatversion": "2", "maxlag": "5"}
        self._answer = await self._http.get(api, params=params)
        assert self._answer.status == 200
        assert self._answer.headers["mediawiki-api-error"] in ("maxlag", "ratelimited")
        return self

    async def get(self, url: str, *, params: Mapping[str, str] | None = None) -> Response:
        return self._answer


async def test_other_errors_are_not_waited_for(world: Wiki, http: Asked) -> None:
    with pytest.raises(ItemError, match="api_error: badvalue") as failed:
        await Api(http, world.api).ask({"action": "nonsense"})
    assert not failed.value.reason.retryable
    assert "http" not in failed.value.detail
    assert len(http.params) == 1
    wrong = world.api.replace("api.php", "opensearch_desc.php")
    with pytest.raises(ItemError, match="api_error: no JSON"):
        await Api(http, wrong).ask({"action": "query"})


async def test_what_changed_is_noticed(world: Wiki, http: Asked) -> None:
    texts = {f"Change {n}.png": (png(20 + n), "[[Category:Changing]]") for n in range(5)}
    world.upload(texts)
    source = tree(world, "Category:Changing")
    candidates, _ = await found(source, http)
    known = {title: c.upstream for title, c in by_title(candidates).items() if c.upstream}
    assert await changes(source, http, [*known.values()]) == []
    world.delete("File:Change 0.png", "a takedown")
    world.move("File:Change 1.png", "File:Moved 1.png")
    world.upload({"Change 2.png": (png(99), ""), "Moved 1.png": (png(98), "")})
    elsewhere = Upstream("elsewhere.example", "999999", "File:X.png", "0" * 40)
    happened = await changes(source, http, [elsewhere, *known.values()])
    assert [(c.kind, (c.upstream.title or ""), c.detail) for c in happened if c.kind != "deleted"] == [
        ("moved", "File:Change 1.png", "File:Moved 1.png"),
        ("overwritten", "File:Change 1.png", hashlib.sha1(png(98)).hexdigest()),
        ("overwritten", "File:Change 2.png", hashlib.sha1(png(99)).hexdigest()),
    ]
    (deleted,) = [c for c in happened if c.kind == "deleted"]
    assert deleted.upstream == known["Change 0.png"]
    assert re.fullmatch(r"\d{4}-\S+Z a takedown", deleted.detail)


async def test_many_are_checked_fifty_at_a_time(world: Wiki, http: Asked) -> None:
    known = [Upstream(world.host, str(100_000 + n), None, "0" * 40) for n in range(120)]
    happened = await changes(tree(world), http, known)
    assert [c.upstream for c in happened] == known
    assert {c.kind for c in happened} == {"deleted"}
    assert [asked["pageids"].count("|") + 1 for asked in http.params] == [50, 50, 20]


async def changes(source: Commons, http: Asked, known: Sequence[Upstream]) -> list[Change]:
    found = [change async for change in source.changes(http, known)]
    return [replace(change, detail=await source.explain(http, change)) for change in found]


def test_a_cursor_is_text_of_moderate_size(world: Wiki) -> None:
    """What is kept of the widest tree that fits a night: 20,000 categories met, 5,000 waiting."""
    waiting: list[tuple[list[str], int | None]] = [(["Category:A", f"Category:{n}"], None) for n in range(5000)]
    state = State(visited={str(n) for n in range(20_000)}, queue=waiting)
    assert State.read(state.write()).visited == state.visited
    assert len(state.write()) < 500_000
    assert json.loads(state.write())["job"] == 0
