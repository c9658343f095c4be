"""Figures about people: right against the libraries, fair to whoever is measured, and about nobody by name."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from curate.review.adjudicate import Ruling, adjudicate
from curate.review.agreement import BLOCK, stats
from curate.review.journal import Journal
from curate.stats.interrater import alpha, kappa, measured
from curate.store import views
from curate.store.reviewer import pseudonym
from curate.store.workspace import Workspace
from tests.support.queues import IDS, Clock, queue, workspace

# -- the formulas ----------------------------------------------------------------------------------------------------

COUNTS = st.integers(1, 4).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 3), min_size=k, max_size=k), min_size=1, max_size=12)
)


@given(COUNTS)
def test_alpha_is_the_librarys(counts: list[list[int]]) -> None:
    """Where the library has a value, so have we, and it is that one."""
    table = np.array(counts, dtype=np.float64)
    paired = table[table.sum(axis=1) > 1]
    ours = alpha(table)(np.ones((1, len(table))))[0]
    if (paired.sum(axis=0) > 0).sum() < 2:
        assert np.isnan(ours)
        return
    theirs = krippendorff.alpha(value_counts=table, level_of_measurement="nominal")
    assert ours == pytest.approx(theirs, abs=1e-12)


@given(COUNTS, st.data())
def test_a_weight_is_a_repetition(counts: list[list[int]], data: st.DataObject) -> None:
    """So a resample by weights is a resample of rows."""
    table = np.array(counts, dtype=np.float64)
    times = data.draw(st.lists(st.integers(0, 3), min_size=len(table), max_size=len(table)))
    weighed = alpha(table)(np.array([times], dtype=np.float64))[0]
    repeated = np.repeat(table, times, axis=0)
    plain = alpha(repeated)(np.ones((1, len(repeated))))[0]
    assert weighed == pytest.approx(plain, abs=1e-12, nan_ok=True)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30))
def test_kappa_is_the_librarys(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs).T
    ours = kappa(first, second, 4)(np.ones((1, len(pairs))))[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = cohen_kappa_score(first, second)
    if len({*first, *second}) == 1:
        assert np.isnan(ours)
    else:
        assert ours == pytest.approx(theirs, abs=1e-9)


def test_an_interval_holds_what_it_should() -> None:
    """Of 60 draws from two raters whose kappa is known, about 95 % of the intervals hold it."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(60):
        truth = rng.integers(0, 2, 150)
        sides = [np.where(rng.random(150) < 0.9, truth, 1 - truth) for _ in range(2)]
        _, interval = measured(kappa(sides[0], sides[1], 2), [str(n) for n in range(150)])
        assert interval is not None
        held += interval[0] <= 0.64 <= interval[1]  # 0.9² + 0.1² = 0.82 the same; (0.82 - 0.5) / 0.5
    assert 52 <= held <= 60


# -- people ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return workspace(tmp_path / "ws", 120)


def give(ws: Workspace, name: str, reviewer: str, labels: Mapping[str, str], clock: Clock | None = None) -> None:
    journal = Journal(ws.catalog, ws.config, name, reviewer, clock or Clock())
    for sample, label in labels.items():
        journal.decide(sample, label, seconds=7.25)


def axis_of(found: dict[str, Any]) -> dict[str, Any]:
    axis: dict[str, Any] = found["axes"][0]
    return axis


def test_people_who_agree_and_one_who_does_not(ws: Workspace) -> None:
    queue(ws, "gold", IDS[:40], blind=True, raters=3)
    right = {name: "porn" if n % 2 else "neutral" for n, name in enumerate(IDS[:40])}
    give(ws, "gold", "ada", right)
    give(ws, "gold", "bob", right)
    give(ws, "gold", "eve", dict.fromkeys(right, "neutral"))
    found = axis_of(stats(ws))
    assert found["double"] == {"n": 40, "share": 1.0}
    pairs = {tuple(one["reviewers"]): one for one in found["pairs"]}
    names = {who: pseudonym(ws.catalog, who) for who in ("ada", "bob", "eve")}
    friends = pairs[names["ada"], names["bob"]]
    assert (friends["n"], friends["same"], friends["kappa"], friends["kappa_interval"]) == (40, 1.0, 1.0, (0.9124, 1.0))
    assert pairs[names["ada"], names["eve"]]["kappa"] == 0.0
    assert 0 < found["alpha"] < 1
    assert found["alpha_interval"][0] <= found["alpha"] <= found["alpha_interval"][1]
    classes = {one["class"]: one for one in found["classes"]}
    assert classes["porn"]["n"] == 40
    assert classes["sexy"]["alpha"] is None
    assert found["consensus"] == {"settled": 0, "unanimous": 20, "majority": 20, "tie": 0, "unsure": 0}


