"""A release is complete, the same to the byte, and after a kill either there or not."""

import csv
import hashlib
import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import curate.release.export as verb
from curate.config import Config
from curate.errors import UsageError
from curate.layouts.exported import SUMS, sums_text
from curate.records import SPLITS, Manifest
from curate.release.reader import load
from curate.store import blobs
from curate.store.workspace import Workspace
from tests.support.exports import released, rows
from tests.support.releases import FORMATS, GOLDEN, Item, contents, golden_config, golden_items, shuffled, stocked


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_writes_its_golden_bytes(golden: Workspace, name: str) -> None:
    """`python -m tests.support.releases` rewrites them. Parquet is byte for byte that of one pyarrow only."""
    expected, found = contents(GOLDEN / name), contents(golden.work / "exports" / "1.0.0" / name)
    sums = sums_text({file: hashlib.sha256(data).hexdigest() for file, data in found.items() if file != SUMS})
    assert found.pop(SUMS).decode() == sums
    assert expected, f"no golden files for {name}"
    assert set(found) == set(expected)
    for file, data in expected.items():
        if file.endswith(".parquet") and not _same_writer(data, found[file]):
            assert pq.read_table(pa.BufferReader(found[file])).equals(pq.read_table(pa.BufferReader(data)))
        elif file in ("release.json", "croissant.json"):
            assert _lasting(found[file]) == _lasting(data)
        else:
            assert found[file] == data, f"{name}/{file} changed"


def _same_writer(one: bytes, other: bytes) -> bool:
    return len({pq.read_metadata(pa.BufferReader(data)).created_by for data in (one, other)}) == 1


def _lasting(header: bytes) -> dict[str, Any]:
    """A header without what another version of curate or pyarrow may change."""
    said = {k: v for k, v in json.loads(header).items() if k not in ("tool", "files", "distribution")}
    return said | {k: "" for k in said if k == "rai:dataAnnotationPlatform"}


@pytest.mark.parametrize("seed", range(3))
def test_order_of_arrival_place_and_time_leave_no_trace(golden: Workspace, tmp_path: Path, seed: int) -> None:
    items = [replace(item, mentions=shuffled(item.mentions, seed)) for item in shuffled(golden_items(), seed)]
    other = stocked(tmp_path / f"elsewhere={seed}", items, golden_config())
    result = released(other)
    assert contents(other.work / "releases") == contents(golden.work / "releases") | {
        name: data for name, data in contents(other.work / "releases").items() if "provenance" in name
    }
    assert contents(other.work / "exports") == contents(golden.work / "exports")
    assert result["sha256"] == golden.catalog.scalar("SELECT sha256 FROM releases")


def test_nothing_of_this_machine_or_of_a_secret_gets_out(golden: Workspace) -> None:
    release = golden.work / "releases" / "1.0.0"
    tables = [pq.read_table(p).to_pylist() for p in sorted(release.glob("*.parquet"))]
    text = json.dumps(tables) + (release / "release.json").read_text() + str(contents(golden.work / "exports"))
    for secret in ("user:pw", "0123456789abcdef", "/home/someone", "private"):
        assert secret not in text
    assert str(golden.root) not in json.dumps([t for p, t in zip(SPLITS, tables[1:], strict=True)])
    assert {row["url"] for row in rows(golden).values() if row["ref"] == "cats/cat.jpg"} == {None}


def test_files_are_private(golden: Workspace) -> None:
    for top in ("releases", "exports"):
        for path in (golden.work / top / "1.0.0").rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
words = st.one_of(texts, st.sampled_from(["=1+1", "'", "''x", "@a", "\r", "\n", '"', "a,b\r\nc", "-", "\ufeff", " x "]))


@settings(max_examples=60)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=5))
def test_any_text_survives_csv(tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, str]]) -> None:
    out = tmp_path_factory.mktemp("csv")
    table = pa.table({"url": [url for url, _ in said], "attribution": [who for _, who in said]})
    FORMATS["csv"].write(Manifest("1.0.0", out, {}, dict.fromkeys(SPLITS, table)), out)
    with (out / "train.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.reader(file))
    assert read[0] == ["url", "attribution"]
    assert [tuple(cell.removeprefix("'") for cell in row) for row in read[1:]] == said
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in read for cell in row)


