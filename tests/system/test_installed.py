"""`curate` from its wheel, not from this checkout: the command, its data, and plug-ins of each kind from outside."""

import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import curate
from curate.plugins import GROUPS
from tests.support import outside
from tests.support.outside import NAMES, SAFE, SOURCE, furnish
from tests.support.pictures import encode, photograph, texture
from tests.support.wheel import PACKAGES, ROOT, Environment, built, clean, sources

# What a plug-in of each kind is called, whether it keeps its contract, and what its answers are kept under.
EACH = """
import json, sys
from curate.options import Plugin
from curate.plugins import fingerprint_of, make, name_of
from curate.testing import problems
said = {}
for package, use in json.loads(sys.argv[1]).items():
    made = make(package, Plugin(use, where="here"), "thing")
    said[package] = [name_of(made), problems(package, made), fingerprint_of(made)]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return built(sources(folder / "source"), folder / "out")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Of the wheel alone: for tests that install nothing into it."""
    return Environment.make(tmp_path_factory.mktemp("environment"), wheel)


# -- what is in it ---------------------------------------------------------------------------------------------------


def test_the_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    here = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert there == here | {"cli.py"}


def test_it_is_what_is_imported(installed: Environment) -> None:
    for module in ("curate", "cli", *PACKAGES[1:]):
        found = Path(installed.python(f"import {module}; print({module}.__file__)").strip())
        assert found.is_relative_to(installed.packages), module


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["bin/curate"], ["bin/python", "-I", "-m", "curate"]])
def test_the_command_says_what_there_is(command: list[str], installed: Environment, tmp_path: Path) -> None:
    program = [str(installed.folder / command[0]), *command[1:]]
    for args, wanted in ((["--help"], "Commands:"), (["--version"], f"curate {curate.__version__}\n")):
        run = subprocess.run([*program, *args], capture_output=True, text=True, cwd=tmp_path, env=clean())
        assert (run.returncode, run.stderr) == (0, "")
        assert wanted in run.stdout


def test_the_whole_way_with_what_it_brings_itself(installed: Environment, tmp_path: Path) -> None:
    """Weights, templates, built-in lists and tables of words: nothing is read beside the packages."""
    for n in range(24):
        path = tmp_path / "images" / ("neutral", "drawings")[n % 2] / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(texture(n, (120, 96)) if n else photograph(), "PNG"))
    labelers = "".join(f'[[labelers]]\nuse = "{name}"\n' for name in ("declared", "open_nsfw", "drawing"))
    splits = "[export]\nsplits = { train = 0.5, val = 0.25, test = 0.25 }\n"
    config = SAFE + SOURCE.replace('label = "neutral"', 'label_from = "folder"') + labelers + splits
    (tmp_path / "curate.toml").write_text(config)
    ran = installed.curate(tmp_path, "run", "1.0.0")
    assert (ran["fetch"]["stored"], ran["label"]["unscored"]) == (24, 0)
    installed.curate(tmp_path, "report")
    installed.curate(tmp_path, "dedupe", "--report")
    for name in ("report", "dedupe"):
        assert (tmp_path / f"{name}.html").stat().st_size > 4_000
    installed.curate(tmp_path, "check", str(tmp_path / "images"), "--report", str(tmp_path / "check.html"))
    assert "<html" in (tmp_path / "check.html").read_text()
    assert installed.curate(tmp_path, "verify")["items"] == []
    code = "import curate, sys; print(len(curate.open(sys.argv[1], quiet=True).samples()))"
    assert installed.python(code, str(tmp_path)) == "24\n"


@pytest.mark.parametrize("kind", ["source", "labeler", "format"])
def test_what_new_writes_passes_doctor(kind: str, installed: Environment, tmp_path: Path) -> None:
    table = '[[sources]]\nuse = "./first.py"\npath = "first.csv"\n'
    root = furnish(tmp_path, SAFE + (table if kind == "source" else SOURCE))
    (root / "first.csv").write_text("url,label\nhttp://a.example/1.jpg,neutral\n")
    file = installed.curate(root, "new", kind, "first")["file"]
    checks = installed.curate(root, "doctor", "--plugin", file)["checks"]
    names = ["plug-in", "name", "contract", "behaviour", *(["functions"] if kind == "labeler" else [])]
    assert [(one["name"], one["ok"]) for one in checks] == [(name, True) for name in names]


# -- a plug-in of each kind: found, checked, used, its change noticed --------------------------------------------------


def each(environment: Environment, uses: dict[str, str], here: Path) -> dict[str, tuple[str, list[str], str]]:
    (here / "images").mkdir(exist_ok=True)
    said: dict[str, tuple[str, list[str], str]] = json.loads(environment.python(EACH, json.dumps(uses), here=here))
    return said


def agree(
    before: dict[str, tuple[str, list[str], str]], again: object, after: dict[str, tuple[str, list[str], str]]
) -> None:
    """All are found and keep their contracts; the same file is the same plug-in, another is another."""
    assert {package: (name, faults) for package, (name, faults, _) in before.items()} == {
        package: (name, []) for package, name in NAMES.items()
    }
    assert again == before
    for package in NAMES:
        assert before[package][2] != after[package][2], f"{package}: its change was not noticed"


def changed(folder: Path) -> None:
    for name in NAMES.values():
        path = folder / f"{name}.py"
        path.write_text(path.read_text().replace("TOLD = 1", "TOLD = 2"))


def test_files_of_ones_own(installed: Environment, tmp_path: Path) -> None:
    uses = {package: str(tmp_path / use) for package, use in outside.files(tmp_path).items()}
    before, again = (each(installed, uses, tmp_path) for _ in range(2))
    changed(tmp_path / "mine")
    agree(before, again, each(installed, uses, tmp_path))


def test_a_package(installed: Environment, tmp_path: Path) -> None:
    """Built and installed by the packaging tools; its next build, of the same version, is noticed."""
    assert NAMES.keys() == GROUPS.keys()
    project = outside.project(tmp_path / "project")
    environment = Environment.make(tmp_path / "environment", built(project, tmp_path / "first"), installed)
    before, again = (each(environment, dict(NAMES), tmp_path) for _ in range(2))
    changed(project / "curate_outside")
    environment.install(built(project, tmp_path / "second"))
    agree(before, again, each(environment, dict(NAMES), tmp_path))


def test_the_whole_way_with_a_plugin_of_each_kind(installed: Environment, tmp_path: Path) -> None:
    """Of an installed package; `tests/test_outside.py` goes it with files of one's own."""
    wheel = built(outside.project(tmp_path / "project"), tmp_path / "out")
    environment = Environment.make(tmp_path / "environment", wheel, installed)
    outside.the_whole_way(tmp_path / "ws", dict(NAMES), environment.packages / "curate_outside", environment.curate)


WRONG: dict[str, tuple[Callable[[str], str], str]] = {
    "does not import": (lambda _: "import nowhere_at_all\n", "No module named 'nowhere_at_all'"),
    "prints": (lambda text: text + "\nprint('hello')\n", "it prints ('hello')"),
    "has two": (lambda text: text + "\n@dataclass\nclass Other:\n    pass\n", "more than one dataclass"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_one_is_a_line(fault: str, installed: Environment, tmp_path: Path) -> None:
    change, message = WRONG[fault]
    root = furnish(tmp_path, SAFE + SOURCE + '[[labelers]]\nuse = "./my_labeler.py"\n')
    (root / "my_labeler.py").write_text(change(outside.text("labelers")))
    said = installed.curate(root, "fetch", code=2)
    assert message in said
    assert "my_labeler.py" in said
