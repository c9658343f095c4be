"""fetch: every candidate ends as a sample or as a failure with a reason; rerun = resume; nothing unscreened is kept."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from tests.support.calling_here import command
from tests.support.pictures import encode, photograph, texture
from tests.support.web import Answer, Web, serving

CONFIG = """
[fetch]
contact = "test@example.org"
allow_private = ["{origin}"]
[screening]
required = {required}
{lists}
[[sources]]
use = "urllist"
path = "raw_data"
reason = "a test"
approved_by = "a tester"
"""


def curate(root: Path, *args: str, ok: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Run the command; the one JSON object that it printed, in which `error` is all that stderr said."""
    code, out, err = command(root, *args, "--json")
    assert code in ok, err
    said = json.loads(out) if out else {"error": ""}
    return said | {"error": err} if "error" in said else said


def workspace(root: Path, site: Web, lists: dict[str, list[str]], *, screen: str = "", required: bool = False) -> Path:
    """A workspace whose URL lists name paths of the site (or whole lines, where they are no paths)."""
    text = CONFIG.format(origin=site.origin, required=str(required).lower(), lists=screen)
    root.mkdir(parents=True, exist_ok=True)
    (root / "curate.toml").write_text(text)
    for label, paths in lists.items():
        file = root / "raw_data" / label / f"urls_{label}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(site.url(p) if p.startswith("/") else p for p in paths) + "\n")
    return root


def jpeg(seed: int) -> Answer:
    return 200, {"Content-Type": "image/jpeg"}, encode(texture(seed), quality=90)


