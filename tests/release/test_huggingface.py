"""The Hub's format: pictures in Parquet that Pillow opens, and a card that says which classes and lists there are."""

import importlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curate.records import SPLITS, Manifest
from curate.testing import made
from manifests import huggingface
from manifests.huggingface import NAMES, Huggingface

yaml = importlib.import_module("yaml")  # fiftyone brings it
AXES = [{"name": "content", "classes": ["drawings", "neutral", "porn"], "safe": ["drawings", "neutral"]}]


@pytest.fixture
def release(tmp_path: Path) -> Manifest:
    (tmp_path / "release").mkdir()
    found = made.release(tmp_path / "release", media=True)
    return replace(found, header={**found.header, "taxonomy": {"axes": AXES}, "removals": "removals.jsonl"})


def written(release: Manifest, out: Path) -> Path:
    out.mkdir()
    Huggingface().write(release, out)
    return out


def card(out: Path) -> tuple[dict[str, Any], str]:
    _, metadata, text = (out / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(metadata), text


def test_pictures_lie_in_the_rows_with_their_class(release: Manifest, tmp_path: Path) -> None:
    out = written(release, tmp_path / "out")
    assert sorted(path.name for path in (out / "data").iterdir()) == [
        f"{NAMES[split]}-00000-of-00001.parquet" for split in sorted(SPLITS) if len(release.rows[split])
    ]
    for split in SPLITS:
        for path in (out / "data").glob(f"{NAMES[split]}-*"):
            found = pq.read_table(path)
            assert found.column("id").to_pylist() == release.rows[split].column("id").to_pylist()
            features = json.loads(found.schema.metadata[b"huggingface"])["info"]["features"]
            assert list(features) == found.column_names
            names = features["label"]["names"]
            assert [names[n] for n in found.column("label").to_pylist()] == release.rows[split]["label"].to_pylist()
            for one, sample in zip(found.column("image").to_pylist(), found.column("id").to_pylist(), strict=True):
                assert one["bytes"] == release.open(sample)
                assert one["path"].startswith(sample)
                Image.open(io.BytesIO(one["bytes"])).load()


def test_the_card_names_splits_columns_and_classes(release: Manifest, tmp_path: Path) -> None:
    said, text = card(out := written(release, tmp_path / "out"))
    (config,) = said["configs"]
    assert [one["split"] for one in config["data_files"]] == ["train", "validation"], "test has no rows"
    for one in config["data_files"]:
        assert list(out.glob(one["path"]))
    (label,) = [one for one in said["dataset_info"]["features"] if one["name"] == "label"]
    assert label["dtype"]["class_label"]["names"] == {"0": "drawings", "1": "neutral", "2": "porn"}
    names = [one["name"] for one in said["dataset_info"]["features"]]
    assert names == pq.read_schema(next((out / "data").glob("train-*"))).names
    assert said["size_categories"] == ["n<1K"]
    assert "not-for-all-audiences" not in said["tags"]
    assert "Screening: unknown" in text
    assert "removals.jsonl" in text
    assert "clean" not in text.lower()
    assert text.isascii() or all(line.isprintable() for line in text.split("\n"))


def test_what_is_not_safe_is_not_for_all_audiences(release: Manifest, tmp_path: Path) -> None:
    axes = [{**AXES[0], "safe": ["drawings"]}]
    said, text = card(written(replace(release, header={"taxonomy": {"axes": axes}}), tmp_path / "out"))
    assert "not-for-all-audiences" in said["tags"]
    assert "neutral" in text


def test_a_further_axis_or_todays_taxonomy_may_say_that_it_is_not_safe(release: Manifest, tmp_path: Path) -> None:
    other = {"name": "violence", "classes": ["none", "blood"], "safe": ["none"]}
    rows = {split: table.append_column("label_violence", pa.array(["blood"] * len(table), pa.string()))
            for split, table in release.rows.items()}  # fmt: skip
    found = replace(release, rows=rows, header={"taxonomy": {"axes": [AXES[0], other]}})
    said, text = card(written(found, tmp_path / "axis"))
    assert "not-for-all-audiences" in said["tags"]
    assert "blood" in text
    said, _ = card(written(replace(release, header={**release.header, "unsafe": ["neutral"]}), tmp_path / "today"))
    assert "not-for-all-audiences" in said["tags"]


def test_words_of_strangers_are_no_markup(release: Manifest, tmp_path: Path) -> None:
    rows = {split: table.set_column(table.column_names.index("license"), "license", pa.array(
        ["[x](javascript:1)\n# <b>"] * len(table), pa.string())) for split, table in release.rows.items()}  # fmt: skip
    _, text = card(written(replace(release, rows=rows), tmp_path / "out"))
    assert "[x](" not in text
    assert "\n# <b>" not in text


def test_many_pictures_are_several_files(release: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface, "SHARD", 0)
    monkeypatch.setattr(huggingface, "GROUP", 1)
    out = written(release, tmp_path / "out")
    found = sorted((out / "data").glob("train-*"))
    assert [path.name for path in found] == [f"train-{n:05}-of-00003.parquet" for n in range(3)]
    ids = [one for path in found for one in pq.read_table(path).column("id").to_pylist()]
    assert ids == release.rows["train"].column("id").to_pylist()


@pytest.mark.parametrize(
    ("licences", "name"),
    [(["CC0"] * 3 + ["CC0"], "cc0-1.0"), (["CC0", None, "CC0", "CC0"], "other"), ([None] * 4, "unknown"),
     (["My own"] * 4, "other")],
)  # fmt: skip
def test_a_licence_is_named_where_all_rows_have_it(
    release: Manifest, tmp_path: Path, licences: list[str | None], name: str
) -> None:
    rows, at = dict(release.rows), 0
    for split in SPLITS:
        n = len(rows[split])
        place = rows[split].column_names.index("license")
        column = pa.array(licences[at : at + n], pa.string())
        rows[split], at = rows[split].set_column(place, "license", column), at + n
    said, _ = card(written(replace(release, rows=rows), tmp_path / "out"))
    assert said["license"] == name
