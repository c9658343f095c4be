"""A pause comes when it is due, whatever is restarted, and cannot be skipped; what was looked at may be judged."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.config import Config, ReviewConfig
from curate.errors import PauseError
from curate.review.exposure import GAP, Act, ExposureLimits, tick
from curate.review.journal import Journal
from curate.store.workspace import Workspace
from tests.support.queues import IDS, Clock, queue, workspace

LIMITS = ReviewConfig(max_minutes=10, max_reveals=3, pause_minutes=10)


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    ws = workspace(tmp_path / "ws", 20, Config(review=LIMITS))
    queue(ws)
    queue(ws, "audit", IDS[:20], blind=True)
    return ws


def journal(ws: Workspace, clock: Clock, who: str = "ada", name: str = "uncertain") -> Journal:
    return Journal(ws.catalog, ws.config, name, who, clock)


def test_time_at_work_ends_in_a_pause(ws: Workspace) -> None:
    clock = Clock()
    one = journal(ws, clock)
    for n in range(9):
        one.decide(IDS[n], "porn")
        clock.later(61)
    one.decide(IDS[9], "porn")
    assert one.exposure().pause_until is None
    clock.later(61)
    one.decide(IDS[10], "porn")  # it was looked at before the pause, so it counts
    assert one.exposure().pause_until == clock.now + 600
    acts = (lambda item: one.decide(item, "porn"), one.reveal, one.skip)
    for act in acts:
        with pytest.raises(PauseError, match=r"a pause until \d\d:\d\d"):
            act(IDS[11])
    assert ws.catalog.scalar("SELECT count(*) FROM decisions") == 11
    assert ws.catalog.scalar("SELECT count(*) FROM review_events") == 0


def test_nothing_ends_a_pause_but_time(ws: Workspace) -> None:
    """Neither a restart, nor another queue, nor asking again and again; and it is this reviewer's alone."""
    clock = Clock()
    one = journal(ws, clock)
    for n in range(3):
        one.reveal(IDS[n])
    with pytest.raises(PauseError):
        one.reveal(IDS[3])
    until = one.exposure().pause_until
    assert until == clock.now + 600
    for _ in range(19):
        clock.later(30)
        for name in ("uncertain", "audit"):
            again = journal(ws, clock, name=name)
            assert again.exposure().pause_until == until
            with pytest.raises(PauseError):
                again.reveal(IDS[4])
    journal(ws, clock, "bob").reveal(IDS[3])
    clock.later(31)
    assert journal(ws, clock).exposure().pause_until is None
    journal(ws, clock).reveal(IDS[4])
    assert journal(ws, clock).exposure().reveals == 1


def test_the_last_original_allowed_may_be_judged(ws: Workspace) -> None:
    clock = Clock()
    one = journal(ws, clock)
    for n in range(3):
        one.reveal(IDS[n])
        clock.later(1)
        assert one.exposure().pause_until is None  # looking on does not begin it
        one.decide(IDS[n], "porn")
    assert one.exposure().pause_until is not None
    assert [row[0] for row in ws.catalog.all("SELECT shown FROM decisions")] == ["revealed"] * 3


def test_in_a_pause_one_may_still_help(ws: Workspace) -> None:
    """Taking back, handing on and escalating show nothing, and are always possible; so is an answer to a retry."""
    clock = Clock()
    one = journal(ws, clock)
    one.decide(IDS[0], "porn", nonce="a")
    for n in range(3):
        one.reveal(IDS[n])
    one.decide(IDS[1], "porn", nonce="b")
    with pytest.raises(PauseError):
        one.decide(IDS[2], "porn")
    assert one.decide(IDS[0], "porn", nonce="a") == 1
    one.decline(IDS[5])
    assert one.escalate(IDS[6], "possible minor") == 1
    taken = one.undo()
    assert taken is not None
    assert taken.sample == IDS[1]


def test_a_break_of_ones_own_is_a_break(ws: Workspace) -> None:
    clock = Clock()
    one = journal(ws, clock)
    one.reveal(IDS[0])
    clock.later(599)
    assert one.exposure().seconds == GAP  # a silence shorter than a pause: not longer at work than this
    clock.later(600)
    found = one.exposure()
    assert (found.seconds, found.reveals) == (0, 0)


def test_a_clock_that_was_set_does_no_harm(ws: Workspace) -> None:
    clock = Clock()
    one = journal(ws, clock)
    clock.later(-86400)  # back by a day: nothing is added, and the timer goes on
    one.exposure()
    clock.later(100)
    assert one.exposure().seconds == 100
    for n in range(3):
        one.reveal(IDS[n])
    one.skip(IDS[0])
    clock.later(-86400)
    assert one.exposure().pause_until == clock.now + 600  # never longer than a pause
    with pytest.raises(PauseError):
        one.reveal(IDS[4])


ACTS = st.sampled_from(["done", "reveal", "look"])


@given(st.lists(st.tuples(st.floats(0, 900), ACTS), max_size=60))
def test_nobody_looks_for_longer_than_is_set(acts: list[tuple[float, Act]]) -> None:
    """Whatever is done: between two rests lie at most so many originals and so many minutes, and a rest is whole."""
    db = sqlite3.connect(":memory:")
    db.row_factory = sqlite3.Row
    db.execute("CREATE TABLE exposure (reviewer TEXT PRIMARY KEY, seconds, reveals, seen_at, pause_until)")
    limits, now = ExposureLimits.from_config(LIMITS), 0.0
    looked, reveals, resting, seen = 0.0, 0, None, None
    for gap, act in acts:
        now += gap
        if (resting is not None and now >= resting) or (resting is None and gap >= limits.pause):
            looked, reveals, resting = 0.0, 0, None
        elif resting is None:
            looked += min(now - seen, GAP) if seen is not None else 0.0
        seen = now
        found = tick(db, "ada", limits, now, act)
        if resting is not None:
            assert found.pause_until == resting, "nothing is shown during a pause, and nothing ends it"
        elif found.pause_until is not None:
            assert looked >= limits.seconds - 1e-6 or reveals == limits.reveals
            resting = now + limits.pause
            assert found.pause_until == resting
        else:
            reveals += act == "reveal"
            assert reveals <= limits.reveals
            assert looked < limits.seconds + 1e-6
    db.close()
