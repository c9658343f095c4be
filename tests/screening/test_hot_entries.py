"""An entry that matches again and again: held out, told apart, and under `hold` no reason to stop."""

import hashlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pdqhash
import pytest
from PIL import Image

from curate.admin import configured
from curate.engine.serial import Serial
from curate.errors import GateError, MatchError, UsageError
from curate.fetch.run import fetch
from curate.media import placeholders
from curate.net.offline import Offline
from curate.records import Digests
from curate.screening import common, history
from curate.screening.entry import aside, find
from curate.screening.incidents import acknowledge, incident, release
from curate.screening.misfires import ITEMS, often, suspicious
from curate.store.holds import held, untold
from tests.fetch.test_fetch import curate
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


# -- killed ----------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
import cli
from curate.store import catalog

def append(self, db, action, *rest, **more):
    append.left -= action == {action!r}
    if action == {action!r} and append.left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return known(self, db, action, *rest, **more)

append.left, known, catalog.Catalog.append = {after}, catalog.Catalog.append, append
sys.argv[1:] = {args!r}
cli.main()
"""


def killed(root: Path, action: str, after: int, *args: str) -> None:
    """Run the command, and kill it inside the transaction of the n-th row of the log of this kind."""
    code = KILLED.format(action=action, after=after, args=[*args, "-w", str(root)])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr


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


# -- which entries are in doubt ----------------------------------------------------------------------------------------


def counted(items: int, quality: tuple[int, int] | None = (90, 100)) -> history.Entry:
    return history.Entry("l", "k", "line 1", items + 2, items, 1, (0, 4), quality, "", "")


@pytest.mark.parametrize(
    ("items", "screened", "suspected"),
    [(1, 1, False), (2, 2, False), (3, 3000, True), (3, 3001, False), (9, 10**7, False), (ITEMS, 10**7, True)],
)
def test_how_often_is_too_often(items: int, screened: int, suspected: bool) -> None:
    """Different files count, not how often the same one was met."""
    assert bool(often(counted(items), screened)) == suspected


def test_what_matches_only_flat_pictures_is_suspected() -> None:
    assert "flat" in often(counted(3, (50, 59)), 10**6)[0]
    assert not often(counted(3, (50, 60)), 10**6)
    assert not often(counted(2, (50, 59)), 10**6)
    assert not often(counted(3, None), 10**6), "of digests nobody knows"


def as_listed(image: Image.Image) -> str:
    """What another tool puts on a list: pdqhash's own bits, of flat pictures too."""
    return np.packbits(pdqhash.compute(np.asarray(image))[0].astype(np.uint8)).tobytes().hex()


def drawn() -> list[Image.Image]:
    """Flat, symmetrical and common pictures, of other sizes, shades and formats than any that is built in."""
    down, across = np.mgrid[0:300, 0:300] / 299
    blanks = [Image.new("L", (640, 480), level) for level in (0, 1, 77, 128, 250, 255)]
    ramp = Image.linear_gradient("L").resize((300, 200))
    stripes = Image.fromarray((np.indices((300, 400))[1] // 50 % 2 * 200 + 20).astype(np.uint8))
    letterbox = Image.fromarray(((down > 0.1) & (down < 0.9)).astype(np.uint8) * 180)
    board = Image.fromarray(((down * 5).astype(int) + (across * 5).astype(int)).astype(np.uint8) % 2 * 255)
    page = Image.fromarray((common._page(*np.mgrid[0:512, 0:512] / 511) * 230 + 20).astype(np.uint8)).rotate(90)
    missing = Image.fromarray((common._placeholder(down, across) * 200).astype(np.uint8)).resize((480, 360))
    jpeg = Image.open(io.BytesIO(encode(missing.convert("RGB"), quality=60)))
    return [*blanks, ramp, stripes, letterbox, board, page, missing, jpeg]


def test_entries_like_common_pictures_are_pointed_out_and_others_are_not(tmp_path: Path) -> None:
    odd = list(dict.fromkeys(as_listed(one.convert("RGB")) for one in drawn()))
    assert len(odd) >= 10
    names = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "page.png", "text.png", "coins.png")
    fine = [hash_of(photograph(one)) for one in names] + [hash_of(texture(n)) for n in range(100)]
    configure(tmp_path, lists=LIST + 'algorithm = "pdq"\n')
    listed(tmp_path, [*fine, *odd])
    ws = opened(tmp_path)
    found = suspicious(ws.catalog, gate(ws))
    assert sorted(one["entry"] for one in found) == [f"line {len(fine) + n}" for n in range(1, len(odd) + 1)]
    assert all(one["hash"] == odd[int(one["entry"][5:]) - len(fine) - 1][:12] for one in found)
    ws.close()


def test_digests_of_files_that_everybody_has(tmp_path: Path) -> None:
    pixel = common.FILES["a transparent pixel"]
    assert Image.open(io.BytesIO(pixel)).convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]
    odd = [hashlib.sha1(b"").hexdigest(), hashlib.md5(pixel).hexdigest(), next(placeholders.known())[0]]
    configure(tmp_path)
    listed(tmp_path, [hashlib.md5(b"fine").hexdigest(), *odd])
    ws = opened(tmp_path)
    found = {one["entry"]: one["why"][0] for one in suspicious(ws.catalog, gate(ws))}
    assert found.keys() == {"line 2", "line 3", "line 4"}
    assert (found["line 2"], found["line 3"]) == ("it is an empty file", "it is a transparent pixel")
    ws.close()


