"""One flipped bit, anywhere below work/, is named: in the catalog's unused bytes as in a receipt."""

import random
import shutil
from pathlib import Path

import pytest

from curate.admin.session import finish_removal
from curate.admin.verify import verify
from curate.config import Config
from curate.errors import StoreError
from curate.removal.takedown import takedown
from curate.store import file_digests
from curate.store.workspace import Workspace
from tests.support.taken_down import QUIET, released, start

__all__ = ["start"]


@pytest.fixture(scope="module")
def sound(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with everything that lies still: a release that was redacted, its exports, a model, receipts."""
    root = tmp_path_factory.mktemp("sound") / "w"
    shutil.copytree(start, root)
    ws = Workspace(root, Config())
    with ws.driver("takedown"):
        takedown(ws, released(ws), "asked for")
        (ws.work / "models" / "1.0.0").mkdir(parents=True)
        (ws.work / "models" / "1.0.0" / "model.safetensors").write_bytes(random.Random(0).randbytes(2000))
        file_digests.keep(ws, "models/1.0.0")
    ws.close()
    assert named(root) == set()
    return root


def files(root: Path) -> list[Path]:
    """Every file that has a bit to flip."""
    return sorted(p for p in (root / "work").rglob("*") if p.is_file() and p.stat().st_size and p.name != "lock")


def named(root: Path, repair: bool = False) -> set[str]:
    """What opening and verifying the workspace says is wrong."""
    try:
        ws = Workspace(root, Config())
    except StoreError as error:
        return {str(error)}
    try:
        if ws.catalog.broken_pages():
            return {item["id"] for item in verify(ws, QUIET)["items"]}
        with ws.driver("verify"):
            ws.catalog.begin("verify", "")
            finish_removal(ws)
            found = verify(ws, QUIET, repair)
            ws.catalog.end("done")
        return {item["id"] for item in found["items"]}
    except StoreError as error:
        return {str(error)}
    finally:
        ws.close()


def flip(path: Path, rng: random.Random) -> str:
    """Flip one bit of a file; where."""
    data = bytearray(path.read_bytes())
    place, bit = rng.randrange(len(data)), rng.randrange(8)
    data[place] ^= 1 << bit
    path.write_bytes(data)
    return f"bit {bit} of byte {place} of {path}"


def names(path: Path, root: Path, found: set[str]) -> bool:
    """Whether one of the findings is about this file."""
    inside = path.relative_to(root / "work").as_posix()
    known = {inside, path.name, inside.rsplit(".", 2)[0]}
    catalog = path.name.startswith("catalog.db")
    return any(one in known or (catalog and "catalog.db" in one) or inside in one for one in found)


@pytest.mark.parametrize(
    "seeds", [range(24), pytest.param(range(1000, 2000), marks=pytest.mark.soak)], ids=["few", "many"]
)
def test_one_flipped_bit_is_named(sound: Path, tmp_path: Path, seeds: range) -> None:
    root = tmp_path / "w"
    for seed in seeds:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(sound, root)
        rng = random.Random(seed)
        kinds = [files(root), [root / "work" / "catalog.db"], [p for p in files(root) if "blobs" not in p.parts]]
        path = rng.choice(kinds[seed % 3])
        what = flip(path, rng)
        assert names(path, root, named(root)), what


EACH = (
    "tombstones.log",
    "CACHEDIR.TAG",
    "catalog.db-seal",
    "models/1.0.0/model.safetensors",
    "releases/1.0.0/receipt-1.json",
    "releases/1.0.0/removed.csv",
    "releases/1.0.0/provenance.parquet",
    "exports/1.0.0/csv/train.csv",
    "exports/1.0.0/parquet/test.parquet",
)


@pytest.mark.parametrize("name", EACH)
def test_every_kind_of_file(sound: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(sound, tmp_path / "w")
    for place in (0, -1):
        data = bytearray((sound / "work" / name).read_bytes())
        data[place] ^= 4
        (tmp_path / "w" / "work" / name).write_bytes(data)
        found = named(tmp_path / "w")
        assert names(tmp_path / "w" / "work" / name, tmp_path / "w", found), (name, place, found)
        for path in ("catalog.db", "catalog.db-seal", "tombstones.log"):
            shutil.copy(sound / "work" / path, tmp_path / "w" / "work" / path)


@pytest.mark.parametrize("name", ["tombstones.log", "CACHEDIR.TAG", "exports/1.0.0/csv/train.csv"])
@pytest.mark.parametrize("place", [0, 30, -1])
def test_what_can_be_made_again_is_repaired(sound: Path, tmp_path: Path, name: str, place: int) -> None:
    root = tmp_path / "w"
    shutil.copytree(sound, root)
    before = (root / "work" / name).read_bytes()
    data = bytearray(before)
    data[place] ^= 4
    (root / "work" / name).write_bytes(data)
    assert named(root, repair=True)
    assert named(root) == set()
    if name != "tombstones.log":
        assert (root / "work" / name).read_bytes() == before


def test_a_damaged_page_stays_named_when_it_is_written_anew(sound: Path, tmp_path: Path) -> None:
    """Bits flip, then a verb changes the same page: what was sealed is not what is written now."""
    root = tmp_path / "w"
    shutil.copytree(sound, root)
    ws = Workspace(root, Config())
    ws.catalog.set("note", "7" * 64)
    ws.close()
    path = root / "work" / "catalog.db"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"7" * 64, b"0" * 63 + b"1"))
    ws = Workspace(root, Config())
    ws.catalog.set("another note", "2")
    ws.close()
    assert named(root) == {"catalog.db"}


def test_another_program_that_writes_the_catalog_is_noticed(sound: Path, tmp_path: Path) -> None:
    import sqlite3

    root = tmp_path / "w"
    shutil.copytree(sound, root)
    db = sqlite3.connect(root / "work" / "catalog.db")
    db.execute("UPDATE splits SET split = 'val' WHERE sample = (SELECT min(sample) FROM splits)")
    db.commit()
    db.close()
    assert "catalog.db" in named(root)


def test_a_tampered_release_is_not_a_redacted_one(sound: Path, tmp_path: Path) -> None:
    root = tmp_path / "w"
    shutil.copytree(sound, root)
    ws = Workspace(root, Config())
    said = verify(ws, QUIET)
    assert said["items"] == []
    assert [one["release"] for one in said["redacted"]] == ["1.0.0"]
    header = root / "work" / "releases" / "1.0.0" / "release.json"
    header.write_text(header.read_text().replace('"neutral"', '"drawings"'))
    assert "releases/1.0.0/release.json" in {item["id"] for item in verify(ws, QUIET)["items"]}
    with ws.catalog.tx() as db:  # somebody who also writes the catalog has no receipt for it
        db.execute("UPDATE releases SET sha256 = ?", (file_digests.digest(header),))
    assert "releases/1.0.0" in {item["id"] for item in verify(ws, QUIET)["items"]}
    ws.close()


def test_the_log_is_folded_in_as_it_grows_and_not_under_a_reader(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "w"
    shutil.copytree(sound, root)
    monkeypatch.setattr("curate.store.catalog.FOLD_AT", 20_000)
    ws = Workspace(root, Config())
    for n in range(40):
        rows = ws.catalog.iterate("SELECT id FROM samples ORDER BY id")
        next(rows)  # begun, and not at its end
        for m in range(5):
            ws.catalog.set(f"note {n} {m}", "x" * 500)
        rows.close()  # type: ignore[attr-defined]
        for _ in range(4):
            ws.catalog.set("last", str(n))
    assert ws.catalog.get("last") == "39"
    assert (root / "work" / "catalog.db-wal").stat().st_size < 200_000
    assert ws.catalog.broken_pages() == []
    ws.close()
    assert named(root) == set()
