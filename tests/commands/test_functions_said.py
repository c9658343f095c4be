"""What a terminal shows of labelling functions: aligned tables, sentences below, and no field that says nothing."""

from pathlib import Path
from typing import Any

import pytest

import curate as package
from curate.label.terminal import PAIRS, table
from tests.support.calling import Command
from tests.support.pictures import encode, texture

CONFIG = """
screening = { required = false }
sources = [{ use = "local", path = "images", label_from = "folder" }]
labelers = [{ use = "declared" }, { use = "drawing" }]
label = { bootstrap = false, functions = ["mine.py"] }
"""
MINE = """
from snorkel.labeling import labeling_function
@labeling_function()
def wide(x):
    return 0 if x.width > 80 else 2
@labeling_function()
def wide_again(x):
    return 0 if x.width > 80 else 2
"""


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    for n in range(24):
        path = tmp_path / "images" / ("neutral" if n % 2 else "drawings") / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(texture(n, (64 + n, 64)), "PNG"))
    (tmp_path / "curate.toml").write_text(CONFIG)
    (tmp_path / "mine.py").write_text(MINE)
    found = Command(tmp_path, monkeypatch, capfd)
    found("fetch")
    return found


def test_functions_and_pairs_stand_in_columns(curate: Command) -> None:
    for said in (curate("label").out, curate("functions").out):
        lines = [one.strip() for one in said.splitlines()]
        head = next(one for one in lines if one.startswith("name "))
        row = next(one for one in lines if one.startswith("wide "))
        assert row.index("100.0%") + len("100.0%") == head.index("votes on") + len("votes on")
        assert "- wide votes as wide_again does: drop one, or make one function of the two" in lines
        assert "nan" not in said
        assert max(map(len, lines)) < 150
    pair = next(one for one in curate("label").out.splitlines() if "wide / wide_again" in one)
    assert pair.endswith("copies")
    records = curate("functions", "--json").json["functions"]
    assert list(records[0])[:4] == ["name", "coverage", "overlap", "conflict"]
    assert records[0]["accuracy"] is None
    frame = package.open(curate.root, quiet=True).functions()
    assert list(frame.columns) == list(records[0])


def test_ten_pairs_that_say_something_are_printed_and_the_rest_counted() -> None:
    quiet: dict[str, Any] = {"both": 0.5, "conflict": 0.01, "same": 0.2, "copy": False, "correlated": False, "gold": 0}
    quiet |= {"wrong_together": None, "by_chance": None}
    loud = [quiet | {"functions": ["a", str(n)], "conflict": 0.5} for n in range(PAIRS + 3)]
    lines = table("pairs", [*loud, quiet | {"functions": ["a", "quiet"]}]) or []
    assert len(lines) == 1 + PAIRS + 1
    assert lines[-1] == "4 more: --json"
    assert table("pairs", [quiet | {"functions": ["a", "b"]}]) == ["1 more: --json"]
    assert table("functions", [{"name": "a"}]) is None


def test_a_slice_that_fails_says_why() -> None:
    one = {"name": "s", "samples": 0, "labelled": 0, "accuracy": None, "interval": None, "gold": 0, "faults": 3}
    assert table("slices", [one | {"fault": "KeyError: x"}]) == [
        "name  failed on", "s             3", "- s failed on 3, first with KeyError: x",
    ]  # fmt: skip
