"""What gives labels away without the picture is found where it was planted, and nowhere else."""

import io
from pathlib import Path

import pytest
from PIL import Image

from curate.config import Config, ExportConfig
from curate.evaluate.rows import usable
from curate.evaluate.shortcuts import CUES, shortcuts
from curate.media.jpeg_quality import quality
from curate.release.export import export
from curate.release.reader import load
from tests.support.pictures import encode, texture
from tests.support.releases import QUIET, SCREENED, Item, far, stocked


def jpeg(seed: int, q: int) -> bytes:
    out = io.BytesIO()
    texture(seed, (80, 60)).save(out, "JPEG", quality=q)
    return out.getvalue()


def found(root: Path, items: list[Item]) -> dict[str, dict[str, object]]:
    config = Config(export=ExportConfig(splits={"train": 0.7, "val": 0.0, "test": 0.3}))
    ws = stocked(root, items, config)
    ws.blobs.put((item.id, item.content) for item in items)
    export(ws, "1.0.0", {}, QUIET, SCREENED)
    release = load(ws.work / "releases" / "1.0.0")
    some = [usable(ws, release, split, ["drawings", "neutral"]) for split in ("train", "test")]
    rows = {str(one["cue"]): one for one in shortcuts(ws, some)}
    ws.close()
    return rows


def item(n: int, data: bytes) -> Item:
    label = {"content": (("drawings", "neutral")[n % 2], 0.9)}
    return Item(str(n), "train" if n % 3 else "test", data=data, weak=label, hash=far(n))


def test_a_planted_compression_is_told(tmp_path: Path) -> None:
    """The same kind of picture in both classes, of one size: only how they were saved differs."""
    planted = found(tmp_path / "planted", [item(n, jpeg(n, (60, 90)[n % 2])) for n in range(60)])
    assert set(planted) == set(CUES)
    assert planted["jpeg quality"]["found"]
    assert planted["jpeg quality"]["auc"] == 1.0
    assert not planted["format"]["found"]
    fair = found(tmp_path / "fair", [item(n, jpeg(n, (60, 90)[n // 2 % 2])) for n in range(60)])
    assert not any(one["found"] for one in fair.values())


def test_too_few_rows_are_not_asked(tmp_path: Path) -> None:
    few = found(tmp_path, [item(n, jpeg(n, 80)) for n in range(8)])
    assert {one["auc"] for one in few.values()} == {None}
    assert "10 groups" in str(few["host"]["why_not"])


@pytest.mark.parametrize("q", [20, 30, 50, 75, 90, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_table(q: int) -> None:
    said = quality(io.BytesIO(jpeg(1, q)))
    assert said is not None
    assert abs(said - q) <= 2


ODD = [b"", b"\xff\xd8", encode(texture(1), "PNG"), b"\xff\xd8\xff\xdb\x00\x02", b"\xff\xd8" + b"\xff\xe0\x00\x02" * 99]


@pytest.mark.parametrize("data", ODD)
def test_what_has_no_table_has_no_quality(data: bytes) -> None:
    assert quality(io.BytesIO(data)) is None


def test_an_image_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", None)
    assert quality(io.BytesIO(jpeg(1, 80))) is not None
