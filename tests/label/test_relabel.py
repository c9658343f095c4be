"""A policy that changes: what a mapping carries over, what it cannot, and that nothing is lost on the way."""

import itertools
import json
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.admin.session import Session
from curate.admin.stages import relabelled
from curate.config import Config
from curate.errors import UsageError
from curate.label.taxonomy import carry
from curate.label.taxonomy.mapping import Remap
from curate.records import UNSURE, Axis, Taxonomy
from curate.review.journal import Journal
from curate.store import samples, taxonomies, views
from curate.store.taxonomies import CARRIED
from curate.store.workspace import Workspace
from tests.support.queues import IDS, Clock, queue, workspace
from tests.support.samples import declare

OLD = ("drawings", "hentai", "neutral", "porn", "sexy", "old")
AXIS = Axis("content", ("drawings", "neutral", "explicit", "suggestive", "nudity"), ("drawings", "neutral"), ())
NEW = Config(taxonomy=Taxonomy("2", None, (AXIS,)))
EACH: dict[str, tuple[str, ...]] = {
    "porn": ("explicit",), "hentai": ("explicit",), "sexy": ("suggestive", "nudity"), "drawings": ("drawings",),
    "neutral": ("neutral",), "old": (),
}  # fmt: skip
REMAP = Remap("2", "1", "the law changed", {"content": EACH})
Said = tuple[int, str, str]  # which sample, by whom, what

FILE = """
version = "2"
reason = "the law changed"
[axes.content]
porn = "explicit"
hentai = "explicit"
sexy = ["suggestive", "nudity"]
drawings = "drawings"
neutral = "neutral"
old = false
"""


def decide(ws: Workspace, said: list[Said], taxonomy: str = "1", first: int = 0, queue: str | None = None) -> None:
    sql = """INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, queue)
    VALUES (?, 'content', ?, ?, ?, ?, 'blind', ?)"""
    with ws.catalog.tx() as db:
        for n, (sample, who, label) in enumerate(said, first):
            db.execute(
                sql, (IDS[sample], taxonomy, who, label, f"2026-01-01T00:{n // 60:02d}:{n % 60:02d}.000Z", queue)
            )


def rows(ws: Workspace, taxonomy: str) -> list[dict[str, Any]]:
    sql = "SELECT * FROM in_force WHERE taxonomy = ? ORDER BY decision"
    return [dict(row) for row in ws.catalog.all(sql, (taxonomy,))]


def queued(ws: Workspace, name: str = "relabel") -> dict[str, str]:
    return {
        row[0]: row[1] for row in ws.catalog.all("SELECT sample, stratum FROM queue_items WHERE queue = ?", (name,))
    }


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace(tmp_path_factory.mktemp("shared"), 6, NEW)


numbers = itertools.count()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    said=st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.sampled_from((*OLD, UNSURE))), max_size=14)
)
def test_no_decision_is_lost_and_none_is_carried_that_cannot_be(said: list[Said], shared: Workspace) -> None:
    """Each example is a change of its own, from a version to the next, in one workspace."""
    n, ws = next(numbers), shared
    old, new = f"{n}-before", f"{n}-after"
    ws.config = Config(taxonomy=Taxonomy(new, None, (AXIS,)))
    remap = Remap(new, old, "", {"content": EACH})
    decide(ws, said, old)
    before = rows(ws, old)
    last: dict[tuple[str, str], str] = {(row["sample"], row["reviewer"]): row["label"] for row in before}
    nothing: dict[str, Any] = {"carried": 0, "not_carried": 0, "queues": {}}
    found = carry.carry(ws, remap) if said else nothing
    now = {(row["sample"], row["reviewer"]): row["label"] for row in rows(ws, new)}
    asked = queued(ws, next(iter(found["queues"]), ""))
    of: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (sample, _), label in last.items():
        of[sample][label] += 1
    for key, label in now.items():  # only what the mapping names one class for, and as it says
        assert (label,) == EACH.get(last[key], (UNSURE,))
        assert last[key] != UNSURE or label == UNSURE
    for key in last.keys() - now.keys():  # the others are asked anew
        assert key[0] in asked
    votes = views.votes(ws.catalog, "content", new)
    for sample, counts in of.items():
        whole = all(label == UNSURE or len(EACH[label]) == 1 for label in counts)
        assert (sample in asked) != whole
        if whole:
            assert all((sample, who) in now for (name, who) in last if name == sample)
        was, is_ = views.consensus(counts, OLD), views.consensus(votes.get(sample, {}), AXIS.classes)
        if is_ is not None and not whole:
            assert was is not None, "a tie became a label"
            assert EACH[was.label] == (is_.label,)
    assert rows(ws, old) == before
    assert found["carried"] + found["not_carried"] == len(last)
    assert all(row["shown"] == CARRIED and row["session"] is None for row in rows(ws, new))
    if said:
        everything = state(ws)
        assert carry.carry(ws, remap)["carried"] == 0
        assert state(ws) == everything, "the same again adds something"


