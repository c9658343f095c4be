"""Plug-ins that come from outside, as text: one of each kind, and an installed package that has them all."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from curate.engine._confine import lacking
from curate.options import Plugin
from curate.plugins import GROUPS, make
from tests.support.calling_here import command
from tests.support.pictures import encode, texture

SOURCE = '[[sources]]\nuse = "local"\npath = "images"\nlabel = "neutral"\n'
SAFE = "[screening]\nrequired = false\n"

HEAD = """
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from curate.contracts import Resources, Selection
from curate.errors import UsageError
from curate.records import Candidate, ListedHash, Locator, Page

TOLD = 1
"""
BODIES = {
    "sources": """
    folder: Path = Path("images")

    def classes(self):
        return frozenset({"neutral"})

    async def pages(self, http, cursor):
        names = sorted(self.folder.absolute().glob("*.png"))
        yield Page(tuple(Candidate(Locator("path", str(one)), one.name, "neutral") for one in names), None)
""",
    "labelers": """
    factor: float = 1.0
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(batch=2, side=256)
    columns: ClassVar[dict] = {"mean": "float32"}

    def load(self):
        pass

    def label(self, batch):
        means = [np.asarray(one.image(256)).mean() * self.factor + TOLD for one in batch]
        return {"mean": np.array(means, dtype=np.float32)}
""",
    "manifests": """
    def write(self, release, out):
        ids = [one for split in ("train", "val", "test") for one in release.rows[split].column("id").to_pylist()]
        (out / "told.txt").write_text("".join(f"{one} {TOLD}" for one in ids))
""",
    "curate.label.models": """
    def predict(self, evidence):
        k = evidence.sets.shape[1]
        found = np.full((len(evidence.votes), k), np.nan)
        cast = np.flatnonzero(((evidence.votes >= 0) & (evidence.votes < k)).any(axis=1))
        first = [evidence.votes[row][(evidence.votes[row] >= 0) & (evidence.votes[row] < k)][0] for row in cast]
        found[cast] = np.eye(k)[first]
        return found
""",
    "curate.review.queues": """
    reported: ClassVar[bool] = False
    blind: ClassVar[bool] = True

    def pick(self, pool, size):
        return [Selection(row) for row in range(min(size, len(pool.samples)))]
""",
    "curate.screening.lists": """
    path: Path = Path("list.txt")
    provider: str = "me"

    def rows(self):
        if not self.path.is_file():
            raise UsageError(f"{self.path}: no such file")
        for n, line in enumerate(self.path.read_text().split()):
            yield ListedHash("sha256", line, str(n))

    def dispute(self, hashes, reason):
        return reason
""",
    "curate.screening.matchers": """
    provider: str = "me"

    def check(self):
        pass

    def ask(self, items):
        return [None for _ in items]
""",
}
NAMES = {
    "sources": "my_source",
    "labelers": "my_labeler",
    "manifests": "my_format",
    "curate.label.models": "my_model",
    "curate.review.queues": "my_queue",
    "curate.screening.lists": "my_list",
    "curate.screening.matchers": "my_matcher",
}
BESIDE = """
def functions(axis, columns):
    from snorkel.labeling import LabelingFunction

    return [LabelingFunction("told", lambda x: axis.classes.index("neutral") if x.my_labeler_mean >= 0 else -1)]
"""


def text(package: str, cls: str = "", head: str = HEAD) -> str:
    """The file of a plug-in."""
    cls = cls or NAMES[package].title().replace("_", "")
    beside = BESIDE * (package == "labelers")
    return f'{head}\n\n@dataclass(frozen=True)\nclass {cls}:\n    """One of our own."""\n{BODIES[package]}{beside}'


def config(uses: dict[str, str]) -> str:
    """A curate.toml that names one of each kind."""
    return f"""
