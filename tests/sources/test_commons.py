"""The Commons source against a real MediaWiki: which files it finds, and what it says of each."""

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curate.errors import UsageError
from curate.records import Note
from sources._mediawiki import plain
from sources._uploads import draws
from sources.commons import WIDTHS, Category, Commons, Uploads
from tests.support.commonsworld import DAY, FILES, LICENCE, Asked, by_title, found, titles, tree
from tests.support.mediawiki import Wiki

NOWHERE = ("missing", "Category:Nowhere", "no such category")


async def test_a_tree_with_a_cycle_ends(world: Wiki, http: Asked) -> None:
    candidates, notes = await found(tree(world), http)
    where = {(title, c.facts["category_path"]) for title, c in zip(titles(candidates), candidates, strict=True)}
    a, b = ("Category:A",), ("Category:A", "Category:B")
    assert where == {
        ("A1.png", a), ("A2.png", a), ("A3.jpg", a), ("Drawing.svg", a),
        ("A1.png", b), ("B1.png", b), ("B2 sketch.png", b),
        ("D1.png", (*b, "Category:Deep")), ("C1.png", (*b, "Category:C")),
    }  # fmt: skip
    assert {c.label for c in candidates} == {"neutral"}
    listed = [asked["gcmtitle"] for asked in http.params if "gcmtitle" in asked and "gcmcontinue" not in asked]
    assert sorted(listed) == [f"Category:{name}" for name in ("A", "B", "C", "Deep", "Deeper")], "each category once"
    assert Note("skipped", "File:Paper.pdf", "application/pdf") in notes
    assert Note("skipped", "File:Broken.svg", "no_rendition") in notes
    assert Note("skipped", "File:Alias.png", "redirect") in notes
    assert Note("redirected", "Category:Old name", "Category:C") in notes


@pytest.mark.parametrize("depth", [0, 1, 2])
async def test_depth_is_a_limit(world: Wiki, http: Asked, depth: int) -> None:
    candidates, _ = await found(tree(world, depth=depth), http)
    levels: list[set[str]] = [
        {"A1.png", "A2.png", "A3.jpg", "Drawing.svg"},
        {"B1.png", "B2 sketch.png"},
        {"C1.png", "D1.png"},
    ]
    assert set(titles(candidates)) == set().union(*levels[: depth + 1])


@pytest.mark.parametrize(
    ("title", "names", "met"),
    [
        ("Category:Old name", ["C1.png"], [("redirected", "Category:Old name", "Category:C")]),
        ("Category:Hard", ["C1.png"], [("redirected", "Category:Hard", "Category:C")]),
        ("Category:Older name", [], [("redirected", "Category:Older name", "Category:Old name")]),
        ("Category:Astray", [], [("redirected", "Category:Astray", "Category:Nowhere"), NOWHERE]),
        ("Category:Nowhere", [], [NOWHERE]),
        ("category:c", ["C1.png"], []),
        ("Category:Stockmen", ["A2.png"], []),  # members, but no page
    ],
)  # fmt: skip
async def test_redirects_are_followed_once(
    world: Wiki, http: Asked, title: str, names: list[str], met: list[tuple[str, str, str]]
) -> None:
    candidates, notes = await found(tree(world, title), http)
    assert titles(candidates) == names
    assert notes == [Note(*one) for one in met]


@pytest.mark.parametrize("title", ["C", "File:C1.png", "Category:[x]", "Category:", "mw:Category:C"])
async def test_what_is_no_category_is_named(world: Wiki, http: Asked, title: str) -> None:
    with pytest.raises(UsageError, match=re.escape(title)):
        await found(tree(world, title), http)


async def test_patterns_prune_and_are_noted(world: Wiki, http: Asked) -> None:
    candidates, notes = await found(tree(world, exclude="SKETCH|category:deep"), http)
    assert not {"B2 sketch.png", "D1.png"} & set(titles(candidates))
    assert {n.subject for n in notes if n.kind == "excluded"} == {"Category:Deep", "File:B2 sketch.png"}
    candidates, notes = await found(tree(world, include=":(B|Deep)$"), http)
    assert "D1.png" in titles(candidates)
    assert "C1.png" not in titles(candidates)
    assert {n.subject for n in notes if n.kind == "excluded"} == {"Category:Old name", "Category:Deeper"}


async def test_max_files_is_kept_and_noted(world: Wiki, http: Asked) -> None:
    candidates, notes = await found(tree(world, max_files=2), http)
    assert len(candidates) == 2
    assert [n for n in notes if n.kind == "capped"] == [Note("capped", "Category:A", "2 files")]


