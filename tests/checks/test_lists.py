"""What `curate check` lists: every pair of a small group, each row of a large one, and which rows stay."""

import csv
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.checks import duplicates, keep, lists, pairs
from curate.checks.dataset import DatasetRow
from curate.checks.duplicates import NEAR, STAYS, TORN, Alike, Pictures, alike
from curate.checks.pairs import ALONE
from curate.checks.scan import Seen
from curate.errors import UsageError
from tests.checks.test_check import QUIET, clean, put, run
from tests.support.calling import Command
from tests.support.pictures import encode, photograph, texture

SPLITS, LABELS = ["train", "val", "test"], ["cat", "dog"]
Made = tuple[int, str | None, str | None]  # which picture, split, label


def found_in(made: Sequence[Made]) -> Alike:
    """Picture k is five bits from k + 1, ten from k + 2: a radius of eight joins neighbours. Equal numbers are equal
    bytes."""
    rows, looks = [], {}
    for n, (k, split, label) in enumerate(made):
        bits = np.packbits(np.arange(64) < 5 * k).tobytes() + bytes(8)
        signs = np.random.default_rng(k).bytes(16)  # far from everybody's, however turned
        looks[str(n)] = Seen(str(n), f"{k:064x}", "", 9, 90, 90, "", bits, signs, 50.0, pdq=bytes(256))
        rows.append(DatasetRow(str(n), f"{n:06}", label, split, ""))
    return alike(rows, Pictures.from_rows(rows, looks), SPLITS, LABELS)


def kind_of(a: Made, b: Made) -> int:
    if a[1] and b[1] and a[1] != b[1]:
        return pairs.LEAK
    return pairs.CONFLICT if a[2] and b[2] and a[2] != b[2] else pairs.DUPLICATE


def near_pairs(made: Sequence[Made]) -> dict[tuple[int, int], int]:
    """By brute force: rows that are near, and in which list they belong."""
    couples = itertools.combinations(range(len(made)), 2)
    return {(a, b): kind_of(made[a], made[b]) for a, b in couples if abs(made[a][0] - made[b][0]) <= 1}


def listed_in(found: Alike) -> dict[tuple[int, int], int]:
    every = [row for kind in range(3) for row in found.listed.of(kind).tolist()]
    made = {(min(a, b), max(a, b)): kind for a, b, _, _, kind in every if b != ALONE}
    assert len(made) == len([one for one in every if one[1] != ALONE]), "a pair stands in one list, and once"
    return made


MADE = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from([*SPLITS, None]), st.sampled_from([*LABELS, None])), max_size=14
)


@settings(max_examples=60, deadline=None)
@given(MADE, st.sampled_from([1, 3, 512]))
def test_the_pairs_of_small_groups_are_those_of_brute_force(made: list[Made], block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "BLOCK", block)
        found = found_in(made)
    assert listed_in(found) == near_pairs(made)
    assert found.listed.found == len(near_pairs(made))
    assert found.listed.left_out == 0


@settings(max_examples=60, deadline=None)
@given(MADE, st.sampled_from([1, 3, 512]))
def test_of_a_large_group_each_row_is_listed_with_all_that_it_is(made: list[Made], block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "SMALL", 1)
        patch.setattr(duplicates, "BLOCK", block)
        found = found_in(made)
    near, listed = near_pairs(made), listed_in(found)
    assert listed.items() <= near.items()
    assert found.listed.found == len(near)
    assert found.listed.left_out == len(near) - len(listed)
    for row in range(len(made)):
        theirs = {other: kind for pair, kind in near.items() if row in pair for other in pair if other != row}
        mine = {other: kind for pair, kind in listed.items() if row in pair for other in pair if other != row}
        assert bool(mine) == bool(theirs)
        for split in SPLITS:
            leaks = [other for other in theirs if made[other][1] == split != (made[row][1] or split)]
            assert bool(leaks) == any(other in mine for other in leaks)
        torn = [other for other in theirs if made[row][2] and made[other][2] not in (None, made[row][2])]
        assert bool(torn) == any(other in mine for other in torn)


@settings(max_examples=80, deadline=None)
@given(MADE, st.sampled_from([1, 3, 512]))
def test_what_stays_is_near_to_nothing_that_stays_and_what_goes_is_near_to_something(
    made: list[Made], block: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "BLOCK", block)
        fate = found_in(made).fate.tolist()
    near = near_pairs(made)
    assert not any(fate[a] == fate[b] == STAYS for a, b in near)
    labels = {n: {made[m][2] for m in range(len(made)) if made[m][0] == made[n][0]} - {None} for n in range(len(made))}
    for row in range(len(made)):
        theirs = [other for pair in near if row in pair for other in pair if other != row]
        around = [label for other in (*theirs, row) for label in labels[other]]
        torn = any(mine != other for mine in labels[row] for other in around)
        assert (fate[row] == TORN) == torn
        assert torn or (fate[row] == NEAR) == any(fate[other] == STAYS for other in theirs)


