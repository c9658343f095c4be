"""A source is what it lists, whoever approves it; what is only planned, or named no more, is not asked for."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import curate
from curate.fetch import known
from curate.fetch.listing import source_id
from curate.fingerprint import canonical
from curate.label import final
from curate.plugins import options_of
from curate.project import Project
from curate.store import holds
from curate.store.catalog import CONFIGURED
from sources.urllist import Urllist
from tests.support.handed_on import picture
from tests.support.web import Web, serving

N = 4
CONFIG = """
[fetch]
contact = "a@example.org"
allow_private = ["{origin}"]
rate = 1000.0
[engine]
use = "serial"
[screening]
required = {required}
{lists}
"""
LIST = '[[screening.lists]]\nuse = "lines"\npath = "none.txt"\nprovider = "self"\n'
APPROVED = 'reason = "a study"\napproved_by = "Ann"\n'

Configured = Callable[..., Project]


@pytest.fixture(scope="module")
def site() -> Iterator[Web]:
    with serving({f"/{n}.png": picture(n) for n in range(N)}) as found:
        yield found


@pytest.fixture
def project(site: Web, tmp_path: Path) -> Configured:
    """The workspace with these URL lists in curate.toml, each with its class and what else its table has; screened."""
    (tmp_path / "none.txt").write_text("d" * 32 + "\n")
    for name, numbers in (("bad", (0, 1)), ("good", (2, 1)), ("wrong", (3,))):
        (tmp_path / f"{name}.txt").write_text("".join(site.url(f"/{n}.png\n") for n in numbers))

    def made(*tables: tuple[str, str, str], screened: bool = True) -> Project:
        text = CONFIG.format(origin=site.origin, required=str(screened).lower(), lists=LIST * screened)
        for name, label, more in tables:
            text += f'[[sources]]\nuse = "urllist"\npath = "{name}.txt"\nlabel = "{label}"\n{more}'
        (tmp_path / "curate.toml").write_text(text)
        return curate.open(tmp_path, quiet=True)

    return made


def sources(one: Project) -> list[dict[str, Any]]:
    return list(one.status()["sources"])


def test_a_plan_before_somebody_approves_leaves_no_former_source(project: Configured) -> None:
    before = project(("bad", "porn", ""))
    assert before.plan()["items"] == 2
    for approval in (APPROVED, APPROVED.replace("Ann", "Bob"), ""):
        one = project(("bad", "porn", approval))
        one.plan()
        if approval:
            assert one.fetch()["stored"] == 2
        (found,) = sources(one)
        assert (found["candidates"], found.get("former")) == (2, None)
    with one.session.open() as ws:
        said = [tuple(row) for row in ws.catalog.all("SELECT reason, approved_by FROM approvals ORDER BY 2")]
    assert said == [("a study", "Ann"), ("a study", "Bob")], "who answered once is on record still"


def test_a_release_names_all_who_answered(project: Configured) -> None:
    for who in ("Ann", "Bob"):
        one = project(("bad", "porn", APPROVED.replace("Ann", who)))
        one.fetch()
    from curate.release.header import _approvals

    with one.session.open() as ws:
        assert [said["approved_by"] for said in _approvals(ws)] == ["Ann", "Bob"]


def as_earlier(one: Project) -> str:
    """The workspace as it was when reason and approval were part of a source's name: with a source from a plan before
    there were any, one from a fetch, and what its list holds back; the name of the latter."""
    with one.session.drive("earlier") as ws, ws.catalog.tx() as db:
        db.execute("PRAGMA defer_foreign_keys = ON")
        (name, options) = db.execute("SELECT source, options FROM sources").fetchone()
        old = "urllist:0123456789ab"
        db.execute("INSERT INTO sources SELECT ?, plugin, ?, cursor, listed, stamp, version, listed_at FROM sources",
                   (old, canonical(json.loads(options) | {"reason": "a study", "approved_by": "Ann"})))  # fmt: skip
        for table in ("mentions", "declared"):
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            picked = ", ".join("?1" if column == "source" else column for column in columns)
            db.execute(f"INSERT INTO {table} SELECT {picked} FROM {table}", (old,))
        db.execute("UPDATE sources SET options = ? WHERE source = ?", (canonical(json.loads(options)), name))
        db.execute("DELETE FROM mentions WHERE source = ? AND candidate = 1", (name,))
        db.execute("DELETE FROM approvals")
        db.execute("UPDATE meta SET value = ? WHERE key = ?", (canonical([old]), CONFIGURED))
        db.execute("INSERT INTO quarantine VALUES ('list', ?, NULL, 'why', 'now')", (f"{old} bad.txt:",))
    return old


def test_a_workspace_from_before_knows_its_sources_again(project: Configured, site: Web) -> None:
    one = project(("bad", "porn", APPROVED))
    one.fetch()
    old = as_earlier(one)
    with one.session.open() as ws:
        held = holds.held(ws.catalog)
    assert len(held) == 2
    assert len(sources(one)) == 2
    site.asked.clear()
    one = project(("bad", "porn", APPROVED.replace("Ann", "Bob")))
    assert one.fetch()["asked"] == 0
    assert not site.asked
    (found,) = sources(one)
    assert (found["candidates"], found["stored"], found.get("former")) == (2, 2, None)
    with one.session.open() as ws:
        assert holds.held(ws.catalog) == held, "what its list holds back stays held"
        assert ws.catalog.scalar("SELECT count(*) FROM mentions WHERE source = ?", (old,)) == 0
        assert ws.catalog.scalar("SELECT count(*) FROM declared") == 2
        assert {row[0] for row in ws.catalog.all("SELECT approved_by FROM approvals")} == {"Ann", "Bob"}
    assert one.verify()["items"] == []


def test_a_list_that_moved_and_that_somebody_else_approves_is_known_again(project: Configured, tmp_path: Path) -> None:
    one = project(("bad", "porn", APPROVED))
    one.fetch()
    with one.session.drive("hold") as ws, ws.catalog.tx() as db:
        name = source_id(Urllist(tmp_path / "bad.txt", "porn"))
        db.execute("INSERT INTO quarantine VALUES ('list', ?, NULL, 'why', 'now')", (f"{name} bad.txt:",))
    (tmp_path / "there").mkdir()
    shutil.copy2(tmp_path / "bad.txt", tmp_path / "there/bad.txt")
    one = project(("there/bad", "porn", APPROVED.replace("Ann", "Bob")))
    one.fetch()
    (found,) = sources(one)
    assert found["candidates"] == 2
    with one.session.open() as ws:
        assert len(holds.held(ws.catalog)) == 2
        assert {row[0] for row in ws.catalog.all("SELECT approved_by FROM approvals")} == {"Ann", "Bob"}


def test_a_source_that_has_one_of_the_two_options_is_named_by_it() -> None:
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Posts:
        path: str
        reason: str | None = None

    assert source_id(Posts("a", "spam")) != source_id(Posts("a", "rude"))  # type: ignore[arg-type]
    names = {source_id(Urllist(Path("a"), reason=why, approved_by=who)) for why in (None, "x") for who in (None, "y")}
    assert len(names) == 1
    assert source_id(Urllist(Path("a"), license="CC0")) not in names
    assert options_of(Urllist(Path("a"), reason="x"))["reason"] == "x"


def test_what_was_only_planned_and_is_named_no_more_is_forgotten(project: Configured, site: Web) -> None:
    good, wrong = ("good", "neutral", ""), ("wrong", "neutral", "")
    project(wrong).plan()
    one = project(good)
    one.plan()
    assert [found["candidates"] for found in sources(one)] == [2]
    project(good, wrong).plan()
    one = project(good)
    site.asked.clear()
    assert one.fetch()["candidates"] == 2
    assert "/3.png" not in site.asked
    project(wrong).plan()
    assert project(good).fetch()["candidates"] == 2, "what was fetched is a source still"
    one = project(wrong)
    one.fetch()
    assert {found["candidates"]: found.get("former") for found in sources(one)} == {2: True, 1: None}


def test_what_curate_toml_names_no_more_is_not_asked_for(project: Configured, site: Web) -> None:
    """It was admitted under other rules, or by a plan, which asks no gate: nothing of it is stored unscreened."""
    good = ("good", "neutral", "")
    project(("bad", "porn", APPROVED), ("wrong", "porn", APPROVED)).fetch(limit=1)
    site.asked.clear()
    found = project(good, screened=False).fetch()
    assert {path for path, n in site.asked.items() if n} == {"/2.png", "/robots.txt"}
    assert (found["pending"], found["not_asked"]) == (2, 1), "another list calls it not safe that this one names"
    assert project(good, screened=True).fetch()["pending"] == 1, "a list is loaded; the other is named no more"


def test_status_makes_labels_once(project: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    one = project(("good", "neutral", ""))
    one.fetch(), one.dedupe()
    made: list[final.Columns] = []
    columns = final.columns

    def counted(*given: Any) -> final.Columns:
        made.append(columns(*given))
        return made[-1]

    monkeypatch.setattr(final, "columns", counted)
    said = one.status()
    assert (said["labelled"], said["next"], len(made)) == (0, "`curate label`", 1)
    one.label()
    made.clear()
    said = one.status()
    assert (said["labelled"], said["next"], len(made)) == (2, "`curate export 1.0.0`", 1)


def test_merging_keeps_what_both_say_once(project: Configured) -> None:
    one = project(("bad", "porn", APPROVED))
    one.fetch()
    old = as_earlier(one)
    with one.session.drive("merge") as ws:
        (name,) = {row[0] for row in ws.catalog.all("SELECT source FROM sources")} - {old}
        with ws.catalog.tx() as db:
            known.merge(db, old, name)
        rows = [tuple(row) for row in ws.catalog.all("SELECT candidate, source FROM mentions ORDER BY 1")]
        assert rows == [(1, name), (2, name)]
        assert json.loads(ws.catalog.get(CONFIGURED) or "") == [name]
        assert not ws.catalog.all("PRAGMA foreign_key_check")
