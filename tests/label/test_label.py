"""From scores to weak labels: who votes, what it comes to, and what a person is told about it."""

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate.config import Config, LabelConfig
from curate.engine.pool import Pool
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.label.choose import balance, decide
from curate.label.function_report import report
from curate.label.functions import Votes, functions_of
from curate.label.gold import agreement
from curate.plugins import fingerprint_of, name_of
from curate.records import Taxonomy
from curate.review.journal import Journal
from labelers.declared import Declared
from tests.support.fakes.brightness import Brightness
from tests.support.labelling import AXIS, DRAWN, MEDIUM, NEUTRAL, THREE, bright, run, shades, voting, weak
from tests.support.queues import queue
from tests.support.samples import declare, judge, member, pictures, sha256, store, workspace


def configured(**options: Any) -> Config:
    return dataclasses.replace(Config(), label=LabelConfig(**options))


# -- the verb --------------------------------------------------------------------------------------------------------


def test_what_a_label_rests_on_is_kept_beside_it(tmp_path: Path) -> None:
    """The probability of each class and each function's vote, so that a queue can ask where they disagree."""
    ws = workspace(tmp_path, shades(10, 240, 140))
    run(ws, voting(low=lambda x: DRAWN if x.brightness_mean < 0.4 else -1,
                   both=lambda x: DRAWN if x.brightness_mean < 0.8 else -1))  # fmt: skip
    mark = ws.catalog.scalar("SELECT fingerprint FROM labellings")
    table = ws.table("weak", mark).read()
    assert table is not None
    rows = {one["label"]: one for one in table.to_pylist()}
    assert sorted(map(sorted, (one["votes"] for one in table.to_pylist()))) == [[-1, -1], [-1, DRAWN], [DRAWN, DRAWN]]
    assert rows[None]["probabilities"] is None
    drawn = rows["drawings"]
    assert max(drawn["probabilities"]) == drawn["probabilities"][DRAWN] == drawn["probability"]
    assert sum(drawn["probabilities"]) == pytest.approx(1, abs=1e-5)


def test_what_the_machine_was_unsure_of_is_no_measure_of_it(tmp_path: Path) -> None:
    """Decisions in `uncertain` and `conflict` are labels, and leave every function's accuracy as it was."""
    ws = workspace(tmp_path, shades(10, 20, 240, 250))
    functions = voting(low=lambda x: DRAWN if x.brightness_mean < 0.4 else -1)
    ids = sorted(row[0] for row in ws.catalog.all("SELECT id FROM samples"))
    for name, blind in (("uncertain", False), ("audit", True)):
        queue(ws, name, ids, blind=blind)
        Journal(ws.catalog, ws.config, name, "ada").decide(ids[blind], "porn")
    for name in ids:
        member(ws, name)
    found = run(ws, functions)
    assert found["gold"]["n"] == 1
    Journal(ws.catalog, ws.config, "audit", "bob").decide(ids[0], "porn")
    assert run(ws, functions)["gold"]["n"] == 2


def test_votes_become_labels(tmp_path: Path) -> None:
    files = shades(10, 20, 240, 250, 140)
    ws = workspace(tmp_path, files)
    result = run(ws, voting(low=lambda x: DRAWN if x.brightness_mean < 0.4 else -1,
                            high=lambda x: NEUTRAL if x.brightness_mean > 0.8 else -1))  # fmt: skip
    assert {key: result[key] for key in ("samples", "labelled", "abstained", "model", "unscored")} == {
        "samples": 5, "labelled": 4, "abstained": 1, "model": "majority", "unscored": 0}  # fmt: skip
    found = weak(ws)
    assert [found[sha256(data)] for data in files] == [
        ("drawings", 1.0), ("drawings", 1.0), ("neutral", 1.0), ("neutral", 1.0), (None, None)]  # fmt: skip
    assert [one["name"] for one in result["functions"]] == ["high", "low"]
    assert {"coverage": 0.4, "overlap": 0.0, "conflict": 0.0, "accuracy": None}.items() <= result["functions"][
        0
    ].items()
    kept = json.loads(ws.catalog.scalar("SELECT report FROM labellings"))
    assert kept["functions"] == result["functions"]
    assert json.loads(json.dumps(result)) == result


