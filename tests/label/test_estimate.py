"""`curate estimate`: figures from audited decisions, what they rest on, and what they refuse to say."""

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.admin.stages import estimated
from curate.errors import UsageError
from curate.label.estimate.plan import Wanted
from curate.label.estimate.run import lines
from curate.records import Taxonomy
from curate.review.decisions_csv import export_csv, import_csv
from curate.review.draw import Draw, queue
from curate.review.journal import Journal
from curate.review.queues.audit import Audit
from curate.screening.quarantine import quarantine
from curate.store import views
from curate.store.workspace import Workspace
from tests.support.queues import IDS, Clock, weak, workspace
from tests.support.samples import judge

NONE = (None, None, "not_safe")


def score(n: int) -> float | None:
    """Of 200: 120 surely neutral, 30 surely porn, 30 between, 20 without a label."""
    if n >= 180:
        return None
    return 0.02 if n < 120 else 0.95 if n < 150 else 0.3 + (n - 150) / 100


def truth(sample: str) -> str:
    """What a reviewer says: of the low scores one in twelve is porn, of the others what their score makes likely."""
    n = IDS.index(sample)
    return "porn" if (n % 12 == 0 if (p := score(n)) is None or p < 0.1 else n % 10 < 10 * p) else "neutral"


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    found = workspace(tmp_path / "ws", 200)
    weak(found, {name: (score(n), []) for n, name in enumerate(IDS)})
    return found


def audit(ws: Workspace, size: int, answer: Callable[[str], str | None] = truth, again: bool = False) -> str:
    """An audit of this size, judged as `answer` says; None: left."""
    name = str(queue(ws, Audit(), Draw(size=size, again=again))["queue"])
    decide(ws, name, answer)
    return name


def decide(ws: Workspace, name: str, answer: Callable[[str], str | None] = truth) -> None:
    """What is open of a queue is judged, as `Journal.decide` records it, in one transaction."""
    sql = """
    INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, queue, inclusion, session,
    seconds) VALUES (?, 'content', '1', 'ada', ?, ?, 'blind', ?, ?, 1, 4.0)
    """
    open_ = Journal(ws.catalog, ws.config, name, "ada", Clock()).items()
    chance = {
        row[0]: row[1] for row in ws.catalog.all("SELECT sample, inclusion FROM queue_items WHERE queue = ?", (name,))
    }
    said, at = {one.sample: answer(one.sample) for one in open_}, f"2026-01-{len(name):02d}T00:00:00.000Z"
    with ws.catalog.tx() as db:
        db.executemany(sql, ((one, label, at, name, chance[one]) for one, label in said.items() if label is not None))


def asked(ws: Workspace, plan: str | None = None, score: Any = NONE, queue: str | None = None) -> dict[str, Any]:
    return dict(estimated(ws, None, queue, score, plan))


def figure(said: dict[str, Any], what: str, cls: str = "not_safe", score: str = "labels") -> dict[str, Any]:
    found = [one for one in said["figures"] if (one["what"], one["class"], one["score"]) == (what, cls, score)]
    return dict(found[0])


def test_an_audit_of_all_gives_the_truth(ws: Workspace) -> None:
    """Nothing is left to guess; labels that the audit itself mended are held against it as they were before."""
    audit(ws, 200)
    said = asked(ws)
    called = {name for n, name in enumerate(IDS) if (score(n) or 0) > 0.5}
    porn = {name for name in IDS if truth(name) == "porn"}
    expected = {
        "prevalence": len(porn) / 200, "precision": len(called & porn) / len(called),
        "recall": len(called & porn) / len(porn), "false_alarm_rate": len(called - porn) / (200 - len(porn)),
    }  # fmt: skip
    for cls in ("not_safe", "porn"):
        for what, value in expected.items():
            found = figure(said, what, cls)
            assert found["value"] == pytest.approx(value, abs=1e-4)
            assert (found["low"], found["high"]) == pytest.approx((value, value), abs=1e-3)
            assert (found["n"], found["planned"], found["design"]) == (200, 200, "fixed")
    assert figure(said, "recall", "hentai")["value"] is None
    assert said["not_called"] == {"labels": {"contradicted": 0.0, "unlabelled": 0.1}}
    assert said["frame"]["n"] == 200
    assert said["frame"]["current"]


