"""Animations and many-page files are one sample of many pictures: one stands for another where every frame does."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageSequence

from curate.animations import MOST, spread
from curate.dedupe import dedupe
from curate.engine.serial import Serial
from curate.progress import Progress
from curate.store.workspace import Workspace
from tests.builders import add, members, workspace
from tests.calling import Command
from tests.pictures import encode, photograph, texture

CONFIG = """
[screening]
required = false
[[sources]]
use = "local"
path = "images"
label_from = "folder"
"""
KINDS = ("GIF", "PNG", "WEBP", "TIFF", "AVIF")


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = workspace(tmp_path)
    yield made
    made.close()


def clip(kind: str, frames: Sequence[Image.Image], size: tuple[int, int] = (320, 240)) -> bytes:
    """These pictures as an animation, or as pages."""
    made = io.BytesIO()
    first, *rest = (frame.convert("RGB").resize(size) for frame in frames)
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "AVIF" else {}
    if kind != "TIFF":
        options["duration"] = 80
    first.save(made, kind, save_all=True, append_images=rest, **options)
    return made.getvalue()


def scenes(*seeds: int) -> list[Image.Image]:
    return [photograph(), *(texture(seed, (320, 240)) for seed in seeds)]


def sets(ws: Workspace, **files: bytes) -> dict[str, str | None]:
    """The collapse set of each file, and that all are one group."""
    ids = {name: add(ws, data) for name, data in files.items()}
    assert len(set(ids.values())) == len(files)
    assert not dedupe(ws, Serial(), Progress(quiet=True))["incomplete"]
    rows = members(ws)
    assert len({rows[one]["grp"] for one in ids.values()}) == 1, "one first frame is one group, and one split"
    return {name: rows[one]["collapse"] for name, one in ids.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_one_title_card_is_not_one_animation(ws: Workspace, kind: str) -> None:
    told = sets(
        ws,
        one=clip(kind, scenes(1, 2, 3)),
        another=clip(kind, scenes(4, 5, 6)),
        last=clip(kind, scenes(1, 2, 7)),
        order=clip(kind, scenes(2, 1, 3)),
        shorter=clip(kind, scenes(1, 2)),
        still=encode(photograph().resize((320, 240)), "PNG"),
    )
    assert len(set(told.values())) == len(told)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_animation_made_again_collapses(ws: Workspace, kind: str) -> None:
    one = clip(kind, scenes(1, 2, 3))  # a GIF's colours are few, so its own frames are taken
    with Image.open(io.BytesIO(one)) as image:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(image)]
    told = sets(ws, one=one, again=clip("WEBP" if kind == "TIFF" else "TIFF", frames, (280, 210)))
    assert len(set(told.values())) == 1


def test_one_frame_of_many_that_differs(ws: Workspace) -> None:
    frames = scenes(*range(1, 25))
    other = [*frames[:20], texture(99, (320, 240)), *frames[21:]]
    assert len(set(sets(ws, one=clip("WEBP", frames, (160, 120)), other=clip("WEBP", other, (160, 120))).values())) == 2


def test_a_sample_whose_frames_cannot_be_read_stands_for_itself_and_is_said(ws: Workspace) -> None:
    whole = clip("TIFF", scenes(1, 2))
    one, other = add(ws, whole), add(ws, clip("PNG", scenes(1, 2)))
    with ws.catalog.tx() as db:
        db.execute("UPDATE samples SET frames = 9")  # more than there are
    found = dedupe(ws, Serial(), Progress(quiet=True))
    assert found["incomplete"]
    rows = members(ws)
    assert rows[one]["collapse"] != rows[other]["collapse"]


@pytest.mark.parametrize("count", [1, 2, 3, MOST, MOST + 1, 77, 100])
def test_the_frames_that_are_compared(count: int) -> None:
    found = spread(count)
    assert found == sorted(set(found))
    assert (len(found), found[0], found[-1]) == (min(count, MOST), 0, count - 1)


def test_in_confined_workers_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images" / "neutral"
    folder.mkdir(parents=True)
    (tmp_path / "curate.toml").write_text(CONFIG)
    for name, last in (("one.gif", 3), ("other.gif", 4), ("third.webp", 5)):
        (folder / name).write_bytes(clip(name.split(".")[1].upper(), scenes(1, 2, last)))
    curate = Command(tmp_path, monkeypatch, capfd)
    curate("fetch")
    assert curate("dedupe", "--json").json["duplicates"] == 0
