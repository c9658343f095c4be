"""The Python API: what `import curate` gives, and that it does what the commands do."""

import asyncio
import inspect
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.main import get_command

import cli
import curate
from curate.net.loops import finished
from curate.project import Project
from tests.support.calling import Command
from tests.support.pictures import encode, texture

CONFIG = """
[screening]
required = false
[[sources]]
use = "local"
path = "images"
label_from = "folder"
[[labelers]]
use = "declared"
[export]
splits = { train = 0.6, val = 0.2, test = 0.2 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of 40 pictures of two safe classes, two of them the same, and a file that is none."""
    root = tmp_path_factory.mktemp("project")
    for n in range(40):
        picture = root / "images" / ("neutral", "drawings")[n % 2] / f"{n}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(encode(texture(n if n < 38 else n - 2, (96 + n, 64)), "PNG"))
    (root / "images" / "neutral" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "curate.toml").write_text(CONFIG)
    return root


@pytest.fixture(scope="module")
def project(folder: Path) -> Project:
    made = curate.open(folder, quiet=True)
    made.fetch()
    made.dedupe()
    made.label()
    return made


def test_public_names_are_these_and_no_module_has_one() -> None:
    assert curate.__all__ == [
        "BusyError", "CurateError", "GateError", "InterruptionError", "ItemError", "MatchError", "Project", "Release",
        "Result", "StoreError", "UsageError", "__version__", "check", "init", "load_model", "load_release",
        "metrics", "open",
    ]  # fmt: skip
    assert dir(curate) == sorted(curate.__all__)
    here = Path(curate.__file__).parent
    for name in curate.__all__:
        assert not (here / name).exists()
        assert not (here / f"{name}.py").exists()
        assert getattr(curate, name).__doc__


def test_every_error_that_the_documentation_names_is_a_public_name() -> None:
    text = (Path(__file__).parents[1] / "docs" / "api.md").read_text()
    assert set(re.findall(r"`(\w+Error)`", text)) <= {*curate.__all__}


@pytest.mark.parametrize("use", ["", "curate.open; curate.Project; curate.check; curate.load_release"])
def test_nothing_heavy_is_imported_before_it_is_used(use: str) -> None:
    code = f"import curate, sys\n{use or 'pass'}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in run.stdout.split()}
    assert not loaded & {"numpy", "pandas", "torch", "fiftyone", "PIL", "aiohttp", "pyarrow", "numba", "rich", "typer"}


def test_every_verb_has_its_method() -> None:
    """And each method is what the command calls: their names are in the command's code."""
    names = {
        "queue": "queue", "review": "review", "adjudicate": "adjudicate", "decisions import": "import_decisions",
        "decisions export": "export_decisions", "screening status": "screening_status",
        "screening entry": "screening_entry", "screening incident": "incident", "screening acknowledge": "acknowledge",
        "screening dispute": "dispute", "screening release": "release_incident", "screening close": "close_incident",
        "screening rescan": "rescan", "eval": "evaluate",
    }  # fmt: skip
    # of no project, or before there is one
    without = {"demo", "sources inspect", "taxonomy diff", "check", "init", "new", "doctor", "keys new"}
    root = get_command(cli.app)
    verbs = {}
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        for inner, one in getattr(command, "commands", {"": command}).items():
            verbs[f"{name} {inner}".strip()] = one.callback
    for verb, callback in verbs.items():
        if verb not in without:
            method = names.get(verb, verb)
            assert callable(getattr(Project, method)), verb
            called = inspect.getsource(inspect.unwrap(callback))
            assert f"project.{method}" in called, verb