def test_what_is_drawn_stands_for_its_stratum(ws: Workspace) -> None:
    audit(ws, 80)
    said = asked(ws)
    found = figure(said, "prevalence")
    positive = sum(
        one["size"] / one["judged"] * sum(truth(row["sample"]) == "porn" for row in drawn(ws, one["name"]))
        for one in said["strata"]
    )
    assert found["value"] == pytest.approx(positive / 200, abs=1e-4)
    assert found["low"] < found["value"] < found["high"]
    assert sum(one["size"] for one in said["strata"]) == 200
    json.dumps(said)
    assert any(line.strip().startswith("recall of not_safe") for line in lines(said))


def drawn(ws: Workspace, stratum: str) -> list[Any]:
    return ws.catalog.all("SELECT sample FROM queue_items WHERE queue = 'audit' AND stratum = ?", (stratum,))


def test_who_looks_early_sees_wider_intervals_that_say_so(ws: Workspace) -> None:
    left = iter(range(1000))
    audit(ws, 80, lambda sample: truth(sample) if next(left) < 60 else None)
    early = asked(ws)
    assert figure(early, "prevalence")["design"] == "sequence"
    assert (figure(early, "prevalence")["n"], figure(early, "prevalence")["planned"]) == (60, 80)
    assert any(line.startswith("audit: 60 of 80 planned decisions") for line in lines(early))
    decide(ws, "audit")
    late = asked(ws)
    assert figure(late, "prevalence")["design"] == "fixed"
    wide, narrow = (figure(one, "prevalence")["high"] - figure(one, "prevalence")["low"] for one in (early, late))
    assert wide > 1.3 * narrow


def test_what_cannot_be_judged_widens_both_ends(ws: Workspace) -> None:
    """Unsure, skipped, and gone: each may be either."""
    audit(ws, 200)
    whole = figure(asked(ws), "prevalence")
    other = workspace(ws.root.parent / "other", 200)
    weak(other, {name: (score(n), []) for n, name in enumerate(IDS)})
    audit(
        other,
        200,
        lambda one: "unsure" if IDS.index(one) % 20 == 1 else None if IDS.index(one) % 20 in (2, 3) else truth(one),
    )
    journal = Journal(other.catalog, other.config, "audit", "ada", Clock())
    for item in journal.items():
        if IDS.index(item.sample) % 20 == 2:
            journal.skip(item.sample)
        elif IDS.index(item.sample) % 20 == 3:
            quarantine(other.catalog, item.sample, "held", actor="test")
    said = asked(other)
    assert {k: said["decisions"][k] for k in ("unsure", "skipped", "gone", "open")} == {
        "unsure": 10, "skipped": 10, "gone": 10, "open": 0,
    }  # fmt: skip
    found = figure(said, "prevalence")
    assert found["low"] <= whole["value"] <= found["high"]
    assert found["high"] - found["low"] == pytest.approx(0.15, abs=0.01)  # 30 of 200, and nothing else is unknown
    assert figure(said, "recall")["high"] - figure(said, "recall")["low"] > 0.15


def test_a_removed_item_is_unknown_too(ws: Workspace) -> None:
    audit(ws, 200)
    with ws.catalog.tx() as db:
        db.execute("DELETE FROM queue_items WHERE sample = ?", (IDS[0],))
    said = asked(ws)
    assert said["decisions"]["gone"] == 1
    assert figure(said, "prevalence")["high"] - figure(said, "prevalence")["low"] == pytest.approx(1 / 200, abs=1e-3)


