"""PDQ is pdqhash's but for a few bits that rounding turns, in every orientation; both tables are always complete."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pdqhash
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageOps

from curate.compiled import compiled
from curate.engine.serial import Serial
from curate.features import hashes
from curate.media import pdq, pdq_kernels, pdq_pixels
from curate.media.decode import Bounds
from curate.media.parts import parts
from curate.progress import Progress
from tests.support.builders import add, workspace
from tests.support.pdq_pictures import picture
from tests.support.pictures import encode, photograph, texture

QUIET = Progress(quiet=True)
EVERY = 1200  # pictures that are compared with pdqhash, a tenth of them in `make test`


def bits(left: np.ndarray, right: np.ndarray) -> int:
    return int(np.bitwise_count(left ^ right).sum())


def turned(pixels: np.ndarray) -> list[np.ndarray]:
    """The eight in the order of `compute_dihedral`, made of pixels."""
    quarters = [np.rot90(pixels, n) for n in range(4)]
    mirrored = [np.flipud(pixels), np.fliplr(pixels), pixels.swapaxes(0, 1), quarters[2].swapaxes(0, 1)]
    return [np.ascontiguousarray(one) for one in (*quarters, *mirrored)]


def wanted(image: Image.Image) -> tuple[list[bytes], int]:
    """What pdqhash itself says."""
    found = [pdqhash.compute(one) for one in turned(np.asarray(image.convert("RGB")))]
    return [np.packbits(one.astype(np.uint8)).tobytes() for one, _ in found], found[0][1]


def same(image: Image.Image, name: object = "") -> None:
    """The hashes and the quality are pdqhash's as far as is said; its coefficients have drifted by less than is said.

    Only those bits may differ that the drift could turn: below MIN_QUALITY all of them, else TOLERATED at most.
    """
    found, (hashes_, quality) = pdq.compute(image), wanted(image)
    apart = np.unpackbits(found.array ^ np.frombuffer(b"".join(hashes_), np.uint8).reshape(8, 32), axis=1)
    if min(image.size) >= 5:
        assert quality < pdq.MIN_QUALITY or apart.sum(axis=1).max() <= pdq.TOLERATED, (name, image.mode, image.size)
        apart &= ~may_turn(image)
    assert not apart.any(), (name, image.mode, image.size)
    assert abs(found.quality - quality) <= 1, (name, image.mode, image.size)
    assert (found.quality < pdq.MIN_QUALITY) == (quality < pdq.MIN_QUALITY), (name, image.mode, image.size)
    if min(image.size) >= 5:
        drifted = pdqhash.compute_float(np.asarray(image.convert("RGB")))[0][::-1].reshape(16, 16) - exactly(image)[0]
        assert (np.abs(drifted) < drift(image)).all(), (name, image.size)


def exactly(image: Image.Image) -> np.ndarray:
    """The coefficients of the eight, from pixels so turned: float64[8, 16, 16]."""
    found = [
        pdq_pixels.Pixels(Image.fromarray(one)).exact()[0][0, 0] for one in turned(np.asarray(image.convert("RGB")))
    ]
    return np.asarray(pdq_pixels.cosines() @ np.stack(found) @ pdq_pixels.cosines().T)


def drift(image: Image.Image) -> np.ndarray:
    """How far each coefficient may have drifted, as it is said."""
    order = np.arange(1, 17)
    return np.asarray(pdq.drift(max(image.size)) / np.sqrt(np.outer(order, order)))


def may_turn(image: Image.Image) -> np.ndarray:
    """The bits that drift could turn: 0 or 1, uint8[8, 256]."""
    lows, far = exactly(image).reshape(8, 256), drift(image).ravel()
    median = lows.argsort(axis=1, kind="stable")[:, [127]]
    least = (lows - far < np.take_along_axis(lows, median, axis=1) + far[median] + 1e-9) & (
        lows + far > np.take_along_axis(lows, median, axis=1) - far[median] - 1e-9
    )
    return np.asarray(least[:, ::-1], dtype=np.uint8)


def test_a_tenth_of_all_pictures_has_pdqhashs_own_bits() -> None:
    good = 0
    for number in range(0, EVERY, 10):
        image = picture(number + number // 10 % 10, most=400)
        same(image, number)
        good += pdq.compute(image).quality >= pdq.MIN_QUALITY
    assert good > EVERY // 40, "not only pictures of which PDQ says nothing"


@pytest.mark.soak
@pytest.mark.parametrize("first", range(0, EVERY, 100))
def test_every_picture_has_pdqhashs_own_bits(first: int) -> None:
    for number in range(first, first + 100):
        same(picture(number), number)


@pytest.mark.soak
@pytest.mark.parametrize(("width", "height"), [(4200, 3100), (2800, 4400), (9000, 700), (16, 60_000), (60_000, 40)])
def test_large_pictures_have_pdqhashs_own_bits(width: int, height: int) -> None:
    """Its sums drift with the length of a side. Pillow has such pictures in several pieces."""
    for name in ("coffee.png", "gravel.png"):
        same(photograph(name).resize((width, height), Image.Resampling.BICUBIC), name)


@given(
    arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=12).map(lambda shape: (*shape[:2], 3))),
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
    st.sampled_from((Image.Resampling.NEAREST, Image.Resampling.BICUBIC)),
)
def test_any_picture_of_any_size_has_pdqhashs_own_bits(
    pixels: np.ndarray, size: tuple[int, int], how: Image.Resampling
) -> None:
    same(Image.fromarray(pixels).resize(size, how))


@pytest.mark.parametrize("size", [(64, 64), (64, 63), (5, 5), (128, 128), (129, 127), (8, 700), (2049, 2048)])
def test_sizes_at_which_something_changes(size: tuple[int, int]) -> None:
    """64 px are not filtered, 129 need a wider filter, and 2,049 x 2,048 are in two pieces of memory."""
    for image in (photograph("chelsea.png").resize(size), texture(3, size)):
        same(image) if size[0] < 2000 else _upright(image)


def _upright(image: Image.Image) -> None:
    found, quality = pdqhash.compute(np.asarray(image))
    assert bits(pdq.compute(image).array[0], np.packbits(found.astype(np.uint8))) <= pdq.TOLERATED
    assert abs(pdq.compute(image).quality - quality) <= 1


def test_pieces_of_memory_that_are_smaller_than_expected_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    image = photograph("coffee.png")
    whole = pdq.compute(image)
    monkeypatch.setattr(pdq_pixels, "_STRIP", 600 * 7)
    assert pdq.compute(image) == whole
    monkeypatch.setattr("pyarrow.array", _in_pieces)
    assert pdq.compute(image) == whole


def _in_pieces(_: object) -> None:
    raise ValueError("Image rows are not contiguous in memory.")


def test_too_small_for_pdq_is_quality_zero() -> None:
    for size in ((1, 1), (4, 4), (4, 300), (10_000, 1), (1, 10_000)):
        image = Image.new("RGB", size, "red")
        assert pdq.compute(image, "frame:1") == pdq.Pdq("frame:1", bytes(256), 0)
        assert wanted(image) == ([bytes(32)] * 8, 0)


def test_what_rounding_could_turn_is_rounded_as_pdqhash_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that it would be another hash: most coefficients of a glow over each row are zero, but for the drift."""
    row = 255 * np.exp(-30 * (np.arange(182) / 182 - 0.33) ** 2)
    glow = Image.fromarray(np.repeat(row[:, None], 70, axis=1).astype(np.uint8))
    same(glow)
    assert pdq.compute(glow).quality >= pdq.MIN_QUALITY
    monkeypatch.setattr(pdq, "drift", lambda side: -1.0)
    exact, rounded = pdq.compute(glow).array, np.frombuffer(b"".join(wanted(glow)[0]), np.uint8).reshape(8, 32)
    assert min(bits(one, other) for one, other in zip(exact, rounded, strict=True)) > 12