def test_ten_thousand_equal_files_are_no_fifty_million_rows() -> None:
    made: list[Made] = [(0, SPLITS[n % 3], LABELS[n % 2]) for n in range(10_000)]
    found = found_in(made)
    listed = listed_in(found)
    assert len(listed) < 40_000
    assert {row for pair in listed for row in pair} == set(range(10_000))
    assert found.listed.left_out == 10_000 * 9_999 // 2 - len(listed)


def test_a_group_too_wide_to_be_compared_with_all_names_every_row_and_keeps_no_stranger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(duplicates, "WIDEST", 4)
    monkeypatch.setattr(pairs, "SMALL", 1)
    made: list[Made] = [(k, "train", "cat") for k in range(12)]
    found = found_in(made)
    every = [row for kind in range(3) for row in found.listed.of(kind).tolist()]
    assert {row for one in every for row in one[:2] if row != ALONE} == set(range(12))
    assert [row for row, one in enumerate(found.fate.tolist()) if one == STAYS] == [0, 2]
    assert found.listed.found == 4


@pytest.mark.parametrize(
    ("rule", "stays"),
    [("test", "test/cat/small.png"), ("train", "train/cat/middle.png"), ("largest", "val/cat/large.png")],
)
def test_the_rule_says_whose_copy_stays(tmp_path: Path, rule: str, stays: str) -> None:
    from curate.checks import dataset
    from curate.checks.run import check
    from curate.engine.serial import Serial

    names = {"test/cat/small.png": 100, "train/cat/middle.png": 200, "train/cat/again.png": 150,
             "val/cat/large.png": 300, "val/cat/small.png": 90}  # fmt: skip
    for name, side in names.items():
        put(tmp_path, name, encode(photograph().resize((side, side)), "PNG"))
    done = check(dataset.read(tmp_path, None, [], False), Serial(), QUIET, rule)
    kept, gone = lists.paths(done)
    assert kept == [stays]
    assert gone == sorted(set(names) - {stays})
    assert done.facts["clean"] == {
        "rule": rule, "keep": 1, "remove": 4,
        "reasons": {"near_duplicates": 4, "conflicts": 0, "unreadable": 0},
    }  # fmt: skip


def test_within_a_split_pixels_then_bytes_then_the_path_decide() -> None:
    sizes = {"b": (90, 90, 9), "a": (90, 90, 9), "c": (90, 90, 10), "d": (91, 90, 1)}
    rows = [DatasetRow(name, name, None, "train", "") for name in sorted(sizes)]
    looks = {name: Seen(name, width=w, height=h, size=size) for name, (w, h, size) in sizes.items()}
    assert keep.order(rows, looks, "test").tolist() == [2, 3, 1, 0]
    rows = [replace(row, split=split) for row, split in zip(rows, ("train", None, "Test", "holdout"), strict=True)]
    assert keep.order(rows, looks, "test").tolist() == [2, 3, 0, 1]
    assert keep.order(rows, looks, "train").tolist() == [0, 3, 2, 1]


# -- what is written -------------------------------------------------------------------------------------------------

NAMES = (b"a\nb.png", b"a\\nb.png", b"\xe2\x80\xaeevil.png", b"<script>.png", b'"quo,ted".png', b"=1+1.png", b"-rf.png",
         b"\xff.png", b"caf\xc3\xa9.png", b"\x1b[31m.png", b"\xe2\x80\x8f.png")  # fmt: skip


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, monkeypatch, capfd)


def odd_names(root: Path) -> Path:
    """A picture of each name in train, and a copy of each in test."""
    for n, name in enumerate(NAMES):
        for split in ("train", "test"):
            put(root, f"{split}/cat/{os.fsdecode(name)}", encode(texture(n), "PNG"))
    return root


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def test_names_stand_in_csv_as_they_are_and_in_text_one_a_line(curate: Command) -> None:
    root, out = odd_names(curate.root / "d"), curate.root / "out"
    curate("check", str(root), "--out", str(out), code=4)
    names = [os.fsdecode(name) for name in NAMES]
    rows = read(out / "leaks.csv")
    assert {(row["path_a"], row["path_b"]) for row in rows} == {(f"train/cat/{n}", f"test/cat/{n}") for n in names}
    assert {(row["kind"], row["bits"], row["splits"], row["labels"]) for row in rows} == {
        ("same bytes", "0", "train|test", "cat|cat")
    }
    assert list(rows[0]) == ["path_a", "path_b", "group", "kind", "bits", "splits", "labels"]
    for name, split in (("keep.txt", "test"), ("remove.txt", "train")):
        lines = (out / name).read_bytes().decode().split("\n")
        assert lines.pop() == ""
        assert len(set(lines)) == len(NAMES)
        assert all(line.isprintable() for line in lines)
        assert {f"{split}/cat/a\\nb.png", f"{split}/cat/a\\\\nb.png"} <= set(lines)
    found = curate("check", str(root), "--out", str(curate.root / "raw"), "--null", "--json", code=4)
    raw = (curate.root / "raw" / "remove.txt").read_bytes()
    assert sorted(raw.split(b"\0")) == sorted([b"", *(b"train/cat/" + name for name in NAMES)])
    assert all(os.path.exists(os.path.join(os.fsencode(root), one)) for one in raw.split(b"\0"))  # noqa: PTH110, PTH118
    assert {row["path_a"] for row in found.json["pairs"]["leaks"]} == {f"train/cat/{n}" for n in names}
    assert found.out.strip().isprintable()