def test_the_frame_is_the_draws_and_not_todays(ws: Workspace) -> None:
    audit(ws, 80)
    before = asked(ws)
    quarantine(ws.catalog, next(one for one in IDS if not drawn_here(ws, one)), "held", actor="test")
    after = asked(ws)
    assert (before["frame"]["current"], after["frame"]["current"]) == (True, False)
    assert before["frame"]["sha256"] == after["frame"]["sha256"]
    assert any("other items by now" in line for line in lines(after))
    assert figure(before, "prevalence") == figure(after, "prevalence")
    for what in ("precision", "recall"):  # nobody knows any more which strata hold what is called
        assert figure(after, what)["value"] == figure(before, what)["value"]


def drawn_here(ws: Workspace, sample: str) -> bool:
    return ws.catalog.scalar("SELECT 1 FROM queue_items WHERE sample = ?", (sample,)) is not None


def test_each_draw_stands_alone(ws: Workspace) -> None:
    audit(ws, 60)
    assert audit(ws, 80, again=True) == "audit-2"
    assert asked(ws)["queue"] == "audit-2"
    assert asked(ws, queue="audit")["figures"][0]["planned"] == 60
    with pytest.raises(UsageError, match="no audit 'audti' of axis content; did you mean 'audit"):
        asked(ws, queue="audti")


def test_a_second_audit_learns_from_the_first(ws: Workspace) -> None:
    """Where nothing is ever wrong, less is asked."""
    audit(ws, 150, lambda one: "porn" if (score(IDS.index(one)) or 0) > 0.5 else "neutral")
    plain = Audit(even=0.17)
    first = queue(ws, plain, Draw(size=60, again=True))["strata"]
    second = queue(ws, Audit(), Draw(size=60, again=True))["strata"]
    assert {name: one["n"] for name, one in first.items()} != {name: one["n"] for name, one in second.items()}
    rows = ws.catalog.all("SELECT inclusion FROM queue_items WHERE queue = 'audit-3'")
    assert sum(1 / row[0] for row in rows) == pytest.approx(200)


def test_one_stratum_is_clopper_pearson(tmp_path: Path) -> None:
    ws = workspace(tmp_path / "ws", 200)
    weak(ws, {name: (0.01, []) for name in IDS})
    audit(ws, 40, lambda one: "porn" if IDS.index(one) % 10 == 0 else "neutral")
    said = asked(ws)
    assert [one["name"] for one in said["strata"]] == ["0.00-0.20"]
    assert figure(said, "precision")["value"] is None
    assert figure(said, "recall")["value"] == 0
    assert figure(said, "prevalence")["low"] > 0


def test_a_stratum_without_a_decision_is_allowed_for(ws: Workspace) -> None:
    audit(ws, 80, lambda one: None if (score(IDS.index(one)) or 0) > 0.9 else truth(one))
    said = asked(ws)
    assert figure(said, "prevalence")["high"] > figure(said, "prevalence")["low"] + 30 / 200
    assert any("nothing of 30 is judged" in line for line in lines(said))


# -- scores ----------------------------------------------------------------------------------------------------------


def scores(tmp_path: Path, values: dict[str, Any], head: str = "sha256,score") -> str:
    path = tmp_path / "scores.csv"
    path.write_text("\n".join([head, *(f"{name},{value}" for name, value in values.items())]) + "\n")
    return str(path)


def test_a_score_of_a_file_is_judged_beside_the_labels(ws: Workspace, tmp_path: Path) -> None:
    audit(ws, 200)
    perfect: dict[str, Any] = {name: 0.9 if truth(name) == "porn" else 0.1 for name in IDS}
    perfect[IDS[0]] = "nan"  # porn
    del perfect[IDS[12]]  # porn
    said = asked(ws, score=(scores(tmp_path, perfect), 0.5, "not_safe"))
    name = str(tmp_path / "scores.csv")
    n = sum(truth(one) == "porn" for one in IDS)
    assert figure(said, "recall", score=name)["value"] == pytest.approx((n - 2) / n, abs=1e-4)
    assert figure(said, "precision", score=name)["value"] == 1
    assert said["not_called"][name] == {"unscored": 0.01}
    assert figure(said, "recall")["value"] < 1