def test_the_journal_tells_what_the_catalog_does(shared: Workspace) -> None:
    with shared.catalog.tx() as db:
        assert shared.catalog.journal.differs(db) == 0
    assert shared.catalog.broken_links() == []


def state(ws: Workspace) -> list[Any]:
    tables = ("decisions", "queues", "queue_items", "relabels", "precedents")
    skipped = ("created_at", "at", "run")
    return [
        [{k: v for k, v in dict(row).items() if k not in skipped} for row in ws.catalog.all(f"SELECT * FROM {one}")]
        for one in tables
    ]


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    found = workspace(tmp_path / "ws", 40, NEW)
    decide(found, [(n, "ada", OLD[n % 6]) for n in range(30)])
    return found


def test_who_judged_anew_is_not_overruled_and_what_is_taken_back_is_not_carried(ws: Workspace) -> None:
    decide(ws, [(3, "ada", "nudity")], "2", 100)
    assert carry.carry(ws, REMAP)["carried"] == 19
    assert views.votes(ws.catalog, "content", "2")[IDS[3]] == {"nudity": 1}
    porn = next(row for row in rows(ws, "1") if row["sample"] == IDS[9])
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, undoes)"
            " VALUES (?, 'content', '1', 'ada', 'porn', '2026-02-01T00:00:00.000Z', 'blind', ?)",
            (IDS[9], porn["decision"]),
        )
    again = carry.carry(ws, REMAP)
    assert (again["carried"], again["taken_back"]) == (0, 1)
    assert IDS[9] not in views.votes(ws.catalog, "content", "2")
    decide(ws, [(9, "ada", "porn")], "1", 200)
    assert carry.carry(ws, REMAP)["carried"] == 1
    assert views.votes(ws.catalog, "content", "2")[IDS[9]] == {"explicit": 1}


def test_the_queue_is_worked_through_under_the_new_taxonomy(ws: Workspace) -> None:
    carry.carry(ws, REMAP)
    assert Counter(queued(ws).values()) == {"split": 5, "dropped": 5}
    journal = Journal(ws.catalog, ws.config, "relabel", "ada", Clock())
    items = journal.items()
    assert len(items) == 10
    assert all(item.blind for item in items)
    for item in items:
        journal.decide(item.sample, "suggestive", 1.0)
    carry.carry(ws, REMAP)
    assert len(queued(ws)) == 10, "what was judged stays in the queue"
    assert journal.items() == []
    assert all(views.votes(ws.catalog, "content", "2")[one] == {"suggestive": 1} for one in queued(ws))


def test_what_was_chosen_by_the_machine_stays_no_gold(ws: Workspace) -> None:
    queue(ws, "uncertain", IDS[30:33])
    decide(ws, [(30, "ada", "sexy"), (31, "ada", "porn")], "1", 300, "uncertain")
    carry.carry(ws, REMAP)
    journal = Journal(ws.catalog, ws.config, "relabel", "ada", Clock())
    for item in journal.items():
        journal.decide(item.sample, "nudity", 1.0)
    machine = views.selected_by_model(ws.catalog, "content", "2")
    assert machine == {IDS[30], IDS[31]}


def test_precedents_are_carried_and_settle(ws: Workspace) -> None:
    with ws.catalog.tx() as db:
        for n, label in ((4, "porn"), (10, "sexy")):
            row = (IDS[n], "content", "1", label, "eve", "a rule", None, "2026-01-02T00:00:00.000Z", None)
            names = "sample, axis, taxonomy, label, reviewer, reason, guideline, decided_at, run"
            db.execute(f"INSERT INTO precedents ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    carry.carry(ws, REMAP)
    assert views.precedents(ws.catalog, "content", "2") == {IDS[4]: "explicit"}
    assert IDS[4] not in queued(ws)
    assert IDS[10] in queued(ws)
    assert ws.catalog.scalar("SELECT reason FROM precedents WHERE taxonomy = '2'") == "a rule (taxonomy 1: porn)"


def test_what_sources_declare_is_read_as_the_mapping_says(ws: Workspace) -> None:
    for n, label in enumerate(("porn", "sexy", "drawings", "old", "explicit")):
        declare(ws, IDS[n], AXIS, label)
    carry.carry(ws, REMAP)
    found = samples.declared(ws.catalog, "content", taxonomy="2")
    assert [found[IDS[n]] for n in range(5)] == [("explicit",), ("sexy",), ("drawings",), ("old",), ("explicit",)]
    assert taxonomies.renamed(ws.catalog, "content", "1") == {}


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('porn = "explicit"', 'porn = "explict"', "axes.content.porn: no such class 'explict'.*mean 'explicit'"),
        ('porn = "explicit"\n', "", "no word on 'porn', which 5 decisions name"),
        ('porn = "explicit"', "porn = true", "give a class, a list of classes"),
        ('porn = "explicit"', "porn = []", "give a class, a list of classes"),
        ('sexy = ["suggestive", "nudity"]', 'sexy = ["nudity", "nudity"]', "twice"),
        ('drawings = "drawings"\nneutral = "neutral"', 'drawings = "neutral"\nneutral = "drawings"', "cycle"),
        ('version = "2"', 'version = "3"', "curate.toml has taxonomy 2"),
        ('version = "2"', 'version = "2"\nfrom = "2"', "to itself"),
        ('version = "2"', 'version = "2"\nfrom = "0"', "nobody has decided anything under taxonomy 0; there are: 1"),
        ('version = "2"', "version = 2", "not a string"),
        ("[axes.content]", "[axes.contents]", "no such axis; did you mean 'content'"),
        ('version = "2"', 'version = "2"\nreasons = "x"', "no such key; did you mean 'reason'"),
        ("old = false", "old = false\nunsure = false", "unsure"),
        ("[axes.content]", "[[axes]]", "axes: say of each axis"),
    ],
)
def test_a_mapping_that_is_none_changes_nothing(ws: Workspace, old: str, new: str, why: str, tmp_path: Path) -> None:
    before = state(ws)
    assert old in FILE
    path = tmp_path / "mapping.toml"
    path.write_text(FILE.replace(old, new))
    with pytest.raises(UsageError, match=f"mapping.toml: .*{why}"):
        relabelled(Session(tmp_path, quiet=True), ws, path)
    assert state(ws) == before


