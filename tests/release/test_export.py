"""A release is complete, the same to the byte, and refused where it leaks."""

import csv
import hashlib
import json
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import curate.release.export as verb
from curate.config import Config, ExportConfig
from curate.contracts import ReleaseFormat
from curate.errors import GateError, StoreError, UsageError
from curate.features import frames, hashes
from curate.features.hash_worker import Found
from curate.layouts.exported import SUMS, sums_text
from curate.media import pdq
from curate.policy import minors, refusals
from curate.records import SPLITS, Axis, Manifest, Taxonomy
from curate.release import gates
from curate.release import header as release_header
from curate.release.export import export
from curate.release.reader import load
from curate.screening.quarantine import quarantine
from curate.store import blobs
from curate.store.workspace import Workspace
from tests.support.releases import (
    AXES,
    FORMATS,
    GOLDEN,
    QUIET,
    SCREENED,
    Item,
    Mention,
    contents,
    far,
    golden_config,
    golden_items,
    shuffled,
    stocked,
)


def released(ws: Workspace, version: str = "1.0.0", formats: dict[str, ReleaseFormat] | None = None) -> dict[str, Any]:
    return export(ws, version, FORMATS if formats is None else formats, QUIET, SCREENED)


def rows(ws: Workspace, version: str = "1.0.0") -> dict[str, dict[str, Any]]:
    """Every released row, by id."""
    release = load(ws.work / "releases" / version)
    return {row["id"]: row for split in SPLITS for row in release.rows[split].to_pylist()}


# -- bytes -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    ws = stocked(tmp_path_factory.mktemp("golden"), golden_items(), golden_config())
    released(ws)
    return ws


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


# -- what is in it ---------------------------------------------------------------------------------------------------


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


# -- refusals --------------------------------------------------------------------------------------------------------


def nothing_left(ws: Workspace) -> bool:
    made = [p.name for top in ("releases", "exports") for p in (ws.work / top).glob("*")]
    return not made and not ws.catalog.all("SELECT 1 FROM releases") and not ws.catalog.all("SELECT 1 FROM released")


@pytest.mark.parametrize("version", ["1", "1.0", "v1.0.0", "1.0.0 ", "01.0.0", "1.0.0-rc1", "../1.0.0", "１.0.0", ""])
def test_a_version_is_three_numbers(tmp_path: Path, version: str) -> None:
    ws = stocked(tmp_path, [Item("x")])
    with pytest.raises(UsageError, match=r"MAJOR\.MINOR\.PATCH"):
        released(ws, version)
    assert nothing_left(ws)


def test_a_release_does_not_change(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("x")])
    released(ws)
    before = contents(ws.work / "releases") | contents(ws.work / "exports")
    with pytest.raises(UsageError, match="there is such a release"):
        released(ws)
    assert contents(ws.work / "releases") | contents(ws.work / "exports") == before
    assert ws.catalog.scalar("SELECT count(*) FROM releases") == 1


def test_nothing_labelled_is_nothing_to_release(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"2 unlabelled.*curate label"):
        released(stocked(tmp_path / "a", [Item("x", weak={}), Item("y", weak={})]))
    with pytest.raises(UsageError, match="workspace is empty"):
        released(stocked(tmp_path / "b", []))


def test_a_licence_where_one_is_required(tmp_path: Path) -> None:
    config = Config(export=ExportConfig(require_license=True))
    bare = stocked(tmp_path / "bare", [Item("x"), Item("y", mentions=[Mention("https://e.example/", "CC0")])], config)
    with pytest.raises(GateError, match=f"licence: 1 of 2 items have none .{Item('x').id}"):
        released(bare)
    assert nothing_left(bare)
    released(stocked(tmp_path / "free", [Item("y", mentions=[Mention("https://e.example/", "CC0")])], config))


FLIPPED = bytes([far(1)[0] ^ 0b1111111, far(1)[1] ^ 0b111, *far(1)[2:]])  # ten bits from far(1)


def test_a_group_in_two_splits_is_refused(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("a", "train", group="g"), Item("b", "test", group="g")])
    with pytest.raises(GateError, match=r"1 groups are in train and in test \(g\)"):
        released(ws)
    assert nothing_left(ws)


@pytest.mark.parametrize("splits", [("train", "test"), ("val", "train"), ("test", "val")])
def test_near_duplicates_in_two_splits_are_refused(tmp_path: Path, splits: tuple[str, str]) -> None:
    pair = [Item("a", splits[0], hash=far(1)), Item("b", splits[1], hash=FLIPPED)]
    ws = stocked(tmp_path / "near", [*pair, Item("c")])
    with pytest.raises(GateError, match="look alike"):
        released(ws)
    assert nothing_left(ws)
    released(stocked(tmp_path / "one", [replace(item, split="train") for item in pair]))
    released(stocked(tmp_path / "flat", [pair[0], replace(pair[1], quality=0.5)]))
    config = replace(Config(), dedupe=replace(Config().dedupe, group_radius=9))
    released(stocked(tmp_path / "tight", pair, config))


