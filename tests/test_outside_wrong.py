"""A plug-in from outside that is wrong is a line that names it, and nothing is lost."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.config import load
from curate.errors import UsageError
from tests.support import outside
from tests.support.outside import NAMES, SAFE, SOURCE, call, furnish, of_file, text

KINDS = sorted(NAMES)
WRONG = {
    "does not import": ("import nowhere_at_all\n", "No module named 'nowhere_at_all'"),
    "is no Python": ("def broken(:\n", "SyntaxError"),
    "is no text": ("# \udcff\n", "SyntaxError|UnicodeDecodeError"),
    "leaves": ("import sys\nsys.exit(0)\n", "SystemExit: 0"),
    "leaves at once": ("import os\nos._exit(0)\n", "SystemExit: 0"),
    "prints": (text("labelers") + "\nprint('hello')\n", "it prints \\('hello'\\)"),
    "has no class": ("", "no dataclass MyLabeler in it"),
    "has two": (
        text("labelers") + "\n@dataclass\nclass Other:\n    pass\n",
        "more than one dataclass in it: MyLabeler, Other",
    ),
    "has another shape": (
        text("labelers").replace("def label(self, batch)", "def label(self)"),
        "label\\(\\) that does not take",
    ),
    "lacks a method": (text("labelers").replace("def load(self)", "def lod(self)"), "MyLabeler lacks load\\(\\)"),
    "keeps an old contract": (
        text("labelers").replace("    factor", "    contract: ClassVar[int] = 0\n    factor"),
        "keeps version 0 of its contract, and this is version 1",
    ),
    "takes the table's key": (
        text("labelers").replace("factor:", "name: str = ''\n    factor:"),
        "has an option `name`, which is its table's own",
    ),
    "has an odd option": (
        text("labelers").replace("factor: float = 1.0", "factor: complex = 1j"),
        "no option can be a",
    ),
    "has an odd column": (text("labelers").replace('"float32"', '"float99"'), "has a column of 'float99'"),
    "wants an odd side": (text("labelers").replace("side=256", "side=300"), "needs a side of 300 px"),
    "closes stdout": (text("labelers") + "\nimport sys\nsys.stdout.close()\n", "it closes sys.stdout"),
    "cannot say why": (
        "class Silent(Exception):\n    def __str__(self):\n        1 / 0\nraise Silent\n",
        "my_labeler.py: Silent",
    ),
}
BROKEN = "    def __post_init__(self):\n        1 / 0\n\n    factor"
WRONG["cannot be built"] = (text("labelers").replace("    factor", BROKEN), "ZeroDivisionError")


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_file_is_a_line_and_nothing_is_lost(fault: str, tmp_path: Path, calling: Callable[..., str]) -> None:

    said, message = WRONG[fault]
    root = furnish(tmp_path, SAFE + SOURCE + '[[labelers]]\nuse = "./my_labeler.py"\nfactor = 1.0\n')
    (root / "my_labeler.py").write_bytes(said.encode("utf-8", "surrogateescape"))
    err = calling("fetch")
    assert re.search(rf"labelers\.my_labeler.*({message})|my_labeler\.py.*({message})", err), err
    assert len([line for line in err.splitlines() if line.startswith("curate: ")]) == 1


EVERY: dict[
    str, tuple[Callable[[str], str], str]
] = {  # kind of a fault -> what a whole file becomes, and what is said of it
    "does not import": (lambda text: f"import nowhere_at_all\n{text}", "No module named 'nowhere_at_all'"),
    "prints": (lambda text: f"{text}\nprint('hello')\n", r"it prints \('hello'\)"),
    "has two": (lambda text: f"{text}\n@dataclass\nclass Other:\n    pass\n", "more than one dataclass in it"),
    "keeps an old contract": (
        lambda text: text.replace('"""One of our own."""', "contract: ClassVar[int] = 0"),
        "keeps version 0 of its contract, and this is version 1",
    ),
    "has another shape": (
        lambda text: re.sub(
            r"(async def|def) (pages|label|write|predict|pick|dispute|ask)\(self.*\):", r"def \2(self):", text
        ),
        "does not take",
    ),
}


@pytest.mark.parametrize("package", KINDS)
@pytest.mark.parametrize("fault", EVERY)
def test_one_of_any_kind_that_is_wrong_is_refused(fault: str, package: str, tmp_path: Path) -> None:
    change, message = EVERY[fault]
    with pytest.raises(UsageError, match=message) as caught:
        of_file(package, tmp_path, change(text(package)))
    assert f"{NAMES[package]}.py" in str(caught.value)


def test_what_plugins_print_while_they_work_is_no_part_of_an_answer(tmp_path: Path) -> None:
    """`call` reads what is on stdout as one object."""
    uses = outside.files(tmp_path)
    root = furnish(tmp_path, outside.config(uses))
    for package, method in {
        "sources": "classes(self)", "labelers": "label(self, batch)", "manifests": "write(self, release, out)",
        "curate.review.queues": "pick(self, pool, size)",
        "curate.screening.lists": "rows(self)", "curate.screening.matchers": "check(self)",
    }.items():  # fmt: skip
        path = root / "mine" / f"{NAMES[package]}.py"
        assert f"def {method}:" in path.read_text()
        begun = f"def {method}:\n        print('{{\"hello\"'); import os; os.write(1, b'{{\"hello\"')"
        path.write_text(path.read_text().replace(f"def {method}:", begun))
    assert "hello" not in call(root, "fetch", env=dict(os.environ))  # a process of its own has a descriptor 1
    for verb in (["dedupe"], ["label"], ["queue", "my_queue"], ["export", "1.0.0"]):
        assert "hello" not in call(root, *verb)
    path = root / "mine" / f"{NAMES['curate.label.models']}.py"
    said = "def predict(self, evidence):"
    path.write_text(path.read_text().replace(said, f"{said}\n        print('hello')"))
    assert "it prints ('hello')" in call(root, "label", code=2)


@pytest.fixture
def calling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command in this process, which must end with 2 and change nothing of the workspace."""
    from tests.support.calling import Command

    return lambda *args: Command(tmp_path, monkeypatch, capfd)(*args, code=2).err


