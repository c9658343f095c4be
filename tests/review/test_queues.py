"""A queue is drawn once, by rules that can be read off its rows; what may not be shown is in none."""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.config import Config, ReviewConfig
from curate.contracts import CandidatePool, QueryStrategy
from curate.errors import UsageError
from curate.options import Plugin
from curate.plugins import make, names
from curate.records import Axis, Taxonomy
from curate.review import assignment
from curate.review.draw import Draw, describe, queue
from curate.review.journal import Journal
from curate.review.queues.audit import Audit
from curate.review.queues.conflict import Conflict
from curate.review.queues.gold import Gold
from curate.review.queues.suspect import Suspect
from curate.review.queues.uncertain import Uncertain
from curate.screening.quarantine import quarantine
from curate.stats.allocation import allocate
from curate.store import views
from curate.store.workspace import Workspace
from tests.support.queues import IDS, Clock, weak, workspace
from tests.support.queues import queue as as_drawn
from tests.support.samples import declare, judge


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    """200 samples: most are surely neutral, some surely porn, some between, 20 have no label."""
    ws = workspace(tmp_path / "ws", 200)
    weak(ws, {name: (score(n), [0, 2, 2] if n % 10 == 3 else [2, 2, -1]) for n, name in enumerate(IDS)})
    return ws


def score(n: int) -> float | None:
    if n >= 180:
        return None
    return 0.02 if n < 120 else 0.95 if n < 150 else 0.3 + (n - 150) / 100


def items(ws: Workspace, name: str) -> list[dict[str, Any]]:
    sql = "SELECT * FROM queue_items WHERE queue = ? ORDER BY place"
    return [dict(row) for row in ws.catalog.all(sql, (name,))]


def tuned(ws: Workspace, **given: Any) -> Workspace:
    ws.config = dataclasses.replace(ws.config, review=ReviewConfig(**given))
    return ws


# -- which ----------------------------------------------------------------------------------------------------------


def test_uncertain_takes_the_smallest_margins(ws: Workspace) -> None:
    drawn = queue(ws, Uncertain(), Draw(size=10))
    margins = {name: abs(1 - 2 * p) for n, name in enumerate(IDS) if (p := score(n)) is not None}
    assert sorted(margins[row["sample"]] for row in items(ws, "uncertain")) == sorted(margins.values())[:10]
    assert (drawn["items"], drawn["reported"], drawn["blind"], drawn["made"]) == (10, False, False, True)
    assert all(row["inclusion"] is None for row in items(ws, "uncertain"))


def of(probabilities: np.ndarray, **known: Any) -> CandidatePool:
    """A pool of which that much is known, in which nobody votes, contests, judges or accuses."""
    n, k = probabilities.shape
    no = np.zeros(n, dtype=bool)
    votes = np.full((n, 1), -1, dtype=np.int8)
    sure = {"contradicted": no, "contested": np.zeros(n, np.int8), "judged": no} | known
    return CandidatePool(
        samples=[f"{row:064x}" for row in range(n)], probabilities=probabilities, votes=votes,
        sets=np.eye(k, dtype=bool), unsafe=1 - probabilities[:, 0], **sure,
    )  # fmt: skip


def test_uncertain_spreads_over_embeddings() -> None:
    """Of 100 unsure rows 90 lie in one place and ten apart: by the margin alone all twelve would come from the one."""
    p = np.full((1000, 2), [0.9, 0.1])
    p[:100] = [[0.5 + row / 10_000, 0.5 - row / 10_000] for row in range(100)]
    vectors = np.tile(np.eye(12)[0], (1000, 1)) + np.random.default_rng(0).normal(0, 0.01, (1000, 12))
    vectors[90:100] = np.eye(12)[1:11]
    alone = Uncertain().pick(of(p), 12)
    spread = Uncertain().pick(of(p, embeddings=vectors), 12)
    assert [one.row for one in alone] == list(range(12))
    assert {one.stratum for one in alone} == {"margin alone"}
    assert spread[0].row == 0
    assert set(range(90, 100)) <= {one.row for one in spread}
    assert {one.stratum for one in spread} == {"spread"}
    vectors[:50] = np.nan  # what has no vector has its share, by its margin
    mixed = Uncertain().pick(of(p, embeddings=vectors), 12)
    assert [one.row for one in mixed if one.stratum == "margin alone"] == list(range(5))
    assert len({one.row for one in mixed}) == 12


