"""`curate dedupe` on real pictures and on hashes that are known."""

import io
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from curate import hashes
from curate.config import Config, DedupeConfig
from curate.contracts import Needs
from curate.dedupe import dedupe
from curate.engine.pool import Pool
from curate.engine.serial import Serial
from curate.errors import ItemError
from curate.media import phash
from curate.media.decode import Bounds, open_image, scaled
from curate.progress import Progress
from curate.records import Reason
from curate.store.workspace import Workspace
from curate.toml import build
from tests.builders import add, add_hashed, decide, dump, members, mention, workspace
from tests.pictures import encode, photograph, texture

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
    box = tuple(round(x) for x in (image.width * 0.3, image.height * 0.3, image.width * 0.7, image.height * 0.7))
    part = image.crop(box)
    coarse = part.resize((10, 10), Image.Resampling.BOX).resize(part.size, Image.Resampling.NEAREST)
    copy.paste(coarse, box[:2])
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
    assert found == {
        "samples": 21, "groups": 7, "duplicates": 14, "conflicts": 0, "unhashed": 0, "rebuilt": [],
    }  # fmt: skip
    rows = members(ws)
    for first, second, half in families:
        assert rows[first]["grp"] == rows[second]["grp"] == rows[half]["grp"] == min(first, second, half)
        assert {rows[one]["survivor"] for one in (first, second, half)} == {first}  # as large, and more bytes
    assert len({row["grp"] for row in rows.values()}) == 7


@pytest.mark.parametrize("change", [barred, mosaic, cropped])
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


def rows_of_table(ws: Workspace) -> list[dict[str, object]]:
    table = hashes.table(ws).read()
    return [] if table is None else table.to_pylist()


def test_the_row_of_a_picture() -> None:
    import imagehash

    for name in PHOTOGRAPHS:
        small = scaled(open_image(encode(photograph(name)), Bounds()), phash.SIDE)
        row = phash.columns_of(small)
        assert row["phash"] == np.packbits(imagehash.phash(small).hash).tobytes()
        assert row["quality"] > 10
        assert row["thumb"] == small.convert("L").resize((32, 32), Image.Resampling.LANCZOS).tobytes()
    assert phash.columns_of(Image.new("RGB", (128, 128), "white"))["quality"] == 0


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
        db.execute(
            "INSERT INTO tombstones VALUES ('sha256', ?, 'asked', NULL, '')", (ws.catalog.digest("sha256", half),)
        )
    assert run(ws)["samples"] == 1
    assert members(ws).keys() == {rough}
    assert ws.catalog.one("SELECT count(*) FROM splits") == 3  # remembered all the same


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
    return [tuple(row)[:4] for row in ws.catalog.rows("SELECT * FROM conflicts ORDER BY 1, 2, 3")]


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


# -- again, and more -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_anything_at_all(ws: Workspace, count: int) -> None:
    for n in range(count):
        add(ws, encode(texture(n)))
    found = run(ws)
    assert (found["samples"], found["groups"], found["duplicates"]) == (count, 0, 0)


def test_running_it_again_changes_nothing(ws: Workspace) -> None:
    family(ws)
    add(ws, encode(texture(1)), "neutral")
    first = run(ws)
    before, changes = dump(ws), ws.catalog.one("SELECT total_changes()")
    assert run(ws) == first
    assert dump(ws) == before
    assert ws.catalog.one("SELECT total_changes()") == changes  # and writes nothing