[engine]
workers = 2
[screening]
required = true
[[screening.lists]]
use = "{uses["curate.screening.lists"]}"
path = "list.txt"
[[screening.matchers]]
use = "{uses["curate.screening.matchers"]}"
[[sources]]
use = "{uses["sources"]}"
folder = "images"
[[labelers]]
use = "{uses["labelers"]}"
factor = 0.5
[label]
model = "{uses["curate.label.models"]}"
[[queues]]
use = "{uses["curate.review.queues"]}"
[export]
formats = ["csv", "{uses["manifests"]}"]
splits = {{ train = 1.0, val = 0.0, test = 0.0 }}
"""


def files(root: Path) -> dict[str, str]:
    """One of each kind below a folder, and how curate.toml names them."""
    (root / "mine").mkdir(parents=True)
    for package, name in NAMES.items():
        (root / "mine" / f"{name}.py").write_text(text(package))
    return {package: f"./mine/{name}.py" for package, name in NAMES.items()}


def installed(site: Path, groups: dict[str, str], version: str = "1.0") -> dict[str, str]:
    """A package that has one of each kind, as it lies in a folder of packages; how curate.toml names them."""
    package, info = site / "curate_outside", site / "curate_outside.dist-info"
    for folder in (package, info):
        folder.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    for one, name in NAMES.items():
        (package / f"{name}.py").write_text(text(one))
    lines = (f"[{group}]\n{NAMES[one]} = {entry(one)}\n" for one, group in groups.items())
    (info / "entry_points.txt").write_text("".join(lines))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: curate-outside\nVersion: {version}\n")
    return dict(NAMES)


def project(root: Path, version: str = "1.0") -> Path:
    """The same package as its author has it, to be built by the packaging tools."""
    (root / "curate_outside").mkdir(parents=True, exist_ok=True)
    (root / "curate_outside" / "__init__.py").write_text("")
    for one, name in NAMES.items():
        (root / "curate_outside" / f"{name}.py").write_text(text(one))
    points = "".join(
        f'[project.entry-points."{group}"]\n{NAMES[one]} = "{entry(one)}"\n' for one, group in GROUPS.items()
    )
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "curate-outside"\nversion = "{version}"\n{points}'
        '[tool.setuptools]\npackages = ["curate_outside"]\n'
    )
    return root


def entry(package: str) -> str:
    """What an entry point says: the module, or the class in it."""
    name = NAMES[package]
    return f"curate_outside.{name}" + (f":{name.title().replace('_', '')}" if len(name) % 2 else "")


def environment(site: Path) -> dict[str, str]:
    """Where a command finds the installed package."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}


def call(
    root: Path, *args: str, code: int = 0, env: dict[str, str] | None = None,
    program: Sequence[str] | None = None,
) -> Any:  # fmt: skip
    """The command, in a process of its own where a program or an environment is named: its answer, or what it says on
    stderr; never a traceback."""
    if program is None and env is None:
        ended, out, err = command(root, *args, "--json")
    else:
        whole = [*(program or (sys.executable, "-m", "cli")), *args, "-w", str(root), "--json"]
        run = subprocess.run(whole, capture_output=True, text=True, env=env)
        ended, out, err = run.returncode, run.stdout, run.stderr
    assert "Traceback" not in err
    assert ended == code, out + err
    return json.loads(out) if out and code in (0, 3) else err


def furnish(root: Path, config: str) -> Path:
    """A workspace of three pictures."""
    (root / "images").mkdir(parents=True)
    for n in range(3):
        (root / "images" / f"{n}.png").write_bytes(encode(texture(n, (64, 64)), "PNG"))
    (root / "list.txt").write_text("0" * 64 + "\n")
    (root / "curate.toml").write_text(config)
    return root


def of_file(package: str, root: Path, said: str) -> Any:
    """A plug-in of a file of one's own, as curate.toml names it."""
    (root / f"{NAMES[package]}.py").write_text(said)
    return make(package, Plugin(str(root / f"{NAMES[package]}.py"), where="here", base=root), "thing")


def the_whole_way(root: Path, uses: dict[str, str], place: Path, curate: Callable[..., Any]) -> None:
    """Every verb with a plug-in of each kind, whose files lie in `place`; `curate` calls the command.

    A changed source lists anew, a changed labeler is asked anew.
    """
    how = "require" if lacking() is None else "off"
    furnish(root, config(uses).replace("workers = 2", f'workers = 2\nconfine = "{how}"'))
    assert curate(root, "fetch")["stored"] == 3
    curate(root, "dedupe")
    said = curate(root, "label")
    assert (said["labelled"], said["model"]) == (3, "my_model")
    assert [one["name"] for one in said["functions"]] == ["told"]
    assert curate(root, "queue", "my_queue")["items"] == 3
    assert curate(root, "export", "1.0.0")["rows"]["train"] == 3
    told = root / "work" / "exports" / "1.0.0" / "my_format" / "told.txt"
    assert told.read_text().count(" 1") == 3
    assert all(check["ok"] is not False for check in curate(root, "doctor")["checks"] if check["name"] == "config")
    tables = set((root / "work" / "tables").glob("my_labeler@*"))
    for name in ("my_labeler", "my_source"):
        (place / f"{name}.py").write_text((place / f"{name}.py").read_text().replace("TOLD = 1", "TOLD = 2"))
    (root / "images" / "3.png").write_bytes(encode(texture(9, (64, 64)), "PNG"))
    assert curate(root, "fetch")["stored"] == 4, "a source's other file lists anew"
    curate(root, "label")
    assert len(tables) == 1
    assert len(set((root / "work" / "tables").glob("my_labeler@*")) - tables) == 1
