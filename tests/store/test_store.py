"""The store: what is written stays, what is broken is named, and nobody else is at work here."""

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
from curate.errors import BusyError, StoreError, UsageError
from curate.store.catalog import Catalog
from curate.store.migrations import MIGRATIONS
from curate.store.workspace import Workspace, find_root, here
from tests.support.builders import add, decide, workspace
from tests.support.pictures import encode, texture


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = workspace(tmp_path)
    yield made
    made.close()


@pytest.fixture
def catalog(ws: Workspace) -> Catalog:
    return ws.catalog


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
    assert again.catalog.scalar("PRAGMA user_version") == len(MIGRATIONS)
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
    ws.catalog.log("export", "an id")
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
        catalog.log("export", f"id {number}", {"n": number})
    assert catalog.broken_links() == []
    with catalog.tx() as db:
        db.execute("DROP TRIGGER log_no_update")
        db.execute("DROP TRIGGER log_no_delete")
        db.execute(sql)
    assert catalog.broken_links() == broken


def test_the_log_names_no_id(catalog: Catalog) -> None:
    catalog.log("takedown", "a very secret id")
    assert "secret" not in str([tuple(row) for row in catalog.all("SELECT * FROM log")])


def test_a_run_is_recorded(catalog: Catalog) -> None:
    run = catalog.begin("fetch", "digest")
    catalog.end("done", {"stored": 3})
    row = catalog.all("SELECT verb, status, config, result FROM runs WHERE run = ?", (run,))[0]
    assert tuple(row) == ("fetch", "done", "digest", '{"stored":3}')
    assert catalog.scalar("SELECT run FROM log WHERE action = 'fetch'") == run


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
        assert ws.catalog.scalar("SELECT status FROM runs WHERE run = ?", (run,)) == "killed"


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


def test_columns_become_arrow_without_pandas() -> None:
    """What is built by hand is what pyarrow would have built; pandas stays out, since it costs half a second."""
    code = """
import sys
import numpy as np
from curate.store.tables import to_parquet, to_table
columns = {"id": ["a", "é", ""], "b": [b"", b"x", b"yz"]}
columns |= {"q": np.array([1, 2, 3], np.float32), "f": np.array([0, 1, 1], bool)}
made = to_table(columns)
to_parquet(made.sort_by("id"))
assert "pandas" not in sys.modules
import pyarrow as pa
assert made.equals(pa.table({name: pa.array(values) for name, values in columns.items()}))
assert to_table({"n": [1, None]}).equals(pa.table({"n": [1, None]}))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_what_another_process_closes_takes_no_log_from_this_one(tmp_path: Path) -> None:
    """SQLite's locks stay while the catalog is open, whoever of us reads the file beside it."""
    path = tmp_path / "catalog.db"
    code = (
        "import sys; from pathlib import Path; from curate.store.catalog import Catalog\nc = Catalog(Path(sys.argv[1]))"
    )
    code += '\nprint(c.scalar("SELECT count(*) FROM conflicts"))\nc.close()'

    def others() -> str:
        return subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True).stdout.strip()

    catalog = Catalog(path)
    second = Catalog(path)
    second.close()
    for n in range(3):
        assert others() == str(n)
        with catalog.tx() as db:
            db.execute("INSERT INTO conflicts VALUES ('declared', ?, 'content', 'x', NULL)", (str(n),))
    assert others() == "3"
    catalog.close()
    assert others() == "3"


def test_a_folder_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(UsageError, match="the folder that this runs in is gone"):
        here()


@pytest.mark.parametrize("room", [1_000, 150_000, 200_000, 260_000])
def test_a_disk_that_fills_while_a_workspace_is_made_leaves_one_that_opens(tmp_path: Path, room: int) -> None:
    """What of the catalog is there by then is sealed: else every verb would refuse it."""
    code = """
import resource, signal, sys
from pathlib import Path
from curate.config import Config
from curate.errors import DiskFullError
from curate.store.workspace import Workspace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    Workspace(Path(sys.argv[1]), Config())
except DiskFullError:
    sys.exit(7)
"""
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path / "w"), str(room)], check=False)
    assert run.returncode == 7
    ws = Workspace(tmp_path / "w", Config())
    assert ws.doubts() == []
    assert ws.catalog.broken_pages() == []
    ws.close()