def test_a_frame_in_common_in_two_splits_is_refused(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("a", hash=far(1)), Item("b", "test", hash=far(2)), Item("c")])
    ids = [Item("a").id, Item("b").id]
    with ws.catalog.tx() as db:
        db.executemany("UPDATE samples SET frames = 2 WHERE id = ?", ((one,) for one in ids))
    rows = np.zeros(2, dtype=frames.ROW)
    rows["frame"], rows["count"], rows["quality"] = (0, 1), 2, 50
    rows["phash"][1] = np.frombuffer(far(3), dtype=np.uint8)
    apart = {"train": ids[:1], "val": [], "test": ids[1:]}
    assert release_header.coverage_of(ws)["coverage"]["looked_at"] == 1, (
        "of three, two of whose frames nothing is known"
    )
    frames.write(ws, {ids[0]: rows.tobytes()})
    gates.check_near(ws, apart)
    frames.write(ws, {ids[1]: rows.tobytes()})
    with pytest.raises(GateError, match=r"1 pairs between train and test look alike \(pHash, 10 bits"):
        gates.check_near(ws, apart)


def test_near_duplicates_by_pdq_alone_are_refused(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("a"), Item("b", "test"), Item("c", "val")])
    ids = [row[0] for row in ws.catalog.all("SELECT sample FROM members WHERE split <> 'val' ORDER BY 1")]
    for quality in (40, 90):  # a picture without texture has a hash that says nothing
        gates.check_near(ws, {"train": ids[:1], "val": [], "test": ids[1:]})
        twins = [Found(one, None, (pdq.Pdq(pdq.MAIN, bytes(range(256)), quality),)) for one in ids]
        hashes.write(ws, twins, "part")
    with pytest.raises(GateError, match=r"look alike \(PDQ, 31 bits"):
        released(ws)
    assert nothing_left(ws)


def test_an_item_that_the_gate_cannot_judge_is_refused(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("a"), Item("b", "test")])
    next((ws.work / "tables").glob("phash@*/*.parquet")).unlink()
    with pytest.raises(GateError, match="2 items have no perceptual hash"):
        released(ws)
    assert nothing_left(ws)


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (lambda rows: rows | {"test": pa.concat_tables([rows["test"], rows["train"]])}, "belong to another split"),
        (lambda rows: rows | {"train": pa.concat_tables([rows["train"], rows["train"]])}, "there twice"),
    ],
)
def test_the_gate_reads_what_was_written(golden: Workspace, tamper: Any, says: str) -> None:
    release = load(golden.work / "releases" / "1.0.0")
    gates.check_leakage(golden, release)
    with pytest.raises(GateError, match=says):
        gates.check_leakage(golden, replace(release, rows=tamper(release.rows)))


