"""A list that errs: an entry is set aside by hash, for one list; until then what it matched stays out."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from curate.admin import configured
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.media import pdq
from curate.removal.rescan import rescan
from curate.screening import common, set_aside
from curate.screening.entry import aside, describe, find, restore
from curate.screening.incidents import dispute, incident, release
from curate.screening.misfires import suspicious
from curate.store.workspace import Workspace
from tests.fetch.test_fetch import curate
from tests.support import screened
from tests.support.pictures import encode, photograph, texture
from tests.support.releases import QUIET
from tests.support.screened import LIST, configure, fates, fetched, gate, hash_of, logged, opened, put

PHOTO = photograph()
HASH = hash_of(PHOTO)
MORE = '[[screening.lists]]\nuse = "lines"\npath = "more.txt"\n'


def listed(root: Path, values: Sequence[str], name: str = "list.txt") -> None:
    """A list that has another entry, too, so that it can match something whatever is set aside."""
    screened.listed(root, [*values, "5" * 32], name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A listed picture among three others; the list has one hash."""
    configure(tmp_path)
    listed(tmp_path, [HASH])
    put(tmp_path, "photo.jpg", encode(PHOTO, quality=70))
    for n in range(3):
        put(tmp_path, f"{n}.png", encode(texture(n), "PNG"))
    return tmp_path


def set_it_aside(
    root: Path, name: str, only: str | None = None, every: bool = False, reason: str = "a logo"
) -> dict[str, Any]:
    ws = opened(root)
    try:
        found = find(ws.catalog, configured.lists(ws.config), name)
        return aside(ws.catalog, found, found.chosen(only, every), "ann", reason)
    finally:
        ws.close()


def test_the_whole_way_by_the_command(root: Path) -> None:
    """Match, refused release, set aside, release, asked again, stored; restored, and found again by a rescan."""
    assert "1 item(s) matched" in curate(root, "fetch", ok=(5,))["error"]
    kept = curate(root, "screening", "release", "1", "--reason", "it is a logo", ok=(3,))
    assert "nothing was let go of" in kept["nothing"]
    assert kept["next"].index("close 1") < kept["next"].index("If the entry is wrong")
    assert (kept["released"], kept["kept"], kept["asked_again"]) == (0, 0, 0)
    assert "not set aside" in kept["item"]
    assert kept["state"] == curate(root, "screening", "incident", "1")["state"] == "open"
    assert curate(root, "fetch")["reasons"] == {"gate_match": 1}, "what matched stays out, and somebody knows"
    short = HASH[:8].upper()
    plain = curate(root, "screening", "entry", short)["lists"][0]
    assert (plain["entries"], plain["matches"], plain["items"], plain["set_aside"]) == (["line 1"], 1, 1, False)
    assert "say why" in curate(root, "screening", "entry", short, "--set-aside", ok=(2,))["error"]
    done = curate(root, "screening", "entry", short, "--set-aside", "--reason", "a logo", "--by", "ann")
    assert (done["hash"], done["set_aside"], done["still_matched_by"]) == (HASH, ["lines:1"], [])
    twice = curate(root, "screening", "entry", HASH, "--set-aside", "--reason", "a logo", ok=(2,))["error"]
    assert "lines:1: set aside already, by ann" in twice
    assert (
        "no list has it"
        in curate(root, "screening", "entry", "0" * 64, "--set-aside", "--reason", "x", ok=(2,))["error"]
    )
    assert curate(root, "fetch")["reasons"] == {"gate_match": 1}, "nothing is asked again by itself"
    assert curate(root, "screening", "release", "1", "--reason", "it is a logo")["asked_again"] == 1
    assert curate(root, "fetch")["stored"] == 4
    status = curate(root, "screening", "status")
    assert [(one["list"], one["reason"], one["by"]) for one in status["set_aside"]] == [
        ("lines list.txt", "a logo", "ann")
    ]
    assert status["lists"][0]["set_aside"] == 1, "64 digits of no kind are one value, matched as two kinds"
    curate(root, "dedupe")
    curate(root, "label")
    header = json.loads((Path(curate(root, "export", "1.0.0")["path"]) / "release.json").read_text())["screening"]
    digest = hashlib.sha256(f"{HASH}\n".encode()).hexdigest()
    assert header["set_aside"] == {"hashes": 1, "lists": 1, "sha256": digest}
    assert HASH not in json.dumps(header)
    assert "rescan" in curate(root, "screening", "entry", short, "--restore", "--reason", "a mistake")["next"]
    assert "not set aside" in curate(root, "screening", "entry", short, "--restore", ok=(2,))["error"]
    assert curate(root, "screening", "rescan", ok=(5,))["matched"] == 1
    assert curate(root, "verify")["items"] == []
    ws = opened(root)
    said = [one for one in logged(ws) if one["action"] in ("set_aside", "restore")]
    assert [(one["action"], one["list"]) for one in said] == [(a, "lines list.txt") for a in ("set_aside", "restore")]
    assert HASH not in str(ws.catalog.all("SELECT * FROM log"))
    assert ws.catalog.broken_links() == []
    ws.close()


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "pdq"])
def test_any_algorithm_in_any_case(root: Path, algorithm: str) -> None:
    data = encode(PHOTO, quality=70)
    value = HASH if algorithm == "pdq" else hashlib.new(algorithm, data).hexdigest()
    listed(root, [value.upper()])
    assert fetched(root)[0]["reasons"] == {"gate_match": 1}
    assert set_it_aside(root, value[:20].upper())["hash"] == value
    ws = opened(root)
    assert release(ws, 1, "wrong", "ann")["asked_again"] == 1
    ws.close()
    assert fetched(root)[0]["stored"] == 4