def test_what_was_safe_and_what_was_not_do_not_become_one_safe_class(ws: Workspace) -> None:
    report = {"taxonomy": "1", "classes": list(OLD), "safe": ["drawings", "neutral"]}
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO labellings VALUES ('content', 'x', ?, NULL)", (json.dumps(report),))
    wrong: dict[str, tuple[str, ...]] = {**EACH, "sexy": ("neutral",)}
    with pytest.raises(UsageError, match="'neutral', which was safe, and 'sexy', which was not, both become"):
        carry.carry(ws, Remap("2", "1", "", {"content": wrong}))
    with pytest.raises(
        UsageError, match=r"axes\.content\.prn: the earlier taxonomy had no such class; did you mean 'porn'"
    ):
        carry.carry(ws, Remap("2", "1", "", {"content": {**EACH, "prn": ("explicit",)}}))


def test_a_second_mapping_and_a_way_back_are_refused(ws: Workspace) -> None:
    carry.carry(ws, REMAP)
    with pytest.raises(UsageError, match="by another mapping before"):
        carry.carry(ws, Remap("2", "1", "", {"content": {**EACH, "old": ("neutral",)}}))
    ws.config = Config(taxonomy=Taxonomy("1", None, (Axis("content", OLD, ("neutral",), ()),)))
    back = dict.fromkeys(AXIS.classes, ("neutral",))
    with pytest.raises(UsageError, match="in a circle"):
        carry.carry(ws, Remap("1", "2", "", {"content": back}))


def test_decisions_of_further_versions_are_named(ws: Workspace) -> None:
    decide(ws, [(35, "ada", "porn")], "0", 400)
    with pytest.raises(UsageError, match=r"several versions: 0 \(1 decisions\), 1 \(30 decisions\); say which"):
        carry.carry(ws, Remap("2", None, "", {"content": EACH}))
    assert carry.carry(ws, REMAP)["others"] == {"0": 1}
    assert carry.carry(ws, Remap("2", "0", "", {"content": {"porn": ("explicit",)}}))["carried"] == 1


# -- killed ----------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from curate.label.taxonomy import carry
from tests.label.test_relabel import NEW, REMAP
from curate.store.workspace import Workspace

ws, at = Workspace(Path(sys.argv[1]), NEW), sys.argv[2]
kept = getattr(carry, at)
def killed(*args):
    kept(*args)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(carry, at, killed)
carry.carry(ws, REMAP)
"""


def test_killed_anywhere_the_same_again_comes_to_the_same(tmp_path: Path) -> None:
    found = []
    for n, at in enumerate(("", "_queue")):
        ws = workspace(tmp_path / str(n), 40, NEW)
        decide(ws, [(n, "ada", OLD[n % 6]) for n in range(30)])
        if at:
            ws.close()
            done = subprocess.run([sys.executable, "-c", KILLED, str(ws.root), at], check=False, env=os.environ)
            assert done.returncode == -signal.SIGKILL
            ws = Workspace(ws.root, NEW)
            assert rows(ws, "2") == []
            assert len(rows(ws, "1")) == 30
        carry.carry(ws, REMAP)
        assert ws.catalog.broken_links() == []
        found.append(state(ws))
        ws.close()
    assert found[0] == found[1]


def test_a_release_names_the_change(ws: Workspace) -> None:
    carry.carry(ws, REMAP)
    (change,) = carry.history(ws)
    assert (change["from"], change["to"], change["reason"], change["carried"]) == ("1", "2", "the law changed", 20)
    assert change["axes"]["content"]["sexy"] == ["suggestive", "nudity"]