def test_suspect_finds_labels_that_were_flipped() -> None:
    """40 of 400 labels are wrong, and a classifier that had not seen them is right nine times of ten."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 400)
    said = rng.dirichlet(np.ones(3), 400) * 0.3
    said[np.arange(400), np.where(rng.random(400) < 0.9, truth, (truth + 2) % 3)] += 0.7
    given_ = truth.astype(np.int8)
    given_[:40] = (truth[:40] + 1) % 3
    given_[40:50] = -1
    judged = np.arange(400) % 4 == 0
    pool = of(said, out_of_fold=said, given=given_, judged=judged)
    found = [one.row for one in Suspect().pick(pool, 400)]
    assert len(set(range(40)) & set(found)) >= 34
    assert len(found) < 100
    assert not set(found) & set(range(40, 50))
    strata = [one.stratum for one in Suspect().pick(pool, 400)]
    assert strata == sorted(strata, key=("people", "label", "parted").index)
    assert all(judged[one.row] == (one.stratum == "people") for one in Suspect().pick(pool, 400))
    assert Suspect().pick(of(said), 40) == []


def test_suspect_tells_what_merely_parts_from_what_is_likely_wrong() -> None:
    """The classifier names another class of rows 2 and 3; of row 3 it is less sure than of that class's own."""
    said = np.array([[0.9, 0.1], [0.1, 0.9], [0.05, 0.95], [0.45, 0.55], [0.4, 0.6]])
    pool = of(said, out_of_fold=said, given=np.array([0, 1, 0, 0, 1], dtype=np.int8))
    assert [(one.row, one.stratum) for one in Suspect().pick(pool, 5)] == [(2, "label"), (3, "parted")]
    contradicted = of(said, out_of_fold=said, given=pool.given, contradicted=np.arange(5) == 2)
    assert [one.row for one in Suspect().pick(contradicted, 5)] == [3]


def test_conflict_names_who_contradicts_whom(ws: Workspace) -> None:
    judge(ws, IDS[0], "neutral", "ada")
    judge(ws, IDS[0], "porn", "bob")
    judge(ws, IDS[1], "unsure", "ada")
    judge(ws, IDS[13], "neutral", "ada")  # functions disagree, and a person has spoken
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO disputed VALUES ('content', ?), ('medium', ?)", (IDS[2], IDS[5]))
    queue(ws, Conflict(), Draw(size=100))
    found = {row["sample"]: row["stratum"] for row in items(ws, "conflict")}
    functions = {IDS[n]: "functions" for n in range(200) if n % 10 == 3 and n != 13}
    assert found == functions | {IDS[0]: "people", IDS[1]: "people", IDS[2]: "sources"}


def test_gold_is_random_and_half_judged_twice(ws: Workspace) -> None:
    drawn = queue(ws, Gold(), Draw(size=60))
    rows = items(ws, "gold")
    assert Counter(row["raters"] for row in rows) == {2: 30, 1: 30}
    assert all(row["blind"] for row in rows)
    assert drawn["double"] == 30
    assert 30 < sum(IDS.index(row["sample"]) < 120 for row in rows) < 45  # 36 are expected


def test_audit_records_the_chance_of_each(ws: Workspace) -> None:
    drawn = queue(ws, Audit(), Draw(size=60))
    rows = items(ws, "audit")
    sizes = {"0.00-0.20": 120, "0.20-0.40": 10, "0.40-0.60": 20, "0.80-1.00": 30, "unlabelled": 20}
    counts = Counter(row["stratum"] for row in rows)
    assert counts.keys() == sizes.keys()
    assert sum(counts.values()) == 60
    for row in rows:
        assert row["inclusion"] == pytest.approx(counts[row["stratum"]] / sizes[row["stratum"]])
    assert sum(1 / row["inclusion"] for row in rows) == pytest.approx(200)  # Horvitz-Thompson gives the frame back
    assert drawn["strata"]["unlabelled"]["inclusion"] == pytest.approx(counts["unlabelled"] / 20)
    assert drawn["frame"]["n"] == 200


