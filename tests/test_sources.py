"""Sources: what they find, in which order, and what they refuse."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import UsageError
from curate.records import Candidate
from sources.local import Local
from sources.urllist import Urllist


class NoHttp:
    """A source of files asks nobody."""

    async def get(self, url: str, *, params: object = None) -> object:
        raise AssertionError("asked the network")


async def everything(source: Local | Urllist, cursor: str | None = None) -> list[Candidate]:
    return [c async for page in source.pages(NoHttp(), cursor) for c in page.candidates]  # type: ignore[arg-type]


def tree(root: Path, lists: dict[str, str]) -> Path:
    for label, text in lists.items():
        path = root / "raw_data" / label / f"urls_{label}.txt"
        path.parent.mkdir(parents=True)
        path.write_bytes(text.encode())
    return root


MESSY = (
    "\ufeffhttp://a.example/1.jpg\r\n\n  \n# a comment\nhttp://a.example/1.jpg\nnot a url\nhttp://é.example/ü.jpg\nlast"
)


async def test_a_folder_of_lists(tmp_path: Path) -> None:
    source = Urllist(tree(tmp_path, {"neutral": MESSY, "drawings": "http://b.example/2.png\n"}))
    assert source.classes() == {"neutral", "drawings"}
    found = await everything(source)
    assert [(c.label, c.ref.rpartition("/")[2], c.locator.value) for c in found] == [
        ("drawings", "urls_drawings.txt:1", "http://b.example/2.png"),
        ("neutral", "urls_neutral.txt:1", "http://a.example/1.jpg"),
        ("neutral", "urls_neutral.txt:5", "http://a.example/1.jpg"),
        ("neutral", "urls_neutral.txt:6", "not a url"),
        ("neutral", "urls_neutral.txt:7", "http://é.example/ü.jpg"),
        ("neutral", "urls_neutral.txt:8", "last"),
    ]
    assert {c.locator.kind for c in found} == {"url"}


async def test_bytes_that_are_no_text_are_lines_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"http://a.example/\xff\xfe.jpg\n")
    (only,) = await everything(Urllist(tmp_path / "list.txt", label="neutral"))
    assert "\ufffd" in only.locator.value


async def test_nothing_in_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n# nothing\n")
    with pytest.raises(UsageError, match="not one URL"):
        await everything(Urllist(tmp_path / "empty.txt"))
    with pytest.raises(UsageError, match="no such file or folder"):
        await everything(Urllist(tmp_path / "absent.txt"))
    with pytest.raises(UsageError, match=r"urls_<class>\.txt"):
        await everything(Urllist(tmp_path))


@settings(max_examples=25)
@given(lines=st.lists(st.sampled_from(["http://x.example/%d", "", "# %d", "bad %d"]), min_size=1, max_size=3500))
async def test_any_cursor_goes_on_where_it_stopped(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("list") / "urls.txt"
    path.write_text("http://first.example/\n" + "\n".join(f % n if "%" in f else f for n, f in enumerate(lines)))
    source = Urllist(path, label="neutral")
    pages = [page async for page in source.pages(NoHttp(), None)]  # type: ignore[arg-type]
    assert pages[-1].cursor is None
    whole = [c for page in pages for c in page.candidates]
    done = 0
    for page in pages[:-1]:
        done += len(page.candidates)
        assert await everything(source, page.cursor) == whole[done:]


async def test_an_album_is_host_and_folder(tmp_path: Path) -> None:
    (tmp_path / "u.txt").write_text(
        "http://H.example/g/1/a.jpg\nhttp://u:p@h.example/g/1/b.jpg?x=1\nhttp://h.example/a\nx\n"
    )
    found = await everything(Urllist(tmp_path / "u.txt", album="folder"))
    assert [c.album for c in found] == ["h.example/g/1", "h.example/g/1", None, None]


async def test_a_folder_of_images(tmp_path: Path) -> None:
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"x")
    root = tmp_path / "images"
    for name in (
        "neutral/b.JPG",
        "neutral/sub/a.png",
        "drawings/c.webp",
        "neutral/notes.txt",
        ".hidden/d.jpg",
        "e.jpg",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / "neutral" / "link.jpg").symlink_to(outside)
    source = Local(root, label_from="folder", album="folder")
    found = await everything(source)
    assert [(c.ref, c.label, c.album) for c in found] == [
        ("drawings/c.webp", "drawings", "drawings"),
        ("e.jpg", None, None),
        ("neutral/b.JPG", "neutral", "neutral"),
        ("neutral/sub/a.png", "neutral", "neutral/sub"),
    ]
    assert source.classes() == {"drawings", "neutral", None}
    assert Local(root, label="neutral").classes() == {"neutral"}


async def test_a_folder_without_images_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no images in this folder"):
        await everything(Local(tmp_path))
    with pytest.raises(UsageError, match="no such folder"):
        await everything(Local(tmp_path / "absent"))
