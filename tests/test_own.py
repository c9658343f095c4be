"""Plug-ins of one's own: what is wrong with one is a line that names its file, and never a traceback."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from curate.contracts import Source, promised
from curate.errors import UsageError
from curate.options import Plugin
from curate.plugins import CONTRACTS, make
from tests.fetch.test_fetch import curate
from tests.support.pictures import encode, texture

HEAD = (
    "from dataclasses import dataclass\nfrom pathlib import Path\nfrom typing import ClassVar\n\n"
    "from curate.contracts import Resources\n\n"
)
WHOLE = {
    "sources": "def classes(self): return frozenset()\n    async def pages(self, http, cursor):\n        yield None",
    "labelers": "version: ClassVar = 1\n    needs: ClassVar = Resources()\n"
    "    columns: ClassVar = {'mean': 'float32'}\n    def load(self): ...\n    def label(self, batch): ...",
    "manifests": "def write(self, release, out): ...",
    "curate.label.models": "def predict(self, evidence): ...",
    "curate.review.queues": "reported: ClassVar = False\n    blind: ClassVar = True\n"
    "    def pick(self, pool, size): ...",
    "curate.screening.lists": "path: Path = Path()\n    provider: str = 'me'\n    def rows(self): ...\n"
    "    def dispute(self, hashes, reason): ...",
    "curate.screening.matchers": "provider: str = 'me'\n    def check(self): ...\n    def ask(self, items): ...",
}


@pytest.fixture(params=sorted(WHOLE))
def package(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of plug-ins with `tmp_path` among its folders."""
    name: str = request.param
    found = importlib.import_module(name)
    monkeypatch.setattr(found, "__path__", [*found.__path__, str(tmp_path)])
    yield name
    sys.modules.pop(f"{name}.my_own", None)
    importlib.invalidate_caches()


def made(package: str, folder: Path, text: str) -> object:
    (folder / "my_own.py").write_text(HEAD + text)
    importlib.invalidate_caches()
    return make(package, Plugin("my_own", where="here"), "thing")


def whole(package: str) -> str:
    return f"@dataclass(frozen=True)\nclass MyOwn:\n    {WHOLE[package]}\n"


def test_a_whole_one_is_taken(package: str, tmp_path: Path) -> None:
    assert type(made(package, tmp_path, whole(package))).__name__ == "MyOwn"


def test_what_it_lacks_is_named_with_its_file(package: str, tmp_path: Path) -> None:
    for name in promised(CONTRACTS[package]):
        sys.modules.pop(f"{package}.my_own", None)
        for path in tmp_path.glob("__pycache__/*"):
            path.unlink()
        with pytest.raises(UsageError, match=rf"here\.my_own: {tmp_path}/my_own\.py: MyOwn lacks `?{name}\b"):
            made(package, tmp_path, whole(package).replace(f"{name}(", f"{name}_(").replace(f" {name}:", f" {name}_:"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class MyOwn:\n    pass\n", "MyOwn is no dataclass: its fields are its options"),
        ("@dataclass\nclass Other:\n    pass\n", "no dataclass MyOwn in it"),
        ("import nowhere_at_all\n", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("import sys\nsys.exit(0)\n", "SystemExit: 0"),
        ("def broken(:\n", "SyntaxError: "),
        ("1 / 0\n", "ZeroDivisionError: "),
    ],
)
def test_what_it_is_instead_is_said(package: str, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=rf"{tmp_path}/my_own\.py.*{message}"):
        made(package, tmp_path, text)


@pytest.mark.parametrize("package", ["sources"], indirect=True)
@pytest.mark.parametrize(
    ("was", "instead", "message"),
    [
        ("pages(self, http, cursor)", "pages(self, http)", r"has pages\(\) that does not take \(http, cursor\)"),
        ("def classes(self): return frozenset()", "classes: int = 1", "has `classes`, which is no method"),
    ],
)
def test_a_method_of_another_shape_is_named(package: str, tmp_path: Path, was: str, instead: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        made(package, tmp_path, whole(package).replace(was, instead))


@pytest.mark.parametrize("package", ["labelers"], indirect=True)
def test_one_that_anybody_may_write_is_not_run(package: str, tmp_path: Path) -> None:
    made(package, tmp_path, whole(package))
    (tmp_path / "my_own.py").chmod(0o666)
    with pytest.raises(UsageError, match=r"my_own\.py: everybody may write to it, and it says what is run here"):
        make(package, Plugin("my_own", where="here"), "thing")


def test_a_contract_is_read_from_its_protocol() -> None:
    assert set(promised(Source)) == {"classes", "pages"}


LEAVING = """
import os, sys
from snorkel.labeling import labeling_function

@labeling_function()
def leaving(x):
    {way}

@labeling_function()
def staying(x):
    return 2
"""


@pytest.fixture
def labelled_by(tmp_path: Path) -> Callable[[str], Path]:
    """A workspace of three pictures whose file of functions has one that leaves so."""

    def made(way: str) -> Path:
        (tmp_path / "images").mkdir()
        for n in range(3):
            (tmp_path / "images" / f"{n}.png").write_bytes(encode(texture(n, (64, 64)), "PNG"))
        (tmp_path / "mine.py").write_text(LEAVING.format(way=way))
        (tmp_path / "curate.toml").write_text(
            '[screening]\nrequired = false\n[[sources]]\nuse = "local"\npath = "images"\nlabel = "neutral"\n'
            '[label]\nfunctions = ["mine.py"]\n[engine]\nuse = "serial"\n'
        )
        curate(tmp_path, "fetch")
        curate(tmp_path, "dedupe")
        return tmp_path

    return made


@pytest.mark.parametrize("way", ["sys.exit(0)", "os._exit(0)"])
def test_a_function_that_leaves_is_named_and_nothing_is_called_safe_without_it(
    way: str, labelled_by: Callable[[str], Path]
) -> None:
    said = curate(labelled_by(way), "label", ok=(3,))
    assert (said["labelled"], said["contradicted"]) == (0, 3)
    assert "labelling function leaving: 3 of 3 samples made leaving fail" in said["incomplete"]
    assert "it raised SystemExit" in said["incomplete"]


def test_a_function_may_fork(labelled_by: Callable[[str], Path]) -> None:
    """What it forked ends as it likes."""
    root = labelled_by("return 2 if os.waitpid(os.fork() or os._exit(3), 0)[1] == 3 << 8 else -1")
    said = {one["name"]: one for one in curate(root, "label")["functions"]}
    assert (said["leaving"]["coverage"], said["leaving"]["faults"]) == (1, 0)


def test_a_file_that_leaves_is_an_error(labelled_by: Callable[[str], Path]) -> None:
    root = labelled_by("return 2")
    (root / "mine.py").write_text("import os\nos._exit(0)\n")
    assert "mine.py: RuntimeError: it raised SystemExit" in curate(root, "label", ok=(2,))["error"]


def test_an_interrupted_verb_says_what_is_left_where_it_fetches(labelled_by: Callable[[str], Path]) -> None:
    said = curate(labelled_by("raise KeyboardInterrupt"), "label", ok=(130,))["error"]
    assert "curate: interrupted" in said
    assert "fetch" not in said
