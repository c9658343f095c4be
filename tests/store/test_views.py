"""What verbs ask of the catalog: who is held back, and what people say."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.store import holds, views
from curate.store.workspace import Workspace
from tests.support.builders import add, decide, workspace
from tests.support.pictures import encode, texture


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = workspace(tmp_path)
    yield made
    made.close()


CLASSES = ("drawings", "neutral")


def test_what_is_held(ws: Workspace) -> None:
    one, two, three = (add(ws, encode(texture(n)), album=album) for n, album in enumerate(("bad", None, "good")))
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO quarantine VALUES ('album', 'bad', NULL, 'a match', ''), ('sample', ?, NULL, '', '')", (two,)
        )
    assert holds.held(ws.catalog) == {one, two}
    assert three not in holds.held(ws.catalog)


def test_a_reviewers_last_word_counts_unless_it_was_taken_back(ws: Workspace) -> None:
    decide(ws, "s", "neutral", "ann")
    decide(ws, "s", "drawings", "ann")
    decide(ws, "s", "neutral", "bob")
    assert views.votes(ws.catalog, "content", "1")["s"] == {"drawings": 1, "neutral": 1}
    assert views.votes(ws.catalog, "content", "2") == {}
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, undoes)"
            " VALUES ('s', 'content', '1', 'bob', 'neutral', '2027', 'imported', 3)"
        )
    assert views.votes(ws.catalog, "content", "1")["s"] == {"drawings": 1}


def test_a_tie_says_nothing() -> None:
    assert views.consensus({"neutral": 1, "drawings": 1}, CLASSES) is None
    assert views.consensus({"skip": 3}, CLASSES) is None
    assert views.consensus({"neutral": 2, "drawings": 1, "skip": 5}, CLASSES) == views.Human("neutral", 3, 2 / 3)


def test_a_label_is_carried_within_its_collapse_set_only(ws: Workspace) -> None:
    ids = [add(ws, encode(texture(n))) for n in range(5)]
    sets = (ids[0], ids[0], ids[2], ids[2], ids[4])
    with ws.catalog.tx() as db:
        rows = [(one, "g", collapse, collapse, "train", None) for one, collapse in zip(ids, sets, strict=True)]
        db.executemany("INSERT INTO members VALUES (?, ?, ?, ?, ?, ?)", rows)
    decide(ws, ids[1], "neutral")
    decide(ws, ids[2], "neutral")
    decide(ws, ids[3], "drawings")
    found = views.humans(ws.catalog, "content", "1", CLASSES)
    assert found[ids[0]] == views.Human("neutral", 1, 1.0, carried=True)
    assert found[ids[1]] == views.Human("neutral", 1, 1.0)
    assert (found[ids[2]].label, found[ids[3]].label) == ("neutral", "drawings")
    assert ids[4] not in found
