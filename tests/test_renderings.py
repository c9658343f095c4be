"""Each way in which a viewer may show a file: a picture that is visible in that way only is found in it, and is not
found in what we show ourselves."""

import io
import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pdqhash
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFilter, ImageOps, TiffImagePlugin

from curate.errors import ItemError
from curate.media import colour, pdq, profiles, renderings
from curate.media.decode import Bounds, open_image
from curate.media.parts import parts
from curate.records import Reason
from tests.hiding import (
    SRGB_CURVE,
    chunk,
    grey_cube,
    inverting,
    jpeg,
    png,
    saved,
    segment,
    shaper,
    table,
    tiff,
    with_aperture,
    with_chunk,
    with_still,
)  # fmt: skip
from tests.pictures import photograph, texture

HIDDEN, COVER = photograph("astronaut.png"), photograph("coffee.png")
BOUNDS = Bounds(min_side=1)
SIZES = ((160, 120), (301, 229))
Make = Callable[[Image.Image], bytes]  # a file in which the grey picture is visible in one way only


def grey(size: tuple[int, int]) -> Image.Image:
    picture = ImageOps.autocontrast(HIDDEN.resize(size, Image.Resampling.LANCZOS).convert("L"))
    picture.info = {}  # the photograph's own profile
    return picture


def found_in(data: bytes, picture: Image.Image) -> list[str]:
    """The parts that a list which names the picture would match, in whichever orientation."""
    wanted = pdq.compute(picture.convert("RGB")).array[0]
    good = [one for one in parts(data, BOUNDS) if one.quality >= pdq.MIN_QUALITY]
    return [one.part for one in good if np.bitwise_count(one.array ^ wanted).sum(axis=1).min() <= pdq.RADIUS]


def array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture)


def noise(picture: Image.Image, least: int, most: int) -> np.ndarray:
    return np.random.default_rng(5).integers(least, most, array(picture).shape)


# -- colour ----------------------------------------------------------------------------------------------------------


def negative(picture: Image.Image) -> Image.Image:
    return ImageOps.invert(picture)


def transferred(picture: Image.Image, of_linear: Callable[[np.ndarray], np.ndarray]) -> Image.Image:
    """The picture by another transfer curve: what it looks like to whoever takes it for sRGB."""
    level = np.arange(256) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return picture.point(np.rint(of_linear(linear) * 255).astype(int).tolist())


def falling(kind: str) -> Make:
    return lambda p: saved(negative(p).convert("RGB"), kind, icc_profile=inverting(b"RGB "))


def pq(linear: np.ndarray) -> np.ndarray:
    power = (linear * 200 / 10_000) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


