"""What is declared or flagged not safe is never called safe by a machine, on no way to a release or a training set."""

import dataclasses
import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate.config import Config, LabelConfig
from curate.contracts import Evidence
from curate.errors import UsageError
from curate.label import flags
from curate.label.choose import combine, decide
from curate.label.final import labels
from curate.records import Axis, Taxonomy
from curate.release.export import export
from curate.release.rows import collect
from curate.report.contact_sheet import dangers
from curate.review.draw import Draw, queue
from curate.review.pool import frame
from curate.review.queues.audit import Audit
from curate.review.queues.conflict import Conflict
from tests.support.labelling import MEDIUM, QUIET, configured, functions, ways
from tests.support.labelling import run_unscored as run
from tests.support.queues import IDS, workspace
from tests.support.releases import SCREENED, Item, stocked
from tests.support.samples import declare, judge, member

AXIS = Axis(borderline=("sexy",))
# -- the rule --------------------------------------------------------------------------------------------------------


@st.composite
def ballots(draw: st.DrawFn) -> tuple[Axis, np.ndarray, np.ndarray]:
    """A taxonomy with any of its classes safe, sets of its classes, and votes for them."""
    k = draw(st.integers(2, 5))
    classes = tuple(f"class{n}" for n in range(k))
    safe = tuple(name for name in classes if draw(st.booleans()))
    more = draw(arrays(bool, (draw(st.integers(0, 3)), k)).filter(lambda x: all(1 < n < k for n in x.sum(axis=1))))
    sets = np.vstack([np.eye(k, dtype=bool), more])
    n, m = draw(st.integers(1, 25)), draw(st.integers(1, 5))
    votes = draw(arrays(np.int8, (n, m), elements=st.integers(-1, len(sets) - 1)))
    return Axis("any", classes, safe, ()), sets, votes


def obeys(axis: Axis, sets: np.ndarray, votes: np.ndarray, model: str, accused: np.ndarray) -> None:
    """The rule by hand, a row at a time."""
    try:
        told = Evidence(votes, sets, np.full(len(axis.classes), 1 / len(axis.classes)))
        probabilities = combine(LabelConfig(model=model), axis, told, accused).probabilities
    except UsageError:
        assert model == "snorkel"
        return
    for row, place in zip(range(len(votes)), decide(probabilities), strict=True):
        flagged = any(
            not {axis.classes[c] for c in np.flatnonzero(sets[v])} & set(axis.safe) for v in votes[row] if v >= 0
        )
        if accused[row] or flagged:
            assert place < 0 or axis.classes[place] not in axis.safe


