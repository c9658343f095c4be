"""`curate estimate` from the command line and from Python: one answer, one exit code."""

import json
from pathlib import Path

import pytest

import curate
from curate.config import load
from curate.review.journal import Journal
from curate.store.workspace import Workspace
from tests.support.calling import Command
from tests.support.folders import config, fill


def test_the_command_says_what_python_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path, ("neutral", "drawings"))
    (tmp_path / "curate.toml").write_text(config("skin"))
    command = Command(tmp_path, monkeypatch, capfd)
    for verb in ("fetch", "dedupe", "label"):
        command(verb)
    assert "`curate queue audit`, then `curate review audit" in command("estimate", code=2).err
    assert json.loads(command("estimate", "--json", code=2).out)["exit"] == 2
    command("queue", "audit", "--size", "12")
    ws = Workspace(tmp_path, load(tmp_path))
    journal = Journal(ws.catalog, ws.config, "audit", "ada")
    for n, item in enumerate(journal.items()):
        journal.decide(item.sample, "drawings" if n % 3 else "neutral", 3.0)
    ws.close()
    project = curate.open(tmp_path, quiet=True)
    said = command("estimate", "--json", "--plan", "precision:neutral=0.1").json
    assert said == json.loads(json.dumps(dict(project.estimate(plan="precision:neutral=0.1"))))
    assert set(said["plan"]) >= {"decisions", "hours"}
    frame = project.estimate().frame()
    assert set(frame["class"]) == {"not_safe", *("drawings", "hentai", "neutral", "porn", "sexy")}
    assert {"what", "class", "score", "value", "low", "high", "n", "planned", "design"} <= set(frame.columns)
    out = command("estimate").out
    assert "audit: 12 of 12 planned decisions" in out
    assert "prevalence is that of this collection" in out
    scored = command("estimate", "--json", "--score", "skin_share", "--threshold", "0.001", "--class", "neutral").json
    assert {one["score"] for one in scored["figures"]} == {"labels", "skin_share"}
    assert "did you mean 'skin" in command("estimate", "--score", "skin_shar", "--threshold", "0.1", code=2).err
