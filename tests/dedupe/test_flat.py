"""Pictures with nothing in them go the whole way: a hash of zeros is a hash, and nothing else means "none"."""

import io
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from curate.config import Config, DedupeConfig, ScreeningConfig
from curate.dedupe.animations import Animations
from curate.dedupe.held_out import hold_out
from curate.dedupe.run import dedupe
from curate.dedupe.similarity import HashArrays, one_picture
from curate.engine.serial import Serial
from curate.errors import GateError
from curate.features import hashes
from curate.features.detail import DetailMaps
from curate.media import phash
from curate.progress import Progress
from curate.release.export import export
from tests.support.builders import add, members, workspace
from tests.support.calling import Command
from tests.support.pictures import encode, photograph, texture
from tests.support.releases import FORMATS, SCREENED, Item, stocked

QUIET = Progress(quiet=True)
BLACK = bytes(8)
CONFIG = """
[engine]
use = "serial"
[fetch]
min_side = 1
[screening]
required = true
[[screening.lists]]
use = "lines"
path = "list.txt"
[[sources]]
use = "local"
path = "images"
label_from = "folder"
[[labelers]]
use = "declared"
[[labelers]]
use = "drawing"
"""


def fading(kind: str, size: tuple[int, int], frames: int = 4) -> bytes:
    """An animation out of the black."""
    whole = np.asarray(texture(77, size), dtype=float)
    shown = [Image.fromarray((whole * n / max(frames - 1, 1)).astype(np.uint8)) for n in range(frames)]
    out = io.BytesIO()
    shown[0].save(out, kind, save_all=True, append_images=shown[1:], duration=100)
    return out.getvalue()


def flat() -> dict[str, bytes]:
    """Files that hold one colour at first sight, by name; no two have the same bytes."""
    found = {"fade.gif": fading("GIF", (64, 48)), "fade.webp": fading("WEBP", (50, 90)),
             "one-frame.gif": fading("GIF", (33, 20), 1)}  # fmt: skip
    for colour in ("black", "white", "#c80000"):
        for n, (size, kind) in enumerate([((1, 1), "PNG"), ((320, 240), "PNG"), ((97, 3), "WEBP"), ((64, 64), "JPEG"),
                                          ((5, 99), "TIFF"), ((48, 48), "GIF")]):  # fmt: skip
            found[f"{colour.strip('#')}-{n}.{kind.lower()}"] = encode(Image.new("RGB", size, colour), kind)
    found["clear.png"] = encode(Image.new("RGBA", (60, 60), (0, 0, 0, 0)), "PNG")
    return found


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """The command in a folder of two classes, half of whose pictures are flat."""
    (tmp_path / "curate.toml").write_text(CONFIG)
    (tmp_path / "list.txt").write_text("f" * 64 + "\n" + "a" * 40 + "\n")
    for n, (name, data) in enumerate(sorted(flat().items())):
        put(tmp_path / "images" / ("neutral", "drawings")[n % 2] / name, data)
    for n in range(16):
        put(tmp_path / "images" / ("neutral", "drawings")[n % 2] / f"{n}.png", encode(texture(n), "PNG"))
    return Command(tmp_path, monkeypatch, capfd)


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_flat_pictures_go_through_every_verb(curate: Command) -> None:
    n = len(flat()) + 16
    assert curate("fetch", "--json").json["stored"] == n
    found = curate("dedupe", "--json").json
    assert (found["samples"], found["duplicates"], found["unhashed"]) == (n, 0, 0)
    assert curate("label", "--json").json["unscored"] == 0
    curate("dedupe", "--report", "--against", str(curate.root / "images"), "-q")
    curate("dedupe", "--forget", str(curate.root / "images"), "-q")
    curate("report", "-q")
    said = curate("export", "1.0.0", "--json").json
    assert sum(said["rows"].values()) + sum(said["excluded"].values()) == n
    assert "not_deduped" not in said["excluded"]
    assert said["incomplete"] is None
    curate("train", "1.0.0", "-q")
    assert curate("verify", "--json").json["items"] == []
    assert curate("screening", "rescan", "--json").json["unhashed"] == 0
    checked = curate("check", str(curate.root / "images"), "--json").json
    assert (checked["unreadable"]["files"], checked["too_small"], checked["flat"]) == (0, 9, n - 9 - 16)


