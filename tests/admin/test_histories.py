"""Random histories: whatever was decided, held back and taken down before a witness is lost is so afterwards, too."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from curate.admin import rebuild
from curate.admin.session import finish_removal
from curate.admin.verify import verify
from curate.config import Config
from curate.engine.serial import Serial
from curate.errors import StoreError
from curate.removal.takedown import takedown
from curate.screening import set_aside
from curate.screening.incidents import release
from curate.screening.quarantine import quarantine
from curate.store import chain, lost
from curate.store.catalog import now
from curate.store.holds import held
from curate.store.journal_log import KEYS, rows
from curate.store.workspace import Workspace
from tests.support.builders import add, decide
from tests.support.pictures import encode, texture
from tests.support.releases import QUIET

ACTS = ("add", "decide", "hold", "release", "aside", "restore", "precedent", "takedown", "backup")
LOSSES = (
    "nothing", "catalog", "emptied", "older catalog", "journal", "older journal", "cut journal", "tombstones", "seal",
)  # fmt: skip
PICTURES = [encode(texture(n, (40, 32)), "PNG") for n in range(6)]


@dataclass
class Told:
    """What must be so, by a model that is a few sets."""

    here: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    decided: set[tuple[str, str, str]] = field(default_factory=set)
    held: dict[int, str] = field(default_factory=dict)
    aside: set[str] = field(default_factory=set)


def act(ws: Workspace, told: Told, what: str, number: int, backup: Path) -> None:
    """One thing that somebody does."""
    one = told.here[number % len(told.here)] if told.here else None
    if what == "add":
        if sha256(PICTURES[number]).hexdigest() not in {*told.here, *told.gone}:
            told.here.append(add(ws, PICTURES[number]))
    elif what == "decide" and one:
        decide(ws, one, "neutral", f"r{number}")
        told.decided.add((one, f"r{number}", "neutral"))
    elif what == "hold" and one:
        incident = quarantine(ws.catalog, one, f"why {number}", actor="ann")
        told.held[incident] = one
    elif what == "release" and told.held:
        incident = sorted(told.held)[number % len(told.held)]
        release(ws, incident, "it is fine", "ann")
        del told.held[incident]
    elif what == "aside" and f"{number:064x}" not in told.aside:
        with ws.catalog.tx() as db:
            set_aside.add(ws.catalog, db, set_aside.Aside("lines x", f"{number:064x}", "row", "a logo", "ann", now()))
        told.aside.add(f"{number:064x}")
    elif what == "restore" and f"{number:064x}" in told.aside:
        with ws.catalog.tx() as db:
            known = next(one for one in set_aside.in_force(ws.catalog) if one.value == f"{number:064x}")
            set_aside.restore(ws.catalog, db, known, "ann", "no logo")
        told.aside.remove(f"{number:064x}")
    elif what == "precedent" and one:
        with ws.catalog.tx() as db:
            row = (one, "content", "1", "neutral", "eve", f"because {number}", now())
            columns = "(sample, axis, taxonomy, label, reviewer, reason, decided_at)"
            db.execute(f"INSERT OR IGNORE INTO precedents {columns} VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        told.decided.add((one, "eve", "neutral"))
    elif what == "takedown" and one:
        with ws.driver("takedown"):
            takedown(ws, one, "asked for")
        told.here.remove(one)
        told.gone.add(one)
        told.decided = {row for row in told.decided if row[0] != one}
        told.held = {incident: sample for incident, sample in told.held.items() if sample != one}
    elif what == "backup":
        ws.catalog.checkpoint()
        shutil.rmtree(backup, ignore_errors=True)
        shutil.copytree(ws.work, backup)


def lose(work: Path, what: str, backup: Path) -> None:
    """One witness is lost, or is another day's."""
    catalog = [work / "catalog.db", work / "catalog.db-seal"]
    log = work / "journal.log"
    if what in ("catalog", "emptied"):
        for path in work.glob("catalog.db*"):
            path.unlink()
        if what == "emptied":
            catalog[0].touch()
    elif what == "older catalog" and backup.exists():
        for path in work.glob("catalog.db*"):
            path.unlink()
        for path in catalog:
            shutil.copy(backup / path.name, path)
    elif what == "journal":
        log.unlink(missing_ok=True)
    elif what == "older journal" and (backup / log.name).exists():
        shutil.copy(backup / log.name, log)
    elif what == "cut journal" and log.exists():
        log.write_bytes(log.read_bytes()[: log.stat().st_size * 2 // 3])
    elif what == "tombstones":
        (work / "tombstones.log").unlink(missing_ok=True)
    elif what == "seal":
        catalog[1].unlink()


def mended(root: Path) -> Workspace:
    """The workspace after the ways back that it names."""
    try:
        ws = Workspace(root, Config())
    except StoreError:
        ws = None
    if ws is not None and ws.doubts():
        with ws.driver("verify"):
            verify(ws, QUIET, repair=True)
    if ws is None or ws.doubts():
        if ws is not None:
            ws.close()
        with rebuild.opened(root, Config()) as (made, wrong), made.driver("rebuild"):
            rebuild.rebuild(made, wrong, Serial(), QUIET)
        ws = Workspace(root, Config())
    with ws.driver("fetch"):
        finish_removal(ws)
    return ws


def check(ws: Workspace, told: Told) -> None:
    """Everything that was told is so, and nothing is wrong."""
    rows = ws.catalog.all(
        "SELECT sample, reviewer, label FROM decisions UNION SELECT sample, reviewer, label FROM precedents"
    )
    assert {tuple(row) for row in rows} == told.decided
    assert {row[0] for row in ws.catalog.all("SELECT id FROM samples")} == set(told.here)
    origin = {row[0] for row in ws.catalog.all("SELECT sample FROM withheld WHERE reason = ?", (lost.ORIGIN,))}
    assert held(ws.catalog) - origin == set(told.held.values()) - origin
    assert set(told.held.values()) <= held(ws.catalog)
    assert {row[0] for row in ws.catalog.all("SELECT incident FROM quarantine")} >= set(told.held)
    assert {one.value for one in set_aside.in_force(ws.catalog)} == told.aside
    assert ws.doubts() == []
    assert verify(ws, QUIET)["items"] == []
    text = (ws.work / "journal.log").read_text()
    assert not any(one in text for one in told.gone)
    assert chain.broken(ws.work / "journal.log") == []


def history(acts: Sequence[tuple[str, int]], loss: str, later: Sequence[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, backup, told = Path(folder) / "w", Path(folder) / "backup", Told()
        root.mkdir()
        ws = Workspace(root, Config())
        for what, number in acts:
            act(ws, told, what, number, backup)
        ws.close()
        lose(ws.work, loss, backup)
        ws = mended(root)
        check(ws, told)
        for what, number in later:
            act(ws, told, what, number, backup)
        ws.close()
        ws = Workspace(root, Config())
        check(ws, told)
        ws.close()


LATE = [
    ("add", 0), ("decide", 0), ("hold", 0), ("add", 1), ("hold", 1), ("release", 0), ("aside", 0), ("restore", 0),
    ("precedent", 1), ("decide", 1), ("release", 0), ("hold", 0),
]  # fmt: skip


@pytest.mark.parametrize("damaged", [False, True])
def test_a_journal_that_was_cut_or_damaged_undoes_nothing_of_a_whole_catalog(damaged: bool, tmp_path: Path) -> None:
    """What was let go of, told and restored after its last whole line is so when it was mended: row for row."""
    root, told = tmp_path / "w", Told()
    root.mkdir()
    ws = Workspace(root, Config())
    for what, number in LATE:
        act(ws, told, what, number, tmp_path)
    before = _rows(ws)
    ws.close()
    lines = chain.lines(root / "work" / "journal.log")
    for kept in range(2, len(lines) - 1, 3):
        after = [lines[kept][:-9] + b"x\n", *lines[kept + 1 :]] if damaged else []
        (root / "work" / "journal.log").write_bytes(b"".join([*lines[:kept], *after]))
        ws = Workspace(root, Config())
        verify(ws, QUIET, repair=True)
        assert _rows(ws) == before, kept
        check(ws, told)
        ws.close()


@pytest.mark.parametrize("later", [1, 3])
def test_a_journal_that_went_another_way_undoes_no_restoring(later: int, tmp_path: Path) -> None:
    """The way back that is named is one, too."""
    root, backup, told = tmp_path / "w", tmp_path / "backup", Told()
    root.mkdir()
    ws = Workspace(root, Config())
    for what, number in [("add", 0), ("aside", 0), ("backup", 0), *(("decide", n) for n in range(later))]:
        act(ws, told, what, number, backup)
    ws.close()
    other = (ws.work / "journal.log").read_bytes()
    shutil.rmtree(ws.work)
    shutil.copytree(backup, ws.work)
    ws = Workspace(root, Config())
    act(ws, told, "restore", 0, backup)
    ws.close()
    (ws.work / "journal.log").write_bytes(other)
    ws = mended(root)
    check(ws, told)
    ws.close()


def _rows(ws: Workspace) -> dict[str, list[dict[str, object]]]:
    with ws.catalog.reading() as db:
        return {table: list(rows(db, table)) for table in KEYS}


step = st.tuples(st.sampled_from(ACTS), st.integers(0, 5))
first = st.lists(step, max_size=10).map(lambda some: [("add", 0), ("decide", 0), *some])
QUICK = [HealthCheck.too_slow, HealthCheck.data_too_large]


@example([("add", 0), ("decide", 0), ("aside", 0), ("restore", 0), ("decide", 0)], "cut journal", [])
@settings(max_examples=12, deadline=None, suppress_health_check=QUICK)
@given(first, st.sampled_from(LOSSES), st.lists(step, max_size=4))
def test_no_history_loses_anything(
    acts: Sequence[tuple[str, int]], loss: str, later: Sequence[tuple[str, int]]
) -> None:
    history(acts, loss, later)


@pytest.mark.soak
@settings(max_examples=300, deadline=None, suppress_health_check=QUICK)
@given(first, st.sampled_from(LOSSES), st.lists(step, max_size=6))
def test_no_history_loses_anything_at_length(
    acts: Sequence[tuple[str, int]], loss: str, later: Sequence[tuple[str, int]]
) -> None:
    history(acts, loss, later)