def test_a_missing_file_is_a_line(tmp_path: Path, calling: Callable[..., str]) -> None:
    furnish(tmp_path, SAFE + SOURCE + '[[labelers]]\nuse = "./my_labeler.py"\n')
    assert "labelers.my_labeler: " in (said := calling("fetch"))
    assert "No such file" in said


def test_a_source_that_leaves_in_the_middle_is_a_line_and_what_is_done_stays(tmp_path: Path) -> None:
    wrong = text("sources").replace("        yield Page", "        import sys; sys.exit(0)\n        yield Page")
    root = furnish(tmp_path, SAFE + SOURCE)
    call(root, "fetch")
    (root / "my_source.py").write_text(wrong)
    (root / "curate.toml").write_text(SAFE + SOURCE + '[[sources]]\nuse = "./my_source.py"\n')
    said = call(root, "fetch", code=2)
    assert "my_source.py:" in said
    assert "sys.exit()" in said
    assert call(root, "status")["samples"] == 3


def test_a_format_that_fails_keeps_nothing_back_from_a_takedown(tmp_path: Path) -> None:
    """What cannot be written without the item goes, as it does where nobody knows the format any more."""
    from curate.release.redact import export_again

    uses = outside.files(tmp_path)
    root = furnish(tmp_path, outside.config(uses))
    for verb in (["fetch"], ["dedupe"], ["label"], ["export", "1.0.0"]):
        call(root, *verb)
    from curate.store.workspace import Workspace

    ws = Workspace(root, load(root))
    out = root / "work" / "exports" / "1.0.0" / "my_format"
    export_again(ws, "1.0.0", "my_format")
    assert (out / "told.txt").exists()
    path = root / "mine" / "my_format.py"
    path.write_text(path.read_text().replace("        (out", "        1 / 0\n        (out"))
    export_again(ws, "1.0.0", "my_format")
    assert not out.exists()
    ws.close()


def test_a_labeler_is_the_same_in_every_process_while_its_file_changes(tmp_path: Path) -> None:
    """A worker runs what was read first, and not what lies there by then; a warning, which shows a line of the file, is
    no reason to open it, which a confined worker may not."""
    from curate.contracts import Resources
    from curate.engine.pool import Pool
    from curate.features.score_worker import Scoring, Task
    from curate.media.decode import Bounds
    from curate.store.blobs import LocalBlobs
    from curate.testing import made

    warns = text("labelers").replace("        means", "        __import__('warnings').warn('odd')\n        means")
    labeler = of_file("labelers", tmp_path, warns)
    (tmp_path / "my_labeler.py").write_text("raise SystemExit('another')")
    (tmp_path / "blobs").mkdir()
    blobs = LocalBlobs(tmp_path / "blobs")
    pictures = made.pictures()
    for one in pictures:
        place = blobs.path(one.sample.id)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(one.read())
    work = Scoring({"my_labeler": labeler}, blobs, Bounds(min_side=1))
    task = Task(0, tuple(one.sample for one in pictures), ("my_labeler",))
    ((_, answer),) = Pool(1).map(work, [task], Resources())
    assert not isinstance(answer, Exception), answer
    assert len(answer.columns["my_labeler"]["mean"]) == len(pictures)
    assert (answer.columns["my_labeler"]["mean"] >= 1).all()