def test_only_what_has_no_hash_blocks_an_export(tmp_path: Path) -> None:
    items = [Item("black", hash=BLACK, quality=0.0), Item("other", "test"), Item("dark", "test", hash=BLACK, quality=0)]
    ws = stocked(tmp_path / "a", items)
    assert export(ws, "1.0.0", FORMATS, QUIET, SCREENED)["rows"] == {"train": 1, "val": 0, "test": 2}
    (part,) = hashes.table(ws).parts()
    rows = hashes.table(ws).read()
    assert rows is not None
    hashes.table(ws).write(part, rows.filter([one != items[0].id for one in rows.column("id").to_pylist()]))
    with pytest.raises(GateError, match=f"1 items have no perceptual hash .{items[0].id}"):
        export(ws, "1.0.1", FORMATS, QUIET, SCREENED)
    ws.close()


def test_what_has_no_row_is_told_from_a_black_picture(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    black = add(ws, encode(Image.new("RGB", (64, 64)), "PNG"))
    hashes.complete(ws, [black], Serial(), QUIET)
    asked = [black, "f" * 64]
    by_phash, by_pdq, (thumbs, known) = hashes.read(ws, asked), hashes.read_pdq(ws, asked), hashes.thumbs(ws, asked)
    assert not by_phash.phash.any()
    assert not by_pdq.hashes.any()
    assert not thumbs.any()
    for mask in (
        by_phash.known,
        by_pdq.known,
        known,
        HashArrays.from_workspace(ws, asked).hashed,
        ~HashArrays.from_workspace(ws, asked).missing,
    ):
        assert mask.tolist() == [True, False]
    assert hashes.unread(ws, asked) == ["f" * 64]
    ws.close()


def test_without_thresholds_nothing_is_near_to_what_has_no_hash(tmp_path: Path) -> None:
    """Tiny pictures have no PDQ: its zeros make no two of them alike, whatever quality is asked for."""
    config = Config(dedupe=DedupeConfig(pdq_quality=0, phash_quality=0.01), screening=ScreeningConfig(required=False))
    ws = workspace(tmp_path, config)
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (4, 4 + n, 3), dtype=np.uint8)) for n in range(5)]
    ids = [add(ws, encode(one.resize((4, 40)), "PNG")) for one in noise]
    assert dedupe(ws, Serial(), QUIET)["groups"] == 0
    assert len({members(ws)[one]["grp"] for one in ids}) == 5
    ws.close()


def test_a_held_out_release_whose_hash_is_lost_says_so_and_bars_nothing_black(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("one"), Item("two"), Item("three", "test")], Config())
    export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    for table in (hashes.table(ws), hashes.pdq_table(ws)):
        rows = table.read()
        assert rows is not None
        table.write("all", rows.filter([name != Item("one").id for name in rows.column("id").to_pylist()]))
    assert hold_out(ws, "1.0.0", Serial(), QUIET)["unreadable"] == 1
    kept = {row[0]: (row[1], row[2]) for row in ws.catalog.all("SELECT item, phash, pdq FROM held_out")}
    assert kept[Item("one").id] == (b"", b"")
    assert len(kept[Item("two").id][0]) == phash.BITS // 8
    ws.close()


class Same:
    """Detail maps, and animations, that agree about everything."""

    def same(self, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return np.ones(len(left), dtype=bool)


def test_two_samples_whose_thumbnails_are_lost_are_not_one_picture(tmp_path: Path) -> None:
    """A row without a thumbnail is like nothing, whatever else is known of it."""
    ws = workspace(tmp_path)
    ids = sorted(add(ws, encode(photograph(), "JPEG", quality=quality)) for quality in (95, 90))
    hashes.complete(ws, ids, Serial(), QUIET)
    looks, pair = HashArrays.from_workspace(ws, ids), (np.array([0]), np.array([1]))
    labels = np.zeros(2, dtype=np.int64)
    assert one_picture(ws, ids, looks, labels, cast(DetailMaps, Same()), cast(Animations, Same()))(*pair).tolist() == [
        True
    ]
    for part in hashes.table(ws).parts():
        hashes.table(ws).remove(part)
    assert one_picture(ws, ids, looks, labels, cast(DetailMaps, Same()), cast(Animations, Same()))(*pair).tolist() == [
        False
    ]
    ws.close()
