"""The notebooks of examples/, run as somebody runs them; and what a notebook's kernel is to curate: an event loop that
runs already, and a stop button."""

import importlib.util
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

import curate
from tests.support.kernel import Kernel, kernel
from tests.support.pictures import encode, texture

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
MOST_LINES = 25  # of the user's own, from nothing to a trained model


def code(book: Any) -> list[Any]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def tagged(cell: Any, tag: str) -> bool:
    return tag in cell.metadata.get("tags", ())


def texts(cell: Any) -> list[str]:
    """What a reader sees of a cell's outputs, as text."""
    return [str(one.get("data", one).get("text/plain", one.get("text", ""))) for one in cell.outputs]


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    """`examples/run.py`."""
    spec = importlib.util.spec_from_file_location("examples_run", EXAMPLES / "run.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_there_are_two() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["first-dataset", "is-my-dataset-any-good"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_says_what_it_says_in_the_repository(
    path: Path, runner: ModuleType, tmp_path: Path
) -> None:
    """`python examples/run.py` writes it again where that changed."""
    kept, ran = nbformat.read(path, as_version=4), runner.executed(path, tmp_path / "run")
    for before, after in zip(code(kept), code(ran), strict=True):
        assert [one.output_type for one in before.outputs] == [one.output_type for one in after.outputs], after.source
        if tagged(after, "varies"):
            (said,) = texts(after)
            right, every = map(int, re.findall(r"\d+", said))
            assert right >= 0.7 * every, said
        else:
            assert texts(before) == texts(after), after.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_kept_and_tell_nothing_of_the_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    book = nbformat.reads(text, as_version=4)
    assert [cell.execution_count for cell in code(book)] == list(range(1, len(code(book)) + 1)), "run from the top"
    assert sum(bool(cell.outputs) for cell in code(book)) >= len(code(book)) // 2
    assert not any(one.output_type == "error" or one.get("name") == "stderr" for c in code(book) for one in c.outputs)
    for cell in code(book):
        said = "\n".join([*texts(cell), *(one.get("data", {}).get("text/html", "") for one in cell.outputs)])
        said = re.sub(r"data:image/\w+;base64,[\w+/=]+|</\w+>|<\w+ */>", "", said)
        assert not re.search(r"(?<![\w.])(/|~/|[A-Z]:\\)[\w.-]+[/\\]", said), "an absolute path"
        assert not re.search(r"\d+(\.\d+)? ?(s|ms|seconds|minutes)\b", said), "a time"
    assert "timestamp" not in text
    assert "iopub" not in text


def test_from_nothing_to_a_model_takes_few_lines() -> None:
    """All but what only looks at something; where pictures are made, one's own would lie."""
    book = nbformat.read(EXAMPLES / "first-dataset.ipynb", as_version=4)
    lines = [
        line
        for cell in code(book)
        if not tagged(cell, "look")
        for line in cell.source.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    assert 10 < len(lines) <= MOST_LINES
    assert any("backward()" in line for line in lines)


# -- in a kernel -----------------------------------------------------------------------------------------------------

SLOW = """
import asyncio
from dataclasses import dataclass
from pathlib import Path
from curate.records import Candidate, Locator, Page

@dataclass(frozen=True)
class Slow:
    folder: Path = Path("images")

    def classes(self):
        return frozenset({"neutral"})

    async def pages(self, http, cursor):
        for path in sorted(self.folder.glob("*.png")):
            if cursor is None or path.name > cursor:
                yield Page((Candidate(Locator("path", str(path)), path.name, "neutral"),), path.name)
                while path.name > "10" and (self.folder / "wait").exists():
                    (self.folder / "waiting").touch()
                    await asyncio.sleep(0.05)
"""
LABELER = """
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
import numpy as np
from curate.contracts import Resources

@dataclass(frozen=True)
class SlowToo:
    folder: Path = Path("images")
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(batch=2, side=256)
    columns: ClassVar[dict] = {"one": "float32"}

    def load(self):
        pass

    def label(self, batch):
        while (self.folder / "wait").exists():
            (self.folder / "waiting").touch()
            time.sleep(0.05)
        return {"one": np.ones(len(batch), dtype=np.float32)}
"""
CONFIG = """
screening = { required = false }
engine = { confine = "off" }
sources = [{ use = "./slow.py", folder = "images" }]
labelers = [{ use = "declared" }, { use = "./slow_too.py", folder = "images" }]
export = { splits = { train = 0.6, val = 0.2, test = 0.2 } }
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel with a project of 20 pictures, whose source and labeler wait while `images/wait` is there."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "images").mkdir()
    for n in range(20):
        (folder / "images" / f"{n:02}.png").write_bytes(encode(texture(n, (64, 48)), "PNG"))
    (folder / "slow.py").write_text(SLOW)
    (folder / "slow_too.py").write_text(LABELER)
    (folder / "curate.toml").write_text(CONFIG)
    with kernel(folder) as made:
        made("from pathlib import Path\nimport curate\nproject = curate.open()\nwait = Path('images/wait')")
        yield made


@pytest.mark.parametrize("verb", ["fetch", "label"])
def test_an_interrupted_cell_says_so_in_one_line_and_loses_nothing(verb: str, running: Kernel) -> None:
    """A fetch's event loop runs in a thread beside the kernel's, a labeler in processes beside both."""
    images = Path(running("str(Path('images').absolute())").strip("'"))
    outside = curate.open(images, quiet=True)
    (images / "waiting").unlink(missing_ok=True)
    (images / "wait").touch()
    cell = running.begin(f"project.{verb}()")
    while not (images / "waiting").exists():
        time.sleep(0.05)
    stored = set(outside.samples()["id"])
    running.interrupt()
    try:
        interrupted = running.ended(cell)
    finally:
        (images / "wait").unlink()
    assert interrupted.error == (
        "InterruptionError", "interrupted; what is done is kept, and the same call goes on from here"
    )  # fmt: skip
    assert outside.log(1)["log"][0]["ended"] == "interrupted"
    assert stored <= set(outside.samples()["id"])
    running(f"project.{verb}()")
    assert outside.log(1)["log"][0]["ended"] == "done"
    assert len(outside.samples()) == 20


def test_every_method_works_where_an_event_loop_runs(running: Kernel) -> None:
    assert running("import asyncio\nasyncio.get_running_loop().is_running()") == "True"
    assert (
        running("project.fetch()['stored'], project.dedupe()['samples'], project.label()['labelled']") == "(20, 20, 20)"
    )
    assert running("project.plan()['items']") == "0"
    assert running("project.queue('audit', size=3)['items']") == "3"
    assert running("release = project.export('1.0.0')\nlen(release.frame())") == "20"
    assert (
        running("len(release.torch('train', lambda picture: picture.size)) == len(release.frame('train')) > 0")
        == "True"
    )
    assert running("project.verify()['items']") == "[]"
    assert running("project.report().name") == "'report.html'"
    assert running("len(project.show(list(project.samples()['id'][:2])).tiles)") == "2"
    assert running("curate.check('images').facts['pictures']") == "20"
    assert running("project.run('1.0.0')['fetch']['stored']") == "20"


def test_a_cell_shows_how_far_it_is(running: Kernel) -> None:
    """Where the project is not quiet."""
    cell = running.ended(running.begin("project.fetch(); None"))
    assert cell.error is None
    assert "list" in cell.err + cell.shown


def test_a_kernel_is_spoken_to_from_this_machine_only(running: Kernel) -> None:
    found = running("import psutil\n{one.laddr.ip for one in psutil.Process().net_connections('inet')}")
    assert found == "{'127.0.0.1'}"
