"""Sources: what they find, in which order, and what they refuse."""

import codecs
import os
import unicodedata
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import GateError, UsageError
from curate.fetch.listing import classes, place
from curate.fetch.local_files import read
from curate.layouts.folder import path_of, text_of
from curate.records import Axis, Candidate, Taxonomy
from curate.screening.gate import Gate
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
    assert only.locator.value == "http://a.example/%FF%FE.jpg"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_a_list_is_read_in_every_encoding_that_says_so(tmp_path: Path, encoding: str, end: str) -> None:
    urls = [f"http://a.example/é{n}.jpg" for n in range(5)]
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    (tmp_path / "list.txt").write_bytes(mark + end.join(urls).encode(encoding))
    assert [c.locator.value for c in await everything(Urllist(tmp_path / "list.txt", label="neutral"))] == urls


async def test_utf_16_that_does_not_say_so_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("http://a.example/1.jpg\n".encode("utf-16-le"))
    with pytest.raises(UsageError, match=r"list\.txt:1: no text"):
        await everything(Urllist(tmp_path / "list.txt"))


async def test_lines_that_differ_in_one_byte_stay_two_and_are_named(tmp_path: Path) -> None:
    lines = [f"http://a.example/caf{c}.jpg" for c in "éèêë"]
    (tmp_path / "list.txt").write_bytes("\n".join(lines).encode("latin-1"))
    source = Urllist(tmp_path / "list.txt", label="neutral")
    assert [c.locator.value for c in await everything(source)] == [
        f"http://a.example/caf%{byte}.jpg" for byte in ("E9", "E8", "EA", "EB")
    ]
    (page,) = [page async for page in source.pages(NoHttp(), None)]  # type: ignore[arg-type]
    assert [(note.kind, note.subject) for note in page.notes] == [("not_utf8", f"list.txt:{n}") for n in range(1, 5)]


@pytest.mark.parametrize(("name", "delimiter"), [("t.csv", ","), ("t.csv", ";"), ("t.csv", "\t"), ("t.tsv", "\t")])
async def test_a_table_is_parted_as_its_first_row_is(tmp_path: Path, name: str, delimiter: str) -> None:
    rows = [
        ("label", "url", "note"),
        ("neutral", "http://a.example/1,2;3.jpg", "x"),
        ("drawings", "http://b.example/", ""),
    ]
    (tmp_path / name).write_text("".join(delimiter.join(f'"{cell}"' for cell in row) + "\n" for row in rows))
    found = await everything(Urllist(tmp_path / name))
    assert [(c.label, c.locator.value) for c in found] == [(row[0], row[1]) for row in rows[1:]]


@pytest.mark.parametrize("text", ["url;label\nhttp://a.example/;neutral\n", "# x\nLabel\tURL\n", '"url","label"\n'])
async def test_a_table_that_is_named_like_a_list_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(UsageError, match=r"t\.txt:[12]: the first row of a table; name the file \.csv or \.tsv"):
        await everything(Urllist(tmp_path / "t.txt"))


async def test_a_table_that_is_no_text_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"url,label\nhttp://a.example/,neutral\nhttp://b.example/,\xe9t\xe9\n")
    with pytest.raises(UsageError, match=r"t\.csv:3: not UTF-8"):
        await everything(Urllist(tmp_path / "t.csv"))


