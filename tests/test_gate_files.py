"""A listed picture in every kind of file that once kept it: stored 0 times, at fetch and at rescan."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from curate.engine.serial import Serial
from curate.rescan import rescan
from tests.gatefiles import CONTAINERS, KINDS, LISTED, TURNS, files, some
from tests.releases import QUIET
from tests.screened import configure, fates, fetched, gate, hash_of, listed, opened, put


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
    left = int(ws.catalog.one("SELECT count(*) FROM samples") or 0)
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
