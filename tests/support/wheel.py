"""`curate` as a user has it: its wheel in an environment of its own, and nothing of this checkout on the path."""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.outside import call

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("curate", "labelers", "manifests", "sources")
_MADE_OF = ("cli.py", *PACKAGES, "pyproject.toml", "README.md", "LICENSE")
_OFFLINE = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")


def sources(folder: Path) -> Path:
    """A copy of what the wheel is made of: setuptools writes beside it."""
    folder.mkdir()
    for name in _MADE_OF:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    return folder


def built(source: Path, out: Path) -> Path:
    """The wheel of a project, by pip and setuptools, without the network."""
    _pip("wheel", "--no-build-isolation", *_OFFLINE, "-w", str(out), str(source))
    (wheel,) = out.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Environment:
    """A virtual environment; what its wheels depend on is taken from the environment of the tests."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, wheel: Path, beside: "Environment | None" = None) -> "Environment":
        """A new one with this wheel; what lies in `beside` is in it, too.

        A .pth file in a folder that a .pth file names is not obeyed: an editable install there is none here.
        """
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        made = cls(folder)
        made.install(wheel)
        others = [beside.packages] if beside else []
        paths = [*others, *dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))]
        (made.packages / "others.pth").write_text("".join(f"{path}\n" for path in paths))
        return made

    @property
    def packages(self) -> Path:
        """Where its packages lie."""
        (found,) = self.folder.glob("lib/python3*/site-packages")
        return found

    def install(self, wheel: Path) -> None:
        """Install a wheel, in place of another of the same package."""
        _pip("--python", str(self.folder / "bin" / "python"), "install", "--force-reinstall", *_OFFLINE, str(wheel))

    def python(self, code: str, *args: str, here: Path = Path("/")) -> str:
        """What a program says that finds nothing but this environment."""
        run = subprocess.run(
            [str(self.folder / "bin" / "python"), "-I", "-W", "ignore", "-c", code, *args],
            capture_output=True, text=True, cwd=here, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        return run.stdout

    def curate(self, root: Path, *args: str, code: int = 0) -> Any:
        """What the installed command answers with `--json`, or says on stderr."""
        script = self.folder / "bin" / "curate"  # not there where `curate` lies in another one
        program = [str(script)] if script.is_file() else [str(self.folder / "bin" / "python"), "-I", "-m", "curate"]
        return call(root, *args, code=code, env=clean(), program=program)


def clean() -> dict[str, str]:
    """This process's variables but those that say where Python finds things."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _pip(*args: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *args], capture_output=True, text=True, env=clean())
    assert done.returncode == 0, done.stderr
