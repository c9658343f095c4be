"""`curate taxonomy diff` and `curate relabel` from the command line: a policy changes between two releases."""

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

import curate
from curate.config import load
from curate.label.taxonomy.carry import lines
from curate.store.workspace import Workspace
from tests.support.calling import Command
from tests.support.folders import config, fill

BASE = config(more="[label]\nbootstrap = false\n[export]\nsplits = { train = 0.6, val = 0.2, test = 0.2 }\n")
OLD = """
[taxonomy]
version = "1"
[[taxonomy.axes]]
classes = ["drawings", "photos", "memes"]
safe = ["drawings", "photos", "memes"]
"""
NEW = """
[taxonomy]
version = "2"
[[taxonomy.axes]]
classes = ["art", "photos", "jokes", "spam"]
safe = ["art", "photos", "jokes"]
"""
MAPPING = """
version = "2"
reason = "memes are two things"
[axes.content]
drawings = "art"
photos = "photos"
memes = ["jokes", "spam"]
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    fill(tmp_path, ("photos", "drawings", "memes"))
    (tmp_path / "curate.toml").write_text(BASE + OLD)
    (tmp_path / "old.toml").write_text(BASE + OLD)
    (tmp_path / "new.toml").write_text(BASE + NEW)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    return Command(tmp_path, monkeypatch, capfd)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()
    }


def test_a_policy_changes_between_two_releases(command: Command, tmp_path: Path) -> None:
    for verb in ("fetch", "dedupe", "label"):
        command(verb)
    ws = Workspace(tmp_path, load(tmp_path))
    ids = [row[0] for row in ws.catalog.all("SELECT id FROM samples ORDER BY id")]
    with ws.catalog.tx() as db:
        for n, sample in enumerate(ids[:9]):
            row = (sample, ("photos", "drawings", "memes")[n % 3])
            sql = """INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown)
            VALUES (?, 'content', '1', 'ada', ?, '2026-01-01T00:00:00.000Z', 'blind')"""
            db.execute(sql, row)
    ws.close()
    command("export", "1.0.0")
    released = digests(tmp_path / "work" / "releases" / "1.0.0")
    assert "curate.toml has taxonomy 1" in command("relabel", "--mapping", f"{tmp_path}/mapping.toml", code=2).err
    (tmp_path / "curate.toml").write_text(BASE + NEW)
    said = command("relabel", "--mapping", f"{tmp_path}/mapping.toml", "--json").json
    assert (said["carried"], said["not_carried"], said["queues"]) == (6, 3, {"relabel": 3})
    assert said["label"]["samples"] == 24
    moved = {(one["from"], one["to"]): one["n"] for one in said["moved"]}
    assert moved == {("drawings", "art"): 8, ("memes", None): 8}
    assert command("queue", "relabel", "--json").json["items"] == 3
    error = command("fetch", "--json", code=4).json["error"]  # folders bear the old names, and no list is loaded
    assert "the sources can yield memes" in error, "what may be spam is not safe; what is art now is"
    project = curate.open(tmp_path, quiet=True)
    again = project.relabel(tmp_path / "mapping.toml")
    assert (again["carried"], again["known"], again["moved"]) == (0, 6, [])
    frame = project.samples()
    assert frame.loc[frame.id.isin(ids[1:9:3]), "label"].tolist() == ["art"] * 3
    release = json.loads(json.dumps(project.export("2.0.0").manifest.header))
    (change,) = release["taxonomy"]["changes"]
    assert (change["from"], change["to"], change["reason"]) == ("1", "2", "memes are two things")
    assert change["carried"] == 6
    assert digests(tmp_path / "work" / "releases" / "1.0.0") == released
    assert "to be decided anew: 3 samples (`curate review relabel --reviewer NAME`)" in list(lines(again))
    assert project.verify()["items"] == []


def test_diff_says_what_differs_and_its_draft_is_a_mapping(command: Command, tmp_path: Path) -> None:
    said: dict[str, Any] = command("taxonomy", "diff", f"{tmp_path}/old.toml", f"{tmp_path}/new.toml", "--json").json
    assert said["axes"]["content"]["added"] == ["art", "jokes", "spam"]
    assert said["axes"]["content"]["removed"] == ["drawings", "memes"]
    draft = tomllib.loads(said["draft"])
    assert (draft["version"], draft["from"], draft["axes"]) == ("2", "1", {"content": {"photos": "photos"}})
    out = command("taxonomy", "diff", f"{tmp_path}/old.toml", f"{tmp_path}/new.toml").out
    assert "content: added: art, jokes, spam; removed: drawings, memes" in out
    assert '# memes = "CLASS"' in out
    assert command("taxonomy", "diff", f"{tmp_path}/old.toml", f"{tmp_path}/old.toml", "--json").json["same"]
    (tmp_path / "same.toml").write_text(BASE + NEW.replace('"2"', '"1"'))
    assert "the version is the same" in command("taxonomy", "diff", f"{tmp_path}/old.toml", f"{tmp_path}/same.toml").out
    assert (
        "no such file"
        in command("taxonomy", "diff", f"{tmp_path}/old.toml", f"{tmp_path}/none.toml", code=2).err.lower()
    )
    for bad in ("[taxonomy\n", "[fecth]\n"):  # no TOML, and no such key: the file is named, and no other
        (tmp_path / "bad.toml").write_text(bad)
        err = command("taxonomy", "diff", f"{tmp_path}/old.toml", f"{tmp_path}/bad.toml", code=2).err
        assert "bad.toml: " in err
        assert "curate.toml" not in err
