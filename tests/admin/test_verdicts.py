"""What `fetch`, `fetch --plan`, `fetch --sync` and `check` say where there was nothing, or too little, to look at."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curate.checks import dataset
from curate.checks.page import write_page
from curate.checks.run import Checked, check
from curate.checks.terminal import lines
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.progress import Progress
from tests.support.calling import Command
from tests.support.pictures import encode, texture
from tests.support.web import serving

QUIET = Progress(quiet=True)
PICTURE = encode(texture(1), "PNG")
CONFIG = """
[engine]
use = "serial"
[fetch]
contact = "test@example.org"
retries = 0
allow_private = ["{host}"]
[screening]
required = false
{sources}
[[labelers]]
use = "declared"
"""
LOCAL = '[[sources]]\nuse = "local"\npath = "images"\nlabel = "neutral"\n'
URLS = '[[sources]]\nuse = "urllist"\npath = "{}"\nlabel = "neutral"\n'
WIKI = '[[sources]]\nuse = "commons"\napi = "http://{}/w/api.php"\n[[sources.categories]]\ntitle = "Category:A"\n' \
       'label = "neutral"\n'  # fmt: skip
NOBODY = "127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, monkeypatch, capfd)


def configured(root: Path, *sources: str, host: str = NOBODY) -> None:
    (root / "curate.toml").write_text(CONFIG.format(host=host, sources="".join(sources)))


def put(root: Path, name: str, data: bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# -- fetch -----------------------------------------------------------------------------------------------------------


def test_a_folder_of_broken_files_is_no_success(curate: Command) -> None:
    configured(curate.root, LOCAL)
    for n in range(5):
        put(curate.root, f"images/{n}.jpg", (b"", b"no picture", PICTURE[:100], b"<html>", b"\xff\xd8\xff")[n])
    said = curate("fetch", "--json", code=3)
    assert said.json["incomplete"].startswith("nothing is stored: ")
    assert (said.json["coverage"]["looked_at"], said.json["failed"]) == (0, 5)
    assert curate("fetch", code=3).out.splitlines()[1].startswith("INCOMPLETE")  # nor is it when asked again
    ran = curate("run", "1.0.0", "--json", code=3)  # it goes on, and makes no release of nothing
    assert ran.json["label"]["samples"] == 0
    assert "export" not in ran.json
    put(curate.root, "images/good.png", PICTURE)
    said = curate("fetch", "--relist", "--json")
    assert (said.json["stored"], said.json["incomplete"]) == (1, None)


def test_an_empty_folder_is_one_line(curate: Command) -> None:
    (curate.root / "images").mkdir()
    configured(curate.root, LOCAL)
    assert len(curate("fetch", "-q", code=2).err.splitlines()) == 1


def test_lines_that_fail_before_anything_is_asked(curate: Command) -> None:
    (curate.root / "list.txt").write_text("htp://example.org/a.jpg\nhttp://[::1/b.jpg\nftp://example.org/c.jpg\n")
    configured(curate.root, URLS.format("list.txt"))
    said = curate("fetch", "--json", code=3).json
    assert (said["stored"], said["failed"], said["pending"]) == (0, said["candidates"], 0)


def test_dead_links_are_no_failure_until_somebody_says_how_many(curate: Command) -> None:
    with serving({"/a.png": (200, {"content-type": "image/png"}, PICTURE)}) as site:
        (curate.root / "list.txt").write_text("".join(f"http://{site.origin}/{name}.png\n" for name in "abcd"))
        configured(curate.root, URLS.format("list.txt"), host=site.origin)
        said = curate("fetch", "--json").json
        assert said["coverage"]["said"] == "1 of 4 candidates; 3 are not stored (3 failed, 0 pending)"
        assert "--max-failures allows 2" in curate("fetch", "--max-failures", "2", "--json", code=3).json["incomplete"]
        curate("fetch", "--max-failures", "3")


def test_what_a_budget_leaves_for_the_next_run_is_no_failure(curate: Command) -> None:
    """Nothing is stored, and nothing was asked for: the run's time was over."""
    for n in range(3):
        put(curate.root, f"images/{n}.png", encode(texture(n), "PNG"))
    configured(curate.root, LOCAL, "[run]\nmax_minutes = 0.000001\n")
    assert curate("fetch", "--json").json["pending"] == 3


