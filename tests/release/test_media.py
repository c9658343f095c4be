"""Pictures leave with a release: checked, without metadata, and read again by whoever has the folder."""

import csv
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image, ImageOps

from curate.checks import dataset
from curate.engine.pool import Pool
from curate.engine.serial import Serial
from curate.errors import StoreError, UsageError
from curate.layouts.exported import read_sums, sums_text
from curate.media.decode import Bounds, open_image, scaled
from curate.media.leaving import of_decoded
from curate.project import load_release
from curate.records import SPLITS
from curate.release import formats
from curate.release.export import export, export_also
from curate.release.reader import load
from curate.store import file_digests
from curate.store.workspace import Workspace
from tests.support.exposed import SECRET, shown
from tests.support.many import note
from tests.support.media_releases import FILES, MEDIA, PAGES, contents, exported, items, made
from tests.support.releases import EVERY, FORMATS, QUIET, SCREENED, Item
from tests.support.vision import torchvision


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    ws = made(tmp_path_factory.mktemp("media"), items())
    exported(ws)
    yield ws
    ws.close()


@pytest.fixture(scope="module")
def out(ws: Workspace) -> Path:
    return ws.work / "exports" / "1.0.0"


def by_id() -> dict[str, bytes]:
    return {hashlib.sha256(data).hexdigest(): data for data in FILES.values()}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def samples(path: Path) -> dict[str, dict[str, bytes]]:
    """The samples of all tar archives, each file by its suffix; consecutive."""
    found: dict[str, dict[str, bytes]] = {}
    for shard in sorted(path.glob("*.tar")):
        before = None
        with tarfile.open(shard) as archive:
            for info in archive:
                key, _, kind = info.name.partition(".")
                assert key == before or key not in found
                before = key
                assert (info.mtime, info.uid, info.gid, info.uname, info.gname) == (0, 0, 0, "", "")
                file = archive.extractfile(info)
                assert file is not None
                found.setdefault(key, {})[kind] = file.read()
    return found


def test_every_kind_leaves_as_it_is_shown_and_without_what_it_says(out: Path) -> None:
    found = {path.stem: path.read_bytes() for path in (out / "imagefolder").glob("*/*/*.*")}
    assert found.keys() == by_id().keys()
    for one, data in by_id().items():
        if data != FILES["bad rational"]:
            assert shown(found[one]) == shown(data)
        with Image.open(io.BytesIO(found[one])) as image:
            ImageOps.exif_transpose(image).convert("RGB")
    for name, data in contents(out).items():
        assert SECRET not in data, name
    pictures = {
        key: next(v for k, v in each.items() if k not in ("label.txt", "json"))
        for key, each in samples(out / "webdataset").items()
    }
    assert pictures == found


