"""`curate dedupe` on real pictures and on hashes that are known."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from curate.config import Config
from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.features import detail, hashes
from curate.media import phash
from curate.media.decode import Bounds, flattened, luminance, open_image
from curate.options import build
from curate.progress import Progress
from curate.store.workspace import Workspace
from tests.support.builders import add, decide, dump, members, mention, workspace
from tests.support.pictures import encode, photograph, texture

PHOTOGRAPHS = (
    "astronaut.png",
    "coffee.png",
    "chelsea.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "ihc.png",
    "coins.png",
)


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = workspace(tmp_path)
    yield made
    made.close()


def run(ws: Workspace) -> dict[str, object]:
    found = dedupe(ws, Serial(), Progress(quiet=True))
    assert found.pop("seconds") is not None
    assert found.pop("stages") is not None
    return found


def resized(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def barred(image: Image.Image) -> Image.Image:
    """A black bar over a third of the width."""
    copy = image.copy()
    w, h = image.size
    ImageDraw.Draw(copy).rectangle((w * 0.35, h * 0.3, w * 0.65, h * 0.36), fill="black")
    return copy


def mosaic(image: Image.Image) -> Image.Image:
    """Ten coarse squares across the middle 40 %."""
    copy = image.copy()
    left, top = round(image.width * 0.3), round(image.height * 0.3)
    part = image.crop((left, top, round(image.width * 0.7), round(image.height * 0.7)))
    coarse = part.resize((10, 10), Image.Resampling.BOX).resize(part.size, Image.Resampling.NEAREST)
    copy.paste(coarse, (left, top))
    return copy


def cropped(image: Image.Image) -> Image.Image:
    """The middle 95 % of each side."""
    w, h = image.size
    return image.crop((round(w * 0.025), round(h * 0.025), round(w * 0.975), round(h * 0.975)))


# -- pictures --------------------------------------------------------------------------------------------------------


def test_reencoded_and_resized_photographs_collapse_and_others_stay_apart(ws: Workspace) -> None:
    families = []
    for name in PHOTOGRAPHS:
        image = photograph(name)
        versions = [encode(image, quality=92), encode(image, quality=60), encode(resized(image, 0.5), quality=85)]
        families.append([add(ws, data) for data in versions])
    found = run(ws)
    duplicates = found.pop("duplicates")
    whole = {"looked_at": 21, "of": 21, "share": 1.0, "said": "21 of 21 samples"}
    assert (found.pop("coverage"), found.pop("incomplete")) == (whole, None)
    assert found == {
        "samples": 21, "held": 0, "groups": 7, "chained": 0, "conflicts": 0, "contested": 0, "held_out": 0,
        "held_out_upright": [], "unhashed": 0, "void": [], "rebuilt": [],
    }  # fmt: skip
    rows = members(ws)
    for first, second, half in families:
        assert rows[first]["grp"] == rows[second]["grp"] == rows[half]["grp"] == min(first, second, half)
        assert rows[second]["survivor"] == rows[first]["survivor"] == first  # as large, and more bytes
    halves = sum(rows[half]["survivor"] == first for first, _, half in families)
    assert halves >= 5  # of a fine texture, half the size keeps too little to be sure of
    assert duplicates == 7 + halves
    assert len({row["grp"] for row in rows.values()}) == 7


def small_mosaic(image: Image.Image) -> Image.Image:
    """Ten coarse squares over 15 % of the sides, where there is most to hide."""
    copy, levels = image.copy(), np.asarray(image.convert("L"), dtype=float)
    wide, high = round(image.width * 0.15), round(image.height * 0.15)
    steps = range(1, 6)
    places = [(image.width * x // 7, image.height * y // 7) for x in steps for y in steps]
    x, y = max(places, key=lambda at: float(np.abs(np.diff(levels[at[1] : at[1] + high, at[0] : at[0] + wide])).mean()))
    part = image.crop((x, y, x + wide, y + high))
    coarse = part.resize((10, 10), Image.Resampling.BOX).resize(part.size, Image.Resampling.NEAREST)
    copy.paste(coarse, (x, y))
    return copy


def shaded(image: Image.Image) -> Image.Image:
    """A soft shadow, 30 levels deep, over a spot a fifth of the width wide: no edge, no detail lost."""
    x, y = (np.linspace(0, 1, side) for side in image.size)
    spot = 30 * np.exp(-(((x[None] - 0.5) ** 2 + (y[:, None] - 0.5) ** 2) / (2 * 0.08**2)))
    return Image.fromarray((np.asarray(image, dtype=float) - spot[..., None]).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("change", [barred, mosaic, small_mosaic, shaded, cropped])
def test_what_may_change_the_label_is_not_collapsed_away(ws: Workspace, change: object) -> None:
    """A bar, a mosaic, a crop: the hash alone would take most of them for the same picture."""
    pairs = []
    for name in PHOTOGRAPHS:
        image = photograph(name)
        pairs.append((add(ws, encode(image, quality=90)), add(ws, encode(change(image), quality=90))))  # type: ignore[operator]
    assert run(ws)["duplicates"] == 0
    rows = members(ws)
    assert sum(rows[a]["grp"] == rows[b]["grp"] for a, b in pairs) >= 4  # and most of them share a split


def test_flat_pictures_are_near_to_nothing_but_themselves(ws: Workspace) -> None:
    """All of these have much the same hash, or one that is noise; without the quality gate they chain."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    plain = [np.full((64, 64), level, dtype=np.uint8) for level in (0, 1, 127, 254, 255)]
    plain += [np.tile(ramp, (64, 1)), np.tile(ramp[:, None], (1, 64))]
    plain += [(127 + rng.normal(0, 1, (64, 64))).astype(np.uint8) for _ in range(5)]
    plain += [np.array(Image.new("L", (64, 64), 255)) for _ in range(2)]
    for number, values in enumerate(plain):
        add(ws, encode(Image.fromarray(values).resize((64 + number, 64)), "PNG"))
    hashed = [row["phash"] for row in rows_of_table(ws)] if run(ws) else []
    assert len(hashed) - len(set(hashed)) >= 5
    assert all(row["quality"] < phash.MIN_QUALITY for row in rows_of_table(ws))
    assert run(ws)["groups"] == 0