def test_an_entry_that_a_negative_list_has_is_matched_all_the_same(tmp_path: Path) -> None:
    """Positive wins, and it is said: by hash, by look, by the category of a row; nobody else is named."""
    harmless = '[[screening.lists]]\nuse = "lines"\npath = "harmless.txt"\nnegative = true\n'
    rows = '[[screening.lists]]\nuse = "tx_csv"\npath = "rows.csv"\n'
    configure(tmp_path, "stop_after_matches = 0", LIST + harmless + rows)
    exact = encode(texture(1), "PNG")
    put(tmp_path, "photo.jpg", encode(PHOTO, quality=80))
    put(tmp_path, "exact.png", exact)
    put(tmp_path, "other.jpg", encode(OTHER, quality=80))
    put(tmp_path, "fine.png", encode(texture(2), "PNG"))
    listed(tmp_path, [hash_of(PHOTO), hashlib.md5(exact).hexdigest(), hash_of(OTHER), "1" * 40])
    listed(tmp_path, [f"{int(hash_of(PHOTO), 16) ^ 0b1111:064x}", hash_of(texture(2))], "harmless.txt")
    head = "signal_type,signal_str,collab,category,tags\n"
    marked = [f"md5,{hashlib.md5(exact).hexdigest()},mine,NEGATIVE_CLASS,", f"sha1,{'2' * 40},mine,POSITIVE_CLASS,"]
    (tmp_path / "rows.csv").write_text(head + "\n".join(marked))
    totals, _ = fetched(tmp_path)
    assert (totals["stored"], totals["reasons"]) == (1, {"gate_match": 3})
    ws = opened(tmp_path)
    found = {one["entry"]: one for one in suspicious(ws.catalog, gate(ws))}
    assert found.keys() == {"line 1", "line 2"}
    assert "harmless pictures has it: lines:2 line 1" in found["line 1"]["why"][0]
    assert "harmless pictures has it: tx_csv:3 line 2" in found["line 2"]["why"][0]
    assert (found["line 1"]["list"], found["line 1"]["items"]) == ("lines:1", 1)
    with pytest.raises(UsageError, match="only lists of harmless pictures"):
        find(ws.catalog, configured.lists(ws.config), hash_of(texture(2)))
    ws.close()


def test_a_list_of_harmless_pictures_is_no_screening(tmp_path: Path) -> None:
    configure(tmp_path, lists=LIST + "negative = true\n")
    listed(tmp_path, [hash_of(PHOTO)])
    ws = opened(tmp_path)
    assert not gate(ws).active
    assert not gate(ws).healthy
    with pytest.raises(GateError, match="no list is loaded"):
        gate(ws).admit(frozenset({"porn"}), ["neutral"])
    ws.close()


def test_a_list_that_cannot_be_read_is_said_and_nothing_is_suspected(tmp_path: Path) -> None:
    configure(tmp_path, lists=LIST + LIST.replace("list.txt", "more.txt"))
    listed(tmp_path, [hash_of(Image.new("RGB", (64, 64)))])
    listed(tmp_path, ["0" * 64, *["x"] * 3], "more.txt")
    said = curate(tmp_path, "screening", "status", ok=(4,))
    assert "is corrupt" in json.dumps(said["problems"])
    assert said["suspicious"] == []


@pytest.mark.parametrize("restored", [True, False])
def test_a_digest_that_was_set_aside_does_not_stand_in_the_way_of_a_removal(tmp_path: Path, restored: bool) -> None:
    """The list's SHA-256 is the sample's id, and stays on record as the list's."""
    configure(tmp_path)
    data = encode(PHOTO, "PNG")
    entry = hashlib.sha256(data).hexdigest()
    listed(tmp_path, [entry, "5" * 32])
    put(tmp_path, "one.png", data)
    curate(tmp_path, "fetch", ok=(5,))
    curate(tmp_path, "screening", "entry", entry, "--set-aside", "--reason", "a logo")
    curate(tmp_path, "screening", "release", "1", "--reason", "a logo")
    assert curate(tmp_path, "fetch")["stored"] == 1
    if restored:
        curate(tmp_path, "screening", "entry", entry, "--restore", "--reason", "no logo")
        curate(tmp_path, "screening", "rescan", ok=(5,))
    else:
        curate(tmp_path, "takedown", entry, "--reason", "asked for")
    ws = opened(tmp_path)
    assert ws.catalog.scalar("SELECT count(*) FROM samples") == 0
    assert ws.catalog.scalar("SELECT state FROM removals") == "done"
    ws.close()
