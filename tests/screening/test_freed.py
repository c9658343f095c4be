"""What an entry that was set aside had kept out: disputed, released, asked for again, or gone for good."""

import json
from pathlib import Path

import pytest

from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.removal.rescan import rescan
from curate.screening.incidents import dispute, incident, release
from curate.store.workspace import Workspace
from tests.fetch.test_fetch import curate
from tests.support.pictures import encode
from tests.support.releases import QUIET
from tests.support.screened import configure, fates, fetched, gate, logged, opened, put
from tests.support.set_aside import HASH, PHOTO, listed, set_it_aside


def test_somebody_entitled_disputes_and_sees_no_picture(root: Path) -> None:
    configure(root, 'entitled = ["bea"]')
    fetched(root)
    ws = opened(root)
    said = incident(ws, 1, for_report=False)
    assert said["item"][0] | {"at": ""} == {
        "at": "", "source": ws.catalog.scalar("SELECT source FROM sources"),
        "part": "main", "distance": said["distance"],
        "quality": 100, "media": "image/jpeg 512x512",
    }  # fmt: skip
    assert (said["entry_history"]["matches"], said["entry_set_aside"], said["disputed"]) == (1, False, None)
    text = json.dumps(said)
    assert "photo.jpg" not in text
    assert HASH not in text
    for by, reason, why in (("ann", "a logo", "not among"), ("bea", " ", "say why")):
        with pytest.raises(UsageError, match=why):
            dispute(ws, 1, by, reason)
    set_it_aside(root, HASH)
    assert "entitled" in release(ws, 1, "a logo", "ann", ws.config.screening.entitled)["item"]
    assert fates(ws)["photo.jpg"] == "gate_match"
    assert dispute(ws, 1, "bea", "a logo")["state"] == "disputed"
    with pytest.raises(UsageError, match="disputed already, by bea"):
        dispute(ws, 1, "bea", "a logo")
    assert fates(ws)["photo.jpg"] == "gate_match", "a dispute frees nothing"
    assert release(ws, 1, "a logo", "ann", ws.config.screening.entitled)["asked_again"] == 1
    assert fates(ws)["photo.jpg"] == "pending"
    assert [one["by"] for one in logged(ws) if one["action"] == "dispute"] == ["bea"]
    ws.close()


def test_a_dispute_alone_lets_go_of_nothing(root: Path) -> None:
    configure(root, 'entitled = ["bea"]')
    fetched(root)
    ws = opened(root)
    dispute(ws, 1, "bea", "a logo")
    assert release(ws, 1, "a logo", "ann", ws.config.screening.entitled)["asked_again"] == 0
    assert fates(ws)["photo.jpg"] == "gate_match"
    with pytest.raises(UsageError, match="no such incident"):
        dispute(ws, 7, "bea", "a logo")
    ws.close()


def removed_later(root: Path, *hashes: str) -> None:
    """Store everything, and have a rescan remove what a list names that comes later."""
    listed(root, ["0" * 40])
    fetched(root)
    listed(root, [*hashes])
    ws = opened(root)
    rescan(ws, gate(ws), Serial(), QUIET)
    ws.close()