def test_audit_estimates_without_bias(ws: Workspace) -> None:
    """Over many seeds, weighing by 1/chance gives the share of porn in the frame; counting what was drawn does not."""
    truth = {name: n % 3 == 0 if score(n) is None else (score(n) or 0) > 0.5 for n, name in enumerate(IDS)}
    weighed, counted = [], []
    for seed in range(40):
        tuned(ws, seed=seed)
        queue(ws, Audit(even=0.5), Draw(size=40, again=True))
        rows = items(ws, views_newest(ws))
        weighed.append(sum(truth[row["sample"]] / row["inclusion"] for row in rows) / 200)
        counted.append(sum(truth[row["sample"]] for row in rows) / 40)
    share = sum(truth.values()) / 200
    assert abs(np.mean(weighed) - share) < 0.02
    assert abs(np.mean(counted) - share) > 0.05


def views_newest(ws: Workspace) -> str:
    return str(ws.catalog.scalar("SELECT queue FROM queues ORDER BY rowid DESC LIMIT 1"))


def test_fewer_items_than_strata_are_refused(ws: Workspace) -> None:
    with pytest.raises(UsageError, match="audit: 4 items for 5 strata"):
        queue(ws, Audit(), Draw(size=4))
    assert ws.catalog.scalar("SELECT count(*) FROM queues") == 0


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=12), st.integers(0, 3000), st.floats(0, 1))
def test_what_is_given_to_strata_adds_up(sizes: list[int], total: int, even: float) -> None:
    given_ = allocate(sizes, total, even)
    assert sum(given_) == min(total, sum(sizes))
    assert all(0 <= n <= size for n, size in zip(given_, sizes, strict=True))
    if total >= len(sizes):
        assert min(given_) >= 1


@given(
    st.integers(0, 40), st.integers(0, 60), st.integers(0, 2**32 - 1), st.sampled_from(names("curate.review.queues"))
)
def test_every_queue_takes_any_pool(n: int, size: int, seed: int, name: str) -> None:
    plugin: QueryStrategy = make("curate.review.queues", Plugin(name, where="queues"), "queue")
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), n)
    probabilities[rng.random(n) < 0.3] = np.nan
    pool = CandidatePool(
        [f"{at:064x}" for at in range(n)], probabilities, rng.integers(-1, 4, (n, 4)).astype(np.int8),
        np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], dtype=bool), 1 - probabilities[:, 0],
        np.isnan(probabilities[:, 0]) & (rng.random(n) < 0.5),
        rng.integers(0, 3, n).astype(np.int8), rng.random(n) < 0.3,
        *((rng.normal(0, 1, (n, 4)), rng.dirichlet(np.ones(3), n), rng.integers(-1, 3, n)) if seed % 2 else ()),
    )  # fmt: skip
    try:
        picks = plugin.pick(pool, size)
    except UsageError:
        assert plugin.reported
        return
    assert len({one.row for one in picks}) == len(picks) <= size
    assert all(0 <= one.row < n for one in picks)
    assert all(one.inclusion is not None and 0 < one.inclusion <= 1 for one in picks if plugin.reported)


# -- once, and the same ---------------------------------------------------------------------------------------------


def test_the_same_catalog_and_seed_give_the_same_queue(ws: Workspace, tmp_path: Path) -> None:
    other = workspace(tmp_path / "other", 200)
    weak(other, {name: (score(n), [0, 2, 2] if n % 10 == 3 else [2, 2, -1]) for n, name in enumerate(IDS)})
    for plugin in (Uncertain(), Audit(), Gold(), Conflict()):
        first, second = queue(ws, plugin, Draw(size=50)), queue(other, plugin, Draw(size=50))
        assert first == second
        assert items(ws, first["queue"]) == items(other, first["queue"])


def test_a_queue_is_drawn_once_unless_asked_again(ws: Workspace) -> None:
    first = queue(ws, Audit(), Draw(size=50))
    assert queue(ws, Audit(), Draw(size=70)) == first | {"made": False}
    again = queue(ws, Audit(), Draw(size=70, again=True))
    assert (again["queue"], again["items"], again["made"]) == ("audit-2", 70, True)
    assert queue(ws, Audit(), Draw())["queue"] == "audit-2"
    assert {row["sample"] for row in items(ws, "audit")} != {row["sample"] for row in items(ws, "audit-2")}


