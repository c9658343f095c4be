"""A model's folder says what is in it: one bit elsewhere, a file away, another version, and it is refused."""

import json
import random
import shutil
from pathlib import Path

import pytest

from curate.errors import StoreError
from curate.evaluate.bundle import load_model
from curate.store import model_files as package
from curate.store.model_files import PACKAGE, checked, file, reseal, seal

FACTS = {"model": "1.0.0", "release": {"version": "1.0.0", "sha256": "ab"}, "classes": ["drawings", "neutral"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "1.0.0"
    made.mkdir()
    for n, name in enumerate(("model.safetensors", "preprocessing.json", "card.md")):
        (made / name).write_bytes(random.Random(n).randbytes(300))
    seal(made, FACTS)
    return made


def test_it_says_what_it_is(folder: Path) -> None:
    said = checked(folder)
    assert {key: said[key] for key in FACTS} == FACTS
    assert sorted(said["files"]) == ["card.md", "model.safetensors", "preprocessing.json"]
    before = (folder / PACKAGE).read_bytes()
    (folder / ".DS_Store").write_bytes(b"of a desktop")
    seal(folder, FACTS)
    assert (folder / PACKAGE).read_bytes() == before


def test_one_flipped_bit_of_any_file_is_an_error(folder: Path) -> None:
    lot = random.Random(0)
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        for place in lot.sample(range(8 * len(data)), 60):
            flipped = bytearray(data)
            flipped[place // 8] ^= 1 << place % 8
            path.write_bytes(flipped)
            with pytest.raises(StoreError, match=path.name):
                checked(folder)
        path.write_bytes(data)
    checked(folder)


def test_a_file_that_is_missing_is_named(folder: Path) -> None:
    (folder / "card.md").unlink()
    with pytest.raises(StoreError, match=r"card\.md: No such file"):
        load_model(folder)
    (folder / PACKAGE).unlink()
    with pytest.raises(StoreError, match=r"no model\.json in it"):
        load_model(folder)
    with pytest.raises(StoreError, match="no such folder"):
        load_model(folder / "gone")


def test_a_folder_of_another_version_is_refused(folder: Path) -> None:
    """And one that was moved to a name that is no version is not."""
    checked(shutil.copytree(folder, folder.parent / "elsewhere"))
    with pytest.raises(StoreError, match=r"the model in it is 1\.0\.0, not 1\.0\.1"):
        checked(shutil.copytree(folder, folder.parent / "1.0.1"))
    other = shutil.copytree(folder, folder.parent / "2.0.0")
    (other / "model.safetensors").write_bytes(b"other weights")
    seal(other, FACTS | {"model": "2.0.0"})
    shutil.copy(other / "model.safetensors", folder)
    with pytest.raises(StoreError, match=r"model\.safetensors: not the bytes"):
        checked(folder)


def test_one_of_another_kind_is_refused(folder: Path) -> None:
    said = json.loads((folder / PACKAGE).read_text())
    for text in (json.dumps(said | {"schema": 2}), "[]", "{}", json.dumps(said), '{"files": 3, "sha256": ""}'):
        (folder / PACKAGE).write_text(text)
        with pytest.raises(StoreError):
            checked(folder)


def test_no_name_leads_out_of_the_folder(folder: Path) -> None:
    said = json.loads((folder / PACKAGE).read_text())
    del said["sha256"]
    said["files"]["../elsewhere"] = "0" * 64
    (folder / PACKAGE).write_bytes(package._text(said | {"sha256": package._own(said)}))
    with pytest.raises(StoreError, match="not what was written"):
        checked(folder)


def test_a_file_that_is_added_is_sealed_with_the_rest(folder: Path) -> None:
    (folder / "thresholds.json").write_text("{}")
    said = reseal(folder, notes=["a note"])
    assert said["notes"] == ["a note"]
    assert checked(folder)["notes"] == ["a note"]
    assert file(folder, "thresholds.json", checked(folder)["files"]["thresholds.json"]) == b"{}"
