"""`curate predict`: a JSON object a line, or a table; single faults cost themselves, and nothing is kept."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import curate
from tests.evaluate.test_graph import CLASSES, saved
from tests.support.calling import Command, Said
from tests.support.model_pictures import files
from tests.support.releases import contents


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a model and five pictures, one of them none."""
    root = tmp_path_factory.mktemp("project")
    (root / "curate.toml").write_text("[engine]\nworkers = 1\n")
    saved(root / "work" / "models" / "1.0.0", "onnx")
    for n, data in enumerate(files(4)):
        (root / "shots" / "inner").mkdir(parents=True, exist_ok=True)
        (root / "shots" / ("inner" if n % 2 else ".") / f"{n}.png").write_bytes(data)
    (root / "shots" / "notes.txt").write_text("no picture")
    (root / "shots" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return root


@pytest.fixture
def command(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    return Command(folder, monkeypatch, capfd)


def rows(said: Said) -> list[dict[str, object]]:
    return [json.loads(line) for line in said.out.splitlines()]


def test_a_line_a_picture(command: Command, folder: Path) -> None:
    before = contents(folder)
    said = command("predict", "1.0.0", str(folder / "shots"))
    found = rows(said)
    names = ["0.png", "2.png", "broken.png", "inner/1.png", "inner/3.png"]
    assert [one["path"] for one in found] == [str(folder / "shots" / name) for name in names]
    assert list(found[0]) == ["path", "probabilities", "decision"]
    assert set(found[0]["probabilities"]) == set(CLASSES)  # type: ignore[call-overload]
    assert sum(found[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)  # type: ignore[attr-defined]
    assert (found[2]["reason"], set(found[2])) == ("decode_error", {"path", "reason", "detail"})
    assert "4 of 5 files looked at" in said.err
    assert "nothing is called safe" in said.err
    assert contents(folder) == before, "nothing is kept"


def test_the_same_as_a_table_as_one_object_and_from_python(command: Command, folder: Path) -> None:
    shots = str(folder / "shots")
    lines = rows(command("predict", "1.0.0", shots))
    table = list(csv.DictReader(io.StringIO(command("predict", "1.0.0", shots, "--csv").out)))
    assert list(table[0]) == ["path", "decision", "reason", "detail", *(f"p_{one}" for one in CLASSES)]
    assert [one["path"] for one in table] == [one["path"] for one in lines]
    assert [one["reason"] for one in table] == [one.get("reason", "") for one in lines]
    said = command("predict", str(folder / "work" / "models" / "1.0.0"), shots, "--json").json
    assert said["rows"] == lines
    assert (said["looked_at"], said["of"], said["model"]) == (4, 5, "1.0.0")
    assert curate.open(folder, quiet=True).predict("1.0.0", [shots + "/0.png"])["rows"] == lines[:1]
    found = curate.open(folder, quiet=True).predict("1.0.0", [shots, "-"])["rows"]
    assert (found[:-1], found[-1]["reason"]) == (lines, "file_missing"), (
        "a folder's pictures; - is a name like any other"
    )
    probabilities = curate.load_model(folder / "work/models/1.0.0").predict([(folder / "shots/0.png").read_bytes()])
    assert probabilities[0].tolist() == pytest.approx(list(lines[0]["probabilities"].values()), abs=1e-6)  # type: ignore[attr-defined]


def test_a_list_on_stdin_and_a_limit(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"{folder}/shots/0.png\r\n\n{folder}/shots/gone.png\n{folder}/shots/2.png\n"
    for args, n in (((), 3), (("--limit", "2"), 2)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        found = rows(command("predict", "1.0.0", "-", "-q", *args))
        assert [one.get("reason") for one in found] == [None, "file_missing", None][:n]


def test_one_path_is_not_a_list_of_letters(folder: Path) -> None:
    for one in ("shots/0.png", Path("shots/0.png"), b"shots/0.png"):
        with pytest.raises(curate.UsageError, match="give a list of paths"):
            curate.open(folder, quiet=True).predict("1.0.0", one)  # type: ignore[arg-type]


def test_names_that_a_spreadsheet_would_run(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "shots")
    (folder / "shots" / "0.png").rename(folder / "shots" / "=1+1.png")
    try:
        said = command("predict", "1.0.0", "=1+1.png", "--csv", "-q")
        assert said.out.splitlines()[1].startswith("'=1+1.png,review,")
    finally:
        (folder / "shots" / "=1+1.png").rename(folder / "shots" / "0.png")


def test_without_a_stdin_it_answers(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as of a service that was started with none
    assert rows(command("predict", "1.0.0", str(folder / "shots" / "0.png"), "-q"))
    assert not rows(command("predict", "1.0.0", "-", "-q", code=3))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("at_once", ["", "1"])  # what a verb says is written at its end, or line by line
@pytest.mark.parametrize("args", [["train", "--help"], ["predict", "1.0.0", "shots/0.png", "-q"]])
def test_where_the_answer_finds_no_room_it_is_one_line(folder: Path, args: list[str], at_once: str) -> None:
    run, env = [sys.executable, "-m", "cli", *args], {**os.environ, "PYTHONUNBUFFERED": at_once}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(run, cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "curate: No space left on device; free some space and run it again; what is done is kept\n",
    )


def test_where_all_fail_it_ends_with_3(command: Command, folder: Path, tmp_path: Path) -> None:
    assert rows(command("predict", "1.0.0", str(folder / "shots" / "broken.png"), code=3))
    assert not rows(command("predict", "1.0.0", str(tmp_path), code=3))


def test_what_is_asked_wrongly_is_one_line(command: Command, folder: Path) -> None:
    said = command("predict", "1.0.1", str(folder), code=2)
    assert "no such model, and no such folder; there are: 1.0.0" in said.err
    assert not said.out
    command("predict", "1.0.0", code=2)
    wrong = command("predict", str(folder / "shots"), str(folder), "--json", code=1)
    assert "no model.json in it" in wrong.json["error"]


def test_a_flipped_bit_is_an_error(command: Command, folder: Path) -> None:
    path = folder / "work" / "models" / "1.0.0" / "model.onnx"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
        said = command("predict", "1.0.0", str(folder / "shots"), code=1)
        assert "model.onnx: not the bytes that model.json names" in said.err
        assert not said.out
    finally:
        path.write_bytes(whole)
