"""A copy that dedupe misses is refused, left out, or grouped: by hashes it does not group by, borne out by others."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from curate.commands.app import REFUSED
from curate.config import Config, ExportConfig
from curate.dedupe import second_look
from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.errors import GateError
from curate.features import hashes
from curate.features.hash_worker import Found
from curate.media import pdq, phash
from curate.records import SPLITS
from curate.release.checked import SUSPECTED
from curate.release.export import export
from curate.release.reader import load
from curate.store.workspace import Workspace
from tests.support.builders import bare, far_pdq
from tests.support.pictures import photograph, texture
from tests.support.releases import QUIET, SCREENED, Item, far, stocked

SHARES = {"train": 0.4, "val": 0.3, "test": 0.3}
DROP = ExportConfig(splits=SHARES, on_suspect="drop")


def thumb(image: Any, brighter: int = 0) -> bytes:
    grey = np.frombuffer(phash.columns_of(image)["thumb"], dtype=np.uint8).astype(int)
    return bytes(np.clip(grey + brighter, 0, 255).astype(np.uint8))


def off(hashed: bytes, bits: int) -> bytes:
    """The same, with so many bits flipped in each of eight orientations."""
    flips = np.packbits(np.arange(pdq.BITS) < bits).tobytes() * pdq.ORIENTATIONS
    return bytes(a ^ b for a, b in zip(hashed, flips, strict=True))


def planted(ws: Workspace, two: tuple[str, str], thumbs: tuple[bytes, bytes], apart: int = 40) -> None:
    """Give two samples thumbnails, PDQs so many bits apart, and pHashes two bits further than a group reaches."""
    first, lows = far_pdq(two[0]).hashes, [far(1), bytes([far(1)[0] ^ 255, far(1)[1] ^ 15, *far(1)[2:]])]
    for one, seen, hashed, low in zip(two, thumbs, (first, off(first, apart)), lows, strict=True):
        row = cast(phash.HashRow, bare(low) | {"quality": 20.0, "thumb": seen})
        hashes.write(ws, [Found(one, row, (pdq.Pdq(pdq.MAIN, hashed, 100),))], "z")


def grouped(root: Path, export: ExportConfig) -> tuple[Workspace, dict[str, list[str]]]:
    """A workspace of thirty items that dedupe has seen, and the ids of each split."""
    ws = stocked(root, [Item(f"item {n}") for n in range(30)], replace(Config(), export=export))
    dedupe(ws, Serial(), QUIET)
    found: dict[str, list[str]] = {split: [] for split in SPLITS}
    for sample, split in ws.catalog.all("SELECT sample, split FROM members ORDER BY sample"):
        found[split].append(sample)
    assert all(found.values())
    return ws, found


def released(ws: Workspace, version: str = "1.0.0") -> dict[str, Any]:
    return export(ws, version, {}, QUIET, SCREENED)


@pytest.fixture(params=[("train", "test"), ("train", "val"), ("val", "test")], ids="-".join)
def leaking(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Workspace, str, str, str]]:
    """A workspace with a copy that dedupe misses, in two splits: which of the weaker split, which other, its split."""
    ws, ids = grouped(tmp_path, ExportConfig(splits=SHARES))
    weak, strong = request.param
    planted(ws, (ids[weak][0], ids[strong][0]), (thumb(photograph()), thumb(photograph(), 12)))
    yield ws, ids[weak][0], ids[strong][0], strong
    ws.close()


def test_a_copy_that_dedupe_misses_is_refused_until_it_is_grouped(leaking: tuple[Workspace, str, str, str]) -> None:
    ws, weak, strong, split = leaking
    dedupe(ws, Serial(), QUIET)
    with pytest.raises(
        GateError, match=rf"1 pairs among 30 rows look alike .*{weak} and {strong}.*--from-gate"
    ) as raised:
        released(ws)
    assert raised.value.exit_code == REFUSED
    assert not list((ws.work / "releases").glob("*")) if (ws.work / "releases").exists() else True
    assert dedupe(ws, Serial(), QUIET, from_gate=True)["from_gate"] == 1
    dedupe(ws, Serial(), QUIET)  # a group never comes apart
    found = released(ws)
    assert found["excluded"] == {f"merged_with_{split}": 1}
    header = load(ws.work / "releases" / "1.0.0").header
    assert header["gates"]["second_look"]["rows"] == 1, "the thumbnails of all others are plain"
    assert strong in json.dumps(
        [table.column("id").to_pylist() for table in load(ws.work / "releases" / "1.0.0").rows.values()]
    )


def test_or_is_left_out_and_counted(tmp_path: Path) -> None:
    ws, ids = grouped(tmp_path, DROP)
    copies = (ids["train"][0], ids["test"][0])
    planted(ws, copies, (thumb(photograph()), thumb(photograph(), 12)))
    found = released(ws)
    assert found["excluded"] == {SUSPECTED: 1}
    release = load(ws.work / "releases" / "1.0.0")
    assert copies[0] not in release.rows["train"].column("id").to_pylist()
    assert copies[1] in release.rows["test"].column("id").to_pylist()
    said = release.header["gates"]["second_look"]
    assert said == {"rows": 2, "of": 30, "candidates": 1, "confirmed": 1, "verdict": "passed"}


def test_nothing_is_refused_by_one_hash_alone(tmp_path: Path) -> None:
    """A stranger's PDQ, another picture, plain pictures: each takes its confirmation away."""
    ws, ids = grouped(tmp_path, ExportConfig(splits=SHARES))
    copies = (ids["train"][0], ids["test"][0])
    photo = thumb(photograph())
    for number, (thumbs, apart) in enumerate(
        [
            ((photo, photo), second_look.PDQ + 1),
            ((photo, thumb(texture(1))), 0),
            ((bytes([128]) * 1024, bytes([128]) * 1024), 0),
        ]
    ):
        planted(ws, copies, thumbs, apart if apart else 40)
        released(ws, f"1.0.{number}")
    planted(ws, copies, (photo, photo), second_look.PDQ)
    with pytest.raises(GateError, match="second look"):
        released(ws, "2.0.0")


def test_thumbnails_bear_out_what_differs_by_light_alone() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 200, (1, 1024), dtype=np.uint8)
    thumbs = np.concatenate([one, one + 40, rng.integers(0, 256, (1, 1024), dtype=np.uint8), np.full_like(one, 9)])
    pairs = np.array([[0, 1], [0, 2], [0, 3], [3, 3]])
    assert second_look.by_thumbs(thumbs, pairs).tolist() == [True, False, False, False]


def test_one_split_holds_nothing_to_compare(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("a"), Item("b")])
    planted(ws, (Item("a").id, Item("b").id), (thumb(photograph()), thumb(photograph())))
    released(ws)
    gates = load(ws.work / "releases" / "1.0.0").header["gates"]
    assert gates["near"]["verdict"] == "none: one split holds all rows, and there is no other"
    assert gates["second_look"]["verdict"].startswith("none")
