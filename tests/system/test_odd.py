"""Odd images go the whole way: each is stored, or failed with a reason, and no verb stumbles over one."""

from pathlib import Path

import pytest

from curate.config import load
from curate.records import Reason
from curate.store.workspace import Workspace
from tests.support.calling import Command
from tests.support.odd_pictures import Named, corpus, some

CONFIG = """
[fetch]
min_side = {least}
[screening]
required = {screened}
{lists}
[[sources]]
use = "local"
path = "images"
label_from = "folder"
[export]
on_suspect = "drop"  # sprites of one kind look alike by hashes that dedupe does not group by
{labelers}
"""
LIST = '[[screening.lists]]\nuse = "lines"\npath = "list.txt"\n'
SHARE = 10


def the_whole_way(curate: Command, files: list[Named], labelers: tuple[str, ...], screened: bool, least: int) -> None:
    """Every verb over the files; 0 for each, but for `check`, of which most files are too small, or broken: 3."""
    root = curate.root
    tables = "".join(f'[[labelers]]\nuse = "{name}"\n' for name in labelers)
    (root / "list.txt").write_text("a" * 40 + "\n" + "5" * 64 + "\n")
    (root / "curate.toml").write_text(
        CONFIG.format(least=least, screened=str(screened).lower(), lists=LIST if screened else "", labelers=tables)
    )
    for n, (name, data) in enumerate(files):
        path = root / "images" / ("neutral", "drawings")[n % 2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    fetched = curate("fetch", "--json").json
    assert (fetched["candidates"], fetched["pending"]) == (len(files), 0)
    assert fetched["stored"] + sum(fetched["reasons"].values()) == len(files)
    assert fetched["reasons"].keys() <= {str(reason) for reason in Reason} - {Reason.WORKER_DIED}
    assert fetched["stored"] > len(files) / 3
    samples = curate("dedupe", "--json").json["samples"]
    label = curate("label", "--json").json
    assert label["unscored"] == 0
    curate("report", "-q")
    said = curate("export", "1.0.0", "--json").json
    assert sum(said["rows"].values()) + sum(said["excluded"].values()) == samples
    assert said["coverage"]["share"] == 1.0
    assert curate("verify", "--json").json["items"] == []
    check = curate("check", str(root / "images"), "--json", code=3).json
    assert check["pictures"] + check["unreadable"]["files"] == len(files)
    assert check["verdicts"]["duplicates"]["verdict"] != "none"
    _agree(root, check["unreadable"]["reasons"])


def _agree(root: Path, unreadable: dict[str, int]) -> None:
    """Whatever check cannot read, fetch did not store, but for what is too small, of which each has its own limit."""
    ws = Workspace(root, load(root))
    failed = dict(
        map(tuple, ws.catalog.all("SELECT reason, count(*) FROM candidates WHERE state = 'failed' GROUP BY reason"))
    )
    ws.close()
    ours, theirs = ({k: n for k, n in of.items() if k != Reason.TOO_SMALL} for of in (failed, unreadable))
    assert sum(ours.values()) >= sum(theirs.values())


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, monkeypatch, capfd)


@pytest.mark.parametrize(("screened", "share"), [(True, SHARE), (False, 4 * SHARE)])
def test_a_tenth_of_them(curate: Command, screened: bool, share: int) -> None:
    the_whole_way(curate, some(share), ("declared", "drawing"), screened, least=1)


@pytest.mark.soak
@pytest.mark.parametrize("screened", [True, False])
@pytest.mark.parametrize("least", [1, 16])
def test_all_of_them(curate: Command, screened: bool, least: int) -> None:
    files = corpus()
    assert len(files) >= 1500
    the_whole_way(curate, files, ("declared", "drawing", "open_nsfw"), screened, least)