def killed_rescan(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("curate.removal.rescan.remove", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            rescan(ws, gate(ws), Serial(), QUIET)


def test_a_stored_sample_is_free_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held by a rescan that was killed before it removed anything: freed once the entry is set aside, not before."""
    listed(root, ["0" * 40])
    fetched(root)
    listed(root, [HASH])
    ws = opened(root)
    killed_rescan(ws, monkeypatch)
    assert release(ws, 1, "a logo", "ann")["kept"] == 1
    set_it_aside(root, HASH)
    assert release(ws, 1, "a logo", "ann")["kept"] == 0
    assert rescan(ws, gate(ws), Serial(), QUIET)["matched"] == 0
    assert ws.catalog.scalar("SELECT count(*) FROM samples") == 4
    ws.close()


@pytest.mark.parametrize("copies", [1, 2])
def test_what_a_rescan_removed_is_asked_for_again(root: Path, copies: int) -> None:
    """Once its entry is set aside and its incident released, and not before; with its labels and what others said."""
    if copies == 2:
        put(root, "again.png", encode(PHOTO, "PNG"))
    listed(root, ["0" * 40])
    fetched(root)
    labels = labelled(root)
    listed(root, [HASH])
    ws = opened(root)
    assert rescan(ws, gate(ws), Serial(), QUIET)["matched"] == copies
    assert release(ws, 1, "a logo", "ann")["asked_again"] == 0
    ws.close()
    assert fetched(root)[0]["stored"] == 3
    set_it_aside(root, HASH)
    assert fetched(root)[0]["stored"] == 3, "nobody has released it"
    for number in range(1, copies + 1):
        ws = opened(root)
        said = release(ws, number, "a logo", "ann")
        assert (said["asked_again"], "item" in said) == (1, False)
        assert ws.tombstones.broken() == []
        ws.close()
        totals = fetched(root, relist=False)[0]
        assert (totals["stored"], totals["candidates"]) == (3 + number, 3 + copies)
    assert labelled(root) == labels
    ws = opened(root)
    assert rescan(ws, gate(ws), Serial(), QUIET)["matched"] == 0
    ws.close()


def labelled(root: Path) -> list[tuple[str, str]]:
    ws = opened(root)
    sql = "SELECT c.locator, d.label FROM candidates c JOIN declared d USING (candidate) ORDER BY 1, 2"
    found = [tuple(row) for row in ws.catalog.all(sql)]
    ws.close()
    return found


def test_what_comes_back_meets_every_other_entry(root: Path) -> None:
    near = bytes([bytes.fromhex(HASH)[0] ^ 3]).hex() + HASH[2:]
    removed_later(root, HASH, near)
    set_it_aside(root, HASH)
    ws = opened(root)
    assert release(ws, 1, "a logo", "ann")["asked_again"] == 1
    ws.close()
    totals, said = fetched(root)
    assert (totals["stored"], totals["reasons"]) == (3, {"gate_match": 1})
    assert said


@pytest.mark.parametrize("when", ["before the release", "after it"])
def test_what_was_taken_down_as_well_stays_away(root: Path, when: str) -> None:
    path = str(root / "images" / "neutral" / "photo.jpg")
    removed_later(root, HASH)
    if when == "before the release":
        assert curate(root, "takedown", path, "--reason", "somebody asked")["removed"] == 1
    set_it_aside(root, HASH)
    ws = opened(root)
    said = release(ws, 1, "a logo", "ann")
    ws.close()
    if when == "after it":
        assert said["asked_again"] == 1
        assert curate(root, "takedown", path, "--reason", "somebody asked")["receipt"]
    else:
        assert (said["asked_again"], said["item"]) == (0, "stays out: it was taken down as well")
    assert fetched(root)[0]["stored"] == 3


def test_what_was_lifted_outlives_an_older_catalog(root: Path) -> None:
    removed_later(root, HASH)
    older = (root / "work" / "catalog.db").read_bytes()
    set_it_aside(root, HASH)
    ws = opened(root)
    release(ws, 1, "a logo", "ann")
    ws.close()
    for path in (root / "work").glob("catalog.db*"):
        path.unlink()
    (root / "work" / "catalog.db").write_bytes(older)
    ws = opened(root)
    assert ws.catalog.scalar("SELECT count(*) FROM tombstones") == 0
    ws.tombstones.rebuild()
    assert ws.tombstones.records() == []
    ws.close()


def test_what_was_taken_down_is_not_asked_for_again(root: Path) -> None:
    fetched(root)
    curate(root, "takedown", str(root / "images" / "neutral" / "photo.jpg"))
    set_it_aside(root, HASH)
    ws = opened(root)
    assert release(ws, 1, "a logo", "ann")["asked_again"] == 0
    ws.close()
    assert fetched(root)[0]["stored"] == 3
