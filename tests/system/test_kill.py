"""kill -9 at any moment of any verb, then the same command again: the same release, to the byte."""

import random
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.calling_here import command
from tests.support.pictures import encode, texture
from tests.support.web import Answer, serving
from tests.support.zygote import Zygote

KILLED = -signal.SIGKILL
VERBS = (("fetch",), ("dedupe",), ("label",), ("export", "1.0.0"))
FROZEN = ("train.parquet", "val.parquet", "test.parquet", "release.json")
CONFIG = """
[fetch]
contact = "test@example.org"
allow_private = ["{origin}"]
[screening]
required = false
[[sources]]
use = "urllist"
path = "raw_data"
[[labelers]]
use = "declared"
"""


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as one:
        yield one


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with nothing fetched yet, and the server behind it."""
    answers: dict[str, Answer] = {}
    for n in range(45):
        image = texture(n, (200, 150))
        answers[f"/{n}.jpg"] = (200, {}, encode(image, quality=90))
        if n % 5 == 0:
            answers[f"/near/{n}.jpg"] = (200, {}, encode(image.resize((120, 90)), quality=80))
        if n % 9 == 0:
            answers[f"/copy/{n}.jpg"] = answers[f"/{n}.jpg"]
    root = tmp_path_factory.mktemp("start") / "w"
    with serving(answers) as site:
        root.mkdir()
        (root / "curate.toml").write_text(CONFIG.format(origin=site.origin))
        paths = [*answers, *(f"/dead/{n}.jpg" for n in range(9))]
        for label, mine in (("neutral", paths[::2]), ("drawings", paths[1::2])):
            file = root / "raw_data" / label / f"urls_{label}.txt"
            file.parent.mkdir(parents=True)
            file.write_text("\n".join(site.url(path) for path in mine))
        yield root


@pytest.fixture(scope="module")
def undisturbed(zygote: Zygote, start: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """The release of a run that nobody killed, how long each verb took, and the workspace before each verb."""
    root = tmp_path_factory.mktemp("undisturbed")
    seconds = {}
    work = root / "w"
    shutil.copytree(start, work)
    for verb in VERBS:
        shutil.copytree(work, root / f"before-{verb[0]}")
        seconds[verb[0]] = zygote.run(*verb, "-q", "-w", str(work))
    return root, seconds


def release(root: Path) -> dict[str, bytes]:
    return {name: (root / "work" / "releases" / "1.0.0" / name).read_bytes() for name in FROZEN}


def recorded(work: Path) -> bool:
    path = (work / "work" / "catalog.db").as_uri()  # read only: whoever leaves last would fold the log in, unsealed
    with closing(sqlite3.connect(f"{path}?mode=ro", uri=True)) as db:
        return bool(db.execute("SELECT count(*) FROM releases").fetchone()[0])


def finish(work: Path, verb: str) -> None:
    names = [one[0] for one in VERBS]
    for one in (*VERBS[names.index(verb) :], ("verify",)):
        code, _, said = command(work, *one, "-q")
        assert code == 0, said


def killed(
    zygote: Zygote, undisturbed: tuple[Path, dict[str, float]], verb: tuple[str, ...], seed: int, at: Path
) -> int:
    """Kill one verb at a random moment of it, finish, and compare; how it ended when it was killed.

    Where it was done before, the machine is faster by now (the first run read its modules from the disk, or others were
    at work): how long the verb takes is measured again, and later moments are drawn from that.
    """
    root, seconds = undisturbed
    work = at / "w"
    shutil.copytree(root / f"before-{verb[0]}", work)
    after = random.Random(seed).uniform(0.02, seconds[verb[0]])
    end = zygote.kill(after, *verb, "-q", "-w", str(work))
    if end != KILLED:
        shutil.copytree(root / f"before-{verb[0]}", at / "again")
        seconds[verb[0]] = zygote.run(*verb, "-q", "-w", str(at / "again"))
    if verb[0] != "export" or not recorded(work):  # a version that exists is not exported again
        finish(work, verb[0])
    assert release(work) == release(root / "w"), f"killed {verb[0]} after {after:.3f} s"
    return end


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_killed_anywhere(
    zygote: Zygote, undisturbed: tuple[Path, dict[str, float]], verb: tuple[str, ...], tmp_path: Path
) -> None:
    ends: list[int] = []
    while KILLED not in ends:
        assert len(ends) < 8, "not one kill came in time: the test says nothing"
        ends.append(killed(zygote, undisturbed, verb, len(ends), tmp_path / str(len(ends))))


@pytest.mark.soak
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_killed_anywhere_many_times(
    zygote: Zygote, undisturbed: tuple[Path, dict[str, float]], verb: tuple[str, ...], tmp_path: Path
) -> None:
    ends = [killed(zygote, undisturbed, verb, seed, tmp_path / str(seed)) for seed in range(100, 160)]
    assert ends.count(KILLED) > 30
