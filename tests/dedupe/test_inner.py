"""The picture within a border, a letterbox's bars or a page; what the verbs make of such copies, and of turned ones."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from curate.checks import dataset
from curate.checks import run as checking
from curate.config import Config, DedupeConfig
from curate.dedupe.explain import explain
from curate.dedupe.held_out import hold_out
from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.errors import GateError
from curate.features import hashes
from curate.fingerprint import fingerprint
from curate.media import inner, phash
from curate.near import turns
from curate.progress import Progress
from curate.release.export import export
from curate.store.workspace import Workspace
from tests.support.builders import add, members, workspace
from tests.support.pictures import encode, photograph, texture
from tests.support.releases import FORMATS, SCREENED, Item, far, stocked

QUIET = Progress(quiet=True)
Change = Callable[[Image.Image], Image.Image]


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = workspace(tmp_path / "ws")
    yield made
    made.close()


def letterbox(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, (0, image.height // 6), "black")


def subtitled(image: Image.Image) -> Image.Image:
    """A letterbox with a line of text in its lower bar."""
    copy = letterbox(image)
    ImageDraw.Draw(copy).text((copy.width // 4, copy.height - image.height // 10), "- What? - Nothing.", "white")
    return copy


def page(image: Image.Image) -> Image.Image:
    """A screenshot: on a plain page, with a headline."""
    found = Image.new("RGB", (image.width * 3 // 2, image.height * 8 // 5), (250, 250, 248))
    found.paste(image, (image.width // 4, image.height * 2 // 5))
    ImageDraw.Draw(found).text((image.width // 4, image.height // 6), "Something happened", (20, 20, 20))
    return found


def framed(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, image.width // 15, "white")


FRAMES: list[Change] = [letterbox, subtitled, page, framed, lambda image: letterbox(framed(image))]


def grey(image: Image.Image) -> np.ndarray:
    image = image.convert("L")
    return np.asarray(image.resize((240, 240 * image.height // image.width)))


# -- where it lies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png"])
def test_the_picture_within_a_frame_has_the_hash_of_the_picture(frame: Change, name: str) -> None:
    image = photograph(name)
    whole = phash.columns_of(image)
    jpeg = Image.open(io.BytesIO(encode(frame(image), quality=70)))
    found = phash.columns_of(jpeg)
    assert found["inner_quality"] > 1
    for ours, theirs in ((found["inner_phash"], whole["phash"]), (found["inner_signs"], whole["signs"])):
        assert np.bitwise_count(np.frombuffer(ours, np.uint8) ^ np.frombuffer(theirs, np.uint8)).sum() <= 6


@pytest.mark.parametrize("levels", [
    np.zeros((120, 160), np.uint8), np.full((1, 1), 255, np.uint8), np.full((300, 7), 9, np.uint8),
    np.random.default_rng(0).integers(0, 256, (120, 160), dtype=np.uint8), grey(photograph("coffee.png")),
])  # fmt: skip
def test_a_picture_without_a_frame_has_no_inner_one(levels: np.ndarray) -> None:
    assert inner.box(levels) is None


def test_a_dot_on_a_page_is_no_picture_and_the_box_is_to_the_pixel() -> None:
    levels = np.full((200, 300), 240, np.uint8)
    levels[90:105, 140:150] = 0
    assert inner.box(levels) is None
    levels[40:140, 60:200] = np.random.default_rng(1).integers(0, 200, (100, 140))
    levels[160:170, 60:200:3] = 0  # a line of text
    assert inner.box(levels) == (60, 40, 200, 140)
    assert inner.box(levels.T) == (40, 60, 140, 200)
    row = phash.columns_of(texture(1))
    assert np.isnan(row["inner_quality"])
    assert row["inner_phash"] == row["inner_signs"] == bytes(8)


# -- what the verbs make of it ---------------------------------------------------------------------------------------


def test_copies_share_a_group_and_a_split_and_are_not_collapsed_away(ws: Workspace) -> None:
    image = photograph("coffee.png")
    changed = [letterbox(image), page(image), ImageOps.mirror(image), framed(ImageOps.flip(image)),
               image.rotate(90, expand=True)]  # fmt: skip
    ids = [add(ws, encode(image, quality=95), "neutral"), *(add(ws, encode(one), "drawings") for one in changed)]
    other = add(ws, encode(photograph("chelsea.png")), "neutral")
    found = dedupe(ws, Serial(), QUIET)
    assert (found["groups"], found["duplicates"], found["conflicts"]) == (1, 0, 1)
    rows = members(ws)
    assert len({(rows[one]["grp"], rows[one]["split"]) for one in ids}) == 1
    assert rows[other]["grp"] == other
    hows = {one["sample"]: one["how"] for one in explain(ws, ids[0])["nearest"]}
    ways = " ".join(hows.values())
    assert "without a border" in ways
    assert "mirrored left to right" in hows[ids[3]]
    assert "mirrored top to bottom" in hows[ids[4]]
    for options, groups in ((DedupeConfig(borders=False, orientations=False), 0), (DedupeConfig(borders=False), 1)):
        fresh = workspace(ws.root.parent / f"{options.orientations}", Config(dedupe=options))
        for one in (image, letterbox(image), ImageOps.mirror(photograph("chelsea.png")), photograph("chelsea.png")):
            add(fresh, encode(one))
        assert dedupe(fresh, Serial(), QUIET)["groups"] == groups
        fresh.close()


def test_a_flat_picture_turned_is_found_by_pdq_where_phash_says_nothing(ws: Workspace) -> None:
    """Of a picture that is symmetrical in both axes most of pHash's coefficients are noise: it is not asked."""
    quarter = np.asarray(photograph("coffee.png").convert("L").resize((200, 150)), dtype=np.float64)
    half = np.concatenate([quarter, quarter[::-1]])
    noisy = np.concatenate([half, half[:, ::-1]], axis=1) + np.random.default_rng(0).normal(0, 4, (300, 400))
    image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    ids = [add(ws, encode(image, "PNG")), add(ws, encode(image.transpose(Image.Transpose.ROTATE_90), "PNG"))]
    found = dedupe(ws, Serial(), QUIET)
    assert "orientations" in found["stages"]  # type: ignore[operator]
    assert len({members(ws)[one]["grp"] for one in ids}) == 1


