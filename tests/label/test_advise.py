"""Functions that only advise: what audits let go of, and nothing else."""

import dataclasses
import json
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from curate.config import Config, ExportConfig, LabelConfig
from curate.errors import UsageError
from curate.fingerprint import fingerprint
from curate.label import advice
from curate.label.functions import Functions
from curate.records import Axis
from curate.release.export import export
from curate.review.draw import Draw, queue
from curate.review.journal import Journal
from curate.review.queues.audit import Audit
from curate.stats.intervals import at_most
from curate.store.workspace import Workspace
from tests.support.labelling import QUIET, configured, functions, ways
from tests.support.labelling import run_unscored as run
from tests.support.queues import IDS, workspace
from tests.support.queues import queue as as_drawn
from tests.support.releases import SCREENED, Item, stocked
from tests.support.samples import declare

AXIS = Axis(borderline=("sexy",))


def audited(ws: Workspace, asked: Functions, ids: Sequence[str], n: int, misses: int = 0, name: str = "audit") -> None:
    """Blind decisions on an audit's first n items, of which some say porn; it was drawn from some samples after they
    were labelled, when no function was set to advise yet."""
    config = ws.config
    configured(ws)
    run(ws, asked)
    advice.record(ws, AXIS, name, ids)
    ws.config = config
    as_drawn(ws, name, ids[:n], blind=True, inclusion=0.5)
    journal = Journal(ws.catalog, ws.config, name, "ada")
    for place, one in enumerate(ids[:n]):
        journal.decide(one, "porn" if place < misses else "neutral")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 30 decisions, and one miss in ten, were enough: 300 take long to make."""
    monkeypatch.setattr(advice, "AUDITED", 30)
    monkeypatch.setattr(advice, "MISSES", 0.1)


def test_three_hundred_without_a_miss_bound_them_to_one_in_a_hundred() -> None:
    assert (advice.AUDITED, advice.MISSES) == (300, 0.01)
    assert at_most(0, advice.AUDITED) <= advice.MISSES < at_most(1, advice.AUDITED)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("n", "misses", "refused"),
    [(30, 0, None), (29, 0, "29 audited decisions"), (30, 1, "30 audited decisions .* 1 of them not safe: 14.9%")],
)
def test_a_function_may_advise_where_audits_bound_its_misses(
    tmp_path: Path, n: int, misses: int, refused: str | None
) -> None:
    ws = configured(workspace(tmp_path, 40), advise=("odd",))
    asked = functions(a=dict.fromkeys(IDS[:40], "neutral"), b=dict.fromkeys(IDS[:40], "neutral"),
                      odd=dict.fromkeys(IDS[:40], "porn"))  # fmt: skip
    with pytest.raises(UsageError, match="0 audited decisions on what it alone keeps back"):
        run(ws, asked)
    assert ws.catalog.scalar("SELECT count(*) FROM labellings") == 0
    audited(ws, asked, IDS[:40], n, misses)
    if refused is not None:
        with pytest.raises(UsageError, match=refused):
            run(ws, asked)
        assert ways(ws, IDS[39]) == "contradicted"
        return
    assert run(ws, asked)["contradicted"] == 0
    assert ways(ws, IDS[39]) == "neutral"
    declare(ws, IDS[38], AXIS, "porn")
    assert ways(ws, IDS[38]) == "contradicted", "what others say counts as before"


@pytest.mark.usefixtures("small")
def test_a_release_says_who_only_advised(tmp_path: Path) -> None:
    items = [Item(f"n{n}", "train" if n % 3 else "test") for n in range(31)]
    shares = ExportConfig(splits={"train": 0.8, "val": 0.0, "test": 0.2})
    config = dataclasses.replace(Config(), label=LabelConfig(advise=("odd",)), export=shares)
    ws = stocked(tmp_path, items, config)
    ids = sorted(item.id for item in items)
    asked = functions(a=dict.fromkeys(ids, "neutral"), odd=dict.fromkeys(ids, "porn"))
    audited(ws, asked, ids, len(ids))
    run(ws, asked)
    export(ws, "1.0.0", {}, QUIET, SCREENED)
    header = (ws.work / "releases" / "1.0.0" / "release.json").read_text()
    assert '"advise": {\n  "content": {\n   "odd": {\n    "at_most": 0.0921,\n    "audited": 31,' in header


def odd(n: int, *more: str, without: Collection[str] = ()) -> Functions:
    """One function calls n samples neutral, another one porn, but for some; and so do further ones."""
    every = dict.fromkeys(IDS[:n], "neutral")
    flagged = {one: "porn" for one in IDS[:n] if one not in without}
    return functions(a=every, b=every, odd=flagged, **dict.fromkeys(more, flagged))


@pytest.mark.usefixtures("small")
def test_what_no_audit_saw_is_kept_back_as_before(tmp_path: Path) -> None:
    """Samples that came since, and samples that the function did not flag then, are nobody's who advises."""
    ws = configured(workspace(tmp_path, 45), advise=("odd",))
    late = {*IDS[40:45], IDS[39]}
    audited(ws, odd(40, without=late), IDS[:40], 35)
    found = run(ws, odd(45))
    assert found["contradicted"] == len(late)
    assert {one: ways(ws, one) for one in IDS[:45]} == {
        one: "contradicted" if one in late else "neutral" for one in IDS[:45]
    }
    said = json.loads(ws.catalog.scalar("SELECT report FROM labellings"))["advise"]["odd"]
    assert (said["audited"], said["unaudited"]) == (35, len(late))


