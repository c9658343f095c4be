"""Animations and many-page files are one sample of many pictures: one stands for another where every frame does."""

import io
import itertools
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from curate.config import Config, DedupeConfig, ScreeningConfig
from curate.contracts import Resources
from curate.dedupe import animations
from curate.dedupe.groups import merge_components
from curate.dedupe.held_out import forget, hold_out
from curate.dedupe.run import dedupe
from curate.dedupe.sharing import Every, alike, joined
from curate.engine.serial import Serial
from curate.features import frames
from curate.label.final import labels
from curate.media.keyframes import MOST, spread
from curate.progress import Progress
from curate.removal.takedown import takedown
from curate.report import duplicates
from curate.report.run import report
from curate.review.app.dataset import known
from curate.review.assignment import Item
from curate.store import migrations
from curate.store.samples import disputed
from curate.store.workspace import Workspace
from tests.support.builders import add, members, workspace
from tests.support.calling import Command
from tests.support.pictures import clip, encode, photograph, texture

SIZE = (160, 120)
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


def scenes(*seeds: int) -> list[Image.Image]:
    return [photograph(), *(texture(seed, SIZE) for seed in seeds)]


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
        still=encode(photograph().resize(SIZE), "PNG"),
    )
    assert len(set(told.values())) == len(told)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_animation_made_again_collapses(ws: Workspace, kind: str) -> None:
    one = clip(kind, scenes(1, 2, 3), (320, 240))  # a GIF's colours are few, so its own frames are taken
    with Image.open(io.BytesIO(one)) as image:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(image)]
    told = sets(ws, one=one, again=clip("WEBP" if kind == "TIFF" else "TIFF", frames, (280, 210)))
    assert len(set(told.values())) == 1


def groups(ws: Workspace, *ids: str) -> int:
    """In how many groups these are, which are as many collapse sets as there are samples."""
    found = dedupe(ws, Serial(), Progress(quiet=True))
    assert not found["incomplete"]
    rows = members(ws)
    assert len({rows[one]["collapse"] for one in ids}) == len(ids)
    names = {(rows[one]["grp"], rows[one]["split"]) for one in ids}
    assert len(names) == len({name for name, _ in names})
    return len(names)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_frame_is_shared_makes_one_group(ws: Workspace, kind: str) -> None:
    one = add(ws, clip(kind, scenes(1, 2, 3)))
    still = add(ws, encode(texture(2, SIZE).resize((128, 96)), "JPEG", quality=90))
    other = add(ws, clip(kind, [texture(11, SIZE), texture(12, SIZE), texture(2, SIZE)]))
    alone = add(ws, clip(kind, [texture(21, SIZE), texture(22, SIZE)]))
    assert groups(ws, one, still, other) == 1
    assert groups(ws, one, alone) == 2


def test_frames_are_held_against_what_came_before_and_what_comes_later(ws: Workspace) -> None:
    still = add(ws, encode(texture(2, SIZE), "PNG"))
    dedupe(ws, Serial(), Progress(quiet=True))
    one = add(ws, clip("GIF", scenes(1, 2)))
    assert groups(ws, one, still) == 1
    later = add(ws, encode(texture(1, SIZE), "PNG"))
    assert groups(ws, one, later, still) == 1


def test_a_card_at_the_end_of_many_is_one_group_and_no_contradiction(ws: Workspace) -> None:
    """Its members share a split, and nothing else: what the sources declare of them is not of one picture."""
    ids = [
        add(
            ws, clip("WEBP", [texture(10 + n, (160, 120)), texture(50 + n, (160, 120)), photograph()], (160, 120)), said
        )
        for n, said in enumerate(["neutral", "porn"] * 3)
    ]
    assert groups(ws, *ids) == 1
    assert ws.catalog.scalar("SELECT count(*) FROM conflicts") == 0
    assert ws.catalog.scalar("SELECT count(*) FROM group_parts") == 0, "each is within the radius of the first"


