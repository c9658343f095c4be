"""Animations as browsers lay them, beside Pillow's way: what no frame covers, translucent frames, palettes of greys."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from curate.errors import ItemError
from curate.media.layers import composed
from curate.media.parts import parts
from curate.records import Reason
from tests.screening.test_read_otherwise import control, frame, gif
from tests.support.hiding import BOUNDS, COVER, SIZES, chunk, found_in, grey, saved

Size = tuple[int, int]
COLOURS = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}
Frame = tuple[Image.Image, Size, int, int]  # picture, place, disposal, whether it is laid over


def apng(size: Size, frames: Sequence[Frame], default: Image.Image | None = None, key: bytes = b"") -> bytes:
    """An APNG of 8 bits; with a default image that is none of its frames, where there is one."""
    mode, number = frames[0][0].mode, 0
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, COLOURS[mode], 0, 0, 0))
    data += (chunk(b"tRNS", key) if key else b"") + chunk(b"acTL", struct.pack(">II", len(frames), 0))
    data += chunk(b"IDAT", rows(default)) if default else b""
    for n, (picture, place, disposal, blend) in enumerate(frames):
        data += chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, *picture.size, *place, 1, 10, disposal, blend))
        first = n == 0 and default is None
        data += (
            chunk(b"IDAT", rows(picture)) if first else chunk(b"fdAT", struct.pack(">I", number + 1) + rows(picture))
        )
        number += 1 + (not first)
    return data + chunk(b"IEND", b"")


def rows(picture: Image.Image) -> bytes:
    flat = np.asarray(picture).reshape(picture.height, -1)
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in flat))


def framed(picture: Image.Image, ground: str) -> Image.Image:
    """The picture with a wide border of one colour."""
    width, height = picture.size
    whole = Image.new("RGB", (2 * width, 2 * height), ground)
    whole.paste(picture, (width // 2, height // 3))
    return whole


@pytest.mark.parametrize("size", [(80, 60), (107, 81)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("ground", ["white", "black"])
def test_what_no_frame_of_an_apng_covers_is_what_lies_behind(size: Size, mode: str, ground: str) -> None:
    whole = framed(grey(size).convert("RGB"), ground)
    inner, place = grey(size).convert(mode), (size[0] // 2, size[1] // 3)
    cover = COVER.resize(whole.size).convert(mode)
    cleared = apng(whole.size, [(cover, (0, 0), 1, 0), (inner, place, 0, 0)])
    bare = apng(whole.size, [(inner, place, 0, 0)], default=cover)
    for data in (cleared, bare, apng(whole.size, [(inner, place, 0, 1)], default=cover)):
        assert any(part.startswith("laid") for part in found_in(data, whole))


@pytest.mark.parametrize("size", SIZES)
def test_a_transparent_level_leaves_what_is_cleared_transparent(size: Size) -> None:
    whole = framed(grey(size).convert("RGB"), "white")
    inner = grey(size).point([n + (n == 9) for n in range(256)])
    cover = COVER.resize(whole.size).convert("L").point([n + (n == 9) for n in range(256)])
    place = (size[0] // 2, size[1] // 3)
    data = apng(whole.size, [(cover, (0, 0), 1, 0), (inner, place, 0, 0)], key=b"\0\x09")
    assert "laid:frame:1" in found_in(data, whole)


@pytest.mark.parametrize("size", SIZES)
def test_translucent_frames_are_mixed_as_browsers_mix_them(size: Size) -> None:
    """Half a picture over nothing, then the other half over that: Pillow squares the alpha channel of each."""
    picture = np.asarray(grey(size)).astype(int)
    alpha = 120
    layer = np.clip((picture - 255 * (255 - alpha) // 255) * 255 // alpha, 0, 255)
    veiled = Image.fromarray(np.dstack([layer] * 3 + [np.full_like(layer, alpha)]).astype(np.uint8))
    shown = Image.alpha_composite(Image.new("RGBA", size, "white"), veiled).convert("RGB")
    clear = Image.new("RGBA", size)
    data = apng(
        size, [(COVER.resize(size).convert("RGBA"), (0, 0), 1, 0), (clear, (0, 0), 0, 1), (veiled, (0, 0), 0, 1)]
    )
    assert any(part.startswith("laid:frame:2") for part in found_in(data, shown))


@pytest.mark.parametrize("size", SIZES)
def test_a_default_image_that_is_no_frame_is_not_laid_under_the_first(size: Size) -> None:
    picture = grey(size)
    shown = framed(picture.convert("RGB"), "black")
    veiled = Image.merge("RGBA", [picture] * 3 + [Image.new("L", size, 255)])
    cover = COVER.resize(shown.size).convert("RGBA")
    data = apng(shown.size, [(veiled, (size[0] // 2, size[1] // 3), 0, 1)], default=cover)
    assert any("laid" in part for part in found_in(data, shown))


def test_what_pillow_lays_as_browsers_do_has_no_second_reading() -> None:
    frames = [COVER.resize((64, 48)), grey((64, 48)).convert("RGB")]
    for kind in ("GIF", "PNG"):
        for more in ([], frames[1:]):
            assert composed(saved(frames[0], kind, *more), kind, 10**6) is None


# -- GIF -------------------------------------------------------------------------------------------------------------


def coloured(data: bytes) -> bytes:
    """The same GIF frame with a palette of other colours than greys: its first is a little red."""
    at = data.index(b",") + 10
    return data[:at] + b"\1\0\0" + data[at + 3 :]


@pytest.mark.parametrize("size", [(160, 120), (214, 161)])
def test_a_frame_of_greys_below_one_of_colours(size: Size) -> None:
    """Pillow shows what lies below in the palette of what is laid over it."""
    whole = np.asarray(grey(size))
    left, right = whole[:, : size[0] // 2], whole[:, size[0] // 2 :]
    colours = bytes(v for n in range(256) for v in (255 - n, n, 0))
    head = b"GIF89a" + struct.pack("<HHBBB", *size, 0xF7, 0, 0) + colours
    frames = (frame(0, left, 1), coloured(frame(size[0] // 2, right, 1)))
    assert any(part.startswith(("laid", "frame:1")) for part in found_in(head + b"".join(frames) + b";", grey(size)))


@pytest.mark.parametrize("size", [(160, 120), (214, 161)])
@pytest.mark.parametrize("disposal", [3, 4])
def test_a_fourth_disposal_is_a_third_for_browsers_and_a_first_for_others(size: Size, disposal: int) -> None:
    cover, picture = np.asarray(COVER.convert("L").resize(size)), np.asarray(grey(size))
    left, right = picture[:, : size[0] // 2], picture[:, size[0] // 2 :]
    kept = gif(size, frame(0, cover, 1), frame(0, left, disposal), frame(size[0] // 2, right, 1))
    assert bool(found_in(kept, grey(size))) is (disposal == 4)
    below = picture.copy()
    restored = gif(size, frame(0, below, 1), frame(0, cover, disposal), frame(0, picture[:9, :9], 1))
    assert found_in(restored, grey(size))


@pytest.mark.parametrize("ground", ["white", "black"])
def test_what_no_frame_of_a_gif_covers_is_what_lies_behind(ground: str) -> None:
    picture = grey((107, 81))
    whole = framed(picture.convert("RGB"), ground)
    inner = frame(0, np.asarray(picture), 1)
    at = inner.index(b",")
    inner = inner[: at + 1] + struct.pack("<HH", picture.width // 2, picture.height // 3) + inner[at + 5 :]
    red = bytes((200, 30, 30)) * 256
    data = b"GIF89a" + struct.pack("<HHBBB", *whole.size, 0xF7, 0, 0) + red + inner + b";"
    assert any(part.startswith("laid") for part in found_in(data, whole))


def test_a_first_frame_that_makes_the_canvas_too_large_is_refused() -> None:
    huge = control(1) + b"," + struct.pack("<HHHHB", 65_000, 65_000, 16, 16, 0) + b"\2\2\x4c\1\0"
    with pytest.raises(ItemError) as caught:
        parts(gif((16, 16), huge), BOUNDS)
    assert caught.value.reason in (Reason.TOO_MANY_PIXELS, Reason.TRUNCATED, Reason.DECODE_ERROR)
    with pytest.raises(ItemError) as caught:
        composed(gif((16, 16), huge), "GIF", 10**8)
    assert caught.value.reason is Reason.TOO_MANY_PIXELS
