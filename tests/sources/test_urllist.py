"""Lists of URLs with columns, in both public layouts, with a reason and a name."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import UsageError
from curate.layouts.url_lists import find, rows
from curate.options import build
from curate.records import Candidate, Note, Page
from sources.urllist import PAGE, Urllist


class NoHttp:
    """A list asks nobody."""

    async def get(self, url: str, *, params: object = None) -> object:
        raise AssertionError("asked the network")


async def pages(source: Urllist, cursor: str | None = None) -> list[Page]:
    return [page async for page in source.pages(NoHttp(), cursor)]  # type: ignore[arg-type]


async def everything(source: Urllist, cursor: str | None = None) -> list[Candidate]:
    return [candidate for page in await pages(source, cursor) for candidate in page.candidates]


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode())
    return path


TABLE = (
    "\ufeffURL, Label,license,Attribution,album,sha1,Title,author\r\n"
    "http://a.example/1.jpg,neutral,CC0,A. Person,set 1,ABCDEF,A bridge,B. Person\r\n"
    '"http://a.example/2,3.jpg",,,,,,"Two\r\nlines",\r\n'
    ",,,,,,no address,\r\n"
    ",,,,,,,\r\n"
    "\r\n"
    "http://a.example/3.jpg,drawings\r\n"
)


async def test_a_table_says_more_than_urls(tmp_path: Path) -> None:
    source = Urllist(table(tmp_path, TABLE), label="porn", license="CC BY 4.0", album="folder")
    assert source.classes() == {"neutral", "porn", "drawings"}
    (page,) = await pages(source)
    assert page.notes == (Note("skipped", "list.csv:5", "no URL in this row"),)
    first, second, third = page.candidates
    assert (first.label, first.license, first.attribution, first.album) == ("neutral", "CC0", "A. Person", "set 1")
    assert (first.sha1, first.ref) == ("abcdef", "list.csv:2")
    assert first.facts == {"title": "A bridge", "author": "B. Person"}
    assert (second.locator.value, second.label, second.license) == ("http://a.example/2,3.jpg", "porn", "CC BY 4.0")
    assert (second.sha1, second.album, second.facts) == (None, None, {"title": "Two\r\nlines"})
    assert (third.label, third.ref, third.facts) == ("drawings", "list.csv:8", {})


async def test_a_table_without_labels_is_of_the_class_configured(tmp_path: Path) -> None:
    path = table(tmp_path, "url\nhttp://a.example/1.jpg\n")
    assert Urllist(path).classes() == {None}
    assert [one.label for one in await everything(Urllist(path, label="neutral"))] == ["neutral"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://secret.example/1.jpg\nhttp://secret.example/2.jpg\n", "the first row must name the columns"),
        ("", "the first row must name the columns"),
        ("url,url\nhttp://secret.example/1.jpg,x\n", "the first row must name the columns"),
        ('url\n"http://secret.example/1.jpg', "not CSV"),
        ('url\nhttp://secret.example/1.jpg\n"' + "x" * (1 << 20) + 'x"\n', "not CSV"),
    ],
)
async def test_what_is_no_table_is_said_without_its_urls(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        await everything(Urllist(table(tmp_path, text)))
    assert "secret" not in str(caught.value)


cells = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=5)


@settings(max_examples=20)
@given(lines=st.lists(st.tuples(st.sampled_from(["", "x", "y"]), cells), min_size=1, max_size=30), n=st.integers(1, 3))
async def test_any_cursor_goes_on_where_it_stopped(
    lines: list[tuple[str, str]], n: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import csv

    path = tmp_path_factory.mktemp("list") / "list.csv"
    repeated = [(f"http://a.example/{k}" if kind else "", text) for k in range(n * 50) for kind, text in lines]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("url", "title"), ("http://first.example/", ""), *repeated])
    found = await pages(Urllist(path))
    whole = [one for page in found for one in page.candidates]
    assert len(whole) == 1 + sum(1 for url, _ in repeated if url)
    assert all(len(page.candidates) == PAGE for page in found[:-1])
    done = 0
    for page in found[:-1]:
        done += len(page.candidates)
        assert await everything(Urllist(path), page.cursor) == whole[done:]


def test_both_layouts_are_found(tmp_path: Path) -> None:
    for name in (
        "raw_data/neutral/urls_neutral.txt",
        "raw_data/neutral/reddit_sub_cats/urls.txt",
        "raw_data/porn/urls_porn.txt",
        "raw_data/porn/urls_other.txt",
        "raw_data/porn/other/urls.txt",
        "source_urls/neutral.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("http://a.example/1.jpg\n")
    expected = [
        ("raw_data/neutral/reddit_sub_cats/urls.txt", "neutral", True),
        ("raw_data/neutral/urls_neutral.txt", "neutral", False),
        ("raw_data/porn/urls_porn.txt", "porn", False),
    ]
    assert [(one.name, one.label, one.leaf) for one in find(tmp_path)] == expected
    assert [(f"raw_data/{o.name}", o.label, o.leaf) for o in find(tmp_path / "raw_data")] == expected
    (single,) = find(tmp_path / "raw_data/porn/urls_porn.txt")
    assert (single.name, single.label) == ("urls_porn.txt", "porn")
    assert [url for _, url, _ in rows(single)] == ["http://a.example/1.jpg"]


def test_reason_and_approval_are_options(tmp_path: Path) -> None:
    options = {"path": "x", "reason": "study 7", "approved_by": "A. Person"}
    source = build(Urllist, options, "sources.urllist", tmp_path)
    assert (source.reason, source.approved_by) == ("study 7", "A. Person")
