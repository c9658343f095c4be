"""The number of a release follows from what changed since the last; a dry run says it, and writes nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cli
from curate.admin.forget import forget
from curate.config import Config, ExportConfig
from curate.errors import StoreError, UsageError
from curate.release.export import export, export_also
from curate.release.preview import preview
from curate.release.rows import collect
from curate.release.versions import order, settle, step
from curate.removal.takedown import takedown
from curate.screening.quarantine import quarantine
from curate.store.workspace import Workspace
from tests.support.calling import Command
from tests.support.releases import EVERY, FORMATS, QUIET, SCREENED, Item, far, stocked

A, B, E = Item("a"), Item("b"), Item("e", "test")


def released(ws: Workspace, version: str | None = None) -> dict[str, Any]:
    return export(ws, version, {}, QUIET, SCREENED)


def judge(ws: Workspace, item: Item, label: str) -> None:
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown)"
            " VALUES (?, 'content', '1', 'ada', ?, '2026-01-01T00:00:00.000Z', 'imported')",
            (item.id, label),
        )


def nothing(ws: Workspace) -> None:
    pass


def take_down(ws: Workspace) -> None:
    takedown(ws, Item("gone").id, "asked for")


def add(ws: Workspace) -> None:
    judge(ws, Item("late"), "neutral")


def relabel(ws: Workspace) -> None:
    judge(ws, B, "sexy")


def move(ws: Workspace) -> None:
    """What nothing of ours does."""
    with ws.catalog.tx() as db:
        db.execute("UPDATE members SET split = 'val' WHERE sample = ?", (B.id,))


def hold(ws: Workspace) -> None:
    quarantine(ws.catalog, B.id, "why", actor="ann")


HISTORY = [
    (nothing, "patch", "1.2.4", ()),
    (take_down, "patch", "1.2.5", ()),
    (add, "minor", "1.3.0", ("1.2.6", "1.2.99")),
    (relabel, "major", "2.0.0", ("1.3.1", "1.4.0")),
    (move, "major", "3.0.0", ("2.99.99",)),
    (hold, "major", "4.0.0", ()),
]


def test_the_number_follows_from_the_rows(tmp_path: Path) -> None:
    """And a smaller one is refused, with the right one named, and nothing written; a larger one is taken."""
    ws = stocked(tmp_path, [A, B, E, Item("gone", "test"), Item("late", weak={})])
    ws.catalog.begin("test", "")
    released(ws, "1.2.3")
    before = "1.2.3"
    for change, level, right, smaller in HISTORY:
        change(ws)
        there = sorted(one.name for one in (ws.work / "releases").iterdir())
        for version in smaller:
            says = rf"^version {version}: since {before}: .* rows? .*that is a {level} step: give {right} or a higher"
            with pytest.raises(UsageError, match=says):
                released(ws, version)
        assert sorted(one.name for one in (ws.work / "releases").iterdir()) == there
        found = released(ws)
        assert (found["version"], found["step"]) == (right, level)
        before = right
    assert released(ws, "7.0.0")["step"] == "patch"
    ws.close()


def test_the_first_is_1_0_0_and_no_number_is_given_twice(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [A, E])
    for version in ("1.0.0", "1.0.1"):
        assert released(ws)["version"] == version
    shutil.rmtree(ws.work / "releases" / "1.0.1")
    forget(ws, "releases/1.0.1", "ann")
    assert released(ws)["version"] == "1.0.2", "1.0.1 was deleted"


@given(st.tuples(*[st.integers(0, 99)] * 3), st.sampled_from(["major", "minor", "patch"]))
def test_a_step_is_the_lowest_version_of_its_kind(parts: tuple[int, ...], level: str) -> None:
    before = ".".join(map(str, parts))
    after = step(before, level)
    assert order(after) > order(before)
    n = ("major", "minor", "patch").index(level)
    assert order(after) == (*parts[:n], parts[n] + 1, 0, 0)[:3]


# -- dry run ---------------------------------------------------------------------------------------------------------


def everything(root: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if not name.endswith(("-shm", "-wal"))}


def test_a_dry_run_says_what_would_be_and_writes_nothing(tmp_path: Path) -> None:
    config = Config(export=ExportConfig(require_license=True))
    twins = [Item("x", "train", hash=far(1)), Item("y", "test", hash=far(1))]
    ws = stocked(tmp_path, [A, *twins, Item("late", weak={})], config)
    before, changes = everything(tmp_path), ws.catalog.scalar("SELECT total_changes()")
    said = preview(ws, None, SCREENED)
    assert (said["version"], said["after"], said["step"]) == ("1.0.0", None, None)
    assert said["rows"] == {"train": 2, "val": 0, "test": 1}
    assert said["counts"]["test"] == {"neutral": 1}
    assert said["excluded"] == {"unlabelled": 1}
    assert said["gates"]["screened"] == "passed (3 rows)"
    assert said["gates"]["classes"] == "none: no class has 30 groups (3 rows)"
    assert "look alike" in said["gates"]["near"]
    assert "3 items have none" in said["gates"]["licence"]
    assert said["refused"] == ["licence", "near"]
    with pytest.raises(UsageError, match=r"MAJOR\.MINOR\.PATCH"):
        preview(ws, "1", SCREENED)
    assert (everything(tmp_path), ws.catalog.scalar("SELECT total_changes()")) == (before, changes)


def test_a_dry_run_says_what_export_then_does(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [A, B, E, Item("late", weak={})])
    released(ws)
    add(ws)
    said = preview(ws, None, SCREENED)
    assert (said["version"], said["after"], said["changes"]) == ("1.1.0", "1.0.0", "1 row added")
    assert settle(ws, "1.1.0", collect(ws))[0] == "1.1.0"
    found = released(ws)
    for name in ("version", "step", "rows", "excluded", "vanished"):
        assert said[name] == found[name]


def test_a_dry_run_says_that_pictures_want_a_word(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [A, B, E, Item("p", weak={"content": ("porn", 0.9)})])
    assert preview(ws, None, SCREENED, FORMATS)["refused"] == []
    assert preview(ws, None, SCREENED, EVERY)["refused"] == ["formats"]
    assert preview(ws, None, SCREENED, EVERY, "ada: asked for")["refused"] == []


def test_what_is_not_as_it_was_written_is_written_anew_and_a_link_is_left_alone(tmp_path: Path) -> None:
    ws = stocked(tmp_path / "ws", [A, B, E])
    export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    folder = ws.work / "exports" / "1.0.0"
    whole = everything(folder)
    shutil.rmtree(folder / "csv")
    (folder / "parquet" / "train.parquet").write_bytes(b"another")
    assert export_also(ws, "1.0.0", FORMATS, QUIET, SCREENED)["written"] == ["csv", "parquet"]
    assert everything(folder) == whole
    assert export_also(ws, "1.0.0", FORMATS, QUIET, SCREENED)["written"] == []
    (other := tmp_path / "other").mkdir()
    (other / "keep").touch()
    (ws.work / "exports" / "1.1.0").symlink_to(other)
    add(ws)
    with pytest.raises(StoreError, match="a link is where a folder goes"):
        export(ws, "1.1.0", FORMATS, QUIET, SCREENED)
    assert list(other.iterdir()) == [other / "keep"]
    assert [one.name for one in (ws.work / "releases").iterdir()] == ["1.0.0"]


# -- the command -----------------------------------------------------------------------------------------------------


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "curate.toml").write_text("[screening]\nrequired = false\n")
    ws = stocked(tmp_path, [A, B, E, Item("late", weak={})])
    ws.blobs.put((one.id, one.content) for one in (A, B, E, Item("late")))
    curate = Command(tmp_path, monkeypatch, capfd)
    assert curate("export", "--dry-run", "--json").json["version"] == "1.0.0"
    assert not (ws.work / "releases").exists() or not list((ws.work / "releases").iterdir())
    assert curate("export", "--json").json["version"] == "1.0.0"
    add(ws)
    assert "give 1.1.0" in curate("export", "1.0.1", code=2).err
    assert "give 1.1.0" in curate("export", "1.0.1", "--dry-run", code=2).err
    assert "near " in curate("export", "--dry-run").out
    assert curate("export", "--json").json["step"] == "minor"
    said = curate("diff", "1.0.0", "1.1.0", "--json").json
    assert [one["id"] for one in said["added"]] == [Item("late").id]
    assert "minor" in curate("diff", "1.0.0", "1.1.0").out
    assert "neither a release" in curate("diff", "1.0.0", "5.0.0", code=2).err
    folders = [str(ws.work / "releases" / version) for version in ("1.0.0", "1.1.0")]
    monkeypatch.chdir("/")
    monkeypatch.setattr("sys.argv", ["curate", "diff", *folders, "--json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert json.loads(capfd.readouterr().out)["level"] == "minor"
    ws.close()