def test_an_empty_queue_is_not_made(tmp_path: Path) -> None:
    ws = workspace(tmp_path / "empty", 0)
    for plugin in (Uncertain(), Audit(), Gold(), Conflict()):
        with pytest.raises(UsageError, match="nothing to ask"):
            queue(ws, plugin, Draw())
    assert ws.catalog.scalar("SELECT count(*) FROM queues") == 0


def test_labels_of_other_classes_are_no_labels(ws: Workspace) -> None:
    axes = (Axis("content", ("neutral", "porn"), ("neutral",), ()),)
    ws.config = dataclasses.replace(ws.config, taxonomy=Taxonomy(axes=axes))
    with pytest.raises(UsageError, match="of other classes; run `curate label` again"):
        queue(ws, Audit(), Draw(size=20))


def test_labels_that_are_gone_are_no_labels(ws: Workspace) -> None:
    ws.table("weak", ws.catalog.scalar("SELECT fingerprint FROM labellings")).remove("all")
    with pytest.raises(UsageError, match="run `curate label` again"):
        queue(ws, Audit(), Draw(size=20))


def test_a_queue_that_is_none_is_named(ws: Workspace) -> None:
    with pytest.raises(UsageError, match="queue audti: none was drawn; there are none yet"):
        describe(ws, "audti")
    queue(ws, Audit(), Draw(size=20))
    with pytest.raises(UsageError, match="did you mean 'audit'"):
        describe(ws, "audti")
    with pytest.raises(UsageError, match="no such axis 'contnt'; did you mean 'content'"):
        queue(ws, Audit(), Draw("contnt"))


def test_order_by_severity_puts_what_is_least_safe_last(ws: Workspace) -> None:
    queue(tuned(ws, order="severity", double=0.0), Conflict(), Draw(size=100))
    scores = [2.0 if (p := score(IDS.index(row["sample"]))) is None else p for row in items(ws, "conflict")]
    assert scores == sorted(scores)
    assert scores[0] != scores[-1]


# -- what may not be shown ------------------------------------------------------------------------------------------


def test_what_may_not_be_shown_is_in_no_queue(ws: Workspace) -> None:
    quarantine(ws.catalog, IDS[0], "held", actor="test")
    with ws.catalog.tx() as db:
        db.execute("UPDATE members SET survivor = ?, collapse = ? WHERE sample = ?", (IDS[2], IDS[2], IDS[1]))
        db.execute("UPDATE members SET excluded = 'merged_with_test' WHERE sample = ?", (IDS[3],))
        db.execute("UPDATE members SET grp = ? WHERE sample = ?", (IDS[4], IDS[5]))
    declare(ws, IDS[4], ws.config.taxonomy.first, "neutral")
    with ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET may_depict_minors = 1 WHERE sample = ?", (IDS[4],))
    for plugin in (Uncertain(), Audit(), Gold(), Conflict()):
        drawn = queue(ws, plugin, Draw(size=200))
        shown = {row["sample"] for row in items(ws, drawn["queue"])}
        assert not shown & {IDS[0], IDS[1], IDS[3], IDS[4], IDS[5]}
        assert drawn["left_out"] == {"duplicate": 1, "held": 1, "may_depict_minors": 2, "merged_with_test": 1}
        assert not any(one in json.dumps(drawn) for one in IDS), "counts only"


def test_what_is_held_later_leaves_every_queue(ws: Workspace) -> None:
    queue(ws, Audit(), Draw(size=50))
    sample = items(ws, "audit")[0]["sample"]
    quarantine(ws.catalog, sample, "held", actor="test")
    assert describe(ws, "audit")["gone"] == 1
    journal = Journal(ws.catalog, ws.config, "audit", "ada", Clock())
    assert sample not in {one.sample for one in journal.items()}


# -- blind, double, gold ---------------------------------------------------------------------------------------------


