"""What a person is shown are the pixels that were screened, encoded anew: nothing else of the file."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from curate.errors import ItemError
from curate.media import pdq, thumbnail
from curate.media.decode import Bounds, frames, load, open_image, scaled
from curate.media.parts import parts
from curate.review.app.thumbnails import FRAMES, ThumbnailStyle, render, revealed
from tests.support.hiding import found_in, inverting, mask, saved
from tests.support.pictures import clip, photograph, texture

SHOT = photograph("chelsea.png").resize((300, 200))
SHOT.info = {}
NEGATIVE = ImageOps.invert(SHOT.convert("L"))
MAKER = Image.Exif()
MAKER[0x010F], MAKER[0x0112] = "a maker", 1
TURNED = Image.Exif()
TURNED[0x0112] = 6
FILES = {
    "a profile that inverts, PNG": saved(NEGATIVE, "PNG", icc_profile=inverting()),
    "a profile that inverts, JPEG": saved(NEGATIVE, "JPEG", icc_profile=inverting(), exif=MAKER, comment=b"a comment"),
    "a profile that inverts, animated": saved(
        NEGATIVE.convert("RGB"), "WEBP", texture(1, SHOT.size), icc_profile=inverting(b"RGB "), exif=MAKER.tobytes()
    ),
    "a profile that inverts, TIFF": saved(NEGATIVE, "TIFF", icc_profile=inverting()),
    "a mask": saved(mask(SHOT.convert("L")), "PNG"),
    "a preview": saved(texture(3, SHOT.size), "JPEG", exif=b"Exif\0\0" + saved(SHOT, "JPEG")),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_shown_holds_nothing_but_what_we_show(name: str) -> None:
    """The hidden picture is in the file, and in nothing that leaves the store for a browser."""
    data, grey = FILES[name], SHOT.convert("L")
    assert found_in(data, grey)
    assert "main" not in found_in(data, grey)
    first = scaled(open_image(data, Bounds()), None)
    clear = render(data, ThumbnailStyle(unobscured=True))
    for shown in (revealed(data)[0], clear, thumbnail.clear(first), thumbnail.obscured(first)):
        assert found_in(shown, grey) == []
        info = Image.open(io.BytesIO(shown)).info
        assert not {"icc_profile", "exif", "comment", "xmp"} & set(info), info
        assert b"a maker" not in shown


def test_a_reveal_is_the_whole_picture_in_its_size() -> None:
    data, kind = revealed(saved(SHOT, "PNG"))
    assert kind == "image/jpeg"
    made = Image.open(io.BytesIO(data))
    assert made.size == SHOT.size
    assert np.abs(np.asarray(made).astype(int) - np.asarray(SHOT)).mean() < 3
    assert np.bitwise_count(parts(data, Bounds())[0].array ^ pdq.compute(SHOT).array).sum(axis=1).max() <= 4


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_a_reveal_of_an_animation_has_all_its_frames(kind: str) -> None:
    frames = [texture(n, (160, 120)) for n in range(3)]
    data, media_type = revealed(saved(frames[0], kind, *frames[1:], duration=80))
    assert media_type == "image/webp"
    made = Image.open(io.BytesIO(data))
    assert made.n_frames == 3  # type: ignore[attr-defined]
    for number, frame in enumerate(frames):
        made.seek(number)
        assert np.abs(np.asarray(made.convert("RGB")).astype(int) - np.asarray(frame)).mean() < 20


def test_what_cannot_be_decoded_is_not_revealed() -> None:
    with pytest.raises(ItemError):
        revealed(saved(SHOT, "PNG")[:3000])


KINDS = ("GIF", "PNG", "WEBP", "TIFF", "AVIF")


def grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L")).astype(int)


@pytest.mark.parametrize("kind", KINDS)
def test_a_thumbnail_of_an_animation_is_a_strip_of_its_distinct_frames(kind: str) -> None:
    """Eight pictures of which one is held for three frames: the first, the last, and three between."""
    pictures = [texture(n, (160, 120)) for n in range(8)]
    shown = [*pictures[:3], pictures[2], pictures[2], *pictures[3:]]
    made = Image.open(io.BytesIO(render(clip(kind, shown), ThumbnailStyle(unobscured=True))))
    assert made.size == (FRAMES * 160 + (FRAMES - 1) * 4, 120)
    for place, number in enumerate((0, 2, 4, 5, 7)):
        frame = made.crop((164 * place, 0, 164 * place + 160, 120))
        assert np.abs(grey(frame) - grey(pictures[number])).mean() < 12, number


def test_a_strip_is_obscured_frame_by_frame_as_a_still_is() -> None:
    pictures = [texture(n, (640, 480)) for n in (1, 2)]
    for look in (ThumbnailStyle(), ThumbnailStyle(blur=40), ThumbnailStyle(greyscale=False)):
        strip = Image.open(io.BytesIO(render(clip("PNG", pictures, (640, 480)), look)))
        assert strip.size == (2 * 256 + 4, 192)
        assert strip.mode == ("L" if look.greyscale else "RGB")
        for place, picture in enumerate(pictures):
            still = Image.open(io.BytesIO(render(saved(picture, "PNG"), look)))
            frame = strip.crop((260 * place, 0, 260 * place + 256, 192))
            assert np.abs(grey(frame) - grey(still)).mean() < 3


def test_one_frame_and_equal_frames_are_no_strip() -> None:
    one = texture(1, (160, 120))
    for data in (clip("GIF", [one]), clip("TIFF", [one, one, one])):
        assert Image.open(io.BytesIO(render(data, ThumbnailStyle(unobscured=True)))).size == (160, 120)


def test_a_reveal_of_pages_has_all_of_them() -> None:
    pages = [texture(1, (160, 120)), texture(2, (100, 200)), texture(3, (2400, 1800))]
    data, media_type = revealed(saved(pages[0], "TIFF", *pages[1:]))
    assert media_type == "image/webp"
    made = Image.open(io.BytesIO(data))
    assert (made.n_frames, made.size) == (3, (1365, 1024))  # type: ignore[attr-defined]
    for number, page in enumerate((pages[0], pages[1], pages[2].resize((1365, 1024)))):
        made.seek(number)
        assert np.abs(grey(made.crop((0, 0, *page.size))) - grey(page)).mean() < 12
        assert made.info["duration"] == 2000 or number == 0
    strip = Image.open(io.BytesIO(render(saved(pages[0], "TIFF", *pages[1:]), ThumbnailStyle(unobscured=True))))
    assert strip.size == (160 + 4 + 100 + 4 + 512, 384), "pages are as large as they are"


def test_what_was_let_in_may_be_shown() -> None:
    data = clip("GIF", [texture(n, (20, 16)) for n in range(120)], (20, 16))
    with pytest.raises(ItemError, match="too_many_frames"):
        revealed(data, Bounds(min_side=1))
    assert Image.open(io.BytesIO(revealed(data, Bounds(min_side=1, max_frames=200))[0])).n_frames == 120  # type: ignore[attr-defined]


FRAMED = {kind: clip(kind, [texture(n, (160, 120)) for n in range(4)]) for kind in KINDS} | {
    "a hidden first picture": saved(SHOT, "PNG", texture(1, SHOT.size), texture(2, SHOT.size), default_image=True),
    "two pictures in one JPEG": saved(SHOT, "MPO", texture(1, SHOT.size)),
    "an animation that is drawn over": saved(
        Image.new("RGBA", (160, 120)), "WEBP", *(mask(texture(n, (160, 120)).convert("L")) for n in range(3))
    ),
    "a turned one": saved(SHOT, "PNG", texture(1, SHOT.size), exif=TURNED),
}


@pytest.mark.parametrize("name", FRAMED)
def test_every_frame_that_is_shown_was_hashed(name: str) -> None:
    """What the gate asks the lists about holds each frame that a strip, a reveal or a labeler could take."""
    data = FRAMED[name]
    hashed = {one.hashes for one in parts(data, Bounds())}
    image = open_image(data, Bounds())
    for number in range(frames(image)):
        if number:
            load(image, number)
        assert pdq.compute(scaled(image, None)).hashes in hashed, number
