"""`curate verify`: one flipped bit is named, whatever it is in."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.admin.verify import verify
from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.errors import StoreError
from curate.features import hashes
from curate.progress import Progress
from curate.stats.coverage import Coverage
from curate.store.witnesses import EXPORTING
from curate.store.workspace import Workspace
from tests.support.builders import add, workspace
from tests.support.pictures import encode, texture

QUIET = Progress(quiet=True)
CLEAN = {"missing": 0, "corrupt": 0, "orphans": 0, "unread": 0, "items": [], "redacted": []}
FILES = {"train.parquet": b"rows to train on", "val.parquet": b"rows", "test.parquet": b"rows to test on"}


def clean(blobs: int) -> dict[str, object]:
    """What is said of a workspace in which nothing is wrong."""
    return {"blobs": blobs} | CLEAN | {"lost": 0} | Coverage(blobs, blobs, "blobs").facts(None)


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = stocked(tmp_path)
    yield made
    made.close()


def stocked(root: Path) -> Workspace:
    """Six samples, their hashes, groups, a run in the log, and a release."""
    ws = workspace(root)
    for n in range(6):
        add(ws, encode(texture(n)), "neutral")
    ws.catalog.begin("dedupe", "")
    dedupe(ws, Serial(), QUIET)
    ws.catalog.end("done")
    ws.catalog.log("export", "1.0.0", {"rows": 6})
    folder = ws.work / "releases" / "1.0.0"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    header = {"files": {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}}
    (folder / "release.json").write_text(json.dumps(header))
    (folder / "provenance.parquet").write_bytes(b"outside the hash")
    sha256 = hashlib.sha256((folder / "release.json").read_bytes()).hexdigest()
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO releases VALUES ('1.0.0', ?, NULL, '2026', NULL)", (sha256,))
    return ws


def flip(path: Path, place: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def ids(ws: Workspace) -> list[str]:
    return [row[0] for row in ws.catalog.all("SELECT id FROM samples ORDER BY id")]


def test_a_sound_workspace(ws: Workspace) -> None:
    assert verify(ws, QUIET) == clean(6)
    assert verify(ws, QUIET, repair=True) == clean(6)
    assert verify(ws, QUIET) == clean(6)  # the repair's own log row fits the chain


def test_an_empty_workspace(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    assert verify(ws, QUIET) == clean(0)
    ws.close()


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_a_bit_of_a_blob(ws: Workspace, place: int) -> None:
    one = ids(ws)[2]
    flip(ws.blobs.path(one), place)
    found = verify(ws, QUIET, repair=True)
    assert (found["blobs"], found["corrupt"], found["orphans"]) == (6, 1, 0)
    assert [item["id"] for item in found["items"]] == [one]
    assert ws.blobs.path(one).exists()  # nothing that is not an orphan is removed


@pytest.mark.parametrize("name", ["release.json", *FILES])
def test_a_bit_of_a_release(ws: Workspace, name: str) -> None:
    flip(ws.work / "releases" / "1.0.0" / name, 3)
    found = verify(ws, QUIET)
    assert found["corrupt"]
    assert f"releases/1.0.0/{name}" in {item["id"] for item in found["items"]}


def test_a_file_of_a_release_is_gone(ws: Workspace) -> None:
    (ws.work / "releases" / "1.0.0" / "test.parquet").unlink()
    found = verify(ws, QUIET)
    assert found["missing"] == 1
    assert found["items"] == [{"id": "releases/1.0.0/test.parquet", "problem": "this file of the release is missing"}]


def test_a_release_that_nobody_made(ws: Workspace) -> None:
    (ws.work / "releases" / "2.0.0").mkdir()
    (ws.work / "releases" / ".3.0.0.tmp").mkdir()  # a killed export's, swept by the next driver
    assert verify(ws, QUIET)["items"] == [
        {"id": "releases/2.0.0", "problem": "the catalog knows no such release; move it away"}
    ]


def test_what_a_killed_export_left_is_told_with_its_remedy(ws: Workspace) -> None:
    (ws.work / "releases" / "2.0.0").mkdir()
    ws.catalog.set(EXPORTING, "2.0.0")
    (found,) = verify(ws, QUIET)["items"]
    assert found["id"] == "releases/2.0.0"
    assert "the next `curate export`" in found["problem"]


def test_every_bit_of_a_tables_part(ws: Workspace) -> None:
    table = hashes.table(ws)
    (path,) = table.path.iterdir()
    for place in range(0, path.stat().st_size, 97):
        flip(path, place, place % 8)
        found = verify(ws, QUIET)
        assert found["corrupt"] == 1
        assert found["items"][0]["id"] == f"tables/{table.path.name}/{table.parts()[0]}"
        flip(path, place, place % 8)
    assert verify(ws, QUIET) == clean(6)
    flip(path, 5)
    verify(ws, QUIET, repair=True)
    assert verify(ws, QUIET) == clean(6)
    assert table.parts() == []


def find(path: Path, text: bytes) -> int:
    return path.read_bytes().index(text)


def named(ws: Workspace) -> str:
    """What opening and verifying the workspace says is wrong."""
    try:
        again = Workspace(ws.root, ws.config)
    except StoreError as error:
        return str(error)
    found = verify(again, QUIET, repair=True)
    again.close()
    assert found["blobs"] == 6
    return "".join(item["id"] for item in found["items"])


def test_a_bit_of_the_catalog(ws: Workspace) -> None:
    """In an indexed value, in a sample's digests, in what two tables say, in a page's structure, in the log."""
    one = ids(ws)[0]
    row = ws.catalog.all("SELECT sha1, md5 FROM samples WHERE id = ?", (one,))[0]
    split = ws.catalog.scalar("SELECT split FROM splits WHERE sample = ?", (one,))
    ws.close()
    path = ws.work / "catalog.db"
    whole = path.read_bytes()
    places = {
        "indexed": find(path, b"http://example.org/") + 3,
        "sha1": find(path, row[0].encode()),
        "md5": find(path, row[1].encode()),
        "split": find(path, (one + split).encode()) + 64,
        "structure": 4096 * 3,
        "log": find(path, b'{"rows":6}') + 2,
    }
    for name, place in places.items():
        flip(path, place)
        assert named(ws), name
        for leftover in path.parent.glob("catalog.db-*"):
            leftover.unlink()
        path.write_bytes(whole)
    assert len(list(ws.blobs.list())) == 6  # and no blob was taken for an orphan


def test_the_logs_chain(ws: Workspace) -> None:
    with ws.catalog.tx() as db:
        db.execute("DROP TRIGGER log_no_update")
        db.execute("UPDATE log SET actor = 'someone else' WHERE seq = 2")
    found = verify(ws, QUIET)
    assert [item["id"] for item in found["items"]] == ["log:2"]


def test_a_missing_blob(ws: Workspace) -> None:
    one = ids(ws)[1]
    ws.blobs.delete(one)
    found = verify(ws, QUIET)
    assert (found["blobs"], found["missing"]) == (5, 1)
    assert found["items"] == [{"id": one, "problem": "its bytes are missing"}]


def test_an_orphan_is_named_and_removed_when_asked(ws: Workspace) -> None:
    data = b"stored, and killed before its row was written"
    name = hashlib.sha256(data).hexdigest()
    ws.blobs.put([(name, data)])
    (ws.blobs.root / name[:2] / f".{name}.1234").write_bytes(b"partial")
    found = verify(ws, QUIET)
    assert (found["blobs"], found["orphans"]) == (7, 1)
    assert found["items"] == [{"id": name, "problem": "no sample has these bytes"}]
    assert verify(ws, QUIET, repair=True) == found
    assert verify(ws, QUIET) == clean(6)
    assert not list(ws.blobs.root.glob("??/.*"))
    assert ws.catalog.scalar("SELECT detail FROM log ORDER BY seq DESC LIMIT 1") == '{"orphans":1}'


def test_while_the_catalog_is_in_doubt_no_blob_is_removed(ws: Workspace) -> None:
    data = b"an orphan, it seems"
    name = hashlib.sha256(data).hexdigest()
    ws.blobs.put([(name, data)])
    with ws.catalog.tx() as db:
        db.execute("UPDATE splits SET split = 'nowhere'")
    found = verify(ws, QUIET, repair=True)
    assert found["orphans"] == 1
    assert ws.blobs.path(name).exists()
