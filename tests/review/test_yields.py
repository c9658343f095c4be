"""The journal as data: labels changed by queue, errors per 100 decisions, pace, repeats, and when to stop."""

from pathlib import Path

import pytest

from curate.report.reviewers import tables
from curate.review.agreement import stats
from curate.review.draw import Draw, describe, queue
from curate.review.journal import Journal
from curate.review.queues.audit import Audit
from curate.review.queues.uncertain import Uncertain
from curate.review.yields import LAST, recent
from curate.store.workspace import Workspace
from tests.support.queues import IDS, Clock, weak, workspace
from tests.support.samples import judge


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    """100 samples: 90 called neutral, ten without a label."""
    found = workspace(tmp_path / "ws", 100)
    weak(found, {name: (0.1 + n / 1000 if n < 90 else None, []) for n, name in enumerate(IDS[:100])})
    return found


def work(ws: Workspace, name: str, reviewer: str, wrong: int, seconds: float = 2.0, most: int = 200) -> list[str]:
    """Judge what is left: the first `wrong` are porn, the others neutral; what was judged, in order."""
    journal = Journal(ws.catalog, ws.config, name, reviewer, Clock())
    items = journal.items()[:most]
    for n, item in enumerate(items):
        journal.decide(item.sample, "porn" if n < wrong else "neutral", seconds)
    return [item.sample for item in items]


def test_each_queue_says_what_it_found(ws: Workspace) -> None:
    queue(ws, Uncertain(), Draw(size=60))
    queue(ws, Audit(), Draw(size=100))
    work(ws, "uncertain", "ada", 6, most=30)
    work(ws, "uncertain", "eve", 3, most=30)
    work(ws, "audit", "ada", 0, 4.0)
    first, second = stats(ws)["axes"][0]["queues"]
    assert (first["queue"], first["decisions"], first["flips"], first["missed"]) == ("uncertain", 60, 9, 9)
    assert (first["errors_per_100"], first["per_hour"]) == (15.0, 1800)
    assert first["interval"][0] < 15 < first["interval"][1]
    assert (second["decisions"], second["labelled"], second["new"], second["flips"]) == (100, 90, 10, 0)
    assert second["per_hour"] is None, "one person's pace is told to nobody else"
    shown = next(one for one in tables(stats(ws)) if one["title"] == "What decisions found")
    assert [row[:5] for row in shown["rows"]] == [["uncertain", 60, 9, 60, 15.0], ["audit", 100, 0, 90, 0.0]]


def test_who_judges_again_is_held_against_what_was_said(ws: Workspace) -> None:
    queue(ws, Uncertain(), Draw(size=20))
    done = work(ws, "uncertain", "ada", 0)
    for n, sample in enumerate(done):
        judge(ws, sample, "neutral" if n % 4 else "porn")
    judge(ws, done[0], "unsure", "eve")
    found = stats(ws)["axes"][0]["repeats"]
    again = len(done)
    assert (found["n"], found["same"]) == (again, round(1 - len(range(0, again, 4)) / again, 4))


def test_the_last_decisions_say_when_to_stop(ws: Workspace) -> None:
    queue(ws, Uncertain(), Draw(size=90))
    work(ws, "uncertain", "ada", 5, most=LAST - 10)
    assert recent(ws.catalog, "uncertain") is None
    work(ws, "uncertain", "ada", 1)
    found = recent(ws.catalog, "uncertain")
    assert found is not None
    assert found["n"] == LAST
    assert found["changed"] == describe(ws, "uncertain")["recent"]["changed"] <= 1
    queue(ws, Audit(), Draw(size=100))
    work(ws, "audit", "eve", 10)
    assert recent(ws.catalog, "audit") is None, "a blind queue tells nothing of what the machine says"
    assert describe(ws, "audit")["recent"] is None
