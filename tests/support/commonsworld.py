"""A small Commons: a real MediaWiki with a few files, a tree with a cycle in it, and what the tests ask of it."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from curate.net.client import Client
from curate.net.limits import Limits
from curate.records import Candidate, Note, Page, Response
from sources.commons import Category, Commons
from tests.support.mediawiki import Wiki
from tests.support.pictures import encode, texture

LICENCE = {"LicenseShortName": "CC BY-SA 4.0", "LicenseUrl": "https://creativecommons.org/licenses/by-sa/4.0"}
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="300" height="200"><rect width="9"/></svg>'
DAY = ("2000-01-01", "2100-01-01")


def png(seed: int, size: tuple[int, int] = (400, 300)) -> bytes:
    return encode(texture(seed, size), "PNG")


FILES = {
    "A1.png": (png(1), "[[Category:A]] [[Category:B]]"),
    "A2.png": (png(2), "[[Category:A]] [[Category:Stockmen]] {{Personality rights}} {{Delete}} {{Other}}"),
    "A3.jpg": (encode(texture(3, (400, 300))), "[[Category:A]]"),
    "Drawing.svg": (SVG, "[[Category:A]]"),
    "Broken.svg": (SVG.replace(b"rect", b"broken"), "[[Category:A]]"),
    "Paper.pdf": (b"%PDF-1.4\n%%EOF\n", "[[Category:A]]"),
    "B1.png": (png(4), "[[Category:B]]"),
    "B2 sketch.png": (png(5, (100, 80)), "[[Category:B]]"),
    "C1.png": (png(6), "[[Category:C]]"),
    "D1.png": (png(7), "[[Category:Deep]]"),
    "Many.png": (png(11), "[[Category:Many]]" + "".join(f"[[Category:Of many, number {n}]]" for n in range(60))),
    "Emblem.svg": (SVG, "[[Category:Logos]]"),
    "Hills.png": (png(8), "[[Category:Landscapes]]"),
    "Ring.png": (png(9), "[[Category:Sumo]]"),
    "Leaf.png": (png(10), "[[Category:Line drawings]]"),
}
PAGES = {
    "Category:A": "[[Category:B]]",  # A lies in B, and B in A
    "Category:B": "[[Category:A]]",
    "Category:C": "",
    "Category:Deep": "[[Category:B]] [[Category:Deeper]]",  # and another cycle, without the root
    "Category:Deeper": "[[Category:Deep]]",
    "Category:Old name": "{{Category redirect|1=C}} [[Category:B]]",
    "Category:Older name": "{{Category redirect|:Category:Old name}}",
    "Category:Hard": "#REDIRECT [[:Category:C]]",
    "Category:Astray": "{{Category redirect|Nowhere}}",
    "File:Alias.png": "#REDIRECT [[File:A1.png]] [[Category:Deep]]",
    "Template:Category redirect": "Moved to [[:Category:{{{1}}}]].",
    "Template:Personality rights": "A person.",
    "Template:Delete": "Pending.",
    "Template:Other": "Nothing of interest.",
}
METADATA = {
    "*": LICENCE,
    "A2.png": LICENCE
    | {
        "Artist": '<a href="//x" title="u">Jo &amp; Co</a><div style="display: none;">artist QS:P170,Q1</div>',
        "Credit": "<span>Own<br/>work</span>",
        "Restrictions": "personality",
        "ImageDescription": {"_type": "lang", "de": "<p>Ein Bild</p>", "en": "A <b>pic</b>ture"},
        "AttributionRequired": "true",
    },
    "B1.png": {"Artist": "Ann", "Attribution": "Photo: Ann"},
}


class Asked:
    """The real client, and what was asked of it."""

    def __init__(self, client: Client) -> None:
        self.client, self.params = client, list[dict[str, str]]()

    async def get(self, url: str, *, params: Mapping[str, str] | None = None) -> Response:
        self.params.append(dict(params or {}))
        return await self.client.get(url, params=params)


@pytest.fixture(scope="session")
def world(wiki: Wiki) -> Wiki:
    """The wiki with a small tree of files in it."""
    wiki.upload(FILES)
    wiki.pages(PAGES)
    wiki.say("metadata", METADATA)
    return wiki


@pytest.fixture
async def http(world: Wiki) -> AsyncIterator[Asked]:
    patient = Limits(contact="test@example.org", allow_private=(world.host,), timeout=250, read_timeout=250)
    async with Client(patient) as client:
        yield Asked(client)


@pytest.fixture
def switch(world: Wiki) -> Iterator[Path]:
    """The folder of the wiki's switches; all are off again afterwards."""
    yield world.switches
    for name in ("lag", "ratelimit", "small", "depicts.json"):
        (world.switches / name).unlink(missing_ok=True)


async def pages(source: Commons, http: Asked, cursor: str | None = None) -> list[Page]:
    return [page async for page in source.pages(http, cursor)]


async def found(source: Commons, http: Asked) -> tuple[list[Candidate], list[Note]]:
    got = await pages(source, http)
    assert got[-1].cursor is None
    return [c for page in got for c in page.candidates], [n for page in got for n in page.notes]


def titles(candidates: Sequence[Candidate]) -> list[str]:
    return [(c.upstream.title or "").removeprefix("File:") for c in candidates if c.upstream]


def by_title(candidates: Sequence[Candidate]) -> dict[str, Candidate]:
    return dict(zip(titles(candidates), candidates, strict=True))


def tree(world: Wiki, title: str = "Category:A", label: str | None = "neutral", depth: int = 9, **more: Any) -> Commons:
    return Commons(api=world.api, categories=(Category(title, label, depth, **more),))
