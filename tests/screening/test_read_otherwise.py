"""Files that Pillow reads in one way and browsers, libpng or an XML parser in another: each way is looked at."""

import base64
import io
import itertools
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from curate.errors import ItemError
from curate.media.parts import parts
from tests.support.containers import JPEG, PNG, chunk, exif_thumbnail, jpeg_with, png_with
from tests.support.hiding import BOUNDS, COVER, SIZES, found_in, grey, saved
from tests.support.pictures import photograph

Grey = npt.NDArray[np.uint8]


def cover(size: tuple[int, int]) -> Grey:
    return np.asarray(COVER.convert("L").resize(size))


def halves(size: tuple[int, int]) -> tuple[Grey, Grey]:
    whole = np.asarray(grey(size))
    return whole[:, : size[0] // 2], whole[:, size[0] // 2 :]


# -- what becomes of a frame -----------------------------------------------------------------------------------------


def control(disposal: int | None) -> bytes:
    return b"" if disposal is None else b"\x21\xf9\x04" + bytes([disposal << 2, 10, 0, 0, 0])


def frame(left: int, picture: Grey, *disposals: int | None) -> bytes:
    """A frame of a GIF whose palette is the file's 256 greys."""
    alone = Image.fromarray(np.ascontiguousarray(picture)).convert("P", palette=Image.Palette.ADAPTIVE)
    alone.putpalette(bytes(v for n in range(256) for v in (n, n, n)))
    alone.putdata(picture.ravel().tolist())
    made = saved(alone, "GIF", interlace=0, optimize=False)
    size = 3 << (made[10] & 7) + 1 if made[10] & 0x80 else 0
    start = made.index(b"\x2c" + bytes(4) + struct.pack("<HH", *alone.size), 13 + size)
    inner = made[start + 10 : -1]
    palette = made[13 : 13 + size]
    if made[start + 9] & 0x80:
        length = 3 << (made[start + 9] & 7) + 1
        palette, inner = inner[:length], inner[length:]
    flags = 0x80 | (len(palette) // 3).bit_length() - 2
    place = struct.pack("<HHHHB", left, 0, *alone.size, flags)
    return b"".join(map(control, disposals)) + b"," + place + palette + inner


def gif(size: tuple[int, int], *frames: bytes) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", *size, 0, 0, 0) + b"".join(frames) + b";"


@pytest.mark.parametrize("size", [(160, 120), (214, 161)])
@pytest.mark.parametrize(
    ("before", "first", "second"),
    [
        *itertools.product([(2,), (3,)], [(0,), (None,)], [(0,), (None,), (1,)]),
        *itertools.product([(1,)], [(4,), (5,), (6,), (7,), (3, 0), (2, 1), (0, 5)], [(0,), (1,)]),
    ],
)
def test_frames_that_browsers_keep_are_kept(
    size: tuple[int, int], before: tuple[int], first: tuple[int | None, ...], second: tuple[int | None]
) -> None:
    """The picture is there only once both of its halves are, drawn one after the other."""
    left, right = halves(size)
    spot = cover(size)[:8, :8]
    frames = [frame(0, cover(size), 1), frame(0, spot, *before), frame(0, left, *first)]
    data = gif(size, *frames, frame(size[0] // 2, right, *second))
    assert any(part.startswith(("laid", "kept", "frame:3")) for part in found_in(data, grey(size)))


@pytest.mark.parametrize("first", [(2,), (3,)])
def test_frames_that_browsers_take_away_show_nothing(first: tuple[int]) -> None:
    left, right = halves((160, 120))
    data = gif((160, 120), frame(0, cover((160, 120)), 1), frame(0, left, *first), frame(80, right, 1))
    assert not found_in(data, grey((160, 120)))


# -- transparency and palettes of PNG --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("depth", [8, 4])
def test_a_transparent_level_of_an_animated_grey_png(size: tuple[int, int], depth: int) -> None:
    """Each half is drawn by a whole frame that is transparent elsewhere."""
    key, (left, right) = 7, halves(size)

    def packed(picture: Grey) -> bytes:
        levels = picture >> (8 - depth)
        levels[(levels == key) & (picture != 255)] += 1
        levels[picture == 255] = key
        if depth == 4:
            levels = np.pad(levels, ((0, 0), (0, levels.shape[1] % 2)))
            levels = levels[:, ::2] << 4 | levels[:, 1::2]
        return zlib.compress(b"".join(b"\0" + row.tobytes() for row in levels))

    def fctl(number: int, blend: int) -> bytes:
        return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, *size, 0, 0, 1, 10, 0, blend))

    blank = np.full((size[1], size[0]), 255, dtype=np.uint8)
    one, other = blank.copy(), blank.copy()
    one[:, : left.shape[1]], other[:, left.shape[1] :] = np.minimum(left, 254), np.minimum(right, 254)
    data = PNG[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, 0, 0, 0, 0))
    data += chunk(b"tRNS", struct.pack(">H", key)) + chunk(b"acTL", struct.pack(">II", 3, 0))
    data += fctl(0, 0) + chunk(b"IDAT", packed(np.minimum(cover(size), 254)))
    for number, picture in ((1, one), (3, other)):
        data += fctl(number, 1) + chunk(b"fdAT", struct.pack(">I", number + 1) + packed(picture))
    assert found_in(data + chunk(b"IEND", b""), grey(size))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("first", [True, False])
def test_of_two_transparencies_each_is_looked_at(size: tuple[int, int], first: bool) -> None:
    """Two levels of a palette whose colours are one: what is transparent is all that shows."""
    indices = (np.asarray(grey(size)) > 127).astype(np.uint8)
    image = Image.fromarray(indices).convert("P")
    image.putpalette([0, 0, 0, 0, 0, 0])
    data = saved(image, "PNG", bits=8)
    shows, hides = chunk(b"tRNS", b"\xff\0"), chunk(b"tRNS", b"\xff\xff")
    at = data.index(b"IDAT") - 4
    both = (shows, hides) if first else (hides, shows)
    wanted = Image.fromarray((indices * 255).astype(np.uint8))
    assert found_in(data[:at] + b"".join(both) + data[at:], wanted)


# -- pictures in metadata --------------------------------------------------------------------------------------------


def between_segments(data: bytes, stray: bytes) -> bytes:
    """A JPEG with these bytes behind its first segment."""
    at = 4 + int.from_bytes(data[4:6], "big")
    return data[:at] + stray + data[at:]


PUT: dict[str, Callable[[bytes], bytes]] = {
    "APP4": lambda hidden: jpeg_with(0xE4, hidden),
    "exif": lambda hidden: jpeg_with(0xE1, b"Exif\0\0" + exif_thumbnail(hidden)),
    "PNG": lambda hidden: png_with(b"prVt", hidden),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", PUT)
@pytest.mark.parametrize("stray", [b"\0", b"\0\0\0", b"abc" * 9, b"\xff\xd0", b"\xff\xd7\0", b"\xff\xff\xff"])
def test_a_jpeg_with_stray_bytes_between_its_segments(size: tuple[int, int], place: str, stray: bytes) -> None:
    hidden = between_segments(saved(grey(size), "JPEG", quality=85), stray)
    assert found_in(PUT[place](hidden), grey(size))


@pytest.mark.parametrize("stray", [b"\0\0", b"\x21\x55\x03abc\0"])
def test_a_gif_with_what_decoders_pass_over(stray: bytes) -> None:
    hidden = saved(grey((160, 120)), "GIF")
    at = 13 + (3 << (hidden[10] & 7) + 1)
    assert found_in(png_with(b"prVt", hidden[:at] + stray + hidden[at:]), grey((160, 120)))


BREAKS = [b" ", b"\r  ", b"&#xA; ", b"\n\t", b"&#13;&#10;   "]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("between", BREAKS, ids=repr)
def test_base64_cut_as_xml_has_it(size: tuple[int, int], between: bytes) -> None:
    text = base64.b64encode(saved(grey(size), "JPEG", quality=80))
    lines = between.join(text[n : n + 76] for n in range(0, len(text), 76))
    body = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><a b='" + lines + b"'/></x:xmpmeta>"
    assert found_in(jpeg_with(0xE1, body), grey(size))


@pytest.mark.parametrize("between", [" ", ", ", ",0x", ":", "-", " 0x"])
def test_hex_with_something_between(between: str) -> None:
    hidden = saved(grey((160, 120)), "JPEG", quality=60)
    text = between.join(f"{one:02x}" for one in hidden).encode()
    assert found_in(jpeg_with(0xFE, b"data: " + text, b"more"), grey((160, 120)))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_extended_xmp_in_any_order(order: tuple[int, ...]) -> None:
    text = b"<x>" + base64.b64encode(saved(grey((213, 161)), "JPEG", quality=85)) + b"</x>"
    cut = len(text) // 3 + 1
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">I", len(text))
    pieces = [head + struct.pack(">I", n * cut) + text[n * cut : (n + 1) * cut] for n in range(3)]
    assert found_in(jpeg_with(0xE1, *(pieces[n] for n in order)), grey((213, 161)))


@pytest.mark.parametrize("resource", [0x0409, 0x040C])
@pytest.mark.parametrize("name", [b"", b"a", b"ab"])
def test_photoshops_uncompressed_thumbnail(resource: int, name: bytes) -> None:
    colour = photograph("astronaut.png").convert("RGB").resize((129, 97))
    pixels = np.asarray(colour)[:, :, ::-1] if resource == 0x0409 else np.asarray(colour)
    rows = b"".join(row.tobytes() + b"\0" for row in pixels)
    body = struct.pack(">6I2H", 0, 129, 97, 388, len(rows), len(rows), 24, 1) + rows
    named = bytes([len(name)]) + name + bytes((1 + len(name)) % 2)
    block = b"8BIM" + struct.pack(">H", resource) + named + struct.pack(">I", len(body)) + body
    assert found_in(jpeg_with(0xED, b"Photoshop 3.0\0" + block), colour)


# -- separate planes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize(("extra", "bits"), [((0,), 8), ((0, 2), 8), ((2, 0), 8), ((), 16)])
def test_planes_that_nobody_looks_at_are_refused(compression: int, extra: tuple[int, ...], bits: int) -> None:
    planes = np.zeros((3 + len(extra), 96, 128), dtype=np.uint8 if bits == 8 else np.uint16)
    planes[:3] = np.asarray(COVER.convert("RGB").resize((128, 96))).transpose(2, 0, 1)
    out = io.BytesIO()
    how: dict[str, Any] = {"photometric": "rgb", "planarconfig": "separate", "compression": compression}
    tifffile.imwrite(out, planes, extrasamples=list(extra) or None, **how)
    with pytest.raises(ItemError):
        parts(out.getvalue(), BOUNDS)


def test_ordinary_files_are_as_they_were() -> None:
    """Nothing of this looks at what has none of it."""
    assert {one.part for one in parts(JPEG, BOUNDS)} == {"main"}
    assert all(one.part.startswith("main") for one in parts(PNG, BOUNDS))
