"""Where decoders disagree about a TIFF, each reading is looked at, or the file is refused."""

import io
import struct
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import tifffile
from PIL import Image

from curate.media.parts import parts
from curate.records import Reason
from tests.screening.test_disguised import subsampled
from tests.support import containers as c
from tests.support.hiding import BOUNDS, COVER, SIZES, found_in, grey, refused, tiff

Size = tuple[int, int]


def stacked(*tags: c.Tag, strips: tuple[int, ...] = (0,), rows: int = 48, description: bytes = b"") -> bytes:
    """A grey TIFF of 64 x 48 with the samples of two planes in it; `strips`: which of them are its strips."""
    planes = [np.asarray(one.convert("L").resize((64, 48))).tobytes() for one in (COVER, grey((64, 48)))]
    at = 8 + 2 * 64 * 48
    fields = {256: 64, 257: 48, 258: 8, 259: 1, 262: 1, 277: 1, 278: rows}
    known = {tag: c.long(tag, number) for tag, number in fields.items()}
    begins, sizes = ([8 + 64 * 48 * one for one in strips], [64 * 48] * len(strips))
    for tag, numbers in ((273, begins), (279, sizes)):
        known[tag] = (tag, 4, len(numbers), struct.pack(f"<{len(numbers)}I", *numbers))
    if description:
        known[270] = (270, 2, len(description), description)
    known |= {tag[0]: tag for tag in tags}
    return c.HEAD[:4] + struct.pack("<I", at) + b"".join(planes) + c.directory(at, sorted(known.values()))


IMAGEJ = b"ImageJ=1.53t\nimages=2\nslices=2\n\0"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (lambda: stacked(strips=(1, 0)), "a page of 1 strips or tiles that has 2"),  # libtiff shows the first
        (lambda: stacked(rows=20), "a page of 3 strips or tiles that has 1"),  # tifffile shows all rows
        (lambda: stacked(description=IMAGEJ), "more planes than pages"),
        (lambda: stacked(description=b'{"shape": [2, 48, 64]}\0'), "more planes than pages"),
        (lambda: stacked(c.long(32997, 2)), "more planes than pages"),
        (lambda: stacked((33629, 4, 2, bytes(8))), "more planes than pages"),
    ],
)
def test_samples_that_others_show_are_not_kept(data: Callable[[], bytes], why: str) -> None:
    assert refused(data()) == (Reason.HIDDEN_DATA, why)


def test_a_stack_with_a_directory_for_each_plane_is_looked_at() -> None:
    out = io.BytesIO()
    planes = np.stack([np.asarray(COVER.convert("L").resize((64, 48))), np.asarray(grey((64, 48)))])
    tifffile.imwrite(out, planes, imagej=True)
    assert found_in(out.getvalue(), grey((64, 48))) == ["page:1"]
    assert len(parts(stacked(description=b"images=2\0"), BOUNDS)) == 1


def test_samples_that_nothing_gives_a_meaning_are_refused() -> None:
    data = stacked().replace(struct.pack("<HHI", 262, 4, 1), struct.pack("<HHI", 261, 4, 1))
    assert refused(data) == (Reason.DECODE_ERROR, "samples that nothing gives a meaning")


def test_lab_of_which_colours_have_a_sign_is_taken_for_rgb() -> None:
    """As who does not know Lab takes it: the bytes as they lie."""
    picture = Image.merge("RGB", [COVER.resize((64, 48)).convert("L"), grey((64, 48)), grey((64, 48))])
    data = tiff((64, 48), 3, picture.tobytes()).replace(
        struct.pack("<HHII", 262, 3, 1, 2), struct.pack("<HHII", 262, 3, 1, 8)
    )
    assert found_in(data, picture) == ["main:channels:signed"]


