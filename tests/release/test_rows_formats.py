"""Formats of rows: URL lists for others' tools, JSON Lines, and Croissant that says what is on record and no more."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.records import SPLITS, Manifest
from curate.testing import made
from manifests import _facts as facts
from manifests.croissant import CONTEXT, Croissant
from manifests.jsonl import Jsonl
from manifests.urls import Urls
from tests.support.releases import GOLDEN


def written(form: Any, release: Manifest, out: Path) -> Path:
    out.mkdir(exist_ok=True)
    form().write(release, out)
    return out


@pytest.fixture
def release(tmp_path: Path) -> Manifest:
    """A release of the golden rows."""
    rows = {split: pq.read_table(GOLDEN / "parquet" / f"{split}.parquet") for split in SPLITS}
    header = json.loads((GOLDEN / "parquet" / "release.json").read_text())
    return Manifest("1.0.0", GOLDEN / "parquet", header, rows)


def test_urls_hold_rows_with_urls_and_count_the_others(release: Manifest, tmp_path: Path) -> None:
    out = written(Urls, release, tmp_path / "urls")
    header = json.loads((out / "release.json").read_text())
    for split in SPLITS:
        rows, every = pq.read_table(out / f"{split}.parquet").to_pylist(), release.rows[split].to_pylist()
        assert [row["sha256"] for row in rows] == [row["id"] for row in every if row["url"]]
        assert sum(header["without_url"][split].values()) == sum(row["url"] is None for row in every)
        data = (out / f"{split}.parquet").read_bytes()
        assert header["files"][f"{split}.parquet"] == hashlib.sha256(data).hexdigest()
        assert header["columns"] == pq.read_schema(out / f"{split}.parquet").names
    (commons,) = [row for row in pq.read_table(out / "test.parquet").to_pylist() if row["upstream_id"]]
    assert (commons["upstream_system"], commons["upstream_id"], commons["upstream_sha1"]) == ("commons", "42", "a" * 40)
    assert commons["license_url"] == "https://creativecommons.org/publicdomain/zero/1.0/"
    assert commons["page_url"] == "https://example.org/wiki?token=REDACTED"


def test_jsonl_says_what_the_rows_say(release: Manifest, tmp_path: Path) -> None:
    out = written(Jsonl, release, tmp_path / "jsonl")
    for split in SPLITS:
        lines = (out / f"{split}.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        assert [json.loads(line) for line in lines] == release.rows[split].to_pylist()


@pytest.mark.parametrize("form", [Urls, Jsonl, Croissant])
def test_a_release_of_before_there_were_these_columns(form: Any, release: Manifest, tmp_path: Path) -> None:
    rows = {split: table.drop_columns(["license_url", "page_url"]) for split, table in release.rows.items()}
    older = Manifest("1.0.0", release.path, {k: v for k, v in release.header.items() if k != "removals"}, rows)
    assert list(written(form, older, tmp_path / "out").iterdir())


def test_croissant_names_what_lies_beside_it(release: Manifest, tmp_path: Path) -> None:
    """A light equal of mlcroissant's checks: every reference leads somewhere, every hash is that of the file."""
    out = written(Croissant, release, tmp_path / "croissant")
    said = json.loads((out / "croissant.json").read_text(encoding="utf-8"))
    assert said["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    files = {one["@id"]: one for one in said["distribution"]}
    assert files.keys() == {path.name for path in out.glob("*.parquet")}
    for name, one in files.items():
        assert one["sha256"] == hashlib.sha256((out / name).read_bytes()).hexdigest()
        assert one["contentSize"] == f"{(out / name).stat().st_size} B"
    fields = {field["@id"]: field for each in said["recordSet"] for field in each["field"]}
    for split in SPLITS:
        names = [f"{split}/{name}" for name in pq.read_schema(out / f"{split}.parquet").names]
        assert [name for name in fields if name.startswith(f"{split}/")] == names
    for name, field in fields.items():
        assert field["description"], name
        if "references" in field:
            assert field["references"]["field"]["@id"] in fields
        if "source" in field:
            assert field["source"]["fileObject"]["@id"] in files
    known = {*CONTEXT, "conformsTo", "version", "license", "distribution", "contentUrl", "encodingFormat", "sha256"}
    plain = {"recordSet", "field", "@context", "@type", "@id", "contentSize"}
    for key in {*said, *(key for one in files.values() for key in one)}:
        assert key in known | plain or key.startswith("rai:"), key


def test_croissant_says_what_is_not_known(tmp_path: Path) -> None:
    out = written(Croissant, made.release(tmp_path), tmp_path / "croissant")
    said = json.loads((out / "croissant.json").read_text(encoding="utf-8"))
    for name in ("annotatorDemographics", "dataCollectionTimeframe", "dataSocialImpact"):
        assert said[f"rai:{name}"] == facts.UNKNOWN
    assert "unknown, nothing is on record" in said["description"]
    assert not {"creator", "datePublished", "url"} & said.keys()


def test_screening_is_never_called_clean(release: Manifest) -> None:
    none = Manifest("1.0.0", release.path, {"screening": {"lists": [], "matchers": []}}, release.rows)
    missed = {"screening": {"lists": [{"name": "lines:1", "provider": "self"}], "matchers": [], "unscreened": 3}}
    several = [facts.screening(one) for one in (release, none, Manifest("1.0.0", release.path, missed, release.rows))]
    assert "lines:1 (self)" in several[0]
    assert "not known" in several[1]
    assert "3 rows" in several[2]
    for text in several:
        assert not {"clean", "safe", "free of", "legal"} & {*text.lower().replace("illegal", "").split()}


def test_an_upstream_that_is_no_json_is_nobody(tmp_path: Path) -> None:
    table = pa.table({"upstream": ["no JSON", "[1]", None, '{"system": "a"}']})
    from manifests._files import upstream

    assert upstream(table) == [{}, {}, {}, {"system": "a"}]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # rdflib's own
@pytest.mark.soak
def test_consumers_read_them(release: Manifest, tmp_path: Path) -> None:
    """The `interop` extra: mlcroissant reads the records, `datasets` the lines, img2dataset's reader the URLs."""
    mlcroissant, datasets = pytest.importorskip("mlcroissant"), pytest.importorskip("datasets")
    croissant = mlcroissant.Dataset(jsonld=str(written(Croissant, release, tmp_path / "croissant") / "croissant.json"))
    assert not croissant.metadata.ctx.issues.errors
    assert len(list(croissant.records("train"))) == len(release.rows["train"])
    lines = written(Jsonl, release, tmp_path / "jsonl")
    for split in SPLITS:
        found = datasets.load_dataset("json", data_files=str(lines / f"{split}.jsonl"), cache_dir=str(tmp_path / split))
        assert found["train"]["id"][:] == release.rows[split].column("id").to_pylist()
    reader = pytest.importorskip("img2dataset.reader")
    urls = written(Urls, release, tmp_path / "urls")
    columns = ["label", "split"]
    arguments: Any = (str(urls), "parquet", "url", None, "sha256", "sha256", columns, 2, set(), str(tmp_path))
    shards = list(reader.Reader(*arguments))
    assert shards
