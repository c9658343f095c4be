"""What a real browser shows of a file is one of our renderings of it."""

import base64
import io
import struct
from collections.abc import Iterator

import numpy as np
import pdqhash
import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from curate.media import pdq, profiles
from curate.media.decode import Bounds
from curate.media.parts import parts
from tests.media.test_renderings import GAMMA, REFUSED, before, pieces
from tests.review.app.test_review import ARGS
from tests.support.hiding import (
    FALLING,
    bitmap,
    broken_app0,
    chunk,
    inverting,
    png,
    pq,
    saved,
    shaper,
    table,
    transferred,
    with_aperture,
    with_chunk,
    with_nclx,
)
from tests.support.pictures import photograph
from tests.support.reviewing import CHROMIUM, needs

pytestmark = needs("chromium")
SHOT = photograph("coffee.png").resize((240, 160))
SHOT.info = {}
GREY = SHOT.convert("L")
ODD = profiles.made(4.0, profiles._PRIMARIES[9])
VEILED = SHOT.copy()
VEILED.putalpha(GREY)
TURNED = Image.Exif()
TURNED[0x0112] = 6
SHIFTED = np.where(np.asarray(GREY) > 110, 2, 1)

FILES = {
    "ICC, JPEG": saved(SHOT, "JPEG", quality=95, icc_profile=ODD),
    "ICC, PNG": saved(SHOT, "PNG", icc_profile=ODD),
    "ICC, WEBP": saved(SHOT, "WEBP", lossless=True, icc_profile=ODD),
    "ICC, AVIF": saved(SHOT, "AVIF", quality=95, icc_profile=ODD),
    "ICC, falling, grey": saved(GREY, "PNG", icc_profile=inverting()),
    "ICC, a table beside a curve": saved(SHOT, "PNG", icc_profile=shaper(range(0, 65536, 257), table(FALLING))),
    "ICC, behind an APP0 that ends early": broken_app0(saved(SHOT, "JPEG", quality=95, icc_profile=ODD)),
    **{f"ICC, {name}": saved(GREY.convert("RGB"), "PNG", icc_profile=one) for name, one in REFUSED.items()},
    "ICC, behind the frame's header": before(saved(GREY, "JPEG", quality=95), b"\xff\xda", pieces((1, 1, inverting()))),
    "ICC, the first of two": before(
        saved(GREY, "JPEG", quality=95), b"\xff\xdb", pieces((1, 1, inverting()), (1, 1, GAMMA))
    ),
    "CMYK": saved(SHOT.convert("CMYK"), "JPEG", quality=95),
    "gAMA": with_chunk(saved(SHOT, "PNG"), chunk(b"gAMA", struct.pack(">I", 20_000))),
    "cHRM": with_chunk(
        with_chunk(saved(SHOT, "PNG"), chunk(b"gAMA", struct.pack(">I", 45_455))),
        chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 30000, 60000, 64000, 33000, 15000, 6000)),
    ),
    "cICP, PQ": with_chunk(saved(transferred(GREY, pq), "PNG"), chunk(b"cICP", bytes((1, 16, 0, 1)))),
    "nclx, linear": with_nclx(saved(SHOT, "AVIF", quality=95), 1, 8),
    "tRNS of a palette": saved(SHOT.quantize(256), "PNG", transparency=bytes(range(256))),
    "tRNS of 2 bits": png(
        sum((SHIFTED[:, n::4] << (6 - 2 * n) for n in range(4)), 0 * SHIFTED[:, ::4]), 2, 0,
        chunk(b"tRNS", struct.pack(">H", 2)),
    ),
    "alpha": saved(VEILED, "PNG"),
    "orientation": saved(SHOT, "JPEG", quality=95, exif=TURNED),
    "irot": saved(SHOT, "AVIF", quality=95, exif=TURNED),
    "clap": with_aperture(saved(SHOT, "AVIF", quality=95), 120, 80),
    "BMP's numbers": bitmap(GREY, 124, profile=inverting(b"RGB ")),
}  # fmt: skip


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGS, "--force-color-profile=srgb"])
        yield browser.new_page(viewport={"width": 400, "height": 400})
        browser.close()


def shown(page: Page, data: bytes) -> Image.Image:
    """The file as the browser paints it on white."""
    text = base64.b64encode(data).decode()
    page.set_content(f'<body style="margin:0;background:white"><img src="data:image/x;base64,{text}">')
    page.wait_for_function("document.images[0].complete")
    assert page.evaluate("document.images[0].naturalWidth"), "it does not show it"
    return Image.open(io.BytesIO(page.locator("img").screenshot())).convert("RGB")


def test_what_a_browser_shows_was_hashed(page: Page) -> None:
    """Upright, too, and within the bits by which decoders may differ; what we hash first is not it, or need not be."""
    wrong, other = {}, set()
    for name, data in FILES.items():
        bits, quality = pdqhash.compute(np.asarray(shown(page, data)))
        apart = {
            one.part: int(np.bitwise_count(one.array[0] ^ np.packbits(bits)).sum()) for one in parts(data, Bounds())
        }
        assert quality >= pdq.MIN_QUALITY, name
        if min(apart.values()) > 8:
            wrong[name] = apart
        if apart[pdq.MAIN] > pdq.RADIUS:
            other.add(name)
    assert not wrong
    assert {"ICC, falling, grey", "gAMA", "BMP's numbers"} <= other
