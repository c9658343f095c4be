"""What one reviewer does is recorded once, in order, and never by halves."""

import dataclasses
import unicodedata
from pathlib import Path

import pytest

from curate.config import Config
from curate.errors import GoneError, PauseError, UsageError
from curate.label.final import labels
from curate.records import Taxonomy
from curate.review.adjudicate import Ruling, adjudicate
from curate.review.journal import Journal
from curate.screening.quarantine import quarantine
from curate.store import holds, views
from curate.store.workspace import Workspace
from tests.support import samples
from tests.support.queues import IDS, Clock, queue, weak, workspace


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
    row = dict(ws.catalog.all("SELECT * FROM decisions WHERE decision = ?", (number,))[0])
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
    assert ws.catalog.scalar("SELECT count(*) FROM decisions") == 2
    assert ws.catalog.scalar("SELECT count(*) FROM review_events") == 1
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
    assert ws.catalog.scalar("SELECT count(*) FROM incidents") == 1
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
    held = holds.held(ws.catalog)
    assert held == set(IDS[:5])
    assert {one for one in IDS[:20] if holds.is_held(ws.catalog, one)} == held


def test_a_decision_goes_before_a_weak_label_until_it_is_taken_back(ws: Workspace, clock: Clock) -> None:
    """At the next export, and in the report on labelling functions, without any further step."""
    weak(ws, {name: (0.9, [3, 3, 3]) for name in IDS[:20]})
    axis = ws.config.taxonomy.first
    one = journal(ws, clock)
    one.decide(IDS[0], "neutral")
    one.decide(IDS[1], "unsure")
    known = labels(ws, axis).by_sample
    assert (known[IDS[0]].name, known[IDS[0]].source, known[IDS[0]].human_n) == ("neutral", "human", 1)
    assert (known[IDS[1]].name, known[IDS[1]].source) == ("porn", "weak")
    one.undo()
    one.undo()
    assert labels(ws, axis).by_sample[IDS[0]].source == "weak"


def test_the_guideline_goes_with_every_decision(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "guideline.md"
    path.write_text("# Statues are neutral.\n")
    config = dataclasses.replace(Config(), taxonomy=dataclasses.replace(Taxonomy(), guideline=path))
    ws = workspace(tmp_path / "ws", config=config)
    queue(ws)
    journal(ws, clock).decide(IDS[0], "neutral")
    path.write_text("# Statues are drawings.\n")
    changed = journal(ws, clock)
    changed.decide(IDS[1], "drawings")
    first, second = (row[0] for row in ws.catalog.all("SELECT guideline FROM decisions ORDER BY decision"))
    assert first != second == changed.guideline.version
    adjudicate(ws, Ruling(IDS[0], "drawings", "eve", "a statue"))
    text = journal(ws, clock).guideline.text
    assert text.startswith("# Statues are drawings.\n\n## Precedents\n\n- drawings (content, 2026-")
    assert text.endswith("): a statue\n")
    assert not any(one in text for one in (IDS[0][:8], "ada", "eve"))
    path.unlink()
    with pytest.raises(UsageError, match=r"taxonomy.guideline: .*No such file"):
        journal(ws, clock)


@pytest.mark.parametrize("name", ["", " \t ", "a\x00b", "a\u202eb", "x" * 65, "a\ud800"])
def test_a_name_that_is_none_is_refused(ws: Workspace, name: str) -> None:
    with pytest.raises(UsageError, match=r"reviewer: .* printable characters"):
        Journal(ws.catalog, ws.config, "uncertain", name)


@pytest.mark.parametrize(
    "name", ["Zoë", "Zoe\u0308", "  Zoë ", "O'Brien; DROP TABLE decisions", "../../x", "李", "=1+1"]
)
def test_odd_names_are_names(ws: Workspace, clock: Clock, name: str) -> None:
    journal(ws, clock, name).decide(IDS[0], "porn")
    again = journal(ws, clock, unicodedata.normalize("NFD", f" {name}"))
    assert IDS[0] not in {item.sample for item in again.items()}
    assert ws.catalog.scalar("SELECT count(*) FROM decisions") == 1


def test_reviewers_begin_at_different_items_and_leave_nothing_out(ws: Workspace, clock: Clock) -> None:
    one, two = journal(ws, clock, "ada"), journal(ws, clock, "bob")
    for each in (one, two):
        each.begin()
    orders = [[item.sample for item in each.items()] for each in (one, two)]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(IDS[:20])
    assert not set(orders[0][:10]) & set(orders[1][:10])


def test_blind_items_come_in_an_order_of_ones_own(tmp_path: Path, clock: Clock) -> None:
    ws = workspace(tmp_path / "ws")
    queue(ws, "audit", blind=True, inclusion=0.5)
    orders = {who: [item.sample for item in journal(ws, clock, who, "audit").items()] for who in ("ada", "bob", "eve")}
    assert len({tuple(order) for order in orders.values()}) == 3
    assert orders["ada"] == [item.sample for item in journal(ws, clock, "ada", "audit").items()]
    one = journal(ws, clock, "ada", "audit")
    one.reveal(orders["ada"][0])
    one.decide(orders["ada"][0], "porn")
    row = ws.catalog.all("SELECT shown, media, inclusion FROM decisions")[0]
    assert tuple(row) == ("blind", "revealed", 0.5)


def test_what_is_skipped_comes_last_and_what_is_declined_goes_to_others(ws: Workspace, clock: Clock) -> None:
    one = journal(ws, clock)
    first, second, *rest = (item.sample for item in one.items())
    one.skip(first)
    one.decline(second)
    assert [item.sample for item in one.items()] == [*rest, first]
    assert second in {item.sample for item in journal(ws, clock, "bob").items()}
    counts = one.summary()
    assert [counts[key] for key in ("skipped", "declined", "decided", "left", "gone")] == [1, 1, 0, 19, 0]
    assert ws.catalog.scalar("SELECT count(*) FROM decisions") == 0


def test_what_was_taken_down_vanishes_and_is_counted(ws: Workspace, clock: Clock) -> None:
    one = journal(ws, clock)
    with ws.catalog.tx() as db:
        for table in ("queue_items", "members"):
            db.execute(f"DELETE FROM {table} WHERE sample = ?", (IDS[0],))
        db.execute("DELETE FROM samples WHERE id = ?", (IDS[0],))
    with pytest.raises(GoneError):
        one.decide(IDS[0], "porn")
    assert [one.summary()[key] for key in ("items", "left", "gone")] == [20, 19, 1]
