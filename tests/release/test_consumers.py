"""Whom formats with pictures are written for reads them: as many rows, the same labels, the same pixels.

Those that the `interop` extra brings; FiftyOne with its database. What stands in a folder is compared with what is
stored by `test_media`.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from curate.engine.serial import Serial
from curate.project import load_release
from curate.records import SPLITS
from curate.release.export import export
from tests.support.exposed import files
from tests.support.releases import EVERY, QUIET, SCREENED, Item, stocked
from tests.support.reviewing import needs
from tests.support.vision import torchvision

pytestmark = pytest.mark.soak
Pictures = dict[str, tuple[str, bytes]]  # by id: the label, and the pixels as RGB
NAMES = ("imagefolder", "webdataset", "huggingface")
CLASSES = ("drawings", "neutral")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The exports of a file of every kind that is stored, in two classes and three splits."""
    items = [
        Item(name, SPLITS[n % 5 % 3], weak={"content": (CLASSES[n % 2], 0.9)}, data=data)
        for n, (name, data) in enumerate(files().items())
    ]
    ws = stocked(tmp_path_factory.mktemp("consumers"), items)
    ws.blobs.put((item.id, item.content) for item in items)
    export(ws, "1.0.0", {name: EVERY[name] for name in NAMES}, QUIET, SCREENED, Serial())
    yield ws.work / "exports" / "1.0.0"
    ws.close()


def pixels_of(path: str) -> bytes:
    """Those of a file."""
    with Image.open(path) as image:
        return pixels(image)


def pixels(image: Image.Image) -> bytes:
    """The first frame, turned as it says."""
    image.seek(0)
    turned = ImageOps.exif_transpose(image)
    return repr(turned.size).encode() + turned.convert("RGB").tobytes()


def expected(out: Path, split: str) -> Pictures:
    """Of a split, by the folder that says which file is which."""
    release = load_release(out / "imagefolder")
    rows = zip(release.frame(split)["id"], release.frame(split)["label"], strict=True)
    return {one: (label, pixels(Image.open(release.open(one)))) for one, label in rows}


@pytest.mark.parametrize("split", SPLITS)
def test_torchvision_reads_folders(out: Path, split: str) -> None:
    datasets = torchvision("torchvision.datasets")
    found = datasets.ImageFolder(out / "imagefolder" / split, loader=pixels_of)
    read = {Path(path).stem: (found.classes[label], found[n][0]) for n, (path, label) in enumerate(found.samples)}
    assert read == expected(out, split)
    plain = datasets.ImageFolder(out / "imagefolder" / split)
    assert all(picture.mode == "RGB" for picture, _ in plain)


def test_torchvision_transforms_what_a_release_gives(out: Path) -> None:
    transforms = torchvision("torchvision.transforms.v2")
    ready = transforms.Compose([transforms.ToImage(), transforms.Resize((32, 32))])
    data = load_release(out / "webdataset").torch("train", ready)
    assert {tuple(data[n][0].shape) for n in range(len(data))} == {(3, 32, 32)}


@pytest.mark.parametrize("split", SPLITS)
def test_webdataset_reads_shards(out: Path, split: str) -> None:
    webdataset = pytest.importorskip("webdataset")
    shards = [str(path) for path in sorted((out / "webdataset").glob(f"{split}-*.tar"))]
    read: Pictures = {}
    assert all(
        picture.mode == "RGB"
        for (picture,) in webdataset.WebDataset(shards, shardshuffle=False).decode("pilrgb").to_tuple("jpg")
    )
    for sample in webdataset.WebDataset(shards, shardshuffle=False):
        read[sample["__key__"]] = (sample["label.txt"].decode(), pixels(Image.open(io.BytesIO(sample["jpg"]))))
        assert json.loads(sample["json"])["label"] == sample["label.txt"].decode()
    assert read == expected(out, split)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("split", SPLITS)
def test_datasets_reads_the_hubs_format(out: Path, tmp_path: Path, split: str, streaming: bool) -> None:
    datasets = pytest.importorskip("datasets")
    name = "validation" if split == "val" else split
    found: Any = datasets.load_dataset(
        str(out / "huggingface"), split=name, streaming=streaming, cache_dir=str(tmp_path)
    )
    names = found.features["label"].names
    assert {row["id"]: (names[row["label"]], pixels(row["image"])) for row in found} == expected(out, split)


@pytest.mark.parametrize("name", ["imagefolder", "webdataset"])
def test_datasets_reads_the_others(out: Path, tmp_path: Path, name: str) -> None:
    datasets = pytest.importorskip("datasets")
    for split in SPLITS:
        wanted = expected(out, split)
        kind = {"imagefolder": f"{split}/**", "webdataset": f"{split}-*.tar"}[name]
        found: Any = datasets.load_dataset(
            name, data_files=str(out / name / kind), split="train", cache_dir=str(tmp_path / split)
        )
        if name == "imagefolder":
            read = {row["id"]: (row["label"], pixels(row["image"])) for row in found}
        else:
            read = {row["__key__"]: (row["label.txt"], pixels(row["jpg"])) for row in found}
        assert read == wanted


FIFTYONE = """
import json, sys
import fiftyone as fo
found = fo.Dataset.from_dir(dataset_dir=sys.argv[1], dataset_type=fo.types.ImageClassificationDirectoryTree)
found.compute_metadata()
print(json.dumps([[s.filepath, s.ground_truth.label, s.metadata.width, s.metadata.height] for s in found]))
"""


@needs("mongod")
@pytest.mark.parametrize("split", SPLITS)
def test_fiftyone_reads_folders(out: Path, tmp_path: Path, split: str) -> None:
    from curate.review.app.mongod import Mongod

    with Mongod(tmp_path / "database") as mongod:
        environment = {**os.environ, "FIFTYONE_DATABASE_URI": mongod.uri, "HOME": str(tmp_path)}
        command = [sys.executable, "-W", "ignore", "-c", FIFTYONE, str(out / "imagefolder" / split)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    rows = json.loads(ended.stdout.splitlines()[-1])
    read = {Path(path).stem: (label, pixels_of(path)) for path, label, _, _ in rows}
    assert read == expected(out, split)
    for path, _, width, height in rows:
        with Image.open(path) as image:
            assert sorted((width, height)) == sorted(image.size)


@needs("mongod")
def test_fiftyone_reads_folders_with_their_columns(out: Path, tmp_path: Path) -> None:
    from curate.review.app.mongod import Mongod

    page = (Path(__file__).parents[2] / "docs" / "releases.md").read_text(encoding="utf-8")
    example = page.partition("<!-- example: fiftyone -->\n```python\n")[2].partition("```")[0]
    code = example.replace("work/exports/1.0.0/imagefolder", str(out / "imagefolder")) + (
        "import json\n"
        "print(json.dumps([[s.filepath, s.tags, s.label.label, s.label_source, s.group] for s in dataset]))\n"
    )
    with Mongod(tmp_path / "database") as mongod:
        environment = {**os.environ, "FIFTYONE_DATABASE_URI": mongod.uri, "HOME": str(tmp_path)}
        command = [sys.executable, "-W", "ignore", "-c", code]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    release = load_release(out / "imagefolder")
    read = [[Path(path).stem, *rest] for path, *rest in json.loads(ended.stdout.splitlines()[-1])]
    wanted = [
        [row.id, [split], row.label, row.label_source, row.group]
        for split in SPLITS
        for row in release.frame(split).itertuples()
    ]
    assert sorted(read) == sorted(wanted)