def test_every_sample_is_released_or_counted_with_its_reason(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [*golden_items(), Item("held"), Item("late")], golden_config())
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'why', 'now')", (Item("held").id,))
        db.execute("DELETE FROM members WHERE sample = ?", (Item("late").id,))
    result = released(ws)
    assert result["rows"] == {"train": 3, "val": 1, "test": 2}
    assert result["excluded"] == {
        "conflict": 1,
        "duplicate": 1,
        "merged_with_test": 1,
        "not_deduped": 1,
        "quarantined": 1,
        "unlabelled": 1,
    }
    samples = ws.catalog.scalar("SELECT count(*) FROM samples")
    assert samples == sum(result["rows"].values()) + sum(result["excluded"].values())
    assert ws.catalog.scalar("SELECT count(*) FROM released WHERE version = '1.0.0'") == 6
    assert ws.catalog.broken_links() == []
    assert ws.catalog.all("SELECT action FROM log")[-1][0] == "export"


def test_the_header_says_what_it_was_made_under(tmp_path: Path) -> None:
    ws = stocked(tmp_path, golden_items(), golden_config())
    first = released(ws, "1.0.0")
    released(ws, "1.1.0")
    released(ws, "10.0.0")
    headers = {v: load(ws.work / "releases" / v).header for v in ("1.0.0", "1.1.0", "10.0.0")}
    assert [h["parent"] and h["parent"]["version"] for h in headers.values()] == [None, "1.0.0", "1.1.0"]
    assert headers["1.1.0"]["parent"]["sha256"] == first["sha256"]
    said = headers["1.0.0"]["screening"]
    assert [(one["name"], one["provider"], one["sha256"]) for one in said["lists"]] == [("lines:1", "self", "ab")]
    assert "modified" not in said["lists"][0]
    assert (said["required"], said["unscreened"], said["unknown"]) == (True, 0, sum(headers["1.0.0"]["rows"].values()))
    assert headers["1.0.0"]["counts"]["train"] == {"drawings": 1, "neutral": 2}


@pytest.mark.parametrize("version", ["1.9.9", "2.9.0", "2.10.2", "0.0.1"])
def test_versions_go_up(tmp_path: Path, version: str) -> None:
    ws = stocked(tmp_path, [Item("one"), Item("two"), Item("three", "test")], Config())
    released(ws, "2.10.3")
    with pytest.raises(UsageError, match=rf"{version}: 2.10.3 is out.* 2.10.4 \(or 2.11.0, 3.0.0\)"):
        released(ws, version)
    released(ws, "2.10.4")


class Killed(BaseException):
    """The end, wherever it comes."""


def test_what_a_killed_export_left_is_gone_with_the_next_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its folder would be a release that the catalog does not know, and every verb would refuse."""
    ws = stocked(tmp_path, [Item("a")])
    with monkeypatch.context() as patch:
        patch.setattr(verb, "_write_formats", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            released(ws, "1.0.0")
    released(ws, "1.1.0")
    assert [one.name for one in (ws.work / "releases").iterdir()] == ["1.1.0"]
    assert not [one for one in ws.doubts() if "does not know" in one]


@pytest.mark.parametrize("step", range(10))
def test_killed_at_any_step_it_is_no_release_and_redone_it_is_the_same(
    golden: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Steps: five files, two folders that get their names, the log (twice), the row. Nothing tidies up after a kill."""
    ws = stocked(tmp_path, golden_items(), golden_config())
    left = [step]

    def deadly(function: Any) -> Any:
        def wrapped(*args: Any) -> Any:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return function(*args)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(verb, "write", deadly(blobs.write))
        patch.setattr(Path, "rename", deadly(Path.rename))
        patch.setattr("curate.store.folders.shutil.rmtree", lambda *_, **__: None)
        patch.setattr(ws.catalog, "log", deadly(ws.catalog.log))
        patch.setattr(ws.catalog, "tx", deadly(ws.catalog.tx))
        with pytest.raises(Killed):
            released(ws)
    assert not ws.catalog.all("SELECT 1 FROM releases")
    with ws.driver("export"):
        released(ws)
    for top in ("releases", "exports"):
        ours, theirs = contents(ws.work / top / "1.0.0"), contents(golden.work / top / "1.0.0")
        assert ours == theirs
    assert [p.name for p in (ws.work / "releases").iterdir()] == ["1.0.0"]