@pytest.mark.parametrize(
    ("values", "threshold", "says"),
    [
        (dict.fromkeys(IDS, 0.5), 0.5, "it is 0.5 for all 200; no threshold parts these"),
        (dict.fromkeys(IDS, "nan"), 0.5, "no item of the audit's frame has one"),
        ({"f" * 64: 1}, 0.5, "no item of the audit's frame has one"),
        ({IDS[0]: "high"}, 0.5, "scores.csv:2: score: 'high' is no number"),
        ({IDS[0]: 1}, float("nan"), "--threshold: nan parts nothing"),
        ({IDS[0]: 1}, None, "--score and --threshold go together"),
    ],
)
def test_a_score_that_says_nothing_is_refused(
    ws: Workspace, tmp_path: Path, values: Any, threshold: Any, says: str
) -> None:
    audit(ws, 60)
    with pytest.raises(UsageError, match=says.replace("(", r"\(")):
        asked(ws, score=(scores(tmp_path, values), threshold, "not_safe"))


def test_a_score_that_is_not_there_is_named(ws: Workspace, tmp_path: Path) -> None:
    audit(ws, 60)
    with pytest.raises(UsageError, match="no such column 'open_nfsw'; no labeler has any"):
        asked(ws, score=("open_nfsw", 0.5, "not_safe"))
    with pytest.raises(UsageError, match="needs the columns sha256 and score; there are: id, score"):
        asked(ws, score=(scores(tmp_path, {IDS[0]: 1}, "id,score"), 0.5, "not_safe"))
    with pytest.raises(UsageError, match="--class: no such class 'prn'; did you mean 'porn'"):
        asked(ws, score=("x", 0.5, "prn"))


# -- what there is nothing to say of -----------------------------------------------------------------------------------


def test_without_an_audit_it_says_what_comes_next(ws: Workspace) -> None:
    with pytest.raises(UsageError, match="nobody has judged an audit of axis content: `curate queue audit`, then"):
        asked(ws)
    queue(ws, Audit(), Draw(size=60))
    with pytest.raises(UsageError, match="content: `curate review audit --reviewer NAME`"):
        asked(ws)


def test_an_audit_of_another_taxonomy_is_refused(ws: Workspace) -> None:
    audit(ws, 60)
    ws.config = dataclasses.replace(ws.config, taxonomy=Taxonomy("2", axes=ws.config.taxonomy.axes))
    with pytest.raises(UsageError, match=r"is of taxonomy 1, and curate\.toml has 2; `curate queue audit --again`"):
        asked(ws)


# -- planning ----------------------------------------------------------------------------------------------------------


def test_a_plan_costs_decisions_and_hours(ws: Workspace) -> None:
    audit(ws, 120)
    wide, narrow = (asked(ws, f"prevalence={half}")["plan"] for half in (0.1, 0.03))
    assert 5 <= wide["decisions"] < narrow["decisions"] <= 200
    assert narrow["hours"] == pytest.approx(narrow["decisions"] * 4 / 3600, abs=0.001)
    assert asked(ws, "recall:porn=0.2")["plan"]["what"] == "recall:porn"
    assert list(lines(asked(ws, "recall=0.2")))[-1].startswith("plan: recall:not_safe within 0.2: ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("recal=0.02", "no such figure 'recal'; did you mean 'recall'"),
        ("recall", "say how wide, as in recall=0.02"),
        ("recall=0", "above 0"),
        ("recall=nan", "above 0"),
        ("recall=x", "above 0"),
    ],
)
def test_a_plan_that_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Wanted.read(text)


