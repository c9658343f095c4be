"""Scores depend on the bytes alone; what is whole is left alone, what is lost is made again, what is bad is named."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.config import Config
from curate.contracts import Engine, Labeler, Resources
from curate.engine._confine import lacking
from curate.engine.pool import Pool
from curate.engine.serial import Serial
from curate.errors import CurateError, UsageError
from curate.features.score_worker import Task
from curate.features.scores import compute, numbers, read, unread
from curate.options import Plugin
from curate.plugins import fingerprint_of, make, name_of
from curate.progress import Progress
from curate.store.shards import assign
from curate.store.workspace import Workspace
from labelers.declared import Declared
from labelers.efficientnet_lite0 import EfficientnetLite0
from labelers.open_nsfw import OpenNsfw
from tests.support.fakes.brightness import Brightness
from tests.support.fakes.careless import Careless
from tests.support.fakes.denied import Denied
from tests.support.fakes.killer import Killer
from tests.support.fakes.wary import Wary
from tests.support.samples import declare, pictures, sha256, store, workspace

QUIET = Progress(quiet=True)


class Watched:
    """A serial engine that remembers what it was asked to do."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def prepare(self, modules: Sequence[str] = ()) -> None:
        pass

    def map(self, work: Any, items: Iterable[Any], needs: Resources) -> Iterator[tuple[Any, Any]]:
        for item, result in Serial().map(work, items, needs):
            self.tasks.append(item)
            yield item, result


def asked(ws: Workspace, labelers: Sequence[Labeler]) -> list[tuple[int, list[str], list[str]]]:
    """Compute, and say which shards were scored, with how much and by whom."""
    engine = Watched()
    compute(ws, engine, labelers, QUIET)
    return [(task.shard, [one.id for one in task.samples], list(task.labelers)) for task in engine.tasks]


def folder(ws: Workspace, labeler: Any) -> Path:
    return ws.table(name_of(labeler), fingerprint_of(labeler)).path


def part(ws: Workspace, labeler: Any, name: str) -> Path:
    (found,) = folder(ws, labeler).glob(f"{name}.*")
    return found


def parts(ws: Workspace, labeler: Any) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder(ws, labeler).glob("*.parquet"))}


# -- shards ----------------------------------------------------------------------------------------------------------


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(waves=st.lists(st.integers(0, 7), min_size=1, max_size=5), size=st.integers(1, 4))
def test_shards_once_cut_stay(tmp_path_factory: pytest.TempPathFactory, waves: list[int], size: int) -> None:
    ws = workspace(tmp_path_factory.mktemp("ws"))
    before: dict[int, list[str]] = {}
    for wave, n in enumerate(waves):
        new = store(ws, [f"{wave}/{k}".encode() for k in range(n)])
        shards = assign(ws.catalog, size)
        assert {shard: shards[shard] for shard in before} == before
        fresh = [name for shard in sorted(shards) if shard not in before for name in shards[shard]]
        assert fresh == new, "new samples are cut in order of id"
        assert all(len(ids) <= size for ids in shards.values())
        assert len([ids for shard, ids in shards.items() if shard not in before and len(ids) < size]) <= 1
        before = shards
    assert assign(ws.catalog, size) == before
    ws.close()


# -- the promise -----------------------------------------------------------------------------------------------------


def scored(root: Path, waves: Sequence[tuple[Sequence[bytes], Engine]], size: int) -> dict[str, bytes]:
    """Every score of the real labelers, where samples came in waves and were cut into shards of some size."""
    ws = workspace(root)
    labelers: list[Labeler] = [OpenNsfw(), EfficientnetLite0(), Brightness()]
    ids: list[str] = []
    for wave, engine in waves:
        ids = sorted(ids + store(ws, wave))
        assign(ws.catalog, size)
        compute(ws, engine, labelers, QUIET)
    found: dict[str, bytes] = {}
    for labeler in labelers:
        for name, values in read(ws, labeler, ids).items():
            assert not np.isnan(values).any()
            found |= {f"{name_of(labeler)}.{name}.{one}": row.tobytes() for one, row in zip(ids, values, strict=True)}
    ws.close()
    return found