def test_auto_weighs_three_functions_and_counts_two(tmp_path: Path) -> None:
    ws = workspace(tmp_path, shades(10, 100, 150, 240))
    assert run(ws, THREE)["model"] == "snorkel"
    assert run(ws, voting(a=bright(0.3), b=bright(0.5)))["model"] == "majority"
    silent = voting(a=bright(0.3), b=bright(0.5), c=lambda x: -1)
    assert run(ws, silent)["model"] == "majority", "a function that never votes is not a third"
    assert weak(ws)[sha256(shades(10, 100)[1])] == (None, None), "a tie stays unlabelled"


def test_the_same_input_gives_the_same_table(tmp_path: Path) -> None:
    files = pictures(9)
    marks, parts = [], []
    for name, engine, waves in (("a", Serial(), [files]), ("b", Pool(2), [files[6:], files[:6]])):
        ws = workspace(tmp_path / name)
        for wave in waves:
            store(ws, wave)
            run(ws, THREE, engine=engine)
        marks.append(ws.catalog.scalar("SELECT fingerprint FROM labellings"))
        parts.append([path.read_bytes() for path in (ws.table("weak", marks[-1]).path).glob("*.parquet")])
    assert marks[0] == marks[1]
    assert parts[0] == parts[1]
    assert len(parts[0]) == 1
    assert len(list((tmp_path / "b" / "work" / "tables").glob("weak@*"))) == 1, "what is no longer in force is removed"


def test_only_survivors_that_are_not_held_are_labelled(tmp_path: Path) -> None:
    files = shades(10, 20, 30, 240)
    ws = workspace(tmp_path, files)
    ids = [sha256(data) for data in files]
    for name in ids:
        member(ws, name, survivor=ids[0] if name == ids[1] else None)
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'test', '')", (ids[2],))
    assert run(ws, THREE)["samples"] == 2
    found = weak(ws)
    assert {name for name, (label, _) in found.items() if label is not None} == {ids[0], ids[3]}
    assert found[ids[1]] == (None, None), "a copy is asked about, since it may be flagged, and not labelled"
    assert ids[2] not in found


