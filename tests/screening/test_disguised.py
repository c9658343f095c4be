"""Pictures that no signature shows: compressed at any offset, damaged at their start, under another brand, headless."""

import bz2
import gzip
import io
import lzma
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from curate.errors import ItemError
from curate.media.decode import open_image
from curate.media.disguised import disguised
from curate.media.hidden import DEPTH, OPAQUE, Hidden, inspect
from curate.media.profiles import written
from curate.media.ranges import Budget
from curate.records import Reason
from tests.media.test_hidden import BOUNDS, HIDDEN, hidden, opens, refused, shows
from tests.support import containers as c
from tests.support.hiding import WHITE, curve
from tests.support.pictures import encode, texture

NOISE = random.Random(9)


def deflated(body: bytes, strategy: int = zlib.Z_DEFAULT_STRATEGY, level: int = 9) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    return packer.compress(body) + packer.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "zlib, fast": lambda h: zlib.compress(h, 1),
    "zlib, small window": lambda h: (lambda one: one.compress(h) + one.flush())(zlib.compressobj(9, zlib.DEFLATED, 9)),
    "zlib, stored": lambda h: zlib.compress(h, 0),
    "gzip": gzip.compress,
    "deflate": deflated,
    "deflate, fixed codes": lambda h: deflated(h, zlib.Z_FIXED),
    "deflate, stored": lambda h: deflated(h, level=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zlib in zlib": lambda h: zlib.compress(b"inner" + zlib.compress(h)),
    "zlib in gzip in bzip2": lambda h: bz2.compress(b"x" * 9 + gzip.compress(b"inner" + zlib.compress(h))),
}  # fmt: skip
WRITERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "JPEG APP10": ("JPEG", lambda h: c.jpeg_with(0xEA, h)),
    "JPEG comment": ("JPEG", lambda h: c.jpeg_with(0xFE, h)),
    "JPEG MakerNote": ("JPEG", lambda h: c.jpeg_with(0xE1, b"Exif\0\0" + c.exif(h))),
    "JPEG JUMBF, cut in two": ("JPEG", c.jumbf),
    "JPEG tail": ("JPEG", lambda h: c.JPEG + h),
    "PNG private chunk": ("PNG", lambda h: c.png_with(b"prVt", h, b"IEND")),
    "PNG text": ("PNG", lambda h: c.png_with(b"tEXt", b"a\0" + h)),
    "PNG behind the pixels": ("PNG", lambda h: c.png_of(zlib.compress(c.rows(c.COVER)) + h)),
    "GIF application": ("GIF", lambda h: c.gif_with(b"!\xff\x0bVENDOR  1.0" + c.blocks(h))),
    "WebP unknown chunk": ("WEBP", lambda h: c.webp(c.riff(b"VNDR", h))),
    "BMP gap": ("BMP", c.bmp_gap),
    "TIFF private tag": ("TIFF", lambda h: c.tiff(c.data_tag(65000, h))),
    "AVIF free box": ("AVIF", lambda h: c.AVIF + c.box(b"free", h)),
}
FORMS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF")


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("place", WRITERS)
def test_a_compressed_picture_is_found_behind_any_bytes(packer: str, place: str) -> None:
    kind, write = WRITERS[place]
    number = list(PACKERS).index(packer) + list(WRITERS).index(place)
    form, before = FORMS[number % len(FORMS)], (0, 1, 7, 64, 1001)[number // 2 % 5]
    data = write(noise(before) + PACKERS[packer](hidden(form)) + noise(number % 3))
    opens(data, kind)
    try:
        found = inspect(data, kind, BOUNDS)
    except ItemError:  # a tail that is large, or begins as an archive does
        assert place == "JPEG tail"
    else:
        assert shows(found, HIDDEN), (form, before)


@pytest.mark.parametrize("size", [(17, 16), (120, 90), (301, 220)])
def test_of_any_size_and_cut_short(size: tuple[int, int]) -> None:
    picture = HIDDEN.resize(size)
    packed = zlib.compress(encode(picture, "JPEG", quality=90, subsampling=0))
    assert shows(inspect(c.jpeg_with(0xEA, b"v" + packed), "JPEG", BOUNDS), picture)
    assert shows(inspect(c.jpeg_with(0xEA, b"v" + packed[:-6]), "JPEG", BOUNDS), picture)


@pytest.mark.parametrize("space", [b"GRAY", b"RGB "])
@pytest.mark.parametrize("pack", [bytes, zlib.compress])
def test_a_tag_of_a_whole_profile_may_hold_one(space: bytes, pack: Callable[[bytes], bytes]) -> None:
    body = written(space, [WHITE, (b"kTRC", curve(65535, 0)), (b"prvt", b"data" + bytes(4) + pack(hidden("WEBP")))])
    for data, kind in (
        (c.jpeg_with(0xE2, b"ICC_PROFILE\0\1\1" + body), "JPEG"),
        (c.png_with(b"iCCP", b"a\0\0" + zlib.compress(body)), "PNG"),
    ):
        for _ in range(2):  # what is known of a profile is remembered
            assert shows(inspect(data, kind, BOUNDS), HIDDEN)


def test_too_many_wrappings_are_refused() -> None:
    def wrapped(times: int) -> bytes:
        data = hidden("JPEG")
        for n in range(times):
            data = bytes([65 + n]) * 3 + zlib.compress(data)
        return c.jpeg_with(0xEA, data)

    assert shows(inspect(wrapped(DEPTH), "JPEG", BOUNDS), HIDDEN)
    assert refused(wrapped(DEPTH + 1), "JPEG")[0] is Reason.HIDDEN_DATA


@pytest.mark.parametrize("size", [200, 5_000, 60_000])
def test_noise_is_no_stream(size: int) -> None:
    for seed in range(3):
        body = random.Random(seed * 7 + size).randbytes(size)
        assert inspect(c.jpeg_with(0xEA, body), "JPEG", BOUNDS) == Hidden((), size)


def test_a_bomb_is_refused() -> None:
    for pack in (zlib.compress, gzip.compress, bz2.compress):
        assert refused(c.png_with(b"prVt", b"v" + pack(bytes(300 * 2**20))), "PNG")[0] is Reason.HIDDEN_DATA


def test_what_remains_packed_counts() -> None:
    body = b"vendor" + zlib.compress(noise(200_000))
    data = c.png_with(b"prVt", body + noise(OPAQUE))
    assert refused(data, "PNG")[0] is Reason.HIDDEN_DATA
    assert inspect(c.png_with(b"prVt", body), "PNG", BOUNDS).opaque == len(body)


# -- JPEG ------------------------------------------------------------------------------------------------------------

BEGINNINGS: dict[str, Callable[[bytes], bytes]] = {
    "first byte of Minolta's": lambda h: b"\x02" + h[1:],
    "first byte zero": lambda h: b"\0" + h[1:],
    "no first byte": lambda h: h[1:],
    "TEM": lambda h: h[:2] + b"\xff\x01" + h[2:],
    "fill": lambda h: h[:2] + b"\xff" * 7 + h[2:],
    "a restart": lambda h: h[:2] + b"\xff\xd3" + h[2:],
    "stray bytes": lambda h: h[:2] + b"\0\x12\xfe" + h[2:],
    "TEM behind the first segment": lambda h: h[:20] + b"\xff\x01" + h[20:],
    "no JFIF": lambda h: b"\x02" + h[1:2] + h[20:],
}


@pytest.mark.parametrize("how", BEGINNINGS)
@pytest.mark.parametrize("place", ["JPEG APP10", "JPEG MakerNote", "PNG private chunk", "TIFF private tag", "BMP gap"])
def test_a_jpeg_whose_start_was_changed_is_found(how: str, place: str) -> None:
    kind, write = WRITERS[place]
    for size in ((31, 24), (90, 61)):
        data = BEGINNINGS[how](encode(HIDDEN.resize(size), "JPEG", quality=90, subsampling=0))
        assert shows(inspect(write(b"maker" + data), kind, BOUNDS), HIDDEN.resize(size))


def lossless(picture: Image.Image) -> bytes:
    """A lossless JPEG of grey: each pixel's difference from its left neighbour (ITU-T T.81, annex H)."""
    levels = np.asarray(picture).astype(int)
    before = np.hstack([np.vstack([[[128]], levels[:-1, :1]]), levels[:, :-1]])
    text = ""
    for step in (levels - before).ravel().tolist():
        size = abs(step).bit_length()
        text += format(size, "04b")
        text += format(step if step > 0 else step + (1 << size) - 1, f"0{size}b") if size else ""
    text += "1" * (-len(text) % 8)
    scan = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    frame = struct.pack(">BHHB", 8, picture.height, picture.width, 1) + bytes((1, 0x11, 0))
    table = bytes((0, 0, 0, 0, 12, *[0] * 12)) + bytes(range(12))
    segments = c.segment(0xC3, frame) + c.segment(0xC4, table) + c.segment(0xDA, bytes((1, 1, 0, 1, 0, 0)))
    return b"\xff\xd8" + segments + scan + b"\xff\xd9"


@pytest.mark.parametrize("size", [(31, 24), (90, 61)])
def test_a_lossless_jpeg_is_found(size: tuple[int, int]) -> None:
    """No decoder gives a smaller size of it."""
    picture = HIDDEN.resize(size).convert("L")
    data = lossless(picture)
    opened = open_image(data, BOUNDS)
    assert np.array_equal(np.asarray(opened), np.asarray(picture))
    for place in ("JPEG APP10", "PNG private chunk", "TIFF private tag"):
        kind, write = WRITERS[place]
        assert shows(inspect(write(b"v" + data), kind, BOUNDS), picture)


def test_noise_that_begins_as_a_changed_jpeg_costs_nothing() -> None:
    body = b"\x12\xd8\xff\xe0" * 9_000 + noise(1000)
    assert inspect(c.jpeg_with(0xEA, body), "JPEG", BOUNDS) == Hidden((), len(body))


# -- under another name ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"miaf", b"MA1B", b"xxxx"])
@pytest.mark.parametrize("compatible", [True, False])
def test_av1_under_any_brand_is_found_or_refused(brand: bytes, compatible: bool) -> None:
    still = hidden("AVIF")
    moving = encode(texture(5, (53, 41)), "AVIF", save_all=True, append_images=[HIDDEN], quality=90)
    for made in (still, moving):
        data = made[:8] + brand + made[12:]
        data = data if compatible else data.replace(b"avif", b"xxxx").replace(b"avis", b"xxxx")
        found = inspect(c.jpeg_with(0xEA, b"vendor" + data), "JPEG", BOUNDS)
        assert found.pictures
        assert made is moving or shows(found, HIDDEN)
        if brand != b"mif1" or not compatible:
            with pytest.raises(ItemError):  # behind the end it is a file of another kind
                inspect(c.JPEG + data, "JPEG", BOUNDS)


def test_a_png_with_wrong_checksums_is_found() -> None:
    png = hidden("PNG")
    for at in (29, len(png) - 16):  # of IHDR, of IDAT
        data = png[:at] + bytes(b ^ 1 for b in png[at : at + 4]) + png[at + 4 :]
        for place in ("JPEG APP10", "PNG private chunk"):
            kind, write = WRITERS[place]
            assert shows(inspect(write(b"v" + data), kind, BOUNDS), HIDDEN)


def icon(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "ICO", bitmap_format="bmp", sizes=[picture.size])
    return out.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "RGBA"])
