"""Sets that are held out, groups that chain, mirrors and vectors: what dedupe does beyond two hashes upright."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image, ImageOps

from curate.config import Config, DedupeConfig
from curate.contracts import Resources
from curate.dedupe.held_out import forget, hold_out
from curate.dedupe.run import dedupe
from curate.engine.pool import Pool
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.progress import Progress
from curate.removal.remove import remove
from curate.store.workspace import Workspace
from tests.support.builders import add, add_hashed, members, workspace
from tests.support.pictures import encode, photograph, texture

QUIET = Progress(quiet=True)


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = workspace(tmp_path / "ws")
    yield made
    made.close()


def run(ws: Workspace) -> dict[str, object]:
    return dedupe(ws, Serial(), QUIET)


def with_options(ws: Workspace, options: DedupeConfig) -> None:
    ws.config = replace(ws.config, dedupe=options)


def left_out(ws: Workspace) -> set[str]:
    return {one for one, row in members(ws).items() if row["excluded"] == "held_out"}


def shelf(folder: Path, **pictures: bytes) -> Path:
    (folder / "deep").mkdir(parents=True)
    for name, data in pictures.items():
        (folder / "deep" / name).write_bytes(data)
    return folder


# -- held out --------------------------------------------------------------------------------------------------------


def test_what_is_near_a_held_out_set_leaves_every_later_release(ws: Workspace, tmp_path: Path) -> None:
    same, copy, other = encode(texture(1)), encode(photograph(), quality=60), add(ws, encode(texture(2)))
    ids = {add(ws, same), add(ws, encode(photograph(), quality=90))}
    folder = shelf(tmp_path / "eval", one=same, two=copy, notes=b"no picture")
    found = hold_out(ws, str(folder), Serial(), QUIET)
    assert found == {"name": str(folder), "items": 2, "unreadable": 1}
    assert run(ws)["held_out"] == 2
    assert left_out(ws) == ids
    late = add(ws, encode(photograph().resize((300, 300)), quality=80))  # the set's files may be gone by now
    (folder / "deep" / "two").unlink()
    assert run(ws)["held_out"] == 3
    assert left_out(ws) == ids | {late}
    assert members(ws)[other]["excluded"] is None
    forget(ws, str(folder))
    assert run(ws)["held_out"] == 0
    assert not left_out(ws)


def test_a_release_is_held_out_by_its_version(ws: Workspace) -> None:
    one, copy, other = (add(ws, data) for data in (encode(texture(1), quality=95), encode(texture(1), quality=70),
                                                   encode(texture(2))))  # fmt: skip
    run(ws)
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO releases VALUES ('1.0.0', '', NULL, '', NULL)")
        db.execute("INSERT INTO released VALUES ('1.0.0', ?, 'test')", (one,))
    assert hold_out(ws, "1.0.0", Serial(), QUIET)["items"] == 1
    run(ws)
    assert left_out(ws) == {one, copy}
    assert members(ws)[other]["excluded"] is None


def test_a_collapse_set_leaves_as_a_whole_and_what_stays_survives(ws: Workspace, tmp_path: Path) -> None:
    """The copy lies just beyond the radius of the held-out picture, and shows what its twin within it shows."""
    held, twin, copy = ("a" * 64, "b" * 64, "c" * 64)
    add_hashed(ws, {held: bytes(8), twin: (2**10 - 1).to_bytes(8), copy: (2**12 - 1).to_bytes(8)}, "part")
    with_options(ws, DedupeConfig("phash"))
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO held_out_sets VALUES ('set', 'set', 0, '', NULL)")
        db.execute(
            "INSERT INTO held_out (name, item, phash, quality, pdq, pdq_quality) VALUES ('set', 'x', ?, 50, ?, 0)",
            (bytes(8), bytes(32)),
        )
    run(ws)
    assert left_out(ws) == {held, twin, copy}


def test_the_same_origin_again_replaces_what_was_known_of_it(ws: Workspace, tmp_path: Path) -> None:
    folder = shelf(tmp_path / "eval", one=encode(texture(1)))
    hold_out(ws, str(folder), Pool(2), QUIET)
    (folder / "deep" / "one").write_bytes(encode(texture(2)))
    hold_out(ws, str(folder), Pool(2), QUIET)
    ids = [add(ws, encode(texture(n))) for n in (1, 2)]
    run(ws)
    assert left_out(ws) == {ids[1]}


def test_what_is_taken_down_is_in_no_held_out_set_either(ws: Workspace) -> None:
    one, other = (add(ws, encode(texture(n))) for n in (1, 2))
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO held_out_sets VALUES ('set', 'set', 0, '', NULL)")
        rows = ((sample, bytes(8), bytes(32)) for sample in (one, other))
        db.executemany(
            "INSERT INTO held_out (name, item, phash, quality, pdq, pdq_quality) VALUES ('set', ?, ?, 50, ?, 0)", rows
        )
    run(ws)
    remove(ws, [one], "asked")
    assert [row[0] for row in ws.catalog.all("SELECT item FROM held_out")] == [other]
    assert run(ws)["samples"] == 1


@pytest.mark.parametrize("origin", ["nowhere", "9.9.9"])
def test_what_is_no_set_is_refused(ws: Workspace, tmp_path: Path, origin: str) -> None:
    with pytest.raises(UsageError, match="neither a folder nor a release"):
        hold_out(ws, origin, Serial(), QUIET)
    with pytest.raises(UsageError, match="no such set is held out"):
        forget(ws, origin)
    with pytest.raises(UsageError, match="no picture in it"):
        hold_out(ws, str(shelf(tmp_path / "eval", notes=b"words")), Serial(), QUIET)


# -- chains ----------------------------------------------------------------------------------------------------------


def test_a_group_that_chains_is_split_into_parts_that_share_its_split(ws: Workspace) -> None:
    """Ten bits a step: 0-1-2-3-4. The smallest id takes its neighbours; the smallest of the rest is next."""
    ids = [digit * 64 for digit in "01234"]
    steps = {one: (2 ** (10 * n) - 1).to_bytes(8) for n, one in enumerate(ids)}
    pair = {"e" * 64: b"\xff" * 8, "f" * 64: b"\xff" * 8}
    add_hashed(ws, steps | pair, "part")
    with_options(ws, DedupeConfig("phash", collapse_radius=0))
    found = run(ws)
    assert (found["groups"], found["chained"]) == (2, 1)
    rows = members(ws)
    assert {(rows[one]["grp"], rows[one]["split"]) for one in ids} == {(ids[0], rows[ids[0]]["split"])}
    parts = dict(tuple(row) for row in ws.catalog.all("SELECT sample, part FROM group_parts"))
    assert parts == dict(zip(ids, [ids[0], ids[0], ids[2], ids[2], ids[4]], strict=True))
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO quarantine (kind, subject, reason, at) VALUES ('sample', ?, 'looked wrong', '')", (ids[4],)
        )
        db.execute(
            "INSERT INTO quarantine (kind, subject, reason, at) VALUES ('sample', ?, 'looked wrong', '')", (ids[3],)
        )
    run(ws)
    held = dict(tuple(row) for row in ws.catalog.all("SELECT sample, part FROM group_parts"))
    assert held == {ids[0]: ids[0], ids[1]: ids[0], ids[2]: ids[2]}


# -- turned, mirrored, cropped ---------------------------------------------------------------------------------------


def test_mirrors_and_quarter_turns_are_found_where_they_are_asked_for(ws: Workspace) -> None:
    image = photograph("chelsea.png")
    turned = [image, ImageOps.mirror(image), ImageOps.flip(image), image.rotate(90, expand=True),
              image.rotate(270, expand=True), image.transpose(Image.Transpose.TRANSVERSE)]  # fmt: skip
    ids = [add(ws, encode(one, quality=80 + n)) for n, one in enumerate(turned)]
    add(ws, encode(photograph("coffee.png")))
    with_options(ws, DedupeConfig(orientations=False))
    assert run(ws)["groups"] == 0
    with_options(ws, DedupeConfig("pdq"))
    by_pdq = run(ws)
    assert set(by_pdq["stages"]) == {"pdq", "orientations"}  # type: ignore[call-overload]
    with_options(ws, DedupeConfig())
    found = run(ws)
    assert set(found["stages"]) == {"phash", "turned", "pdq"}  # type: ignore[call-overload]
    for one in (by_pdq, found):
        assert (one["groups"], one["duplicates"]) == (1, 0)
    assert len({members(ws)[one]["grp"] for one in ids}) == 1


@dataclass(frozen=True)
class Means:
    """Its vector is the mean of each quarter of the picture: a stand-in for a network."""

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = {"embedding": "float16[12]"}

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[object]) -> Mapping[str, np.ndarray]:
        found = []
        for one in batch:
            pixels = np.asarray(one.image(256).convert("RGB").resize((2, 2)), dtype=np.float16)  # type: ignore[attr-defined]
            found.append(pixels.ravel() - 127)
        return {"embedding": np.stack(found)}


def test_embeddings_group_what_hashes_miss(ws: Workspace) -> None:
    image = photograph("chelsea.png")
    wide, high = image.size
    crop = image.crop((wide // 8, high // 8, wide * 7 // 8, high * 7 // 8))
    ids = [add(ws, encode(image)), add(ws, encode(crop))]
    assert run(ws)["groups"] == 0
    with_options(ws, DedupeConfig(cosine=0.9))
    found = dedupe(ws, Serial(), QUIET, Means())
    assert (found["groups"], found["duplicates"], found["chained"]) == (1, 0, 0)
    assert len({members(ws)[one]["grp"] for one in ids}) == 1


# -- what is not ours ------------------------------------------------------------------------------------------------


def test_hashes_of_a_newer_version_are_left_alone_and_not_read(ws: Workspace) -> None:
    ids = [add(ws, encode(texture(1), quality=q)) for q in (95, 60)]
    newer = ws.work / "tables" / "phash@ffffffffffff" / "fetch-1.0123456789abcdef.parquet"
    newer.parent.mkdir(parents=True)
    newer.write_bytes(b"what a later curate wrote")
    found = run(ws)
    assert (found["groups"], found["rebuilt"]) == (1, [])
    assert newer.read_bytes() == b"what a later curate wrote"
    assert len({members(ws)[one]["collapse"] for one in ids}) == 1


@pytest.mark.parametrize("count", [2, 300])
def test_all_of_them_equal_is_one_group_with_one_survivor(ws: Workspace, count: int) -> None:
    add_hashed(ws, {f"{n:064x}": b"\x5a" * 8 for n in range(count)}, "part")
    with_options(ws, DedupeConfig("phash"))
    found = run(ws)
    assert (found["groups"], found["duplicates"], found["chained"]) == (1, count - 1, 0)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"pdq_group_radius": 8, "pdq_collapse_radius": 9}, "pdq_collapse_radius must lie"),
        ({"turned_radius": 65}, "turned_radius must lie"),
        ({"cosine": 1.5}, "cosine must lie"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Config(dedupe=DedupeConfig(**options))  # type: ignore[arg-type]
