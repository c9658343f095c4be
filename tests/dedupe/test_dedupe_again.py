"""`curate dedupe` run again: after nothing, after more, after damage, after a kill. It says the same, or adds to it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.config import Config, DedupeConfig
from curate.contracts import Resources
from curate.dedupe.run import dedupe
from curate.engine.pool import Pool
from curate.engine.serial import Serial
from curate.errors import ItemError
from curate.features import hashes
from curate.media import phash
from curate.progress import Progress
from curate.records import Reason
from curate.store.workspace import Workspace
from tests.support.builders import add, add_hashed, dump, members, workspace
from tests.support.pictures import encode, photograph, texture


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


def twice(ws: Workspace) -> list[str]:
    return [add(ws, encode(photograph(), quality=quality)) for quality in (95, 60)]


def hashed_ids(ws: Workspace) -> set[str]:
    table = hashes.table(ws).read()
    return set() if table is None else set(table.column("id").to_pylist())


# -- again, and more -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_anything_at_all(ws: Workspace, count: int) -> None:
    for n in range(count):
        add(ws, encode(texture(n)))
    found = run(ws)
    assert (found["samples"], found["groups"], found["duplicates"]) == (count, 0, 0)


def test_running_it_again_changes_nothing(ws: Workspace) -> None:
    twice(ws)
    add(ws, encode(texture(1)), "neutral")
    first = run(ws)
    before, changes = dump(ws), ws.catalog.scalar("SELECT total_changes()")
    assert run(ws) == first
    assert dump(ws) == before
    assert ws.catalog.scalar("SELECT total_changes()") == changes  # and writes nothing


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
    twice(ws)
    first = run(ws)
    before = dump(ws)
    (part,) = hashes.table(ws).parts()
    (path,) = hashes.table(ws).path.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert run(ws) == first | {"rebuilt": [f"phash/{part}"]}
    assert dump(ws) == before
    assert run(ws) == first


class Fragile:
    """An engine whose workers die at one item."""

    def __init__(self, poison: str) -> None:
        self.poison = poison

    def map(
        self, work: object, items: Iterable[Sequence[tuple[str, ...]]], needs: Resources
    ) -> Iterator[tuple[object, object]]:
        for item in items:
            yield item, [self._one(work, one) for one in item]

    def _one(self, work: object, one: tuple[str, ...]) -> object:
        return ItemError(Reason.WORKER_DIED) if self.poison in one else work([one])[0]  # type: ignore[operator]


def test_a_worker_that_dies_costs_the_picture_that_kills_it(ws: Workspace) -> None:
    ids = [add(ws, encode(texture(n))) for n in range(6)]
    found = dedupe(ws, Fragile(ids[3]), Progress(quiet=True))  # type: ignore[arg-type]
    assert found["unhashed"] == 1
    assert hashed_ids(ws) == set(ids) - {ids[3]}


def test_a_fault_of_ours_is_not_taken_for_a_bad_picture(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(seen: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(phash, "row_of", broken)
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


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(waves)
def test_adding_data_moves_no_split_and_leaks_nothing(
    tmp_path_factory: pytest.TempPathFactory, arrivals: list[Any]
) -> None:
    ws = workspace(
        tmp_path_factory.mktemp("w"), Config(dedupe=DedupeConfig("phash", group_radius=10, collapse_radius=4))
    )
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


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(waves, st.randoms())
def test_the_order_of_arrival_leaves_no_trace(
    tmp_path_factory: pytest.TempPathFactory, arrivals: list[Any], random: Random
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
        random.shuffle(batches)
    assert found[0] == found[1]


# -- killed ----------------------------------------------------------------------------------------------------------

SCRIPT = """
import os, signal, sys
from pathlib import Path
from curate.config import Config
from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.progress import Progress
from curate.store.workspace import Workspace
import curate.features.hashes, curate.media.phash, imagehash, pyarrow.parquet
curate.features.hashes.ITEM, curate.features.hashes.PART = 4, 8
ws = Workspace(Path(sys.argv[1]), Config())
print("ready", flush=True)
if len(sys.argv) > 2:
    die = lambda sql: sql.startswith(sys.argv[2]) and os.kill(os.getpid(), signal.SIGKILL)
    ws.catalog._db.set_trace_callback(die)
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
    for delay in (0.2, 0.5, 0.8):
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


@pytest.mark.parametrize("moment", ["INSERT OR REPLACE INTO group_names", "INSERT INTO conflicts", "COMMIT"])
def test_killed_while_it_writes_it_has_written_nothing(tmp_path: Path, moment: str) -> None:
    ws = workspace(tmp_path)
    for quality, label in ((90, "neutral"), (80, "drawings")):
        add(ws, encode(texture(1), quality=quality), label)
    ws.close()
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path), moment], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    ws = workspace(tmp_path)
    assert not any(dump(ws).values())
    run(ws)
    assert all(dump(ws).values())
    ws.close()


# -- less ------------------------------------------------------------------------------------------------------------


def test_a_group_whose_bridge_is_held_back_stays_one(ws: Workspace) -> None:
    """Ten bits a step: the ends are near the middle, and not near each other."""
    left, middle, right = ("a" * 64, "b" * 64, "c" * 64)
    add_hashed(ws, {left: bytes(8), middle: (2**10 - 1).to_bytes(8), right: (2**20 - 1).to_bytes(8)}, "part")
    run(ws)
    before = {one: (row["grp"], row["split"]) for one, row in members(ws).items()}
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'looked wrong', '')", (middle,))
    assert run(ws)["groups"] == 1
    assert {one: (row["grp"], row["split"]) for one, row in members(ws).items()} == {
        one: before[one] for one in (left, right)
    }
    assert len(set(before.values())) == 1


def test_what_is_held_back_goes_with_its_group_when_that_gets_another_name(ws: Workspace) -> None:
    """Ten bits a step, from `first` over `bridge` and `middle` to `last`; the bridge comes while the last is away."""
    first, middle, last, bridge = ("a" * 64, "d" * 64, "e" * 64, "f" * 64)
    bits = {first: 0, bridge: 10, middle: 20, last: 30}
    looks = {one: (2**n - 1).to_bytes(8) for one, n in bits.items()}
    add_hashed(ws, {one: looks[one] for one in (first, middle, last)}, "part")
    run(ws)
    assert members(ws)[first]["grp"] != members(ws)[last]["grp"] == members(ws)[middle]["grp"]
    hold(ws, last)
    add_hashed(ws, {bridge: looks[bridge]}, "another")
    run(ws)
    assert members(ws)[first]["grp"] == members(ws)[middle]["grp"]
    with ws.catalog.tx() as db:
        db.execute("DELETE FROM quarantine")
    hold(ws, middle, bridge)
    run(ws)
    assert members(ws)[first]["grp"] == members(ws)[last]["grp"]
    assert len({row["split"] for row in members(ws).values() if row["excluded"] is None}) == 1


def hold(ws: Workspace, *ids: str) -> None:
    with ws.catalog.tx() as db:
        db.executemany("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'looked wrong', '')", [(one,) for one in ids])