@pytest.mark.parametrize("size", [(32, 32), (47, 61)])
def test_a_bitmap_without_a_file_header_is_found(mode: str, size: tuple[int, int]) -> None:
    picture = HIDDEN.resize(size).convert(mode)
    for body in (encode(picture, "BMP")[14:], icon(picture)):
        for place in ("JPEG APP10", "GIF application", "TIFF private tag"):
            kind, write = WRITERS[place]
            assert shows(inspect(write(b"odd" + body), kind, BOUNDS), picture.convert("RGB")), place


def test_a_bitmap_of_runs_without_a_file_header_is_found() -> None:
    grey = HIDDEN.convert("L")
    runs = b"".join(b"".join(bytes((1, v)) for v in row) + b"\0\0" for row in np.asarray(grey)[::-1].tolist()) + b"\0\1"
    palette = b"".join(bytes((n, n, n, 0)) for n in range(256))
    head = struct.pack("<IiiHHIIiiII", 40, *grey.size, 1, 8, 1, len(runs), 0, 0, 256, 0)
    assert shows(inspect(c.jpeg_with(0xEA, head + palette + runs), "JPEG", BOUNDS), grey)


# -- EXIF's and Photoshop's uncompressed thumbnails ------------------------------------------------------------------


def subsampled(picture: Image.Image, wide: int, high: int) -> bytes:
    luminance, *chroma = (np.asarray(one) for one in picture.convert("YCbCr").split())
    more = ((0, -luminance.shape[0] % high), (0, -luminance.shape[1] % wide))
    luminance, *chroma = (np.pad(one, more, "edge") for one in (luminance, *chroma))
    rows = range(0, luminance.shape[0], high)
    blocks = (
        luminance[y : y + high, x : x + wide].tobytes() + bytes(one[y, x] for one in chroma)
        for y in rows for x in range(0, luminance.shape[1], wide)
    )  # fmt: skip
    return b"".join(blocks)


