"""Whose curate.toml, functions and work folder are obeyed."""

import os
from pathlib import Path

import pytest

from curate.admin import configured
from curate.config import load
from curate.errors import StoreError, UsageError
from curate.policy import trust
from curate.policy.refusals import refused_path
from curate.store.workspace import Workspace, find_root
from tests.support.calling import Command

NOBODY = 65534
ROOT = os.getuid() == 0 if hasattr(os, "getuid") else False


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "folder" / "curate.toml"
    found.parent.mkdir(mode=0o755)
    found.write_text("")
    found.chmod(0o644)
    return found


@pytest.mark.parametrize(("mode", "folder"), [(0o644, 0o755), (0o664, 0o775), (0o600, 0o700), (0o640, 0o1777)])
def test_ones_own_is_obeyed(file: Path, mode: int, folder: int) -> None:
    file.chmod(mode)
    file.parent.chmod(folder)
    trust.check(file)
    trust.check(file.parent)
    trust.check(file.parent / "absent")


@pytest.mark.parametrize(("mode", "folder"), [(0o666, 0o755), (0o602, 0o700), (0o644, 0o777), (0o644, 0o757)])
def test_what_everybody_may_write_is_not(file: Path, mode: int, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(mode)
    file.parent.chmod(folder)
    with pytest.raises(UsageError, match=r"curate\.toml: everybody may write to (it|its folder)"):
        trust.check(file)
    monkeypatch.setenv(trust.VARIABLE, f"/nowhere{os.pathsep}{file.parent.parent}")
    trust.check(file)
    monkeypatch.setenv(trust.VARIABLE, f"{file.parent}-other")
    with pytest.raises(UsageError):
        trust.check(file)


@pytest.mark.skipif(not ROOT, reason="needs root: a file that belongs to somebody else")
def test_what_belongs_to_somebody_else_is_not(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(file, NOBODY, NOBODY)
    with pytest.raises(UsageError, match="belongs to another user"):
        trust.check(file)
    link = file.parent.parent / "link.toml"
    link.symlink_to(file)
    with pytest.raises(UsageError, match="belongs to another user"):
        trust.check(link)
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    trust.check(file)


def test_a_link_that_leads_to_itself_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "mine.py").symlink_to("mine.py")
    trust.check(tmp_path / "mine.py")
    assert refused_path(tmp_path / "mine.py") is None
    (tmp_path / "curate.toml").write_text('[[labelers]]\nuse = "./mine.py"\n')
    with pytest.raises(UsageError, match=r"mine\.py: Too many levels of symbolic links"):
        configured.labelers(load(tmp_path))


def test_the_search_stops_at_home_and_finds_it_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, deep = tmp_path / "home", tmp_path / "home" / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "curate.toml").write_text("")
    assert find_root(deep) == tmp_path
    monkeypatch.setenv("HOME", str(home))
    assert find_root(deep) is None
    (home / "curate.toml").write_text("")
    assert find_root(deep) == home
    assert find_root(tmp_path) == tmp_path


def test_the_search_stops_where_a_file_system_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mounted" / "here").mkdir(parents=True)
    (tmp_path / "curate.toml").write_text("")
    real = Path.stat

    def stat(path: Path, **options: bool) -> os.stat_result:
        known = real(path, **options)
        return os.stat_result((*known[:2], 999, *known[3:])) if "mounted" in path.parts else known

    monkeypatch.setattr(Path, "stat", stat)
    assert find_root(tmp_path / "mounted" / "here") is None


def test_a_config_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").write_bytes(b'\xef\xbb\xbf[fetch]\ncontact = "a@b.org"\n')
    assert load(tmp_path).fetch.contact == "a@b.org"


def test_a_work_folder_that_a_link_puts_into_a_synced_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").write_text("")
    (tmp_path / "Dropbox" / "work").mkdir(parents=True)
    (tmp_path / "work").symlink_to(tmp_path / "Dropbox" / "work")
    with pytest.raises(StoreError, match="syncs to a cloud drive"):
        Workspace(tmp_path, load(tmp_path))


def test_who_only_looks_is_not_held_up_by_whose_file_it_is(
    file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_text("[screening]\nrequired = false\n")
    curate = Command(file.parent, monkeypatch, capfd)
    curate("status")
    file.chmod(0o666)
    for verb in (("status",), ("verify",), ("report",), ("log",)):
        curate(*verb)
    refused: tuple[str, ...]
    for refused in (("fetch",), ("label",), ("verify", "--repair")):
        assert "everybody may write to it" in curate(*refused, code=2).err
