"""What the system says of names, rights and disks is an error of the tree, from Python and from the command."""

import errno
import tempfile
from pathlib import Path
from typing import Any

import pytest

import curate
from curate.errors import CurateError, DiskFullError, StoreError, UsageError, of_system
from tests.support.calling import Command

LONG = "a" * 5000


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        *[(OSError(one, "said", "name"), DiskFullError) for one in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)],
        *[(OSError(one, "said", b"name"), StoreError) for one in (errno.EACCES, errno.EPERM, errno.EROFS)],
        *[(OSError(one, "said", "name"), UsageError) for one in (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)],
    ],
)
def test_what_the_system_says_keeps_its_name(error: OSError, kind: type[CurateError]) -> None:
    known = of_system(error)
    assert type(known) is kind
    assert str(known).startswith("name: said")


@pytest.mark.parametrize(
    "error", [OSError(errno.EPIPE, "x"), OSError(errno.ENOENT, "x", "y"), ValueError("x"), OSError("x")]
)
def test_anything_else_is_a_fault_of_ours(error: Any) -> None:
    assert of_system(error) is None


def test_no_folder_for_temporary_files_is_not_the_folder_that_this_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "nowhere")])
    with pytest.raises(FileNotFoundError) as raised:
        tempfile.gettempdir()
    known = str(of_system(raised.value))
    assert known == f"No usable temporary directory found in ['{tmp_path / 'nowhere'}']; set TMPDIR"


@pytest.mark.parametrize("call", [curate.open, curate.init, curate.check, curate.load_release])
def test_a_name_that_cannot_be_is_a_usage_error(call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for wrong in (LONG, "a\0b"):
        with pytest.raises(UsageError):
            call(wrong)
    assert not [*tmp_path.iterdir()]
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UsageError, match="the folder that this runs in is gone"):
        call("b" if call is curate.load_release else ".")


@pytest.mark.parametrize("verb", [("check", LONG), ("sources", "inspect", LONG), ("demo", LONG)])
def test_a_name_that_is_too_long_is_a_line(
    verb: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # with none of the demo's pictures
    said = Command(tmp_path, monkeypatch, capfd)(*verb, code=2)
    assert "File name too long" in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_a_new_project_stays_where_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the program goes then."""
    monkeypatch.chdir(tmp_path)
    project = curate.init("mine", quiet=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert project.status()["samples"] == 0
    assert str(tmp_path / "mine") in repr(project)


def test_a_place_that_is_no_folder_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A link that leads to itself, one that leads nowhere, a file, and what would lie below one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "file").write_text("x")
    (tmp_path / "here").mkdir()
    curate.init("here", quiet=True)
    run = Command(tmp_path / "here", monkeypatch, capfd)
    for place in ("loop", "nowhere", "file", "file/below"):
        path = str(tmp_path / place)
        for verb in (("init",), ("demo",), ("hydrate",), ("check",), ("dedupe", "--forget"), ("diff", "x")):
            assert len(run(*verb, path, code=2).err.strip().splitlines()) == 1, (verb, place)
        with pytest.raises(CurateError):
            curate.load_release(path)
    assert not (tmp_path / "gone").exists()
