"""The page of a report asks nobody for anything, runs nothing, and can be read by everyone."""

import itertools
import json
import re
from pathlib import Path

import pytest

from curate.config import Config
from curate.records import Axis, Taxonomy
from tests.support.report_pages import OFF, Builder, Page, assert_sealed, png, stocked_set, written

HOSTILE = '"><script>alert(1)</script><img src=http://evil.test/x onerror=alert(2)>'


def test_the_page_is_sealed(build: Builder) -> None:
    stocked_set(build)
    page = assert_sealed(written(build))
    assert len(page.of("img")) == 5  # three survivors, and the two of the one group


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    axis = Axis(classes=("neutral", HOSTILE), safe=("neutral", HOSTILE), borderline=())
    builder = Builder(tmp_path / "<b>set<b>", Config(screening=OFF, taxonomy=Taxonomy(axes=(axis,))))
    source = builder.source(f"urllist:{HOSTILE}", path=f"/x/{HOSTILE}", label=HOSTILE)
    name = builder.store(source, png(1), HOSTILE, f"{HOSTILE}:12")
    other = builder.store(source, png(2), "neutral", "<i>urls.txt:3")
    builder.sql("UPDATE mentions SET album = ?", HOSTILE)
    builder.member(name, HOSTILE, name)
    builder.member(other, HOSTILE, name)
    builder.fail(source, f"made_up {HOSTILE}", HOSTILE, "<script>:9")
    builder.sql("INSERT INTO conflicts VALUES (?, ?, ?, ?, NULL)", HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    functions = [{"name": HOSTILE, "coverage": 1.0, "overlap": 0.0, "conflict": 0.0, "accuracy": None}]
    builder.label({name: (HOSTILE, 0.5)}, {"model": HOSTILE, "functions": functions})
    builder.release("<script>1.0.0", {s: {HOSTILE: 1} for s in ("train", "val", "test")}, {HOSTILE: 1})
    confusion = {"classes": [HOSTILE, "neutral"], "rows": [[1, 0], [0, 1]]}
    builder.model(HOSTILE, {"test": {"n": 2, "accuracy": 1.0, "confusion": confusion}})
    builder.ws.catalog.begin(HOSTILE, HOSTILE)
    builder.ws.catalog.end(HOSTILE)
    builder.ws.catalog.set("screening", json.dumps({"lists": [{"name": HOSTILE, "provider": HOSTILE, "entries": 1}]}))
    extra = {"title": HOSTILE, "columns": [HOSTILE], "rows": [[HOSTILE], ["data:image/png;base64,AA http://evil.test"]]}
    page = assert_sealed(written(builder, {"tables": [extra | {"note": HOSTILE}]}))
    assert len(page.of("img")) == 3
    assert '"><script>alert(1)</script><img src=[url] onerror=alert(2)>' in page.text
    assert "evil.test" not in page.text
    builder.ws.close()


def test_no_item_is_named_by_its_address(build: Builder) -> None:
    source = build.source("urllist:aa", path="/home/ann/private/raw_data")
    for n, ref in enumerate(
        ("http://media.test/a.jpg:80", "a.jpg?sig=1:2", "plain name.jpg", "deep/er/urls_neutral.txt:12")
    ):
        build.store(source, png(n), "neutral", ref)
        build.fail(source, "http_404", "neutral", ref)
    text = written(build)
    assert text.count("urls_neutral.txt:12") == 2
    for secret in ("media.test", "sig=1", "plain name", "deep/er", "/home/ann", str(build.ws.root.parent)):
        assert secret not in text


def test_the_page_can_be_read_by_everyone(build: Builder) -> None:
    stocked_set(build)
    build.release("1.0.0", {split: {"neutral": 3} for split in ("train", "val", "test")}, {})
    page = assert_sealed(written(build))
    assert page.of("html")[0]["lang"] == "en"
    assert all(attrs.get("alt") for attrs in page.of("img"))
    assert len(page.of("table")) == len(page.of("caption"))
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.of("th"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for attrs in page.of("a"):
        assert (attrs["href"] or "")[1:] in ids
    for attrs in page.of("section"):
        assert attrs.get("aria-labelledby") in ids or attrs.get("aria-label")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(build: Builder, scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 to 1."""
    style = Page(written(build)).style
    light, dark = style.split("@media (prefers-color-scheme: dark)")[:2]
    colour = dict(re.findall(r"--([\w-]+): #(\w{6})", light))
    if scheme == "dark":
        colour |= dict(re.findall(r"--([\w-]+): #(\w{6})", dark))
    pairs = [("ink", ground) for ground in ("paper", "panel", "warn-paper", *(f"s{n}" for n in range(1, 9)))]
    pairs += [("soft", "paper"), ("soft", "track"), ("accent", "paper"), ("warn", "warn-paper")]
    for front, ground in pairs:
        assert contrast(colour[front], colour[ground]) >= 4.5, f"{front} on {ground}"


def contrast(one: str, other: str) -> float:
    """The WCAG contrast of two sRGB colours in hex."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