def test_where_pdqhash_rounds_otherwise_it_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pdq_pixels.faithful() in (True, False)
    monkeypatch.setattr(pdq, "faithful", lambda: False)
    monkeypatch.setattr(pdq, "drift", lambda side: 1e9)  # in doubt of everything
    monkeypatch.setattr(pdq_pixels.Pixels, "rounded", None)
    for image in (photograph("coffee.png").resize((160, 120)), photograph("gravel.png").resize((70, 90))):
        found = pdq.compute(image)
        assert ([one.tobytes() for one in found.array], found.quality) == wanted(image)


def test_our_rounding_is_pdqhashs_in_every_coefficient() -> None:
    from curate.media.pdq_kernels import coefficients

    if not pdq_pixels.faithful():
        pytest.skip("pdqhash was compiled so that it rounds otherwise on this machine; it is asked itself")
    for number in range(0, 60, 3):
        image = picture(number, most=300).convert("RGB")
        for n, pixels in enumerate(turned(np.asarray(image))):
            square = pdq_pixels.Pixels(image).rounded(pdq._TURNS[n])
            found = coefficients(square, pdq_pixels.rounded_cosines()).ravel()[::-1]
            assert np.array_equal(found, pdqhash.compute_float(pixels)[0]), (number, n)


def test_without_pdqhash_there_is_no_pdq_from_the_first_picture_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pdqhash", None)
    pdq_pixels.faithful.cache_clear()
    with pytest.raises(ImportError):
        pdq.compute(photograph())
    with pytest.raises(ImportError):
        pdq.load()