def test_a_score_does_not_depend_on_shard_batch_arrival_or_workers(tmp_path: Path) -> None:
    files = pictures(8)
    whole = scored(tmp_path / "a", [(files, Serial())], 256)
    cut = scored(tmp_path / "b", [(files[4:6], Serial()), ([*files[:4], *files[6:]], Pool(2))], 2)
    assert cut == whole
    assert len({whole[f"open_nsfw.nsfw.{sha256(data)}"] for data in files}) == len(files), "scores that tell apart"


# -- resume ----------------------------------------------------------------------------------------------------------


def test_what_is_whole_is_left_alone(tmp_path: Path) -> None:
    ws = workspace(tmp_path, pictures(5))
    shards = assign(ws.catalog, 2)
    assert [shard for shard, _, _ in asked(ws, [Brightness()])] == [0, 1, 2]
    before = parts(ws, Brightness())
    assert asked(ws, [Brightness()]) == []
    part(ws, Brightness(), "000001").unlink()  # as where a run was killed
    assert asked(ws, [Brightness()]) == [(1, shards[1], ["brightness"])]
    assert parts(ws, Brightness()) == before
    new = store(ws, [b"".join(pictures(6)[5:])])
    assert asked(ws, [Brightness(), Killer()]) == [
        *((shard, ids, ["killer"]) for shard, ids in shards.items()),
        (3, new, ["brightness", "killer"]),
    ]


def test_a_corrupt_part_is_named_and_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ws = workspace(tmp_path, pictures(4))
    assign(ws.catalog, 2)
    compute(ws, Serial(), [Brightness()], QUIET)
    before = parts(ws, Brightness())
    victim = part(ws, Brightness(), "000001")
    whole = victim.read_bytes()
    for bad in (whole[:-40], b"", b"not Parquet at all", whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]):
        victim.write_bytes(bad)
        with caplog.at_level(logging.WARNING):
            assert compute(ws, Serial(), [Brightness()], QUIET).rebuilt == ["brightness/000001"]
        assert "brightness" in caplog.text
        assert "000001" in caplog.text
        assert parts(ws, Brightness()) == before
        caplog.clear()


def test_what_is_held_is_not_scored_until_it_is_free(tmp_path: Path) -> None:
    ws = workspace(tmp_path, pictures(3))
    ids = assign(ws.catalog)[0]
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'test', '')", (ids[1],))
    assert asked(ws, [Brightness()]) == [(0, [ids[0], ids[2]], ["brightness"])]
    assert np.isnan(read(ws, Brightness(), ids)["mean"]).tolist() == [False, True, False]
    with ws.catalog.tx() as db:
        db.execute("DELETE FROM quarantine")
    assert asked(ws, [Brightness()]) == [(0, [ids[1]], ["brightness"])]


# -- what is bad -----------------------------------------------------------------------------------------------------