def test_names_that_name_no_one_hash(root: Path) -> None:
    other = HASH[:10] + ("0" if HASH[10] != "0" else "1") + HASH[11:]
    listed(root, [HASH, other])
    for name, why in (
        (HASH[:7], "first 8 digits"),
        ("x" * 64, "a hash"),
        (HASH[:9], "more than one"),
        ("f" * 9, "no list"),
    ):
        with pytest.raises(UsageError, match=why):
            set_it_aside(root, name)
    assert set_it_aside(root, HASH[:12])["hash"] == HASH
    for reason in ("", "  "):
        with pytest.raises(UsageError, match="say why"):
            set_it_aside(root, other, reason=reason)


def test_what_a_second_list_has_too(root: Path) -> None:
    """Set aside for one list only: the other's entry still matches, and that is said."""
    configure(root, lists=LIST + MORE)
    listed(root, [HASH], "more.txt")
    with pytest.raises(UsageError, match="lines:1, lines:2 have this hash"):
        set_it_aside(root, HASH)
    with pytest.raises(UsageError, match="--list lines:3: it does not have this hash"):
        set_it_aside(root, HASH, only="lines:3")
    assert set_it_aside(root, HASH, only="lines:2")["still_matched_by"] == ["lines:1"]
    assert fetched(root)[0]["reasons"] == {"gate_match": 1}
    assert set_it_aside(root, HASH, every=True)["set_aside"] == ["lines:1"], "the other one is set aside already"
    ws = opened(root)
    assert release(ws, 1, "wrong", "ann")["asked_again"] == 1
    ws.close()
    assert fetched(root)[0]["stored"] == 4


def test_released_without_the_other_list_it_is_matched_again(root: Path) -> None:
    configure(root, "stop_after_matches = 0", lists=LIST + MORE)
    listed(root, [HASH], "more.txt")
    fetched(root)
    set_it_aside(root, HASH, only="lines:1")
    ws = opened(root)
    assert release(ws, 1, "wrong", "ann")["asked_again"] == 1
    ws.close()
    totals, said = fetched(root)
    assert totals["reasons"] == {"gate_match": 1}
    assert "incident 2" in said


def test_it_survives_whatever_becomes_of_the_lists(root: Path) -> None:
    """By hash and by the list's file: sorted anew, moved in curate.toml; no other list inherits it."""
    set_it_aside(root, HASH)
    ws = opened(root)
    for lists, text in ((LIST, f"# a new one\n{'0' * 40}\n{HASH.upper()}\n"), (MORE + LIST, HASH), (LIST, HASH)):
        configure(root, lists=lists)
        (root / "list.txt").write_text(text)
        listed(root, ["1" * 40], "more.txt")
        assert sum(one.set_aside for one in gate(opened(root)).lists) >= 1
    ws.close()
    configure(root, lists=MORE + LIST)  # now another list stands where it stood, and has the hash as well
    listed(root, [HASH], "more.txt")
    assert fetched(root)[0]["reasons"] == {"gate_match": 1}
    listed(root, ["1" * 40])  # the list took it back itself; the operator tidies up
    ws = opened(root)
    found = find(ws.catalog, configured.lists(ws.config), HASH)
    assert restore(ws.catalog, found, ["lines:2"], "ann", "")["restored"] == ["lines:2"]
    assert set_aside.in_force(ws.catalog) == []
    ws.close()


