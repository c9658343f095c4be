"""What verbs say is done is done: how runs are recorded, what stays where it is, what failed and what helps."""

from pathlib import Path
from typing import Any

import pytest

from curate.coverage import KEPT, unnamed
from tests.support.calling import Command
from tests.support.pictures import encode, texture

CONFIG = """
[engine]
use = "serial"
[screening]
required = false
[[sources]]
use = "local"
path = "images"
label_from = "folder"
[[labelers]]
use = "declared"
"""


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """A folder of three pictures, two of them in one class."""
    (tmp_path / "curate.toml").write_text(CONFIG)
    for n, label in enumerate(("neutral", "neutral", "drawings")):
        put(tmp_path, f"{label}/{n}.png", encode(texture(n), "PNG"))
    return Command(tmp_path, monkeypatch, capfd)


def put(root: Path, name: str, data: bytes) -> Path:
    path = root / "images" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def runs(curate: Command, verb: str) -> list[dict[str, Any]]:
    return [one for one in curate("log", "--json").json["log"] if one["action"] == verb and "ended" in one]


# -- how runs are recorded -------------------------------------------------------------------------------------------


def test_a_run_that_was_incomplete_or_failed_is_recorded_as_that(curate: Command) -> None:
    curate("label", code=3)
    curate("export", "1.0.0", code=2)
    curate("fetch")
    curate("fetch", "--max-failures", "-1", code=3)
    (one,) = runs(curate, "label")
    assert (one["ended"], one["why"]) == ("incomplete", "there is no sample to look at; `curate fetch` comes first")
    (one,) = runs(curate, "export")
    assert (one["ended"], one["why"].startswith("exit 2: nothing to release")) == ("failed", True)
    well, short = runs(curate, "fetch")
    assert (well["ended"], "why" in well, short["ended"]) == ("done", False, "incomplete")
    curate("report")
    page = (curate.root / "report.html").read_text()
    assert "incomplete" in page
    assert "exit 2: nothing to release" in page


def test_the_record_of_a_run_names_no_item() -> None:
    why = f"{'ab' * 32}: /home/a b/c.jpg, https://example.org/x?sig=1\n(deadbeef) of 3 samples; `curate fetch`"
    assert unnamed(why) == "... ... ... ... ... of 3 samples; `curate fetch`"
    assert len(unnamed("word " * 1000)) <= KEPT


# -- what stays where it is ------------------------------------------------------------------------------------------


def test_a_takedown_names_the_file_that_is_left_in_the_users_folder(curate: Command) -> None:
    path = curate.root / "images/neutral/0.png"
    curate("fetch")
    said = curate("takedown", str(path), "--reason", "asked", "--json")
    assert said.json["left_in_source"] == [str(path)]
    assert path.exists()
    assert f"delete it yourself: {path}" in said.err
    assert curate("takedown", str(path), "--json").json["left_in_source"] == [str(path)]
    (curate.root / "images/neutral/1.png").rename(curate.root / "moved.png")
    gone = curate("takedown", str(curate.root / "images/neutral/1.png"), "--reason", "asked", "--json")
    assert (gone.json["removed"], gone.json["left_in_source"]) == (1, [])
    assert str(path) not in curate("log", "--json").out
