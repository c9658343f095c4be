"""An incident has an end: what was true and reported stays out for good; what came with it may be let go of."""

import json
from pathlib import Path
from typing import Any

import pytest

from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.release.export import export
from curate.removal.rescan import rescan
from curate.removal.takedown import deleted, takedown
from curate.screening.incidents import acknowledge, close, dispute, incident, release
from curate.screening.overview import incidents, overview
from curate.screening.quarantine import quarantine
from curate.store import holds
from curate.store.workspace import Workspace
from tests.fetch.test_fetch import curate
from tests.removal.test_rescan import gate as gate_of
from tests.support.builders import add, decide, workspace
from tests.support.pictures import encode, texture
from tests.support.releases import QUIET, SCREENED
from tests.support.screened import fates, fetched, gate, opened
from tests.support.set_aside import HASH, PHOTO, set_it_aside


def matched(root: Path) -> Workspace:
    assert fetched(root)[0]["reasons"] == {"gate_match": 1}
    return opened(root)


def test_a_true_match_is_closed_and_stays_out_whatever_becomes_of_the_list(root: Path) -> None:
    ws = matched(root)
    assert "close 1" in incident(ws, 1, False)["next"]
    assert "close 1" in acknowledge(ws.catalog, 1, "ann")["next"]
    said = close(ws, 1, "ann", "reported to the hotline, case 7")
    assert (said["state"], said["next"]) == ("reported", None)
    told = incident(ws, 1, False)
    assert (told["state"], told["next"], told["closed"]["by"]) == ("reported", None, "ann")
    with pytest.raises(UsageError, match="reported already"):
        close(ws, 1, "ann", "again")
    with pytest.raises(UsageError, match="has ended"):
        dispute(ws, 1, "ann", "false")
    ws.close()
    set_it_aside(root, HASH)
    ws = opened(root)
    kept = release(ws, 1, "the entry is wrong", "ann")
    assert (kept["asked_again"], kept["state"], kept["item"]) == (0, "reported", "stays out: it was reported")
    with ws.catalog.tx() as db:  # found again at another place
        db.execute("UPDATE candidates SET state = 'pending', reason = NULL WHERE reason = 'gate_match'")
    ws.close()
    fetched(root)
    ws = opened(root)
    assert "taken_down" in fates(ws).values()
    assert ws.catalog.broken_links() == []
    ws.close()
    assert curate(root, "verify")["items"] == []


def test_what_came_with_a_closed_match_may_be_let_go_of(tmp_path: Path) -> None:
    ws = workspace(tmp_path / "ws")
    bad, beside = add(ws, encode(PHOTO), album="gallery"), add(ws, encode(texture(1)), album="gallery")
    number = rescan(ws, gate_of(tmp_path, bad), Serial(), QUIET)["incidents"][0]
    with pytest.raises(UsageError, match="say why"):
        close(ws, number, "ann", " ")
    said = close(ws, number, "ann", "reported")
    assert (said["held_samples"], "release" in said["next"]) == (1, True)
    assert (holds.held(ws.catalog), holds.untold(ws.catalog)) == ({beside}, [])
    assert (release(ws, number, "seen to", "ann")["samples"], holds.held(ws.catalog)) == (1, set())
    again = release(ws, number, "seen to", "ann")
    assert again["nothing"] == "nothing was let go of: nothing is held on behalf of the incident"
    assert {row[0] for row in ws.catalog.all("SELECT id FROM samples")} == {beside}
    ws.close()


def test_a_report_that_was_true_is_closed_and_the_sample_stays_held(tmp_path: Path) -> None:
    ws = workspace(tmp_path / "ws")
    one = add(ws, encode(PHOTO))
    number = quarantine(ws.catalog, one, "it looks wrong", actor="ann")
    close(ws, number, "ann", "reported")
    kept = release(ws, number, "a mistake", "bob")
    assert kept["nothing"] == "nothing was let go of: what is held is the item itself"
    assert holds.held(ws.catalog) == {one}
    ws.close()


def test_incidents_are_found_again(root: Path) -> None:
    ws = matched(root)
    one = str(ws.catalog.scalar("SELECT min(id) FROM samples"))
    quarantine(ws.catalog, one, "it looks wrong", actor="ann", told=True)
    close(ws, 1, "bob", "reported")
    listed = [(row["id"], row["kind"], row["state"], row["acknowledged_by"]) for row in incidents(ws.catalog)]
    assert listed == [(2, "person", "open", "ann"), (1, "match", "reported", "bob")]
    assert len(incidents(ws.catalog, 1)) == 1
    assert overview(ws, gate(ws))["incidents"] == {"open": 1, "reported": 1}
    ws.close()
    assert [row["id"] for row in curate(root, "screening", "incident")["incidents"]] == [2, 1]
    assert [row["id"] for row in curate(root, "screening", "status")["incident"]] == [2, 1]


def test_who_acknowledges_second_is_told_who_was_first(root: Path) -> None:
    ws = matched(root)
    assert "note" not in acknowledge(ws.catalog, 1, "ann")
    said = acknowledge(ws.catalog, 1, "bob")
    assert (said["acknowledged_by"], said["note"][:30]) == ("ann", "ann had acknowledged it alread")
    ws.close()


def test_rescan_says_of_what_went_what_takedown_says(tmp_path: Path) -> None:
    ws = workspace(tmp_path / "ws")
    ids = [add(ws, encode(texture(n)), "neutral") for n in range(4)]
    for one in ids:
        decide(ws, one, "neutral")
    dedupe(ws, Serial(), QUIET)
    export(ws, "1.0.0", {}, QUIET, SCREENED)
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO shares (version, name, at) VALUES ('1.0.0', 'a partner', '2026-01-01')")
        db.execute("INSERT INTO models (model, version, result) VALUES ('1.0.0', '1.0.0', '{}')")
    found = rescan(ws, gate_of(tmp_path, ids[0]), Serial(), QUIET)
    taken = takedown(ws, ids[1], "asked")
    shared = {"removed", "releases_affected", "recipients", "models_affected", "duplicates_left", "reports_removed"}
    assert _of(found, shared) == _of(taken, shared)
    assert found["recipients"] == {"1.0.0": ["a partner"]}
    none = rescan(ws, gate_of(tmp_path, "0" * 40), Serial(), QUIET)
    assert _of(none, shared | {"receipt"}) == _of(deleted(ws, "gone"), shared | {"receipt"})
    ws.close()


def _of(result: dict[str, Any], names: set[str]) -> str:
    return json.dumps({name: result[name] for name in sorted(names)})