def rows_of_table(ws: Workspace) -> list[dict[str, Any]]:
    table = hashes.table(ws).read()
    return [] if table is None else table.to_pylist()


def test_the_row_of_a_picture() -> None:
    import imagehash

    for name in PHOTOGRAPHS:
        data = encode(photograph(name).resize((640, 480)))
        row = phash.columns_of(open_image(data, Bounds()))
        small = luminance(open_image(data, Bounds()), phash.SIDE).image
        assert row["phash"] == np.packbits(imagehash.phash(small).hash).tobytes()
        assert row["quality"] > 10
        assert row["thumb"] == small.resize((32, 32), Image.Resampling.LANCZOS).tobytes()
    assert phash.columns_of(Image.new("RGB", (128, 128), "white"))["quality"] == 0


@pytest.mark.parametrize("side", [phash.SIDE, 2 * phash.SIDE])
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_scaled_decode_shows_the_picture_and_no_more(turn: int, side: int) -> None:
    """A side that the scale does not divide has a pixel at its end that lies mostly outside; EXIF can turn it first."""
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112] = turn
    photograph().resize((1289, 961), Image.Resampling.LANCZOS).save(out, "JPEG", quality=95, exif=exif)
    seen = luminance(open_image(out.getvalue(), Bounds()), side)
    assert seen.scale == 960 // side
    whole = flattened(open_image(out.getvalue(), Bounds()), "L").resize((32, 32), Image.Resampling.LANCZOS)
    row = phash.row_of(seen)
    apart = np.frombuffer(row["thumb"], np.uint8).astype(int) - np.asarray(whole).ravel()
    assert np.abs(apart).max() <= 12, "21 and more where the pixel at the end counts in full"
    assert np.unpackbits(np.frombuffer(row["phash"] + phash.phash(whole), np.uint8)).reshape(2, 64).std(0).sum() <= 1