def test_nothing_is_labelled_where_there_is_nothing(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    result = run(ws, THREE)
    assert (result["samples"], result["labelled"], result["abstained"]) == (0, 0, 0)
    assert [one["coverage"] for one in result["functions"]] == [0, 0, 0]
    mark = ws.catalog.scalar("SELECT fingerprint FROM labellings")
    assert ws.table("weak", mark).read().num_rows == 0  # type: ignore[union-attr]
    store(ws, shades(1, 2))
    assert run(ws, voting(), labelers=[])["abstained"] == 2


def test_what_sources_declare_is_a_vote(tmp_path: Path) -> None:
    taxonomy = Taxonomy(axes=(AXIS, MEDIUM))
    files = shades(10, 20, 30)
    ws = workspace(tmp_path, files, dataclasses.replace(Config(), taxonomy=taxonomy))
    ids = [sha256(data) for data in files]
    declare(ws, ids[0], AXIS, "neutral")
    declare(ws, ids[0], MEDIUM, "drawing")
    declare(ws, ids[1], AXIS, "neutral")
    declare(ws, ids[1], AXIS, "sexy", source="another")
    result = run(ws, functions_of([Declared()]), labelers=[Declared()])
    assert (result["labelled"], result["model"]) == (1, "majority")
    assert [weak(ws)[name][0] for name in ids] == ["neutral", None, None]
    assert [weak(ws, "medium")[name][0] for name in ids] == ["drawing", None, None]


def test_rows_have_the_sample_s_attributes(tmp_path: Path) -> None:
    files = shades(50)
    ws = workspace(tmp_path, files)
    seen: list[Any] = []

    def abstain(row: Any) -> int:
        seen.append(row)
        return -1

    run(ws, voting(look=abstain))
    name = sha256(files[0])
    known = {"id": name, "width": 64, "height": 48, "bytes": len(files[0]), "media_type": "image/jpeg"}
    assert (known | {"url": f"https://example.org/{name[:8]}.jpg"}).items() <= vars(seen[0]).items()
    assert seen[0].brightness_mean == pytest.approx(50 / 255)
    assert seen[0].brightness_channels.shape == (3,)


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "snorkl"}, r"label.model.snorkl: no such label model; did you mean 'snorkel'\?"),
        ({"balance": {"neutrall": 1.0}}, r"label.balance.neutrall: no such class; did you mean 'neutral'\?"),
        ({"balance": {"neutral": 0.5, "drawings": 0.5}}, r"label.balance: give every class of axis content a share"),
        ({"balance": dict.fromkeys(AXIS.classes, 0.3)}, r"label.balance: .* with a sum of 1"),
        ({"balance": dict(zip(AXIS.classes, (0.5, 0.5, 0, 0, 0), strict=True))}, r"label.balance: .* above 0"),
        ({"functions": (Path("/nowhere/mine.py"),)}, r"label.functions: /nowhere/mine.py: no such file"),
    ],
)
def test_a_wrong_config_is_found_before_anything_is_computed(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    ws = workspace(tmp_path, shades(1, 2), configured(**options))
    with pytest.raises(UsageError, match=message):
        run(ws, THREE)
    assert not ws.table(name_of(Brightness()), fingerprint_of(Brightness())).path.exists()


def test_snorkel_by_name_needs_three_functions(tmp_path: Path) -> None:
    ws = workspace(tmp_path, shades(10, 240), configured(model="snorkel"))
    with pytest.raises(UsageError, match=r"snorkel needs 3 labelling functions that vote, and there are 1"):
        run(ws, voting(a=bright(0.5)))
    assert ws.catalog.scalar("SELECT count(*) FROM labellings") == 0


def test_two_functions_of_one_name_are_refused(tmp_path: Path) -> None:
    ws = workspace(tmp_path, shades(1))
    twice = voting(a=bright(0.5))
    with pytest.raises(UsageError, match="two labelling functions are called 'a'"):
        run(ws, lambda axis, columns: [*twice(axis, columns), *twice(axis, columns)])


# -- a user's own functions ------------------------------------------------------------------------------------------

MINE = """
from dataclasses import dataclass
from snorkel.labeling import labeling_function
from snorkel.preprocess import preprocessor

DRAWINGS, NEUTRAL = 0, 2

@dataclass
class Limit:
    value: float = 0.5

@preprocessor()
def darker(x):
    x.brightness_mean /= 2
    return x

@labeling_function()
def dark(x):
    return DRAWINGS if x.brightness_mean < Limit().value else -1

@labeling_function(name="half", pre=[darker])
def named_otherwise(x):
    return NEUTRAL if x.brightness_mean > 0.4 else -1

alias = dark
"""


def test_functions_of_a_user_s_file_work_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    files = shades(50, 200, 250)
    ws = workspace(tmp_path / "ws", files, configured(functions=(path,)))
    result = run(ws, voting())
    assert [one["name"] for one in result["functions"]] == ["dark", "half"]
    assert [weak(ws)[sha256(data)][0] for data in files] == ["drawings", None, "neutral"]


def test_a_user_s_file_may_name_its_axis(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(f"AXIS = 'medium'\n{MINE.replace('NEUTRAL = 0, 2', 'NEUTRAL = 0, 1')}")
    config = dataclasses.replace(configured(functions=(path,)), taxonomy=Taxonomy(axes=(AXIS, MEDIUM)))
    files = shades(50, 250)
    ws = workspace(tmp_path / "ws", files, config)
    assert run(ws, voting())["functions"] == []
    assert [weak(ws, "medium")[sha256(data)][0] for data in files] == ["photograph", "drawing"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:", r"mine.py:1: invalid syntax"),
        ("raise RuntimeError('no')", r"mine.py: RuntimeError: no"),
        ("import no_such_module", r"mine.py: ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = 1", r"mine.py: no @labeling_function\(\) or @slicing_function\(\) in it"),
        (f"AXIS = 'contents'\n{MINE}", r"mine.py: AXIS: no such axis 'contents'; did you mean 'content'\?"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    ws = workspace(tmp_path / "ws", shades(1), configured(functions=(path,)))
    with pytest.raises(UsageError, match=message):
        run(ws, THREE)


# -- what people say -------------------------------------------------------------------------------------------------


def test_gold_measures_functions_outside_the_test_split(tmp_path: Path) -> None:
    files = shades(10, 20, 100, 240, 250)
    ws = workspace(tmp_path, files)
    ids = [sha256(data) for data in files]
    for name, split in zip(ids, ("train", "val", "train", "train", "test"), strict=True):
        member(ws, name, split=split)
    for name, said in zip(ids, ("drawings", "drawings", "neutral", "neutral", "drawings"), strict=True):
        judge(ws, name, said)
    judge(ws, ids[3], "sexy", reviewer="bob")  # a tie between people is no gold
    result = run(ws, voting(mid=bright(0.5), low=lambda x: bright(0.2)(x) if x.brightness_mean < 0.5 else -1))
    by_name = {one["name"]: (one["accuracy"], one["gold"]) for one in result["functions"]}
    assert by_name == {"mid": (0.6667, 3), "low": (1.0, 3)}
    assert result["gold"] == {"n": 3, "labelled": 2, "accuracy": 1.0, "macro_accuracy": 1.0}


def test_macro_accuracy_is_fair_to_rare_classes() -> None:
    gold = np.array([0, 0, 0, 2, -1, 2])
    found = agreement(np.array([0, 0, 0, 0, 2, -1]), gold)
    assert found == {"n": 5, "labelled": 4, "accuracy": 0.75, "macro_accuracy": 0.5}
    assert agreement(gold, np.full(6, -1))["macro_accuracy"] is None


@settings(max_examples=40)
@given(arrays(np.int8, st.tuples(st.integers(1, 20), st.integers(1, 5)), elements=st.integers(-1, 3)),
       st.randoms(use_true_random=False))  # fmt: skip
def test_the_report_is_snorkel_s(matrix: np.ndarray, chance: Any) -> None:
    from snorkel.labeling import LFAnalysis

    gold = np.array([chance.randint(-1, 3) for _ in matrix])
    names = tuple(f"f{n}" for n in range(matrix.shape[1]))
    ours = list(report(Votes(names, matrix, np.eye(4, dtype=bool)), gold))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # scipy's, in Snorkel's conflicts
        theirs = LFAnalysis(matrix.astype(int))
        assert [one["coverage"] for one in ours] == pytest.approx(theirs.lf_coverages(), abs=1e-4)
        assert [one["overlap"] for one in ours] == pytest.approx(theirs.lf_overlaps(), abs=1e-4)
        assert [one["conflict"] for one in ours] == pytest.approx(theirs.lf_conflicts(), abs=1e-4)
    for one, column in zip(ours, matrix.T, strict=True):
        both = (column >= 0) & (gold >= 0)
        assert one["gold"] == both.sum()
        assert one["accuracy"] == (pytest.approx((column == gold)[both].mean(), abs=1e-4) if both.any() else None)


# -- decisions of the verb -------------------------------------------------------------------------------------------


def test_a_tie_is_no_label() -> None:
    nan = float("nan")
    rows = np.array([[0.5, 0.5, 0], [0.500004, 0.499996, 0], [0.6, 0.4, 0], [nan, nan, nan], [0, 0, 1]])
    assert decide(rows).tolist() == [-1, -1, 0, -1, 2]
    assert decide(np.empty((0, 3))).tolist() == []


def test_the_balance_is_declared_or_what_votes_come_to() -> None:
    votes = np.array([[0, -1], [0, 0], [0, 2], [2, -1], [-1, -1], [0, -1]], dtype=np.int8)
    declared = {"drawings": 0.5, "hentai": 0.1, "neutral": 0.2, "porn": 0.1, "sexy": 0.1}
    assert balance(LabelConfig(balance=declared), AXIS, votes).tolist() == [0.5, 0.1, 0.2, 0.1, 0.1]
    found = balance(LabelConfig(), AXIS, votes)
    assert found == pytest.approx(np.array([3.5 + 1, 1, 1.5 + 1, 1, 1]) / 10)
    assert balance(LabelConfig(), AXIS, votes[:0]) == pytest.approx(np.full(5, 0.2))
