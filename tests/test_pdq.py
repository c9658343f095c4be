"""PDQ: the hash that decides is pdqhash's own, every orientation of it, and both tables are there for every sample."""

from pathlib import Path

import numpy as np
import pdqhash
import pytest
from PIL import Image, ImageOps

from curate import hashes
from curate.engine.serial import Serial
from curate.media import pdq
from curate.media.decode import Bounds
from curate.media.parts import parts
from curate.progress import Progress
from tests.builders import add, workspace
from tests.pictures import encode, photograph, texture

QUIET = Progress(quiet=True)


def bits(left: np.ndarray, right: np.ndarray) -> int:
    return int(np.bitwise_count(left ^ right).sum())


def test_the_full_hash_is_pdqhash_on_the_full_decode() -> None:
    picture = photograph().resize((640, 480))
    (found,) = parts(encode(picture, "PNG"), Bounds())
    px = np.asarray(picture)
    vectors, quality = pdqhash.compute_dihedral(px)
    assert (found.part, found.full, found.quality) == ("main", True, quality)
    assert np.unpackbits(found.array[[0, 6]], axis=1).tolist() == [list(vectors[n]) for n in (0, 6)]
    turned = {1: np.rot90(px), 2: np.rot90(px, 2), 3: np.rot90(px, 3), 4: np.flipud(px)}
    turned |= {5: np.fliplr(px), 6: np.swapaxes(px, 0, 1), 7: np.swapaxes(np.rot90(px, 2), 0, 1)}
    own = {n: pdqhash.compute(np.ascontiguousarray(pixels))[0] for n, pixels in turned.items()}
    apart = {n: [bits(one, np.packbits(own[n])) for one in found.array] for n in own}
    assert all(0 in one for one in apart.values()), "each orientation is the turned picture's own hash"
    for n, one in apart.items():
        guessed = np.packbits(np.asarray(vectors, dtype=np.uint8)[n])
        assert min(one) == bits(found.array[one.index(0)], np.packbits(own[n])) == 0
        assert bits(found.array[n], guessed) <= pdq.RADIUS, "and in the order of compute_dihedral"


@pytest.mark.parametrize(
    "turn",
    [
        Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270, Image.Transpose.TRANSPOSE,
        Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.TRANSVERSE,
    ],
)  # fmt: skip
def test_a_turned_picture_is_met_by_one_orientation(turn: Image.Transpose) -> None:
    """Fine textures, too, of which the coefficients say nothing reliable when they are mirrored."""
    for name in ("coffee.png", "brick.png", "gravel.png"):
        picture = photograph(name)
        turned = pdq.full(picture.transpose(turn)).array[0]
        assert sorted(bits(one, turned) for one in pdq.full(picture).array)[0] == 0
        near = pdq.near(picture)
        assert near is None or min(bits(one, turned) for one in near.array) <= pdq.DRIFT


def test_too_small_for_pdq_is_quality_zero() -> None:
    assert pdq.full(Image.new("RGB", (1, 1), "red")) == pdq.Pdq("main", bytes(256), 0, True)


def test_exif_orientation_is_applied() -> None:
    picture = photograph("chelsea.png")
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    (found,) = parts(encode(turned, "PNG", exif=exif.tobytes()), Bounds())  # type: ignore[arg-type]
    assert found.hashes == pdq.full(ImageOps.exif_transpose(picture)).hashes


def test_both_tables_are_completed_and_read_in_the_order_asked_for(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    ids = sorted(add(ws, encode(texture(seed), "PNG")) for seed in range(5))
    hashes.complete(ws, ids[:3], Serial(), QUIET)
    hashes.pdq_table(ws).remove(hashes.pdq_table(ws).parts()[0])
    assert hashes.complete(ws, ids, Serial(), QUIET).unhashed == []
    read = hashes.read_pdq(ws, [*ids[::-1], "0" * 64])
    found, quality = read.hashes, read.quality
    assert read.known.tolist() == [True] * 5 + [False]
    assert found.shape == (6, 8, 32)
    for row, one in enumerate(ids[::-1]):
        with ws.blobs.open(one) as blob:
            wanted = pdq.full(Image.open(blob))
        assert bits(found[row], wanted.array) <= 8 * pdq.DRIFT
        assert abs(int(quality[row]) - wanted.quality) <= 3
    assert not found[5].any()
    rows = list(hashes.all_pdq(ws))
    assert sorted(one for batch in rows for one in batch.ids) == ids
    assert sum(len(part) for part in (hashes.table(ws).read(["quality"]),) if part is not None) == 5
    ws.close()


def test_a_corrupt_part_is_named_and_made_again_and_a_newer_versions_table_is_left_alone(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    ids = sorted(add(ws, encode(texture(seed), "PNG")) for seed in range(3))
    hashes.complete(ws, ids, Serial(), QUIET)
    before = hashes.read_pdq(ws, ids).hashes.tobytes()
    newer = ws.work / "tables" / "pdq@0123456789ab"
    newer.mkdir()
    (newer / "all.parquet").write_bytes(b"of a version that is not known here")
    (path,) = hashes.pdq_table(ws).path.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    done = hashes.complete(ws, ids, Serial(), QUIET)
    assert done.rebuilt == [f"pdq/{path.name.split('.')[0]}"]
    assert hashes.read_pdq(ws, ids).hashes.tobytes() == before
    assert (newer / "all.parquet").exists()
    assert hashes.complete(ws, ids, Serial(), QUIET).rebuilt == []
    ws.close()


def test_no_samples_and_one_sample(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    assert hashes.complete(ws, [], Serial(), QUIET).unhashed == []
    assert hashes.read_pdq(ws, []).hashes.shape == (0, 8, 32)
    assert list(hashes.all_pdq(ws)) == []
    one = add(ws, encode(Image.new("RGB", (1, 1), "red"), "PNG"))
    hashes.complete(ws, [one], Serial(), QUIET)
    assert hashes.read_pdq(ws, [one]).quality.tolist() == [0]
    ws.close()
