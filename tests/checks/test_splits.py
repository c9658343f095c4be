"""Which folders are splits: what stands beside the usual ones, and what `--splits` does not name."""

from pathlib import Path

import pytest

import curate
from curate.checks import dataset
from tests.support.pictures import encode, texture


def made(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def splits(root: Path, *named: str) -> dict[str, tuple[str | None, str | None]]:
    return {row.name: (row.split, row.label) for row in dataset.read(root, None, named, outside=False).rows}


def test_a_folder_beside_splits_that_has_their_classes_is_a_split(tmp_path: Path) -> None:
    made(tmp_path, "train/a/1.png", "test/a/2.png", "train/b/3.png", "holdout/a/4.png", "extra/b/deep/5.png")
    assert splits(tmp_path) == {
        "train/a/1.png": ("train", "a"), "test/a/2.png": ("test", "a"), "train/b/3.png": ("train", "b"),
        "holdout/a/4.png": ("holdout", "a"), "extra/b/deep/5.png": ("extra", "b"),
    }  # fmt: skip


@pytest.mark.parametrize("other", ["c/4.png", "a/4.png", "c/other/4.png", "4.png"])
def test_any_other_folder_is_a_class(other: str, tmp_path: Path) -> None:
    """With pictures of its own, or with folders that no split has."""
    made(tmp_path, "train/a/1.png", "test/a/2.png", other)
    label = other.split("/")[0] if "/" in other else None
    assert splits(tmp_path)[other] == (None, label)


def test_without_splits_folders_are_classes(tmp_path: Path) -> None:
    made(tmp_path, "x/a/1.png", "y/a/2.png")
    assert set(splits(tmp_path).values()) == {(None, "x"), (None, "y")}


def test_splits_that_are_not_named_are_left_out(tmp_path: Path) -> None:
    """As of a list; they are no classes."""
    made(tmp_path, "train/a/1.png", "test/a/2.png", "val/b/3.png", "holdout/a/4.png", "a/5.png")
    found = dataset.read(tmp_path, None, ("train", "test"), outside=False)
    assert {row.name for row in found.rows} == {"train/a/1.png", "test/a/2.png", "a/5.png"}
    assert dict(found.left) == {"in a split that --splits does not name": 2}


def test_columns_have_one_type_whatever_is_there(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "test/a/2.png"):
        made(tmp_path, name)
        (tmp_path / name).write_bytes(encode(texture(1), "PNG"))
    found = curate.check(tmp_path)
    assert (len(found.leaks), len(found.conflicts)) == (1, 0)
    assert list(found.leaks.dtypes) == list(found.conflicts.dtypes)
    assert found.conflicts["bits"].dtype == "int64"
