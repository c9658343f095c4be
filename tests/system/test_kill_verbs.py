"""kill -9 at random moments of what decides, removes and repairs, then the same again: as if nobody had killed it."""

import contextlib
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

import cli
from curate.admin import configured
from curate.admin.verify import verify
from curate.store.workspace import Workspace
from tests.admin.test_witnesses import HEAD
from tests.support.calling_here import command
from tests.support.pictures import encode, photograph, texture
from tests.support.releases import QUIET
from tests.support.screened import hash_of, listed
from tests.train.test_train import Tiny

PHOTO, LATER = photograph().resize((96, 96)), photograph("coffee.png").resize((96, 96))
CONFIG = """
[engine]
use = "serial"
[screening]
required = false
[[screening.lists]]
use = "lines"
path = "list.txt"
[[sources]]
use = "local"
path = "images"
label_from = "folder"
[train]
epochs = 3
augment = ["flip", "jpeg"]
[[labelers]]
use = "declared"
"""
COUNTED = (
    "samples",
    "decisions",
    "precedents",
    "incidents",
    "quarantine",
    "matches",
    "tombstones",
    "releases",
    "queues",
)
VERBS = {
    "fetch": (("fetch",), {5}),
    "train": (("train", "1.0.0"), {0}),
    "report": (("report",), {0}),
    "takedown": (("takedown", "{one}", "--reason", "asked for"), {0}),
    "quarantine": (("quarantine", "{one}", "--reason", "looks wrong"), {0}),
    "rescan": (("screening", "rescan"), {5}),
    "repair": (("verify", "--repair"), {0, 1}),
    "rebuild": (("verify", "--repair", "--rebuild"), {0}),
    "rebuild bare": (("verify", "--repair", "--rebuild"), {0}),
    "import": (("decisions", "import", "decisions.csv"), {0}),
    "queue": (("queue", "uncertain"), {0}),
    "acknowledge": (("screening", "acknowledge", "1", "--by", "ann"), {0}),
}


def started(root: Path, *args: str) -> int:
    """Run the command in a fork of this process, which has the heavy imports behind it; its process id."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 1)
            os.dup2(null, 2)
            os.chdir(root)
            sys.argv = ["curate", *args, "-w", str(root)]
            configured.backbone = lambda config: Tiny()
            random.seed()
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            os._exit(code)
    return pid


def ended(pid: int, after: float | None = None) -> int:
    """How it ended: its exit code, or minus the signal; killed after so many seconds."""
    if after is not None:
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One picture that a list names, fourteen others, a release, what people said, and an incident that is open."""
    import torch  # noqa: F401  (once, and not in each fork)

    root = tmp_path_factory.mktemp("start") / "w"
    root.mkdir()
    (root / "curate.toml").write_text(CONFIG)
    for n in range(14):
        path = root / "images" / ("neutral" if n % 2 else "drawings") / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(texture(n), "PNG"))
    (root / "images/neutral/later.jpg").write_bytes(encode(LATER, quality=80))
    (root / "images/neutral/photo.jpg").write_bytes(encode(PHOTO, quality=80))
    listed(root, [hash_of(PHOTO)])
    assert command(root, "fetch", "-q")[0] == 5
    assert command(root, "fetch", "-q")[0] == 5
    for verb in (("dedupe",), ("label",), ("export", "1.0.0")):
        assert command(root, *verb, "-q")[0] == 0
    ws = Workspace(root, pick_config(root))
    ids = [row[0] for row in ws.catalog.all("SELECT id FROM samples ORDER BY id")]
    ws.close()
    for name, some in (("decisions.csv", ids), ("first.csv", ids[:3])):
        label = "neutral" if name == "first.csv" else "drawings"
        rows = "".join(f"{one},{label},ada,2026-0{1 + (name == 'decisions.csv')}-01\n" for one in some)
        (root / name).write_text(HEAD + rows)
    assert command(root, "decisions", "import", str(root / "first.csv"), "-q")[0] == 0
    assert command(root, "quarantine", ids[5], "--reason", "held", "-q")[0] == 0
    (root / "one").write_text(ids[2])
    return root


def pick_config(root: Path):  # type: ignore[no-untyped-def]
    from curate.config import load

    return load(root)


