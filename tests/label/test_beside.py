"""The audited estimate beside every figure on weak labels, or that there is none."""

from pathlib import Path

import pytest

from curate.commands.wording import worded
from curate.demo import audit as demo
from curate.label.estimate.beside import NONE, beside
from curate.label.terminal import aligned
from curate.records import Axis
from curate.store.workspace import Workspace
from tests.label.test_estimate import asked, audit, figure, score, truth
from tests.support.queues import IDS, weak, workspace


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    found = workspace(tmp_path / "ws", 200)
    weak(found, {name: (score(n), []) for n, name in enumerate(IDS)})
    return found


def test_without_an_audit_it_says_how_to_make_one(ws: Workspace) -> None:
    said = beside(ws, ws.config.taxonomy.first)
    assert (said["figures"], said["said"]) == ([], NONE)
    assert "curate review audit" in NONE


def test_it_is_what_estimate_says_of_not_safe(ws: Workspace) -> None:
    audit(ws, 80)
    said, found = beside(ws, ws.config.taxonomy.first), asked(ws)
    assert [(one["what"], one["class"]) for one in said["figures"]] == [
        ("precision", "not_safe"),
        ("recall", "not_safe"),
    ]
    for one in said["figures"]:
        whole = figure(found, one["what"])
        assert all(one[key] == whole[key] for key in ("value", "low", "high", "rests_on"))
    assert said["said"].startswith("by 80 of 80 decisions of audit: precision of not_safe ")
    assert worded({"content": {"audit": said}})["content"] == {"right, as audited": said["said"]}
    all_safe = Axis("content", ("neutral", "porn"), ("neutral", "porn"), ())
    assert {one["class"] for one in beside(ws, all_safe)["figures"]} <= {"neutral", "porn"}


def test_the_demo_judges_an_audit_and_prints_an_estimate_and_a_plan(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "OF", "porn")
    classes = {name: truth(name) for name in IDS}
    found = demo.audit(ws, classes)
    called = {name: "porn" if (score(n) or 0) > 0.5 else "neutral" for n, name in enumerate(IDS)}
    shown = demo.table(found, called, classes)
    assert [row[0] for row in shown["rows"]] == ["precision of porn", "recall of porn"]
    assert found["decisions"]["judged"] == demo.SIZE
    assert "decisions, " in shown["note"]
    assert aligned(shown["columns"], shown["rows"])


def test_names_of_a_users_own_are_not_put_in_other_words() -> None:
    """A setting of a queue, or a class, may be called as a key of an answer is."""
    own = {"options": {"audit": 1, "held": 2}, "counts": {"train": {"gold": 3, "human": 4}}}
    assert worded(own) == own
    assert worded({"held": 1}) == {"held back": 1}
