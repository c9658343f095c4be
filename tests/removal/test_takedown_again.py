"""What was taken down does not come back: from its URL, a mirror, or (with --block-near) as a re-encoded copy."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.calling_here import command
from tests.support.pictures import encode, photograph
from tests.support.taken_down import traces
from tests.support.web import Answer, Web, serving

CONFIG = """
[fetch]
contact = "test@example.org"
allow_private = ["{origin}"]
[screening]
required = false
[[sources]]
use = "urllist"
path = "first.txt"
label = "neutral"
"""
MORE = """
[[sources]]
use = "urllist"
path = "second.txt"
label = "neutral"
"""
PICTURE = photograph().resize((400, 400))


@pytest.fixture
def site() -> Iterator[Web]:
    same: Answer = (200, {}, encode(PICTURE, quality=90))
    answers: dict[str, Answer] = {
        "/a.jpg": same,
        "/mirror/a.jpg": same,
        "/smaller.jpg": (200, {}, encode(PICTURE.resize((300, 300)), quality=60)),
        "/turned.png": (200, {}, encode(PICTURE.rotate(90), "PNG")),
        "/other.jpg": (200, {}, encode(photograph("coffee.png"), quality=90)),
    }
    with serving(answers) as web:
        yield web


def fates(root: Path, site: Web) -> dict[str, int]:
    with closing(sqlite3.connect(f"{(root / 'work/catalog.db').as_uri()}?mode=ro", uri=True)) as db:
        return dict(db.execute("SELECT coalesce(reason, state), count(*) FROM candidates GROUP BY 1").fetchall())


def run(root: Path, *args: str) -> None:
    code, _, said = command(root, *args, "-q")
    assert code == 0, said


@pytest.mark.parametrize("near", [False, True])
def test_it_stays_away(site: Web, tmp_path: Path, near: bool) -> None:
    (tmp_path / "curate.toml").write_text(CONFIG.format(origin=site.origin))
    (tmp_path / "first.txt").write_text(site.url("/a.jpg"))
    run(tmp_path, "fetch")
    run(tmp_path, "takedown", site.url("/a.jpg"), "--reason", "asked for", *(("--block-near",) if near else ()))
    (tmp_path / "curate.toml").write_text(CONFIG.format(origin=site.origin) + MORE)
    (tmp_path / "second.txt").write_text("\n".join(site.url(path) for path in site.answers))
    site.asked.clear()
    run(tmp_path, "fetch")
    assert fates(tmp_path, site) == ({"stored": 1, "taken_down": 4} if near else {"stored": 3, "taken_down": 2})
    assert site.asked["/a.jpg"] == 0, "its URL is not even asked"
    data = site.answers["/a.jpg"][2]
    gone = [data[-300:], hashlib.sha256(data).hexdigest().encode()]
    gone += [site.url(path).encode() for path in ("/a.jpg", "/mirror/a.jpg")]
    assert traces(tmp_path / "work", gone) == set()
    site.asked.clear()
    run(tmp_path, "fetch")
    assert set(site.asked) <= {"/robots.txt"}
    run(tmp_path, "verify")