def test_a_contradiction_within_a_wide_group_is_about_those_that_look_alike(ws: Workspace) -> None:
    """The card ties strangers together; only the still and its copy wait, about which sources disagree."""
    card = photograph()
    tied = [add(ws, clip("PNG", [texture(n), card]), "neutral") for n in (1, 2)]
    alike = [add(ws, encode(card, "JPEG", quality=q), said) for q, said in ((95, "porn"), (60, "neutral"))]
    dedupe(ws, Serial(), Progress(quiet=True))
    assert len({row["grp"] for row in members(ws).values()}) == 1
    assert disputed(ws.catalog, "content") == set(alike)
    assert not set(tied) & labels(ws, ws.config.taxonomy.axes[0]).withheld.keys()


def test_a_conflict_of_an_older_catalog_is_no_less_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the next dedupe it is about the whole group, as it was."""
    ids = [f"{n}" * 64 for n in range(3)]
    (tmp_path / "work").mkdir()
    with monkeypatch.context() as patch, closing(sqlite3.connect(tmp_path / "work/catalog.db")) as db:
        patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:9])
        db.isolation_level = None
        migrations.migrate(db)
        columns = "(id, sha1, md5, bytes, media_type, width, height)"
        db.executemany(
            f"INSERT INTO samples {columns} VALUES (?, '', '', 1, 'image/png', 8, 8)", [(one,) for one in ids]
        )
        groups = ((one, ids[0] if n < 2 else one, one, one) for n, one in enumerate(ids))
        db.executemany("INSERT INTO members VALUES (?, ?, ?, ?, 'train', NULL)", groups)
        db.execute("INSERT INTO conflicts VALUES ('declared', ?, 'content', 'sources disagree', NULL)", (ids[0],))
    ws = workspace(tmp_path)
    assert disputed(ws.catalog, "content") == set(ids[:2])
    assert labels(ws, ws.config.taxonomy.axes[0]).withheld == dict.fromkeys(ids[:2], "conflict")
    ws.close()


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_what_shares_a_frame_with_a_set_that_is_held_out(ws: Workspace, tmp_path: Path, kind: str) -> None:
    shared, folder = texture(7), tmp_path / "benchmark"
    folder.mkdir()
    (folder / "one").write_bytes(clip(kind, [texture(5), shared, texture(6)]))
    (folder / "two").write_bytes(encode(texture(8), "PNG"))
    still, moving = add(ws, encode(shared, "PNG")), add(ws, clip(kind, [texture(1), texture(8)]))
    other = add(ws, clip(kind, [texture(2), texture(3)]))
    assert hold_out(ws, str(folder), Serial(), Progress(quiet=True))["items"] == 2
    dedupe(ws, Serial(), Progress(quiet=True))
    reasons = {one: row["excluded"] for one, row in members(ws).items()}
    assert reasons == {still: "held_out", moving: "held_out", other: None}
    forget(ws, str(folder))
    dedupe(ws, Serial(), Progress(quiet=True))
    assert {row["excluded"] for row in members(ws).values()} == {None}


def test_where_the_first_frame_alone_is_to_count(tmp_path: Path) -> None:
    ws = workspace(tmp_path, Config(dedupe=DedupeConfig(frames="first")))
    shared = texture(2, SIZE)
    ids = [add(ws, clip("GIF", [texture(n, SIZE), shared])) for n in (5, 6)]
    assert groups(ws, *ids, add(ws, encode(shared, "PNG"))) == 3
    ws.close()


@pytest.mark.parametrize("hashed", ["phash", "pdq"])
def test_each_hash_finds_it_alone(tmp_path: Path, hashed: Literal["phash", "pdq"]) -> None:
    ws = workspace(tmp_path, Config(dedupe=DedupeConfig(hash=hashed)))
    one, still = add(ws, clip("GIF", scenes(1, 2))), add(ws, encode(texture(2, SIZE), "PNG"))
    other = add(ws, encode(texture(9, SIZE), "PNG"))
    assert groups(ws, one, still) == 1
    assert groups(ws, one, other) == 2
    ws.close()


def test_frames_that_say_nothing_join_nothing(ws: Workspace) -> None:
    """Black and white frames are in half of all animations."""
    dark, light = Image.new("RGB", SIZE), Image.new("RGB", SIZE, "white")
    ids = [add(ws, clip("PNG", [texture(n, SIZE), dark, light])) for n in (1, 2, 3)]
    assert groups(ws, *ids, add(ws, encode(dark, "PNG"))) == 4


def maker(work: Any) -> str:
    """The module whose function a work makes something with."""
    make = getattr(getattr(work, "work", work), "make", None)
    return str(getattr(getattr(make, "func", None), "__module__", ""))


class Counting(Serial):
    """Says which works were mapped over how much."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def map(self, work: Any, items: Iterable[Any], needs: Resources) -> Iterator[tuple[Any, Any]]:
        for found in super().map(work, items, needs):
            self.seen[maker(work)] += 1
            yield found