def test_results_equal_those_of_the_command(
    folder: Path, project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    command = Command(folder, monkeypatch, capfd)
    for verb, method in (("status", project.status), ("dedupe", project.dedupe), ("label", project.label)):
        said, found = command(verb, "--json").json, json.loads(json.dumps(dict(method())))
        for each in (said, found):
            for passing in ("seconds", "stages", "disk", "work_bytes"):
                each.pop(passing, None)
        assert found == said, verb


def test_samples_are_a_frame_and_conditions_are_pushed_down(project: Project) -> None:
    every = project.samples()
    assert len(every) == 40
    assert set(every["label"].dropna()) == {"neutral", "drawings"}
    assert all(Path(one).is_file() for one in every["path"])
    assert every["url"].str.endswith(".png").all()
    some = project.samples(where="width > 100 and label == 'drawings'", columns=["id", "width", "label"])
    expected = every[(every["width"] > 100) & (every["label"] == "drawings")]
    pd.testing.assert_frame_equal(some, expected[["id", "width", "label"]].reset_index(drop=True))
    assert len(project.samples("split == 'train'")) == (every["split"] == "train").sum()


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("width >", "invalid syntax$"),
        ("width >= 3 and", "invalid syntax$"),
        ("label = 'neutral'", "equality is =="),
        ("nothing > 3", "no column 'nothing'"),
        ("label @ 3", "samples: where"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(project: Project, where: str, says: str) -> None:
    with pytest.raises(curate.UsageError, match=says):
        project.samples(where)


@pytest.mark.parametrize("retry", [True, 5, ["timeout", None]])
def test_reasons_to_ask_again_for_are_texts(project: Project, retry: Any) -> None:
    with pytest.raises(curate.UsageError, match="give a text, or a list of texts"):
        project.fetch(retry=retry)


def test_tables(project: Project) -> None:
    failed = project.failures()
    assert list(failed["reason"]) == ["decode_error"]
    assert failed["url"][0].endswith("broken.png")
    groups = project.duplicates()
    assert (groups.groupby("group").size() > 1).all()
    assert len(groups) >= 4
    votes = project.votes()
    assert set(votes.stack()) == {"neutral", "drawings"}
    assert "declared" in set(project.functions()["name"])
    assert project.decisions().empty


def test_what_is_held_back_is_in_no_table(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "images" / "neutral").mkdir(parents=True)
    for n in range(3):
        (tmp_path / "images" / "neutral" / f"{n}.png").write_bytes(encode(texture(n), "PNG"))
    (tmp_path / "curate.toml").write_text(CONFIG)
    project = curate.open(tmp_path, quiet=True)
    project.fetch()
    held = project.samples()["id"][0]
    project.quarantine(held, "looks odd")
    assert held not in set(project.samples()["id"])
    assert project.samples(where=f"id == '{held}'").empty
    assert len((shown := project.show([held])).tiles) == 0
    assert shown.left_out == {held: "kept back"}
    assert "kept back" in repr(shown)
    assert "kept back" in shown._repr_html_()


def test_a_release_gives_rows_bytes_and_a_dataset(project: Project, folder: Path) -> None:
    release = project.export("1.0.0")
    rows = release.frame("train")
    assert len(release.frame()) == sum(len(release.frame(split)) for split in ("train", "val", "test"))
    with release.open(rows["id"][0]) as picture:
        assert picture.read(4) == b"\x89PNG"
    data = release.torch("train", lambda picture: picture.size)
    assert len(data) == len(rows)
    size, label = data[0]
    assert size == (rows["width"][0], rows["height"][0])
    assert release.classes[label] == rows["label"][0]
    assert curate.load_release(folder / "work" / "releases" / "1.0.0").frame().equals(release.frame())
    with pytest.raises(curate.UsageError, match="no split"):
        release.frame("training")
    held = rows["id"][0]
    project.quarantine(held, "after the release")
    later = project.release("1.0.0")
    assert held not in set(later.frame()["id"])
    with pytest.raises(curate.StoreError, match="held back"):
        later.open(held)


def test_thumbnails_are_obscured_unless_all_is_safe(project: Project) -> None:
    ids = list(project.samples()["id"][:3])
    shown = project.show(ids)
    assert shown._repr_html_().count("<img") == 3
    assert "image/png" in shown._repr_html_()
    assert "image/jpeg" in project.show(ids, clear=True)._repr_html_()


def test_it_works_inside_a_running_event_loop(tmp_path: Path) -> None:
    """As in Jupyter."""
    (tmp_path / "images" / "neutral").mkdir(parents=True)
    (tmp_path / "images" / "neutral" / "1.png").write_bytes(encode(texture(1), "PNG"))
    (tmp_path / "curate.toml").write_text(CONFIG)

    async def cell() -> int:
        return int(curate.open(tmp_path, quiet=True).fetch()["stored"])

    assert asyncio.run(cell()) == 1


def test_who_drives_is_said_and_reading_goes_on(project: Project) -> None:
    with project.session.drive("fetch"), pytest.raises(curate.BusyError, match="fetch"):
        project.dedupe()
    with project.session.drive("fetch"):
        assert len(project.samples()) > 0


def test_init_makes_a_project(tmp_path: Path) -> None:
    made = curate.init(tmp_path / "new", quiet=True)
    assert made.samples().empty
    assert curate.open(tmp_path / "new" / "work").session.root == tmp_path / "new"
    with pytest.raises(curate.UsageError):
        curate.init(tmp_path / "new")
    with pytest.raises(curate.UsageError, match=r"curate\.init` makes one"):
        curate.open(tmp_path)


def test_init_writes_sources_that_curate_toml_could_have(tmp_path: Path, folder: Path) -> None:
    odd = 'it\'s "a"\n\\ \x7f ünï'
    given = [
        {"use": "local", "path": folder / "images", "label_from": "folder", "license": odd},
        {"use": "local", "path": "more", "label": "neutral", "follow_links": True},
    ]
    (tmp_path / "two" / "more").mkdir(parents=True)
    (tmp_path / "two" / "more" / "1.png").write_bytes(encode(texture(99), "PNG"))
    made = curate.init(tmp_path / "two", sources=given, quiet=True)
    tables = made.session.config.sources
    assert [{"use": one.use, **one.options} for one in tables] == [
        {**given[0], "path": str(given[0]["path"])},
        given[1],
    ]
    assert tables[0].options["license"] == odd
    text = (tmp_path / "two" / "curate.toml").read_text().replace("required = true", "required = false")
    (tmp_path / "two" / "curate.toml").write_text(text)
    assert made.fetch()["stored"] == 41


def test_init_writes_every_kind_of_option(tmp_path: Path) -> None:
    """Numbers, lists, tables, and names that TOML quotes."""
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Mine:\n"
        "    a: float\n    b: tuple[int, ...]\n    c: dict[str, str]\n    d: bool\n"
        "    def classes(self): return frozenset()\n    async def pages(self, http, cursor): yield\n"
    )
    options = {"a": -1.5e300, "b": [1, -2, 0], "c": {"two words": "x", 'q"': ""}, "d": False}
    made = curate.init(tmp_path, sources=[{"use": "./mine.py", **options}], quiet=True)
    assert made.session.config.sources[0].options == options


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ([{"use": "locl", "path": "a"}], "no such source; did you mean 'local'"),
        ([{"use": "local", "path": "a", "labl": "b"}], "sources.local.labl: no such key"),
        ([{"path": "a"}], "this table needs use"),
        ([{"use": "local", "path": 3}], "3 is not a path"),
        ([{"use": "local", "path": None}], "cannot stand in curate.toml"),
        ([{"use": "local", "path": "\ud800"}], "cannot be written as TOML"),
        ([{"use": "local", "path": "a", "x": float("nan")}], "TOML reads them as something else"),
        ([{"use": "./none.py"}], "No such file"),
        ([{"use": "../above.py"}], "lies below the folder"),
        ({"use": "local"}, "give a list of tables"),
        (["local"], "give a list of tables"),
    ],
)
def test_init_leaves_nothing_behind_where_a_source_is_wrong(tmp_path: Path, sources: Any, says: str) -> None:
    with pytest.raises(curate.UsageError, match=re.escape(says)):
        curate.init(tmp_path / "new", sources=sources)
    assert not (tmp_path / "new").exists()


