"""The store: what is written stays, what is broken is named, and nobody else is at work here."""

import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.config import Config
from curate.errors import BusyError, StoreError
from curate.store import blobs as blobs_module
from curate.store import views
from curate.store.blobs import LocalBlobs, write
from curate.store.catalog import Catalog
from curate.store.migrations import MIGRATIONS
from curate.store.tables import Table, to_table
from curate.store.workspace import Workspace, find_root
from tests.builders import add, decide, workspace
from tests.pictures import encode, texture


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = workspace(tmp_path)
    yield made
    made.close()


@pytest.fixture
def catalog(ws: Workspace) -> Catalog:
    return ws.catalog


def python(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


# -- the catalog -----------------------------------------------------------------------------------------------------


def test_a_catalog_of_a_newer_version_is_refused(ws: Workspace) -> None:
    ws.close()
    with sqlite3.connect(ws.work / "catalog.db") as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(StoreError, match="made by a newer curate"):
        Workspace(ws.root, Config())


def test_a_file_that_is_no_catalog_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match=r"catalog\.db: file is not a database"):
        Catalog(tmp_path / "catalog.db")


def test_opening_again_changes_nothing(ws: Workspace) -> None:
    secret = ws.catalog.digest("id", "x")
    ws.close()
    again = Workspace(ws.root, Config())
    assert again.catalog.digest("id", "x") == secret
    assert again.catalog.one("PRAGMA user_version") == len(MIGRATIONS)
    again.close()


def test_a_digest_is_keyed_to_its_workspace(ws: Workspace, tmp_path: Path) -> None:
    other = workspace(tmp_path / "other")
    assert ws.catalog.digest("id", "x") != other.catalog.digest("id", "x")
    assert ws.catalog.digest("id", "x") != ws.catalog.digest("url", "x")
    other.close()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_transaction_is_all_or_nothing(catalog: Catalog, error: type[BaseException]) -> None:
    def half() -> None:
        with catalog.tx() as db:
            db.execute("INSERT INTO meta VALUES ('half', 'done')")
            raise error

    with pytest.raises(error):
        half()
    assert catalog.get("half") is None


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE log SET action = 'nothing'",
        "DELETE FROM log",
        "UPDATE decisions SET label = 'other'",
    ],
)
def test_history_is_append_only(ws: Workspace, sql: str) -> None:
    ws.catalog.note("export", "an id")
    decide(ws, "a sample", "neutral")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), ws.catalog.tx() as db:
        db.execute(sql)


def test_a_row_may_not_name_what_is_not_there(catalog: Catalog) -> None:
    with pytest.raises(sqlite3.IntegrityError), catalog.tx() as db:
        db.execute("INSERT INTO splits VALUES ('no such sample', 'train', NULL)")


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        ("UPDATE log SET actor = 'x' WHERE seq = 2", [2]),
        ("UPDATE log SET detail = '{}', digest = 'x' WHERE seq = 3", [3, 4]),
        ("DELETE FROM log WHERE seq = 2", [3]),
        ("DELETE FROM log WHERE seq = 1", [2]),
        ("UPDATE log SET seq = 9 WHERE seq = 4", [9]),
    ],
)
def test_the_logs_chain_shows_what_was_changed(catalog: Catalog, sql: str, broken: list[int]) -> None:
    for number in range(4):
        catalog.note("export", f"id {number}", {"n": number})
    assert catalog.broken_links() == []
    with catalog.tx() as db:
        db.execute("DROP TRIGGER log_no_update")
        db.execute("DROP TRIGGER log_no_delete")
        db.execute(sql)
    assert catalog.broken_links() == broken


def test_the_log_names_no_id(catalog: Catalog) -> None:
    catalog.note("takedown", "a very secret id")
    assert "secret" not in str([tuple(row) for row in catalog.rows("SELECT * FROM log")])


def test_a_run_is_recorded(catalog: Catalog) -> None:
    run = catalog.begin("fetch", "digest")
    catalog.end("done", {"stored": 3})
    row = catalog.rows("SELECT verb, status, config, result FROM runs WHERE run = ?", (run,))[0]
    assert tuple(row) == ("fetch", "done", "digest", '{"stored":3}')
    assert catalog.one("SELECT run FROM log WHERE action = 'fetch'") == run


# -- a full disk -----------------------------------------------------------------------------------------------------

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
        ws.catalog.put(f"key {number}", "x" * 5_000)
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
    assert again.catalog.one("SELECT count(*) FROM meta WHERE key LIKE 'key %'") == int(count)
    assert again.catalog.one("PRAGMA integrity_check") == "ok"
    again.catalog.put("and", "on it goes")
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


# -- blobs -----------------------------------------------------------------------------------------------------------


def named(data: bytes) -> tuple[str, bytes]:
    return hashlib.sha256(data).hexdigest(), data


