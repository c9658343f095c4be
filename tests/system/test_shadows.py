"""From a folder that holds packages named as ours and as our libraries', every verb gives what it gives elsewhere."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.pictures import encode, texture

ROOT = Path(__file__).resolve().parents[2]
OURS = ("curate", "labelers", "sources", "manifests", "cli.py")
CONFIG = """
[screening]
required = false
[[sources]]
use = "local"
path = "images"
label_from = "folder"
[[labelers]]
use = "declared"
[[labelers]]
use = "drawing"
[label]
model = "majority"
"""
QUIET = "import os\nopen(os.environ['SHADOWED'], 'a').close()\n"
NAMES = ("numpy.py", "json.py", "struct.py", "msgspec.py", "landlockpy.py", "labelers/__init__.py",
         "sources/__init__.py", "PIL/__init__.py", "PIL/Image.py", "curate/__init__.py", "curate/engine/__init__.py",
         "curate/engine/_preload.py", "curate/media/__init__.py", "sitecustomize.py", "scipy.py",
         "cli.py")  # fmt: skip
EVERY = {
    "fetch": [], "dedupe": ["--report", "--against", "images-held"], "label": [], "queue": ["uncertain"],
    "export": ["1.0.0"], "train": ["1.0.0"], "check": ["images"], "report": [], "status": [], "verify": [],
    "doctor": [],
}  # fmt: skip


def workspace(folder: Path) -> Path:
    """A workspace of two classes."""
    for n in range(8):
        path = folder / "images" / ("neutral", "drawings")[n % 2] / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(texture(n, (96, 72)), "PNG"))
    (folder / "images-held").mkdir()
    (folder / "images-held" / "0.png").write_bytes(encode(texture(0, (96, 72)), "PNG"))
    (folder / "curate.toml").write_text(CONFIG)
    return folder


def shadows(folder: Path) -> Path:
    """A folder of packages that say that they were imported, and nothing else."""
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(QUIET)
    return folder


def installed(folder: Path) -> Path:
    """The command, as a plain install of ours has it: a copy among the site packages, and a script."""
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    for name in OURS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, site / name)
    (site / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return _script(folder / "bin" / "curate", folder / "bin" / "python", "")


def editable(folder: Path) -> Path:
    """The command, as an install of ours that can be edited has it: its path comes from a file."""
    folder.mkdir()
    return _script(folder / "curate", Path(sys.executable), f"sys.path.append({str(ROOT)!r})\n")


def _script(path: Path, python: Path, before: str) -> Path:
    path.write_text(f"#!{python}\nimport sys\n{before}from cli import main\nsys.exit(main())\n")
    path.chmod(0o755)
    return path


def said(command: Path, where: Path, root: Path, verb: str, *arguments: str) -> Any:
    """The JSON of a verb, without what differs between two runs of it."""
    mark = root / "shadowed"
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = kept | {"SHADOWED": str(mark), "CI": "true"}
    arguments = tuple(str(root / one) if one.startswith("images") else one for one in arguments)
    rest = () if verb == "check" else ("-w", str(root))
    run = [str(command), verb, *arguments, "--json", *rest]
    done = subprocess.run(run, capture_output=True, text=True, cwd=where, env=environment, timeout=250)
    assert done.returncode in (0, 3), (verb, done.stderr)
    assert not mark.exists(), (verb, "something of that folder was imported")
    text = re.sub(r"\d+(\.\d+)?( GiB free| MiB)", "", done.stdout.replace(str(root), "").replace(str(where), ""))
    return _plain(json.loads(text))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _plain(one)
            for key, one in value.items()
            if key not in ("seconds", "stages", "at", "time", "hash", "previous")
        }
    return [_plain(one) for one in value] if isinstance(value, list) else value


def everything(command: Path, where: Path, root: Path, verbs: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What each verb says of a workspace that is made anew at the same place."""
    shutil.rmtree(root, ignore_errors=True)
    workspace(root)
    return {verb: said(command, where, root, verb, *arguments) for verb, arguments in verbs.items()}


@pytest.mark.parametrize(
    ("kind", "verbs"),
    [
        (installed, {"run": ["1.0.0"], "check": ["images"]}),
        pytest.param(installed, EVERY, marks=pytest.mark.soak),
        pytest.param(editable, EVERY, marks=pytest.mark.soak),
    ],
    ids=["some", "installed", "editable"],
)
def test_a_folder_of_shadows_changes_nothing(kind: Any, verbs: Mapping[str, Sequence[str]], tmp_path: Path) -> None:
    command, dark, root = kind(tmp_path / "install"), shadows(tmp_path / "dark"), tmp_path / "set"
    there = everything(command, tmp_path, root, verbs)
    assert there["run" if "run" in verbs else "label"]
    assert everything(command, dark, root, verbs) == there
