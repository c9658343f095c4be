"""Lists change: what is stored already is screened again from stored hashes, removed, and leaves the next release."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import ImageOps

from curate.engine.serial import Serial
from curate.errors import GateError
from curate.features.hashes import pdq_rows, pdq_table
from curate.fingerprint import fingerprint
from curate.media import pdq
from curate.removal.rescan import rescan
from curate.screening.gate import Gate, load
from curate.screening.incidents import incident, release
from curate.screening.lists.lines import Lines
from curate.store import holds
from curate.store.workspace import Workspace
from tests.fetch.test_fetch import curate
from tests.screening.test_gate import copies
from tests.support.builders import add, workspace
from tests.support.hiding import inverting
from tests.support.pictures import encode, photograph, texture
from tests.support.releases import QUIET

PHOTO = photograph()


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = workspace(tmp_path / "ws")
    yield made
    made.close()


def gate(folder: Path, *lines: str) -> Gate:
    (folder / "list.txt").write_text("\n".join(lines))
    return load([("lines:1", Lines(folder / "list.txt"))], True, None, 1)


def test_by_digest_and_by_look_from_what_is_stored(ws: Workspace, tmp_path: Path) -> None:
    fine = [add(ws, encode(texture(n)), "neutral") for n in range(3)]
    near = [add(ws, data, "neutral") for data in copies(PHOTO).values()]
    by_md5, by_sha1 = encode(texture(7)), encode(texture(8))
    exact = [add(ws, by_md5), add(ws, by_sha1)]
    listed = (pdq.compute(PHOTO).hashes[:32].hex(), hashlib.md5(by_md5).hexdigest(), hashlib.sha1(by_sha1).hexdigest())
    assert rescan(ws, gate(tmp_path, *["0" * 40]), Serial(), QUIET)["matched"] == 0
    for path in (ws.work / "blobs").glob("*/*"):  # hashes are stored now: bytes are not read again
        path.chmod(0o000)
    found = rescan(ws, gate(tmp_path, *listed), Serial(), QUIET)
    assert (found["samples"], found["matched"]) == (len(fine) + len(near) + 2, len(near) + 2)
    assert {row[0] for row in ws.catalog.all("SELECT id FROM samples")} == set(fine)
    assert {path.name for path in (ws.work / "blobs").glob("*/*")} == set(fine)
    assert {row["id"] for row in pdq_table(ws).read(["part"]).to_pylist()} == set(fine)  # type: ignore[union-attr]
    algorithms = [json.loads(row[0])["algorithm"] for row in ws.catalog.all("SELECT detail FROM incidents")]
    assert sorted(algorithms) == sorted(["md5", "sha1"] + ["pdq"] * len(near))
    assert not any(one in str(ws.catalog.all("SELECT * FROM log")) for one in (*near, *exact))
    assert rescan(ws, gate(tmp_path, *listed), Serial(), QUIET)["matched"] == 0


def test_what_came_with_it_is_held_and_it_can_be_reported(ws: Workspace, tmp_path: Path) -> None:
    bad, beside = add(ws, encode(PHOTO), album="gallery"), add(ws, encode(texture(1)), album="gallery")
    other = add(ws, encode(texture(2)), source="urllist:b")
    url = ws.catalog.scalar("SELECT locator FROM candidates WHERE sample = ?", (bad,))
    found = rescan(ws, gate(tmp_path, bad), Serial(), QUIET)
    assert holds.held(ws.catalog) == {beside}
    assert other not in holds.held(ws.catalog)
    said = incident(ws, found["incidents"][0], for_report=True)
    assert (said["kind"], said["list"]) == ("rescan", "lines:1")
    assert [place["locator"] for place in said["report"]["places"]] == [url]


def test_what_matched_is_never_let_go_of(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the incident and the removal: the operator's word frees what came with it, and not the item."""
    bad, beside = add(ws, encode(PHOTO), album="gallery"), add(ws, encode(texture(1)), album="gallery")
    with monkeypatch.context() as patch:
        patch.setattr("curate.removal.rescan.remove", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            rescan(ws, gate(tmp_path, bad), Serial(), QUIET)
    assert holds.held(ws.catalog) == {bad, beside}
    said = release(ws, 1, "the source was looked into", "ann")
    assert (said["released"], said["kept"]) == (2, 1)
    assert holds.held(ws.catalog) == {bad}
    assert rescan(ws, gate(tmp_path, bad), Serial(), QUIET)["incidents"] == [1]
    assert {row[0] for row in ws.catalog.all("SELECT id FROM samples")} == {beside}


def test_hashes_by_earlier_rules_are_void_and_made_again_from_the_bytes(ws: Workspace, tmp_path: Path) -> None:
    """A store that an older version filled knew the first frame as it lay there, and nothing of its profile."""
    negative = ImageOps.invert(PHOTO.convert("L"))
    hidden, other = add(ws, encode(negative, "PNG", icc_profile=inverting())), add(ws, encode(texture(3)))
    old = ws.table(pdq.NAME, fingerprint(pdq.NAME, 2))
    old.write("fetch-1", pdq_rows([(hidden, pdq.compute(negative)), (other, pdq.compute(texture(3)))]))
    found = rescan(ws, gate(tmp_path, pdq.compute(PHOTO.convert("L")).hashes[:32].hex()), Serial(), QUIET)
    assert (found["matched"], found["void"], old.path.exists()) == (1, [old.path.name], False)
    assert {row[0] for row in ws.catalog.all("SELECT id FROM samples")} == {other}
    assert rescan(ws, gate(tmp_path, "0" * 64), Serial(), QUIET)["void"] == [], "said once"


def test_a_gate_that_cannot_answer_removes_nothing(ws: Workspace, tmp_path: Path) -> None:
    add(ws, encode(PHOTO))
    for broken in (Gate(True), Gate(False), load([("lines:1", Lines(tmp_path / "none"))], True, None, 1)):
        with pytest.raises(GateError, match="nothing is screened"):
            rescan(ws, broken, Serial(), QUIET)
    assert ws.catalog.scalar("SELECT count(*) FROM samples") == 1


def test_the_next_release_is_without_it_and_the_last_one_says_so(tmp_path: Path) -> None:
    """The command's way: release, list update, rescan (exit 5), the next release; nothing comes back by a new fetch."""
    images = tmp_path / "images" / "neutral"
    images.mkdir(parents=True)
    for n in range(12):
        (images / f"{n}.png").write_bytes(encode(texture(n), "PNG"))
    (images / "photo.jpg").write_bytes(encode(PHOTO, quality=70))
    (tmp_path / "list.txt").write_text("0" * 64)
    (tmp_path / "curate.toml").write_text(
        '[screening]\n[[screening.lists]]\nuse = "lines"\npath = "list.txt"\n[[sources]]\nuse = "local"\n'
        'path = "images"\nlabel_from = "folder"\n'
    )
    first = curate(tmp_path, "run", "1.0.0")["export"]
    assert sum(first["rows"].values()) == 13
    assert curate(tmp_path, "screening", "rescan")["matched"] == 0
    (tmp_path / "list.txt").write_text(pdq.compute(PHOTO).hashes[:32].hex())
    found = curate(tmp_path, "screening", "rescan", ok=(5,))
    assert (found["matched"], found["releases_affected"]) == (1, ["1.0.0"])
    second = curate(tmp_path, "export", "1.1.0")
    assert sum(second["rows"].values()) == 12
    assert curate(tmp_path, "verify")["items"] == []
    assert curate(tmp_path, "fetch", ok=(5,))["stored"] == 12
