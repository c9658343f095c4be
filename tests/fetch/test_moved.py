"""A workspace that was moved knows its files and its lists again; what else changed is said."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support.calling import Command
from tests.support.pictures import encode, texture

CONFIG = """
[engine]
use = "serial"
[fetch]
contact = "a@example.org"
[screening]
required = false
[[sources]]
use = "local"
path = "images"
label_from = "folder"
"""
NAMES = ("neutral/0.png", "neutral/1.png", "drawings/2.png", "drawings/é ü/3.png", "drawings/4\n.png")


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    root = tmp_path / "w"
    for n, name in enumerate(NAMES):
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "images" / name).write_bytes(encode(texture(n, (64, 64)), "PNG"))
    with open(os.fsencode(root / "images") + b"/neutral/caf\xe9.png", "wb") as file:  # noqa: PTH123
        file.write(encode(texture(9, (64, 64)), "PNG"))
    (root / "images" / "neutral" / "broken.png").write_bytes(b"no picture")
    (root / "curate.toml").write_text(CONFIG)
    found = Command(root, monkeypatch, capfd)
    assert found("fetch", "--json").json["stored"] == 6
    return found


@pytest.mark.parametrize("how", ["moved", "copied", "copied_anew"])
def test_a_workspace_elsewhere_knows_its_files_again(curate: Command, tmp_path: Path, how: str) -> None:
    before = curate("status", "--json").json
    there = tmp_path / "other" / "place"
    there.parent.mkdir()
    if how == "moved":
        curate.root.rename(there)
    else:
        shutil.copytree(curate.root, there, copy_function=shutil.copy2 if how == "copied" else shutil.copy)
    curate.root = there
    said = curate("fetch", "--json")
    assert (said.json["moved"], said.json["candidates"], said.json["asked"]) == (7, 7, 0)
    after = curate("status", "--json").json
    assert [one["candidates"] for one in after["sources"]] == [7]
    assert after["sources"][0]["of"] == str(there / "images")
    same = ("candidates", "stored", "failed", "samples", "pending")
    assert [after[key] for key in same] == [before[key] for key in same]
    assert curate("verify", "--json").json["items"] == []
    assert "known again" not in curate("fetch").err


def test_a_file_with_other_bytes_is_no_old_acquaintance(curate: Command, tmp_path: Path) -> None:
    (curate.root / "images" / "neutral" / "0.png").write_bytes(encode(texture(77, (64, 64)), "PNG"))
    curate.root.rename(tmp_path / "w2")
    curate.root = tmp_path / "w2"
    said = curate("fetch", "--json").json
    assert (said["moved"], said["candidates"], said["stored"], said["asked"]) == (6, 8, 7, 1)


def test_another_folder_is_another_source_and_the_former_is_said(curate: Command) -> None:
    (curate.root / "others" / "neutral").mkdir(parents=True)
    (curate.root / "others" / "neutral" / "5.png").write_bytes(encode(texture(50, (64, 64)), "PNG"))
    (curate.root / "curate.toml").write_text(CONFIG.replace('"images"', '"others"'))
    said = curate("fetch", "--json")
    assert (said.json["moved"], said.json["candidates"]) == (0, 8)
    assert "1 sources that curate.toml does not name any more have 7 candidates that stay" in said.err
    sources = {one["of"]: one for one in curate("status", "--json").json["sources"]}
    assert sources[str(curate.root / "images")]["former"] is True
    assert "former" not in sources[str(curate.root / "others")]
    (curate.root / "curate.toml").write_text(CONFIG)
    assert "does not name any more have 1 candidates" in curate("fetch").err


def test_lists_that_moved_are_the_same_lists(curate: Command, tmp_path: Path) -> None:
    lists = '[[sources]]\nuse = "urllist"\npath = "raw_data"\n'
    (curate.root / "raw_data" / "neutral").mkdir(parents=True)
    (curate.root / "raw_data" / "neutral" / "urls_neutral.txt").write_text("http://192.0.2.1/1.jpg\n")
    (curate.root / "curate.toml").write_text(CONFIG + lists)
    curate("fetch")
    curate.root.rename(tmp_path / "w2")
    curate.root = tmp_path / "w2"
    curate("fetch")
    assert [one["candidates"] for one in curate("status", "--json").json["sources"]] == [7, 1]


def test_same_bytes_and_what_a_run_asked_for_are_said(curate: Command) -> None:
    shutil.copy(curate.root / "images" / NAMES[0], curate.root / "images" / "neutral" / "again.png")
    said = curate("fetch")
    assert "stored                     7 of 8 candidates; 1 are not stored" in said.out
    assert "asked                      1" in said.out
    assert "asked                      0" in curate("fetch").out
    status = curate("status", "--json").json
    assert (status["stored"], status["samples"], status["same_bytes"]) == (7, 6, 1)


def test_a_source_that_never_listed_anything_is_forgotten(curate: Command) -> None:
    (curate.root / "empty").mkdir()
    (curate.root / "curate.toml").write_text(CONFIG.replace('"images"', '"empty"'))
    assert "no images in this folder" in curate("fetch", code=2).err
    (curate.root / "curate.toml").write_text(CONFIG)
    assert "does not name" not in curate("fetch").err
    assert [one["of"] for one in curate("status", "--json").json["sources"]] == [str(curate.root / "images")]
