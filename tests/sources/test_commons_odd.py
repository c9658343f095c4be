"""A wiki that answers otherwise than Wikimedia's: empty maps come as lists, and one odd item costs itself."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from curate.records import Candidate, Change, Note, Response, Upstream
from sources.commons import Category, Commons, Uploads

GOOD = {
    "pageid": 1, "ns": 6, "title": "File:Good.jpg",
    "imageinfo": [{
        "timestamp": "2020-01-01T00:00:00Z", "size": 9, "width": 320, "height": 240, "mime": "image/jpeg",
        "url": "http://wiki.example/good.jpg", "sha1": "a" * 40, "thumbwidth": 320, "thumbheight": 240,
    }],
}  # fmt: skip


def page(number: int, **other: Any) -> dict[str, Any]:
    info = GOOD["imageinfo"][0] | {"url": f"http://wiki.example/{number}.jpg"} | other.pop("info", {})  # type: ignore[index]
    return GOOD | {"pageid": number, "title": f"File:{number}.jpg", "imageinfo": [info]} | other


class Fake:
    """Answers every listing with the same pages."""

    def __init__(self, *pages: Any, **more: Any) -> None:
        self.pages, self.more = list(pages), more

    async def get(self, url: str, *, params: Mapping[str, str] | None = None) -> Response:
        asked = params or {}
        answer: dict[str, Any] = {"batchcomplete": True, "query": {"pages": self.pages}} | self.more
        if asked.get("meta"):
            answer = {"query": {"extensions": [], "statistics": []}}
        elif asked.get("titles", "").startswith("Category:"):
            answer = {"query": {"pages": [{"pageid": 99, "ns": 14, "title": "Category:Hills", "categoryinfo": []}]}}
        return Response(url, 200, {}, json.dumps(answer).encode())


SOURCE = Commons("http://wiki.example/api.php", (Category("Category:Hills", "neutral"),))


async def found(http: Fake) -> tuple[list[Candidate], list[Note]]:
    pages = [one async for one in SOURCE.pages(http, None)]
    return [c for one in pages for c in one.candidates], [n for one in pages for n in one.notes]


@pytest.mark.parametrize(
    "odd",
    [
        {"info": {"extmetadata": []}},
        {"info": {"extmetadata": {"LicenseShortName": []}}},
        {"info": {"extmetadata": {"LicenseShortName": {"value": None}, "Artist": {}}}},
        {"categories": [], "templates": []},
        {"categories": None, "templates": None},
        {"extra": []},
    ],
)
async def test_an_empty_map_that_comes_as_a_list_is_empty(odd: dict[str, Any]) -> None:
    candidates, _ = await found(Fake(page(1, **odd)))
    assert [c.locator.value for c in candidates] == ["http://wiki.example/1.jpg"]
    assert candidates[0].license is None
    assert candidates[0].facts["license_missing"] == "true"


@pytest.mark.parametrize(
    "odd",
    [
        page(2, info={"mime": None}),
        page(2, info={"mime": []}),
        page(2, imageinfo=[[]]),
        page(2, imageinfo=[7]),
        page(2, imageinfo={}),
        page(2, categories=[{}]),
        page(2, templates=["x"]),
        page(2, info={"extmetadata": {"Artist": {"value": {"en": 7}}}, "url": 7}),
        {"ns": 6, "title": "File:2.jpg", "imageinfo": GOOD["imageinfo"]},
        {"pageid": 2, "ns": 6, "imageinfo": GOOD["imageinfo"]},
        [], None, 7, "page",
    ],
    ids=str,
)  # fmt: skip
async def test_one_odd_item_costs_itself(odd: Any) -> None:
    http = Fake(page(1), odd, page(3))
    candidates, _ = await found(http)
    assert {"http://wiki.example/1.jpg", "http://wiki.example/3.jpg"} <= {c.locator.value for c in candidates}
    assert len(candidates) <= 3
    await SOURCE.plan(http)
    await Commons(SOURCE.api, uploads=(Uploads(mode="random", n=5),)).plan(http)
    known = [
        Upstream("wiki.example", str(n), f"File:{n}.jpg", "b" * 40, "2020-01-01T00:00:00Z", 320) for n in (1, 2, 3)
    ]
    changes = [change async for change in SOURCE.changes(http, known)]
    assert {(c.upstream.page_id, c.kind) for c in changes if c.upstream.page_id != "2"} == {
        ("1", "overwritten"), ("3", "overwritten"),
    }  # fmt: skip
    assert await SOURCE.explain(Fake(query=[]), Change(known[0], "deleted", "")) == ""


@pytest.mark.parametrize(
    "more", [{"query": []}, {"continue": []}, {"query": [], "continue": []}, {"query": {"pages": {}}}]
)
async def test_an_answer_with_nothing_in_it_ends_the_listing(more: dict[str, Any]) -> None:
    candidates, _ = await found(Fake(page(1), **more))
    assert len(candidates) == ("query" not in more)