def test_a_sample_that_cannot_be_decoded_has_no_score(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = pictures(5)
    ws = workspace(tmp_path, files)
    bad = [sha256(files[1]), sha256(files[3])]
    ws.blobs.path(bad[0]).write_bytes(files[1][:300])
    ws.blobs.path(bad[1]).unlink()
    with caplog.at_level(logging.WARNING):
        failed = compute(ws, Serial(), [Brightness()], QUIET).failed
    assert sorted(failed) == sorted(bad)
    assert all(name in caplog.text for name in bad)
    got = read(ws, Brightness(), [sha256(data) for data in files])
    assert np.isnan(got["mean"]).tolist() == [False, True, False, True, False]
    assert np.isnan(got["channels"]).all(axis=1).tolist() == [False, True, False, True, False]
    assert got["mean"][0] == pytest.approx(got["channels"][0].mean(), abs=1e-3)


def test_a_killed_worker_costs_the_one_sample(tmp_path: Path) -> None:
    files = pictures(6)
    ws = workspace(tmp_path, files)
    assign(ws.catalog, 4)
    victim = sha256(files[2])
    killer = Killer((victim,))
    found = compute(ws, Pool(2), [Brightness(), killer], QUIET)
    assert list(found.failed) == [victim]
    assert "SIGKILL" in found.failed[victim]
    ids = sorted(sha256(data) for data in files)
    expected = [name == victim for name in ids]
    assert np.isnan(read(ws, killer, ids)["alive"]).tolist() == expected
    assert np.isnan(read(ws, Brightness(), ids)["mean"]).tolist() == expected
    assert asked(ws, [Brightness(), killer]) == [], "the loss is written down, not suffered again"


def test_workers_that_die_at_everything_end_the_run(tmp_path: Path) -> None:
    ws = workspace(tmp_path, pictures(3))
    with pytest.raises(CurateError, match="workers end with SIGKILL while they load"):
        compute(ws, Pool(2), [Killer(always=True)], QUIET)
    assert not folder(ws, Killer(always=True)).exists()


def test_an_answer_of_the_wrong_shape_is_no_score(tmp_path: Path) -> None:
    ws = workspace(tmp_path, pictures(2))
    with pytest.raises(CurateError, match=r"labelers\.careless: one has shape \(1,\) for 2 pictures"):
        compute(ws, Serial(), [Careless()], QUIET)
    assert not folder(ws, Careless()).exists()


@pytest.mark.parametrize("engine", [Serial(), Pool(2)], ids=["serial", "pool"])
def test_a_picture_that_a_labeler_raises_on_costs_that_score(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of that labeler alone; it is named and tried again, and NaN, which only abstains, is not."""
    files = pictures(6)
    ws = workspace(tmp_path, files)
    assign(ws.catalog, 4)
    ids = sorted(sha256(data) for data in files)
    wary = Wary((ids[1], ids[5]), unsure=ids[2])
    with caplog.at_level(logging.WARNING):
        found = compute(ws, engine, [Brightness(), wary], QUIET)
    assert found.failed == dict.fromkeys((ids[1], ids[5]), "labelers.wary: ZeroDivisionError: division by zero")
    assert all(f"sample {one} has no score: labelers.wary" in caplog.text for one in found.failed)
    scores = read(ws, wary, ids)
    assert np.isnan(scores["seen"]).tolist() == [False, True, True, False, False, True]
    assert np.isnan(scores["vector"]).any(axis=1).tolist() == [False, True, False, False, False, True]
    assert not np.isnan(read(ws, Brightness(), ids)["mean"]).any()
    assert unread(ws, [Brightness()], ids) == []
    assert unread(ws, [wary], ids) == [ids[1], ids[5]]
    assert asked(ws, [Brightness(), wary]) == [(0, [ids[1]], ["wary"]), (1, [ids[5]], ["wary"])]


@pytest.mark.parametrize("engine", [Serial(), Pool(2)], ids=["serial", "pool"])
def test_a_labeler_that_raises_on_every_picture_ends_the_run(engine: Engine, tmp_path: Path) -> None:
    ws = workspace(tmp_path, pictures(3))
    with pytest.raises(CurateError, match=r"labelers\.wary: ZeroDivisionError: .* every other picture of 3"):
        compute(ws, engine, [Wary(always=True)], QUIET)
    assert not folder(ws, Wary(always=True)).exists()


def test_two_labelers_of_one_name_are_refused(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    with pytest.raises(UsageError, match=r"labelers.killer: configured twice"):
        compute(ws, Serial(), [Killer(), Killer(("x",))], QUIET)


# -- reading ---------------------------------------------------------------------------------------------------------


def test_columns_come_in_the_order_asked(tmp_path: Path) -> None:
    ws = workspace(tmp_path, pictures(5))
    assign(ws.catalog, 2)
    compute(ws, Serial(), [Brightness()], QUIET)
    ids = sorted(sha256(data) for data in pictures(5))
    forth = read(ws, Brightness(), ids)
    back = read(ws, Brightness(), ["f" * 64, *reversed(ids), ids[0]])
    assert np.isnan(back["mean"][0])
    assert back["mean"][1:].tolist() == [*forth["mean"][::-1], forth["mean"][0]]
    assert (back["channels"][1:-1] == forth["channels"][::-1]).all()
    assert back["channels"].dtype == np.float16
    assert read(ws, Killer(), ids)["alive"].tolist() == pytest.approx([np.nan] * 5, nan_ok=True)


def test_numbers_are_the_columns_of_one_number_of_labelers_of_pixels(tmp_path: Path) -> None:
    ws = workspace(tmp_path, pictures(3))
    ids = [sha256(data) for data in pictures(3)]
    quality = Plugin("quality", where="labelers[0]")
    config = Config(labelers=(quality, Plugin("declared"), Plugin("efficientnet_lite0")))
    assert np.isnan(numbers(ws, config, ids)).all()
    compute(ws, Serial(), [make("labelers", quality, "labeler")], QUIET)
    found = numbers(ws, config, [*ids[::-1], "f" * 64])
    assert found.dtype == np.float32
    assert np.isfinite(found[:3]).all()
    assert np.isnan(found[3]).all()
    assert numbers(ws, Config(labelers=()), ids).shape == (3, 0)
    assert numbers(ws, config, []).shape == (0, found.shape[1]), "nobody is asked about, and a table is there"


def test_without_pixels_nothing_is_cached(tmp_path: Path) -> None:
    files = pictures(2)
    ws = workspace(tmp_path, files)
    ids = sorted(sha256(data) for data in files)
    axis = ws.config.taxonomy.first
    assert asked(ws, [Declared()]) == []
    assert read(ws, Declared(), ids)["labels"].tolist() == [None, None]
    declare(ws, ids[1], axis, "neutral")
    assert read(ws, Declared(), ids)["labels"].tolist() == [None, '{"content": "neutral"}']
    declare(ws, ids[1], axis, "drawings", source="another")
    assert read(ws, Declared(), ids)["labels"].tolist() == [None, None]
    assert not folder(ws, Declared()).exists()


@pytest.mark.skipif(lacking() is not None, reason="workers cannot be confined here")
def test_what_one_sample_makes_a_labeler_ask_for_costs_that_sample(tmp_path: Path) -> None:
    """A decoder in a stranger's hands can say so, too; where every sample does, it is the labeler's own: an error."""
    files = pictures(5)
    ws = workspace(tmp_path, files)
    assign(ws.catalog, 4)
    victim = sha256(files[2])
    found = compute(ws, Pool(2), [Denied((victim,))], QUIET)
    assert list(found.failed) == [victim]
    assert "denied this: /etc/passwd" in found.failed[victim]
    assert "reads = [" in found.failed[victim]
    assert asked(ws, [Denied((victim,))]) != [], "what was denied may be granted by now"
    for count in (5, 1):
        other = workspace(tmp_path / str(count), files[:count])
        with pytest.raises(UsageError, match=r"denied this: /etc/passwd.*reads = \["):
            compute(other, Pool(2), [Denied()], QUIET)


def test_numbers_are_none_where_no_labeler_gives_one(tmp_path: Path) -> None:
    """Nothing is made of memory that nobody wrote: a cast of that warns, now and then."""
    ws = Workspace(tmp_path, Config(labelers=()))
    with patch.object(np, "empty", lambda shape, dtype=float: np.full(shape, 1e300, dtype)):
        assert numbers(ws, ws.config, ["00" * 32, "11" * 32]).shape == (2, 0)
