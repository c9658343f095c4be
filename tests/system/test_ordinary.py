"""An ordinary user has the same: confined workers, memory that both see, budgets, and a whole way through the verbs."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from curate.engine._confine import lacking
from tests.support.pictures import encode, texture

NOBODY = 65534
BARE = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
AS = {"nobody": [*BARE, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"], "root without rights": BARE}
CONFIG = """
[engine]
workers = 2
confine = "require"
[screening]
required = false
[[sources]]
use = "local"
path = "images"
label = "neutral"
"""
ABLE = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import PIL, curate'], check=True)"
CALLS = """
import json, os, sys
from curate.contracts import Resources
from curate.engine import each; from curate.engine import _transport as _parcel
from curate.engine.pool import Pool
from curate.errors import ItemError
from tests.support.taken_calls import CALLS, Target
from tests.support.takenover import TakenOver
folder, port = sys.argv[1:]
assert _parcel.Room.make() is not None
work, pool = TakenOver(Target(folder, os.getpid(), int(port))), Pool(2, confine="require", item_seconds=10)
found = dict(pool.map(work, list(CALLS), Resources()))
print(json.dumps({"tried": len(found), "got": [n for n, a in found.items() if not isinstance(a, ItemError)]}))
"""
pytestmark = [
    pytest.mark.skipif(lacking() is not None, reason="workers cannot be confined here"),
    pytest.mark.skipif(shutil.which("setpriv") is None or os.getuid() != 0, reason="needs root, to be somebody else"),
]


@pytest.fixture(params=AS)
def somebody(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Somebody":
    found = Somebody(AS[request.param], request.param == "nobody")
    if found.run("-c", ABLE, check=False).returncode:
        pytest.skip("that user cannot read the environment that this runs in")
    return found


class Somebody:
    """Another user, with a home and a temporary folder of their own."""

    def __init__(self, how: list[str], other: bool) -> None:
        self._how = how
        self.folder = Path(tempfile.mkdtemp(prefix="c", dir="/var/tmp"))
        for name in ("home", "tmp"):
            (self.folder / name).mkdir()
        self._owner = NOBODY if other else 0

    def run(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Python with these arguments; everything in the folder is theirs."""
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, self._owner, self._owner)
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        environment = kept | {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp")}
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        command = [*self._how, sys.executable, *arguments]
        run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=self.folder)
        assert not check or run.returncode == 0, run.stderr
        return run


def test_no_call_gets_through_for_anybody(somebody: Somebody) -> None:
    (somebody.folder / "secret").write_text("of no decoder's business")
    (somebody.folder / "work" / "blobs").mkdir(parents=True)
    (somebody.folder / "work" / "catalog.db").write_bytes(b"SQLite format 3\0")
    found = json.loads(somebody.run("-c", CALLS, str(somebody.folder), "9").stdout)
    assert found["tried"] >= 150
    assert found["got"] == []
    shutil.rmtree(somebody.folder)


def test_the_whole_way_for_anybody(somebody: Somebody) -> None:
    images = somebody.folder / "set" / "images"
    images.mkdir(parents=True)
    for n in range(6):
        (images / f"{n}.jpg").write_bytes(encode(texture(n, (320, 240))))
    (images.parent / "curate.toml").write_text(CONFIG)
    where = ["-w", str(images.parent), "--json"]
    assert json.loads(somebody.run("-m", "cli", "fetch", *where).stdout)["stored"] == 6
    assert json.loads(somebody.run("-m", "cli", "check", str(images), "--json").stdout)["pictures"] == 6
    doctor = json.loads(somebody.run("-m", "cli", "doctor", *where, check=False).stdout)
    (said,) = (one for one in doctor["checks"] if one["name"] == "confinement")
    assert said["ok"], said
    assert list((somebody.folder / "tmp").iterdir()) == [], "nothing is left in the temporary folder"
    shutil.rmtree(somebody.folder)
