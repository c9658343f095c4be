"""A release that would leak, lacks a licence or has no number is refused, and nothing of it stays."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import curate.release.export as verb
from curate.config import Config, ExportConfig
from curate.errors import GateError, StoreError, UsageError
from curate.features import frames, hashes
from curate.features.hash_worker import Found
from curate.media import pdq
from curate.release import gates
from curate.release import header as release_header
from curate.release.reader import load
from curate.screening.quarantine import quarantine
from curate.store.workspace import Workspace
from tests.support.exports import released, rows
from tests.support.releases import FORMATS, QUIET, SCREENED, Item, Mention, contents, far, stocked


def nothing_left(ws: Workspace) -> bool:
    made = [p.name for top in ("releases", "exports") for p in (ws.work / top).glob("*")]
    return not made and not ws.catalog.all("SELECT 1 FROM releases") and not ws.catalog.all("SELECT 1 FROM released")


@pytest.mark.parametrize("version", ["1", "1.0", "v1.0.0", "1.0.0 ", "01.0.0", "1.0.0-rc1", "../1.0.0", "１.0.0", ""])
def test_a_version_is_three_numbers(tmp_path: Path, version: str) -> None:
    ws = stocked(tmp_path, [Item("x")])
    with pytest.raises(UsageError, match=r"MAJOR\.MINOR\.PATCH"):
        released(ws, version)
    assert nothing_left(ws)


def test_a_release_does_not_change(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("x")])
    released(ws)
    before = contents(ws.work / "releases") | contents(ws.work / "exports")
    with pytest.raises(UsageError, match="there is such a release"):
        released(ws)
    assert contents(ws.work / "releases") | contents(ws.work / "exports") == before
    assert ws.catalog.scalar("SELECT count(*) FROM releases") == 1


def test_nothing_labelled_is_nothing_to_release(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"2 unlabelled.*curate label"):
        released(stocked(tmp_path / "a", [Item("x", weak={}), Item("y", weak={})]))
    with pytest.raises(UsageError, match="workspace is empty"):
        released(stocked(tmp_path / "b", []))


def test_a_licence_where_one_is_required(tmp_path: Path) -> None:
    config = Config(export=ExportConfig(require_license=True))
    bare = stocked(tmp_path / "bare", [Item("x"), Item("y", mentions=[Mention("https://e.example/", "CC0")])], config)
    with pytest.raises(GateError, match=f"licence: 1 of 2 items have none .{Item('x').id}"):
        released(bare)
    assert nothing_left(bare)
    released(stocked(tmp_path / "free", [Item("y", mentions=[Mention("https://e.example/", "CC0")])], config))


FLIPPED = bytes([far(1)[0] ^ 0b1111111, far(1)[1] ^ 0b111, *far(1)[2:]])  # ten bits from far(1)


def test_a_group_in_two_splits_is_refused(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("a", "train", group="g"), Item("b", "test", group="g")])
    with pytest.raises(GateError, match=r"1 groups are in train and in test \(g\)"):
        released(ws)
    assert nothing_left(ws)


@pytest.mark.parametrize("splits", [("train", "test"), ("val", "train"), ("test", "val")])
def test_near_duplicates_in_two_splits_are_refused(tmp_path: Path, splits: tuple[str, str]) -> None:
    pair = [Item("a", splits[0], hash=far(1)), Item("b", splits[1], hash=FLIPPED)]
    ws = stocked(tmp_path / "near", [*pair, Item("c")])
    with pytest.raises(GateError, match="look alike"):
        released(ws)
    assert nothing_left(ws)
    released(stocked(tmp_path / "one", [replace(item, split="train") for item in pair]))
    released(stocked(tmp_path / "flat", [pair[0], replace(pair[1], quality=0.5)]))
    config = replace(Config(), dedupe=replace(Config().dedupe, group_radius=9))
    released(stocked(tmp_path / "tight", pair, config))


def test_a_frame_in_common_in_two_splits_is_refused(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("a", hash=far(1)), Item("b", "test", hash=far(2)), Item("c")])
    ids = [Item("a").id, Item("b").id]
    with ws.catalog.tx() as db:
        db.executemany("UPDATE samples SET frames = 2 WHERE id = ?", ((one,) for one in ids))
    rows = np.zeros(2, dtype=frames.ROW)
    rows["frame"], rows["count"], rows["quality"] = (0, 1), 2, 50
    rows["phash"][1] = np.frombuffer(far(3), dtype=np.uint8)
    apart = {"train": ids[:1], "val": [], "test": ids[1:]}
    assert release_header.coverage_of(ws)["coverage"]["looked_at"] == 1, (
        "of three, two of whose frames nothing is known"
    )
    frames.write(ws, {ids[0]: rows.tobytes()})
    gates.check_near(ws, apart)
    frames.write(ws, {ids[1]: rows.tobytes()})
    with pytest.raises(GateError, match=r"1 pairs between train and test look alike \(pHash, 10 bits"):
        gates.check_near(ws, apart)


def test_near_duplicates_by_pdq_alone_are_refused(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("a"), Item("b", "test"), Item("c", "val")])
    ids = [row[0] for row in ws.catalog.all("SELECT sample FROM members WHERE split <> 'val' ORDER BY 1")]
    for quality in (40, 90):  # a picture without texture has a hash that says nothing
        gates.check_near(ws, {"train": ids[:1], "val": [], "test": ids[1:]})
        twins = [Found(one, None, (pdq.Pdq(pdq.MAIN, bytes(range(256)), quality),)) for one in ids]
        hashes.write(ws, twins, "part")
    with pytest.raises(GateError, match=r"look alike \(PDQ, 31 bits"):
        released(ws)
    assert nothing_left(ws)


def test_an_item_that_the_gate_cannot_judge_is_refused(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("a"), Item("b", "test")])
    next((ws.work / "tables").glob("phash@*/*.parquet")).unlink()
    with pytest.raises(GateError, match="2 items have no perceptual hash"):
        released(ws)
    assert nothing_left(ws)


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (lambda rows: rows | {"test": pa.concat_tables([rows["test"], rows["train"]])}, "belong to another split"),
        (lambda rows: rows | {"train": pa.concat_tables([rows["train"], rows["train"]])}, "there twice"),
    ],
)
def test_the_gate_reads_what_was_written(golden: Workspace, tamper: Any, says: str) -> None:
    release = load(golden.work / "releases" / "1.0.0")
    gates.check_leakage(golden, release)
    with pytest.raises(GateError, match=says):
        gates.check_leakage(golden, replace(release, rows=tamper(release.rows)))


def test_what_is_held_back_while_a_release_is_written_is_not_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quarantine waits for no other verb: whoever was told that it holds the sample back must not find it released."""
    ws = stocked(tmp_path, [Item("a"), Item("b")])
    one, other = (row[0] for row in ws.catalog.all("SELECT id FROM samples ORDER BY id"))
    with monkeypatch.context() as patch:
        late: Any = lambda *_: quarantine(ws.catalog, one, "seen just now", actor="ann") and {}  # noqa: E731
        patch.setattr(verb, "_write_formats", late)
        with pytest.raises(GateError, match="1 items were held back while"):
            released(ws)
    assert nothing_left(ws)
    assert not ws.catalog.all("SELECT 1 FROM files")
    released(ws, "1.0.1")
    assert list(rows(ws, "1.0.1")) == [other]


@pytest.mark.parametrize("names", [("exports",), ("exports", "1.0.0")])
def test_nothing_is_written_through_a_link(tmp_path: Path, names: tuple[str, ...]) -> None:
    ws, other = stocked(tmp_path / "w", [Item("a")]), tmp_path / "other"
    other.mkdir()
    if len(names) > 1:
        released(ws, formats={})
        shutil.rmtree(ws.work.joinpath(*names))
    ws.work.joinpath(*names).symlink_to(other)
    act = verb.export_also if len(names) > 1 else verb.export
    with pytest.raises(StoreError, match="a link is where a folder of ours goes"):
        act(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    assert not list(other.iterdir())
    assert (ws.work / "releases" / "1.0.0").exists() == (len(names) > 1)
    ws.close()
