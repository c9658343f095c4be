"""What deep samples, alpha and channels that are left out can hide is found, and is not found in what we show."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from curate.errors import ItemError
from curate.media import pdq, renderings
from curate.media.decode import open_image
from curate.media.parts import parts
from curate.records import Reason
from tests.support.hiding import (
    BOUNDS,
    SIZES,
    Make,
    array,
    chunk,
    found_in,
    grey,
    mask,
    negative,
    noise,
    png,
    premultiplied,
    retagged,
    saved,
    tiff,
)


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


def clear(picture: Image.Image) -> Image.Image:
    """The picture where nothing of it shows."""
    layer = picture.convert("RGBA")
    layer.putalpha(0)
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


def padded(picture: Image.Image) -> bytes:
    """A BMP of 32 bits a pixel: the fourth byte is said to mean nothing."""
    data = saved(mask(picture), "BMP")
    header = struct.pack("<IiiHHIIiiII", 40, *picture.size, 1, 32, 0, 0, 0, 0, 0, 0)
    return data[:14][:10] + struct.pack("<I", 54) + header + data[int.from_bytes(data[10:14], "little") :]


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
