"""`curate check` of what is too small, moves, changes meanwhile or is not there: each counts as what it is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from curate.checks.page import write_page
from tests.checks.test_check import QUIET, clean, put, run, said
from tests.support.pictures import clip, encode, texture


def test_what_is_too_small_to_compare_is_read_and_counted_as_that(tmp_path: Path) -> None:
    """Pixels that sites have everywhere are no unreadable files: their bytes say whether they are equal."""
    dot = encode(Image.new("RGB", (1, 1), "red"), "GIF")
    for n in range(6):
        put(tmp_path, f"{('train', 'test')[n % 2]}/cat/{n}.png", encode(texture(n, (15, 40)), "PNG"))
    put(clean(tmp_path), "train/cat/dot.gif", dot)
    done = run(tmp_path)
    assert (done.facts["unreadable"]["files"], done.facts["too_small"], done.facts["flat"]) == (0, 7, 0)
    assert done.facts["incomplete"] is None
    assert "; 7 too small to compare are compared by their bytes alone" in said(done)
    assert "7 pictures: less than 16 px a side: too small to compare; such as test/cat/1.png" in said(done)
    put(tmp_path, "test/cat/again.gif", dot)
    done = run(tmp_path)
    assert done.leak
    assert "its bytes cannot be read" not in write_page(tmp_path / "page.html", tmp_path, done, QUIET).read_text(
        encoding="utf-8"
    )


def test_frames_and_pages_are_counted(tmp_path: Path) -> None:
    clip_ = clip("GIF", [texture(n, (60, 50)) for n in range(5)])
    put(clean(tmp_path), "train/cat/clip.gif", clip_)
    put(tmp_path, "test/cat/clip.gif", clip_)
    put(tmp_path, "train/dog/scan.tiff", clip("TIFF", [texture(100 + n, (60, 50)) for n in range(7)]))
    done = run(tmp_path)
    assert done.facts["frames"] == {"files": 3, "frames": 17, "most": 7}
    assert "frames         17 in 3 files of several frames or pages, 7 at most;" in said(done)
    page = write_page(tmp_path / "page.html", tmp_path, done, QUIET).read_text(encoding="utf-8")
    assert "17 in 3 files of several frames or pages" in page
    assert page.count("· 5 frames") >= 2
    assert "frames  " not in said(run(clean(tmp_path / "stills")))


def test_one_class_and_an_empty_one_are_said(tmp_path: Path) -> None:
    for n in range(12):
        put(tmp_path, f"{('train', 'test')[n % 2]}/cat/{n}.png", encode(texture(n, (40, 30)), "PNG"))
    (tmp_path / "train/dog/inner").mkdir(parents=True)
    command = [sys.executable, "-m", "cli", "check", str(tmp_path)]
    found = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[2], check=False
    )
    assert found.returncode == 0
    assert "conflicts      not asked: everything has one label (cat)" in found.stdout
    assert "shortcut       not asked: it takes two labels" in found.stdout
    assert "left alone     1 folders without a picture, such as train/dog/inner" in found.stdout


def test_a_file_that_changes_while_it_is_read_is_no_picture_of_the_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows which of the two was read; few cost themselves only, many leave the answer incomplete."""
    put(clean(tmp_path), "train/cat/growing.png", encode(texture(99), "PNG"))
    known = os.fstat

    def fstat(number: int) -> os.stat_result:
        found = known(number)
        path = Path(f"/proc/self/fd/{number}").readlink()
        if path.name.endswith(growing):
            with path.open("ab") as file:
                file.write(b"more")
        return found

    growing = "growing.png"
    monkeypatch.setattr(os, "fstat", fstat)
    done = run(tmp_path)
    assert done.facts["unreadable"]["reasons"] == {"changed_meanwhile": 1}
    assert done.facts["incomplete"] is None
    assert "train/cat/growing.png: changed_meanwhile" in said(done)
    growing = ".png"
    put(tmp_path, "train/cat/more.png", encode(texture(98), "PNG"))
    assert run(tmp_path).facts["incomplete"] == "2 of 34 files could not be read"
