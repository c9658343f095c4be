"""Trying a file of labelling functions: what it says, what it leaves alone, and what it costs."""

import html
import json
import re
from pathlib import Path

import pytest

import curate
from curate.label import trying
from curate.project import Project
from tests.support.calling import Command
from tests.support.folders import config, put
from tests.support.pictures import encode, texture

CONFIG = config(
    "words", more='[label]\nfunctions = ["mine.py"]\n[export]\nsplits = { train = 0.9, val = 0.1, test = 0 }\n'
)
MINE = """
from snorkel.labeling import labeling_function
from snorkel.slicing import slicing_function

DRAWINGS, NEUTRAL, PORN = 0, 2, 3

@labeling_function()
def by_folder(x):
    return {"neutral": NEUTRAL, "drawings": DRAWINGS}.get(x.ref.split("/")[0], -1)

@slicing_function()
def wide(x):
    return x.width > 80
"""
NEW = """
from snorkel.labeling import labeling_function

@labeling_function()
def lakes(x):
    return 2 if "lake" in x.words else -1

@labeling_function()
def never(x):
    return -1

@labeling_function()
def all_wrong(x):
    return 3 if "drawings" in x.ref else 1 // 0 if x.width == 66 else -1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of 30 pictures, labelled once, ten of them judged by somebody."""
    root = tmp_path_factory.mktemp("project")
    for n in range(30):
        name = f"{('neutral', 'drawings')[n % 2]}/{'lake' if n < 12 else 'hill'}-{n}.png"
        put(root, name, encode(texture(n, (64 + n, 64)), "PNG"))
    (root / "curate.toml").write_text(CONFIG)
    (root / "mine.py").write_text(MINE)
    (root / "new.py").write_text(NEW)
    project = curate.open(root, quiet=True)
    project.fetch()
    project.dedupe()
    project.label()
    rows = project.samples()
    decided = [
        f"{one},{ref.split('/')[0]},ada,2026-01-01T00:00:00Z" for one, ref in zip(rows["id"], rows["ref"], strict=True)
    ]
    (root / "people.csv").write_text("\n".join(["sha256,label,annotator,time", *decided[:10]]))
    project.import_decisions(root / "people.csv")
    return root


@pytest.fixture
def project(folder: Path) -> Project:
    return curate.open(folder, quiet=True)


def files(folder: Path) -> dict[str, bytes]:
    return {str(one): one.read_bytes() for one in (folder / "work").rglob("*.parquet")}


def test_what_a_new_function_would_do(project: Project, folder: Path) -> None:
    before, report = files(folder), project.functions().to_dict("records")
    found = project.try_functions(folder / "new.py")
    assert (found["axis"], found["samples"], found["labelled_by_people"], found["unscored"]) == ("content", 30, 10, 0)
    by = {one["name"]: one for one in found["functions"]}
    assert sorted(by) == ["all_wrong", "lakes", "never"]
    assert by["lakes"]["votes"] == {"neutral": 12}
    assert by["lakes"]["coverage"] == 0.4
    assert by["lakes"]["contradicts"] == {"all_wrong": 6, "by_folder": 6, "declared": 6}
    assert by["never"]["votes"] == {}
    assert by["all_wrong"]["votes"] == {"failed": 1, "porn": 15}
    assert by["all_wrong"]["fault"].startswith("ZeroDivisionError")
    assert by["all_wrong"]["accuracy"] == 0
    assert by["all_wrong"]["flags_alone"] == 16
    gold = by["lakes"]["gold"]
    assert 0 < gold <= 10
    low, high = by["lakes"]["interval"]
    assert low <= by["lakes"]["accuracy"] <= high
    assert files(folder) == before
    assert project.functions().to_dict("records") == report, "nothing of the run is another"


def test_the_page_shows_twelve_of_each_vote_obscured(project: Project, folder: Path) -> None:
    page = Path(project.try_functions(folder / "new.py")["page"])
    text = page.read_text()
    assert page == folder / "functions.html"
    assert text.count("<img") == 12 + trying.SHOWN + 1
    assert "image/jpeg" not in text
    assert "<script" not in text
    assert not re.search(r"https?://", text)
    assert "It never votes" in text