def test_what_turns_out_to_show_minors_leaves_every_queue(ws: Workspace) -> None:
    """A later listing may say so of what is drawn already; its near-duplicates go with it."""
    drawn = as_drawn(ws, "made", IDS[:4])
    with ws.catalog.tx() as db:
        db.execute("UPDATE members SET grp = 'g' WHERE sample IN (?, ?)", IDS[:2])
        row = "(kind, locator, state, sample, may_depict_minors) VALUES ('url', 'u', 'stored', ?, 1)"
        db.execute(f"INSERT INTO candidates {row}", (IDS[0],))
    assert [item["sample"] for item in assignment.available_items(ws.catalog, drawn)] == IDS[2:4]


def test_a_share_is_judged_by_two_and_blind(ws: Workspace) -> None:
    queue(tuned(ws, double=0.2), Conflict(), Draw(size=20))
    rows = items(ws, "conflict")
    assert sum(row["raters"] == 2 for row in rows) == 4
    assert all(row["blind"] == (row["raters"] == 2) for row in rows)


def test_gold_is_mixed_in_where_it_cannot_be_told(ws: Workspace) -> None:
    for reviewer in ("ada", "bob"):
        for sample in IDS[:10]:
            judge(ws, sample, "neutral", reviewer)
    drawn = queue(tuned(ws, double=0.2, gold=0.1), Conflict(), Draw(size=15))
    rows = {row["sample"]: row for row in items(ws, drawn["queue"])}
    gold = {name for name, row in rows.items() if row["gold"]}
    assert len(rows) == 15
    assert len(gold) == 2
    assert gold < set(IDS[:10])
    journal = Journal(ws.catalog, ws.config, "conflict", "eve", Clock())
    seen = {one.sample: dataclasses.asdict(one) for one in journal.items()}
    twice = next(name for name, row in rows.items() if row["raters"] == 2)
    for one in gold:
        assert seen[one] | {"sample": 0, "position": 0} == seen[twice] | {"sample": 0, "position": 0}
    assert not gold & {one.sample for one in Journal(ws.catalog, ws.config, "conflict", "ada", Clock()).items()}
    for reported in (Audit(), Gold()):
        drawn = queue(ws, reported, Draw(size=20))
        assert not any(row["gold"] for row in items(ws, drawn["queue"]))


def test_only_audit_feeds_reported_figures(ws: Workspace) -> None:
    """The one place that says so is views.audited."""
    weak_first = Draw(size=40)
    for plugin in (Uncertain(), Conflict(), Gold(), Audit()):
        name = queue(ws, plugin, weak_first)["queue"]
        journal = Journal(ws.catalog, ws.config, name, "ada", Clock())
        for item in journal.items():
            journal.decide(item.sample, "neutral")
    judge(ws, IDS[0], "porn", "imported")
    with ws.catalog.tx() as db:  # a file can say that a decision was an audit's: it is kept, and no figure rests on it
        db.execute(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, queue, inclusion)"
            " SELECT sample, 'content', '1', 'eve', 'porn', '2026-01-01T00:00:00.000Z', 'blind', 'audit', 0.5"
            " FROM queue_items WHERE queue = 'audit'"
        )
        db.execute("UPDATE queue_items SET inclusion = 0.5 WHERE queue = 'gold'")  # a chance alone makes no audit
    found = views.audited(ws.catalog, "content", "1")
    assert {one.queue for one in found} == {"audit"}
    assert {one.reviewer for one in found} == {"ada"}
    assert len(found) == 40
    sizes = {row["sample"]: row["inclusion"] for row in items(ws, "audit")}
    assert all(one.inclusion == sizes[one.sample] for one in found)
    sql = "SELECT count(*) FROM decisions WHERE inclusion IS NOT NULL AND queue <> 'audit'"
    assert ws.catalog.scalar(sql) == 0


def test_a_taxonomy_that_changed_ends_a_queue(ws: Workspace) -> None:
    queue(ws, Audit(), Draw(size=20))
    changed = dataclasses.replace(Config(), taxonomy=Taxonomy(version="2"))
    with pytest.raises(UsageError, match="queue audit: drawn for axis content of taxonomy 1"):
        Journal(ws.catalog, changed, "audit", "ada")