def test_a_source_that_cannot_be_asked_is_no_empty_one(curate: Command) -> None:
    configured(curate.root, WIKI.format(NOBODY))
    said = curate("fetch", "--json", code=3)
    assert "not listed: connect" in said.json["incomplete"]
    assert said.json["candidates"] == 0


def test_a_release_of_one_class_is_made_and_cannot_be_learned_from(curate: Command) -> None:
    for n in range(6):
        put(curate.root, f"images/{n}.gif", encode(texture(n, (40, 30)), "GIF"))  # animations of one frame
    configured(curate.root, LOCAL)
    said = curate("run", "1.0.0", "--json").json
    assert sum(said["export"]["rows"].values()) == 6
    error = curate("train", "1.0.0", "-q", code=2).err
    assert "fewer than two classes" in error
    assert len(error.splitlines()) == 1


def test_labels_of_other_labelers_than_are_named_now_are_told_by_export(curate: Command) -> None:
    for n in range(3):
        put(curate.root, f"images/{n}.gif", encode(texture(n, (40, 30)), "GIF"))
    words = '[[labelers]]\nuse = "words"\n'
    configured(curate.root, LOCAL, words)
    assert "the labels were made" not in curate("run", "1.0.0").err
    configured(curate.root, LOCAL, '[[labelers]]\nuse = "words"\nname = "said"\n')
    assert "the labels were made with words and without said, other than" in curate("export", "1.0.1").err
    curate("label", "-q")
    assert "the labels were made" not in curate("export", "1.0.2").err


# -- fetch --plan, --sync --------------------------------------------------------------------------------------------


def test_a_plan_without_a_network_is_an_error(curate: Command) -> None:
    configured(curate.root, WIKI.format(NOBODY))
    said = curate("fetch", "--plan", "--json", code=1)
    assert json.loads(said.out)["exit"] == 1
    assert "no source could be asked" in said.err
    put(curate.root, "images/a.png", PICTURE)
    configured(curate.root, WIKI.format(NOBODY), LOCAL)
    part = curate("fetch", "--plan", "--json", code=3).json
    assert (part["items"], part["coverage"]["looked_at"], part["coverage"]["of"]) == (1, 1, 2)
    configured(curate.root, LOCAL)
    assert curate("fetch", "--plan", "--json").json["items"] == 1


def test_a_sync_that_asked_nobody_is_incomplete(curate: Command) -> None:
    """It knows of an item there, and nobody answers: that is not "0 deleted"."""
    from curate.config import load
    from curate.store.workspace import Workspace
    from tests.support.builders import add

    configured(curate.root, WIKI.format(NOBODY))
    ws = Workspace(curate.root, load(curate.root))
    add(ws, PICTURE, "neutral")
    with ws.catalog.tx() as db:
        upstream = json.dumps({"system": NOBODY, "page_id": "7", "title": "File:A.png", "sha1": "0" * 40})
        db.execute("UPDATE mentions SET page_id = ?, upstream = ?", (f"{NOBODY}:7", upstream))
    ws.close()
    said = curate("fetch", "--sync", "--json", code=3)
    assert "no system could be asked" in said.json["sync"]["incomplete"]


# -- check -----------------------------------------------------------------------------------------------------------


def clean(root: Path, n: int = 40) -> Path:
    for k in range(n):
        put(
            root,
            f"{('train', 'test')[k % 4 == 0]}/{('cat', 'dog')[k % 2]}/{k}.png",
            encode(texture(k, (40, 30)), "PNG"),
        )
    return root


def asked(root: Path | None, table: Path | None = None) -> Checked:
    return check(dataset.read(root, table, [], False), Serial(), QUIET)


def said(done: Checked) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines(done.facts):
        found.setdefault(line[:15].strip(), line[15:])
    return found