def test_the_quality_is_the_median_distance_from_the_threshold() -> None:
    from scipy.fft import dctn

    small = photograph().convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    low = dctn(np.asarray(small, dtype=float), norm="ortho")[:8, :8]
    assert phash.columns_of(small.convert("RGB"))["quality"] == pytest.approx(
        np.median(np.abs(low - np.median(low))), abs=1e-3
    )


def oddities() -> dict[str, bytes]:
    """One picture in ways that decoders stumble over."""
    image = resized(photograph(), 0.5)
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(turned, "JPEG", quality=95, exif=exif)
    palette = image.quantize(128)
    palette.info["transparency"] = 0
    deep = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    moving = io.BytesIO()
    image.save(moving, "GIF", save_all=True, append_images=[texture(3, image.size)])
    return {
        "plain": encode(image, "PNG"),
        "turned": turned.getvalue(),
        "cmyk": encode(image.convert("CMYK"), quality=95),
        "palette": encode(image.quantize(128), "PNG"),
        "16-bit": encode(deep, "PNG"),
        "animated": moving.getvalue(),
        "alpha": encode(image.convert("RGBA"), "PNG"),
    }


def test_a_picture_is_recognised_however_it_is_stored(ws: Workspace) -> None:
    ids = {name: add(ws, data) for name, data in oddities().items()}
    assert run(ws)["groups"] == 1
    rows = members(ws)
    assert {name: rows[one]["grp"] for name, one in ids.items()} == dict.fromkeys(ids, min(ids.values()))
    assert rows[ids["turned"]]["collapse"] == rows[ids["plain"]]["collapse"]


def test_a_picture_of_one_pixel_and_bytes_that_are_gone(ws: Workspace) -> None:
    add(ws, encode(Image.new("RGB", (1, 1)), "PNG"))
    lost = add(ws, encode(texture(1)))
    ws.blobs.delete(lost)
    found = run(ws)
    assert (found["samples"], found["unhashed"], found["groups"]) == (2, 1, 0)
    assert members(ws)[lost]["split"] in ("train", "val", "test")


# -- who survives ----------------------------------------------------------------------------------------------------


def family(ws: Workspace) -> list[str]:
    """One picture four times: best last."""
    image = photograph()
    versions = (encode(resized(image, 0.5), quality=95), encode(image, quality=60), encode(image, quality=95))
    return [add(ws, data) for data in versions]


def survivors(ws: Workspace) -> set[str | None]:
    return {row["survivor"] for row in members(ws).values()}


def test_a_person_then_pixels_then_bytes(ws: Workspace) -> None:
    half, rough, fine = family(ws)
    run(ws)
    assert survivors(ws) == {fine}
    name = members(ws)[fine]["collapse"]
    decide(ws, half, "neutral")
    run(ws)
    assert survivors(ws) == {half}
    decide(ws, rough, "neutral")
    run(ws)
    assert survivors(ws) == {rough}
    assert {row["collapse"] for row in members(ws).values()} == {name}  # the set keeps its name


def test_the_smaller_id_of_equals(ws: Workspace) -> None:
    """Two files of one size and one picture: a GIF comment's bytes are all that differs."""
    ids = []
    for text in (b"a", b"b", b"c"):
        out = io.BytesIO()
        texture(5).save(out, "GIF", comment=text)
        ids.append(add(ws, out.getvalue()))
    run(ws)
    assert survivors(ws) == {min(ids)}


def test_who_leaves_the_release_does_not_survive_one_who_stays(ws: Workspace) -> None:
    half, rough, fine = family(ws)
    with ws.catalog.tx() as db:
        db.executemany("INSERT INTO splits VALUES (?, ?, NULL)", [(fine, "train"), (half, "test")])
    run(ws)
    rows = members(ws)
    assert (rows[fine]["split"], rows[fine]["excluded"]) == ("train", "merged_with_test")
    assert (rows[rough]["split"], rows[rough]["excluded"]) == ("test", None)
    assert survivors(ws) == {rough}


# -- who is out, and who is together ---------------------------------------------------------------------------------


def test_held_and_taken_down_samples_are_in_no_group(ws: Workspace) -> None:
    half, rough, fine = family(ws)
    run(ws)
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'looked wrong', '')", (fine,))
        db.execute("INSERT INTO removing VALUES (?, 'receipt')", (half,))
    assert run(ws)["samples"] == 1
    assert members(ws).keys() == {rough}
    assert ws.catalog.scalar("SELECT count(*) FROM splits") == 3  # remembered all the same


