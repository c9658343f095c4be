"""Exit 5 outlives a kill: an incident is said, and ends `fetch`, `rescan` and `run` with 5, until somebody was told."""

import json
import os
import pwd
from pathlib import Path

import pytest

from curate.errors import UsageError
from curate.screening.incidents import acknowledge, dispute, incident, release
from curate.screening.quarantine import quarantine
from curate.store import catalog
from curate.store.holds import held, untold
from tests.support.builders import add, workspace
from tests.support.calling_here import command
from tests.support.killed_inside import killed
from tests.support.pictures import encode, photograph, texture
from tests.support.screened import configure, fetched, hash_of, listed, opened, put

PHOTO = photograph().resize((96, 96))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A listed picture and two others."""
    configure(tmp_path)
    listed(tmp_path, [hash_of(PHOTO)])
    put(tmp_path, "photo.jpg", encode(PHOTO, quality=70))
    for n in range(2):
        put(tmp_path, f"{n}.png", encode(texture(n), "PNG"))
    return tmp_path


def test_a_match_that_was_killed_is_told_by_the_next_run(root: Path) -> None:
    """Killed between the incident and the end of the run, whatever is run next says so, until somebody knows."""
    killed(root, "match", 0, "fetch", "-q")  # nothing is on record yet
    ws = opened(root)
    assert untold(ws.catalog) == []
    ws.close()
    fetched(root)  # on record; what would have said so is not there any more
    code, out, err = command(root, "fetch", "-q", "--json")
    assert code == 5
    assert json.loads(out)["reasons"] == {"gate_match": 1}, "it did its work"
    assert err.count("incident 1 is open") == 1
    assert command(root, "run", "1.0.0", "-q")[0] == 5, "though there is nothing to release"
    assert command(root, "screening", "rescan", "-q")[0] == 5
    code, out, err = command(root, "status", "--json")
    assert (code, json.loads(out)["unacknowledged"]) == (0, [1])
    for verb in (("status", "-q"), ("log", "-q"), ("dedupe", "-q"), ("verify", "-q")):
        code, _, err = command(root, *verb)
        assert (code, "screening acknowledge 1" in err) == (0, True), verb
    assert command(root, "screening", "acknowledge", "1", "--by", " ")[0] == 2
    assert command(root, "screening", "acknowledge", "2", "--by", "ann")[0] == 2
    said = json.loads(command(root, "screening", "acknowledge", "1", "--by", "ann", "--json")[1])
    assert (said["acknowledged_by"], said["state"]) == ("ann", "open")
    assert "docs/screening.md" in said["next"]
    again = json.loads(command(root, "screening", "acknowledge", "1", "--by", "bob", "--json")[1])
    assert again["acknowledged_by"] == "ann", "who was told first stays on record"
    code, out, err = command(root, "fetch", "-q")
    assert (code, out, err) == (0, "", "")


def test_an_error_does_not_hide_it(root: Path) -> None:
    fetched(root)
    (root / "list.txt").unlink()
    code, _, err = command(root, "fetch", "-q")
    assert (code, "nothing is fetched" in err, "incident 1 is open" in err) == (5, True, True)
    assert command(root, "fetch", "--max-failures", "x")[0] == 2, "what is said before anything is opened"


def test_who_decides_about_it_was_told(root: Path) -> None:
    configure(root, 'entitled = ["ann"]')
    fetched(root)
    ws = opened(root)
    dispute(ws, 1, "ann", "a logo")
    assert untold(ws.catalog) == []
    assert incident(ws, 1, for_report=False)["acknowledged_by"] == "ann"
    ws.close()
    (root / "images/neutral/photo.jpg").unlink()
    put(root, "again.jpg", encode(PHOTO, quality=60))
    fetched(root)
    ws = opened(root)
    assert untold(ws.catalog) == [2]
    said = release(ws, 2, "seen to", "bob")
    assert (said["state"], untold(ws.catalog)) == ("open", [])
    assert "stays open" in said["next"]
    ws.close()


def test_to_acknowledge_lets_go_of_nothing(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    one, two = add(ws, encode(texture(1))), add(ws, encode(texture(2)))
    number = quarantine(ws.catalog, one, "looks wrong", actor="ann")
    assert untold(ws.catalog) == [number], "a reviewer sees it; the operator must be told"
    acknowledge(ws.catalog, number, "bob")
    assert held(ws.catalog) == {one}
    assert quarantine(ws.catalog, two, "looks wrong", actor="bob", told=True) == number + 1
    assert untold(ws.catalog) == []
    with pytest.raises(UsageError, match="no such incident"):
        acknowledge(ws.catalog, 9, "bob")
    ws.close()


def test_the_same_quarantine_again_is_the_same_incident(tmp_path: Path) -> None:
    """Killed behind its commit, before anybody saw the answer."""
    ws = workspace(tmp_path)
    one, two = add(ws, encode(texture(1)), album="a"), add(ws, encode(texture(2)), album="a")
    number = quarantine(ws.catalog, one, "looks wrong", actor="ann")
    assert quarantine(ws.catalog, one, "looks wrong", actor="ann") == number
    assert held(ws.catalog) == {one}
    assert quarantine(ws.catalog, one, "looks wrong", actor="ann", group=True) == number
    assert held(ws.catalog) == {one, two}
    others = {quarantine(ws.catalog, one, "another reason", actor="ann")}
    others.add(quarantine(ws.catalog, one, "looks wrong", actor="bob"))
    others.add(quarantine(ws.catalog, two, "looks wrong", actor="ann"))
    assert len(others - {number}) == 3
    release(ws, number, "it is fine", "ann")
    assert quarantine(ws.catalog, one, "looks wrong", actor="ann") not in {number, *others}, "that one was decided"
    ws.close()


def test_what_did_not_happen_is_not_said(root: Path) -> None:
    """A folder's file comes with nothing that is held back, and the last of what was to be done stops nothing."""
    said = fetched(root)[1]
    assert "held back" not in said
    assert "stopped" not in said