def ycc_thumbnail(picture: Image.Image, wide: int, high: int, said: bool = True) -> bytes:
    pixels = subsampled(picture, wide, high)
    tags = [one for one in c.layout(picture, 400, len(pixels)) if one[0] not in (262,)]
    tags += [c.long(262, 6), *([(530, 3, 2, struct.pack("<2H", wide, high))] if said else [])]
    first = c.directory(8, [(271, 2, 6, b"maker\0")], after=100)
    return ((c.HEAD + first).ljust(100, b"\0") + c.directory(100, tags)).ljust(400, b"\0") + pixels


@pytest.mark.parametrize(("wide", "high"), [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1), (4, 4)])
@pytest.mark.parametrize("size", [(53, 41), (120, 90)])
def test_a_thumbnail_in_subsampled_colour_is_found(wide: int, high: int, size: tuple[int, int]) -> None:
    picture = HIDDEN.resize(size).convert("L").convert("RGB")  # texture's colours do not outlive 4 by 4
    for said in (True, False) if (wide, high) == (2, 2) else (True,):
        thumbnail = ycc_thumbnail(picture, wide, high, said)
        for data, kind in (
            (c.jpeg_with(0xE1, b"Exif\0\0" + thumbnail), "JPEG"),
            (c.png_with(b"eXIf", thumbnail, b"IEND"), "PNG"),
            (c.webp(c.riff(b"EXIF", thumbnail), flags=8), "WEBP"),
        ):
            assert shows(inspect(data, kind, BOUNDS), picture)