def test_a_dataset_is_checked_without_a_project(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split / "neutral").mkdir(parents=True)
        (tmp_path / split / "neutral" / "1.png").write_bytes(encode(texture(1), "PNG"))
    found = curate.check(tmp_path)
    assert found.leak
    assert list(found.leaks.columns) == ["path_a", "path_b", "group", "kind", "bits", "splits", "labels"]
    assert [set(pair) for pair in found.leaks[["path_a", "path_b"]].values.tolist()] == [
        {"train/neutral/1.png", "test/neutral/1.png"}
    ]
    assert (found.keep, found.remove) == (["test/neutral/1.png"], ["train/neutral/1.png"])
    assert found.duplicates.empty
    assert "2 readable" in repr(found)
    assert curate.check(tmp_path, keep="train").remove == ["test/neutral/1.png"]


def test_the_module_is_the_command() -> None:
    run = subprocess.run([sys.executable, "-m", "curate", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"curate {curate.__version__}\n"


def test_an_interruption_in_a_cell_ends_the_fetch(tmp_path: Path) -> None:
    """The coroutine is cancelled, and has ended when the interruption goes on."""
    ended = []

    async def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def cell() -> None:
        finished(work())

    loop = asyncio.new_event_loop()  # a kernel's: `asyncio.run` would catch the signal
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(cell())
    loop.close()
    assert ended == [True]