def test_rows_say_both_digests_and_what_is_left_out_is_named(ws: Workspace, out: Path) -> None:
    rows = [row for split in SPLITS for row in table(out / "imagefolder" / split / "metadata.csv")]
    for row in rows:
        path = out / "imagefolder" / row["split"] / row["file_name"]
        assert path.stem == row["id"]
        assert path.parent.name == row["label"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["exported_sha256"]
    for each in samples(out / "webdataset").values():
        said = json.loads(each["json"])
        assert said["label"].encode() == each["label.txt"]
        assert set(each) == {"jpg", "label.txt", "json"}, "readers take one name for all"
    pages = hashlib.sha256(PAGES).hexdigest()
    for name in MEDIA:
        header = json.loads((out / name / "export.json").read_text())
        assert list(header["left_out"]) == [pages]
        assert "pages" in header["left_out"][pages]
        assert header["rows"] == {split: sum(row["split"] == split for row in rows) for split in SPLITS}
        assert header["pictures"]["as_stored"] == 1
        credited = table(out / name / "attribution.csv")
        assert {row["id"] for row in credited} == {row["id"] for row in rows}
        assert {"license_url", "page_url"} <= credited[0].keys()
    assert pages in {
        one for rows in load(ws.work / "releases" / "1.0.0").rows.values() for one in rows["id"].to_pylist()
    }


def test_sums_are_those_of_sha256sum_and_what_verify_knows(ws: Workspace, out: Path) -> None:
    for name in EVERY.keys() & {path.name for path in out.iterdir()}:
        run = subprocess.run(
            ["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=out / name, capture_output=True, text=True
        )
        assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
        listed = read_sums((out / name / "SHA256SUMS").read_bytes())
        assert listed.keys() == contents(out / name).keys() - {"SHA256SUMS"}
    assert list(file_digests.problems(ws)) == []
    odd = {"a\\b": "0" * 64, "c\nd": "1" * 64, " é ": "2" * 64}
    path = ws.root / "sums"
    path.write_text(sums_text(odd))
    assert read_sums(path.read_bytes()) == odd


def test_this_process_and_two_workers_write_the_same(ws: Workspace, tmp_path: Path) -> None:
    other = made(tmp_path, items())
    exported(other, Pool(2))
    assert contents(other.work / "exports" / "1.0.0") == contents(ws.work / "exports" / "1.0.0")
    other.close()


def test_nothing_is_linked_and_check_reads_what_left(out: Path) -> None:
    assert {path.stat().st_nlink for path in (out / "imagefolder").glob("*/*/*.*")} == {1}
    found = dataset.read(out / "imagefolder", None, (), outside=False)
    assert {(Path(row.path).stem, row.label, row.split) for row in found.rows} == {
        (path.stem, path.parent.name, path.parent.parent.name) for path in (out / "imagefolder").glob("*/*/*.*")
    }


@pytest.mark.parametrize("name", MEDIA)
def test_an_exported_folder_is_a_dataset_without_its_workspace(ws: Workspace, out: Path, name: str) -> None:
    release = load_release(out / name)
    whole = load(ws.work / "releases" / "1.0.0")
    assert release.version == "1.0.0"
    for split in SPLITS:
        dataset = release.torch(split)
        rows = {row["id"]: row for row in whole.rows[split].to_pylist()}
        assert dataset.ids == sorted(rows.keys() & by_id().keys())
        assert (
            [rows[one]["label"] for one in dataset.ids]
            == dataset.labels
            == [release.classes[n] for n in dataset.targets]
        )
        assert [rows[one]["weight"] for one in dataset.ids] == dataset.weights
        assert [rows[one]["group"] for one in dataset.ids] == dataset.groups
        for n in range(len(dataset)):
            picture, target = dataset[n]
            seen = scaled(open_image(by_id()[dataset.ids[n]], Bounds()), None)  # by labelers
            assert (picture.mode, picture.size, picture.tobytes()) == ("RGB", seen.size, seen.tobytes())
            assert target == dataset.targets[n]


def test_a_strangers_folder_cannot_lead_out_of_itself(out: Path, tmp_path: Path) -> None:
    """Nor is it read as something that was not exported."""
    (tmp_path / "secret").write_text("secret")
    table, header = Path("train/metadata.csv"), Path("export.json")
    shutil.copytree(out / "imagefolder", folder := tmp_path / "folder")
    first = load_release(folder).frame("train").iloc[0]
    text = (folder / table).read_text()
    name = f"{first['label']}/{first['id']}"
    kept = next(path for path in (folder / "train").glob(f"{name}.*"))
    for other in ("../../secret", str(tmp_path / "secret")):
        (folder / table).write_text(text.replace(f"{name}{kept.suffix}", other))
        with pytest.raises(StoreError, match="leads out of this folder"):
            load_release(folder).open(first["id"])
    (folder / table).write_text(text)
    kept.unlink()
    kept.symlink_to(tmp_path / "secret")
    with pytest.raises(StoreError, match="leads out of this folder"):
        load_release(folder).open(first["id"])
    for file, odd in ((header, "[]"), (header, "[" * 5000), (table, "file_name\nx\n"), (table, text + "a," * 99)):
        before = (folder / file).read_text()
        (folder / file).write_text(odd)
        with pytest.raises(StoreError, match="not what was exported"):
            load_release(folder)
        (folder / file).write_text(before)


@pytest.mark.parametrize("name", MEDIA)
def test_a_picture_of_a_folder_is_what_was_exported_or_an_error(out: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(out / name, folder := tmp_path / name)
    first = load_release(folder).frame("train").iloc[0]
    path = next(iter(folder.glob("train-*.tar")), None) or next(folder.glob(f"train/*/{first['id']}.*"))
    data = path.read_bytes()
    at = data.index(load_release(folder).open(first["id"]).read()[:64]) + 60
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(StoreError, match="not what was exported"):
        load_release(folder).torch("train")[0]
    if name == "imagefolder":
        table = folder / "train" / "metadata.csv"
        table.write_text(table.read_text().replace(f",{first['label']},", ",,"))
        with pytest.raises(StoreError, match="a row without label"):
            load_release(folder)


def test_a_split_whose_folders_others_would_number_otherwise_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    places = (("train", "neutral"), ("train", "drawings"), ("test", "neutral"))
    what = [Item(f"{n}", split, weak={"content": (label, 0.9)}, data=FILES["jpeg"] + bytes(n))
            for n, (split, label) in enumerate(places)]  # fmt: skip
    ws = made(tmp_path, what)
    exported(ws)
    said = [one for one in caplog.messages if one.startswith("imagefolder: ")]
    assert len(said) == 1
    assert said[0].startswith("imagefolder: test has no picture of drawings")
    ws.close()


def test_torchvision_reads_it(out: Path) -> None:
    datasets = torchvision("torchvision.datasets")
    for split in SPLITS:
        found = datasets.ImageFolder(out / "imagefolder" / split)
        assert len(found) == len(list((out / "imagefolder" / split).glob("*/*")))
        assert all(picture.mode == "RGB" for picture, _ in found)


def test_a_release_that_exists_is_written_in_what_it_lacks(tmp_path: Path, out: Path) -> None:
    ws = made(tmp_path, items())
    export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    before = contents(ws.work / "releases")
    found = export_also(ws, "1.0.0", {**MEDIA, **FORMATS}, QUIET, SCREENED, Serial())
    assert found["written"] == sorted(MEDIA)
    assert found["pictures_left_out"] == {"too_many_frames": 1}
    assert contents(ws.work / "exports" / "1.0.0") == contents(out)
    assert contents(ws.work / "releases") == before
    assert list(file_digests.problems(ws)) == []
    assert export_also(ws, "1.0.0", MEDIA, QUIET, SCREENED, Serial())["written"] == []
    with pytest.raises(UsageError, match="no such release"):
        export_also(ws, "1.1.0", MEDIA, QUIET, SCREENED)
    ws.close()


class Undecoded(Serial):
    """Decodes nothing: an export that asks it fails."""

    def map(self, *_: Any) -> Any:
        raise AssertionError("a picture was looked at that is on record")


def test_what_fetch_decoded_is_not_decoded_again(tmp_path: Path, out: Path) -> None:
    """And it leaves as the same bytes."""
    stills = [item for item in items() if of_decoded(item.content, Bounds())]
    ws = made(tmp_path, stills)
    note(ws, {item.id: item.content for item in stills})
    exported(ws, Undecoded())
    for name, data in contents(ws.work / "exports" / "1.0.0" / "imagefolder").items():
        if name.endswith((".jpg", ".png", ".webp")):
            assert data == (out / "imagefolder" / name).read_bytes()
    assert len(stills) >= 6
    ws.close()


def test_an_older_release_has_nothing_where_it_lacks_a_column() -> None:
    rows = pa.table({"id": ["a"], "split": ["train"], "license": ["CC0"]})
    found = formats._credits(rows).to_pylist()
    assert found == [dict.fromkeys(formats._CREDITED) | {"id": "a", "split": "train", "license": "CC0"}]