@pytest.mark.usefixtures("small")
def test_what_another_function_kept_back_too_was_not_audited(tmp_path: Path) -> None:
    """Two functions kept it back; one of them is gone, and the other one alone does now."""
    ws = configured(workspace(tmp_path, 40), advise=("odd",))
    audited(ws, odd(40, "other"), IDS[:40], 40)
    with pytest.raises(UsageError, match="0 audited decisions on what it alone keeps back"):
        run(ws, odd(40))


@pytest.mark.usefixtures("small")
def test_an_audit_of_many_speaks_for_what_it_was_drawn_from_alone(tmp_path: Path) -> None:
    """Three decisions of a later audit let nothing go, and one miss among them counts."""
    ws = configured(workspace(tmp_path, 80), advise=("odd",))
    audited(ws, odd(40), IDS[:40], 31)
    audited(ws, odd(80), IDS[:80], 3, name="audit-2")
    assert run(ws, odd(80))["contradicted"] == 40
    assert ways(ws, IDS[0]) == "neutral"
    assert ways(ws, IDS[79]) == "contradicted"
    journal = Journal(ws.catalog, ws.config, "audit-2", "bob")
    for one in IDS[:3]:
        journal.decide(one, "porn")
    with pytest.raises(UsageError, match=r"31 audited decisions .* 3 of them not safe"):
        run(ws, odd(80))


@pytest.mark.usefixtures("small")
def test_an_audit_notes_what_it_was_drawn_from(tmp_path: Path) -> None:
    ws = workspace(tmp_path, 40)
    declare(ws, IDS[0], AXIS, "porn")
    run(ws, odd(40, without=IDS[1:9]))
    queue(ws, Audit(strata=1), Draw(size=40))
    noted = ws.table(advice.NAME, fingerprint("audit")).read()
    assert noted is not None
    assert noted.to_pydict() == {"id": sorted(IDS[9:40]), "by": [["odd"]] * 31}


def test_an_advisor_that_is_none_is_named(tmp_path: Path) -> None:
    ws = configured(workspace(tmp_path, 2), advise=("od",))
    with pytest.raises(UsageError, match=r"label.advise: no labelling function 'od'; did you mean 'odd'\?"):
        run(ws, functions(odd={IDS[0]: "porn"}))
