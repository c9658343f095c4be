"""A name means the same sample to every command that takes one, and no message repeats a URL."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.config import Config, ScreeningConfig
from curate.dedupe.explain import explain
from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.progress import Progress
from curate.removal.takedown import takedown
from curate.review.adjudicate import Ruling, adjudicate
from curate.review.decisions_csv import import_csv
from curate.screening.quarantine import quarantine
from curate.store import lookup
from curate.store.workspace import Workspace
from tests.support.builders import add, decide, workspace
from tests.support.pictures import encode, texture

QUIET = Progress(quiet=True)
FINAL, PAGE = "https://cdn.example.org/final.jpg?sig=1", "commons.example.org:8080:7"
SECRET = "https://example.org/secret-token.jpg"


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return workspace(tmp_path / "w", Config(screening=ScreeningConfig(required=False)))


def stored(ws: Workspace, folder: Path) -> tuple[str, dict[str, str]]:
    """One sample among others, and every way to name it."""
    one = add(ws, encode(texture(1), "PNG"), "neutral")
    add(ws, encode(texture(2), "PNG"), "neutral")
    path = str(folder.resolve() / "Images" / "Ünïcode 1.PNG")
    with ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET final_url = ? WHERE sample = ?", (FINAL, one))
        number = db.execute(
            "INSERT INTO candidates (kind, locator, state, sample) VALUES ('path', ?, 'stored', ?) RETURNING candidate",
            (path, one),
        ).fetchone()[0]
        db.execute("INSERT INTO sources (source, plugin, options) VALUES ('commons:1', 'commons', '{}')")
        mention = "INSERT INTO mentions (candidate, source, ref, page_id) VALUES (?, 'commons:1', ?, ?)"
        db.executemany(mention, [(number, "x", PAGE), (_other(db, one), "y", "commons.example.org:8080:77")])
    dedupe(ws, Serial(), QUIET)
    url = ws.catalog.scalar("SELECT locator FROM candidates WHERE kind = 'url' AND sample = ?", (one,))
    return one, {
        "id": one, "capitals": one.upper(), "prefix": one[:8], "capital prefix": one[:11].upper(), "path": path,
        "relative path": os.path.relpath(path), "url": url, "after redirects": FINAL, "page": PAGE,
        "capital page": PAGE.upper(), "page of a source": "commons:7", "with capitals": "Commons:7",
    }  # fmt: skip


def _other(db: sqlite3.Connection, one: str) -> int:
    return int(db.execute("SELECT candidate FROM candidates WHERE sample <> ?", (one,)).fetchone()[0])


WAYS = ("id", "capitals", "prefix", "capital prefix", "path", "relative path", "url", "after redirects", "page",
        "capital page", "page of a source", "with capitals")  # fmt: skip


def _adjudicated(ws: Workspace, name: str) -> str:
    number = ws.catalog.scalar("SELECT count(*) FROM precedents")
    adjudicate(ws, Ruling(name, "neutral", f"eve {number}", "because"))  # two in one millisecond are by two people
    return str(ws.catalog.scalar("SELECT sample FROM precedents ORDER BY precedent DESC LIMIT 1"))


def _taken_down(ws: Workspace, name: str) -> str:
    before = {row[0] for row in ws.catalog.all("SELECT id FROM samples")}
    takedown(ws, name, "asked for")
    (gone,) = before - {row[0] for row in ws.catalog.all("SELECT id FROM samples")}
    return str(gone)


def _explained(ws: Workspace, name: str) -> str:
    return str(explain(ws, name)["sample"])


def _quarantined(ws: Workspace, name: str) -> str:
    quarantine(ws.catalog, lookup.one(ws.catalog, name), "why", actor="ann")
    return str(ws.catalog.scalar("SELECT subject FROM quarantine"))


VERBS: dict[str, Callable[[Workspace, str], str]] = {
    "explain": _explained, "quarantine": _quarantined, "adjudicate": _adjudicated, "takedown": _taken_down,
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_every_name(ws: Workspace, tmp_path: Path, verb: str) -> None:
    one, names = stored(ws, tmp_path)
    assert names.keys() == set(WAYS)
    decide(ws, one, "porn", "ann")
    for way in WAYS if verb != "takedown" else WAYS[:1]:
        assert VERBS[verb](ws, names[way]) == one, way


@pytest.mark.parametrize("way", WAYS)
def test_takedown_by_every_name_and_again(ws: Workspace, tmp_path: Path, way: str) -> None:
    """Asked again, what is gone answers with its receipt; a prefix of what nobody knows any more cannot."""
    one, names = stored(ws, tmp_path)
    assert _taken_down(ws, names[way]) == one
    if "prefix" not in way:
        assert takedown(ws, names[way], "again")["receipt"] == f"receipts/{_receipt(ws)}.json"


def _receipt(ws: Workspace) -> str:
    return str(ws.catalog.scalar("SELECT receipt FROM removals"))


@pytest.mark.parametrize("verb", VERBS)
def test_what_names_nothing_is_one_line_without_the_name(ws: Workspace, tmp_path: Path, verb: str) -> None:
    one, _ = stored(ws, tmp_path)
    absent = (
        one[:7],
        "0" * 64,
        SECRET,
        "commons:8",
        "/none/of/these.png",
        "",
        "%",
        "_" * 8,
        "a\0b",
        os.fsdecode(b"\xe9"),
    )
    for name in absent:
        with pytest.raises(UsageError, match=r"names (no stored sample|nothing that is here)") as error:
            VERBS[verb](ws, name)
        assert "secret" not in str(error.value)
        assert "http" not in str(error.value)
        assert "\n" not in str(error.value)


def test_an_ambiguous_beginning_is_refused(ws: Workspace) -> None:
    ids = ["ab" * 5 + "0" * 54, "ab" * 5 + "1" * 54]
    with ws.catalog.tx() as db:
        for one in ids:
            db.execute(
                "INSERT INTO samples (id, sha1, md5, bytes, media_type, width, height) VALUES (?, '', '', 1, '', 1, 1)",
                (one,),
            )
    with pytest.raises(UsageError, match="names more than one sample; give the whole sha256"):
        lookup.one(ws.catalog, "AB" * 5)
    assert [lookup.one(ws.catalog, one[:11].upper()) for one in ids] == ids


def test_a_file_is_not_named_by_another_spelling_of_it(ws: Workspace, tmp_path: Path) -> None:
    """Two files whose names differ in capitals are two: a takedown of one leaves the other."""
    _, names = stored(ws, tmp_path)
    assert not lookup.find(ws.catalog, names["path"].lower()).ids
    assert not lookup.find(ws.catalog, names["url"].upper()).ids


def test_a_csv_knows_where_redirects_ended(ws: Workspace, tmp_path: Path) -> None:
    one, _ = stored(ws, tmp_path)
    (tmp_path / "d.csv").write_text(f"url,label,annotator,time\n{FINAL},neutral,ann,2026-01-01\n")
    assert import_csv(ws, tmp_path / "d.csv")["added"] == 1
    assert ws.catalog.scalar("SELECT sample FROM decisions") == one


@pytest.mark.parametrize("page", ["7", "commons:7", PAGE])
def test_a_csv_names_pages_as_the_command_does(ws: Workspace, tmp_path: Path, page: str) -> None:
    one, _ = stored(ws, tmp_path)
    (tmp_path / "d.csv").write_text(f"page_id,label,annotator,time\n{page},neutral,ann,2026-01-01\n")
    assert import_csv(ws, tmp_path / "d.csv")["added"] == 1
    assert ws.catalog.scalar("SELECT sample FROM decisions") == one