def test_frames_are_decoded_once(ws: Workspace) -> None:
    for n in range(3):
        add(ws, clip("GIF", scenes(n, n + 1)))
    first, again, more = Counting(), Counting(), Counting()
    dedupe(ws, first, Progress(quiet=True))
    assert first.seen["curate.features.frames"] == first.seen["curate.dedupe.animations"] == 1, (
        "and in detail where the first is one"
    )
    dedupe(ws, again, Progress(quiet=True))
    assert not again.seen
    frames.table(ws).remove(frames.table(ws).parts()[0])
    found = members(ws)
    dedupe(ws, more, Progress(quiet=True))
    assert more.seen == {"curate.features.frames": 1}
    assert members(ws) == found


class Stopping(Serial):
    """Is interrupted at the third animation."""

    def map(self, work: Any, items: Iterable[Any], needs: Resources) -> Iterator[tuple[Any, Any]]:
        for n, found in enumerate(super().map(work, items, needs)):
            if maker(work) == "curate.features.frames" and n == 2:
                raise KeyboardInterrupt
            yield found


def test_what_an_interrupted_run_made_is_not_made_again(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "ITEM", 1)
    monkeypatch.setattr(frames, "PART", 1)
    for n in range(4):
        add(ws, clip("GIF", scenes(n, n + 1)))
    with pytest.raises(KeyboardInterrupt):
        dedupe(ws, Stopping(), Progress(quiet=True))
    assert len(frames.table(ws).parts()) == 2
    rest = Counting()
    dedupe(ws, rest, Progress(quiet=True))
    assert rest.seen["curate.features.frames"] == 2
    for part in frames.table(ws).parts():
        frames.table(ws).remove(part)
    found = members(ws)
    dedupe(ws, Serial(), Progress(quiet=True))
    assert members(ws) == found


def test_a_corrupt_part_of_the_table_is_named_and_made_again(ws: Workspace) -> None:
    one, still = add(ws, clip("GIF", scenes(1, 2))), add(ws, encode(texture(2, SIZE), "PNG"))
    dedupe(ws, Serial(), Progress(quiet=True))
    again = add(ws, clip("PNG", scenes(1, 2)))
    dedupe(ws, Serial(), Progress(quiet=True))
    before = members(ws)
    for table in (frames.table(ws), animations.table(ws)):
        path = sorted(table.path.iterdir())[0]
        path.write_bytes(path.read_bytes()[:-9])
        found = dedupe(ws, Serial(), Progress(quiet=True))
        assert found["rebuilt"] == [f"{table.name}/{path.name.split('.')[0]}"]
        assert members(ws) == before
    assert len({before[sample]["grp"] for sample in (one, again, still)}) == 1


