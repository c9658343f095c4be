"""A release says that it was screened by a list only where every row of it was asked about that list."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from curate.admin import configured
from curate.engine.serial import Serial
from curate.errors import GateError
from curate.removal.rescan import rescan
from curate.screening import asked, set_aside
from curate.screening.entry import aside, find, restore
from curate.screening.overview import overview
from tests.fetch.test_fetch import curate
from tests.support import earlier
from tests.support.pictures import encode, photograph, texture
from tests.support.releases import QUIET
from tests.support.screened import LIST, configure, fetched, gate, hash_of, listed, opened, put

PHOTO = photograph()
HASH = hash_of(PHOTO)
OTHER = "5" * 32  # an md5 of nothing that is here
MORE = '[[screening.lists]]\nuse = "lines"\npath = "more.txt"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four pictures, fetched while screening was off."""
    configure(tmp_path, "required = false", "")
    put(tmp_path, "photo.jpg", encode(PHOTO, quality=70))
    for n in range(3):
        put(tmp_path, f"{n}.png", encode(texture(n), "PNG"))
    assert fetched(tmp_path)[0]["stored"] == 4
    return tmp_path


def tally(root: Path) -> asked.Tally:
    ws = opened(root)
    try:
        return asked.tally(ws.catalog, gate(ws))
    finally:
        ws.close()


def rescanned(root: Path) -> dict[str, Any]:
    ws = opened(root)
    try:
        with ws.driver("rescan"):
            ws.catalog.begin("rescan", "")
            try:
                return rescan(ws, gate(ws), Serial(), QUIET)
            finally:
                ws.catalog.end("done")
    finally:
        ws.close()