def test_what_is_held_out_keeps_mirrored_and_bordered_copies_out(ws: Workspace, tmp_path: Path) -> None:
    image, folder = photograph("coffee.png"), tmp_path / "eval"
    folder.mkdir()
    (folder / "one.jpg").write_bytes(encode(page(image)))
    (folder / "two.jpg").write_bytes(encode(photograph("chelsea.png")))
    near = {add(ws, encode(image)), add(ws, encode(letterbox(ImageOps.mirror(photograph("chelsea.png")))))}
    add(ws, encode(texture(1)))
    hold_out(ws, str(folder), Serial(), QUIET)
    found = dedupe(ws, Serial(), QUIET)
    assert {one for one, row in members(ws).items() if row["excluded"] == "held_out"} == near
    assert found["held_out_upright"] == []
    with ws.catalog.tx() as db:  # as a version before this one left it
        db.execute("UPDATE held_out SET signs = x'', inner_phash = x'', inner_signs = x'', inner_quality = 0")
    assert dedupe(ws, Serial(), QUIET)["held_out_upright"] == [str(folder)]
    assert not {one for one, row in members(ws).items() if row["excluded"] == "held_out"}


@pytest.mark.parametrize("change", [ImageOps.mirror, letterbox, page, lambda image: framed(image).rotate(180)])
def test_check_finds_a_mirrored_or_bordered_copy_in_another_split(tmp_path: Path, change: Change) -> None:
    for n in range(8):
        put(tmp_path / ("test" if n % 4 == 3 else "train") / "cat" / f"{n}.jpg", encode(texture(n)))
    put(tmp_path / "train/cat/photo.png", encode(photograph("coffee.png"), "PNG"))
    put(tmp_path / "test/cat/copy.jpg", encode(change(photograph("coffee.png")), quality=60))
    done = checking.check(dataset.read(tmp_path, None, (), False), Serial(), QUIET)
    (leak,) = done.facts["leaks"]
    assert leak["pictures"] == 1
    assert "pHash" in leak["examples"][0]["how"]


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_hashes_of_earlier_rules_are_void_and_made_again_once(ws: Workspace) -> None:
    add(ws, encode(photograph()))
    old = [ws.table("phash", fingerprint("phash", version, side, 32)) for version in (3, 4) for side in (0, 120)]
    for one in old:
        one.path.mkdir(parents=True)
    assert sorted(dedupe(ws, Serial(), QUIET)["void"]) == sorted(one.path.name for one in old)  # type: ignore[call-overload]
    assert dedupe(ws, Serial(), QUIET)["void"] == []
    assert hashes.table(ws).parts()


# -- the gate --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", range(1, 8))
def test_the_gate_asks_test_against_train_where_dedupe_was_told_not_to(tmp_path: Path, turn: int) -> None:
    upright, off = np.frombuffer(far(1), np.uint8), DedupeConfig(orientations=False)
    turned = turns.turned(upright[None], turn).tobytes()
    config = Config(dedupe=off)
    for split, refused in (("test", True), ("val", False)):
        items = [Item("a", hash=upright.tobytes()), Item("b", split, hash=turned), Item("c", "test")]
        ws = stocked(tmp_path / split, items, config)
        if refused:
            with pytest.raises(GateError, match=r"mirrored or turned.*set orientations and borders"):
                export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
            ws.config = replace(config, dedupe=DedupeConfig())
            with pytest.raises(GateError, match=r"mirrored or turned.*run `curate dedupe` again"):
                export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
        else:
            export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
            said = json.loads((ws.work / "releases" / "1.0.0" / "release.json").read_text())["leakage"]
            assert said["orientations"] is False
            assert said["test_against_train"] == {"orientations": True, "borders": True, "turned_radius": 6}
        ws.close()