def test_a_file_that_is_in_force_takes_its_own_place(project: Project, folder: Path) -> None:
    (folder / "mine.py").write_text(MINE.replace('x.ref.split("/")[0], -1)', '"?", -1)'))
    try:
        found = project.try_functions(folder / "mine.py")
    finally:
        (folder / "mine.py").write_text(MINE)
    assert [one["name"] for one in found["functions"]] == ["by_folder"]
    assert found["functions"][0]["votes"] == {}
    assert found["slices"] == [{"name": "wide", "samples": 13, "faults": 0, "fault": None}]


def test_few_are_asked_and_all_gold(project: Project, folder: Path) -> None:
    found = project.try_functions(folder / "new.py", size=5)
    assert (found["samples"], found["labelled_by_people"]) == (5, 10)


def test_the_command_says_the_same(
    folder: Path, project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    command = Command(folder, monkeypatch, capfd)
    said = command("functions", "--try", str(folder / "new.py"), "--json").json
    assert said["functions"] == json.loads(json.dumps(project.try_functions(folder / "new.py")["functions"]))
    text = command("functions", "--try", str(folder / "new.py")).out
    assert "lakes: votes neutral 12" in text
    assert "never: votes never" in text
    assert "contradicts all_wrong on 6, by_folder on 6, declared on 6" in text
    assert "functions.html" in text
    report = project.functions().to_dict("records")
    missing = [one for one in report if any(value is None or value != value for value in one.values())]
    assert missing, "something is missing: None or NaN in a frame, null in JSON"
    assert command("functions", "--json").json["functions"] == [
        {key: None if value != value else value for key, value in one.items()} for one in report
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import x\ndef f(:\n", ":2: invalid syntax"),
        ("x = 1", "no @labeling_function() or @slicing_function() in it"),
        (NEW.replace("lakes", "declared"), "two labelling functions are called 'declared'"),
        (f"{NEW}\nlakes.sets = ('lake',)", "no such class 'lake'"),
    ],
)
def test_a_file_that_is_wrong_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    (folder / "wrong.py").write_text(text)
    err = Command(folder, monkeypatch, capfd)("functions", "--try", str(folder / "wrong.py"), code=2).err
    assert says in err
    assert len(err.strip().splitlines()) == 1


def test_labels_are_reported_by_slice(project: Project, folder: Path) -> None:
    found = project.label()
    assert found["slices"][0] | {"interval": None} == {
        "name": "wide", "samples": 13, "labelled": 13, "accuracy": 1.0, "interval": None,
        "gold": found["slices"][0]["gold"], "faults": 0, "fault": None,
    }  # fmt: skip


def test_a_takedown_removes_the_page(project: Project, folder: Path) -> None:
    project.try_functions(folder / "new.py")
    assert (folder / "functions.html").exists()
    project.takedown(project.samples()["id"][0], "a test")
    assert not (folder / "functions.html").exists()


def test_what_fails_everywhere_is_to_be_mended_and_says_why(project: Project, folder: Path) -> None:
    (folder / "odd.py").write_text(
        "from snorkel.labeling import labeling_function\nfrom snorkel.slicing import slicing_function\n"
        "@labeling_function()\ndef odd(x):\n    return x.with_ > 3\n"
        "@slicing_function()\ndef part(x):\n    return x.heigth > 3\n"
    )
    found = project.try_functions(folder / "odd.py")
    said = [one.strip() for one in trying.lines(found)]
    n = found["functions"][0]["faults"]
    why = "first with AttributeError: a row has no attribute 'with_' (did you mean 'width'?)"
    assert f"odd failed on {n} rows, {why}: mend odd in {folder / 'odd.py'}" in said
    sliced = f"failed on {found['samples']}, first with AttributeError: a row has no attribute 'heigth'"
    assert any(one.startswith(sliced) for one in said)
    assert not any("threshold" in one or "loosen" in one or "nobody has" in one for one in said)
    text = html.unescape((folder / "functions.html").read_text())
    assert why in text
    assert sliced.replace(", first", " samples, first") in text