def prepared(start: Path, root: Path, name: str) -> Path:
    """The workspace as it is before a verb."""
    shutil.copytree(start, root)
    work = root / "work"
    if name == "fetch":
        shutil.rmtree(work)
    if name == "rescan":
        listed(root, [hash_of(PHOTO), hash_of(LATER)])
    if name.startswith("rebuild"):
        (work / "catalog.db").unlink()
    if name == "rebuild bare":
        (work / "journal.log").unlink()
    if name == "repair":
        next((work / "blobs").glob("[1-9]?/*")).unlink()
        orphan = sha256(b"an orphan").hexdigest()
        (work / "blobs" / orphan[:2]).mkdir(exist_ok=True)
        (work / "blobs" / orphan[:2] / orphan).write_bytes(b"an orphan")
        next((work / "tables").glob("phash@*/*")).write_bytes(b"damaged")
        (work / "journal.log").write_bytes((work / "journal.log").read_bytes()[:-900])
    return root


def state(root: Path) -> dict[str, object]:
    """What must be the same, however it was reached; and that nothing is wrong with it."""
    ws = Workspace(root, pick_config(root))
    try:
        found: dict[str, object] = {one: ws.catalog.scalar(f"SELECT count(*) FROM {one}") for one in COUNTED}
        found["doubts"], found["wrong"] = ws.doubts(), verify(ws, QUIET)["items"]
        found["acknowledged"] = ws.catalog.scalar("SELECT count(*) FROM incidents WHERE acknowledged_at IS NOT NULL")
        found["withheld"] = Counter(row[0] for row in ws.catalog.all("SELECT reason FROM withheld"))
        found["models"] = [row[0] for row in ws.catalog.all("SELECT model FROM models")]
        found["trained"] = {p.name: sha256(p.read_bytes()).hexdigest() for p in (ws.work / "models").glob("[!.]*/*")}
        found["unfinished"] = ws.catalog.scalar("SELECT count(*) FROM removals WHERE state != 'done'")
        found["page"] = (root / "report.html").exists()
        return found
    finally:
        ws.close()


@pytest.fixture(scope="module")
def undisturbed(start: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[object, float]]:
    """What each verb makes of the workspace, and how long it takes; filled as it is asked for."""
    return {}


def killed(
    start: Path, known: dict[str, tuple[object, float]], name: str, seed: int, at: Path, most: float | None = None
) -> int:
    """Kill a verb at a random moment, early more often than late; `most`: at any moment up to this share of it."""
    args, codes = VERBS[name]
    args = tuple(one.format(one=(start / "one").read_text()) for one in args)
    if name not in known:
        root = prepared(start, at / "undisturbed", name)
        began = time.monotonic()
        assert ended(started(root, *args)) in codes
        seconds = time.monotonic() - began
        known[name] = (state(root), seconds)
        assert known[name][0]["wrong"] == []  # type: ignore[index]
    wanted, seconds = known[name]
    root = prepared(start, at / str(seed), name)
    drawn = random.Random(f"{name} {seed}").uniform(0.02, most or 0.6)
    after = seconds * (drawn if most else drawn / (1 + seed % 100 // 3))
    end = ended(started(root, *args), after)
    assert end == -signal.SIGKILL or end in codes
    again = ended(started(root, *args))
    assert again in codes, f"killed {name} after {after:.3f} s"
    assert state(root) == wanted, f"killed {name} after {after:.3f} s"
    if name not in ("fetch", "rescan", "train"):
        code = ended(started(root, "screening", "rescan", "-q"))
        assert code == (0 if name == "acknowledge" else 5), "an exit code is lost"
    shutil.rmtree(root)
    return end


@pytest.mark.parametrize("name", VERBS)
def test_killed_anywhere(start: Path, undisturbed: dict[str, tuple[object, float]], name: str, tmp_path: Path) -> None:
    ends: list[int] = []
    while (
        len(ends) < 2 or -signal.SIGKILL not in ends
    ):  # the first run, which the moments are drawn from, may be a slow one
        assert len(ends) < 15, "not one kill came in time: the test says nothing"
        ends.append(killed(start, undisturbed, name, len(ends), tmp_path))


@pytest.mark.soak
def test_a_training_killed_twenty_times_comes_to_the_same_bytes(
    start: Path, undisturbed: dict[str, tuple[object, float]], tmp_path: Path
) -> None:
    """At random moments of all of it: before, between and after its features, its fit and its figures."""
    kills = turns = 0
    while kills < 20:
        kills += killed(start, undisturbed, "train", turns, tmp_path, 1.0) == -signal.SIGKILL
        turns += 1
        assert turns < 60, f"{kills} of {turns} kills came in time"


@pytest.mark.soak
@pytest.mark.parametrize("name", VERBS)
def test_killed_anywhere_many_times(
    start: Path, undisturbed: dict[str, tuple[object, float]], name: str, tmp_path: Path
) -> None:
    ends = [killed(start, undisturbed, name, seed, tmp_path) for seed in range(100, 120)]
    assert ends.count(-signal.SIGKILL) >= 5
