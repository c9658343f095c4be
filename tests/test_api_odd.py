"""The Python API where things are odd: names of files, a lock that another process holds, threads, a fork, a project
that is gone, an interruption; and a folder of a million files."""

import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import curate
from curate.admin.incidents import Incidents
from curate.admin.session import Session
from curate.admin.tables import Tables
from curate.errors import InterruptionError, plain
from curate.project import Project
from curate.screening.quarantine import quarantine
from tests.support.pictures import encode, texture

CONFIG = """
screening = { required = false }
sources = [{ use = "local", path = "images", label_from = "folder" }]
labelers = [{ use = "declared" }]
export = { splits = { train = 0.6, val = 0.2, test = 0.2 } }
"""
NAMES = (
    '"><script>alert(1)<script>.png', "quo\"te's.png", "new\nline.png", "bidi\u202egnp.exe.png", "esc\x1b[31m.png",
    "not\udcfftext.png", "-rf.png", "=1+1.png", "a,b;c.png",
)  # fmt: skip

ORDINARY = [f"{n}.png" for n in range(8)]


def named(root: Path, names: Sequence[str] = ORDINARY) -> Project:
    """A project with a picture of each name, another one that is like the first, and a broken file of each name."""
    for n, name in enumerate(names):
        for label, data in (("neutral", encode(texture(n, (96, 64)), "PNG")), ("drawings", b"\x89PNG\r\n\x1a\n")):
            path = root / "images" / label / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    (root / "images" / "neutral" / f"again {names[0]}").write_bytes(encode(texture(0, (192, 128)), "PNG"))
    (root / "curate.toml").write_text(CONFIG)
    return curate.open(root, quiet=True)


# -- names of files --------------------------------------------------------------------------------------------------


def hostile(text: str) -> list[str]:
    """What of a page a browser, or a terminal, would obey."""
    return [one for one in ("<script>alert", "\u202e", "\x1b") if one in text]


def test_names_of_files_are_data_wherever_they_come_out(tmp_path: Path) -> None:
    project = named(tmp_path, NAMES)
    fetched = project.fetch()
    assert (fetched["stored"], fetched["failed"]) == (len(NAMES) + 1, len(NAMES))
    project.dedupe(report=True)
    project.label()
    found = project.samples()
    assert {plain(f"neutral/{name}") for name in NAMES} <= {*found["ref"]}
    assert len(project.failures()) == len(NAMES)
    assert len(project.duplicates()) == 2
    for table in (found, project.failures(), project.duplicates()):
        assert "<script>" not in table.to_html()
    shown = project.show(list(found["id"]))
    assert hostile(shown._repr_html_()) == hostile(repr(shown)) == []
    said = project.explain(str(found["id"][0]))
    assert "<script>" not in said._repr_html_()
    for page in (project.report(), tmp_path / "dedupe.html"):
        assert hostile(page.read_text(encoding="utf-8")) == []
    release = project.export("1.0.0")
    rows = release.frame()
    assert set(rows["id"]) <= set(found["id"])
    assert "<script>" not in release._repr_html_()


