"""Who may only read: a workspace on a read-only disk, of another user, or on a full disk is read, and not touched."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest

from curate.config import CONFIG_NAME, load
from curate.errors import DiskFullError, StoreError
from curate.removal.remove import MARK
from curate.store import borrowed
from curate.store.catalog import Catalog
from curate.store.workspace import Workspace
from tests.support.calling import Command
from tests.support.pictures import encode, texture

CONFIG = """
[engine]
use = "serial"
[screening]
required = false
[[sources]]
use = "local"
path = "images"
label = "neutral"
"""
VERBS = (("status",), ("log",), ("verify",), ("screening", "status"), ("report", "--out"), ("decisions", "export"))


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    root = tmp_path / "w"
    (root / "images").mkdir(parents=True)
    for n in range(3):
        (root / "images" / f"{n}.png").write_bytes(encode(texture(n, (64, 64)), "PNG"))
    (root / CONFIG_NAME).write_text(CONFIG)
    found = Command(root, monkeypatch, capfd)
    found("fetch")
    found("dedupe")
    return found


def bytes_of(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def words(verb: tuple[str, ...], tmp_path: Path) -> list[str]:
    return [*verb, str(tmp_path / "out")] if verb[-1] in ("--out", "export") else list(verb)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_what_cannot_be_written_is_read_and_left_as_it_is(
    curate: Command, verb: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    writable = curate("status", "--json").json
    before = bytes_of(curate.root)
    monkeypatch.setattr(borrowed, "writable", lambda work: False)
    said = curate(*words(verb, tmp_path), "--json").json
    assert bytes_of(curate.root) == before
    if verb == ("status",):
        assert said == writable
    if verb == ("verify",):
        assert (said["blobs"], said["items"]) == (3, [])
    assert not list(tmp_path.glob(f"{borrowed.PREFIX}*"))


def test_a_report_needs_a_place_where_it_can_be_written(curate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borrowed, "writable", lambda work: False)
    assert "say where the report goes (--out FILE" in curate("report", code=2).err


def test_what_stands_in_the_log_only_is_read(curate: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a killed run leaves it: the newest rows are in the write-ahead log."""
    ws = Workspace(curate.root, load(curate.root))
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO candidates (kind, locator) VALUES ('url', 'https://example.org/new.jpg')")
    shutil.copytree(curate.root, tmp_path / "killed")
    ws.close()
    monkeypatch.setattr(borrowed, "writable", lambda work: False)
    curate.root = tmp_path / "killed"
    assert (curate.root / "work" / "catalog.db-wal").stat().st_size
    assert curate("status", "--json").json["pending"] == 1


@pytest.mark.parametrize("verb", VERBS[:4], ids=" ".join)
def test_a_full_disk_lets_who_reads_answer(
    curate: Command, verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite writes even where it reads; a disk that is full as soon as the catalog is opened, or written."""
    real = Catalog.__init__

    def full(self: Catalog, path: Path) -> None:
        if path.parent.name == "work":
            raise DiskFullError("the disk is full")
        real(self, path)

    monkeypatch.setattr(Catalog, "__init__", full)
    curate(*verb)
    assert "the disk is full" in curate("fetch", code=1).err
    monkeypatch.setattr(Catalog, "__init__", real)

    def begin(self: Catalog, verb: str, config: str) -> str:
        raise DiskFullError("the disk is full")

    monkeypatch.setattr(Catalog, "begin", begin)
    curate(*verb)


def test_what_a_verb_cannot_write_is_one_line(curate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def shut(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "chmod", shut)
    assert "catalog.db: cannot be written (Operation not permitted)" in curate("fetch", code=1).err


def test_writable_is_what_it_says(tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert borrowed.writable(work)
    work.mkdir()
    assert borrowed.writable(work)
    if os.getuid():
        work.chmod(0o500)
        assert not borrowed.writable(work)
    if sys.platform == "linux":
        assert not borrowed.writable(Path("/proc/self"))


def test_without_a_catalog_there_is_nothing_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match=r"no catalog\.db here"), borrowed.copy(tmp_path):
        pass
    (tmp_path / "catalog.db").write_bytes(b"x" * 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(StoreError, match=r"no room for a copy of the catalog .*set TMPDIR"), borrowed.copy(tmp_path):
        pass


def test_what_killed_readers_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "catalog.db").write_bytes(b"x")
    dead, alive = tmp_path / f"{borrowed.PREFIX}4194305-a", tmp_path / f"{borrowed.PREFIX}{os.getpid()}-a"
    dead.mkdir()
    alive.mkdir()
    with borrowed.copy(tmp_path) as copy:
        assert (copy / "catalog.db").read_bytes() == b"x"
        assert copy.stat().st_mode & 0o777 == 0o700
    assert not dead.exists()
    assert alive.exists()
    assert not copy.exists()


def test_a_takedown_removes_and_names_the_reports_that_are_there(curate: Command, tmp_path: Path) -> None:
    out, other = tmp_path / "shown.html", tmp_path / "mine.html"
    curate("report")
    curate("report", "--out", str(out))
    curate("report", "--out", str(other))
    assert MARK in out.read_bytes()
    other.write_text("<p>something else by now</p>")
    said = curate("takedown", str(curate.root / "images" / "0.png"), "--reason", "asked", "--json").json
    assert said["reports_removed"] == [str(curate.root / "report.html"), str(out)]
    assert not out.exists()
    assert other.exists()
    again = curate("takedown", str(curate.root / "images" / "1.png"), "--reason", "asked")
    assert "make them anew" not in again.err
