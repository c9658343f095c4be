"""What verbs say where there is little to say: nothing stored, nothing to release, a name that is misspelt."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from curate.admin.verify import verify
from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.errors import StoreError
from curate.release.export import export
from curate.release.gates import _remedy
from curate.store import eligibility, lookup
from curate.train.run import train
from tests.support.builders import add, workspace
from tests.support.calling import Command
from tests.support.pictures import encode, texture
from tests.support.releases import FORMATS, QUIET, SCREENED
from tests.support.weak import put
from tests.train.test_train import Tiny, items, released

CONFIG = """
[engine]
use = "serial"
[screening]
required = false
[[sources]]
use = "local"
path = "images"
label = "neutral"
"""


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(encode(texture(1), "PNG"))
    (tmp_path / "curate.toml").write_text(CONFIG)
    return Command(tmp_path, monkeypatch, capfd)


@pytest.mark.parametrize("verb", ["dedupe", "label"])
def test_no_verb_has_an_answer_about_nothing(curate: Command, verb: str) -> None:
    said = curate(verb, "--json", code=3)
    assert said.json["incomplete"] == "there is no sample to look at; `curate fetch` comes first"
    assert said.json["samples"] == 0
    curate("fetch")
    curate(verb)


def test_what_is_next_is_what_was_not_done(curate: Command) -> None:
    assert "the workspace is empty); `curate fetch` comes first" in curate("export", "1.0.0", code=2).err
    curate("fetch")
    assert "`curate dedupe` and `curate label` come first" in curate("export", "1.0.0", code=2).err
    curate("dedupe")
    (curate.root / "curate.toml").write_text(
        CONFIG.replace('label = "neutral"', "") + '[[labelers]]\nuse = "declared"\n'
    )
    said = curate("export", "1.0.0", code=2).err
    assert "1 unlabelled" in said
    assert "first" not in said
    assert "`curate queue conflict`" in _remedy({"duplicate": 2, "conflict": 1})
    assert "there is none yet; `curate export 1.0.0` makes one" in curate("train", "1.0", code=2).err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[labelers]]\nuse = "opn_nsfw"\n', "labelers.opn_nsfw: no such labeler; did you mean 'open_nsfw'?"),
        ('[[labelers]]\nuse = "drawing"\nnonsense = 1\n', "labelers.drawing.nonsense: no such key"),
        ('[export]\nformats = ["parqet"]\n', "export.formats.parqet: no such format; did you mean 'parquet'?"),
        ('[label]\nmodel = "snorkle"\n', "label.model.snorkle: no such label model; did you mean 'snorkel'?"),
        ('[[queues]]\nuse = "adit"\n', "queues.adit: no such queue; did you mean 'audit'?"),
        ('[train]\nbackbone = "efficientnet"\n', "train.backbone.efficientnet: no such labeler"),
    ],
)
def test_a_name_that_is_none_is_said_by_the_first_verb_and_by_doctor(curate: Command, text: str, says: str) -> None:
    (curate.root / "curate.toml").write_text(CONFIG + text)
    for verb in (("fetch",), ("dedupe",), ("run", "1.0.0")):
        assert says in curate(*verb, code=2).err
    config = next(one for one in curate("doctor", "--json", code=1).json["checks"] if one["name"] == "config")
    assert (config["ok"], says in config["detail"]) == (False, True)
    assert json.loads(curate("status", "--json").out)["candidates"] == 0, "who only looks is not held up"


def test_a_sample_that_cannot_be_hashed_leaves_the_release_and_stops_nothing(tmp_path: Path) -> None:
    """Its bytes came to harm; it cannot be told whether it is in another split, too."""
    ws = workspace(tmp_path)
    ids = [add(ws, encode(texture(n), "PNG"), "neutral") for n in range(4)]
    path = ws.blobs.path(ids[0])
    path.write_bytes(bytes(path.stat().st_size))  # as many as they were, or they would be lost
    assert dedupe(ws, Serial(), QUIET)["unhashed"] == 1
    put(ws, dict.fromkeys(ids, ("neutral", 0.9)))
    said = export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    assert said["excluded"] == {eligibility.UNHASHED: 1}
    assert sum(said["rows"].values()) == 3
    path.write_bytes(encode(texture(0), "PNG"))
    dedupe(ws, Serial(), QUIET)
    assert sum(export(ws, "1.1.0", FORMATS, QUIET, SCREENED)["rows"].values()) == 4
    ws.close()


def test_where_redirects_ended_is_found_by_an_index(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    one = add(ws, encode(texture(1)))
    with ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET final_url = 'https://cdn.example.org/x.jpg' WHERE sample = ?", (one,))
    assert lookup.one(ws.catalog, "https://cdn.example.org/x.jpg") == one
    for sql, value in lookup._questions(ws.catalog, "https://cdn.example.org/x.jpg"):
        steps = [row[3] for row in ws.catalog.all(f"EXPLAIN QUERY PLAN {sql}", value)]
        assert all("SCAN" not in step for step in steps), steps
    ws.close()


def test_a_train_that_fails_keeps_the_model_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ws = released(tmp_path, items())
    train(ws, "1.0.0", Serial(), Tiny(), QUIET)
    folder = ws.work / "models" / "1.0.0"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("curate.train.run.save", full)
        with pytest.raises(StoreError):
            train(ws, "1.0.0", Serial(), Tiny(), QUIET)
    ws.config = replace(ws.config, train=replace(ws.config.train, epochs=3))
    with monkeypatch.context() as patch:
        patch.setattr("curate.train.run.write", full)
        with pytest.raises(StoreError):
            train(ws, "1.0.0", Serial(), Tiny(), QUIET)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [one for one in verify(ws, QUIET)["items"] if one["id"].startswith("models/")] == []
    assert ws.catalog.scalar("SELECT count(*) FROM models") == 1
    ws.close()


def test_where_every_sample_is_held_back_there_is_no_verdict(curate: Command) -> None:
    curate("fetch")
    curate("quarantine", str(curate.root / "images" / "1.png"), "--reason", "asked")
    for verb in ("dedupe", "label"):
        said = curate(verb, "--json", code=3).json
        assert "(1 quarantined); `curate screening status`" in said["incomplete"]
    assert said["next"] == "`curate screening status`"