def test_an_album_shares_a_split_within_its_source(ws: Workspace) -> None:
    one, two = (add(ws, encode(texture(n)), album="walk", source="urllist:a") for n in (1, 2))
    other = add(ws, encode(texture(3)), album="walk", source="urllist:b")
    mention(ws, other, None, "night", "urllist:b")
    fourth = add(ws, encode(texture(4)), album="night", source="urllist:b")
    assert run(ws)["groups"] == 2
    rows = members(ws)
    assert rows[one]["grp"] == rows[two]["grp"] != rows[other]["grp"] == rows[fourth]["grp"]
    assert {row["survivor"] for row in rows.values()} == {one, two, other, fourth}


def test_radii_that_make_no_sense_are_refused() -> None:
    with pytest.raises(Exception, match="collapse_radius must lie between 0 and group_radius"):
        build(Config, {"dedupe": {"group_radius": 3, "collapse_radius": 4}}, "", Path())


# -- who contradicts whom --------------------------------------------------------------------------------------------


def conflicts(ws: Workspace) -> list[tuple[str, ...]]:
    return [tuple(row)[:4] for row in ws.catalog.all("SELECT * FROM conflicts ORDER BY 1, 2, 3")]


def test_sources_that_contradict_each_other_become_a_row_until_they_do_not(ws: Workspace) -> None:
    image = photograph()
    ids = [
        add(ws, encode(image, quality=q), label) for q, label in ((90, "neutral"), (80, "drawings"), (70, "neutral"))
    ]
    for number, label in enumerate(("neutral", "drawings")):  # one album, two classes: no contradiction
        add(ws, encode(texture(number)), label, album="mixed")
    assert run(ws)["conflicts"] == 1
    assert conflicts(ws) == [("declared", min(ids), "content", "sources declare drawings (1), neutral (2)")]
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO conflicts VALUES ('review', 'x', 'content', 'someone else wrote this', NULL)")
        db.execute("UPDATE declared SET label = 'neutral'")
    assert run(ws)["conflicts"] == 0
    assert conflicts(ws) == [("review", "x", "content", "someone else wrote this")]


def test_one_sample_under_two_classes_is_a_conflict(ws: Workspace) -> None:
    one = add(ws, encode(texture(1)), "neutral")
    mention(ws, one, "drawings", None, "urllist:b")
    run(ws)
    assert conflicts(ws) == [("declared", one, "content", "sources declare drawings (1), neutral (1)")]


def test_people_who_contradict_each_other_in_a_collapse_set(ws: Workspace) -> None:
    half, rough, fine = family(ws)
    barred_one = add(ws, encode(barred(photograph()), quality=90))
    decide(ws, half, "neutral")
    decide(ws, barred_one, "drawings")  # near, and not the same picture
    assert run(ws)["conflicts"] == 0
    decide(ws, rough, "drawings")
    run(ws)
    assert conflicts(ws) == [("human", min(half, rough, fine), "content", "people say drawings (1), neutral (1)")]
    decide(ws, rough, "neutral")
    assert run(ws)["conflicts"] == 0


# -- detail ----------------------------------------------------------------------------------------------------------


def test_detail_is_made_once_and_for_what_would_collapse_only(ws: Workspace) -> None:
    ids = [add(ws, encode(texture(1), quality=q)) for q in (95, 60)]
    add(ws, encode(texture(2)))
    run(ws)
    (part,) = detail.table(ws).path.iterdir()
    rows = detail.table(ws).read()
    assert rows is not None
    assert rows.column("id").to_pylist() == sorted(ids)
    before = dump(ws)
    for one in ids:
        ws.blobs.delete(one)  # it is not asked for again
    assert run(ws)["duplicates"] == 1
    part.write_bytes(b"no table")
    found = run(ws)
    assert found["rebuilt"] == [f"grain/{part.stem.rpartition('.')[0]}"]
    assert found["duplicates"] == 0  # what cannot be looked at is not collapsed away
    assert dump(ws) != before
