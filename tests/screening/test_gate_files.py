"""A listed picture in every kind of file that once kept it: stored 0 times, at fetch and at rescan."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from curate.engine.serial import Serial
from curate.fetch import local_files
from curate.removal.rescan import rescan
from tests.support.gatefiles import CONTAINERS, KINDS, LISTED, TURNS, files, scene, some
from tests.support.pictures import encode
from tests.support.releases import QUIET
from tests.support.screened import configure, fates, fetched, gate, hash_of, listed, opened, put


def never_kept(root: Path, made: Iterable[tuple[str, bytes]]) -> dict[str, int]:
    """How many files there are, how many the gate stored, and how many a rescan left of what was stored unlisted."""
    configure(root, "stop_after_matches = 0")
    names = []
    for name, data in made:
        put(root, name.replace("/", " ") + ".jpg", data)
        names.append(name)
    listed(root, [hash_of(LISTED)])
    stored = fetched(root)[0]["stored"]
    ws = opened(root)
    reasons = set(fates(ws).values())
    blobs = [path for path in (root / "work" / "blobs").glob("*/*") if path.is_file()]
    ws.close()
    assert reasons <= {"gate_match", "hidden_data", "polyglot"}
    assert blobs == []
    later = root / "later"
    shutil.copytree(root / "images", later / "images")
    configure(later, "stop_after_matches = 0")
    listed(later, ["0" * 40])
    kept = fetched(later)[0]["stored"]
    listed(later, [hash_of(LISTED)])
    ws = opened(later)
    found = rescan(ws, gate(ws), Serial(), QUIET)
    left = int(ws.catalog.scalar("SELECT count(*) FROM samples") or 0)
    ws.close()
    assert found["matched"] == kept
    return {"files": len(names), "stored": stored, "unlisted": kept, "left": left}


def test_a_listed_picture_is_never_kept(tmp_path: Path) -> None:
    found = never_kept(tmp_path, some())
    assert (found["files"], found["stored"], found["left"]) == (2 * len(KINDS), 0, 0)
    assert found["unlisted"] > len(KINDS), "most are files that are stored where nothing is listed"


@pytest.mark.soak
def test_in_every_orientation_and_container(tmp_path: Path) -> None:
    found = never_kept(tmp_path, files())
    print(found)
    assert (found["files"], found["stored"], found["left"]) == (len(KINDS) * len(TURNS) * len(CONTAINERS), 0, 0)


@pytest.mark.parametrize("after", [True, False])
def test_a_file_that_changes_while_it_is_read_is_kept_as_it_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """It is read once: what was looked at is what is stored, whatever becomes of the file meanwhile."""
    fine, bad = encode(scene(7, (320, 240)), "PNG"), encode(LISTED, "PNG")
    configure(tmp_path)
    listed(tmp_path, [hash_of(LISTED)])
    put(tmp_path, "one.png", fine if after else bad)

    def read(path: Path, max_bytes: int) -> bytes:
        data = plain(path, max_bytes)
        path.write_bytes(bad if after else fine)
        return data

    plain = local_files.read
    monkeypatch.setattr("curate.fetch.pipeline.read", read)
    totals, said = fetched(tmp_path)
    stored = [path.read_bytes() for path in (tmp_path / "work" / "blobs").glob("*/*")]
    assert (totals["stored"], stored, bool(said)) == ((1, [fine], False) if after else (0, [], True))
    ws = opened(tmp_path)
    assert rescan(ws, gate(ws), Serial(), QUIET)["matched"] == 0
    ws.close()