def header(result: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((Path(result["path"]) / "release.json").read_text())["screening"]
    return said


def test_a_release_is_refused_until_what_it_holds_was_screened(root: Path) -> None:
    """The newcomer's way, by the command: off, then a list that names a stored picture, then required."""
    curate(root, "dedupe")
    curate(root, "label")
    first = header(curate(root, "export", "1.0.0"))
    assert (first["required"], first["lists"], first["unscreened"]) == (False, [], 4)
    listed(root, [HASH])
    configure(root, "required = false")
    curate(root, "dedupe")
    second = curate(root, "export", "1.1.0")
    assert (second["unscreened"], header(second)["unscreened"]) == (4, 4)
    configure(root)
    why = "screening: 4 of 4 samples were never screened by lines:1; run `curate screening rescan`"
    assert curate(root, "export", "2.0.0", ok=(4,))["error"] == f"curate: {why}\n"
    assert why in curate(root, "run", "2.0.0", ok=(4,))["error"]
    status = curate(root, "screening", "status")
    assert (status["stored"], status["screened"], status["unscreened"], status["matched"]) == (4, 0, 4, 0)
    assert curate(root, "screening", "rescan", ok=(5,))["matched"] == 1
    done = header(curate(root, "export", "2.0.0"))
    assert (done["required"], done["matched"], done["unscreened"], done["unknown"]) == (True, 1, 0, 0)
    assert done["lists"][0]["asked_since"]
    status = curate(root, "screening", "status")
    assert (status["screened"], status["unscreened"], status["matched"]) == (3, 0, 1)


def test_a_gate_that_cannot_answer_lets_no_release_be_written(root: Path) -> None:
    """No list, one that is not there, one of which every hash is set aside."""
    curate(root, "dedupe")
    curate(root, "label")
    listed(root, [OTHER])
    configure(root)
    ws = opened(root)
    found = find(ws.catalog, configured.lists(ws.config), OTHER)
    aside(ws.catalog, found, found.chosen(None, True), "ann", "a logo")
    ws.close()
    for lists, why in (
        ("", "no list is loaded"),
        (LIST.replace("list.txt", "none.txt"), "none.txt"),
        (LIST, "nothing can"),
    ):
        configure(root, lists=lists)
        said = curate(root, "export", "1.0.0", ok=(4,))["error"]
        assert "no release is written" in said
        assert why in said
    assert not list((root / "work" / "releases").glob("*"))


def test_a_list_that_only_grew_is_said(root: Path) -> None:
    listed(root, [OTHER])
    configure(root)
    rescanned(root)
    assert (tally(root).unscreened, tally(root).before["lines:1"]) == (0, 0)
    listed(root, [OTHER, "6" * 32])
    assert (tally(root).unscreened, tally(root).before["lines:1"]) == (0, 4)
    rescanned(root)
    assert (tally(root).unscreened, tally(root).before["lines:1"]) == (0, 0)


def test_another_list_is_another_and_the_same_file_elsewhere_is_the_same(root: Path) -> None:
    listed(root, [OTHER])
    configure(root)
    rescanned(root)
    listed(root, ["6" * 32], "more.txt")
    configure(root, lists=MORE + LIST)
    found = tally(root)
    assert (found.unscreened, dict(found.never)) == (4, {"lines:1": 4})
    listed(root, [OTHER], "more.txt")
    assert tally(root).unscreened == 0


def test_a_wider_radius_was_never_asked(root: Path) -> None:
    listed(root, [OTHER])
    configure(root, lists=LIST + "radius = 10\n")
    rescanned(root)
    configure(root, lists=LIST + "radius = 5\n")
    assert tally(root).unscreened == 0
    configure(root)
    assert tally(root).unscreened == 4


def test_an_entry_that_was_set_aside_and_matches_again_was_never_asked(root: Path) -> None:
    listed(root, [OTHER, HASH])
    configure(root)
    for act in (aside, restore):
        ws = opened(root)
        found = find(ws.catalog, configured.lists(ws.config), HASH)
        act(ws.catalog, found, found.chosen(None, True), "ann", "a logo")
        assert len(set_aside.in_force(ws.catalog)) == (act is aside)
        ws.close()
        if act is aside:
            rescanned(root)
            assert tally(root).unscreened == 0
    assert tally(root).unscreened == 4
    assert rescanned(root)["matched"] == 1
    assert tally(root).unscreened == 0


def test_what_comes_after_a_rescan_is_not_covered_by_it(root: Path) -> None:
    listed(root, [OTHER])
    configure(root)
    rescanned(root)
    configure(root, "required = false", "")
    put(root, "new.png", encode(texture(9), "PNG"))
    fetched(root)
    configure(root)
    assert (tally(root).of, tally(root).unscreened) == (5, 1)


def test_a_rescan_does_not_cover_what_it_could_not_look_at(root: Path) -> None:
    listed(root, [OTHER])
    configure(root)
    ws = opened(root)
    lost = str(ws.catalog.scalar("SELECT min(id) FROM samples"))
    ws.catalog.begin("rescan", "")
    asked.note(ws.catalog, gate(ws), [lost])
    ws.catalog.end("done")
    assert asked.tally(ws.catalog, gate(ws)).unscreened == 1
    assert lost not in str(ws.catalog.all("SELECT * FROM runs")[-1]["asked"])
    ws.close()


def test_a_rescan_that_failed_screened_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(root, [HASH])
    configure(root)
    with monkeypatch.context() as patch:
        patch.setattr("curate.removal.rescan.hashes.complete", lambda *_: (_ for _ in ()).throw(GateError("no")))
        with pytest.raises(GateError):
            rescanned(root)
    assert tally(root).unscreened == 4


def test_status_counts_what_was_screened_while_screening_was_off(root: Path) -> None:
    ws = opened(root)
    said = overview(ws, gate(ws))
    assert (said["stored"], said["screened"], said["unscreened"]) == (4, 0, 4)
    ws.close()


@pytest.mark.parametrize(("screened", "unscreened"), [(True, 0), (False, 4)])
def test_a_workspace_of_the_version_before(tmp_path: Path, screened: bool, unscreened: int) -> None:
    """What its runs say of the gate is known; where they say nothing, what each item's row says."""
    listed(tmp_path, [OTHER])
    configure(tmp_path, "required = false", LIST if screened else "")
    for n in range(4):
        put(tmp_path, f"{n}.png", encode(texture(n), "PNG"))
    fetched(tmp_path)
    configure(tmp_path)
    with closing(sqlite3.connect(tmp_path / "work" / "catalog.db")) as db:
        earlier.before(db, "m015_asked")
    for one in ("catalog.db-seal", "catalog.db-wal"):
        (tmp_path / "work" / one).unlink(missing_ok=True)
    assert tally(tmp_path).unscreened == unscreened
    assert tally(tmp_path).unknown == 0
    ws = opened(tmp_path)
    with ws.catalog.tx() as db:
        db.execute("UPDATE runs SET asked = NULL")
    found = asked.tally(ws.catalog, gate(ws))
    assert (found.unscreened, found.unknown) == (unscreened, 4 - unscreened)
    ws.close()


def test_a_million_samples_are_counted_within_seconds(tmp_path: Path) -> None:
    """`CURATE_MANY=1300000` times it; a few here."""
    from time import perf_counter

    many = int(os.environ.get("CURATE_MANY", "2000"))
    listed(tmp_path, [OTHER])
    configure(tmp_path)
    ws = opened(tmp_path)
    ws.catalog.begin("fetch", "")
    asked.note(ws.catalog, gate(ws))
    with ws.catalog.tx() as db:
        rows = ((f"{n:064x}", "0" * 40, "0" * 32, 1, "image/png", 1, 1, ws.catalog.run) for n in range(many))
        names = "(id, sha1, md5, bytes, media_type, width, height, run)"
        db.executemany(f"INSERT INTO samples {names} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        names = "(kind, locator, state, sample, run, gate)"
        sql = f"INSERT INTO candidates {names} VALUES ('url', ?, 'stored', ?, ?, 'clear')"
        db.executemany(sql, ((f"http://example.org/{n}", f"{n:064x}", ws.catalog.run) for n in range(many)))
    ws.catalog.end("done")
    ids, began = {f"{n:064x}" for n in range(many)}, perf_counter()
    found = asked.tally(ws.catalog, gate(ws), ids)
    print(f"{many} samples: {perf_counter() - began:.1f} s")
    assert (found.of, found.unscreened) == (many, 0)
    ws.close()
