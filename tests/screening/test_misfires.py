"""Which entries are in doubt: those that match too often, flat pictures alone, or what everybody has."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pdqhash
import pytest
from PIL import Image

from curate.admin import configured
from curate.errors import GateError, UsageError
from curate.media import placeholders
from curate.screening import common, history
from curate.screening.entry import find
from curate.screening.misfires import ITEMS, often, suspicious
from tests.fetch.test_fetch import curate
from tests.screening.test_hot_entries import OTHER, PHOTO
from tests.support.pictures import encode, photograph, texture
from tests.support.screened import LIST, configure, fetched, gate, hash_of, listed, opened, put


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
