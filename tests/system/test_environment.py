"""What a process is started with (streams, encodings, flags of Python, a home) changes no answer and no exit code."""

import io
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from curate import progress
from curate.admin.doctor import doctor
from curate.admin.init import write_config
from curate.commands.context import Context
from curate.config import load
from curate.demo.corpus import default_cache
from curate.errors import UsageError
from curate.plugins import make
from tests.support.pictures import encode, texture

ROOT = Path(__file__).resolve().parents[2]
CURATE = ("-m", "cli")


def call(
    folder: Path, *args: str, env: Mapping[str, str] | None = None, before: str = "", streams: str = "",
    python: Sequence[str] = CURATE,
) -> "subprocess.CompletedProcess[bytes]":  # fmt: skip
    """Python in a folder, with further variables, after a shell's command and with its redirections."""
    command = ["/bin/sh", "-c", f'{before} exec "$@" {streams}', "sh", sys.executable, *python, *args]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    found = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    whole = {**kept, "LANG": "C.UTF-8", "PYTHONPATH": found, **(env or {})}
    return subprocess.run(command, cwd=folder, env=whole, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given") / "café ☕"
    write_config(folder, [{"use": "local", "path": "images", "label": "neutral"}], screening=False)
    return folder


# -- streams ---------------------------------------------------------------------------------------------------------


def test_a_stream_that_is_closed_is_no_other_file(tmp_path: Path) -> None:
    """The next file that was opened, a stored picture's perhaps, got its number, and what libraries write to it."""
    code = (
        "import os, sys; from curate.commands.streams import stand; stand();"
        " new = os.open('new', os.O_CREAT | os.O_WRONLY); print('lost'); print('lost', file=sys.stderr);"
        " os.write(2, b'lost'); sys.stdin.read(); sys.exit(new)"
    )
    done = call(tmp_path, code, streams="<&- >&- 2>&-", python=("-c",))
    assert done.returncode > 2
    assert (tmp_path / "new").read_bytes() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full"])
def test_where_stderr_takes_nothing_the_answer_is_the_same(project: Path, streams: str) -> None:
    done = call(project, "verify", "--json", streams=streams)
    assert (done.returncode, json.loads(done.stdout)["blobs"]) == (0, 0)
    assert call(project, "--nothing", streams=streams).returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("args", [["nothing"], ["dedupe", "--explain", "nothing"]])
def test_an_error_keeps_its_code_where_there_is_no_room_to_say_it(project: Path, args: list[str]) -> None:
    for streams in (">/dev/full", ">/dev/full 2>&1"):
        assert call(project, *args, "--json", streams=streams).returncode == 2


def test_in_a_program_without_a_stderr_nothing_else_is_taken_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    said = progress.Progress()
    said.note("a note")
    with said.stage("looked at", 2) as step:
        step(2)
    assert capsys.readouterr().out == ""


# -- encodings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_an_answer_is_the_same_in_every_encoding(encoding: str) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Context(None, None, json=True, quiet=False, verbose=False, out=out).say({"path": "café ☕"})
    out.seek(0)
    assert json.load(out) == {"path": "café ☕"}


def test_what_an_encoding_lacks_is_escaped(tmp_path: Path) -> None:
    done = call(tmp_path, "init", "café ☕", env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"caf\xe9 \u2615" in done.stdout


def test_names_that_would_be_read_by_another_encoding_are_refused(project: Path, tmp_path: Path) -> None:
    """A picture would be a second candidate, and its folder a class of another name."""
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for args in (["check", str(project)], ["init", "new"]):
        done = call(tmp_path, *args, env=env)
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr
        assert b"set PYTHONUTF8=1" in done.stderr
    assert list(tmp_path.iterdir()) == []


# -- a home ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("home", [None, "a folder from here"])
def test_without_a_home_what_is_said_of_it_is_a_line(
    home: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a container's user who is in no list of users."""

    def nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setenv("HOME", home) if home else monkeypatch.delenv("HOME", raising=False)
    for name in ("XDG_CACHE_HOME", "FIFTYONE_CONFIG_PATH", "FIFTYONE_DATABASE_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "curate.toml").write_text('[[sources]]\nuse = "local"\npath = "~/images"\n')
    with pytest.raises(UsageError, match=r"^sources\.local\.path: ~/images: there is no home folder here; set HOME"):
        make("sources", load(tmp_path).sources[0], "source")
    with pytest.raises(UsageError, match=r"^~/\.cache: there is no home folder here; set HOME"):
        default_cache()
    said = next(one for one in doctor(None) if one.name == "mongod")
    assert said.remedy != "mend this, then ask again", said.detail


# -- limits ----------------------------------------------------------------------------------------------------------


def test_where_few_files_may_be_open_at_once_more_may_or_it_is_one_line(project: Path) -> None:
    """Files that could not be opened were on record as missing."""
    (project / "images").mkdir(exist_ok=True)
    for n in range(3):
        (project / "images" / f"{n}.png").write_bytes(encode(texture(n), "PNG"))
    done = call(project, "status", "--json", before="ulimit -n 40;")
    assert (done.returncode, json.loads(done.stdout)["error"][:29]) == (2, "40 files may be open at once ")
    done = call(project, "fetch", "--json", before="ulimit -Sn 40;")
    assert (done.returncode, json.loads(done.stdout)["stored"]) == (0, 3), done.stderr


def test_where_the_ends_of_children_are_ignored_a_worker_that_dies_is_one_item(tmp_path: Path) -> None:
    """A daemon's own children inherit that; the process that workers come from ended at the first that died."""
    code = (
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from curate.engine import each, slices; from curate.engine.pool import Pool\n"
        "from tests.engine.test_engine import Deadly\n"
        "done = dict(each(Pool(2), Deadly('kill'), slices(range(10), 4)))\n"
        "print([n for n, answer in done.items() if isinstance(answer, Exception)], len(done))\n"
    )
    done = call(tmp_path, code, python=("-c",))
    assert (done.stdout, done.stderr) == (b"[5] 10\n", b"")


# -- flags of Python -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["-O", "-OO"])
def test_without_asserts_and_docstrings_a_plug_in_is_still_checked(tmp_path: Path, flag: str) -> None:
    code = (
        "from curate.testing import check_source; from sources.local import Local; check_source(Local);\n"
        "try: check_source(int)\nexcept AssertionError as error: print(error)"
    )
    done = call(tmp_path, code, python=(flag, "-c"))
    assert done.stdout == b"int, a source: it is no dataclass: its fields are its options\n", done.stderr
