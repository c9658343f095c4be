"""Every place of a file in which a picture lies is looked at, and what is hashed is what others show of it."""

import struct

import cv2
import numpy as np
import pdqhash
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.errors import ItemError
from curate.media import pdq
from curate.media.decode import Bounds, open_image
from curate.media.parts import parts
from curate.records import Reason
from tests.support.hiding import (
    BOUNDS,
    COVER,
    HIDDEN,
    SIZES,
    found_in,
    grey,
    inverting,
    jpeg,
    negative,
    saved,
    with_aperture,
    with_still,
)
from tests.support.pictures import texture


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


READ_BY_CV2 = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF")


@settings(max_examples=25, deadline=None)
@given(st.integers(16, 400), st.integers(16, 400), st.sampled_from(READ_BY_CV2), st.integers(30, 95), st.integers(0, 9))
def test_pdq_is_of_what_another_reader_shows(wide: int, high: int, kind: str, quality: int, seed: int) -> None:
    agrees(saved(texture(seed, (wide, high)), kind, quality=quality))


@pytest.mark.parametrize("size", [(4000, 18), (17, 4000), (1900, 1500)])
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