def test_what_is_taken_down_leaves_the_table(ws: Workspace) -> None:
    one, other = add(ws, clip("GIF", scenes(1, 2))), add(ws, clip("GIF", scenes(3, 4)))
    dedupe(ws, Serial(), Progress(quiet=True))
    takedown(ws, one, "court")
    for table in (frames.table(ws), animations.table(ws)):
        rows = table.read([])
        assert rows is not None
        assert set(rows.column("id").to_pylist()) == {other}


def test_of_a_long_animation_the_pictures_that_differ_are_kept(ws: Workspace) -> None:
    """A picture shown for one frame of ninety is no less there than one that is shown for all the others."""
    long = [texture(1, (64, 48)) for _ in range(90)]
    for n, frame in enumerate(long):
        frame.putpixel((n % 64, 20), (n, n, n))  # a writer leaves out frames that change nothing
    long[41] = texture(2, (64, 48))
    one = add(ws, clip("PNG", long, (64, 48)))
    assert 41 not in spread(90)
    assert groups(ws, one, add(ws, encode(texture(2, (64, 48)), "PNG"))) == 1
    keys = frames.keys(ws, [one], np.array([0]))
    assert 41 in keys.number
    assert len(keys.number) < MOST


@given(st.lists(st.lists(st.integers(0, 10), min_size=1, max_size=4), min_size=1, max_size=9))
def test_groups_are_those_of_comparing_everything(shown: list[list[int]]) -> None:
    """Picture k is six bits from k + 1 and twelve from k + 2: a radius of ten joins neighbours, and chains."""
    frame = sorted((place, row, k) for row, some in enumerate(shown) for place, k in enumerate(some))
    hashes = np.stack([np.packbits(np.arange(64) < 6 * k) for _, _, k in frame])
    every = Every("pHash", 10, hashes, np.array([r for _, r, _ in frame]), np.array([p for p, _, _ in frame]))

    def near(a: list[int], b: list[int]) -> bool:
        return any(abs(one - other) <= 1 for one in a for other in b)

    firsts = components([[some[0]] for some in shown], near)
    found = merge_components(firsts, joined([every], firsts))
    assert found.tolist() == components(shown, near).tolist()
    left, right = (side.ravel() for side in np.indices((len(shown), len(shown))))
    told = alike([every], lambda a, _: np.zeros(len(a), dtype=bool))(left, right)
    many = [len(shown[a]) > 1 or len(shown[b]) > 1 for a, b in zip(left, right, strict=True)]
    wanted = [near(shown[a], shown[b]) and some for a, b, some in zip(left, right, many, strict=True)]
    assert told.tolist() == wanted


def components(shown: Sequence[list[int]], near: Callable[[list[int], list[int]], bool]) -> npt.NDArray[np.int64]:
    """Component labels, by comparing all with all."""
    found = np.arange(len(shown))
    for _ in shown:
        for a, b in itertools.combinations(range(len(shown)), 2):
            if near(shown[a], shown[b]):
                found[[a, b]] = min(found[a], found[b])
    return found


def test_one_frame_of_many_that_differs(ws: Workspace) -> None:
    frames = scenes(*range(1, 25))
    other = [*frames[:20], texture(99, SIZE), *frames[21:]]
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


def test_pages_say_how_many_frames_a_picture_stands_for(tmp_path: Path) -> None:
    ws = workspace(tmp_path, Config(screening=ScreeningConfig(required=False)))
    one, other = add(ws, clip("GIF", scenes(1, 2)), "neutral"), add(ws, clip("GIF", scenes(3)), "neutral")
    dedupe(ws, Serial(), Progress(quiet=True))
    for page in (duplicates.report(ws, Progress(quiet=True)), report(ws, Progress(quiet=True))):
        text = page.read_text()
        assert text.count("3 frames, the first shown") >= 1 <= text.count("2 frames, the first shown")
    axis = ws.config.taxonomy.axes[0]
    found = known(ws, [Item(sample, 0, axis.name, True) for sample in (one, other)], axis)
    assert [found[sample].frames for sample in (one, other)] == ["3, 3 at most shown", "2, 2 at most shown"]
    ws.close()
