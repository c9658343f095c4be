"""What a person is shown are the pixels that were screened, encoded anew: nothing else of the file."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from curate.errors import ItemError
from curate.media import pdq, thumbnail
from curate.media.decode import Bounds, open_image, scaled
from curate.media.parts import parts
from curate.review.thumbs import Look, render, revealed
from tests.hiding import found_in, inverting, mask, saved
from tests.pictures import photograph, texture

SHOT = photograph("chelsea.png").resize((300, 200))
SHOT.info = {}
NEGATIVE = ImageOps.invert(SHOT.convert("L"))
MAKER = Image.Exif()
MAKER[0x010F], MAKER[0x0112] = "a maker", 1
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
    clear = render(data, Look(unobscured=True))
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