def palette_tiff(picture: Image.Image, step: int, order: Literal["<", ">"]) -> bytes:
    out = io.BytesIO()
    greys = np.tile(np.arange(256, dtype=np.uint16) * step, (3, 1))
    tifffile.imwrite(out, np.asarray(picture), photometric="palette", colormap=greys, byteorder=order)
    return out.getvalue()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_palette_of_bytes(size: Size, order: Literal["<", ">"]) -> None:
    """Libtiff takes numbers below 256 for bytes; Pillow shows them black."""
    assert found_in(palette_tiff(grey(size), 1, order), grey(size)) == ["wide"]
    assert found_in(palette_tiff(grey(size), 257, order), grey(size)) == ["main"]


@pytest.mark.parametrize("size", SIZES)
def test_samples_of_eight_bits_with_a_sign(size: Size) -> None:
    out = io.BytesIO()
    tifffile.imwrite(out, (np.asarray(grey(size)).astype(int) - 128).astype(np.int8), photometric="minisblack")
    assert found_in(out.getvalue(), grey(size)) == ["main:signed"]


def two_answers(first: Image.Image, second: Image.Image, tag: int) -> bytes:
    """A TIFF one page of which says twice where its strip begins, or has strips and tiles."""
    pixels = first.tobytes() + second.tobytes()
    at, begin = 8 + len(pixels), 8 + len(first.tobytes())
    width, height = first.size
    tags = c.layout(first, 8)
    tags += [c.long(273, begin)] if tag == 273 else [
        c.long(322, width), c.long(323, height), c.long(324, begin), c.long(325, len(second.tobytes()))
    ]  # fmt: skip
    return c.HEAD[:4] + struct.pack("<I", at) + pixels + c.directory(at, tags)


@pytest.mark.parametrize("tag", [273, 324])
@pytest.mark.parametrize("hidden", [0, 1])
def test_a_page_with_two_answers_is_refused(tag: int, hidden: int) -> None:
    pair = [COVER.resize((160, 120)), grey((160, 120)).convert("RGB")]
    reason, detail = refused(two_answers(pair[hidden], pair[1 - hidden], tag))
    assert reason is Reason.HIDDEN_DATA
    assert "page" in detail


def test_a_tag_twice_that_says_the_same_or_nothing_of_the_picture_is_let_pass() -> None:
    picture = COVER.resize((64, 48))
    for more in ([c.long(273, 8)], [(305, 2, 4, b"one\0"), (305, 2, 4, b"two\0")]):
        at = 8 + len(picture.tobytes())
        data = c.HEAD[:4] + struct.pack("<I", at) + picture.tobytes() + c.directory(at, [*c.layout(picture, 8), *more])
        assert parts(data, BOUNDS)


@pytest.mark.parametrize(("wide", "high"), [(2, 1), (2, 2), (1, 2), (4, 1)])
@pytest.mark.parametrize("coding", [1, 32773])
def test_subsampled_colour_that_is_not_read_as_it_lies_is_refused(wide: int, high: int, coding: int) -> None:
    picture = grey((160, 120)).convert("RGB")
    pixels = subsampled(picture, wide, high) + bytes(3 * 160 * 120)
    at = 8 + len(pixels)
    tags = [one for one in c.layout(picture, 8) if one[0] not in (259, 262)]
    tags += [c.long(259, coding), c.long(262, 6), (530, 3, 2, struct.pack("<2H", wide, high))]
    data = c.HEAD[:4] + struct.pack("<I", at) + pixels + c.directory(at, tags)
    assert refused(data)[0] in (Reason.DECODE_ERROR, Reason.TRUNCATED)


def test_grey_that_was_multiplied_with_its_alpha_is_taken() -> None:
    size = (96, 64)
    flat = np.dstack([np.asarray(grey(size)), np.full(size[::-1], 255, np.uint8)])
    out = io.BytesIO()
    tifffile.imwrite(out, flat, photometric="minisblack", extrasamples=["assocalpha"], planarconfig="contig")
    assert "main" in found_in(out.getvalue(), grey(size))