@given(ballots(), st.randoms(use_true_random=False))
@settings(max_examples=100, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_no_model_calls_safe_what_is_flagged(ballot: tuple[Axis, np.ndarray, np.ndarray], chance: Any) -> None:
    axis, sets, votes = ballot
    flagged = np.asarray(flags.flags(votes, sets, [name in axis.safe for name in axis.classes]).any(axis=1))
    obeys(axis, sets, votes, "majority", np.array([one or chance.random() < 0.3 for one in flagged], dtype=bool))


@given(ballots())
@settings(max_examples=6, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_nor_does_snorkel(ballot: tuple[Axis, np.ndarray, np.ndarray]) -> None:
    axis, sets, votes = ballot
    safe = [name in axis.safe for name in axis.classes]
    obeys(axis, sets, votes, "snorkel", np.asarray(flags.flags(votes, sets, safe).any(axis=1)))


@st.composite
def catalogs(draw: st.DrawFn) -> dict[str, Any]:
    """Twelve samples: who collapses with whom, what sources declare, what functions vote, what people said."""
    some = st.sampled_from(AXIS.classes)
    sets = st.sampled_from([("drawings", "hentai"), ("neutral", "porn", "sexy"), ("porn", "sexy"), *AXIS.classes])
    ids = IDS[:12]
    return {
        "survivors": {name: ids[draw(st.integers(0, 11))] for name in ids if draw(st.booleans())},
        "declared": {name: draw(some) for name in ids if draw(st.booleans())},
        "people": {name: draw(some) for name in ids if draw(st.integers(0, 9)) == 0},
        "votes": {f"f{n}": {name: draw(sets) for name in ids if draw(st.booleans())} for n in range(3)},
        "model": draw(st.sampled_from(["majority", "auto"])),
    }


@given(catalogs())
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_no_catalog_calls_safe_what_anybody_calls_not_safe(
    tmp_path_factory: pytest.TempPathFactory, given_: dict[str, Any]
) -> None:
    ws = configured(workspace(tmp_path_factory.mktemp("ws"), 12), model=given_["model"])
    survivors = {a: b for a, b in given_["survivors"].items() if b not in given_["survivors"] and a != b}
    for copy, survivor in survivors.items():
        member(ws, copy, survivor)
    for name in IDS[:12]:
        declare(ws, name, MEDIUM, "photograph")
        if name in given_["declared"]:
            declare(ws, name, AXIS, given_["declared"][name])
    for name, said in given_["people"].items():
        judge(ws, name, said)
    run(ws, functions(**given_["votes"]))
    known, released = labels(ws, AXIS), collect(ws)
    by_id = {row["id"]: row for table in released.tables.values() for row in table.to_pylist()}
    of = {name: survivors.get(name, name) for name in IDS[:12]}
    for name in IDS[:12]:
        mates = [one for one in of if of[one] == of[name]]
        votes = [each[one] for one in mates for each in given_["votes"].values() if one in each]
        sets = [{one} if isinstance(one, str) else set(one) for one in votes]
        accused = any(given_["declared"].get(one, "neutral") not in AXIS.safe for one in mates)
        accused |= any(not one & set(AXIS.safe) for one in sets)
        if accused and name not in given_["people"]:
            assert name not in known.by_sample or known.by_sample[name].name not in AXIS.safe
            assert name not in by_id or by_id[name]["label"] not in AXIS.safe
        if name in by_id and name in given_["people"]:
            assert by_id[name]["label"] == given_["people"][name], "people beat the rule"
    ws.close()


def test_grey_copies_speak_for_their_original(tmp_path: Path) -> None:
    """Five copies declared porn collapse into originals declared neutral, on which every function says neutral."""
    ws = workspace(tmp_path, 10)
    for original, copy in zip(IDS[:5], IDS[5:10], strict=True):
        declare(ws, original, AXIS, "neutral")
        declare(ws, copy, AXIS, "porn")
        member(ws, copy, original)
    neutral = dict.fromkeys(IDS[:10], "neutral")
    result = run(ws, functions(a=neutral, b=neutral, c=neutral))
    assert (result["labelled"], result["contradicted"], result["vanished"]) == (0, 5, ["neutral", "porn"])
    assert [ways(ws, name) for name in IDS[:5]] == ["contradicted"] * 5
    assert collect(ws).excluded == {"contradicted": 5, "duplicate": 5}
    drawn = queue(ws, Conflict(), Draw(size=20))
    assert drawn["strata"] == {"contradicted": {"n": 5}}


def test_a_flag_on_a_copy_counts(tmp_path: Path) -> None:
    """Only survivors are labelled; what a function sees in what collapses into them is seen."""
    ws = workspace(tmp_path, 3)
    member(ws, IDS[1], IDS[0])
    result = run(ws, functions(a=dict.fromkeys(IDS[:3], "neutral"), b={IDS[1]: ("porn", "sexy")}))
    assert (result["samples"], result["labelled"], result["contradicted"]) == (2, 1, 1)
    assert [ways(ws, name) for name in IDS[:3]] == ["contradicted", "contradicted", "neutral"]
    assert {one["name"]: one["alone"] for one in result["functions"]} == {"a": 0, "b": 1}


def test_what_is_not_safe_may_be_another_class_that_is_not(tmp_path: Path) -> None:
    ws = workspace(tmp_path, 2)
    declare(ws, IDS[0], AXIS, "hentai")
    result = run(ws, functions(a={IDS[0]: "porn", IDS[1]: "porn"}))
    assert (result["labelled"], result["contradicted"]) == (2, 0)
    assert ways(ws, IDS[0]) == "porn"


def test_a_class_that_the_axis_has_no_more_is_not_safe(tmp_path: Path) -> None:
    ws = workspace(tmp_path, 1)
    declare(ws, IDS[0], AXIS, "gore")
    run(ws, functions(a={IDS[0]: "neutral"}))
    assert ways(ws, IDS[0]) == "contradicted"


# -- after the label model -------------------------------------------------------------------------------------------


def test_what_becomes_known_after_label_counts(tmp_path: Path) -> None:
    """A later fetch declares more, a later dedupe finds a copy: the table of weak labels is as it was."""
    ws = workspace(tmp_path, 3)
    run(ws, functions(a=dict.fromkeys(IDS[:2], "neutral"), b={IDS[2]: "porn"}))
    assert [ways(ws, name) for name in IDS[:3]] == ["neutral", "neutral", "porn"]
    declare(ws, IDS[0], AXIS, "sexy")
    member(ws, IDS[2], IDS[1])
    assert [ways(ws, name) for name in IDS[:2]] == ["contradicted", "contradicted"]
    pool = frame(ws, AXIS, "seed").pool
    assert np.isnan(pool.unsafe).all()
    assert pool.contradicted.all()


def test_a_person_beats_the_rule_and_only_on_what_they_saw(tmp_path: Path) -> None:
    ws = workspace(tmp_path, 4)
    for name in IDS[:4]:
        declare(ws, name, AXIS, "porn")
    member(ws, IDS[3], IDS[2])
    judge(ws, IDS[0], "neutral")
    judge(ws, IDS[3], "neutral")  # a copy of the survivor that nobody has seen
    result = run(ws, functions(a=dict.fromkeys(IDS[:4], "neutral")))
    assert (result["contradicted"], result["overruled"]) == (2, 1)
    assert [ways(ws, name) for name in IDS[:4]] == ["neutral", "contradicted", "contradicted", "neutral"]
    queue(ws, Conflict(), Draw(size=20))
    judge(ws, IDS[2], "neutral")
    assert ways(ws, IDS[2]) == "neutral"
    drawn = queue(ws, Conflict(), Draw(size=20, again=True))
    assert drawn["strata"] == {"contradicted": {"n": 1}}, "who was asked is asked no more"


def test_no_row_of_an_open_conflict_is_released_unseen(tmp_path: Path) -> None:
    items = [Item(name, group="g") for name in ("one", "two")] + [Item("three")]
    ws = stocked(tmp_path, items)
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO disputed SELECT 'content', sample FROM members WHERE grp = 'g'")
    assert collect(ws).excluded == {"conflict": 2}
    judge(ws, items[0].id, "drawings")
    assert [row["label"] for row in collect(ws).tables["train"].to_pylist() if row["id"] == items[0].id] == ["drawings"]
    assert collect(ws).excluded == {"conflict": 1}


def test_a_conflict_on_another_axis_costs_that_label_alone(tmp_path: Path) -> None:
    config = dataclasses.replace(Config(), taxonomy=Taxonomy(axes=(AXIS, MEDIUM)))
    both = {"content": ("neutral", 0.9), "medium": ("photograph", 0.9)}
    ws = stocked(tmp_path, [Item("one", weak=both, group="g"), Item("two", weak=both)], config)
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO disputed SELECT 'medium', sample FROM members WHERE grp = 'g'")
    rows = {row["id"]: row["label_medium"] for row in collect(ws).tables["train"].to_pylist()}
    assert rows == {Item("one").id: None, Item("two").id: "photograph"}


def test_what_may_depict_minors_is_no_positive_even_where_nothing_is_said(tmp_path: Path) -> None:
    """Safe on the first axis by a person's word, flagged or declared not safe on the second: it stays out."""
    harm = Axis("harm", ("none", "gore"), ("none",), ())
    config = dataclasses.replace(Config(), taxonomy=Taxonomy(axes=(AXIS, harm)))
    weak = {"content": ("neutral", 0.9), "harm": ("none", 0.9)}
    ws = stocked(tmp_path, [Item("one", weak=weak), Item("two", weak=weak)], config)
    with ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET may_depict_minors = 1")
    assert collect(ws).excluded == {}
    declare(ws, Item("one").id, harm, "gore")
    assert collect(ws).excluded == {"may_depict_minors": 1}


def test_a_flag_alone_obscures_the_pages(tmp_path: Path) -> None:
    ws = workspace(tmp_path, 2)
    for name in IDS[:2]:
        declare(ws, name, AXIS, "neutral")
    run(ws, functions(a=dict.fromkeys(IDS[:2], "neutral")))
    assert dangers(ws) == []
    run(ws, functions(a=dict.fromkeys(IDS[:2], "neutral"), odd={IDS[0]: ("hentai", "porn")}))
    assert dangers(ws) == ["content: the labelling function 'odd' finds some not safe, or failed on some"]


def test_contradicted_rows_are_a_stratum_and_the_severest(tmp_path: Path) -> None:
    ws = workspace(tmp_path, 60)
    for name in IDS[:20]:
        declare(ws, name, AXIS, "porn")
    run(ws, functions(a=dict.fromkeys(IDS[:40], "neutral")))
    drawn = queue(ws, Audit(), Draw(size=30))
    assert {name: one["inclusion"] > 0 for name, one in drawn["strata"].items()} == dict.fromkeys(
        ("0.00-0.20", "contradicted", "unlabelled"), True)  # fmt: skip
    rows = ws.catalog.all("SELECT sample FROM queue_items WHERE stratum = 'contradicted'")
    assert {row[0] for row in rows} <= {*IDS[:20]}
    assert len(rows) == drawn["strata"]["contradicted"]["n"]


# -- what is said ----------------------------------------------------------------------------------------------------


def test_a_function_that_keeps_back_much_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ws = workspace(tmp_path, 100)
    neutral = dict.fromkeys(IDS[:100], "neutral")
    few, many = dict.fromkeys(IDS[:2], "porn"), dict.fromkeys(IDS[2:5], "porn")
    with caplog.at_level(logging.WARNING):
        result = run(ws, functions(a=neutral, few=few, many=many, same={IDS[10]: "porn"}, too={IDS[10]: "sexy"}))
    assert {one["name"]: one["alone"] for one in result["functions"]} == {
        "a": 0,
        "few": 2,
        "many": 3,
        "same": 0,
        "too": 0,
    }
    assert "labelling function many alone keeps back 3 of 100 samples (3.0 %)" in caplog.text
    assert "labelling function few" not in caplog.text
    assert result["contradicted"] == 6


def test_what_sources_declare_and_the_taxonomy_has_not_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ws = workspace(tmp_path, 4)
    declare(ws, IDS[0], AXIS, "neutral")
    with caplog.at_level(logging.WARNING):
        run(ws, functions(a=dict.fromkeys(IDS[:4], "neutral")))
        assert "which the taxonomy has not" not in caplog.text
        declare(ws, IDS[1], AXIS, "sfw")
        result = run(ws, functions(a=dict.fromkeys(IDS[:4], "neutral")))
    assert "sources declare sfw, which the taxonomy has not" in caplog.text
    assert "relabel --mapping" in caplog.text
    assert result["contradicted"] == 1


def test_classes_that_vanish_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    items = [Item("one"), Item("two")]
    ws = stocked(tmp_path, items)
    declare(ws, items[0].id, AXIS, "neutral")
    declare(ws, items[1].id, AXIS, "drawings")
    with caplog.at_level(logging.WARNING):
        assert export(ws, "1.0.0", {}, QUIET, SCREENED)["vanished"] == ["drawings"]
    assert "sources declare drawings, and it holds none of that" in caplog.text
    assert "one class only, neutral" in caplog.text


@pytest.mark.parametrize(("safe", "said"), [(AXIS.classes, "calls every class safe"), ((), "calls no class safe")])
def test_a_taxonomy_of_one_side_is_taken_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, safe: tuple[str, ...], said: str
) -> None:
    axis = dataclasses.replace(AXIS, safe=safe, borderline=())
    ws = workspace(tmp_path, 2, dataclasses.replace(Config(), taxonomy=Taxonomy(axes=(axis,))))
    declare(ws, IDS[0], axis, "porn")
    with caplog.at_level(logging.WARNING):
        run(ws, functions(a={IDS[0]: "neutral", IDS[1]: "neutral"}))
    assert said in caplog.text
    assert ways(ws, IDS[0]) == "neutral", "no class is safe, or every one: there is nothing to keep back from"


# -- what a function can mean ----------------------------------------------------------------------------------------


def voting(sets: Any) -> Callable[[Axis, Collection[str]], Sequence[Any]]:
    from snorkel.labeling import LabelingFunction

    function = LabelingFunction("mine", lambda x: 0)
    function.sets = sets
    return lambda axis, columns: [function]


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (((),), r"label.functions: mine.sets\[0\]: no class, which says nothing; let the function answer -1"),
        (("porn", AXIS.classes), r"mine.sets\[1\]: all classes, which says nothing"),
        ((("porn", "sexi"),), r"mine.sets\[0\]: no such class 'sexi'; did you mean 'sexy'\?"),
        ((3,), r"mine.sets: give a tuple with a class, or a tuple of classes, for each answer"),
        (3, r"mine.sets: give a tuple with a class"),
    ],
)
def test_a_vote_that_says_nothing_is_refused(tmp_path: Path, sets: Any, message: str) -> None:
    ws = workspace(tmp_path, 2)
    with pytest.raises(UsageError, match=message):
        run(ws, voting(sets))
    assert ws.catalog.scalar("SELECT count(*) FROM labellings") == 0


def test_a_user_s_function_may_vote_for_several_classes(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from snorkel.labeling import labeling_function\n"
        "@labeling_function()\ndef wide(x):\n    return 0 if x.id < '8' else 1\n"
        "wide.sets = (('porn', 'sexy'), 'neutral')\n"
    )
    ws = configured(workspace(tmp_path / "ws", 40), functions=(path,))
    result = run(ws, functions())
    low = [name for name in IDS[:40] if name < "8"]
    assert result["contradicted"] == len(low) == result["functions"][0]["alone"]
    assert {ways(ws, name) for name in IDS[:40] if name not in low} == {"neutral"}
