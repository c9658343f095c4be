"""Takedown: nothing of it is left, and nothing of it comes back."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.dedupe import dedupe
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.export import export
from curate.progress import Progress
from curate.release import load
from curate.removal import unfinished
from curate.store.workspace import Workspace
from curate.takedown import takedown
from tests.builders import add, decide, workspace
from tests.pictures import encode, texture
from tests.releases import FORMATS

QUIET = Progress(quiet=True)


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = stocked(tmp_path)
    yield made
    made.close()


def stocked(root: Path, n: int = 30) -> Workspace:
    """Samples with near-duplicates, decisions, and a release of them."""
    ws = workspace(root)
    for seed in range(n):
        one = add(ws, encode(texture(seed)), "neutral")
        decide(ws, one, "neutral")
        if seed % 5 == 0:
            add(ws, encode(texture(seed).resize((100, 75)), quality=80), "neutral")
    ws.catalog.begin("dedupe", "")
    dedupe(ws, Serial(), QUIET)
    export(ws, "1.0.0", FORMATS, QUIET)
    ws.catalog.end("done")
    return ws


def words(ws: Workspace, sample: str) -> list[bytes]:
    """What must be found nowhere: its bytes, its name, and where it was."""
    urls = [row[0] for row in ws.catalog.rows("SELECT locator FROM candidates WHERE sample = ?", (sample,))]
    with ws.blobs.open(sample) as blob:
        return [blob.read()[-300:], sample.encode(), bytes.fromhex(sample), *(url.encode() for url in urls)]


def traces(root: Path, words: list[bytes]) -> list[str]:
    """The files below a folder in which one of the words stands."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return [path.relative_to(root).as_posix() for path in files if any(one in path.read_bytes() for one in words)]


def released(ws: Workspace) -> str:
    return str(ws.catalog.one("SELECT min(sample) FROM released"))


def test_nothing_is_left(ws: Workspace) -> None:
    one = released(ws)
    gone = words(ws, one)
    assert len(traces(ws.work, gone)) > 3
    said = takedown(ws, one, "asked for")
    assert (said["removed"], said["releases_affected"]) == (1, ["1.0.0"])
    allowed = {"work/releases/1.0.0/removed.csv"}
    assert set(traces(ws.root, gone)) <= allowed
    assert one in (ws.work / "releases/1.0.0/removed.csv").read_text()
    assert not unfinished(ws.catalog)
    assert takedown(ws, one, "again")["receipt"] == said["receipt"]
    assert (ws.work / said["receipt"]).is_file()


def test_a_release_is_redacted(ws: Workspace) -> None:
    one = released(ws)
    before = ws.catalog.one("SELECT sha256 FROM releases")
    rows = sum(load(ws.work / "releases/1.0.0").header["rows"].values())
    takedown(ws, one, "asked for")
    after = ws.catalog.one("SELECT sha256 FROM releases")
    release = load(ws.work / "releases/1.0.0", after)
    assert sum(table.num_rows for table in release.rows.values()) == sum(release.header["rows"].values()) == rows - 1
    receipt = json.loads((release.path / "receipt-1.json").read_text())
    assert (receipt["before"], receipt["after"]) == (before, after)
    export(ws, "1.0.1", FORMATS, QUIET)
    assert load(ws.work / "releases/1.0.1").header["removed"] == [{"id": one, "versions": ["1.0.0"]}]


def test_a_name_of_nothing(ws: Workspace) -> None:
    with pytest.raises(UsageError, match="what was given names nothing"):
        takedown(ws, "http://example.org/secret", "asked for")