def test_a_plan_of_no_class_is_refused(ws: Workspace) -> None:
    audit(ws, 60)
    with pytest.raises(UsageError, match="--plan: no such class 'prn'; did you mean 'porn'"):
        asked(ws, "recall:prn=0.1")


# -- decisions that come back ------------------------------------------------------------------------------------------


def test_what_was_exported_counts_as_audited_where_it_is_of_this_draw(ws: Workspace, tmp_path: Path) -> None:
    """A second copy of the workspace, whose decisions are lost, takes them back from the file."""
    audit(ws, 80)
    export_csv(ws, tmp_path / "said.csv")
    other = workspace(tmp_path / "other", 200)
    weak(other, {name: (score(n), []) for n, name in enumerate(IDS)})
    queue(other, Audit(), Draw(size=80))
    import_csv(other, tmp_path / "said.csv")
    assert len(views.audited(other.catalog, "content", "1")) == 80
    assert asked(other)["figures"] == asked(ws)["figures"]


@pytest.mark.parametrize(
    ("column", "value"), [("queue", ""), ("inclusion", ""), ("inclusion", "0.123"), ("shown", "imported")]
)
def test_an_imported_row_that_lacks_one_of_the_three_is_a_label_and_no_more(
    ws: Workspace, tmp_path: Path, column: str, value: str
) -> None:
    audit(ws, 80)
    export_csv(ws, tmp_path / "said.csv")
    with (tmp_path / "said.csv").open(newline="") as file:
        rows = [row | {column: value} for row in csv.DictReader(file)]
    with (tmp_path / "said.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    other = workspace(tmp_path / "other", 200)
    weak(other, {name: (score(n), []) for n, name in enumerate(IDS)})
    queue(other, Audit(), Draw(size=80))
    assert import_csv(other, tmp_path / "said.csv")["added"] == 80
    assert views.audited(other.catalog, "content", "1") == []


# -- whose labels ------------------------------------------------------------------------------------------------------


def test_labels_that_people_gave_elsewhere_are_judged_as_they_stand(ws: Workspace) -> None:
    for name in IDS[:120:12]:  # all that is porn among these
        judge(ws, name, truth(name), "bob")
    audit(ws, 200)
    wrong = [name for n, name in enumerate(IDS) if n >= 180 and truth(name) == "porn"]
    missed = [n for n in range(120, 180) if (score(n) or 0) <= 0.5 and truth(IDS[n]) == "porn"]
    porn = sum(truth(name) == "porn" for name in IDS)
    recall = figure(asked(ws), "recall")["value"]
    assert recall == pytest.approx(1 - (len(wrong) + len(missed)) / porn, abs=1e-4)


@pytest.mark.parametrize(
    ("plugin", "options", "natural"),
    [
        ("commons", {"uploads": [{"mode": "window"}], "categories": []}, True),
        ("commons", {"uploads": [{"mode": "window"}], "categories": [{"title": "x"}]}, False),
        ("local", {}, False),
    ],
)
def test_prevalence_is_natural_only_over_uploads(ws: Workspace, plugin: str, options: Any, natural: bool) -> None:
    audit(ws, 60)
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO candidates (candidate, kind, locator, state) VALUES (1, 'url', 'u', 'stored')")
        db.execute("INSERT INTO sources (source, plugin, options) VALUES ('s', ?, ?)", (plugin, json.dumps(options)))
        db.execute("INSERT INTO mentions (candidate, source, ref) VALUES (1, 's', 'x')")
    assert asked(ws)["frame"]["natural"] is natural


def test_a_workspace_of_another_axis_says_which_there_are(ws: Workspace) -> None:
    with pytest.raises(UsageError, match="--axis: no such axis 'contnt'; did you mean 'content'"):
        estimated(ws, "contnt", None, NONE, None)