def test_a_blob_is_durable_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes synced, then renamed, then the folders that hold the names synced."""
    steps: list[tuple[str, str]] = []
    real_sync, real_replace = blobs_module.sync, Path.replace

    def sync(path: Path) -> None:
        steps.append(("sync", path.name))
        real_sync(path)

    def replace(self: Path, target: Path) -> Path:
        steps.append(("rename", Path(target).name))
        return real_replace(self, target)

    monkeypatch.setattr(blobs_module, "sync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    items = [named(b"one"), named(b"two")]
    LocalBlobs(tmp_path).put(items)
    assert [what for what, _ in steps[:4]] == ["sync", "sync", "rename", "rename"]
    assert [name[1:65] for _, name in steps[:2]] == [name for name, _ in items]
    assert {name for _, name in steps[2:4]} == {name for name, _ in items}
    assert {name for what, name in steps[4:] if what == "sync"} == {name[:2] for name, _ in items} | {tmp_path.name}


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


# -- the workspace ---------------------------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from curate.config import Config
from curate.store.workspace import Workspace
ws = Workspace(Path(sys.argv[1]), Config())
with ws.driver("fetch"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_driver_is_told_who_holds_the_workspace(ws: Workspace) -> None:
    command = [sys.executable, "-c", HOLD, str(ws.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=rf"`curate fetch` \(pid {holder.pid} on .*\) is at work here"):
            ws.driver("dedupe").__enter__()
        holder.kill()
        holder.wait()
        assert json.loads((ws.work / "lock").read_text())["pid"] == holder.pid  # what it wrote is still there
        with ws.driver("dedupe"):  # and is recognised as nobody's
            assert json.loads((ws.work / "lock").read_text())["pid"] == os.getpid()
    with ws.driver("label"):
        pass


def test_a_new_driver_clears_what_a_killed_one_left(ws: Workspace) -> None:
    run = ws.catalog.begin("export", "")
    (ws.work / "spool").mkdir()
    (ws.work / "spool" / "part").write_bytes(b"half a container")
    (ws.work / "releases" / ".1.0.0.tmp").mkdir()
    with ws.driver("export"):
        assert not (ws.work / "spool").exists()
        assert not list((ws.work / "releases").iterdir())
        assert ws.catalog.one("SELECT status FROM runs WHERE run = ?", (run,)) == "killed"


@pytest.mark.parametrize("folder", ["Dropbox", "OneDrive - Work", "Google Drive", "dropbox (personal)", "Nextcloud"])
def test_a_folder_that_syncs_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(StoreError, match="syncs to a cloud drive"):
        workspace(tmp_path / folder / "project")
    assert not (tmp_path / folder / "project" / "work").exists()


def test_a_workspace_is_private_and_not_to_be_indexed(ws: Workspace) -> None:
    sample = add(ws, encode(texture(1)))
    assert {p.name for p in ws.work.iterdir()} >= {"CACHEDIR.TAG", ".nomedia", ".metadata_never_index"}
    assert (ws.work / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    for folder in (ws.work, ws.work / "blobs", ws.work / "tables", ws.blobs.path(sample).parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((ws.work / "catalog.db").stat().st_mode) == 0o600


def test_the_root_is_found_from_below(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_root(tmp_path / "a" / "b") is None
    (tmp_path / "curate.toml").touch()
    assert find_root(tmp_path / "a" / "b") == tmp_path.resolve()


# -- what verbs ask of it --------------------------------------------------------------------------------------------

CLASSES = ("drawings", "neutral")


def test_what_is_held(ws: Workspace) -> None:
    one, two, three = (add(ws, encode(texture(n)), album=album) for n, album in enumerate(("bad", None, "good")))
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO quarantine VALUES ('album', 'bad', NULL, 'a match', ''), ('sample', ?, NULL, '', '')", (two,)
        )
    assert views.held(ws.catalog) == {one, two}
    assert three not in views.held(ws.catalog)


def test_a_reviewers_last_word_counts_unless_it_was_taken_back(ws: Workspace) -> None:
    decide(ws, "s", "neutral", "ann")
    decide(ws, "s", "drawings", "ann")
    decide(ws, "s", "neutral", "bob")
    assert views.votes(ws.catalog, "content", "1")["s"] == {"drawings": 1, "neutral": 1}
    assert views.votes(ws.catalog, "content", "2") == {}
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, undoes)"
            " VALUES ('s', 'content', '1', 'bob', 'neutral', '2027', 'imported', 3)"
        )
    assert views.votes(ws.catalog, "content", "1")["s"] == {"drawings": 1}


def test_a_tie_says_nothing() -> None:
    assert views.consensus({"neutral": 1, "drawings": 1}, CLASSES) is None
    assert views.consensus({"skip": 3}, CLASSES) is None
    assert views.consensus({"neutral": 2, "drawings": 1, "skip": 5}, CLASSES) == views.Human("neutral", 3, 2 / 3)


def test_a_label_is_carried_within_its_collapse_set_only(ws: Workspace) -> None:
    ids = [add(ws, encode(texture(n))) for n in range(5)]
    sets = (ids[0], ids[0], ids[2], ids[2], ids[4])
    with ws.catalog.tx() as db:
        rows = [(one, "g", collapse, collapse, "train", None) for one, collapse in zip(ids, sets, strict=True)]
        db.executemany("INSERT INTO members VALUES (?, ?, ?, ?, ?, ?)", rows)
    decide(ws, ids[1], "neutral")
    decide(ws, ids[2], "neutral")
    decide(ws, ids[3], "drawings")
    found = views.humans(ws.catalog, "content", "1", CLASSES)
    assert found[ids[0]] == views.Human("neutral", 1, 1.0, carried=True)
    assert found[ids[1]] == views.Human("neutral", 1, 1.0)
    assert (found[ids[2]].label, found[ids[3]].label) == ("neutral", "drawings")
    assert ids[4] not in found