def test_the_engine_leaves_no_trace(tmp_path: Path) -> None:
    found = []
    for name, engine in (("serial", Serial()), ("pool", Pool(2))):
        ws = workspace(tmp_path / name)
        for n in range(70):
            add(ws, encode(texture(n // 2), quality=90 - n % 2))
        dedupe(ws, engine, Progress(quiet=True))
        table = hashes.table(ws)
        found.append((dump(ws), [p.read_bytes() for p in sorted(table.path.iterdir())]))
        ws.close()
    assert found[0] == found[1]


def test_a_corrupt_part_is_named_and_made_again(ws: Workspace) -> None:
    family(ws)
    first = run(ws)
    before = dump(ws)
    (part,) = hashes.table(ws).parts()
    (path,) = hashes.table(ws).path.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert run(ws) == first | {"rebuilt": [part]}
    assert dump(ws) == before
    assert run(ws) == first


class Fragile:
    """An engine whose workers die at one item."""

    def __init__(self, poison: str) -> None:
        self.poison = poison

    def map(self, work: object, items: Iterable[tuple[str, ...]], needs: Needs) -> Iterator[tuple[object, object]]:
        for item in items:
            if self.poison in item:
                yield item, ItemError(Reason.WORKER_DIED)
            else:
                yield item, work(item)  # type: ignore[operator]


def test_a_worker_that_dies_costs_the_picture_that_kills_it(ws: Workspace) -> None:
    ids = [add(ws, encode(texture(n))) for n in range(6)]
    found = dedupe(ws, Fragile(ids[3]), Progress(quiet=True))  # type: ignore[arg-type]
    assert found["unhashed"] == 1
    assert {row["id"] for row in rows_of_table(ws)} == set(ids) - {ids[3]}


def test_a_fault_of_ours_is_not_taken_for_a_bad_picture(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(image: Image.Image) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(phash, "columns_of", broken)
    add(ws, encode(texture(1)))
    with pytest.raises(RuntimeError, match="a bug"):
        run(ws)


# -- properties over hashes ------------------------------------------------------------------------------------------

bits = st.integers(0, 2**64 - 1)
waves = st.lists(
    st.lists(st.tuples(st.integers(0, 4), st.sets(st.integers(0, 63), max_size=8)), max_size=6), max_size=4
)


def hashed(wave: int, picks: list[tuple[int, set[int]]]) -> dict[str, bytes]:
    """Samples around five far-apart hashes, each with some bits flipped."""
    found = {}
    for number, (base, flips) in enumerate(picks):
        value = int.from_bytes(np.random.default_rng(base).bytes(8))
        for bit in flips:
            value ^= 1 << bit
        found[f"{(wave * 31 + number * 17) % 97:02d}{wave}{number}".ljust(64, "0")] = value.to_bytes(8)
    return found


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(waves)
def test_adding_data_moves_no_split_and_leaks_nothing(tmp_path_factory: pytest.TempPathFactory, arrivals: list) -> None:
    ws = workspace(tmp_path_factory.mktemp("w"), Config(dedupe=DedupeConfig(group_radius=10, collapse_radius=4)))
    everything: dict[str, bytes] = {}
    before: dict[str, str] = {}
    for wave, picks in enumerate(arrivals):
        new = hashed(wave, picks)
        everything |= new
        add_hashed(ws, new, f"wave-{wave}")
        run(ws)
        rows = members(ws)
        after = {one: str(row["split"]) for one, row in rows.items()}
        assert before.items() <= after.items()
        before = after
        check_sets(everything, rows)
    ws.close()


def check_sets(everything: dict[str, bytes], rows: dict[str, dict[str, str | None]]) -> None:
    stays: dict[str | None, set[str | None]] = {}
    for row in rows.values():
        if row["excluded"] is None:
            stays.setdefault(row["grp"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in stays.values())
    for a, left in everything.items():
        assert apart(left, everything[str(rows[a]["survivor"])]) <= 4
        assert rows[str(rows[a]["survivor"])]["survivor"] == rows[a]["survivor"]
        for b, right in everything.items():
            if apart(left, right) <= 10:
                assert rows[a]["grp"] == rows[b]["grp"]
            if a != b and rows[a]["survivor"] == a and rows[b]["survivor"] == b:
                assert apart(left, right) > 4


def apart(left: bytes, right: bytes) -> int:
    return (int.from_bytes(left) ^ int.from_bytes(right)).bit_count()


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(waves, st.randoms())
def test_the_order_of_arrival_leaves_no_trace(
    tmp_path_factory: pytest.TempPathFactory, arrivals: list, random: object
) -> None:
    batches = [hashed(wave, picks) for wave, picks in enumerate(arrivals)]
    found = []
    for _ in range(2):
        ws = workspace(tmp_path_factory.mktemp("w"))
        for number, batch in enumerate(batches):
            add_hashed(ws, batch, f"part-{number}")
        run(ws)
        found.append(dump(ws))
        ws.close()
        random.shuffle(batches)  # type: ignore[attr-defined]
    assert found[0] == found[1]


# -- killed ----------------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from curate.config import Config
from curate.dedupe import dedupe
from curate.engine.serial import Serial
from curate.progress import Progress
from curate.store.workspace import Workspace
import curate.hashes, curate.media.phash, imagehash, pyarrow.parquet
curate.hashes.ITEM, curate.hashes.PART = 4, 8
ws = Workspace(Path(sys.argv[1]), Config())
print("ready", flush=True)
dedupe(ws, Serial(), Progress(quiet=True))
print("done", flush=True)
"""


def stocked(root: Path) -> Workspace:
    ws = workspace(root)
    for n in range(60):
        add(ws, encode(texture(n // 2), quality=90 - n % 2), "neutral" if n % 7 else "drawings")
    return ws


def test_killed_at_any_moment_and_run_again_it_says_the_same(tmp_path: Path) -> None:
    calm = stocked(tmp_path / "calm")
    started = time.monotonic()
    run(calm)
    took = time.monotonic() - started
    stormy = tmp_path / "stormy"
    stocked(stormy).close()
    for delay in (0.1, 0.4, 0.7, 0.9):
        command = [sys.executable, "-c", SCRIPT, str(stormy)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(delay * took)
            process.kill()
    ws = workspace(stormy)
    seen = dump(ws)
    assert seen in ({name: [] for name in seen}, dump(calm))  # all of it or none of it
    run(ws)
    assert dump(ws) == dump(calm)
    ws.close()
    calm.close()