def test_each_list_has_what_it_is_called_after(curate: Command) -> None:
    root, out = clean(curate.root / "d"), curate.root / "out"
    photo = photograph()
    put(root, "train/cat/photo.png", encode(photo.resize((400, 360)), "PNG"))
    put(root, "test/dog/copy.jpg", encode(photo.resize((200, 180)), "JPEG", quality=40))
    put(root, "train/dog/again.png", encode(photo.resize((300, 270)), "PNG"))
    put(root, "train/dog/twice.jpg", encode(texture(3).resize((80, 60)), "JPEG"))
    put(root, "train/dog/half.jpg", encode(texture(20).resize((80, 60)), "JPEG"))
    put(root, "train/cat/none.jpg", b"<html>")
    put(root, "train/cat/flat.png", encode(Image.new("RGB", (40, 40), "navy"), "PNG"))
    found = curate("check", str(root), "--out", str(out), "--json", code=4).json
    assert {row["labels"] for row in read(out / "conflicts.csv")} == {"cat|dog"}
    pair_names = {name: {(r["path_a"], r["path_b"]) for r in read(out / f"{name}.csv")} for name in lists.PAIRS}
    assert pair_names == {
        "leaks": {("train/cat/photo.png", "test/dog/copy.jpg"), ("train/dog/again.png", "test/dog/copy.jpg")},
        "conflicts": {("train/cat/photo.png", "train/dog/again.png"), ("train/cat/3.jpg", "train/dog/twice.jpg")},
        "duplicates": {("train/dog/20.jpg", "train/dog/half.jpg")},
    }
    assert [(r["path_a"], r["path_b"], r["kind"], r["bits"]) for r in read(out / "unreadable.csv")] == [
        ("train/cat/none.jpg", "", "html_instead_of_media", "")
    ]
    assert [r["path_a"] for r in read(out / "placeholders.csv")] == ["train/cat/flat.png"]
    gone = (out / "remove.txt").read_text().split("\n")[:-1]
    assert gone == ["test/dog/copy.jpg", "train/cat/3.jpg", "train/cat/none.jpg", "train/cat/photo.png",
                    "train/dog/again.png", "train/dog/half.jpg", "train/dog/twice.jpg"]  # fmt: skip
    assert found["clean"]["reasons"] == {"near_duplicates": 1, "conflicts": 5, "unreadable": 1}
    assert (found["clean"]["keep"], found["clean"]["remove"]) == (len((out / "keep.txt").read_text().split()), 7)
    assert found["out"]["files"] == {"leaks.csv": 2, "conflicts.csv": 2, "duplicates.csv": 1, "unreadable.csv": 1,
                                     "placeholders.csv": 1, "keep.txt": 32, "remove.txt": 7}  # fmt: skip
    assert {kind: len(found["pairs"][kind]) for kind in lists.PAIRS} == {"leaks": 2, "conflicts": 2, "duplicates": 1}
    assert found["pairs"]["left_out"] == found["out"]["left_out"] == 0


def test_json_says_how_many_pairs_it_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(60):
        put(tmp_path, f"train/cat/{n}.png", encode(texture(1), "PNG"))
    done = run(tmp_path)
    found = lists.in_json(done)
    assert len(found["duplicates"]) + found["left_out"] == 60 * 59 // 2
    assert {row[key] for row in found["duplicates"] for key in ("path_a", "path_b")} == {row.name for row in done.rows}
    monkeypatch.setattr(lists, "IN_JSON", 7)
    found = json.loads(json.dumps(lists.in_json(done)))
    assert (len(found["duplicates"]), found["left_out"]) == (7, 60 * 59 // 2 - 7)


def test_rows_make_a_table(tmp_path: Path) -> None:
    import pandas as pd

    for split in ("train", "test"):
        put(tmp_path, f"{split}/cat/a.png", encode(texture(1), "PNG"))
    done = run(tmp_path)
    table = pd.DataFrame(done.pairs("leaks"))
    assert table.to_dict("records") == [
        {"path_a": "train/cat/a.png", "path_b": "test/cat/a.png", "group": 1, "kind": "same bytes", "bits": 0,
         "splits": "train|test", "labels": "cat|cat"}
    ]  # fmt: skip
    with pytest.raises(UsageError, match="there are leaks, conflicts, duplicates, unreadable, placeholders"):
        list(done.pairs("leak"))
