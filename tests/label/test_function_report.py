"""The report on labelling functions: intervals, false alarms, pairs, and what to do about one that is odd."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate.label.flags import FAILED
from curate.label.function_report import alarms, helps, pairs, report
from curate.label.functions import Votes
from curate.label.gold import gold, groups
from curate.report.frames import functions as frame
from curate.report.run import report as page
from curate.review.pool import frame as frame_of
from curate.stats.intervals import wilson
from tests.support.labelling import AXIS, NEUTRAL, QUIET, bright, run, shades, voting
from tests.support.samples import judge, member, workspace

K = 3
CLASSES = ("a", "b", "c")
SETS = np.vstack([np.eye(K, dtype=bool), [[1, 1, 0]]]).astype(bool)
NONE = np.full(400, -1)


def votes(**columns: Any) -> Votes:
    matrix = np.stack([np.asarray(one) for one in columns.values()], axis=1).astype(np.int8)
    return Votes(tuple(columns), matrix, SETS, classes=CLASSES)


@given(arrays(np.int8, st.tuples(st.integers(0, 40), st.integers(2, 4)), elements=st.integers(-2, 3)), st.randoms())
def test_pairs_are_what_a_loop_would_count(matrix: np.ndarray, chance: Any) -> None:
    names = tuple(f"f{n}" for n in range(matrix.shape[1]))
    said = {tuple(one["functions"]): one for one in pairs(Votes(names, matrix, SETS), np.full(len(matrix), -1))}
    members = [set(np.flatnonzero(one).tolist()) for one in SETS]
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            both = [(a, b) for a, b in matrix[:, [i, j]].tolist() if a >= 0 and b >= 0]
            apart = sum(not members[a] & members[b] for a, b in both)
            one = said.get((names[i], names[j]))
            assert (one is not None) or not apart
            if one is not None and len(matrix):
                assert one["conflict"] == pytest.approx(apart / len(matrix), abs=1e-4)
                assert one["both"] == pytest.approx(len(both) / len(matrix), abs=1e-4)


def test_a_copy_is_named_with_what_to_do() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(-1, 3, 400)
    copy = np.where(rng.random(400) < 0.03, -1, one)
    found = votes(one=one, copy=copy, other=rng.integers(-1, 3, 400))
    (pair,) = [it for it in pairs(found, NONE) if it["copy"]]
    assert pair["functions"] == ["one", "copy"]
    assert pair["same"] > 0.9
    said = {it["name"]: it for it in report(found, NONE)}
    assert said["copy"]["remarks"] == said["one"]["remarks"] == ["copy"]
    assert said["copy"]["help"] == "copy votes as one does: drop one, or make one function of the two"
    assert said["other"]["remarks"] == []
    assert said["other"]["help"] is None


def test_functions_that_err_together_are_told_from_those_that_err_apart() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 400)
    hard = rng.random(400) < 0.2
    wrong = (truth + 1) % 3
    alike = [np.where(hard & (rng.random(400) < 0.9), wrong, truth) for _ in range(2)]
    apart = [np.where(rng.random(400) < 0.2, wrong, truth) for _ in range(2)]
    found = {
        tuple(one["functions"]): one for one in pairs(votes(x=alike[0], y=alike[1], p=apart[0], q=apart[1]), truth)
    }
    assert found["x", "y"]["correlated"]
    assert found["x", "y"]["wrong_together"] > 2 * found["x", "y"]["by_chance"]
    assert not found["p", "q"]["correlated"]


def test_dead_one_sided_and_wrong_functions_say_what_to_do() -> None:
    truth = np.tile([0, 1, 2, 1], 100)
    found = votes(dead=NONE, one_sided=np.where(truth == 1, 1, -1), wrong=(truth + 1) % 3, fine=truth)
    said = {one["name"]: one for one in report(found, truth)}
    assert {name: one["remarks"] for name, one in said.items()} == {
        "dead": ["dead"], "one_sided": ["one-sided"], "wrong": ["more often wrong than right"], "fine": []}  # fmt: skip
    assert "never votes" in said["dead"]["help"]
    assert "only ever votes b" in said["one_sided"]["help"]
    assert said["fine"]["interval"] == wilson(400, 400)
    assert said["dead"]["interval"] is None


def test_of_functions_that_come_with_curate_only_wrong_ones_are_to_be_dealt_with() -> None:
    truth = np.tile([0, 1, 2, 1], 100)
    found = votes(dead=NONE, wrong=(truth + 1) % 3)
    said = {one["name"]: one for one in report(dataclasses.replace(found, built_in=frozenset(found.names)), truth)}
    assert said["dead"]["remarks"] == ["dead"]
    assert said["dead"]["help"] is None
    assert "take its labeler out of curate.toml" in said["wrong"]["help"]


def test_false_alarms_are_of_what_people_call_safe() -> None:
    truth = np.array([0] * 50 + [2] * 30)
    flag = np.where(np.arange(80) % 10 == 0, 2, -1)
    (said,) = report(votes(flag=flag), truth, [True, True, False])
    assert said["false_alarms"] == {"n": 50, "flagged": 5, "share": 0.1, "interval": wilson(5, 50)}
    (never,) = report(votes(never=np.zeros(80)), truth, [True, True, False])
    assert never["false_alarms"] is None
    assert alarms(np.ones(80, dtype=bool), np.full(80, -1), [True] * 3) == {
        "n": 0, "flagged": 0, "share": None, "interval": None}  # fmt: skip


# -- a whole run -----------------------------------------------------------------------------------------------------


def test_every_axis_has_the_report_and_says_which_model_was_chosen(tmp_path: Path) -> None:
    ws = workspace(tmp_path, shades(*range(0, 240, 3)))
    ids = sorted(row[0] for row in ws.catalog.all("SELECT id FROM samples"))
    first = run(ws, voting(a=bright(0.3), b=bright(0.5), c=bright(0.7)))
    assert first["axes"]["content"]["chosen"]["reason"].startswith("fewer than 50 gold rows (0)")
    shown = frame(ws)
    assert {"interval", "remarks", "help", "false_alarms"} <= set(shown.columns)
    weak = dict(zip(ids, run_labels(ws), strict=True))
    for name in ids[:60]:
        judge(ws, name, weak[name] or "neutral")
    early = run(ws, voting(a=bright(0.3), b=bright(0.5), c=bright(0.7)))["axes"]["content"]
    assert (early["chosen"]["gold_n"], early["gold"]["n"], early["gold_waiting"]) == (0, 0, 60), "dedupe first"
    assert early["chosen"]["reason"].endswith("60 that people judged wait for `curate dedupe`")
    for name in ids:
        member(ws, name)
    second = run(ws, voting(a=bright(0.3), b=bright(0.5), c=bright(0.7)))
    chosen = second["axes"]["content"]["chosen"]
    assert chosen["gold_n"] == 60
    assert set(chosen["log_loss"]) == {"majority", "snorkel", "dawid_skene", "stack"}
    assert second["model"] == chosen["model"] == second["axes"]["content"]["model"]
    assert second["axes"]["content"]["functions"] == second["functions"]
    text = page(ws, QUIET).read_text(encoding="utf-8")
    for title in ("Pairs of labelling functions", "Label models", chosen["reason"]):
        assert title in text


def run_labels(ws: Any) -> list[str | None]:
    from curate.label import table

    weak = table.read(ws, AXIS)
    assert weak is not None
    return list(weak.labels)


def test_people_who_contradict_each_other_over_copies_are_no_gold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ws = workspace(tmp_path, shades(10, 20, 240))
    ids = sorted(row[0] for row in ws.catalog.all("SELECT id FROM samples"))
    member(ws, ids[0])
    member(ws, ids[1], survivor=ids[0])
    member(ws, ids[2])
    for name, label in zip(ids, ("drawings", "neutral", "neutral"), strict=True):
        judge(ws, name, label)
    found = gold(ws, AXIS, [ids[0], ids[2]])
    assert (found.classes.tolist(), found.contradicted) == ([-1, NEUTRAL], 1)
    answer = run(ws, voting(a=bright(0.3)))
    assert answer["axes"]["content"]["gold_contradicted"] == 1
    assert "people contradict each other about 1 samples" in caplog.text
    assert len(set(groups(ws, ids).tolist())) == 2


def test_a_pool_has_no_embeddings_where_no_labeler_makes_them(tmp_path: Path) -> None:
    ws = workspace(tmp_path, shades(10, 20))
    assert frame_of(ws, AXIS, "0").pool.embeddings is None


# -- what can be done ------------------------------------------------------------------------------------------------


def test_a_function_that_always_fails_is_to_be_mended_and_nothing_else() -> None:
    votes = Votes(
        ("bad",), np.full((30, 1), FAILED, dtype=np.int8), SETS, {"bad": (30, "KeyError: a; b")}, {"bad": "m.py"}
    )
    (said,) = report(votes, np.full(30, -1))
    assert said["help"] == "bad failed on 30 rows: mend bad in m.py"
    assert helps(said) == ["bad failed on 30 rows, first with KeyError: a; b: mend bad in m.py"]
    some = dataclasses.replace(votes, matrix=np.array([[FAILED], *[[n % 2] for n in range(29)]], dtype=np.int8))
    (said,) = report(some, np.full(30, -1))
    assert said["help"] is None
    assert helps(said)[0].startswith("bad failed on 30 rows, first with KeyError")


def test_what_nobody_here_wrote_is_neither_dropped_nor_mended() -> None:
    matrix = np.array([[0, 0, -1]] * 30, dtype=np.int8)
    votes = Votes(("mine", "theirs", "dead"), matrix, SETS, classes=CLASSES)
    theirs = dataclasses.replace(votes, built_in=("theirs", "dead"))
    wrong = np.full(30, 1)
    before, after = ({one["name"]: one for one in report(each, wrong)} for each in (votes, theirs))
    assert "drop it" in before["dead"]["help"]
    assert after["dead"]["help"] is None
    assert after["dead"]["remarks"] == before["dead"]["remarks"]
    assert after["theirs"]["help"].endswith("take its labeler out of curate.toml, or put theirs into [label] advise")
    assert "mine votes as theirs does: drop mine" in after["mine"]["help"]
    assert "mend it" in after["mine"]["help"]