def test_a_digest_that_nobody_names_is_no_flat_picture(root: Path) -> None:
    """As a PDQ hash any sha256 is odd; of what is listed as PDQ that is a doubt, of 64 digits it is none."""
    data = next(f"{n}".encode() for n in range(9) if common.odd(hashlib.sha256(f"{n}".encode()).hexdigest()))
    listed(root, [hashlib.sha256(data).hexdigest()])
    ws = opened(root)
    assert suspicious(ws.catalog, gate(ws)) == []
    ws.close()
    configure(root, lists=LIST + 'algorithm = "pdq"\n')
    ws = opened(root)
    assert "flat picture" in suspicious(ws.catalog, gate(ws))[0]["why"][0]
    ws.close()


def test_of_a_row_that_is_two_hashes_both_are_set_aside(root: Path) -> None:
    """64 digits of an unnamed kind are matched as sha256 and as PDQ."""
    data = encode(texture(0), "PNG")
    listed(root, [hashlib.sha256(data).hexdigest()])
    assert fetched(root)[0]["reasons"] == {"gate_match": 1}
    set_it_aside(root, hashlib.sha256(data).hexdigest())
    ws = opened(root)
    assert [(one.entries, one.guessed, one.set_aside, one.matched) for one in gate(ws).lists] == [(2, 1, 1, 1)]
    assert release(ws, 1, "wrong", "ann")["asked_again"] == 1
    ws.close()
    assert fetched(root)[0]["stored"] == 4


def test_a_neighbour_in_the_list_still_matches(root: Path) -> None:
    """One hash is set aside, not what looks like it."""
    near = f"{int(HASH, 16) ^ 0b11:064x}"
    listed(root, [HASH, near])
    fetched(root)
    set_it_aside(root, HASH)
    ws = opened(root)
    release(ws, 1, "wrong", "ann")
    ws.close()
    totals, told = fetched(root)
    assert totals["reasons"] == {"gate_match": 1}
    assert "incident 2" in told
    ws = opened(root)
    said = describe(ws.catalog, find(ws.catalog, configured.lists(ws.config), near))["lists"][0]
    assert (said["matches"], said["set_aside"], said["distance"][1] <= pdq.RADIUS) == (1, False, True)
    ws.close()


def test_all_of_a_list_set_aside_is_said_aloud(root: Path) -> None:
    screened.listed(root, [HASH])
    set_it_aside(root, HASH)
    ws = opened(root)
    assert not gate(ws).healthy
    assert gate(ws).summary()["healthy"] is False
    assert "MATCHES NOTHING" in (gate(ws).banner or "")
    ws.close()
    for verb in (("screening", "rescan"), ("fetch",)):
        assert "nothing can match" in curate(root, *verb, ok=(4,))["error"]
    status = curate(root, "screening", "status", ok=(4,))
    assert status["problems"] == ["nothing can match: every hash of every list is set aside"]
    configure(root, "required = false")
    said = curate(root, "screening", "rescan")
    assert (said["samples"], said["matched"]) == (0, 0)
    assert "nothing can match" in said["nothing"]


# -- false, says somebody who is entitled ----------------------------------------------------------------------------


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


# -- what was stored before ------------------------------------------------------------------------------------------


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
    listed(root, ["0" * 40])
    fetched(root)
    listed(root, [HASH, near])
    ws = opened(root)
    rescan(ws, gate(ws), Serial(), QUIET)
    ws.close()
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
    listed(root, ["0" * 40])
    fetched(root)
    listed(root, [HASH])
    ws = opened(root)
    rescan(ws, gate(ws), Serial(), QUIET)
    ws.close()
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
    listed(root, ["0" * 40])
    fetched(root)
    listed(root, [HASH])
    ws = opened(root)
    rescan(ws, gate(ws), Serial(), QUIET)
    ws.close()
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