async def test_an_unknown_class_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("url,label\nhttp://a.example/,neutral\nhttp://b.example/,netural\n")
    with pytest.raises(UsageError, match=r"t\.csv:3: no class 'netural' .* did you mean 'neutral'"):
        classes([Urllist(tmp_path / "t.csv")], Taxonomy())
    (tmp_path / "i" / "Neutral").mkdir(parents=True)
    (tmp_path / "i" / "Neutral" / "1.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"Neutral/1\.jpg: no class 'Neutral'"):  # told by case
        classes([Local(tmp_path / "i", label_from="folder")], Taxonomy())
    for name in ("drawing", "x\x1b[2J"):
        (tmp_path / "i" / name).mkdir()
        (tmp_path / "i" / name / "2.jpg").write_bytes(b"x")
    with pytest.raises(UsageError) as error:  # all of them, with what a terminal would obey escaped
        classes([Local(tmp_path / "i", label_from="folder"), Urllist(tmp_path / "t.csv")], Taxonomy())
    for said in (
        "no class 'Neutral'",
        "drawing/2.jpg: no class 'drawing'",
        "x\\x1b[2J",
        "t.csv:3: no class 'netural'",
    ):
        assert said in str(error.value)
    assert "\x1b" not in str(error.value)
    assert str(error.value).count("there are: drawings, hentai") == 1, "what there is, once for all of them"


def test_a_file_of_no_class_is_named_by_the_gate_that_refuses_it(tmp_path: Path) -> None:
    for name in ("neutral/1.jpg", "stray.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    sources = [Local(tmp_path, label_from="folder")]
    with pytest.raises(GateError, match=rf"can yield unlabelled \({tmp_path}/stray\.jpg\), which the taxonomy"):
        Gate(required=False).admit(classes(sources, Taxonomy()), ("neutral",), lambda label: place(sources, label))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
async def test_accents_are_compared_composed(tmp_path: Path, form: Literal["NFC", "NFD"]) -> None:
    other: Literal["NFC", "NFD"] = "NFD" if form == "NFC" else "NFC"
    folder, known = (unicodedata.normalize(one, "été") for one in (form, other))
    taxonomy = Taxonomy(axes=(Axis(classes=(known, "neutral"), safe=(known, "neutral")),))
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "1.jpg").write_bytes(b"x")
    local = Local(tmp_path, label_from="folder")
    assert classes([local], taxonomy) == {unicodedata.normalize("NFC", "été")}
    assert {c.label for c in await everything(local)} == set(taxonomy.first.classes[:1])
    assert Local(tmp_path, label=folder).classes() == set(taxonomy.first.classes[:1])


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


async def test_every_suffix_and_content_without_one(tmp_path: Path) -> None:
    for name in ("a.jfif", "b.jpe", "c.jif", "d.MPO", "e.apng", "f.dib"):
        (tmp_path / name).write_bytes(b"x")
    for name, start in (("jpeg", b"\xff\xd8\xff\xe0"), ("png", b"\x89PNG\r\n\x1a\n"), ("webp", b"RIFF1234WEBPVP8 ")):
        (tmp_path / name).write_bytes(start + bytes(20))
    (tmp_path / "text").write_bytes(b"nothing of the kind")
    assert [c.ref for c in await everything(Local(tmp_path))] == [
        "a.jfif", "b.jpe", "c.jif", "d.MPO", "e.apng", "f.dib", "jpeg", "png", "webp",
    ]  # fmt: skip


async def test_names_that_are_no_text_are_kept_by_their_bytes(tmp_path: Path) -> None:
    names = [b"caf\xe9.jpg", b"caf\xc3\xa9.jpg", b"\xff\xfe.png", b"plain.jpg", b"caf\\xe9.jpg"]
    folder = tmp_path / os.fsdecode(b"f\xe8te")
    folder.mkdir()
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(name)
    found = await everything(Local(tmp_path, label_from="folder", album="folder"))
    assert len({c.locator.value for c in found}) == len(found) == len(names)
    for one in found:
        for text in (one.locator.value, one.ref, one.label or "", one.album or ""):
            assert text.encode()  # a catalog can hold it
        path = path_of(one.locator.value)
        assert os.fsencode(path).rpartition(b"/")[2] == read(Path(path), 100)
    assert [c.locator for c in await everything(Local(tmp_path), text_of("f\udce8te/caf\udce9.jpg"))] == [
        c.locator for c in found if os.fsencode(path_of(c.locator.value)) > os.fsencode(folder) + b"/caf\xe9.jpg"
    ]


async def test_what_is_left_out_of_a_folder_is_counted(tmp_path: Path) -> None:
    away, root = tmp_path / "away", tmp_path / "images"
    away.mkdir()
    root.mkdir()
    for n in range(3):
        (away / f"{n}").write_bytes(b"x")
        (root / f"{n}.jpg").symlink_to(away / f"{n}")
    (root / "own.jpg").write_bytes(b"x")
    (root / "notes.txt").write_bytes(b"x")
    (root / "loop").symlink_to("loop")
    (root / "round").symlink_to(root)
    (root / "dead.jpg").symlink_to("nowhere")
    os.mkfifo(root / "pipe.jpg")
    named = ["dead.jpg", "own.jpg", "pipe.jpg"]  # what cannot be opened fails with its reason
    for follow, refs in ((False, named), (True, ["0.jpg", "1.jpg", "2.jpg", *named])):
        source = Local(root, follow_links=follow)
        (page,) = [page async for page in source.pages(NoHttp(), None)]  # type: ignore[arg-type]
        assert [c.ref for c in page.candidates] == refs
        assert source.stamp()
        assert {note.subject: note.detail for note in page.notes} == {
            "files that are named like no picture": "1",
            "links that lead back to a folder seen before": "1",
            "links that lead nowhere, or to themselves": "1",
            **({} if follow else {"links that lead outside (follow_links = true follows them)": "3"}),
        }


async def test_a_folder_without_images_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no images in this folder"):
        await everything(Local(tmp_path))
    with pytest.raises(UsageError, match="no such folder"):
        await everything(Local(tmp_path / "absent"))
