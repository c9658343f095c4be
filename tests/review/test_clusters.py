"""Decisions on whole clusters: what is asked, what a decision says of members, and what it never counts as."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.config import Config
from curate.contracts import AuditedPool
from curate.label.final import labels
from curate.label.gold import gold
from curate.review.app.thumbnails import ThumbnailStyle, encoded, name_of, sheet
from curate.review.assignment import available_items, sheets
from curate.review.draw import Draw, describe, queue
from curate.review.journal import Journal
from curate.review.pool import frame
from curate.review.queues.clusters import CLUSTER, MEMBER, Clusters
from curate.screening.quarantine import quarantine
from curate.stats.clusters import cluster
from curate.store import clusters as kept
from curate.store import views
from curate.store.workspace import Workspace
from tests.review.test_queues import of
from tests.support.queues import IDS, Clock, weak, workspace
from tests.support.samples import declare


def vectors(n: int, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows about k directions, and which."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, k, n)
    return (np.eye(16)[which] + rng.normal(0, 0.05, (n, 16))).astype(np.float32), which


def test_clusters_are_found_and_what_has_no_vector_is_in_none() -> None:
    rows, which = vectors(300, 5)
    rows[::50] = np.nan
    found = cluster(lambda some: rows[some], 300, 5)
    assert (found.label[::50] == -1).all()
    for label in range(5):
        assert len(set(which[found.label == label])) == 1
    again = cluster(lambda some: rows[some], 300, 5)
    assert np.array_equal(found.label, again.label)
    assert (cluster(lambda some: rows[some] * np.nan, 300, 5).label == -1).all()
    assert set(cluster(lambda some: np.ones((len(some), 16)), 300, 5).label) == {0}, "all alike: one cluster"


def test_a_strategy_picks_an_item_for_all_and_members_that_audit_it() -> None:
    rows, which = vectors(300, 5)
    p = np.full((300, 2), 0.5)
    judged = np.arange(300) % 3 == 0
    picked = Clusters(audit=2).pick(of(p, embeddings=rows, judged=judged), 15)
    items = [one for one in picked if one.stratum == CLUSTER]
    assert (len(items), len(picked)) == (5, 15)
    seen = [row for one in items for row in one.members]
    assert len(seen) == len(set(seen)) == 200
    assert not judged[seen].any()
    for place, one in enumerate(items):
        assert one.members[0] == one.row
        assert len(set(which[list(one.members)])) == 1
        audits = picked[3 * place + 1 : 3 * place + 3]
        assert {audit.stratum for audit in audits} == {MEMBER}
        assert {audit.row for audit in audits} < set(one.members[1:])
    groups = np.arange(300) // 4
    bare = Clusters().pick(of(p, groups=groups.astype(np.int32)), 20)
    assert {len(one.members) for one in bare if one.stratum == CLUSTER} == {4}


def test_scores_part_what_embeddings_do_not() -> None:
    """By where a number stands, whatever its scale is; what is not known, or always the same, says nothing."""
    rng = np.random.default_rng(0)
    rows, kind = np.ones((300, 16), dtype=np.float32), np.arange(300) % 2
    score = (kind + rng.uniform(0, 0.2, 300)).astype(np.float32)
    plain = of(np.full((300, 2), 0.5))
    known = {one.name: getattr(plain, one.name) for one in fields(plain) if one.name != "embeddings"}

    def members(*columns: np.ndarray, weight: float = 1.3) -> list[set[int]]:
        scores = np.stack(columns, axis=1).astype(np.float32)
        picked = Clusters(scores=weight, votes=0, tight=-1).pick(
            AuditedPool(**known, embeddings=rows, scores=scores), 4
        )
        return [set(one.members) for one in picked if one.stratum == CLUSTER]

    found = members(score)
    assert [len(set(kind[list(some)].tolist())) for some in found] == [1, 1]
    assert members(np.exp(9 * score)) == found
    nothing = np.full(300, np.nan)
    assert {len(set(kind[list(some)].tolist())) for some in members(score, nothing, nothing * 0 + 3)} == {1}
    assert members(np.where(rng.random(300) < 0.1, np.nan, score))
    assert [len(set(kind[list(some)].tolist())) for some in members(score, weight=0)] == [2]


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    """60 samples in near-duplicate groups of six, called neutral, and no embedding."""
    found = workspace(tmp_path / "ws", 60)
    weak(found, {name: (0.1, []) for name in IDS[:60]})
    with found.catalog.tx() as db:
        db.executemany("UPDATE members SET grp = ? WHERE sample = ?", [(IDS[n - n % 6], IDS[n]) for n in range(60)])
    return found


def drawn(ws: Workspace, again: bool = False) -> tuple[str, dict[str, list[str]]]:
    """The queue's name, and its clusters by item."""
    name = str(queue(ws, Clusters(), Draw(size=20, again=again))["queue"])
    sql = "SELECT item, sample FROM queue_members WHERE queue = ? ORDER BY item, place"
    found: dict[str, list[str]] = {}
    for item, sample in ws.catalog.iterate_tuples(sql, (name,)):
        found.setdefault(item, []).append(sample)
    return name, found


def decide(ws: Workspace, name: str, label: Any) -> None:
    journal = Journal(ws.catalog, ws.config, name, "ada", Clock())
    for item in journal.items():
        assert item.blind
        journal.decide(item.sample, label(item.sample), 1.0)