def test_who_leaned_on_the_machine_is_no_second_opinion(ws: Workspace) -> None:
    queue(ws, "uncertain", IDS[:10], raters=2)
    for who in ("ada", "bob"):
        give(ws, "uncertain", who, dict.fromkeys(IDS[:10], "porn"))
    found = axis_of(stats(ws))
    assert (found["double"]["n"], found["pairs"], found["alpha"]) == (0, [], None)


def test_unsure_is_counted_and_is_no_label(ws: Workspace) -> None:
    queue(ws, "gold", IDS[:4], blind=True, raters=2)
    give(ws, "gold", "ada", dict.fromkeys(IDS[:4], "unsure"))
    give(ws, "gold", "bob", dict.fromkeys(IDS[:4], "porn"))
    found = axis_of(stats(ws))
    assert (found["unsure"], found["double"]["n"], found["decisions"]) == (4, 0, 8)


def test_drift_is_measured_by_answers_that_others_gave(ws: Workspace) -> None:
    """Whoever errs on a gold item does not thereby make it no gold item."""
    queue(ws, "gold", IDS[:100], blind=True, raters=2)
    for who in ("ada", "bob"):
        give(ws, "gold", who, dict.fromkeys(IDS[:100], "neutral"))
    queue(ws, "conflict", IDS[:100])
    with ws.catalog.tx() as db:
        db.execute("UPDATE queue_items SET gold = 1, blind = 1, raters = 0 WHERE queue = 'conflict'")
    clock = Clock()
    journal = Journal(ws.catalog, ws.config, "conflict", "eve", clock)
    for n, item in enumerate(journal.items()[:50]):
        clock.later(3600)  # every silence is longer than a pause
        journal.decide(item.sample, "neutral" if n < 20 else "porn")
    assert len(views.settled(ws.catalog, "content", "1", ws.config.taxonomy.first.classes)) == 100
    (found,) = axis_of(stats(ws))["gold"]
    assert found["reviewer"] == pseudonym(ws.catalog, "eve")
    assert (found["n"], found["right"]) == (50, 0.4)
    assert [(one["n"], one["right"]) for one in found["over_time"]] == [(BLOCK, 1.0), (30, 0.0)]
    assert found["over_time"][0]["interval"][0] > found["over_time"][1]["interval"][1]


def test_pages_name_nobody_and_pace_is_ones_own(ws: Workspace) -> None:
    queue(ws, "gold", IDS[:6], blind=True, raters=2)
    for who in ("Ada Lovelace", "bob"):
        give(ws, "gold", who, dict.fromkeys(IDS[:6], "porn"))
    give(ws, "gold", "bob", {IDS[0]: "neutral"})
    adjudicate(ws, Ruling(IDS[0], "porn", "Grace Hopper", "see 2.1"))
    text = json.dumps(stats(ws))
    assert not any(word in text for word in ("Ada", "bob", "Grace", "7.2", "pace", *IDS))
    assert "see 2.1" in text
    mine = stats(ws, " Ada  Lovelace ")["you"]
    assert (mine["decisions"], mine["pace"], mine["revealed"]) == (6, 7.2, 0)
    assert axis_of(stats(ws))["consensus"]["settled"] == 1


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["ada", "bob", "eve"]), st.integers(0, 5)), max_size=25))
def test_any_decisions_have_figures(
    tmp_path_factory: pytest.TempPathFactory, given_: list[tuple[int, str, int]]
) -> None:
    ws = workspace(tmp_path_factory.mktemp("any") / "ws", 6)
    queue(ws, "audit", IDS[:6], blind=True, raters=3, inclusion=0.5)
    labels = (*ws.config.taxonomy.first.classes, "unsure")
    for n, who, label in given_:
        give(ws, "audit", who, {IDS[n]: labels[label]})
    found = axis_of(stats(ws, "ada"))
    assert sum(found["consensus"].values()) == found["samples"] == len({n for n, _, _ in given_})
    assert found["decisions"] == len({(n, who) for n, who, _ in given_})
    ws.close()