WHITE_ONLY = grey_cube([0, 0, 0, 1], 3)  # a table that shows black but where all three channels are full
FALLING = grey_cube([1, 0.66, 0.33, 0], 3)
COLOURED: dict[str, Make] = {
    "falling curve, grey PNG": lambda p: saved(negative(p), "PNG", icc_profile=inverting()),
    "falling curve, grey JPEG": lambda p: saved(negative(p), "JPEG", icc_profile=inverting()),
    "falling curve, grey TIFF": lambda p: saved(negative(p), "TIFF", icc_profile=inverting()),
    **{f"falling curve, {kind}": falling(kind) for kind in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")},
    "falling curve, grey by an RGB profile": lambda p: saved(negative(p), "PNG", icc_profile=inverting(b"RGB ")),
    "falling curve, palette": lambda p: saved(
        negative(p).convert("P", palette=Image.Palette.ADAPTIVE), "PNG", icc_profile=inverting(b"RGB ")
    ),
    "table that falls beside a curve that does not": lambda p: saved(
        negative(p).convert("RGB"), "PNG", icc_profile=shaper(SRGB_CURVE, table(FALLING))
    ),
    "table of the relative intent": lambda p: saved(
        negative(p).convert("RGB"), "JPEG",
        icc_profile=shaper(SRGB_CURVE, table(FALLING[::-1]), table(FALLING, b"A2B1")),
    ),
    "curve that falls beside a table that does not": lambda p: saved(
        negative(p).convert("RGB"), "PNG", icc_profile=shaper(SRGB_CURVE[::-1], table(FALLING[::-1]))
    ),
    "profile behind an APP0 that ends early": lambda p: broken_app0(
        saved(negative(p), "JPEG", icc_profile=inverting())
    ),
    "profile behind a chunk with a wrong checksum": lambda p: with_chunk(
        saved(negative(p), "PNG", icc_profile=inverting()), struct.pack(">I", 4) + b"pHYsabcd" + bytes(4), b"iCCP"
    ),
    "gAMA": lambda p: with_chunk(
        saved(transferred(p, lambda x: x ** (1 / 9)), "PNG"), chunk(b"gAMA", struct.pack(">I", 100_000 // 9))
    ),
    "cICP, PQ": lambda p: with_chunk(saved(transferred(p, pq), "PNG"), chunk(b"cICP", bytes((1, 16, 0, 1)))),
    "nclx, PQ": lambda p: with_nclx(saved(transferred(p, pq).convert("RGB"), "AVIF", quality=95), 1, 16),
    "BMP's own numbers": lambda p: bitmap(transferred(p, lambda x: x ** (1 / 9)), 108, gamma=9.0),
    "BMP's profile": lambda p: bitmap(negative(p), 124, profile=inverting(b"RGB ")),
}  # fmt: skip


def broken_app0(data: bytes) -> bytes:
    return data[:2] + segment(0xE0, b"JFIF\0") + data[2:]


def with_nclx(data: bytes, primaries: int, transfer: int) -> bytes:
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def bitmap(picture: Image.Image, header: int, gamma: float = 0.0, profile: bytes = b"") -> bytes:
    """A BMP with a BITMAPV4HEADER or a BITMAPV5HEADER."""
    wide, high = picture.size
    rows = picture.convert("RGB").transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes("raw", "BGR", (wide * 3 + 3) & ~3)
    ends = (0.64, 0.33, 0.03, 0.3, 0.6, 0.1, 0.15, 0.06, 0.79)
    head = struct.pack("<IiiHHIIiiII", header, wide, high, 1, 24, 0, len(rows), 0, 0, 0, 0) + bytes(16)
    head += (b"DEBM" if profile else bytes(4)) + struct.pack("<9i", *(round(one * 2**30) for one in ends))
    head += struct.pack("<3I", *[round(gamma * 65536)] * 3)
    head += struct.pack("<4I", 4, 124 + len(rows), len(profile), 0) if header == 124 else b""
    size = 14 + header + len(rows) + len(profile)
    return b"BM" + struct.pack("<IHHI", size, 0, 0, 14 + header) + head + rows + profile


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", COLOURED)
def test_what_a_profile_shows_is_found(name: str, size: tuple[int, int]) -> None:
    picture = grey(size)
    found = found_in(COLOURED[name](picture), picture)
    assert any("managed" in one for one in found), found
    assert "PQ" in name or "main" not in found, "PQ's curve is near to a picture's own"


def inked(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Ink by the opposite convention: what we show is the negative."""
    return saved(ImageChops.invert(picture.convert("RGB").convert("CMYK")), kind, **options)


def added_up(picture: Image.Image) -> Image.Image:
    """Colour and black whose product is one grey all over, and whose sum is the picture."""
    target, product = 0.3 * array(picture) / 255, 0.3
    total = np.maximum(1 + target, 2 * product**0.5)  # of what is left of white by either
    one = (total + np.sqrt(np.maximum(total**2 - 4 * product, 0))) / 2
    colours, black = (
        Image.fromarray(np.rint(255 * (1 - part)).clip(0, 255).astype(np.uint8)) for part in (one, product / one)
    )
    return Image.merge("CMYK", [colours, colours, colours, black])


def printed(picture: Image.Image, kind: str) -> bytes:
    falls = profiles.written(b"CMYK", [table(grey_cube([0, 0.66, 0.33, 1, 1], 4))])
    return saved(negative(picture).convert("RGB").convert("CMYK"), kind, icc_profile=falls)


INKED: dict[str, Make] = {
    "inverted JPEG": lambda p: inked(p, "JPEG", quality=95),
    "inverted TIFF": lambda p: inked(p, "TIFF"),
    "added up, TIFF": lambda p: saved(added_up(p), "TIFF"),
    "added up, JPEG": lambda p: saved(added_up(p), "JPEG", quality=100, subsampling=0),
    "a profile that falls, TIFF": lambda p: printed(p, "TIFF"),
    "a profile that falls, JPEG": lambda p: printed(p, "JPEG"),
}  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", INKED)
def test_what_ink_shows_is_found(name: str, size: tuple[int, int]) -> None:
    picture = grey(size)
    found = found_in(INKED[name](picture), picture)
    assert found
    assert "main" not in found


# -- more than eight bits --------------------------------------------------------------------------------------------


def odd(values: np.ndarray, *outliers: float) -> np.ndarray:
    """The samples, with a few that are far from the others."""
    values = values.astype(np.float64 if max(map(abs, outliers)) > 2**62 else values.dtype)
    values.ravel()[np.linspace(0, values.size - 1, len(outliers)).astype(int)] = outliers
    return values


def tiff_of(values: np.ndarray) -> bytes:
    return saved(Image.fromarray(values), "TIFF")


def png_deep(values: np.ndarray, *chunks: bytes) -> bytes:
    """Grey or colour of 16 bits."""
    flat = values.reshape(len(values), -1)
    made = png(flat.astype(np.uint16), 16, 2 if values.ndim == 3 else 0, *chunks)
    return made[:16] + struct.pack(">I", values.shape[1]) + made[20:29] + crc(made, values.shape[1]) + made[33:]


def crc(made: bytes, wide: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">I", wide) + made[20:29])[-4:]


def colour_tiff(values: np.ndarray) -> bytes:
    done, data = cv2.imencode(".tiff", values.astype(np.uint16))
    assert done
    return data.tobytes()


def three(values: np.ndarray) -> np.ndarray:
    return np.stack([values] * 3, axis=2)


def eight(p: Image.Image) -> np.ndarray:
    return array(p).astype(np.int64)


DEEP: dict[str, Make] = {
    "8 bits of 16": lambda p: png_deep(odd(eight(p), 65535)),
    "8 bits of 16, TIFF": lambda p: tiff_of(odd(eight(p), 65535).astype(np.uint16)),
    "10 bits of 16": lambda p: png_deep(odd(eight(p) * 4, *[65535] * 900)),
    "12 bits of 16, TIFF": lambda p: tiff_of(odd(eight(p) * 16, *[65535] * 900).astype(np.uint16)),
    "a range in the middle": lambda p: png_deep(odd(30_000 + eight(p) * 2, 0, 65535)),
    "a range in the middle, outliers": lambda p: png_deep(odd(30_000 + eight(p), *[0] * (p.width * p.height // 60))),
    "the low byte": lambda p: png_deep(eight(p) + 256 * noise(p, 0, 256)),
    "the low byte, TIFF": lambda p: tiff_of((eight(p) + 256 * noise(p, 0, 256)).astype(np.uint16)),
    "low bytes of colour": lambda p: png_deep(three(eight(p) + 256 * noise(p, 0, 256))),
    "low bytes of colour, TIFF": lambda p: colour_tiff(three(eight(p) + 256 * noise(p, 0, 256))),
    "8 bits of 16 in colour": lambda p: png_deep(three(odd(eight(p), 65535))),
    "10 bits of 16 in colour, TIFF": lambda p: colour_tiff(three(odd(eight(p) * 4, *[65535] * 900))),
    "8 bits of 32": lambda p: tiff_of(odd(eight(p), 10**9, -(10**9)).astype(np.int32)),
    "12 bits of 32": lambda p: tiff_of(odd(eight(p) * 16, *[2**30] * 900).astype(np.int32)),
    "31 bits of 32": lambda p: tiff_of((eight(p) << 22).astype(np.int32)),
    "32 bits without a sign": lambda p: retagged(tiff_of((eight(p) << 24).astype(np.uint32).view(np.int32)), 339, 1),
    "a float of 1e9": lambda p: tiff_of(odd(eight(p) / 255, 1e9).astype(np.float32)),
    "floats that are none": lambda p: tiff_of(odd(eight(p) / 255, np.nan, np.inf, -np.inf, np.nan).astype(np.float32)),
    "floats up to 255, many far away": lambda p: tiff_of(
        odd(eight(p), *[3e38] * (p.width * p.height // 30)).astype(np.float32)
    ),
    "floats below nought": lambda p: tiff_of(odd(eight(p) / 1000 - 70, 1e30, -1e30).astype(np.float32)),
}  # fmt: skip
AS_SHOWN = ("a float of 1e9", "floats that are none", "31 bits of 32")  # one odd sample does not decide that, either


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", DEEP)
def test_no_sample_decides_what_the_others_show(name: str, size: tuple[int, int]) -> None:
    picture = grey(size)
    found = found_in(DEEP[name](picture), picture)
    assert found
    assert found != ["main"] or name in AS_SHOWN


def test_grey_and_alpha_of_16_bits_that_is_turned() -> None:
    picture = grey((161, 120))
    exif = Image.Exif()
    exif[0x0112] = 6
    samples = np.stack([eight(picture) + 256 * noise(picture, 0, 256), np.full((120, 161), 65535)], axis=2)
    made = png(samples.reshape(120, 322), 16, 4, chunk(b"eXIf", exif.tobytes()[6:]))
    data = made[:16] + struct.pack(">I", 161) + made[20:29] + crc(made, 161) + made[33:]
    assert found_in(data, picture) == ["main:low"]
    for name in ("31 bits of 32", "32 bits without a sign"):
        shown = renderings.shown(load_of(DEEP[name](picture)))
        assert parts(DEEP[name](picture), BOUNDS)[0] == pdq.compute(shown.convert("RGB")), (
            "what is first is what we show"
        )


def load_of(data: bytes) -> Image.Image:
    image = open_image(data, BOUNDS)
    image.load()
    return image


def test_zero_may_be_white() -> None:
    for values in (eight(negative(grey(SIZES[0]))).astype(np.uint16) * 257,):
        data = bytearray(tiff_of(values))
        ifd = Image.open(io.BytesIO(bytes(data)))
        assert isinstance(ifd, TiffImagePlugin.TiffImageFile)
        at = data.index(struct.pack("<HHI", 262, 3, 1)) + 8
        data[at] = 0
        assert found_in(bytes(data), grey(SIZES[0]))[0] == "main:negative"


# -- alpha, keys, channels that are left out -------------------------------------------------------------------------


def clear(picture: Image.Image) -> Image.Image:
    """The picture where nothing of it shows."""
    layer = picture.convert("RGBA")
    layer.putalpha(0)
    return layer


def mask(picture: Image.Image) -> Image.Image:
    """White everywhere, through a mask that is the picture."""
    layer = Image.new("RGBA", picture.size, "white")
    layer.putalpha(picture)
    return layer


def on_black(picture: Image.Image) -> Image.Image:
    """The picture times its alpha, which lets just so much less of a white ground through: there it is one grey."""
    alpha = 0.5 + array(picture) / 510
    layer = Image.fromarray(np.rint(array(picture) / 2 / alpha).astype(np.uint8)).convert("RGBA")
    layer.putalpha(Image.fromarray(np.rint(alpha * 255).astype(np.uint8)))
    return layer


def keyed(picture: Image.Image, low: int, high: int) -> np.ndarray:
    """Two samples that nobody can tell apart, by whether the picture is dark."""
    return np.where(array(picture) > 110, low, high)


def under(kind: str) -> Make:
    return lambda p: saved(clear(p), kind, exact=True)


def through(kind: str) -> Make:
    return lambda p: saved(mask(p), kind)


ALPHA: dict[str, Make] = {
    **{f"colour under alpha, {kind}": under(kind) for kind in ("PNG", "WEBP", "TIFF", "AVIF")},
    **{f"a mask, {kind}": through(kind) for kind in ("PNG", "WEBP", "TIFF", "AVIF")},
    "a mask of grey": lambda p: saved(mask(p).convert("LA"), "PNG"),
    "on black": lambda p: saved(on_black(p), "PNG"),
    "a palette that is clear": lambda p: saved(p.convert("P"), "PNG", transparency=bytes(256)),
    "a mask by palette": lambda p: png(
        array(p), 8, 3, chunk(b"PLTE", bytes([255] * 768)), chunk(b"tRNS", bytes(range(256)))
    ),
    "multiplied alpha of zero, TIFF": lambda p: retagged(saved(clear(p), "TIFF"), 338, 1),
    "multiplied alpha of zero, AVIF": lambda p: premultiplied(saved(clear(p), "AVIF", quality=95)),
    "a fourth channel, TIFF": lambda p: retagged(saved(mask(p), "TIFF"), 338, 0),
    "a fourth channel, BMP": lambda p: padded(p),
}  # fmt: skip


def retagged(data: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF with another value of a tag that has one."""
    at = data.index(struct.pack("<HHI", tag, 3, 1)) + 8
    return data[:at] + struct.pack("<H", value) + data[at + 2 :]


def padded(picture: Image.Image) -> bytes:
    """A BMP of 32 bits a pixel: the fourth byte is said to mean nothing."""
    data = saved(mask(picture), "BMP")
    header = struct.pack("<IiiHHIIiiII", 40, *picture.size, 1, 32, 0, 0, 0, 0, 0, 0)
    return data[:14][:10] + struct.pack("<I", 54) + header + data[int.from_bytes(data[10:14], "little") :]


def premultiplied(data: bytes) -> bytes:
    """An AVIF that says of its colour that it was multiplied with its alpha: a `prem` reference where there is one."""
    at = data.index(b"auxl") - 4
    reference = data[at : at + 14]
    (first,) = struct.unpack_from(">H", reference, 8)
    (second,) = struct.unpack_from(">H", reference, 12)
    new = struct.pack(">I4sHHH", 14, b"prem", second, 1, first)
    out = bytearray(data)
    out[at + 14 : at + 14] = new
    for name in (b"iref", b"meta"):
        place = out.find(name) - 4
        struct.pack_into(">I", out, place, struct.unpack_from(">I", out, place)[0] + 14)
    at = out.find(b"iloc") + 12
    for _ in range(struct.unpack_from(">H", out, at - 2)[0]):
        (extents,) = struct.unpack_from(">H", out, at + 4)
        at += 6
        for _ in range(extents):
            struct.pack_into(">I", out, at, struct.unpack_from(">I", out, at)[0] + 14)
            at += 8
    return bytes(out)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ALPHA)
def test_what_alpha_hides_is_found(name: str, size: tuple[int, int]) -> None:
    picture = grey(size)
    found = found_in(ALPHA[name](picture), picture)
    assert found
    assert "main" not in found


@pytest.mark.parametrize("size", [(160, 120), (512, 388)])
def test_a_colour_that_is_transparent_draws_what_nobody_sees_in_the_samples(size: tuple[int, int]) -> None:
    picture = Image.fromarray(keyed(grey(size), 0, 255).astype(np.uint8))
    two, sixteen = keyed(grey(size), 0, 1), keyed(grey(size), 30_000, 30_001)
    packed = sum((two[:, n::4] << (6 - 2 * n) for n in range(4)), np.zeros_like(two[:, ::4]))
    for data in (
        png(packed, 2, 0, chunk(b"tRNS", struct.pack(">H", 1))),
        png_deep(sixteen, chunk(b"tRNS", struct.pack(">H", 30_001))),
        png_deep(three(sixteen), chunk(b"tRNS", struct.pack(">3H", *[30_001] * 3))),
        saved(Image.fromarray(keyed(grey(size), 100, 101).astype(np.uint8)), "PNG", transparency=101),
    ):
        assert found_in(data, picture)


def test_channels_that_cannot_be_looked_at_are_refused() -> None:
    with pytest.raises(ItemError) as failure:
        parts(tiff((32, 24), 5, bytes(32 * 24 * 5), (338, 3, 2, 0)), BOUNDS)
    assert failure.value.reason is Reason.DECODE_ERROR
    assert "channels" in failure.value.detail


# -- places ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_a_part_of_a_frame_that_some_show_alone_is_found(size: tuple[int, int]) -> None:
    picture = grey(size)
    for at in ((0, 0), (40, 30)):
        sheet = texture(7, (size[0] + 60 + size[0] // 2, size[1] + 50 + size[1] // 2))
        sheet.paste(picture, at)
        if at == (0, 0):
            small = bytearray(saved(sheet, "GIF"))
            small[6:10] = struct.pack("<HH", *size)
            assert found_in(bytes(small), picture) == ["main:crop:0"]
        shift = [2 * (place - (whole - side) / 2) for place, whole, side in zip(at, sheet.size, size, strict=True)]
        data = with_aperture(saved(sheet, "AVIF", quality=90), size[0], size[1], *(round(one / 2) for one in shift))
        assert found_in(data, picture) == ["main:crop:0"]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("size", [(96, 72), (256, 192)])
def test_a_frame_is_found_before_it_is_laid_over_the_others(kind: str, size: tuple[int, int]) -> None:
    """The second frame changes a quarter of the canvas only: composed it is one corner of a larger picture."""
    back = texture(9, (2 * size[0], 2 * size[1])).convert("L" if kind == "GIF" else "RGB")
    front = back.copy()
    front.paste(grey(size), (10, 10))
    data = saved(
        back, kind, front, duration=100, **({"lossless": True, "minimize_size": True} if kind == "WEBP" else {})
    )
    found = found_in(data, grey(size))
    assert found
    assert all(one.startswith("raw:1") for one in found)


@pytest.mark.parametrize("size", SIZES)
def test_a_gifs_greys_are_its_own_where_the_whole_file_has_other_colours(size: tuple[int, int]) -> None:
    """A palette of greys beside a frame, another one for the file: each viewer takes the frame's."""
    data = saved(grey(size), "GIF")
    at, colours = 13, bytes(range(256))
    frame = data.index(b",", at + 768)
    own = bytearray(data[frame : frame + 10])
    own[9] |= 0x87
    greys = bytes(level for one in colours for level in (one, one, one))
    mixed = bytes(
        level for one in np.random.default_rng(1).permutation(256).tolist() for level in (one, 255 - one, one)
    )
    body = data[frame + 10 :]
    assert found_in(data[:10] + b"\xf7\0\0" + mixed + bytes(own) + greys + body, grey(size)) == ["main"]


def test_a_default_image_that_no_animation_shows_is_found() -> None:
    for size in SIZES:
        frames = [texture(n, size) for n in range(2)]
        data = saved(grey(size).convert("RGB"), "PNG", *frames, default_image=True)
        assert found_in(data, grey(size))[0] == "main"
        data = saved(frames[0], "PNG", frames[1], grey(size).convert("RGB"), default_image=True)
        assert found_in(data, grey(size)) == ["frame:2"]


@pytest.mark.parametrize("size", SIZES)
def test_an_avifs_still_is_found_beside_its_sequence(size: tuple[int, int]) -> None:
    frames, picture = [texture(n, size) for n in range(2)], grey(size)
    sequence = saved(frames[0], "AVIF", frames[1])
    data = with_still(sequence, saved(picture.convert("RGB"), "AVIF"))
    assert found_in(data, picture) == ["brand"]
    other = data[:8] + b"avif" + data[12:]  # a browser that goes by this shows the still, and so do we
    assert found_in(other, picture) == ["main"]
    assert near_any(other, frames[1])


def near_any(data: bytes, picture: Image.Image) -> bool:
    wanted = pdq.compute(picture).array[0]
    return any(np.bitwise_count(one.array ^ wanted).sum(axis=1).min() <= pdq.RADIUS for one in parts(data, BOUNDS))


def test_a_preview_has_its_own_frames_renderings_and_previews() -> None:
    small = grey((120, 90))
    inner = saved(negative(small), "JPEG", quality=90, icc_profile=inverting())
    middle = saved(texture(1, (130, 100)), "JPEG", exif=b"Exif\0\0" + inner)
    assert found_in(saved(COVER, "JPEG", exif=b"Exif\0\0" + middle), small)[0].endswith(":managed")
    cut = saved(small, "JPEG", quality=95, progressive=False)
    data = saved(COVER, "JPEG", exif=b"Exif\0\0" + cut[: len(cut) * 97 // 100])
    assert found_in(data, small) == ["preview:0"], "what a lenient decoder shows of a JPEG that is cut"


TURNS = [None, *Image.Transpose]
HELD = {
    "the second of an MPO, 470 px": lambda p: saved(COVER.resize((640, 480)), "MPO", p.resize((470, 470))),
    "the second of an MPO, 512 px": lambda p: saved(COVER.resize((640, 480)), "MPO", p.resize((512, 512))),
    "EXIF's preview, 480 px": lambda p: saved(COVER, "JPEG", exif=b"Exif\0\0" + saved(p.resize((480, 480)), "JPEG")),
    "EXIF's preview, 961 px wide": lambda p: saved(
        COVER, "JPEG", exif=b"Exif\0\0" + saved(p.resize((961, 480)), "JPEG", quality=40)
    ),
    "behind eight marks of a start": lambda p: saved(
        COVER, "JPEG", exif=b"Exif\0\0" + b"\xff\xd8\xff" * 8 + saved(p.resize((176, 176)), "JPEG")
    ),
    "a falling curve": lambda p: saved(negative(p.convert("L")), "PNG", icc_profile=inverting()),
}  # fmt: skip


@pytest.mark.parametrize("name", HELD)
def test_what_a_file_holds_is_found_turned_and_mirrored_too(name: str) -> None:
    picture = HIDDEN.resize((200, 200))
    picture.info = {}
    found = parts(HELD[name](picture), BOUNDS)
    for turn in TURNS:
        listed = pdq.compute(picture if turn is None else picture.transpose(turn)).array[0]
        apart = [int(np.bitwise_count(one.array ^ listed).sum(axis=1).min()) for one in found if one.quality >= 50]
        assert min(apart) <= pdq.RADIUS, turn


# -- what is shown by colour alone, and what costs nothing -----------------------------------------------------------


def isoluminant(picture: Image.Image) -> bytes:
    """A JPEG with flat luminance: what is seen comes from chroma that leaves the RGB cube and is clipped there."""
    level = np.arange(256, dtype=np.uint8)[None]
    flat = Image.fromarray(np.full((1, 256), 100, np.uint8))
    ways = Image.merge("YCbCr", [flat, *[Image.fromarray(level)] * 2]).convert("RGB")
    seen = array(ways)[0] @ np.array((0.299, 0.587, 0.114))
    order = np.argsort(seen)
    wanted = seen.min() + (seen.max() - seen.min()) * array(picture) / 255
    chroma = Image.fromarray(order[np.clip(np.searchsorted(seen[order], wanted), 0, 255)].astype(np.uint8))
    luma = Image.fromarray(np.full(array(picture).shape, 100, np.uint8))
    return saved(Image.merge("YCbCr", [luma, chroma, chroma]), "JPEG", quality=95, subsampling=0)


@pytest.mark.parametrize("side", [256, 1024])
def test_a_picture_of_colour_alone_is_found(side: int) -> None:
    picture = grey((side, side)).filter(ImageFilter.GaussianBlur(side / 40))
    assert found_in(isoluminant(picture), picture) == ["main:lightness"]
    dim = Image.eval(picture, lambda level: 100 + level // 20)
    assert found_in(saved(dim, "PNG"), dim.convert("L")) == [], "a dim picture is not one of colour"


USUAL = {
    "JPEG": lambda p: saved(p, "JPEG"),
    "grey JPEG": lambda p: saved(p.convert("L"), "JPEG"),
    "sRGB": lambda p: saved(p, "JPEG", icc_profile=profiles.made(None, profiles._SRGB)),
    "Display P3": lambda p: saved(p, "JPEG", icc_profile=profiles.made(None, profiles._PRIMARIES[12])),
    "gAMA of sRGB": lambda p: with_chunk(saved(p, "PNG"), chunk(b"gAMA", struct.pack(">I", 45455))),
    "sRGB chunk": lambda p: with_chunk(
        with_chunk(saved(p, "PNG"), chunk(b"gAMA", struct.pack(">I", 10))), chunk(b"sRGB", b"\0")
    ),
    "opaque alpha": lambda p: saved(p.convert("RGBA"), "PNG"),
    "AVIF": lambda p: saved(p, "AVIF"),
    "WEBP": lambda p: saved(p, "WEBP"),
    "palette": lambda p: saved(p.convert("P"), "GIF"),
}


@pytest.mark.parametrize("name", USUAL)
def test_the_usual_file_has_one_rendering(name: str) -> None:
    assert [one.part for one in parts(USUAL[name](COVER.resize((200, 150))), BOUNDS)] == ["main"]


def test_the_bound_of_the_probe() -> None:
    """A profile below it hides nothing: of photographs with so little contrast PDQ says nothing."""
    for name in ("astronaut.png", "coffee.png", "chelsea.png", "brick.png", "gravel.png"):
        picture = photograph(name).point([108 + level * 2 * colour.LEVELS // 255 for level in range(256)] * 3)
        assert pdq.compute(picture).quality < pdq.MIN_QUALITY, name
    for gamma, moves in ((2.2, False), (1.8, True), (1.0, True)):
        assert bool(colour.ways(profiles.made(gamma, profiles._SRGB))) is moves, gamma


def test_a_profile_that_is_none_costs_nothing() -> None:
    good = inverting(b"RGB ")
    claims = struct.pack(">I", 2**30) + good[4:]
    looping = good[:128] + struct.pack(">I", 100) + good[132:144] * 100
    counts = good[:128] + struct.pack(">I", 2**32 - 1) + good[132:]
    huge = good[:140] + struct.pack(">I", 2**31) + good[144:]
    for broken in (b"", b"x" * 200, good[:140], claims[:150], looping, huge, counts, good[:16] + b"nope" + good[20:]):
        for kind in ("PNG", "JPEG", "TIFF", "WEBP"):
            found = parts(saved(COVER.resize((64, 48)), kind, icc_profile=broken), BOUNDS)
            assert {one.part for one in found} <= {"main", "main:managed"}
    with pytest.raises(StopIteration):
        next(iter(colour.ways(b"x" * (profiles.MOST + 1))))


def test_equal_renderings_are_one() -> None:
    frame = Image.new("CMYK", (9, 9), (0, 0, 0, 128))
    names = [name for name, _ in renderings.renderings(frame)]
    assert len(names) == len(set(names)) <= 4
    assert [name for name, _ in renderings.renderings(Image.new("RGB", (9, 9)))] == [""]


# -- the hash that decides is of what another reader shows ------------------------------------------------------------

READ_BY_CV2 = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF")


@settings(max_examples=25, deadline=None)
@given(st.integers(16, 400), st.integers(16, 400), st.sampled_from(READ_BY_CV2), st.integers(30, 95), st.integers(0, 9))
def test_pdq_is_of_what_another_reader_shows(wide: int, high: int, kind: str, quality: int, seed: int) -> None:
    agrees(saved(texture(seed, (wide, high)), kind, quality=quality))


@pytest.mark.parametrize("size", [(4000, 18), (17, 4000), (2500, 1900)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_pdq_of_large_pictures_is_of_what_another_reader_shows(size: tuple[int, int], kind: str) -> None:
    agrees(saved(COVER.resize(size), kind))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(2, 20), st.integers(2, 20), st.sampled_from([1, 3]), st.integers(1, 255), st.integers(1, 400),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_coefficients_beyond_the_range_are_clamped_as_others_clamp_them(
    rows: int, columns: int, components: int, quantiser: int, swing: int, seed: int
) -> None:
    """Direct and alternating parts, chroma too, that leave the range of a sample and the cube of colours."""
    chance = np.random.default_rng(seed)
    blocks = np.zeros((rows, columns, components, 64), dtype=int)
    blocks[..., 0] = chance.integers(-min(swing, 1000), min(swing, 1000) + 1, blocks.shape[:3])
    blocks[..., 1:9] = chance.integers(-swing, swing + 1, (*blocks.shape[:3], 8))
    agrees(jpeg(blocks, quantiser))


def agrees(data: bytes) -> None:
    other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert other is not None
    bits, quality = pdqhash.compute(np.ascontiguousarray(other[..., ::-1]))
    main = parts(data, BOUNDS)[0]
    apart = int(np.bitwise_count(main.array[0] ^ np.packbits(bits)).sum())
    assert quality < pdq.MIN_QUALITY or (apart <= 12 and main.quality >= pdq.MIN_QUALITY - 3), (apart, quality)


def test_a_frame_that_fails_late_is_the_items_reason() -> None:
    data = bytearray(saved(texture(1, (320, 240)), "AVIF", texture(2, (320, 240)), texture(3, (320, 240))))
    data[len(data) // 2 : -20] = b"\xff" * (len(data) - 20 - len(data) // 2)
    with pytest.raises(ItemError) as failure:
        parts(bytes(data), BOUNDS)
    assert failure.value.reason is Reason.DECODE_ERROR
    assert open_image(bytes(data), BOUNDS).format == "AVIF"


def test_frames_times_renderings_have_a_bound() -> None:
    bounds = Bounds(max_pixels=6_000, min_side=1)
    page = Image.fromarray(np.random.default_rng(0).integers(0, 65536, (60, 80)).astype(np.uint16))
    assert len(parts(saved(page, "TIFF"), bounds)) > 4
    with pytest.raises(ItemError) as failure:
        parts(saved(page, "TIFF", page, page, page), bounds)
    assert failure.value.reason is Reason.TOO_MANY_PIXELS
    assert "renderings" in failure.value.detail