def test_one_decision_labels_a_pure_cluster_and_is_nobodys_look(ws: Workspace) -> None:
    name, found = drawn(ws)
    assert len(found) == 10
    decide(ws, name, lambda sample: "porn" if sample in found else "neutral")  # every audit says otherwise
    assert {one.name for one in labels(ws, ws.config.taxonomy.first).by_sample.values()} == {"neutral", "porn"}
    assert describe(ws, name)["clusters"] | {"interval": None} == {
        "n": 10, "members": 60, "impure": 10, "audited": 10, "agreed": 0, "purity": 0.0, "interval": None,
    }  # fmt: skip
    other, again = drawn(ws, again=True)
    assert all(len(some) < 6 for some in again.values()), "what was judged is asked no more"
    decide(ws, other, lambda _: "sexy")
    axis = ws.config.taxonomy.first
    known = labels(ws, axis).by_sample
    judged = views.votes(ws.catalog, axis.name, "1")
    members = {one for some in again.values() for one in some} - judged.keys()
    assert members
    for one in members:
        assert (known[one].name, known[one].source, known[one].human_n) == ("sexy", "weak", 0)
        assert known[one].probability == 1.0
    assert not gold(ws, axis, IDS[:60]).classes[gold(ws, axis, IDS[:60]).classes >= 0].size, "none of it is gold"
    assert views.selected_by_model(ws.catalog, axis.name, "1") == judged.keys()
    pool = frame(ws, axis, "x").pool
    assert pool.judged.all()
    assert len(ws.catalog.all("SELECT 1 FROM decisions WHERE carried_from IS NOT NULL")) == 0


def test_what_a_cluster_carries_weighs_less_than_a_persons_word(ws: Workspace) -> None:
    """By how pure the draw is: two of ten audits say otherwise, so that labels are right in 0.8, and weigh 0.4."""
    name, found = drawn(ws)
    odd = {one for some in list(found.values())[:2] for one in some[1:]}
    decide(ws, name, lambda sample: "sexy" if sample in odd else "porn")
    known = labels(ws, ws.config.taxonomy.first).by_sample
    judged = views.votes(ws.catalog, "content", "1")
    carried = {one for some in list(found.values())[2:] for one in some} - judged.keys()
    assert {(known[one].probability, known[one].weight) for one in carried} == {(0.8, 0.4)}
    assert {(known[one].probability, known[one].weight) for one in judged} == {(1.0, 1.0)}


def test_what_is_mixed_says_nothing_of_the_item_and_is_parted(ws: Workspace) -> None:
    name, found = drawn(ws)
    decide(ws, name, lambda sample: "unsure" if sample in found else "neutral")
    axis = ws.config.taxonomy.first
    assert not views.votes(ws.catalog, axis.name, "1").keys() & found.keys()
    assert describe(ws, name)["clusters"]["mixed"] == 10
    pool = frame(ws, axis, "x").pool
    assert isinstance(pool, AuditedPool)
    assert pool.split is not None
    assert len(set(pool.split[~pool.judged].tolist()) - {-1}) == 10


def test_no_machine_calls_safe_what_is_declared_not_safe_for_a_cluster(ws: Workspace) -> None:
    name, found = drawn(ws)
    members = next(iter(found.values()))
    axis = ws.config.taxonomy.first
    declare(ws, members[1], axis, "porn")
    decide(ws, name, lambda _: "neutral")
    known = labels(ws, axis)
    assert known.withheld.get(members[1]) == "contradicted"
    assert known.by_sample[members[2]].name == "neutral"


def test_an_item_goes_with_what_is_shown_beside_it(ws: Workspace) -> None:
    name, found = drawn(ws)
    item, members = next(iter(found.items()))
    assert sheets(ws.catalog, name)[item] == members
    assert item in {row["sample"] for row in available_items(ws.catalog, name)}
    quarantine(ws.catalog, members[3], "a reason", actor="ada")
    assert item not in {row["sample"] for row in available_items(ws.catalog, name)}


def test_a_sheet_has_its_members_in_rows(tmp_path: Path) -> None:
    look = ThumbnailStyle()
    for n in range(6):
        picture = Image.new("L", (256, 192) if n != 3 else (32, 32), 20 * n)  # a small one is as large as the others
        (tmp_path / name_of(IDS[n], look)).write_bytes(encoded(picture))
    sheet(tmp_path, tmp_path, IDS[:7], look)
    with Image.open(tmp_path / name_of(IDS[0], look)) as made:
        assert (made.mode, made.size) == ("L", (4 * 192 + 12, 2 * 192 + 4))
        assert abs(made.getpixel((600, 96)) - 60) < 4  # type: ignore[operator]
        assert abs(made.getpixel((4, 4)) - 128) < 4  # type: ignore[operator]


def test_the_last_draw_counts() -> None:
    old = kept.Cluster("a", "x", ("x", "y", "z"), "porn", 2, 2)
    new = kept.Cluster("b", "y", ("y", "z"), "neutral", 2, 1)
    assert kept.carried([old, new]) == {"x": ("porn", 1.0)}
    assert kept.parted([old, new]) == {"y": 1, "z": 1}
    assert kept.parted([new, old]) == {}


def test_options_that_are_none() -> None:
    for wrong in ({"audit": 0}, {"least": 1}, {"tight": 2.0}, {"scores": 1e30}, {"votes": -1.0}):
        with pytest.raises(ValueError, match="audit must be"):
            Clusters(**wrong)
    assert Config().queues == ()