@pytest.mark.parametrize(("bad", "verdict"), [(0, "none"), (2, "none"), (3, "unknown")])
def test_none_is_said_of_what_could_be_read_only(tmp_path: Path, bad: int, verdict: str) -> None:
    root = clean(tmp_path / "d")
    for n in range(bad):
        put(root, f"train/cat/bad{n}.jpg", (b"", b"text", PICTURE[:90])[n])
    done = asked(root)
    for name in ("leak", "duplicates", "conflicts"):
        assert done.facts["verdicts"][name]["verdict"] == verdict
        assert said(done)[name].startswith(f"{verdict}: ")
        assert ("of the 40 files that could be read" in said(done)[name]) == (bad == 2)
        assert verdict != "unknown" or "none" not in said(done)[name]
    assert bool(done.facts["incomplete"]) == (verdict == "unknown")
    page = write_page(tmp_path / "page.html", root, done, QUIET).read_text(encoding="utf-8")
    assert ("No leak" in page) == (verdict == "none")
    assert ("Nobody can say" in page) == ("Not everything was looked at" in page) == (verdict == "unknown")


@pytest.mark.parametrize("leak", [False, True])
def test_exit_codes(curate: Command, leak: bool) -> None:
    root = clean(curate.root / "d")
    if leak:
        put(root, "test/cat/again.png", (root / "train/cat/2.png").read_bytes())
    curate("check", str(root), code=4 if leak else 0)
    for n in range(9):
        put(root, f"train/dog/bad{n}.jpg", b"no picture")
    found = curate("check", str(root), "--json", code=4 if leak else 3).json
    assert found["leak"] is leak
    assert found["coverage"]["looked_at"] == 40 + leak
    assert curate("check", str(root), code=4 if leak else 3).out.splitlines()[1].startswith("INCOMPLETE")


def test_a_split_of_which_nothing_could_be_read_has_no_verdict(tmp_path: Path) -> None:
    """One file of forty: few, and all that there is to test on."""
    root = clean(tmp_path)
    for path in (root / "test").rglob("*.png"):
        path.unlink()
    put(root, "test/cat/only.png", b"no picture")
    done = asked(root)
    assert done.facts["incomplete"] == "not one file of test could be read"
    assert said(done)["leak"] == "unknown: not one file of test could be read"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    root = clean(tmp_path)
    (root / "train" / "cat").chmod(0)
    assert asked(root).facts["verdicts"]["leak"]["verdict"] == "unknown"
    (root / "train" / "cat").chmod(0o700)


def test_a_folder_that_the_disk_does_not_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = clean(tmp_path)
    listed = os.scandir

    def failing(path: Any) -> Any:
        if str(path).endswith("train/cat"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", failing)
    done = asked(root)
    assert "folders that could not be read" in done.facts["incomplete"]
    assert said(done)["leak"].startswith("unknown")


@pytest.mark.parametrize(
    ("header", "row", "conflicts", "leak"),
    [
        ("path,split", "{name},{split}", "not asked: the list says no labels", "none"),
        ("path", "{name}", "not asked: the list says no labels", "not asked"),
        ("path,label", "{name},a", "not asked: everything has one label (a)", "not asked"),
        ("path,label,split", "{name},{label},", "none: what looks alike has one label", "not asked"),
        (
            "path,label,split",
            "{name},{half},{split}",
            "none: what looks alike has one label; 10 without a label",
            "none",
        ),
    ],
)
def test_what_a_list_does_not_say_is_not_asked(
    tmp_path: Path, header: str, row: str, conflicts: str, leak: str
) -> None:
    rows = [header]
    for n in range(20):
        put(tmp_path, f"{n}.png", encode(texture(n, (40, 30)), "PNG"))
        values = {
            "name": f"{n}.png",
            "split": ("train", "test")[n % 2],
            "label": "ab"[n % 2],
            "half": ("", "ab"[n % 4 > 1])[n % 2],
        }
        rows.append(row.format(**values))
    (tmp_path / "list.csv").write_text("\n".join(rows))
    done = asked(None, tmp_path / "list.csv")
    assert said(done)["conflicts"].startswith(conflicts)
    assert said(done)["leak"].startswith(leak)


def test_only_black_files_are_compared_by_their_bytes_and_that_is_said(tmp_path: Path) -> None:
    for n in range(8):
        size = (20 + n, 20)
        put(tmp_path, f"{('train', 'test')[n % 2]}/{'ab'[n % 3 > 0]}/{n}.png", encode(Image.new("RGB", size), "PNG"))
    done = asked(tmp_path)
    assert said(done)["leak"].endswith("; 8 with too little in them are compared by their bytes alone")
    with pytest.raises(UsageError, match="no pictures here"):
        asked(_empty(tmp_path / "empty"))


def _empty(path: Path) -> Path:
    path.mkdir()
    return path
