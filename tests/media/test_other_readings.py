"""Where decoders disagree about a WebP, a BMP or a JPEG, each reading is looked at, or the file is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from curate.errors import ItemError
from curate.media.parts import parts
from curate.media.profiles import profiles_of
from curate.records import Reason
from tests.support import containers as c
from tests.support.hiding import BOUNDS, COVER, SIZES, array, found_in, grey, mask, refused, saved, tiff

Size = tuple[int, int]


def says_rgb(picture: Image.Image, jfif: bool, adobe: int | None, names: bytes) -> bytes:
    """A JPEG whose samples are a picture's red, green and blue, and what says so, or does not."""
    data = saved(Image.merge("YCbCr", picture.split()), "JPEG", quality=95, subsampling=0)
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    found = bytearray(data)
    found[frame + 10 : frame + 19 : 3] = found[scan + 5 : scan + 11 : 2] = names
    said = b"" if adobe is None else c.segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([adobe]))
    return data[: 20 if jfif else 2] + said + bytes(found[20:])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("jfif", "adobe", "names", "part"),
    [
        (True, 0, b"\1\2\3", "rgb"),
        (True, None, b"RGB", "rgb"),
        (False, 1, b"RGB", "rgb"),
        (False, 0, b"\1\2\3", "main"),
        (False, None, b"RGB", "main"),
    ],
)
def test_components_that_are_said_to_be_rgb(size: Size, jfif: bool, adobe: int | None, names: bytes, part: str) -> None:
    """libjpeg asks JFIF first, then Adobe; ffmpeg Adobe and the names, and never JFIF; some nobody."""
    picture = Image.merge("RGB", [COVER.resize(size).convert("L"), grey(size), grey(size)])  # red is no luminance
    data = says_rgb(picture, jfif, adobe, names)
    assert part in found_in(data, picture)
    assert {one.part for one in parts(data, BOUNDS)} == {"main", "rgb" if part == "rgb" else "ycc"}


def test_a_jpeg_that_says_rgb_nowhere_has_one_reading() -> None:
    for jfif, adobe in ((True, None), (False, 1), (True, 1), (False, None)):
        assert len(parts(says_rgb(COVER.resize((96, 64)), jfif, adobe, b"\1\2\3"), BOUNDS)) == 1


def test_what_cannot_be_looked_at_is_not_kept_in_another_file_either() -> None:
    fifth = tiff((64, 48), 5, np.repeat(array(grey((64, 48)))[..., None], 5, 2).tobytes(), (338, 3, 2, 0))
    assert refused(fifth)[0] is Reason.DECODE_ERROR
    assert refused(c.png_with(b"prVt", fifth)) == (Reason.HIDDEN_DATA, "channels that cannot be looked at (RGBXX)")


# -- WebP: an alpha channel that is said not to be there -------------------------------------------------------------


def denied(data: bytes) -> bytes:
    """The file, no chunk of which says that it has an alpha channel."""
    found = bytearray(data)
    if data[12:16] == b"VP8X":
        found[20] &= ~0x10
    at = data.find(b"VP8L")
    while at >= 0:
        found[at + 12] &= ~0x10
        at = data.find(b"VP8L", at + 1)
    return bytes(found)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lossless", [True, False])
def test_an_alpha_channel_that_a_webp_denies(size: Size, lossless: bool) -> None:
    data = denied(saved(mask(grey(size)), "WEBP", lossless=lossless, quality=90, exact=True))
    assert any("veiled" in part for part in found_in(data, grey(size)))


@pytest.mark.parametrize("lossless", [True, False])
def test_an_animation_that_denies_its_frames_alpha_channel_is_refused(lossless: bool) -> None:
    frames = [mask(grey((64, 48))), COVER.resize((64, 48)).convert("RGBA")]
    data = bytearray(saved(frames[0], "WEBP", frames[1], lossless=lossless))
    assert parts(bytes(data), BOUNDS)
    data[20] &= ~0x10
    assert refused(bytes(data)) == (Reason.DECODE_ERROR, "an animation that denies the alpha channel of a frame")


