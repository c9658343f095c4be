"""What leaves of a file shows the same, and says nothing else."""

import hashlib
import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from curate.errors import ItemError
from curate.features.inspect import FetchedBytes, Inspect
from curate.media import phash
from curate.media.decode import Bounds
from curate.media.leaving import MEDIA_TYPES, Cut, cut, leaving, of_decoded, treated
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
        assert image.get_format_mimetype() == media_type.replace(
            "png", "apng" if name in ("apng", "gif moving") else "png"
        )
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
    anew = name.startswith(("tiff", "bmp", "avif", "gif"))
    assert (found is None) == anew
    if found is not None:
        assert found.of(data) == left
    assert (found == Cut(0, len(data))) == (name == "plain")


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_an_animation_is_shown_as_before_and_as_long(disposal: int) -> None:
    first = Image.new("P", (40, 30), 1)
    first.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0, 0, 0, 250] + [9] * 756)
    frames = [first]
    for n in (2, 3, 1):
        frames.append(first.copy())
        frames[-1].paste(n, (n, n, 20 + n, 20))
    out = io.BytesIO()
    times = [40, 120, 1000, 70]
    first.save(out, "GIF", save_all=True, append_images=frames[1:], duration=times, disposal=disposal, loop=3)
    left, media_type = leaving(out.getvalue(), BOUNDS)
    assert media_type == "image/png"
    assert shown(left) == shown(out.getvalue())
    with Image.open(io.BytesIO(left)) as image:
        assert image.info["loop"] == 3
        found = []
        for number in range(4):
            image.seek(number)
            found.append(image.info["duration"])
        assert found == times


def test_an_animation_that_is_too_large_coded_anew_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.media.leaving.MOVING", 2 * 120 * 80 - 1)
    with pytest.raises(ItemError, match="2 frames of 120x80"):
        leaving(FILES["gif moving"], BOUNDS)
    assert leaving(FILES["webp moving"], BOUNDS)[1] == "image/webp"


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


STILLS = {name: data for name, data in FILES.items() if of_decoded(data, BOUNDS)}


def test_what_a_decode_told_before_is_what_an_export_would_find() -> None:
    assert {"jpeg", "mpo", "png", "webp", "preview", "bad rational"} <= STILLS.keys()
    assert not {"gif", "tiff", "bmp", "avif", "apng", "gif moving"} & STILLS.keys()
    for data in STILLS.values():
        assert of_decoded(data, BOUNDS) == treated(data, *leaving(data, BOUNDS))
        assert of_decoded(data, BOUNDS, 48) is None


def test_whatever_is_damaged_what_fetch_decoded_leaves_as_a_file_that_decodes() -> None:
    """A plain Pillow decodes each of them in full, as a receiver's does."""
    rng, work = np.random.default_rng(0), Inspect(BOUNDS, pdq=False, side=phash.SIDE, leaves=True)
    told = 0
    for data in STILLS.values():
        for _ in range(40):
            found = work(FetchedBytes(0, bad := damaged(data, rng))).leaves
            if found is not None and found.cut is not None:
                told += 1
                left = found.cut.of(bad)
                assert hashlib.sha256(left).hexdigest() == found.sha256
                with Image.open(io.BytesIO(left)) as image:
                    ImageOps.exif_transpose(image).convert("RGB")
    assert told > 20


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """With some bytes that are others, left out or put in."""
    found = bytearray(data)
    for at in rng.integers(2, len(data) - 8, rng.integers(1, 4)).tolist():
        size = int(rng.integers(1, 5))
        found[at : at + size] = rng.bytes(int(rng.choice([0, size, 2 * size])))
    return bytes(found)
