"""`curate diff`: what it says is all that changed, whatever the two releases are."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import StoreError, UsageError
from curate.records import SPLITS, Manifest
from curate.release.diff import FRAMES, between, diff, lines
from curate.release.export import export
from curate.release.reader import load, without
from curate.screening.quarantine import quarantine
from curate.store.workspace import Workspace
from tests.support.changed import applied
from tests.support.releases import QUIET, SCREENED, Item, stocked

Row = dict[str, Any]

# -- any two sets of rows --------------------------------------------------------------------------------------------

label = st.sampled_from(["neutral", "porn", "sexy"])
row = st.fixed_dictionaries(
    {
        "split": st.sampled_from(SPLITS),
        "label": label,
        "label_source": st.sampled_from(["human", "weak"]),
        "probability": st.sampled_from([0.5, 0.75, 1.0]),
        "source": st.sampled_from(["commons", "local"]),
        "votes": st.none() | st.just('{"neutral":1}'),
        "width": st.integers(1, 3),
    },
    optional={"medium": st.none() | label},
)
release = st.dictionaries(st.integers(0, 12).map(str), row, max_size=12)
TYPES = {"probability": pa.float64(), "width": pa.int64()}
COLUMNS = ("id", "split", "label", "label_source", "probability", "source", "votes", "width")


def manifest(rows: Mapping[str, Row], columns: tuple[str, ...] = COLUMNS) -> Manifest:
    """The rows as a release has them."""
    kinds = pa.schema([(name, TYPES.get(name, pa.string())) for name in columns])
    each = [{"id": one, **rows[one]} for one in sorted(rows)]
    tables = {
        split: pa.Table.from_pylist([one for one in each if one["split"] == split], schema=kinds) for split in SPLITS
    }
    return Manifest("1.0.0", Path("nowhere"), {}, tables)


@given(release, release, st.booleans(), st.booleans())
def test_what_is_said_turns_one_release_into_the_other(
    before: dict[str, Row], after: dict[str, Row], axis_before: bool, axis_after: bool
) -> None:
    sides = []
    for rows, axis in ((before, axis_before), (after, axis_after)):
        for cells in rows.values():
            cells.setdefault("medium", None)
            if not axis:
                del cells["medium"]
        sides.append(manifest(rows, (*COLUMNS, "medium") if axis else COLUMNS))
    said = json.loads(json.dumps(between(None, *sides)))
    found = applied(before, said)
    if axis_after:
        for cells in found.values():
            cells.setdefault("medium", None)
    assert found == after
    common = before.keys() & after.keys()
    shared = COLUMNS[1:] + ("medium",) * (axis_before and axis_after)
    edited = any(before[one].get(name) != after[one].get(name) for one in common for name in shared)
    lost = before.keys() - after.keys() or (axis_before and not axis_after)
    more = after.keys() - before.keys() or (axis_after and not axis_before)
    assert said["level"] == ("major" if lost or edited else "minor" if more else "patch")
    assert {one["id"] for one in said["added"]} == after.keys() - before.keys()
    assert {one["reason"] for one in said["removed"]} <= {"unknown"}
    for side, rows in (("before", before), ("after", after)):
        assert sum(one[side] for one in said["counts"]) == len(rows)
    assert list(lines(said))


# -- releases of a workspace -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """1.0.0; then one was judged, one is a duplicate, one is held back, one is new."""
    made = stocked(tmp_path_factory.mktemp("w"), [*(Item(n) for n in "abcd"), Item("e", "test"), Item("late", weak={})])
    export(made, "1.0.0", {}, QUIET, SCREENED)
    with made.catalog.tx() as db:
        db.execute("UPDATE members SET survivor = ? WHERE sample = ?", (Item("a").id, Item("b").id))
        for name, said in (("c", "sexy"), ("late", "neutral")):
            db.execute(
                "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown)"
                " VALUES (?, 'content', '1', 'ada', ?, '2026-01-01T00:00:00.000Z', 'imported')",
                (Item(name).id, said),
            )
    quarantine(made.catalog, Item("d").id, "why", actor="ann")
    export(made, None, {}, QUIET, SCREENED)
    return made


def test_rows_are_named_with_the_reason(ws: Workspace) -> None:
    said = diff(ws, "1.0.0", "2.0.0")
    assert said["level"] == "major"
    assert {one["id"]: one["reason"] for one in said["removed"]} == {
        Item("b").id: "duplicate",
        Item("d").id: "quarantined",
    }
    assert [one["id"] for one in said["added"]] == [Item("late").id]
    assert said["added"][0]["url"] == "https://example.org/late.jpg"
    assert said["relabelled"] == [
        {"id": Item("c").id, "before": "neutral", "after": "sexy", "by_before": "weak", "by_after": "human"}
    ]
    assert {one["column"] for one in said["edited"]} == {"probability", "weight", "human_n", "agreement", "votes"}
    assert said["moved"] == []
    assert {"split": "train", "class": "neutral", "before": 4, "after": 2} in said["counts"]
    assert {"class": "sexy", "before": 0.0, "after": 0.25} in said["prevalence"]
    assert said["scores"] == [
        {"source": "urllist", "n_before": 5, "n_after": 2, "before": 0.9, "after": 0.9, "shift": 0.0}
    ]
    assert set(FRAMES) <= said.keys()
    text = "\n".join(lines(said))
    assert "removed                    2 (duplicate 1, quarantined 1)" in text
    assert "neutral -> sexy, by human 1" in text


def test_what_is_held_back_since_is_in_none_of_it(tmp_path: Path) -> None:
    made = stocked(tmp_path, [Item("a"), Item("b", weak={})])
    export(made, "1.0.0", {}, QUIET, SCREENED)
    with made.catalog.tx() as db:
        db.execute(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown)"
            " VALUES (?, 'content', '1', 'ada', 'neutral', '2026-01-01T00:00:00.000Z', 'imported')",
            (Item("b").id,),
        )
    export(made, "1.1.0", {}, QUIET, SCREENED)
    quarantine(made.catalog, Item("b").id, "why", actor="ann")
    assert Item("b").id not in json.dumps(diff(made, "1.0.0", "1.1.0"))


def test_two_folders_need_no_workspace(ws: Workspace, tmp_path: Path) -> None:
    for version in ("1.0.0", "2.0.0"):
        shutil.copytree(ws.work / "releases" / version, tmp_path / version)
    one, other = (str(tmp_path / version) for version in ("1.0.0", "2.0.0"))
    said, known = diff(None, one, other), diff(ws, "1.0.0", "2.0.0")
    assert {one["reason"] for one in said["removed"]} == {"unknown"}
    for name in ("added", "relabelled", "edited", "counts", "level"):
        assert said[name] == known[name]
    assert diff(ws, "1.0.0", other)["edited"] == known["edited"], "one of each"


@pytest.mark.parametrize(
    ("name", "says"),
    [("3.0.0", r"neither a release nor a folder.*1\.0\.0, 2\.0\.0"), ("", "neither"), ("work", "neither")],
)
def test_what_is_no_release_is_refused(ws: Workspace, name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        diff(ws, "1.0.0", name)
    with pytest.raises(UsageError, match="no workspace is here"):
        diff(None, name or "x", name)


@pytest.mark.parametrize("file", ["test.parquet", "release.json"])
def test_a_release_that_somebody_edited_is_refused(ws: Workspace, tmp_path: Path, file: str) -> None:
    shutil.copytree(ws.work / "releases" / "1.0.0", tmp_path / "edited")
    path = tmp_path / "edited" / file
    whole = path.read_bytes()
    other = whole.replace(b'"train": 4', b'"train": 5') if file == "release.json" else whole + b" "
    assert other != whole
    path.write_bytes(other)
    with pytest.raises(StoreError, match=r"edited/(test\.parquet: not the bytes|release\.json: counts other rows)"):
        diff(None, str(tmp_path / "edited"), str(tmp_path / "edited"))


@pytest.mark.parametrize(
    "change", [lambda _: [], lambda said: said | {"files": []}, lambda said: said | {"functions": {"content": 1}},
               lambda said: said | {"removed": ["x"]}, lambda said: said | {"version": 1}]
)  # fmt: skip
def test_a_header_of_another_shape_is_refused(ws: Workspace, tmp_path: Path, change: Any) -> None:
    shutil.copytree(ws.work / "releases" / "1.0.0", tmp_path / "edited")
    path = tmp_path / "edited" / "release.json"
    path.write_text(json.dumps(change(json.loads(path.read_bytes()))))
    with pytest.raises(StoreError, match=r"edited/release\.json: not the header of a release"):
        diff(None, str(tmp_path / "edited"), str(tmp_path / "edited"))


def test_a_header_of_this_workspace_is_held_against_the_catalog(ws: Workspace) -> None:
    path = ws.work / "releases" / "1.0.0" / "release.json"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole + b"\n")
        with pytest.raises(StoreError, match="not the bytes that were released"):
            diff(ws, "1.0.0", "2.0.0")
    finally:
        path.write_bytes(whole)


def test_what_was_taken_down_is_no_step(ws: Workspace) -> None:
    """Of an older copy that still has the row, and a newer release whose header says that it was taken out."""
    new = load(ws.work / "releases" / "2.0.0")
    rows = {split: without(table, [Item("e").id]) for split, table in new.rows.items()}
    header = {**new.header, "removed": [{"id": Item("e").id, "versions": ["2.0.0"]}]}
    said = between(None, new, replace(new, rows=rows, header=header))
    assert (said["level"], [one["reason"] for one in said["removed"]]) == ("patch", ["taken_down"])
