"""Blobs, tables and a full disk: a file is whole or absent, durable before it is named, and broken ones are named."""

import hashlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.config import Config
from curate.errors import StoreError
from curate.store.blobs import LocalBlobs, write
from curate.store.tables import Table, to_table
from curate.store.workspace import Workspace
from tests.support.builders import workspace


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = workspace(tmp_path)
    yield made
    made.close()


# -- blobs -----------------------------------------------------------------------------------------------------------


def named(data: bytes) -> tuple[str, bytes]:
    return hashlib.sha256(data).hexdigest(), data


def test_a_blob_is_durable_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes written whole and synced, then renamed, then the folders that hold the names synced."""
    steps: list[tuple[str, int, int]] = []  # what, which inode, how many bytes it has
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        steps.append(("sync", (now := os.fstat(handle)).st_ino, now.st_size))
        real_fsync(handle)

    def replace(self: Path, target: Path) -> Path:
        steps.append(("rename", self.stat().st_ino, self.stat().st_size))
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    items = [named(b"one"), named(b"three")]
    LocalBlobs(tmp_path).put(items)
    stored = {(LocalBlobs(tmp_path).path(name).stat().st_ino, len(data)) for name, data in items}
    assert [what for what, _, _ in steps[:4]] == ["sync", "sync", "rename", "rename"]
    assert {(inode, size) for _, inode, size in steps[:2]} == stored
    assert {(inode, size) for _, inode, size in steps[2:4]} == stored
    folders = {(tmp_path / name[:2]).stat().st_ino for name, _ in items} | {tmp_path.stat().st_ino}
    assert {inode for what, inode, _ in steps[4:] if what == "sync"} == folders


def test_blobs_come_and_go(tmp_path: Path) -> None:
    store = LocalBlobs(tmp_path)
    items = [named(bytes([n])) for n in range(20)]
    store.put(items)
    store.put(items[:3])
    assert list(store.list()) == sorted(name for name, _ in items)
    with store.open(items[4][0]) as blob:
        assert blob.read() == b"\x04"
    store.delete(items[4][0])
    store.delete(items[4][0])
    assert items[4][0] not in store.list()
    with pytest.raises(StoreError, match="is missing"):
        store.open(items[4][0])


def test_a_store_that_has_written_can_be_sent_to_a_worker(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    blobs.put([("ab" * 32, b"bytes")])
    with pickle.loads(pickle.dumps(blobs)).open("ab" * 32) as blob:
        assert blob.read() == b"bytes"


def test_what_a_killed_run_left_half_written_is_swept(tmp_path: Path) -> None:
    store = LocalBlobs(tmp_path)
    store.put([named(b"whole")])
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / ".abcd.1234").write_bytes(b"half")
    assert len(list(store.list())) == 1
    assert store.sweep() == 1
    assert not list(tmp_path.glob("??/.*"))


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write(path, b"old")

    def fails(self: Path, target: Path) -> Path:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="Input/output"):
        write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


# -- tables ----------------------------------------------------------------------------------------------------------


def part(*ids: str) -> object:
    return to_table({"id": list(ids), "n": [int(one, 36) for one in ids]})


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    one, two = Table(tmp_path, "one", "m"), Table(tmp_path, "two", "m")
    one.write("all", part("a", "b", "c"))
    two.write("all", part("c", "a", "b"))
    assert [p.read_bytes() for p in one.path.iterdir()] == [p.read_bytes() for p in two.path.iterdir()]


def test_a_table_is_read_sorted_and_each_id_once(tmp_path: Path) -> None:
    table = Table(tmp_path, "t", "m")
    assert table.read() is None
    table.write("x.y", part("d", "b"))
    table.write("b", part("a", "b"))
    assert table.parts() == ["b", "x.y"]
    whole = table.read(["n"])
    assert whole is not None
    assert whole.column("id").to_pylist() == ["a", "b", "d"]
    assert whole.column("n").to_pylist() == [10, 11, 13]


def test_a_part_is_replaced(tmp_path: Path) -> None:
    table = Table(tmp_path, "t", "m")
    table.write("p", part("a"))
    table.write("p", part("b"))
    assert len(list(table.path.iterdir())) == 1
    whole = table.read()
    assert whole is not None
    assert whole.column("id").to_pylist() == ["b"]


def test_a_corrupt_part_is_named_and_removed(tmp_path: Path) -> None:
    table = Table(tmp_path, "t", "m")
    for name in "abc":
        table.write(name, part(name))
    (path,) = table.path.glob("b.*.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    assert table.broken() == ["b"]
    assert table.parts() == ["a", "b", "c"]
    assert [(name, rows is None) for name, rows in table.each()] == [("a", False), ("b", True), ("c", False)]
    assert table.parts() == ["a", "c"]
    assert table.broken() == []


def test_a_part_that_a_killed_run_left_twice_is_made_again(tmp_path: Path) -> None:
    table = Table(tmp_path, "t", "m")
    table.write("p", part("a"))
    (old,) = table.path.iterdir()
    data = old.read_bytes()
    table.write("p", part("b"))
    old.write_bytes(data)
    assert table.broken() == ["p"]
    assert table.read() is None
    assert table.parts() == []


# -- a full disk -----------------------------------------------------------------------------------------------------


def python(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)


FULL = """
import resource, sys
from pathlib import Path
from curate.config import Config
from curate.errors import DiskFullError
from curate.store.workspace import Workspace
ws = Workspace(Path(sys.argv[1]), Config())
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
number = 0
try:
    for number in range(10_000):
        ws.catalog.set(f"key {number}", "x" * 5_000)
except DiskFullError as error:
    print(number, error)
try:
    with ws.catalog.tx() as db:
        for number in range(5_000):  # more than the cache holds: the disk is full before the transaction ends
            db.execute("INSERT INTO meta VALUES (?, ?)", (f"key again {number}", "x" * 5_000))
except DiskFullError as error:
    print(error)
"""


def test_a_full_disk_loses_nothing_that_was_committed(ws: Workspace) -> None:
    ws.close()
    done = python(FULL, ws.root)
    assert done.returncode == 0, done.stderr
    count, _, text = done.stdout.partition(" ")
    assert text.count("free some space") == 2  # and the second time it says the same
    assert 10 < int(count) < 10_000
    again = Workspace(ws.root, Config())
    assert again.catalog.scalar("SELECT count(*) FROM meta WHERE key LIKE 'key %'") == int(count)
    assert again.catalog.scalar("PRAGMA integrity_check") == "ok"
    again.catalog.set("and", "on it goes")
    again.close()


BLOBS_FULL = """
import hashlib, resource, sys
from pathlib import Path
from curate.errors import DiskFullError
from curate.store.blobs import LocalBlobs
blobs = LocalBlobs(Path(sys.argv[1]))
small, large = b"small", b"x" * 300_000
name = lambda data: hashlib.sha256(data).hexdigest()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
blobs.put([(name(small), small)])
try:
    blobs.put([(name(b"other"), b"other"), (name(large), large)])
except DiskFullError as error:
    print(error)
"""


def test_a_full_disk_leaves_no_partial_blob(tmp_path: Path) -> None:
    done = python(BLOBS_FULL, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the disk is full" in done.stdout
    assert list(LocalBlobs(tmp_path).list()) == [hashlib.sha256(b"small").hexdigest()]
    assert not list(tmp_path.glob("??/.*"))