@pytest.mark.parametrize("size", [(80, 60), (107, 81)])
@pytest.mark.parametrize("ground", ["white", "black"])
def test_what_no_frame_of_a_webp_covers_is_what_lies_behind(size: Size, ground: str) -> None:
    """Pillow shows it black where the file says that it has no alpha channel."""
    inner, canvas = grey(size).convert("RGB"), (2 * size[0], 2 * size[1])
    place = (size[0] // 4 * 2, size[1] // 6 * 2)
    whole = Image.new("RGB", canvas, ground)
    whole.paste(inner, place)
    coded = saved(inner, "WEBP", quality=95)[12:]
    numbers = [place[0] // 2, place[1] // 2, size[0] - 1, size[1] - 1, 20]
    frame = b"".join(one.to_bytes(3, "little") for one in numbers) + b"\2" + coded
    head = bytes((2, 0, 0, 0)) + b"".join((one - 1).to_bytes(3, "little") for one in canvas)
    body = b"WEBP" + c.riff(b"VP8X", head) + c.riff(b"ANIM", bytes(6)) + c.riff(b"ANMF", frame)
    assert found_in(b"RIFF" + struct.pack("<I", len(body)) + body, whole)


@pytest.mark.parametrize("size", SIZES)
def test_colours_that_browsers_add_where_the_alpha_channel_is_denied(size: Size) -> None:
    """In an animation they take them for multiplied with it."""
    picture, other = grey(size), np.asarray(COVER.convert("L").resize(size)).astype(int)
    dark = np.asarray(picture) * other // 255
    alpha = 255 - np.asarray(picture) + dark  # what shows is colour + 255 - alpha: the picture
    veiled = Image.fromarray(np.dstack([dark, dark, dark, alpha]).astype(np.uint8))
    data = denied(saved(veiled, "WEBP", lossless=True, exact=True))
    assert any(part.endswith(":added") for part in found_in(data, picture))


def test_a_webp_without_alpha_has_one_reading() -> None:
    for lossless in (True, False):
        assert len(parts(saved(COVER, "WEBP", lossless=lossless), BOUNDS)) == 1


# -- BMP -------------------------------------------------------------------------------------------------------------


def runs(drawn: np.ndarray, depth: int) -> bytes:
    """A BMP that draws where the mask says, in the palette's first colour, which is white, and skips the rest."""
    height, width = drawn.shape
    coded = b""
    for row in drawn[::-1]:
        x = 0
        while x < width:
            same = next((n for n in range(x, min(width, x + 250)) if row[n] != row[x]), min(width, x + 250))
            coded += bytes((same - x, 0)) if row[x] else bytes((0, 2, same - x, 0))
            x = same
        coded += b"\0\0"
    coded += b"\0\1"
    palette = b"\xff\xff\xff\0" * (1 << depth)
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, depth, 1 if depth == 8 else 2, len(coded), 0, 0, 0, 0)
    start = 54 + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(coded), 0, 0, start) + head + palette + coded


@pytest.mark.parametrize("size", [(320, 240), (413, 301)])
@pytest.mark.parametrize("depth", [8, 4])
def test_pixels_that_no_run_sets(size: Size, depth: int) -> None:
    """Browsers show them black, Pillow in the palette's first colour."""
    drawn = np.asarray(grey(size)) > 120
    picture = Image.fromarray(drawn * np.uint8(255))
    assert any(part.startswith("holes") for part in found_in(runs(drawn, depth), picture))


@pytest.mark.parametrize(
    "coded", [b"\x05\1\0\3\1\2\3\0\0\1", b"\0\2\3\3\x04\1\0\1", b"\xff\1\0\0\xff\1\0\1", b"\0\xff", b""]
)
def test_odd_runs_are_no_crash(coded: bytes) -> None:
    data = runs(np.ones((16, 20), bool), 8)
    start = int.from_bytes(data[10:14], "little")
    try:
        parts(data[:start] + coded + bytes(4), BOUNDS)
    except ItemError as error:
        assert error.reason in (Reason.DECODE_ERROR, Reason.TRUNCATED)  # noqa: PT017


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_pixels_that_begin_within_the_header_are_refused(mode: str) -> None:
    """Pillow looks for them behind the palette, everybody else where the header says."""
    data = saved(COVER.resize((64, 48)).convert(mode), "BMP")
    for offset in (0, 53) if mode == "RGB" else (0, 54):
        assert refused(data[:10] + struct.pack("<I", offset) + data[14:])[0] is Reason.DECODE_ERROR


def short(levels: np.ndarray, palette: bytes) -> bytes:
    """A BMP of 8 bits with a palette of so many colours."""
    height, width = levels.shape
    pixels = np.pad(levels, ((0, 0), (0, -width % 4)))[::-1].tobytes()
    start = 54 + len(palette)
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, len(pixels), 0, 0, len(palette) // 4, 0)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + head + palette + pixels


@pytest.mark.parametrize("size", SIZES)
def test_levels_beyond_a_short_palette_are_black(size: Size) -> None:
    """Pillow takes a palette of greys for none, and shows all levels."""
    picture = np.asarray(grey(size))
    few = np.where(picture > 120, 255, 90).astype(np.uint8)
    shown = Image.fromarray(np.where(few == 255, 0, few).astype(np.uint8) * 2)
    greys = b"".join(bytes((n, n, n, 0)) for n in range(200))
    data = short(few, greys)
    assert found_in(data, shown.convert("RGB")) == ["palette"]