async def test_who_and_what_a_file_is(world: Wiki, http: Asked) -> None:
    candidates, _ = await found(tree(world), http)
    rich, bare = by_title(candidates)["A2.png"], by_title(candidates)["B1.png"]
    assert rich.ref == "Category:A > File:A2.png"
    assert (rich.license, rich.attribution, rich.album) == ("CC BY-SA 4.0", "Jo & Co", None)
    upstream = rich.upstream
    assert upstream is not None
    assert upstream.system == world.host
    assert (upstream.page_id or "").isdigit()
    assert (upstream.title, upstream.width) == ("File:A2.png", 400)
    assert upstream.sha1 == hashlib.sha1(FILES["A2.png"][0]).hexdigest() == rich.sha1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", upstream.timestamp or "")
    revision, page = rich.facts["revision"], rich.facts["page_url"]
    assert isinstance(revision, str)
    assert str(page).endswith("File:A2.png")
    assert revision.isdigit()
    assert {k: v for k, v in rich.facts.items() if k != "revision"} == {
        "bytes": str(len(FILES["A2.png"][0])),
        "author": "Jo & Co",
        "credit": "Own work",
        "restrictions": "personality",
        "attribution_required": "true",
        "license_url": LICENCE["LicenseUrl"],
        "page_url": page,
        "uploader": "Admin",
        "description": ("A picture", "Ein Bild"),
        "categories": ("A", "Stockmen"),
        "templates": ("Delete", "Personality rights"),
        "category_path": ("Category:A",),
    }
    assert (bare.license, bare.attribution) == (None, "Photo: Ann")
    assert bare.facts["license_missing"] == "true"
    for candidate in candidates:
        assert (candidate.license is None) == ("license_missing" in candidate.facts), "a licence, or that there is none"


async def test_bad_files_are_marked(world: Wiki, http: Asked) -> None:
    world.pages({"MediaWiki:Bad image list": "* [[:File:B1.png]]\n"})
    candidates, _ = await found(tree(world, "Category:B", depth=0), http)
    marked = [title for title, c in by_title(candidates).items() if "badfile" in c.facts]
    assert marked == ["B1.png"]


async def test_originals_have_the_sha1_that_the_wiki_says(world: Wiki, http: Asked) -> None:
    candidates, _ = await found(tree(world), http)
    for candidate in candidates:
        body = (await http.client.media(candidate.locator.value)).body
        title = titles([candidate])[0]
        assert candidate.upstream is not None
        assert candidate.upstream.sha1 == hashlib.sha1(FILES[title][0]).hexdigest(), "of the original"
        if title == "Drawing.svg":
            assert candidate.sha1 is None
            assert Image.open(io.BytesIO(body)).format == "PNG"
        else:
            assert candidate.sha1 == hashlib.sha1(body).hexdigest()


async def test_thumbnails_are_of_the_width_asked_for(world: Wiki, http: Asked) -> None:
    source = Commons(api=world.api, categories=(Category("Category:A", "neutral", 1),), width=250)
    for candidate in (await found(source, http))[0]:
        image = Image.open(io.BytesIO((await http.client.media(candidate.locator.value)).body))
        small = titles([candidate])[0] == "B2 sketch.png"  # 100 px wide: there is no thumbnail but the original
        assert image.width == (100 if small else 250)
        assert (candidate.sha1 is not None) == small
        assert candidate.upstream is not None
        assert candidate.upstream.width == image.width
    drawn = {int(width) for width in re.findall(r"GET /images/thumb/\S+/(\d+)px-", world.log.read_text())}
    assert 250 in drawn
    assert drawn <= set(WIDTHS), "in all that was asked of the wiki so far"


async def test_structured_data_is_read_where_there_is_any(world: Wiki, http: Asked, switch: Path) -> None:
    candidates, _ = await found(tree(world, depth=0), http)
    assert not any("depicts" in c.facts for c in candidates)
    assert not any(asked.get("action") == "wbgetentities" for asked in http.params)
    ids = {title: (c.upstream and c.upstream.page_id) or "" for title, c in by_title(candidates).items()}
    world.say("depicts", {
        ids["A1.png"]: {"labels": {"fr": {"language": "fr", "value": "chat"}}, "statements": {"P180": [
            statement("Q146"), statement("Q5", "deprecated"), {"mainsnak": {"snaktype": "somevalue"}, "rank": "normal"},
        ]}},
        ids["A2.png"]: {"labels": [], "statements": []},
    })  # fmt: skip
    candidates, _ = await found(tree(world, depth=0), http)
    said = {title: (c.facts.get("depicts"), c.facts.get("captions")) for title, c in by_title(candidates).items()}
    assert said["A1.png"] == (("Q146",), ("chat",))
    assert {said[title] for title in said if title != "A1.png"} == {(None, None)}
    (asked,) = [asked for asked in http.params if asked.get("action") == "wbgetentities"]
    assert set(asked["ids"].split("|")) >= {f"M{number}" for number in ids.values()}
    without = Commons(api=world.api, categories=(Category("Category:C"),), depicts=False)
    http.params.clear()
    await found(without, http)
    assert len(http.params) == 2