def test_check_gives_names_as_they_are_and_shows_them_harmless(tmp_path: Path) -> None:
    named(tmp_path, NAMES)
    for split in ("train", "test"):
        shutil.copytree(tmp_path / "images" / "neutral", tmp_path / "data" / split / "neutral")
    found = curate.check(tmp_path / "data")
    paths = {*found.leaks["path_a"], *found.leaks["path_b"]}
    assert found.leaks["bits"].dtype == found.leaks["group"].dtype == "int64", "names that are no text change no other"
    assert {f"{split}/neutral/{name}" for split in ("train", "test") for name in NAMES} <= paths
    assert hostile(repr(found)) == hostile(found._repr_html_()) == []
    assert "<script>" not in found.leaks.to_html()
    assert found.fix(tmp_path / "clean") == len(found.keep)
    assert sorted(os.listdir(tmp_path / "clean" / "test" / "neutral")) == sorted(  # noqa: PTH208 (names that are no text)
        path.rpartition("/")[2] for path in found.keep
    )
    counts = found.write(tmp_path / "lists")
    lines = (tmp_path / "lists" / "remove.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == counts["remove.txt"] == len(found.remove)
    assert all(line.isprintable() for line in lines)
    with pytest.raises(curate.UsageError, match="something is there"):
        found.fix(tmp_path / "clean")
    with pytest.raises(curate.UsageError, match="inside"):
        found.write(tmp_path / "data" / "lists")


# -- others at work --------------------------------------------------------------------------------------------------


@contextmanager
def held(root: Path) -> Iterator[int]:
    """Another process holds the lock of a project, as `curate fetch`; gives its number."""
    code = (
        "import sys, curate\nproject = curate.open(sys.argv[1], quiet=True)\n"
        "with project.session.drive('fetch'):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder.pid
        finally:
            holder.stdin.close()


def test_a_lock_that_another_process_holds(tmp_path: Path) -> None:
    """Opening and reading work; the first verb that writes is told who holds it, and nothing was done."""
    named(tmp_path).fetch()
    with held(tmp_path) as holder:
        project = curate.open(tmp_path, quiet=True)
        every = project.samples()
        assert len(every) == 9
        assert len(project.failures()) == 8
        assert project.status()["samples"] == 9
        assert len(project.show(list(every["id"][:2])).tiles) == 2
        for verb in (project.fetch, project.dedupe, project.label, lambda: project.export("1.0.0")):
            with pytest.raises(curate.BusyError, match=rf"`curate fetch` \(pid {holder} on .*\) is at work here"):
                verb()
    assert project.dedupe()["samples"] == 9


def test_two_threads(tmp_path: Path) -> None:
    """Both read; of two that write, one does, or both one after the other; never both at once, and nothing is lost."""
    project = named(tmp_path)
    project.fetch()
    start = threading.Barrier(4)

    def each(act: Callable[[], object]) -> object:
        start.wait()
        try:
            return act()
        except curate.BusyError as error:
            return error

    with ThreadPoolExecutor(4) as threads:
        acts = [project.samples, project.dedupe, project.samples, project.dedupe]
        first, one, second, other = threads.map(each, acts)
    assert len(first) == len(second) == 9  # type: ignore[arg-type]
    grouped = [done for done in (one, other) if not isinstance(done, curate.BusyError)]
    assert grouped
    assert all(done["samples"] == 9 for done in grouped)  # type: ignore[index]
    assert project.verify()["items"] == []


FORKING = """
import os, sys, curate
project = curate.open(sys.argv[1], quiet=True)
project.fetch()
before = len(project.samples())
if (child := os.fork()) == 0:
    code = 1
    try:
        assert len(project.samples()) == before
        project.dedupe()
        project.label()
        code = 0
    finally:
        os._exit(code)
assert os.waitpid(child, 0)[1] == 0, "the child"
assert len(project.duplicates()) == 2, "what the child did is there"
project.label()
print(len(project.export("1.0.0").frame()))
"""


def test_after_a_fork(tmp_path: Path) -> None:
    """The child goes on with it, and so does the parent, although the engine's processes are the parent's."""
    named(tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", FORKING, str(tmp_path)], capture_output=True, text=True, timeout=250, check=False
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 0


# -- gone, and interrupted -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["samples", "failures", "fetch", "dedupe", "label", "status", "verify", "report"])
def test_a_project_that_is_gone_is_a_line(method: str, tmp_path: Path) -> None:
    """There is nothing to close: what a project is, is its folder."""
    project = named(tmp_path / "here", ("a.png",))
    shutil.rmtree(tmp_path / "here")
    with pytest.raises(curate.CurateError, match=r"curate\.toml|no such|not there"):
        getattr(project, method)()
    assert not (tmp_path / "here").exists()


def test_a_release_whose_project_is_gone_is_a_line(tmp_path: Path) -> None:
    project = named(tmp_path / "here")
    project.run("1.0.0")
    release = project.release("1.0.0")
    first = release.frame()["id"][0]
    shutil.rmtree(tmp_path / "here")
    with pytest.raises(curate.StoreError):
        release.open(first)
    with pytest.raises(curate.CurateError):
        project.release("1.0.0")


def test_a_release_in_the_hand_gives_nothing_that_is_held_back_since(tmp_path: Path) -> None:
    """Nor does what was exported, as long as it lies in the workspace."""
    project = named(tmp_path / "here", ("a.png", "b.png", "c.png", "d.png"))
    project.run("1.0.0")
    project.export("1.0.0", formats="imagefolder")
    work, away = project.session.root / "work", tmp_path / "handed on"
    shutil.copytree(work / "exports" / "1.0.0" / "imagefolder", away)
    release, exported = (curate.load_release(work / one) for one in ("releases/1.0.0", "exports/1.0.0/imagefolder"))
    pictures = next(one for one in map(release.torch, ("train", "val", "test")) if len(one))
    one = pictures.ids[0]
    assert pictures[0]
    assert release.open(one).read() == exported.open(one).read()
    project.quarantine(one, reason="seen by somebody")
    anew = curate.load_release(work / "exports" / "1.0.0" / "imagefolder")
    each: list[Callable[[], Any]] = [partial(one_of.open, one) for one_of in (release, exported, anew)]
    each += [partial(release.open, one[:12]), partial(pictures.__getitem__, 0)]
    for given in each:
        with pytest.raises(curate.StoreError, match="held back since"):
            given()
    assert one not in {*exported.frame()["id"], *anew.frame()["id"]}
    assert curate.load_release(away).open(one).read(), "it knows of no workspace"
    rest = set(release.frame()["id"])
    assert one not in rest
    for other in rest:
        assert release.open(other).read()
    project.takedown(gone := rest.pop(), reason="asked for")
    with pytest.raises(curate.StoreError, match=gone):
        release.open(gone)


def test_a_release_in_the_hand_says_once_what_waits_to_be_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    project = named(tmp_path, ("a.png", "b.png", "c.png", "d.png"))
    project.run("1.0.0")
    columns = "(incident, at, run, kind, digest, list, entry, source, state)"
    with project.session.drive("fetch") as ws, ws.catalog.tx() as db:
        db.execute(f"INSERT INTO incidents {columns} VALUES (7, '2026', 1, 'match', 'd', 'l', 'e', 's', 'open')")
    capfd.readouterr()
    release = project.release("1.0.0")
    first, second = release.frame()["id"][:2]
    assert capfd.readouterr().err.count("incident 7 is open") == 1
    times: list[int] = []

    def reread(session: Session, act: Callable[[Any], Any]) -> Any:
        times.append(1)
        return session.read(act, tells=False)

    monkeypatch.setattr(Session, "reread", reread)
    asks = project.release("1.0.0")
    with project.session.open():
        for _ in range(9):
            assert asks.open(first).read()
    assert len(times) <= 2, "nor is asked again what did not change, because somebody else has it open"
    capfd.readouterr()
    project.session.read(lambda ws: quarantine(ws.catalog, first, "why", actor="ann"), tells=False)
    with pytest.raises(curate.StoreError, match="held back since"):
        release.open(first)
    assert release.open(second).read()
    assert capfd.readouterr().err == ""


def test_a_release_gives_no_bytes_but_those_that_were_released(tmp_path: Path) -> None:
    project = named(tmp_path, ("a.png", "b.png", "c.png", "d.png"))
    project.run("1.0.0")
    release = project.release("1.0.0")
    first, second = release.frame()["id"][:2]
    blob, other = (tmp_path / "work" / "blobs" / one[:2] / one for one in (first, second))
    whole = blob.read_bytes()
    for wrong in (other.read_bytes(), whole[:-1], whole + b" ", b"", bytes([*whole[:50], whole[50] ^ 1, *whole[51:]])):
        blob.write_bytes(wrong)
        with pytest.raises(curate.StoreError, match="sha256 differs"):
            release.open(first)
    blob.write_bytes(whole)
    assert release.open(first).read() == whole


def test_an_interruption_is_an_error_of_the_tree_and_an_interruption_still(tmp_path: Path) -> None:
    project = named(tmp_path, ("a.png",))
    for kind in (curate.CurateError, KeyboardInterrupt):
        with pytest.raises(kind, match="what is done is kept") as caught, project.session.drive("dedupe"):
            signal.raise_signal(signal.SIGINT)
        assert isinstance(caught.value, InterruptionError)
    assert project.log(1)["log"][0]["ended"] == "interrupted"


class Interrupting(types.ModuleType):
    """A module that is interrupted as it is imported from."""

    def __getattr__(self, name: str) -> Any:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("method", "module"),
    [("label", "curate.admin.following"), ("explain", "curate.dedupe.explain"), ("votes", "curate.report.frames"),
     ("screening_status", "curate.screening.misfires"), ("report", "curate.report.run")],
)  # fmt: skip
def test_an_interruption_while_it_is_imported_is_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, module: str
) -> None:
    project = named(tmp_path, ("a.png",))
    monkeypatch.setitem(sys.modules, module, Interrupting(module))
    with pytest.raises(InterruptionError):
        getattr(project, method)(*["a.png"] * (method == "explain"))


def test_every_public_method_can_be_interrupted_from_its_first_line_on() -> None:
    for cls in (Project, Tables, Incidents):
        for name, method in vars(cls).items():
            assert name.startswith("_") or not inspect.isfunction(method) or hasattr(method, "__wrapped__"), name


def test_an_interrupted_check_is_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named(tmp_path, ("a.png",))
    monkeypatch.setattr("curate.checks.run.look", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptionError):
        curate.check(tmp_path / "images")


# -- many ------------------------------------------------------------------------------------------------------------

MANY = int(os.environ.get("CURATE_MANY", "1000000"))
PEAK = """
import json, resource, sys
import curate
said = {}
if sys.argv[2] == "check":
    found = curate.check(sys.argv[1])
    said = {"pictures": found.facts["pictures"], "unreadable": found.facts["unreadable"]["files"]}
else:
    said = dict(curate.open(sys.argv[1], quiet=True).fetch(limit=1000))
    said = {"candidates": said["candidates"], "stored": said["stored"], "failed": said["failed"]}
own = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss is the parent's, too
said["peak"] = max(int(own.split()[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024
print(json.dumps(said))
"""


@pytest.mark.soak
@pytest.mark.parametrize("what", ["fetch", "check"])
def test_a_million_files_take_bounded_memory(what: str, tmp_path: Path) -> None:
    """A thousand pictures a thousand times, or for half of the files none: links, of which a file may have 65,000."""
    for n in range(1000):
        path = tmp_path / "images" / "neutral" / f"{n:03}" / "picture.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(encode(texture(n, (32, 32)), "PNG"))
    for n in range(MANY - 1000):
        if n % 50_000 == 0:
            (tmp_path / f"none{n}").write_bytes(b"<html>%d</html>" % n)
        folder = tmp_path / "images" / "neutral" / f"{n % 1000:03}"
        real = folder / "picture.png" if n // 1000 % 2 else tmp_path / f"none{n - n % 50_000}"
        (folder / f"{n}.png").hardlink_to(real)
    (tmp_path / "curate.toml").write_text(CONFIG)
    target = tmp_path / "images" if what == "check" else tmp_path
    run = subprocess.run([sys.executable, "-c", PEAK, str(target), what], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout)
    print(said)
    if what == "check":
        assert said["pictures"] + said["unreadable"] == MANY
        assert said["pictures"] > 0.4 * MANY
    else:
        assert said["candidates"] == MANY
        assert said["stored"] + said["failed"] == 1000
    assert said["peak"] < 200 * 2**20 + {"fetch": 200, "check": 2500}[what] * MANY  # bytes a file
