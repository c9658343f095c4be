"""The last word is somebody else's, with a reason, and everything downstream follows it."""

from pathlib import Path

import pytest

from curate.errors import UsageError
from curate.label.final import labels
from curate.review.adjudicate import Ruling, adjudicate
from curate.review.guideline import precedents
from curate.screening.quarantine import quarantine
from curate.store import views
from curate.store.workspace import Workspace
from tests.support.queues import IDS, workspace
from tests.support.samples import judge


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    ws = workspace(tmp_path / "ws")
    judge(ws, IDS[0], "porn", "ada")
    judge(ws, IDS[0], "neutral", "bob")
    return ws


def test_a_ruling_ends_a_tie(ws: Workspace) -> None:
    axis = ws.config.taxonomy.first
    assert labels(ws, axis).withheld == {IDS[0]: "conflict"}
    result = adjudicate(ws, Ruling(IDS[0][:12], "neutral", "eve", "  a statue; see 2.1 "))
    assert result["votes"] == {"neutral": 1, "porn": 1}
    known = labels(ws, axis)
    assert IDS[0] not in known.withheld
    assert (known.by_sample[IDS[0]].name, known.by_sample[IDS[0]].source) == ("neutral", "human")
    assert views.humans(ws.catalog, "content", "1", axis.classes)[IDS[0]] == views.Human("neutral", 3, 2 / 3)
    assert [(one.label, one.reason) for one in precedents(ws.catalog, ws.config.taxonomy)] == [
        ("neutral", "a statue; see 2.1")
    ]
    logged = ws.catalog.scalar("SELECT subject FROM log WHERE action = 'adjudicate'")
    assert logged == ws.catalog.digest("id", IDS[0])


def test_a_ruling_wins_over_a_majority_and_the_last_one_counts(ws: Workspace) -> None:
    judge(ws, IDS[0], "porn", "dan")
    for label in ("sexy", "neutral"):
        adjudicate(ws, Ruling(IDS[0], label, "eve", "because"))
    assert labels(ws, ws.config.taxonomy.first).by_sample[IDS[0]].name == "neutral"
    assert ws.catalog.scalar("SELECT count(*) FROM precedents") == 2


@pytest.mark.parametrize(
    ("sample", "label", "reviewer", "reason", "message"),
    [
        (IDS[0], "neutral", "ada", "because", "ada has judged it, or a duplicate of it; somebody else settles it"),
        (IDS[0], "neutral", " ada ", "because", "ada has judged it"),
        (IDS[1], "neutral", "ada", "because", "ada has judged it, or a duplicate"),
        (IDS[2], "neutral", "eve", "because", "nobody has judged it yet"),
        (IDS[0], "neutral", "eve", " ", "say why"),
        (IDS[0], "unsure", "eve", "because", "label: no such class 'unsure'"),
        (IDS[0], "netral", "eve", "because", "did you mean 'neutral'"),
        (IDS[0], "neutral", "", "because", "reviewer"),
        (IDS[3], "neutral", "eve", "because", "held back"),
        ("f" * 64, "neutral", "eve", "because", "names no stored sample"),
    ],
)
def test_a_ruling_that_cannot_be_is_refused(  # one parameter a column
    ws: Workspace, sample: str, label: str, reviewer: str, reason: str, message: str
) -> None:
    quarantine(ws.catalog, IDS[3], "held", actor="test")
    with ws.catalog.tx() as db:
        db.execute("UPDATE members SET collapse = ?, survivor = ? WHERE sample = ?", (IDS[0], IDS[0], IDS[1]))
    with pytest.raises(UsageError, match=message):
        adjudicate(ws, Ruling(sample, label, reviewer, reason))
    assert ws.catalog.scalar("SELECT count(*) FROM precedents") == 0


def test_who_took_a_vote_back_has_voted(ws: Workspace) -> None:
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, undoes)"
            " SELECT sample, axis, taxonomy, reviewer, label, decided_at, shown, decision FROM decisions"
            " WHERE reviewer = 'ada'"
        )
    with pytest.raises(UsageError, match="ada has judged it"):
        adjudicate(ws, Ruling(IDS[0], "neutral", "ada", "because"))