def statement(item: str, rank: str = "normal") -> dict[str, Any]:
    value = {"value": {"entity-type": "item", "id": item}, "type": "wikibase-entityid"}
    return {"mainsnak": {"snaktype": "value", "property": "P180", "datavalue": value}, "rank": rank}


async def test_a_window_of_uploads(world: Wiki, http: Asked) -> None:
    everything, notes = await found(Commons(api=world.api, uploads=(Uploads("window", *DAY),)), http)
    assert set(titles(everything)) >= set(FILES) - {"Broken.svg", "Paper.pdf"}
    assert {n.subject for n in notes} == {"File:Broken.svg", "File:Paper.pdf"}
    assert {c.label for c in everything} == {None}
    times = [c.upstream.timestamp or "" for c in everything if c.upstream]
    assert times == sorted(times)
    middle = times[len(times) // 2]
    later, _ = await found(Commons(api=world.api, uploads=(Uploads("window", middle, DAY[1]),)), http)
    assert titles(later) == titles([c for c, time in zip(everything, times, strict=True) if time >= middle])
    none, _ = await found(Commons(api=world.api, uploads=(Uploads("window", "2000-01-01", "2000-01-02"),)), http)
    assert none == []


@pytest.mark.parametrize("n", [1, 3, 1000])
async def test_a_random_sample_is_the_seeds(world: Wiki, http: Asked, n: int) -> None:
    """The first n files in the order in which the seed draws page ids: not of the answer's, which prefers old files."""
    everything, _ = await found(Commons(api=world.api, uploads=(Uploads("window", *DAY),)), http)
    ids = {int(c.upstream.page_id or 0) for c in everything if c.upstream}
    orders = set()
    for seed in range(4):
        source = Commons(api=world.api, uploads=(Uploads("random", n=n, seed=seed),))
        sample, _ = await found(source, http)
        drawn = [int(c.upstream.page_id or 0) for c in sample if c.upstream]
        assert drawn == [page for page in draws(seed, max(ids)) if page in ids][:n]
        assert {c.ref.partition(" > ")[0] for c in sample} == {f"random {seed}"}
        orders.add(tuple(drawn))
    assert len(orders) > 1


@pytest.mark.parametrize("top", [1, 2, 7, 8, 50, 64, 65])
def test_draws_are_all_page_ids_once(top: int) -> None:
    assert sorted(draws(1, top)) == list(range(1, top + 1))


def test_draws_are_uniform_and_stay_when_the_wiki_grows() -> None:
    """Chi-squared of which of 40 ids come among the first 5, over 2,000 seeds: 39 degrees, 99.99 % lie below 82."""
    counts = [0] * 41
    for seed in range(2000):
        for _, page in zip(range(5), draws(seed, 40), strict=False):
            counts[page] += 1
    expected = 2000 * 5 / 40
    assert sum((count - expected) ** 2 / expected for count in counts[1:]) < 82
    assert [page for page in draws(9, 60) if page <= 40] == list(draws(9, 40))


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a<br>b", "a b"),
        ("<p>a</p><p>b  <i>c</i>d</p>\n", "a b cd"),
        ("x<span style='DISPLAY :none'>y<br>y<b>y</b></span>z", "xz"),
        ("&lt;b&gt; &amp; &#233;", "<b> & é"),
        ("<script>bad()</script>ok<style>p{}</style>", "ok"),
        ("</div>still <b>here", "still here"),
        ("", ""),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert plain(html) == text


def test_hidden_text_can_be_asked_for() -> None:
    assert plain("x <span style='display:none'>y</span> <script>z</script>", hidden=True) == "x y"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "give categories"),
        ({"categories": (Category("Category:A"),), "width": 400}, "width: 400 is not served"),
        ({"categories": (Category("Category:A"),), "api": "commons.wikimedia.org"}, "api"),
    ],
)
def test_a_source_that_cannot_be_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Commons(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "random"}, "needs n"),
        ({"mode": "random", "n": 0}, "n must be"),
        ({"mode": "window", "start": "2024-01-01"}, "start and end"),
        ({"mode": "window", "start": "2024-01-02", "end": "2024-01-01"}, "earlier"),
        ({"mode": "window", "start": "yesterday", "end": "2024-01-01"}, "yesterday"),
    ],
)
def test_uploads_that_cannot_be_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Uploads(**options)


@pytest.mark.parametrize(
    ("options", "said"), [({"depth": -1}, "depth"), ({"exclude": "("}, "exclude"), ({"max_files": 0}, "max_files")]
)
def test_a_category_that_cannot_be_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Category("Category:A", **options)


def test_classes_are_the_labels_and_none_for_uploads() -> None:
    categories = (Category("Category:A", "neutral"), Category("Category:B", "drawings"))
    assert Commons(categories=categories).classes() == {"neutral", "drawings"}
    assert Commons(categories=categories, uploads=(Uploads("random", n=1),)).classes() == {"neutral", "drawings", None}
    assert Commons(categories=(Category("Category:A"),)).classes() == {None}