@pytest.fixture
def site() -> Iterator[Web]:
    good = jpeg(1)
    cut = encode(texture(2, (800, 600)), quality=95)
    answers: dict[str, Answer] = {
        "/a.jpg": good,
        "/copy-of-a.jpg": good,
        "/b.png": (200, {"Content-Type": "text/plain"}, encode(texture(3), "PNG")),
        "/cut.jpg": (200, {}, cut[: len(cut) * 6 // 10]),
        "/page.jpg": (200, {"Content-Type": "image/jpeg"}, b"<!DOCTYPE html><p>gone</p>"),
        "/drawing.svg": (200, {}, b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
        "/removed.png": (200, {}, encode(texture(4), "PNG")),
        "/dead.jpg": (302, {"Location": "/removed.png"}, b""),
        "/away.jpg": (302, {"Location": "http://10.0.0.1/x.jpg"}, b""),
        "/cloud.jpg": (302, {"Location": "http://169.254.169.254/latest/meta-data"}, b""),
        "/tiny.gif": (200, {}, encode(texture(5, (1, 1)), "GIF")),
        "/forbidden.jpg": (403, {}, b""),
        "/empty.jpg": (200, {}, b""),
        "/robots.txt": (200, {}, b"User-agent: *\nDisallow: /private/\n"),
        "/private/x.jpg": good,
    }
    with serving(answers) as web:
        yield web


EXPECTED = {
    "/a.jpg": "stored",
    "/copy-of-a.jpg": "stored",
    "/b.png": "stored",
    "/cut.jpg": "truncated",
    "/page.jpg": "html_instead_of_media",
    "/drawing.svg": "unsupported_mime",
    "/dead.jpg": "placeholder",
    "/away.jpg": "address_denied",
    "/cloud.jpg": "address_denied",
    "/tiny.gif": "too_small",
    "/forbidden.jpg": "http_401_403",
    "/empty.jpg": "truncated",
    "/private/x.jpg": "robots_disallowed",
    "/nothing.jpg": "http_404",
    "file:///etc/hostname": "unsupported_scheme",
    "http://[::1/": "malformed_url",
    "not a url": "malformed_url",
}


def fates(root: Path) -> dict[str, str]:
    path = (root / "work" / "catalog.db").as_uri()  # read only: whoever leaves last would fold the log in, unsealed
    with sqlite3.connect(f"{path}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT locator, coalesce(reason, state) FROM candidates").fetchall()
    db.close()
    return dict(rows)


def test_every_candidate_ends_with_its_reason(tmp_path: Path, site: Web) -> None:
    root = workspace(tmp_path, site, {"neutral": [*EXPECTED, "/a.jpg", "", "# note"]})
    said = curate(root, "fetch")
    expected = {(site.url(p) if p.startswith("/") else p): fate for p, fate in EXPECTED.items()}
    assert fates(root) == expected
    assert said["candidates"] == len(EXPECTED) == said["stored"] + said["failed"] + said["pending"]
    assert said["stored"] == 3
    assert said["pending"] == 0
    assert said["reasons"]["address_denied"] == 2
    assert not [path for path in (root / "work").rglob("*") if path.stat().st_mode & 0o077], "for the operator alone"
    stored = {p.name for p in (root / "work" / "blobs").glob("??/*")}
    assert stored == {hashlib.sha256(site.answers[p][2]).hexdigest() for p in ("/a.jpg", "/b.png")}


def test_every_item_s_way_is_on_record(tmp_path: Path, site: Web) -> None:
    site.answers["/moved.jpg"] = (302, {"Location": "/a.jpg"}, b"")
    site.answers["/busy.jpg"] = (503, {"Retry-After": "3600"}, b"")
    root = workspace(tmp_path, site, {"neutral": ["/moved.jpg", "/busy.jpg", "/private/x.jpg"]})
    curate(root, "fetch")
    with contextlib.closing(sqlite3.connect(root / "work" / "catalog.db")) as db:
        db.row_factory = sqlite3.Row
        rows = {row["locator"]: dict(row) for row in db.execute("SELECT * FROM candidates")}
        (source,) = db.execute("SELECT version, listed_at FROM sources").fetchall()
        (run,) = db.execute("SELECT tool, screening FROM runs").fetchall()
    moved, busy, private = (rows[site.url(path)] for path in ("/moved.jpg", "/busy.jpg", "/private/x.jpg"))
    assert json.loads(moved["hops"]) == [site.url("/moved.jpg")]
    assert (moved["final_url"], moved["http_status"]) == (site.url("/a.jpg"), 200)
    assert (moved["robots"], moved["hash_check"], moved["gate"]) == ("allowed", "absent", "off")
    assert json.loads(moved["headers"])["content-type"] == "image/jpeg"
    assert (busy["reason"], busy["retry_after"], busy["attempts"]) == ("http_5xx", 3600.0, 1)
    assert (private["reason"], private["robots"]) == ("robots_disallowed", "disallowed")
    assert source["version"].startswith("sha256:")
    assert source["listed_at"] < moved["fetched_at"]
    assert json.loads(run["screening"])["required"] is False


def test_attempts_are_requests(tmp_path: Path) -> None:
    with serving({"/a.jpg": (500, {}, b"")}) as site:
        root = workspace(tmp_path, site, {"neutral": ["/a.jpg"]})
        text = (root / "curate.toml").read_text().replace("[screening]", "retries = 1\n[screening]")
        (root / "curate.toml").write_text(text)
        curate(root, "fetch", ok=(3,))
        curate(root, "fetch", "--retry-failed", ok=(3,))
        assert site.asked["/a.jpg"] == 4
    with contextlib.closing(sqlite3.connect(root / "work" / "catalog.db")) as db:
        assert db.execute("SELECT attempts FROM candidates").fetchall() == [(4,)]


def test_rerun_asks_for_nothing_again(tmp_path: Path, site: Web) -> None:
    root = workspace(tmp_path, site, {"neutral": list(EXPECTED)})
    first = curate(root, "fetch")
    site.asked.clear()
    second = curate(root, "fetch")
    assert not site.asked
    assert (first.pop("asked"), second.pop("asked")) == (len(EXPECTED), 0)
    assert {k: v for k, v in first.items() if k != "seconds"} == {k: v for k, v in second.items() if k != "seconds"}


def test_relist_adds_what_is_new_and_asks_for_nothing_known(tmp_path: Path, site: Web) -> None:
    root = workspace(tmp_path, site, {"neutral": ["/a.jpg"]})
    curate(root, "fetch")
    workspace(tmp_path, site, {"neutral": ["/b.png", "/a.jpg"]})
    assert curate(root, "fetch")["candidates"] == 2  # a list on this machine that changed is read again by itself
    workspace(tmp_path, site, {"neutral": ["/a.jpg", "/b.png", "/copy-of-a.jpg"]})
    site.asked.clear()
    assert curate(root, "fetch", "--relist")["stored"] == 3
    assert not [asked for asked in site.asked if "/a.jpg" in str(asked)]
    curate(root, "fetch", "--relist", "--plan", ok=(2,))


def test_limit_takes_on_that_many_and_the_rest_waits(tmp_path: Path, site: Web) -> None:
    root = workspace(tmp_path, site, {"neutral": list(EXPECTED)})
    assert curate(root, "fetch", "--limit", "5")["pending"] == len(EXPECTED) - 5
    assert curate(root, "fetch")["pending"] == 0


def test_too_many_failures_is_exit_3(tmp_path: Path, site: Web) -> None:
    root = workspace(tmp_path, site, {"neutral": ["/a.jpg", "/nothing.jpg"]})
    curate(root, "fetch", "--max-failures", "0", ok=(3,))
    curate(root, "fetch", "--max-failures", "1", ok=(0,))


@pytest.mark.parametrize("label", ["porn", "sexy"])
def test_a_class_that_is_not_safe_needs_a_list(tmp_path: Path, site: Web, label: str) -> None:
    root = workspace(tmp_path, site, {label: ["/a.jpg"]})
    assert "no list is loaded" in curate(root, "fetch", ok=(4,))["error"]
    assert not site.asked


def test_an_unlabelled_source_is_not_safe(tmp_path: Path, site: Web) -> None:
    root = workspace(tmp_path, site, {"neutral": ["/a.jpg"]})
    config = (root / "curate.toml").read_text().replace('"raw_data"', '"raw_data/neutral/urls_neutral.txt"')
    (root / "curate.toml").write_text(config)
    assert "unlabelled" in curate(root, "fetch", ok=(4,))["error"]


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file"), ("", "no readable hash"), ("zz\nnot a hash\n", "no readable hash")],
)
def test_a_list_that_cannot_answer_refuses(tmp_path: Path, site: Web, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "list.txt").write_text(content)
    screen = '[[screening.lists]]\nuse = "lines"\npath = "list.txt"'
    root = workspace(tmp_path, site, {"neutral": ["/a.jpg"]}, screen=screen, required=True)
    assert says in curate(root, "fetch", ok=(4,))["error"]
    assert not site.asked


def test_an_old_list_refuses(tmp_path: Path, site: Web) -> None:
    (tmp_path / "list.txt").write_text("0" * 64)
    os.utime(tmp_path / "list.txt", (0, time.time() - 10 * 86400))
    screen = 'max_age_days = 7\n[[screening.lists]]\nuse = "lines"\npath = "list.txt"'
    root = workspace(tmp_path, site, {"neutral": ["/a.jpg"]}, screen=screen, required=True)
    assert "10 days old" in curate(root, "fetch", ok=(4,))["error"]


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_a_match_is_not_kept_and_stops_the_run(tmp_path: Path, site: Web, algorithm: str) -> None:
    body = site.answers["/a.jpg"][2]
    (tmp_path / "list.txt").write_text(f"# list\n{hashlib.new(algorithm, body).hexdigest().upper()}\n")
    screen = '[[screening.lists]]\nuse = "lines"\npath = "list.txt"'
    root = workspace(tmp_path, site, {"porn": ["/a.jpg", "/b.png"]}, screen=screen, required=True)
    error = curate(root, "fetch", ok=(5,))["error"]
    assert "docs/screening.md" in error
    assert site.origin not in error
    assert fates(root)[site.url("/a.jpg")] == "gate_match"
    for path in (root / "work").rglob("*"):
        if path.is_file():
            assert body not in path.read_bytes(), path
            assert hashlib.sha256(body).hexdigest().encode() not in path.read_bytes(), path


def test_no_contact_no_fetch(tmp_path: Path, site: Web) -> None:
    root = workspace(tmp_path, site, {"neutral": ["/a.jpg"]})
    (root / "curate.toml").write_text((root / "curate.toml").read_text().replace("contact", "# contact"))
    assert "fetch.contact" in curate(root, "fetch", ok=(2,))["error"]
    assert not site.asked


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    big: dict[str, Answer] = {f"/{n}.png": (200, {}, encode(texture(n, (400, 300)), "PNG")) for n in range(30)}
    with serving(big) as site:
        root = workspace(tmp_path / "full", site, {"neutral": list(big)})
        code = (
            "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000)); import cli; cli.main()"
        )
        run = subprocess.run([sys.executable, "-c", code, "fetch", "-w", str(root)], capture_output=True, text=True)
        assert run.returncode == 1, run.stderr
        assert "full" in run.stderr
        assert "Traceback" not in run.stderr
        assert curate(root, "fetch")["stored"] == 30
        assert curate(root, "verify")["missing"] == 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle_the_rerun_ends_the_same(tmp_path: Path, signum: signal.Signals) -> None:
    answers = {f"/{n}.jpg": jpeg(n) for n in range(120)}
    with serving(answers) as site:
        straight = workspace(tmp_path / "straight", site, {"neutral": list(answers)})
        stopped = workspace(tmp_path / "stopped", site, {"neutral": list(answers)})
        curate(straight, "fetch")
        site.delay = 0.5  # so that most of it lies before it when it is stopped
        command = [sys.executable, "-m", "cli", "fetch", "-w", str(stopped)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while not list(stopped.glob("work/blobs/??/*")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signum)
        said = process.communicate(timeout=200)[1]
        assert process.returncode == (130 if signum == signal.SIGINT else -signal.SIGKILL)
        assert ("candidates are left to fetch" in said) == (signum == signal.SIGINT)
        stored = {url.removeprefix(site.url("")) for url, fate in fates(stopped).items() if fate == "stored"}
        site.delay = 0.0
        site.asked.clear()
        assert curate(stopped, "fetch")["stored"] == 120
        assert site.asked.keys() - {"/robots.txt"} == answers.keys() - stored, "what was stored is not asked for again"
        assert fates(stopped) == fates(straight)


# A fetch that is killed in its first batch: before its bytes have their names, or when they have, and no row yet.
KILLED = """
import os, signal, sys
import cli
from curate.fetch import placeholders as repeats
from curate.store import blobs
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv.pop(1) == "stored":
    repeats.suspect = die
else:
    blobs.Path.replace = die
cli.main()
"""


@pytest.mark.parametrize("when", ["writing", "stored"])
def test_bytes_that_a_kill_leaves_without_a_row_are_gone_with_the_next_run(
    tmp_path: Path, site: Web, when: str
) -> None:
    """A list that comes later would not be asked about them: they are no samples."""
    root = workspace(tmp_path, site, {"neutral": ["/a.jpg", "/b.png"]})
    command = [sys.executable, "-c", KILLED, when, "fetch", "-q", "-w", str(root)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    blobs = root / "work" / "blobs"
    left = [path for path in blobs.rglob("*") if path.is_file()]
    assert left
    assert all(path.name.startswith(".") == (when == "writing") for path in left)
    assert set(fates(root).values()) == {"pending"}
    curate(root, "dedupe", ok=(3,))
    assert not [path for path in blobs.rglob("*") if path.is_file()]
    assert not (root / "work" / "landing").exists()
    assert curate(root, "fetch")["stored"] == 2


def test_two_drivers_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    answers = {f"/{n}.jpg": jpeg(n) for n in range(40)}
    with serving(answers, delay=1.0) as site:
        root = workspace(tmp_path, site, {"neutral": list(answers)})
        first = subprocess.Popen([sys.executable, "-m", "cli", "fetch", "-q", "-w", str(root)])
        while not (root / "work" / "lock").exists() or not (root / "work" / "lock").read_text():
            time.sleep(0.02)
        error = curate(root, "dedupe", ok=(1,))["error"]
        site.delay = 0.0
        assert f"`curate fetch` (pid {first.pid}" in error
        assert first.wait(200) == 0


def test_retry_failed_asks_again_where_that_may_help(tmp_path: Path, site: Web) -> None:
    root = workspace(tmp_path, site, {"neutral": ["/cut.jpg", "/nothing.jpg", "/a.jpg"]})
    assert curate(root, "fetch")["reasons"] == {"http_404": 1, "truncated": 1}
    site.answers["/cut.jpg"] = site.answers["/nothing.jpg"] = jpeg(7)
    site.asked.clear()
    assert curate(root, "fetch", "--retry-failed")["reasons"] == {"http_404": 1}
    assert site.asked["/cut.jpg"] == 1
    assert not site.asked["/nothing.jpg"] + site.asked["/a.jpg"]
    assert "that is an answer" in curate(root, "fetch", "--retry-failed", "http_404", ok=(2,))["error"]
    assert "did you mean 'timeout'" in curate(root, "fetch", "--retry-failed", "timout", ok=(2,))["error"]


@pytest.mark.parametrize("screened", [False, True])
def test_hashes_that_a_kill_loses_are_made_again_to_the_bit(tmp_path: Path, screened: bool) -> None:
    """They come of a smaller decode where nothing screens by PDQ; dedupe, which looks for PDQ as well, keeps to it."""
    screen = '[[screening.lists]]\nuse = "lines"\npath = "list.txt"' if screened else ""
    (tmp_path / "list.txt").write_text("00" * 32 + "\n")
    photos = [photograph(name) for name in ("astronaut.png", "chelsea.png", "coffee.png")]
    paths = [f"/{n}.jpg" for n in range(len(photos))]
    with serving({p: (200, {}, encode(one.resize((1289, 961)))) for p, one in zip(paths, photos, strict=True)}) as web:
        root = workspace(tmp_path, web, {"neutral": paths}, screen=screen)
        curate(root, "fetch")
    (table,) = (root / "work" / "tables").glob("phash@*")
    rows = pq.read_table(table).sort_by("id")
    assert rows.num_rows == len(photos)
    shutil.rmtree(table)
    curate(root, "dedupe")
    (again,) = (root / "work" / "tables").glob("phash@*")
    assert again.name == table.name
    assert_frame_equal(pq.read_table(again).sort_by("id").to_pandas(), rows.to_pandas(), check_exact=True)