def test_what_is_held_back_while_a_release_is_written_is_not_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quarantine waits for no other verb: whoever was told that it holds the sample back must not find it released."""
    ws = stocked(tmp_path, [Item("a"), Item("b")])
    one, other = (row[0] for row in ws.catalog.all("SELECT id FROM samples ORDER BY id"))
    with monkeypatch.context() as patch:
        late: Any = lambda *_: quarantine(ws.catalog, one, "seen just now", actor="ann") and {}  # noqa: E731
        patch.setattr(verb, "_write_formats", late)
        with pytest.raises(GateError, match="1 items were held back while"):
            released(ws)
    assert nothing_left(ws)
    assert not ws.catalog.all("SELECT 1 FROM files")
    released(ws, "1.0.1")
    assert list(rows(ws, "1.0.1")) == [other]


# -- killed ----------------------------------------------------------------------------------------------------------


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


# -- what fetch and the sources know ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("label", "released_"), [("neutral", True), ("sexy", False), ("porn", False)])
def test_what_may_show_minors_is_no_positive(tmp_path: Path, label: str, released_: bool) -> None:
    """By its own words, or those of a near-duplicate; what people say does not change that."""
    items = [
        Item("marked", group="g", people={"content": {"ann": label}}),
        Item("like it", group="g", people={"content": {"ann": label}}),
        Item("other", people={"content": {"ann": label}}),
    ]
    ws = stocked(tmp_path, items, golden_config())
    with ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET may_depict_minors = 1 WHERE sample = ?", (items[0].id,))
    result = released(ws)
    assert result["excluded"] == ({} if released_ else {"may_depict_minors": 2})
    assert rows(ws).keys() == ({item.id for item in items} if released_ else {items[2].id})


def test_a_further_axis_counts_too(tmp_path: Path) -> None:
    axes = (*AXES[:1], Axis("violence", ("none", "graphic"), ("none",), ()))
    item = Item("marked", people={"content": {"ann": "neutral"}, "violence": {"ann": "graphic"}})
    ws = stocked(tmp_path, [item, Item("other")], replace(golden_config(), taxonomy=Taxonomy(axes=axes)))
    with ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET may_depict_minors = 1 WHERE sample = ?", (item.id,))
    assert released(ws)["excluded"] == {"may_depict_minors": 1}


def test_the_header_says_who_approved_what_was_not_safe(tmp_path: Path) -> None:
    ws = stocked(tmp_path, golden_items(), golden_config())
    options = json.dumps({"path": "/home/x", "reason": "to measure", "approved_by": "B. Counsel"})
    with ws.catalog.tx() as db:
        db.execute("UPDATE sources SET options = ?", (options,))
        db.execute("INSERT INTO sources (source, plugin, options) VALUES ('urllist:unused', 'urllist', ?)", (options,))
    released(ws)
    header = load(ws.work / "releases" / "1.0.0").header
    assert header["approvals"] == [{"use": "urllist", "reason": "to measure", "approved_by": "B. Counsel"}]
    assert header["policy"] == {"refusals": refusals.version(), "minors": minors.version()}


@pytest.mark.parametrize("names", [("exports",), ("exports", "1.0.0")])
def test_nothing_is_written_through_a_link(tmp_path: Path, names: tuple[str, ...]) -> None:
    ws, other = stocked(tmp_path / "w", [Item("a")]), tmp_path / "other"
    other.mkdir()
    if len(names) > 1:
        released(ws, formats={})
        shutil.rmtree(ws.work.joinpath(*names))
    ws.work.joinpath(*names).symlink_to(other)
    act = verb.export_also if len(names) > 1 else verb.export
    with pytest.raises(StoreError, match="a link is where a folder of ours goes"):
        act(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    assert not list(other.iterdir())
    assert (ws.work / "releases" / "1.0.0").exists() == (len(names) > 1)
    ws.close()


def test_each_mention_of_a_released_sample_has_a_row_in_order(tmp_path: Path) -> None:
    """Of several URLs, several mentions of one, and facts that hold a secret."""
    shared = Mention("https://example.org/b.jpg?token=secret&x=1", ref="one.txt:1", facts='{"page_url": "a?sig=b"}')
    many = [shared, Mention("/home/a/c.jpg", ref="c.jpg"), Mention("https://example.org/a.jpg", ref="one.txt:2")]
    ws = stocked(tmp_path, [Item("several", mentions=many), Item("one"), Item("out", excluded="merged_with_test")])
    with ws.catalog.tx() as db:
        db.execute(
            "UPDATE candidates SET retry_after = 0.1, hops = '[\"https://u:p@example.org\"]' WHERE candidate = 1"
        )
        db.execute("INSERT INTO sources (source, plugin, options, version) VALUES ('z:1', 'z', '{}', '7')")
        db.execute("INSERT INTO mentions (candidate, source, ref) VALUES (1, 'z:1', 'b'), (1, 'z:1', 'a')")
    released(ws)
    found = pq.read_table(ws.work / "releases" / "1.0.0" / "provenance.parquet").to_pylist()
    ids = {item.name: item.id for item in (Item("several"), Item("one"))}
    of = [row for row in found if row["id"] == ids["several"]]
    assert [row["id"] for row in found] == sorted(row["id"] for row in found)
    assert {row["id"] for row in found} == set(ids.values())
    url = "https://example.org/b.jpg?token=REDACTED&x=1"
    assert [(row["url"], row["ref"], row["version"]) for row in of] == [
        (None, "c.jpg", None), ("https://example.org/a.jpg", "one.txt:2", None), (url, "one.txt:1", None),
        (url, "a", "7"), (url, "b", "7"),
    ]  # fmt: skip
    assert [row["facts"] for row in of] == [None, None, '{"page_url": "a?sig=REDACTED"}', None, None]
    assert {row["retry_after"] for row in of[2:]} == {0.1}
    assert {row["hops"] for row in of[2:]} == {'["https://example.org"]'}
    ws.close()


def test_provenance_lets_nobody_in(tmp_path: Path) -> None:
    """Signed query strings and credentials are in the catalog, and in nothing that leaves."""
    url = "https://a.example/1.jpg?X-Amz-Signature=0123456789&w=5"
    mention = Mention(url, attribution=f"see {url}", ref=f"{url}:1")
    ws = stocked(tmp_path, [Item("a", mentions=[mention])], golden_config())
    with ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET hops = ?, retry_after = 1.5", (json.dumps([url]),))
        db.execute("UPDATE mentions SET facts = ?", (json.dumps({"author": "A", "page": f"see {url}"}),))
    released(ws)
    folder = ws.work / "releases" / "1.0.0"
    (row,) = pq.read_table(folder / "provenance.parquet").to_pylist()
    assert row["retry_after"] == 1.5
    assert json.loads(row["facts"])["author"] == "A"
    assert "REDACTED" in row["hops"]
    for path in (ws.work / "exports").rglob("*"):
        assert path.is_dir() or b"0123456789" not in path.read_bytes()
    assert "0123456789" not in json.dumps(row)