def test_who_is_at_the_keyboard_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USER", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 0)  # whoever runs this may have no name
    assert catalog.user() == pwd.getpwuid(0).pw_name
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert catalog.user() == "54321"
    monkeypatch.setenv("USER", "ann")
    assert catalog.user() == "ann"


@pytest.mark.parametrize(
    ("verb", "inner"), [(("fetch",), ""), (("fetch", "--sample", "9"), ""), (("run", "1.0.0"), "fetch")]
)
def test_a_match_is_one_object_for_a_script(root: Path, verb: tuple[str, ...], inner: str) -> None:
    code, out, err = command(root, *verb, "--json")
    said = json.loads(out)
    totals = said[inner] if inner else said
    assert (code, totals["reasons"], totals["incidents"]) == (5, {"gate_match": 1}, [1])
    assert said["error"].startswith("screening: 1 item(s) matched a list: incident 1.")
    assert said["error"] in err, "people are told, too"


def test_an_error_beside_an_incident_is_one_object_for_a_script(root: Path) -> None:
    fetched(root)
    (root / "list.txt").unlink()
    code, out, _ = command(root, "screening", "rescan", "--json")
    assert (code, "incident 1 is open" in json.loads(out)["error"]) == (5, True)


def test_what_is_acknowledged_is_not_said_to_be_open(root: Path) -> None:
    fetched(root)
    code, _, err = command(root, "screening", "acknowledge", "1", "--by", "")
    assert (code, "--by: '': give a name" in err, "reviewer" in err) == (2, True, False)
    assert "incident 1 is open" in err
    entry = ("screening", "entry", hash_of(PHOTO), "--set-aside", "--reason", "a logo", "--by", " ")
    code, _, err = command(root, *entry)
    assert (code, "--by: ' ': give a name" in err) == (2, True), "nor is somebody else meant"
    code, _, err = command(root, "screening", "acknowledge", "1", "--by", "ann")
    assert (code, err) == (0, "")


def test_other_incidents_are_still_said(root: Path) -> None:
    fetched(root)
    (root / "images/neutral/photo.jpg").unlink()
    put(root, "again.jpg", encode(PHOTO, quality=60))
    fetched(root)
    assert "incident 2 is open" in command(root, "screening", "acknowledge", "1", "--by", "ann")[2]
    assert command(root, "screening", "release", "2", "--reason", "seen to")[2] == ""
