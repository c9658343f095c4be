"""An entry that matches again and again: held out, told apart, and under `hold` no reason to stop."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from curate.admin import configured
from curate.engine.serial import Serial
from curate.errors import MatchError
from curate.fetch.run import fetch
from curate.net.offline import Offline
from curate.records import Digests
from curate.screening.entry import aside, find
from curate.screening.incidents import acknowledge, incident, release
from curate.screening.misfires import suspicious
from curate.store.holds import held, untold
from tests.fetch.test_fetch import curate
from tests.support.killed_inside import killed
from tests.support.pictures import encode, photograph, texture
from tests.support.releases import QUIET
from tests.support.screened import LIST, configure, fates, fetched, gate, hash_of, listed, logged, opened, put

HOLD = 'on_hot_entry = "hold"'
PHOTO, OTHER = photograph().resize((96, 96)), photograph("coffee.png").resize((96, 96))


def many(root: Path, count: int, every: int) -> int:
    """Pictures by number, each `every`-th of them a variant of the listed one; how many of these."""
    variants = [n for n in range(count) if n % every == every // 2]
    for n in range(count):
        if n in variants:
            put(root, f"{n:03}.jpg", encode(PHOTO, quality=50 + variants.index(n)))
        else:
            put(root, f"{n:03}.png", encode(texture(n, (40, 32)), "PNG"))
    return len(variants)


def test_a_hot_entry_neither_passes_what_it_matches_nor_ends_the_run(tmp_path: Path) -> None:
    """1 % of 300 pictures: one incident, nothing of them kept, the rest is stored; exit 5 all the same."""
    configure(tmp_path, HOLD)
    listed(tmp_path, [hash_of(PHOTO), "5" * 32])
    bad = many(tmp_path, 300, 100)
    assert bad == 3
    error = curate(tmp_path, "fetch", ok=(5,))["error"]
    assert "3 item(s) matched a list: incident 1." in error
    assert "went on with the rest" in error
    ws = opened(tmp_path)
    fate = fates(ws)
    assert {name for name, one in fate.items() if one == "gate_match"} == {"050.jpg", "150.jpg", "250.jpg"}
    assert sum(one == "stored" for one in fate.values()) == 297
    assert ws.catalog.all("SELECT incident, state FROM incidents")[0][:] == (1, "open")
    assert ws.catalog.scalar("SELECT count(*) FROM incidents") == 1
    assert len(list((tmp_path / "work" / "blobs").glob("*/*"))) == 297
    said = incident(ws, 1, for_report=True)
    assert (said["items"], said["entry_history"]["items"], len(said["report"]["places"])) == (3, 3, 3)
    (entry,) = suspicious(ws.catalog, gate(ws))
    assert entry["why"] == ["it matched 3 different files of 300 that were screened"]
    assert (entry["list"], entry["entry"], entry["items"], entry["share"]) == ("lines:1", "line 1", 3, 0.01)
    assert entry["hash"] == hash_of(PHOTO)[:12]
    found = find(ws.catalog, configured.lists(ws.config), hash_of(PHOTO))
    aside(ws.catalog, found, ["lines:1"], "ann", "it matches logos")
    assert release(ws, 1, "logos", "ann")["asked_again"] == 3
    assert suspicious(ws.catalog, gate(ws))[0]["set_aside"] is True
    ws.close()
    totals, told = fetched(tmp_path)
    assert (totals["stored"], totals["failed"], told) == (300, 0, "")


def test_without_hold_the_first_match_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.fetch.pipeline.WAITING", 1)
    configure(tmp_path)
    listed(tmp_path, [hash_of(PHOTO)])
    many(tmp_path, 300, 100)
    totals, told = fetched(tmp_path)
    assert "the run stopped" in told
    assert totals["pending"] > 0


@pytest.mark.parametrize("after", [0, 1, 5])
def test_an_entry_has_one_incident(tmp_path: Path, after: int) -> None:
    """What comes later is added to it, in later runs too, and somebody has to be told again."""
    configure(tmp_path, f"{HOLD}\nstop_after_matches = {after}")
    listed(tmp_path, [hash_of(PHOTO)])
    for run in range(2):
        for n in range(2):
            put(tmp_path, f"{run}{n}.jpg", encode(PHOTO, quality=60 + 2 * run + n))
        assert "2 item(s) matched" in fetched(tmp_path)[1]
        ws = opened(tmp_path)
        assert untold(ws.catalog) == [1]
        acknowledge(ws.catalog, 1, "ann")
        assert untold(ws.catalog) == []
        ws.close()
    ws = opened(tmp_path)
    assert ws.catalog.scalar("SELECT count(*) FROM incidents") == 1
    assert ws.catalog.scalar("SELECT count(*) FROM matches") == 4
    assert len([one for one in logged(ws) if one["action"] == "match"]) == 4
    assert ws.catalog.broken_links() == []
    ws.close()


def test_several_entries_end_a_run_that_one_does_not(tmp_path: Path) -> None:
    """More entries than `stop_after_matches` are a bad source, unless they were hot before."""
    configure(tmp_path, HOLD)
    listed(tmp_path, [hash_of(PHOTO), hash_of(OTHER)])
    put(tmp_path, "a.jpg", encode(PHOTO))
    put(tmp_path, "b.jpg", encode(OTHER))
    assert "everything else was done" in fetched(tmp_path)[1]
    put(tmp_path, "c.jpg", encode(PHOTO, quality=60))
    put(tmp_path, "d.jpg", encode(OTHER, quality=60))
    assert "the run went on" in fetched(tmp_path)[1]


def test_a_bank_of_a_remote_matcher_is_no_hot_entry(tmp_path: Path) -> None:
    """It names every picture alike: under `hold` its matches end the run, and nobody calls the bank suspicious."""

    class Bank:
        provider = "somebody"

        def check(self) -> None: ...
        def ask(self, items: Sequence[Digests]) -> list[str | None]:
            return ["a bank" for _ in items]

    configure(tmp_path, HOLD)
    listed(tmp_path, ["0" * 40])
    for n in range(12):
        put(tmp_path, f"{n:02}.png", encode(texture(n, (40, 32)), "PNG"))
    ws = opened(tmp_path)
    both = replace(gate(ws), matchers=(("hma:1", Bank()),), stop_after_matches=3)
    with ws.driver("fetch"), pytest.raises(MatchError, match="everything else was done"):
        fetch(ws, configured.sources(ws.config), Offline("no network"), both, Serial(), QUIET)
    count = ws.catalog.scalar("SELECT count(*) FROM matches")
    assert ws.catalog.scalar("SELECT count(*) FROM incidents") == count >= 3
    assert suspicious(ws.catalog, both) == []
    ws.close()


def test_what_somebody_decided_about_is_not_added_to(tmp_path: Path) -> None:
    configure(tmp_path, HOLD)
    listed(tmp_path, [hash_of(PHOTO)])
    put(tmp_path, "a.jpg", encode(PHOTO))
    fetched(tmp_path)
    ws = opened(tmp_path)
    release(ws, 1, "the source was looked into", "ann")
    ws.close()
    put(tmp_path, "b.jpg", encode(PHOTO, quality=60))
    assert "incident 2." in fetched(tmp_path)[1]


def test_what_came_with_each_of_them_is_held(tmp_path: Path) -> None:
    """A sample that was stored before the list knew it, among what is added to an incident: held, and kept so."""
    configure(tmp_path, HOLD)
    listed(tmp_path, ["0" * 40])
    put(tmp_path, "old.jpg", encode(PHOTO, quality=60))
    fetched(tmp_path)
    listed(tmp_path, [hash_of(PHOTO)])
    put(tmp_path, "a.jpg", encode(PHOTO, quality=70))
    fetched(tmp_path)
    put(tmp_path, "b.jpg", encode(PHOTO, quality=60))  # the bytes that are stored
    fetched(tmp_path)
    ws = opened(tmp_path)
    assert ws.catalog.scalar("SELECT count(*) FROM incidents") == 1
    stored = ws.catalog.scalar("SELECT id FROM samples")
    assert held(ws.catalog) == {stored}
    assert release(ws, 1, "the source was looked into", "ann")["kept"] == 1
    assert held(ws.catalog) == {stored}
    ws.close()


def test_each_of_them_is_sealed_where_that_is_the_policy(tmp_path: Path) -> None:
    from nacl.public import PrivateKey

    key = bytes(PrivateKey.generate().public_key).hex()
    policy = f'{HOLD}\non_match = "preserve"\noperator = "ann"\npublic_key = "{key}"'
    configure(tmp_path, policy)
    listed(tmp_path, [hash_of(PHOTO)])
    for n in range(3):
        put(tmp_path, f"{n}.jpg", encode(PHOTO, quality=60 + n))
    fetched(tmp_path)
    names = {path.name for path in (tmp_path / "work" / "sealed").iterdir()}
    assert len(names) == 3
    (tmp_path / "images" / "neutral" / "0.jpg").unlink()
    curate(tmp_path, "fetch", ok=(5,))  # it removes what a killed run left: not these
    assert {path.name for path in (tmp_path / "work" / "sealed").iterdir()} == names
    assert curate(tmp_path, "screening", "status")["sealed"] == 3
    ws = opened(tmp_path)
    with ws.catalog.tx() as db:
        db.execute("UPDATE matches SET expires = '2020-01-01' WHERE sealed IS NOT NULL")
    ws.close()
    assert curate(tmp_path, "screening", "status")["expired"] == 2


def test_killed_while_an_entry_is_set_aside_it_still_matches(tmp_path: Path) -> None:
    configure(tmp_path, lists=LIST + LIST.replace("list.txt", "more.txt"))
    for name in ("list.txt", "more.txt"):
        listed(tmp_path, [hash_of(PHOTO), "5" * 32], name)
    put(tmp_path, "a.jpg", encode(PHOTO))
    args = ("screening", "entry", hash_of(PHOTO), "--set-aside", "--all-lists", "--reason", "a logo")
    for after in (0, 1):
        killed(tmp_path, "set_aside", after, *args)
        assert fetched(tmp_path)[0]["stored"] == 0
    assert curate(tmp_path, *args)["set_aside"] == ["lines:1", "lines:2"]
    ws = opened(tmp_path)
    release(ws, 1, "a logo", "ann")
    assert ws.catalog.broken_links() == []
    ws.close()
    assert fetched(tmp_path)[0]["stored"] == 1
    killed(tmp_path, "restore", 1, "screening", "entry", hash_of(PHOTO), "--restore", "--all-lists")
    ws = opened(tmp_path)
    assert [one.set_aside for one in gate(ws).lists] == [1, 1], "both or none"
    ws.close()


@pytest.mark.parametrize("after", [0, 2])
def test_killed_while_a_hot_entry_is_held_nothing_is_lost_or_counted_twice(tmp_path: Path, after: int) -> None:
    configure(tmp_path, HOLD)
    listed(tmp_path, [hash_of(PHOTO)])
    many(tmp_path, 24, 6)
    killed(tmp_path, "match", after, "fetch")
    assert "item(s) matched a list" in curate(tmp_path, "fetch", ok=(5,))["error"], "those that were not recorded yet"
    ws = opened(tmp_path)
    assert ws.catalog.scalar("SELECT count(*) FROM matches") == 4
    assert ws.catalog.scalar("SELECT count(*) FROM incidents") == 1
    assert sum(one == "stored" for one in fates(ws).values()) == 20
    assert ws.catalog.broken_links() == []
    ws.close()
    assert curate(tmp_path, "verify")["items"] == []
