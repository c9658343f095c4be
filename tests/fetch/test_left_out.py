"""What a source leaves out is said by `fetch`, by kind, as the folder is now."""

from pathlib import Path

import pytest

from tests.support.calling import Command
from tests.support.pictures import encode, texture

CONFIG = """
[screening]
required = false
[[sources]]
use = "local"
path = "images"
label_from = "folder"
"""
OUTSIDE = "links that lead outside (follow_links = true follows them)"


def test_what_is_left_out_is_said_and_forgotten_when_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images" / "neutral"
    folder.mkdir(parents=True)
    (tmp_path / "curate.toml").write_text(CONFIG)
    for name in ("a.jpg", "b.jfif", "c.jpe"):
        (folder / name).write_bytes(encode(texture(ord(name[0]))))
    (folder / "notes.txt").write_text("words")
    (tmp_path / "away.jpg").write_bytes(encode(texture(1)))
    (folder / "linked.jpg").symlink_to(tmp_path / "away.jpg")
    curate = Command(tmp_path, monkeypatch, capfd)
    said = curate("fetch", "--json").json
    assert (said["stored"], said["left_out"]) == (3, {"files that are named like no picture": 1, OUTSIDE: 1})
    (folder / "notes.txt").unlink()
    (folder / "d.png").write_bytes(encode(texture(2), "PNG"))
    said = curate("fetch", "--json").json
    assert (said["stored"], said["left_out"]) == (4, {OUTSIDE: 1})
    (tmp_path / "curate.toml").write_text(CONFIG + "follow_links = true\n")
    said = curate("fetch", "--json").json
    assert said["stored"] == 5
