"""A list that errs: an entry is set aside by hash, for one list; until then what it matched stays out."""

import hashlib
import json
from pathlib import Path

import pytest

from curate.admin import configured
from curate.errors import UsageError
from curate.media import pdq
from curate.screening import common, set_aside
from curate.screening.entry import describe, find, restore
from curate.screening.incidents import release
from curate.screening.misfires import suspicious
from tests.fetch.test_fetch import curate
from tests.support import screened
from tests.support.pictures import encode, texture
from tests.support.screened import LIST, configure, fetched, gate, logged, opened
from tests.support.set_aside import HASH, PHOTO, listed, set_it_aside

MORE = '[[screening.lists]]\nuse = "lines"\npath = "more.txt"\n'


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
