"""The Python API asked wrongly, or in another way than the first that comes to mind: an answer, or one clear line."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import curate
from curate.plugins import named, names
from curate.project import Project
from curate.release.access import Release
from tests.support.pictures import encode, texture

CONFIG = """
screening = { required = false }
sources = [{ use = "local", path = "images", label_from = "folder" }]
labelers = [{ use = "declared" }, { use = "quality" }]
label = { bootstrap = false }
export = { splits = { train = 0.6, val = 0.2, test = 0.2 } }
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A labelled project of 24 pictures, one of them twice under two labels, with a release."""
    root = tmp_path_factory.mktemp("asked")
    for n in range(24):
        picture = root / "images" / ("neutral", "drawings")[n % 2] / f"{n}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(encode(texture(n, (96 + n, 64)), "PNG"))
    (root / "curate.toml").write_text(CONFIG)
    made = curate.open(root, quiet=True)
    made.fetch(), made.dedupe(), made.label(), made.export("1.0.0")
    return made


@pytest.fixture(scope="module")
def release(project: Project) -> Release:
    return project.release("1.0.0")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    for split in ("train", "test"):
        (root / split / "neutral").mkdir(parents=True)
        (root / split / "neutral" / "1.png").write_bytes(encode(texture(1), "PNG"))
    return root


def refused(says: str, kind: type[Exception] = curate.UsageError) -> Any:
    return pytest.raises(kind, match=re.escape(says))


# -- check -----------------------------------------------------------------------------------------------------------


def test_check_names_what_it_could_have_been_asked(dataset: Path) -> None:
    with refused("keep tset: one of test, train, largest; did you mean 'test'?"):
        curate.check(dataset, keep="tset")
    with refused("splits: no picture is in trian; did you mean 'train'? there are train, test"):
        curate.check(dataset, splits="trian,test")


def test_splits_are_a_list_or_a_text_with_commas(dataset: Path) -> None:
    found = curate.check(str(dataset), splits="train, test").facts["splits"]
    assert found == curate.check(dataset, splits=["train", "test"]).facts["splits"]
    assert list(found) == ["train", "test"]


# -- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, Path])
def test_paths_are_texts_and_paths(
    project: Project, dataset: Path, tmp_path: Path, kind: Callable[[Path], Any]
) -> None:
    root = project.session.root
    picture = root / "images" / "neutral" / "0.png"
    assert curate.open(kind(root)).session.root == root
    assert curate.load_release(kind(root / "work" / "releases" / "1.0.0")).version == "1.0.0"
    assert project.report(kind(tmp_path / "r.html")).is_file()
    assert project.explain(kind(picture))
    project.export_decisions(kind(tmp_path / "d.csv"))
    with refused("d.csv"):  # it is read: nobody has decided anything
        project.import_decisions(kind(tmp_path / "d.csv"))
    assert project.dedupe(against=kind(dataset))["against"]
    assert project.dedupe(forget=kind(dataset))
    (root / "mine.py").write_text(
        "from snorkel.labeling import labeling_function\n@labeling_function()\ndef mine(x):\n    return -1\n"
    )
    assert project.try_functions(kind(root / "mine.py"))["functions"]
    assert len(project.show(kind(picture)).tiles) == 1
    found = curate.check(kind(dataset))
    assert found.write(kind(tmp_path / "lists"))
    assert found.fix(kind(tmp_path / "clean")) == 1
    for ask in (project.takedown, project.quarantine):
        with refused("what was given names no"):
            ask(kind(tmp_path / "none.png"), "gone")
    with refused("names no stored sample"):
        project.adjudicate(kind(tmp_path / "none.png"), "neutral", "ann", "so")
    with refused("give a path below work/"):
        project.verify(forget=kind(tmp_path / "none"))


def test_folders_that_are_not_there_or_not_such(project: Project, tmp_path: Path) -> None:
    root = project.session.root
    with refused("missing: no such folder; `curate.init` makes a new project"):
        curate.open(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with refused("file: a file; give a folder"):
        curate.init(tmp_path / "file")
    with refused(
        f"no release.json in it; releases of this workspace lie in {root}/work/releases: 1.0.0", curate.StoreError
    ):
        curate.load_release(root)
    with refused("no such folder; a release is a folder of its own", curate.StoreError):
        curate.load_release(tmp_path / "missing")


# -- scores ----------------------------------------------------------------------------------------------------------


def test_scores_are_a_frame_by_labeler(project: Project) -> None:
    found = project.scores()
    assert list(found.columns[:3]) == ["id", "declared_labels", "quality_sharpness"]
    assert list(found["id"]) == list(project.samples()["id"])
    both = project.samples(columns=["id", "width", "height"]).merge(project.scores("quality", "quality_side"), on="id")
    assert (both["quality_side"] == both[["width", "height"]].min(axis=1)).all()
    assert list(both.columns) == ["id", "width", "height", "quality_side"]
    with refused("no labeler 'qualty'; did you mean 'quality'?"):
        project.scores("qualty")
    with refused("no column 'quality_sharp'; did you mean 'quality_sharpness'?"):
        project.scores(columns=["quality_sharp"])


def test_a_vector_of_a_sample_is_there_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom dataclasses import dataclass\n"
        "from curate.contracts import Resources\n@dataclass\nclass Mine:\n    version = 1\n"
        "    needs = Resources(side=0)\n    columns = {'one': 'float32', 'vector': 'float16[3]'}\n"
        "    def load(self): pass\n    def label(self, batch):\n        n = len(batch)\n"
        "        return {'one': np.ones(n, np.float32), 'vector': np.ones((n, 3), np.float16)}\n"
    )
    (tmp_path / "images" / "neutral").mkdir(parents=True)
    (tmp_path / "images" / "neutral" / "1.png").write_bytes(encode(texture(1), "PNG"))
    labelers = 'labelers = [{ use = "./mine.py" }]'
    (tmp_path / "curate.toml").write_text(re.sub("labelers = .*", labelers, CONFIG))
    made = curate.open(tmp_path, quiet=True)
    made.fetch()
    assert list(made.scores().columns) == ["id", "mine_one"]
    assert [list(one) for one in made.scores(columns="mine_vector")["mine_vector"]] == [[1, 1, 1]]


def test_labels_md_has_every_column_of_every_labeler() -> None:
    text = (Path(curate.__file__).parents[1] / "docs" / "labels.md").read_text().partition("\n## Columns\n")[2]
    for name in names("labelers"):
        rows = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
        kind = named("labelers", name, "labelers", "labeler")
        said = re.findall(r"`([a-z0-9_]+)`", rows[0].split("|")[2])
        assert said == [f"{name}_{one}" for one in kind.columns] or name in ("onnx", "policy"), name


# -- ids, columns, numbers -------------------------------------------------------------------------------------------


def test_a_release_opens_a_picture_by_the_beginning_of_its_id(project: Project, release: Release) -> None:
    one = str(release.frame()["id"][0])
    read = []
    for name in (one[:10], one.upper(), one):
        with release.open(name) as file:
            read.append(file.read())
    assert read[0] == read[1] == read[2] == project.session.root.joinpath("work", "blobs", one[:2], one).read_bytes()
    for wrong in ("0" * 64, "0" * 10, one[:4], "", "images/neutral/0.png", None):
        with refused("no such row in release 1.0.0"):
            release.open(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", ["", "..", "../releases/1.0.0", "1.0.0/", "9.9.9", None, 1.0, b"1.0.0"])
def test_what_is_no_version_is_no_release(project: Project, version: Any) -> None:
    with refused("has none of this version"):
        project.release(version)
    if version is not None and version != "9.9.9":
        with refused("give MAJOR.MINOR.PATCH"):
            project.export(version)


def test_show_takes_names_and_tables(project: Project) -> None:
    ids = list(project.samples()["id"][:3])
    for given in ([one[:8] for one in ids], project.samples().head(3), project.votes().loc[ids], pd.Series(ids)):
        assert [str(one["id"]) for one in project.show(given).tiles] == [
            str(one["id"]) for one in project.show(ids).tiles
        ]
    assert len(project.show(ids[0]).tiles) == len(project.show(ids[0][:8]).tiles) == 1
    for wrong, says in (("0" * 64, "names no stored sample"), ([1], "give ids as texts"), (3, "give ids as texts")):
        with refused(says):
            project.show(wrong)  # type: ignore[arg-type]
    with refused("no column or index 'id'"):
        project.show(project.failures())


def test_a_text_is_one_column_and_one_reason(project: Project) -> None:
    assert list(project.samples(columns="ref").columns) == ["ref"]
    with refused("timeuot: no such reason"):
        project.fetch(retry="timeuot")


def test_text_is_not_compared_with_numbers_or_truth(project: Project) -> None:
    for wrong in ("survivor == True", "width > 3 and split == 1", "not (1.5 < label)"):
        with refused("is text, not"):
            project.samples(wrong)
    for wrong in ("width == '50'", "label == 'porn' or bytes < 'CC0'", "'0' <= probability"):
        with refused("is a number, not"):
            project.samples(wrong)
    with refused("a condition is text, not"):
        project.samples(where=3)  # type: ignore[arg-type]
    found = project.samples("survivor == id")
    assert (found["survivor"] == found["id"]).all()
    assert len(found)


@pytest.mark.parametrize(
    "ask",
    [
        lambda project: project.fetch(limit=-1),
        lambda project: project.fetch(limit=True),
        lambda project: project.fetch(sample=0),
        lambda project: project.try_functions("mine.py", size=0),
        lambda project: project.queue("audit", size="9"),
        lambda project: project.review("audit", "ann", size=0),
        lambda project: project.log(last=-1),
    ],
)
def test_numbers_are_refused_as_the_command_refuses_them(project: Project, ask: Callable[[Project], Any]) -> None:
    with refused("give a whole number"):
        ask(project)


# -- init, and what is shown -----------------------------------------------------------------------------------------


def test_init_without_screening_fetches_and_says_so(
    tmp_path: Path, project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    images = {"use": "local", "path": project.session.root / "images", "label_from": "folder"}
    with pytest.raises(curate.GateError, match="required, and no list is loaded"):
        curate.init(tmp_path / "with", sources=[images], quiet=True).fetch()
    made = curate.init(tmp_path / "without", sources=[images], screening=False)
    assert made.fetch()["stored"] == 24
    assert "SCREENING IS OFF" in capfd.readouterr().err


def test_init_writes_screening_lists(tmp_path: Path, project: Project) -> None:
    (tmp_path / "hashes.txt").write_text("0" * 63 + "1\n")
    one = {"use": "lines", "path": tmp_path / "hashes.txt", "provider": "self"}
    images = {"use": "local", "path": project.session.root / "images", "label_from": "folder"}
    made = curate.init(tmp_path / "new", sources=[images], lists=[one], quiet=True)
    assert made.fetch()["stored"] == 24
    for wrong, says in (
        ({"lists": [{"use": "linse", "path": "a"}]}, "did you mean 'lines'"),
        ({"lists": "a"}, "screening.lists: give a list of tables"),
        ({"lists": [one], "screening": False}, "leave out one of the two"),
    ):
        with refused(says):
            curate.init(tmp_path / "wrong", **wrong)
        assert not (tmp_path / "wrong").exists()


def test_a_result_shows_functions_as_a_table(project: Project) -> None:
    result = project.label()
    lines = [one.strip() for one in repr(result).splitlines()]
    assert any(one.startswith("name ") and "votes on" in one for one in lines)
    assert any(one.startswith("declared  ") and "100.0%" in one for one in lines)
    assert "{'name'" not in repr(result) + result._repr_html_()
    assert "<pre>name" in result._repr_html_()
