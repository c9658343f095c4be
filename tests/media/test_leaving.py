"""What leaves of a file shows the same, and says nothing else."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from curate.errors import ItemError
from curate.media.decode import Bounds
from curate.media.leaving import MEDIA_TYPES, Cut, cut, leaving
from curate.records import Reason
from tests.support.exposed import SECRET, files, previewed, shown
from tests.support.pictures import clip, encode, texture

BOUNDS = Bounds(min_side=1)
FILES = files() | {"preview": previewed(encode(texture(40, (120, 80))))}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("name", FILES)
def test_what_leaves_shows_the_same_and_says_nothing_else(name: str) -> None:
    data = FILES[name]
    left, media_type = leaving(data, BOUNDS)
    assert media_type in MEDIA_TYPES
    if name != "bad rational":
        assert shown(left) == shown(data)
    with Image.open(io.BytesIO(left)) as image:
        assert image.get_format_mimetype() == media_type.replace("png", "apng" if name == "apng" else "png")
        assert set(image.getexif()) <= {0x0112}
        assert not image.getexif().get_ifd(0x8825)
        assert not {"xmp", "comment", "XML:com.adobe.xmp", "Author", "exif_thumbnail"} & image.info.keys()
    for word in (SECRET, b"camera", b"GPS", b"xmpmeta", b"MPF\0"):
        assert word not in left
    if name not in ("plain", "bmp", "bad rational", "preview"):
        assert SECRET in data
    assert leaving(left, BOUNDS) == (left, media_type)


@pytest.mark.parametrize("name", FILES)
def test_a_cut_makes_the_same_bytes_again(name: str) -> None:
    data = FILES[name]
    left, _ = leaving(data, BOUNDS)
    found = cut(data, left)
    anew = name.startswith(("tiff", "bmp", "avif"))
    assert (found is None) == anew
    if found is not None:
        assert found.of(data) == left
    assert (found == Cut(0, len(data))) == (name == "plain")


def test_what_stops_a_receiver_is_taken_out() -> None:
    with pytest.raises(struct.error):
        shown(FILES["bad rational"])
    ((size, _),) = shown(leaving(FILES["bad rational"], BOUNDS)[0])
    assert size == (120, 160)


def test_a_profile_stays_where_it_is_of_these_pixels() -> None:
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        left, _ = leaving(encode(texture(1), kind, icc_profile=PROFILE), BOUNDS)
        with Image.open(io.BytesIO(left)) as image:
            assert image.info["icc_profile"] == PROFILE
    ink, _ = leaving(encode(texture(1).convert("CMYK"), "TIFF", icc_profile=PROFILE), BOUNDS)
    with Image.open(io.BytesIO(ink)) as image:
        assert image.mode == "RGB"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (clip("TIFF", [texture(1), texture(2)]), Reason.TOO_MANY_FRAMES),
        (clip("AVIF", [texture(1), texture(2)]), Reason.TOO_MANY_FRAMES),
        (encode(Image.fromarray(np.ones((40, 40), np.float32)), "TIFF"), Reason.UNSUPPORTED_MIME),
        (encode(texture(1), "JPEG")[:900], Reason.TRUNCATED),
    ],
    ids=["pages", "sequence", "floats", "cut"],
)
def test_what_cannot_leave_says_why(data: bytes, reason: Reason) -> None:
    with pytest.raises(ItemError) as caught:
        leaving(data, BOUNDS)
    assert caught.value.reason is reason


@pytest.mark.parametrize("name", ["jpeg", "mpo", "png", "webp", "gif", "bmp", "tiff", "tiff ink", "tiff deep", "avif"])
def test_a_longer_side_is_kept_within_bounds(name: str) -> None:
    data = FILES[name]
    left, media_type = leaving(data, BOUNDS, 48)
    ((size, _),), ((before, _), *_) = shown(left), shown(data)
    assert max(size) == 48
    assert abs(size[0] / size[1] - before[0] / before[1]) < 0.05
    assert media_type == ("image/jpeg" if name in ("jpeg", "mpo") else "image/png")
    for word in (SECRET, b"camera", b"xmpmeta"):
        assert word not in left
    assert leaving(left, BOUNDS, 48)[0] == left
    assert leaving(data, BOUNDS, 120) == leaving(data, BOUNDS)


def test_an_animation_is_left_out_where_it_is_too_large() -> None:
    with pytest.raises(ItemError, match="larger than 48 px"):
        leaving(FILES["gif moving"], BOUNDS, 48)