def resource(picture: Image.Image, number: int) -> bytes:
    row = (3 * picture.width + 3) // 4 * 4
    bands = picture.split() if number == 1036 else picture.split()[::-1]
    turned = Image.merge("RGB", bands)
    lines = (turned.crop((0, y, turned.width, y + 1)).tobytes().ljust(row, b"\0") for y in range(turned.height))
    pixels = b"".join(lines)
    head = struct.pack(">6I2H", 0, *picture.size, row, len(pixels), len(pixels), 24, 1)
    body = head + pixels
    return b"8BIM" + struct.pack(">H", number) + b"\0\0" + struct.pack(">I", len(body)) + body


@pytest.mark.parametrize("number", [1033, 1036])
@pytest.mark.parametrize("size", [(40, 30), (61, 47)])
def test_photoshops_uncompressed_thumbnail_is_found_in_every_format(number: int, size: tuple[int, int]) -> None:
    picture = HIDDEN.resize(size)
    body = b"8BIM\x04\x04\0\0\0\0\0\0" + resource(picture, number)
    text = b"\n8bim\n  99\n" + body.hex("\n", 36).encode()
    for data, kind in (
        (c.jpeg_with(0xED, b"Photoshop 3.0\0" + body), "JPEG"),
        (c.tiff((34377, 1, len(body), body)), "TIFF"),
        (c.png_with(b"zTXt", b"Raw profile type 8bim\0\0" + zlib.compress(text)), "PNG"),
        (c.webp(c.riff(b"PSIR", body)), "WEBP"),
        (c.AVIF + c.box(b"uuid", bytes(16) + body), "AVIF"),
    ):
        assert shows(inspect(data, kind, BOUNDS), picture), kind


def test_every_reading_is_paid_for() -> None:
    budget = Budget(10**8, 100, unpacked=50_000)
    with pytest.raises(ItemError):
        list(disguised(zlib.compress(bytes(60_000)), budget))


@pytest.mark.parametrize(("size", "kept"), [(3 * 2**20, True), (5 * 2**20, False)])
def test_a_profile_larger_than_any_is_opaque(size: int, kept: bool) -> None:
    body = written(b"GRAY", [WHITE, (b"kTRC", curve(65535, 0)), (b"prvt", b"data" + bytes(4) + noise(size))])
    data = c.png_with(b"iCCP", b"a\0\0" + zlib.compress(body, 0))
    if kept:
        assert inspect(data, "PNG", BOUNDS) == Hidden()
    else:
        assert refused(data, "PNG")[0] is Reason.HIDDEN_DATA