@pytest.mark.parametrize("size", [(320, 240), (413, 301)])
def test_two_colours_of_eight_bits_are_no_bits(size: Size) -> None:
    drawn = (np.asarray(grey(size)) > 120).astype(np.uint8)
    assert found_in(short(drawn, b"\0\0\0\0\xff\xff\xff\0"), Image.fromarray(drawn * 255)) == ["palette"]


def with_restarts(picture: Image.Image, numbers: list[int]) -> bytes:
    """A JPEG with a restart after each row of blocks, numbered so."""
    data = saved(picture, "JPEG", quality=90, restart_marker_rows=1)
    found, n = bytearray(data), 0
    for at in range(data.index(b"\xff\xda"), len(data) - 1):
        if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7:
            found[at + 1] = 0xD0 + numbers[n % len(numbers)]
            n += 1
    assert n > 4
    return bytes(found)


@pytest.mark.parametrize("size", [(160, 120), (333, 251)])
@pytest.mark.parametrize("numbers", [[7, 6, 5, 4, 3, 2, 1, 0], [0], [3, 3, 1, 7]])
def test_restarts_out_of_order(size: Size, numbers: list[int]) -> None:
    """Libjpeg looks at their numbers and makes a mess of the picture; others do not look at them."""
    picture = grey(size).convert("RGB")
    assert found_in(with_restarts(picture, numbers), picture)
    assert len(parts(with_restarts(picture, list(range(8))), BOUNDS)) == 1


@pytest.mark.parametrize("rows", [24, 500])
def test_a_second_number_of_lines_is_refused(rows: int) -> None:
    data = saved(grey((160, 120)), "JPEG")
    number = b"\xff\xdc\0\4" + struct.pack(">H", rows)
    assert refused(data[:-2] + number + data[-2:]) == (Reason.HIDDEN_DATA, "a second number of lines (DNL)")
    assert parts(data[:-2] + b"\xff\xdc\0\4" + struct.pack(">H", 120) + data[-2:], BOUNDS)


# -- offsets that lie, profiles that do ------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 5, 2**31, 2**32 - 1])
@pytest.mark.parametrize("size", [None, 0, 2**32 - 1])
def test_an_mpos_index_may_say_what_it_likes(offset: int, size: int | None) -> None:
    cover, hidden = COVER.resize((320, 240)), grey((320, 240)).convert("RGB")
    data = bytearray(saved(cover, "MPO", hidden))
    at = data.index(b"MPF\0") + 4 + 8 + 2 + 3 * 12 + 4 + 16  # behind the first picture's entry
    begin, length = len(data) - data.rindex(b"\xff\xd8\xff"), struct.unpack_from("<I", data, at + 4)[0]
    assert length == begin
    struct.pack_into("<II", data, at + 4, length if size is None else size, offset)
    assert found_in(bytes(data), hidden) == ["preview:0"]


def test_profiles_that_lie_are_no_profiles_and_take_no_time() -> None:
    from tests.support.hiding import inverting

    body = inverting()
    claims = body[:128] + struct.pack(">I", 2**31) + body[132:]
    large = struct.pack(">I", 2**30) + body[4:]
    loop = body[:136] + struct.pack(">II", 0, len(body)) + body[144:]  # a tag that is the whole profile
    for profile in (claims, large, loop, body[:200], b"acsp" * 99):
        for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
            assert parts(saved(COVER.resize((96, 64)), kind, icc_profile=profile), BOUNDS)
    bomb = c.png_with(b"iCCP", b"a\0\0" + zlib.compress(bytes(257 * 2**20)))
    assert refused(bomb)[0] is Reason.HIDDEN_DATA


@pytest.mark.parametrize("numbers", [(1, 16, 0, 0), (9, 18, 1, 1), (12, 17, 0, 0)])
def test_a_cicp_that_browsers_do_not_take_leaves_the_word_to_the_next(numbers: tuple[int, int, int, int]) -> None:
    """One of a narrow range, or with a matrix; the test beside a browser is what says so of it."""
    plain = saved(COVER.resize((64, 48)), "PNG")
    gamma, ours = c.chunk(b"gAMA", struct.pack(">I", 20_000)), c.chunk(b"cICP", bytes(numbers))
    lone, both = (plain[:33] + one + plain[33:] for one in (gamma, ours + gamma))
    wanted = profiles_of(lone, Image.open(io.BytesIO(lone)))
    assert len(wanted) == 1
    assert profiles_of(both, Image.open(io.BytesIO(both))) == wanted
    whole = plain[:33] + c.chunk(b"cICP", bytes((1, 16, 0, 1))) + gamma + plain[33:]
    assert len(profiles_of(whole, Image.open(io.BytesIO(whole)))) == 2
