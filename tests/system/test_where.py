"""Where a command is run, and on what system, changes nothing but what it says it cannot do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from curate.contracts import Resources
from curate.engine import _limits as limits
from curate.engine import _transport as parcel
from curate.engine import each, slices
from curate.engine.pool import Pool
from tests.engine.test_engine import Deadly, Square
from tests.support.pictures import encode, texture

ROOT = Path(__file__).resolve().parents[2]


def shadows(folder: Path) -> Path:
    """Quiet packages of the names that a worker imports."""
    for name in ("curate", "curate/engine", "PIL"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").touch()
    for name in ("numpy", "msgspec", "landlockpy", "labelers", "scipy", "cli"):
        (folder / f"{name}.py").touch()
    return folder


def test_a_folder_of_other_packages_changes_nothing_where_python_would_import_from_it(tmp_path: Path) -> None:
    """`python -m cli` has the current folder first, until cli.py takes it away."""
    here = shadows(tmp_path / "here")
    (here / "cli.py").unlink()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "0.png").write_bytes(encode(texture(0), "PNG"))
    command = [sys.executable, "-m", "cli", "check", str(tmp_path / "images"), "--json", "-q"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=here, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["unreadable"]["files"] == 0


# -- what other systems lack -----------------------------------------------------------------------------------------


def test_where_processors_are_not_counted_by_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has no `sched_getaffinity`, and no memory without a name."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.delattr(os, "memfd_create")
    assert limits.cores() == os.cpu_count()
    assert parcel.Room.make() is None
    found = dict(each(Pool(2), Square(), slices(range(10), 4)))
    assert [found[n] for n in range(1, 7)] == [1, 4, 9, 16, 25, 36]
    died = dict(each(Pool(2), Deadly("kill"), slices(range(10), 4)))
    assert [n for n, answer in died.items() if isinstance(answer, Exception)] == [5]


def test_a_system_without_locks_is_one_line() -> None:
    code = "import sys; sys.modules['fcntl'] = None; import cli"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (run.returncode, run.stderr.count("\n"), "Windows" in run.stderr) == (1, 1, True), run.stderr


def test_no_memory_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full /dev/shm, or none: what goes through memory goes through the pipe."""

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "memfd_create", refuse)
    assert dict(Pool(1).map(Square(), range(1, 4), Resources())) == {1: 1, 2: 4, 3: 9}
