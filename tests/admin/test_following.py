"""What comes next is said of what a run has just done, without making all labels again."""

from pathlib import Path
from typing import Any

import pytest

from curate.admin.following import following
from curate.label import final
from curate.records import Axis
from curate.store.workspace import Workspace
from labelers.declared import Declared, functions
from tests.support.labelling import run
from tests.support.samples import declare, judge, member, pictures, store, workspace

EXPORT, LABEL = {"next": "`curate export 1.0.0`"}, {"next": "`curate label`"}


@pytest.fixture
def labelled(tmp_path: Path) -> Workspace:
    """Three samples, two of them labelled by a run that is not over."""
    ws = workspace(tmp_path)
    ids = store(ws, pictures(3))
    for one in ids:
        member(ws, one)
    for one in ids[:2]:
        declare(ws, one, Axis(), "neutral")
    ws.catalog.begin("label", "")
    assert run(ws, functions, [Declared()])["labelled"] == 2
    return ws


def ids_of(ws: Workspace) -> list[str]:
    return [row[0] for row in ws.catalog.all("SELECT sample FROM declared JOIN candidates USING (candidate)")]


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("all labels are made again")


def test_the_run_that_labelled_makes_no_label_again(labelled: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    judge(labelled, ids_of(labelled)[0], "neutral")
    judge(labelled, ids_of(labelled)[0], "sexy", "bob")  # one of two is contested
    monkeypatch.setattr(final, "columns", never)
    assert following(labelled) == EXPORT


def test_people_may_have_taken_every_label_away(labelled: Workspace) -> None:
    for one in ids_of(labelled):
        judge(labelled, one, "neutral")
        judge(labelled, one, "sexy", "bob")
    assert following(labelled) == LABEL


def test_what_an_earlier_run_said_is_looked_at_anew(labelled: Workspace) -> None:
    labelled.catalog.end("done")
    assert not final.labelled_now(labelled, Axis())
    assert following(labelled) == EXPORT
    with labelled.catalog.tx() as db:
        db.execute("DELETE FROM declared")  # and nothing of it is kept
        db.execute("DELETE FROM labellings")
    assert following(labelled) == LABEL
