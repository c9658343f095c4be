"""What one item may cost: whoever takes more is named, and nobody beside it pays."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from curate.config import EngineConfig, load
from curate.contracts import Decoded, Resources
from curate.engine import _limits as limits
from curate.engine import each, engine_of, slices
from curate.engine.pool import Pool
from curate.errors import ItemError, UsageError
from curate.features.inspect import FetchedBytes, Inspect, digests
from curate.features.score_worker import Scoring, Task
from curate.media.decode import Bounds
from curate.records import Reason, Sample
from curate.store.blobs import LocalBlobs
from tests.support.pictures import encode, texture

NEEDS = Resources()
MIB = 2**20


@dataclass
class Costly:
    """Items say what they cost: ("wall" | "processor" | "memory", how much)."""

    def load(self) -> None:
        """Nothing to load."""

    def __call__(self, item: tuple[str, float]) -> str:
        kind, much = item
        if kind == "wall":
            time.sleep(much)
        elif kind == "processor":
            until = time.process_time() + much
            while time.process_time() < until:
                sum(range(1000))
        else:
            held = bytearray(int(much))
            held[::4096] = b"x" * len(held[::4096])
            time.sleep(600)
        return kind


BOMBS = {("wall", 600.0): Reason.TOO_SLOW, ("processor", 600.0): Reason.TOO_SLOW, ("memory", 500e6): Reason.TOO_LARGE}


def test_bombs_among_honest_items() -> None:
    """On two workers, in chunks: each bomb, of ten minutes, has its reason, each honest item its answer."""
    items: list[tuple[str, float]] = [("wall", n / 1e6) for n in range(60)]
    for place, bomb in enumerate(BOMBS):
        items.insert(7 + 20 * place, bomb)
    found = dict(each(Pool(2, item_seconds=3.0, item_memory=400 * MIB), Costly(), slices(items, 8)))
    assert {item: answer for item, answer in found.items() if item not in BOMBS} == {
        item: "wall" for item in items if item not in BOMBS
    }
    for bomb, reason in BOMBS.items():
        answer = found[bomb]
        assert isinstance(answer, ItemError)
        assert answer.reason is reason


def test_a_limit_is_a_pictures_and_not_a_chunks() -> None:
    found = [answer for _, answer in each(Pool(1, item_seconds=2.0), Costly(), [[("wall", 0.2)] * 12])]
    assert found == ["wall"] * 12


@dataclass
class Slow:
    """A labeler that takes its time with each picture of a batch."""

    seconds: float
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=32)
    columns: ClassVar[Mapping[str, str]] = {"one": "float32"}

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, Any]:
        """One for each."""
        time.sleep(self.seconds * len(batch))
        return {"one": np.ones(len(batch), dtype=np.float32)}


@pytest.mark.parametrize(("seconds", "ok"), [(0.3, True), (100.0, False)])
def test_a_labeler_has_the_seconds_of_all_pictures_of_a_batch(seconds: float, ok: bool, tmp_path: Path) -> None:
    files = [encode(texture(n)) for n in range(4)]
    samples = tuple(Sample(*digests(data), len(data), "image/jpeg", 160, 120, 1) for data in files)
    LocalBlobs(tmp_path).put((sample.id, data) for sample, data in zip(samples, files, strict=True))
    work = Scoring({"slow": Slow(seconds)}, LocalBlobs(tmp_path), Bounds())
    ((_, found),) = Pool(1, item_seconds=1.0).map(work, [Task(0, samples, ("slow",))], NEEDS)
    assert isinstance(found, ItemError) is not ok, found


def test_what_may_help_again_is_asked_again() -> None:
    assert Reason.TOO_SLOW.retryable
    assert Reason.WORKER_DIED.retryable
    assert not Reason.TOO_LARGE.retryable


# -- how much there is -----------------------------------------------------------------------------------------------


def machine(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    "files",
    [
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/memory.max": "1000\n",
            "sys/fs/cgroup/a/b/memory.max": "max",
        },
        {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/memory.max": "1000", "sys/fs/cgroup/a/memory.max": "2000\n"},
        {"proc/self/cgroup": "4:cpu,memory:/x\n0::/\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "1000\n"},
        {"proc/self/cgroup": "4:memory:/gone\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n"},
    ],
)
def test_a_cgroup_below_the_machine(files: Mapping[str, str], tmp_path: Path) -> None:
    assert limits.machine_memory(machine(tmp_path, files)) == 1000


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "0::/\n"},
        {"proc/self/cgroup": "1:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**62)},
    ],
)
def test_no_cgroup_is_the_machine(files: Mapping[str, str], tmp_path: Path) -> None:
    import psutil

    assert limits.machine_memory(machine(tmp_path, files)) == psutil.virtual_memory().total


@pytest.mark.parametrize("memory", [2**30, 2**31, 2**32, 2**34, 2**40])
@pytest.mark.parametrize("workers", [0, 1, 3, 64])
def test_all_workers_together_leave_half(memory: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "cores", lambda: 16)
    count, each_ = limits.share(workers, 2**30, memory)
    assert count == workers or not workers
    assert count >= 1
    assert 256 * MIB <= each_ <= 2**30
    if count * 384 * MIB <= memory // 2:  # where what an honest picture takes fits at all
        assert count * (each_ + 128 * MIB) <= memory // 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("item_seconds = 0", "item_seconds must lie between 2"),
        ("item_seconds = 0.5", "which a picture of 100 megapixels may take"),
        ("item_seconds = nan", "item_seconds: nan is not a number"),
        ("item_seconds = inf", "item_seconds: inf is not a number"),
        ('item_memory = "100 MiB"', "item_memory must be at least 256 MiB"),
        ("item_memory = 0", "item_memory must be at least 256 MiB"),
        ("workers = -1", "workers must be at least 0"),
        ('confine = "perhaps"', "confine"),
        ("load_seconds = 0", "load_seconds must lie between 30, which loops that are compiled for the first time"),
        ("load_seconds = -1", "load_seconds must lie between 30"),
        ("load_seconds = nan", "load_seconds: nan is not a number"),
        ("item_seconds = -5", "item_seconds must lie between 2"),
        ('item_memory = "255 MiB"', "item_memory must be at least 256 MiB, which an ordinary picture may take"),
    ],
)
def test_a_limit_that_no_picture_fits_is_refused(line: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "curate.toml").write_text(f"[engine]\n{line}\n")
    with pytest.raises(UsageError, match=r"engine") as error:
        load(tmp_path)
    assert said in str(error.value)


@pytest.mark.parametrize("use", ["pool", "serial"])
def test_every_engine_takes_what_it_has_of_the_config(use: str) -> None:
    engine = engine_of(EngineConfig(use=use, workers=1, item_seconds=5.0))
    assert dict(engine.map(Costly(), [("wall", 0.0)], NEEDS)) == {("wall", 0.0): "wall"}
    assert getattr(engine, "item_seconds", 5.0) == 5.0


def test_what_a_worker_prints_is_shown_beside_the_item(capfd: pytest.CaptureFixture[str]) -> None:
    """And only where it is asked for."""
    for aloud in (False, True):
        list(each(Pool(1, aloud=aloud), Loud(), [["one", "two"]]))
    out, err = capfd.readouterr()
    assert out == ""
    assert [line for line in err.splitlines() if "warning" in line] == [
        "curate: at one: a warning of a C library about one",
        "curate: at two: a warning of a C library about two",
    ]


class Loud:
    """Prints as a C library does."""

    def load(self) -> None:
        """Nothing to load."""

    def __call__(self, item: str) -> int:
        import os

        return os.write(2, f"a warning of a C library about {item}".encode())


def test_a_machine_with_a_gigabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker, that takes an ordinary picture, and refuses what would be too large before it is decoded."""
    monkeypatch.setattr(limits, "machine_memory", lambda: 2**30)
    monkeypatch.setattr(limits, "cores", lambda: 8)
    count, terms = Pool()._terms(Inspect(Bounds()), NEEDS)
    assert (count, terms.memory) == (1, 384 * MIB)
    honest, large = (
        encode(texture(1, (4000, 3000))),
        encode(Image.new("RGB", (10_000, 10_100)), "PNG", compress_level=1),
    )
    found = {
        item.candidate: look
        for item, look in Pool().map(
            Inspect(Bounds(max_pixels=2**30)), [FetchedBytes(0, honest), FetchedBytes(1, large)], NEEDS
        )
    }
    assert found[0].failure is None  # type: ignore[union-attr]
    assert str(found[1].failure) == "too_large: 1 x 10000x10100 RGB are 385 MiB, once decoded"  # type: ignore[union-attr]


def test_a_cgroup_that_is_below_is_what_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1.5 GiB two workers have half, less what each has from the start."""
    root = machine(tmp_path, {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": str(3 * 2**29)})
    real = limits.machine_memory
    monkeypatch.setattr(limits, "machine_memory", lambda: real(root))
    monkeypatch.setattr(limits, "cores", lambda: 2)
    assert Pool()._terms(Inspect(Bounds()), NEEDS)[0] == 2
    assert Pool()._terms(Inspect(Bounds()), NEEDS)[1].memory == 256 * MIB
