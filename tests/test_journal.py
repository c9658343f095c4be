"""What one reviewer does is recorded once, in order, and never by halves."""

from pathlib import Path

import pytest

from curate.errors import GoneError, PauseError, UsageError
from curate.journal import Journal
from curate.quarantine import quarantine
from curate.store import views
from curate.store.workspace import Workspace
from tests import samples
from tests.queues import IDS, Clock, queue, workspace


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    ws = workspace(tmp_path / "ws")
    queue(ws)
    return ws


@pytest.fixture
def clock() -> Clock:
    return Clock()


def journal(ws: Workspace, clock: Clock, reviewer: str = "ada", name: str = "uncertain") -> Journal:
    return Journal(ws.catalog, ws.config, name, reviewer, clock)


def test_a_decision_is_kept_as_it_was_given(ws: Workspace, clock: Clock) -> None:
    one = journal(ws, clock)
    number = one.decide(IDS[0], "neutral", 2.5, nonce="a")
    row = dict(ws.catalog.rows("SELECT * FROM decisions WHERE decision = ?", (number,))[0])
    assert row["seconds"] == 2.5
    said = {
        "sample": IDS[0], "label": "neutral", "reviewer": "ada", "queue": "uncertain", "shown": "obscured",
        "media": "obscured", "taxonomy": "1", "axis": "content", "inclusion": None, "undoes": None,
    }  # fmt: skip
    assert row | said == row
    assert views.votes(ws.catalog, "content", "1")[IDS[0]] == {"neutral": 1}


def test_a_repeated_request_records_once(ws: Workspace, clock: Clock) -> None:
    one = journal(ws, clock)
    assert one.decide(IDS[0], "porn", nonce="a") == one.decide(IDS[0], "porn", nonce="a")
    assert one.skip(IDS[1], nonce="b") == one.skip(IDS[1], nonce="b")
    taken = one.undo(nonce="c")
    assert taken is not None
    assert one.undo(nonce="c") == taken
    assert ws.catalog.one("SELECT count(*) FROM decisions") == 2
    assert ws.catalog.one("SELECT count(*) FROM review_events") == 1
    with pytest.raises(UsageError, match="nonce"):
        one.decide(IDS[3], "porn", nonce="a")


def test_a_pause_is_kept_over_a_restart(ws: Workspace, clock: Clock) -> None:
    one = journal(ws, clock)
    for n in range(ws.config.review.max_reveals):
        one.reveal(IDS[n % 20], nonce=str(n))
    one.decide(IDS[0], "porn")  # what was looked at may be judged
    with pytest.raises(PauseError):
        one.decide(IDS[1], "porn")
    again = journal(ws, clock)
    with pytest.raises(PauseError):
        again.reveal(IDS[1])
    clock.later(601)
    again.decide(IDS[1], "porn")
    assert again.exposure().reveals == 0


def test_what_is_held_is_gone(ws: Workspace, clock: Clock) -> None:
    one = journal(ws, clock)
    one.escalate(IDS[4], "possible minor", nonce="x")
    assert one.escalate(IDS[4], "possible minor", nonce="x")
    assert ws.catalog.one("SELECT count(*) FROM incidents") == 1
    assert IDS[4] not in {item.sample for item in journal(ws, clock, "bob").items()}
    with pytest.raises(GoneError):
        journal(ws, clock, "bob").decide(IDS[4], "porn")


def test_one_sample_is_asked_as_all_are(ws: Workspace) -> None:
    """`is_held` is `held`, one at a time, for every way in which a sample is kept back."""
    quarantine(ws.catalog, IDS[0], "held", actor="test")
    samples.declare(ws, IDS[1], ws.config.taxonomy.first, "neutral", "list")
    samples.declare(ws, IDS[2], ws.config.taxonomy.first, "neutral", "other")
    with ws.catalog.tx() as db:
        db.execute("UPDATE mentions SET album = 'a' WHERE source = 'list'")
        db.execute("""UPDATE mentions SET facts = '{"uploader": "u"}' WHERE source = 'other'""")
        for kind, subject in (("album", "a"), ("uploader", "urllist u"), ("list", "nothing")):
            db.execute("INSERT INTO quarantine VALUES (?, ?, NULL, 'test', '')", (kind, subject))
        db.execute("INSERT INTO withheld (sample, reason, detail, at) VALUES (?, 'placeholder', '', '')", (IDS[3],))
        db.execute("INSERT INTO removing (sample) VALUES (?)", (IDS[4],))
    held = views.held(ws.catalog)
    assert held == set(IDS[:5])
    assert {one for one in IDS[:20] if views.is_held(ws.catalog, one)} == held