def test_loops_are_compiled_where_no_cache_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    real = numba.njit

    def unwritable(nogil: bool, cache: bool = False) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(nogil=nogil)

    monkeypatch.setattr("curate.compiled.numba.njit", unwritable)

    def twice(number: int) -> int:
        return 2 * number

    assert compiled(twice)(21) == 42


@pytest.mark.soak
def test_no_loop_leaves_its_arrays(tmp_path: Path) -> None:
    code = """
import numpy as np
from PIL import Image
from curate.media import pdq
sides = [*range(5, 70), 127, 128, 129, 130, 255, 256, 257, 300, 1023, 1024, 1025, 2049]
for width in sides:
    for height in sides[width % 5 :: 5]:
        pdq.compute(Image.new("RGB", (width, height), "red"))
for size in ((5, 70_000), (70_000, 5), (2049, 2048)):
    pdq.compute(Image.new("RGB", size, "red"))
"""
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **checked}, check=True)


@pytest.mark.parametrize("turn", list(Image.Transpose))
def test_a_turned_picture_is_met_by_one_orientation(turn: Image.Transpose) -> None:
    """Fine textures, too, of which the coefficients say nothing reliable when they are mirrored."""
    for name in ("coffee.png", "brick.png", "gravel.png"):
        one = pdq.compute(photograph(name).transpose(turn)).array[0]
        assert min(bits(one, other) for other in pdq.compute(photograph(name)).array) == 0


def test_exif_orientation_is_applied() -> None:
    image = photograph("chelsea.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    data = encode(image.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif.tobytes())
    (found,) = parts(data, Bounds())
    assert found.hashes == pdq.compute(ImageOps.exif_transpose(image)).hashes


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
            hashes_of = pdq.compute(Image.open(blob))
        assert (found[row].tobytes(), int(quality[row])) == (hashes_of.hashes, hashes_of.quality)
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


@pytest.mark.parametrize("size", [(5, 300), (64, 64), (100, 130), (256, 1000), (333, 70)])
def test_the_pass_adds_up_what_two_box_filters_say(size: tuple[int, int]) -> None:
    """Rows that count for one place, two and more, against whole matrices; and the gradient as numpy sums it."""
    rgb = np.random.default_rng(sum(size)).integers(0, 256, (*size, 3), dtype=np.uint8)
    squares, grey = pdq_pixels.Pixels(Image.fromarray(rgb)).exact(8)
    level = rgb @ np.array([299, 587, 114]) / 1000
    down, across = (weights(pdq_kernels.axis(length), length) for length in size)
    assert np.allclose(squares[0, 0], (down @ level @ across.T)[:64, :64], atol=1e-3)
    assert np.allclose(squares[1, 0], (down @ level @ across.T)[64:, :64], atol=1e-3)
    blocks = [level[y : y + 8, x : x + 8].mean() for y in range(0, size[0], 8) for x in range(0, size[1], 8)]
    assert np.abs(grey.ravel() - np.array(blocks)).max() <= 0.5 + 1e-9
    steps = [np.abs(np.diff(squares[0, 0], axis=axis) * 100 / 255) for axis in (0, 1)]
    for far in (0.0, 0.7):
        least = sum(np.trunc(np.maximum(one - far, 0)).sum() for one in steps)
        assert pdq_kernels.gradient(squares[0, 0], far) == (least, sum(np.trunc(one + far).sum() for one in steps))


def weights(axis: pdq_kernels.Axis, length: int) -> np.ndarray:
    """What each pixel of an axis adds to each of its 128 places: float64[128, length]."""
    found = np.zeros((128, length))
    for pixel in range(length):
        for n in range(axis.starts[pixel], axis.starts[pixel + 1]):
            found[axis.places[n], pixel] += axis.weights[n]
    return found
