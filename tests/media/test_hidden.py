"""Whatever a file holds beside its picture is found, counted, or refused; and what is none of that costs nothing."""

import base64
import io
import random
import sys
import warnings
import zlib
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import pytest
from PIL import Image

from curate.errors import ItemError
from curate.media.decode import Bounds, open_image
from curate.media.hidden import DEPTH, OPAQUE, PREVIEWS, Hidden, inspect
from curate.media.marks import MARKS, marks
from curate.media.ranges import Budget
from curate.records import Reason
from tests.support import containers as c
from tests.support.pictures import encode, texture
from tests.support.places import PICTURES, PLACES

BOUNDS = Bounds()
HIDDEN = texture(2, (53, 41))
FORMATS = {
    "JPEG": {"quality": 90},
    "PNG": {},
    "GIF": {},
    "WEBP": {"quality": 90},
    "BMP": {},
    "TIFF": {},
    "AVIF": {"quality": 90},
}


@cache
def hidden(kind: str, size: tuple[int, int] = (53, 41)) -> bytes:
    return encode(HIDDEN.resize(size), kind, **FORMATS[kind])


def shows(found: Hidden, picture: Image.Image) -> bool:
    """Whether one of the pictures is this one."""
    seen = (open_image(one, Bounds(min_side=1)).convert("RGB") for one in found.pictures)
    wanted = np.asarray(picture.convert("RGB"), dtype=float)
    return any(one.size == picture.size and np.abs(np.asarray(one, dtype=float) - wanted).mean() < 12 for one in seen)


def refused(data: bytes, kind: str) -> tuple[Reason, str]:
    with pytest.raises(ItemError) as caught:
        inspect(data, kind, BOUNDS)
    return caught.value.reason, caught.value.detail


def opens(data: bytes, kind: str) -> None:
    """The file shows its own picture: no reader would take it for broken."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(data))
        assert image.format == kind or (kind, image.format) == ("JPEG", "MPO")
        image.load()
        assert image.size == c.SIZE


PAIRS = [
    pytest.param(place, form, marks=() if (n + m) % 3 == 0 else pytest.mark.soak)  # a third of them each time
    for n, place in enumerate(PLACES)
    for m, form in enumerate(FORMATS)
]


@pytest.mark.parametrize(("place", "form"), PAIRS)
def test_a_picture_is_found_wherever_it_lies(place: str, form: str) -> None:
    kind, write = PLACES[place]
    size = (24, 20) if form in ("BMP", "TIFF") else (53, 41)  # segments and tails are short
    data = write(hidden(form, size))
    opens(data, kind)
    assert shows(inspect(data, kind, BOUNDS), HIDDEN.resize(size))


@pytest.mark.parametrize("place", PICTURES)
def test_a_picture_without_a_signature_is_found(place: str) -> None:
    kind, write = PICTURES[place]
    data = write(HIDDEN)
    opens(data, kind)
    found = inspect(data, kind, BOUNDS)
    assert any(shows(found, one) for one in (HIDDEN, HIDDEN.resize(c.SIZE), HIDDEN.convert("L")))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_plain_file_holds_nothing(kind: str) -> None:
    assert inspect(encode(c.COVER, kind), kind, BOUNDS) == Hidden()


def test_what_is_shown_beside_the_colours_is_no_hidden_picture() -> None:
    """An alpha channel, an animation's frames and its still."""
    clear = c.COVER.convert("RGBA")
    clear.putalpha(c.COVER.convert("L"))
    assert inspect(encode(clear, "AVIF"), "AVIF", BOUNDS) == Hidden()
    for kind in ("AVIF", "PNG", "GIF", "WEBP"):
        out = io.BytesIO()
        clear.convert("RGB").save(out, kind, save_all=True, append_images=[texture(4, c.SIZE), texture(5, c.SIZE)])
        assert inspect(out.getvalue(), kind, BOUNDS).pictures == ()


@pytest.mark.parametrize("padding", [0, 1, 2, 3, 255, 4097])
def test_every_offset_is_one(padding: int) -> None:
    noise = random.Random(padding).randbytes(padding)
    for data in (c.jpeg_with(0xEA, noise + hidden("PNG")), c.jpeg_with(0xFE, noise + base64.b64encode(hidden("JPEG")))):
        assert shows(inspect(data, "JPEG", BOUNDS), HIDDEN)


def test_what_is_no_picture_spends_no_place_of_the_limit() -> None:
    decoys = b"\xff\xd8\xff" * 300 + b"GIF89a\0\1\0\1" * 300 + b"\x89PNG\r\n\x1a\n" * 300 + b"II*\0\x08\0\0\0" * 300
    found = inspect(c.jpeg_with(0xEA, decoys + hidden("JPEG")), "JPEG", BOUNDS)
    assert len(found.pictures) == 1
    assert shows(found, HIDDEN)


@pytest.mark.parametrize("where", ["inside", "behind", "both"])
def test_one_picture_too_many_is_refused_wherever_they_lie(where: str) -> None:
    small = [encode(texture(n, (16, 16)), "JPEG") for n in range(PREVIEWS + 1)]

    def file(count: int) -> bytes:
        inside = {"inside": count, "behind": 0, "both": count // 2}[where]
        return c.jpeg_with(0xEA, *small[:inside]) + b"".join(small[inside:count])

    assert len(inspect(file(PREVIEWS), "JPEG", BOUNDS).pictures) == PREVIEWS
    reason, detail = refused(file(PREVIEWS + 1), "JPEG")
    assert reason is Reason.HIDDEN_DATA
    assert str(PREVIEWS) in detail


def test_a_picture_that_only_breaks_when_it_is_decoded_is_none() -> None:
    cut = hidden("PNG", (200, 150))[:-4000]
    found = inspect(c.jpeg_with(0xEA, cut), "JPEG", BOUNDS)
    assert found == Hidden((), len(cut))


def test_a_decoder_that_raises_what_it_should_not_is_no_crash() -> None:
    """libavif's errors come as RuntimeError."""
    broken = bytearray(hidden("AVIF", (120, 90)))
    at = broken.find(b"mdat") + 6
    broken[at : at + 200] = b"\xff" * 200
    assert inspect(c.jpeg_with(0xEA, bytes(broken)), "JPEG", BOUNDS).pictures == ()


def test_a_jpeg_that_lacks_its_end_is_looked_at() -> None:
    cut = hidden("JPEG")[:-2]
    for data in (c.PNG + cut, c.png_with(b"prVt", cut)):
        (found,) = inspect(data, "PNG", BOUNDS).pictures
        image = Image.open(io.BytesIO(found))
        image.load()
        assert image.size == HIDDEN.size


def test_a_preview_that_is_too_large_to_look_at_refuses_the_file() -> None:
    data = c.jpeg_with(0xEA, encode(Image.new("L", (6000, 6000)), "PNG"))
    with pytest.raises(ItemError) as caught:
        inspect(data, "JPEG", Bounds(max_pixels=10_000_000))
    assert caught.value.reason is Reason.TOO_MANY_PIXELS


def wrapped(data: bytes, times: int) -> bytes:
    for _ in range(times):
        data = base64.b64encode(data)
    return data


def test_text_within_text_is_unwrapped_and_beyond_the_depth_refused() -> None:
    picture = hidden("WEBP")
    assert shows(inspect(c.jpeg_with(0xFE, wrapped(picture, DEPTH)), "JPEG", BOUNDS), HIDDEN)
    assert refused(c.jpeg_with(0xFE, wrapped(picture, DEPTH + 1)), "JPEG")[0] is Reason.HIDDEN_DATA


def test_streams_within_streams_are_unwrapped_and_beyond_the_depth_refused() -> None:
    def nested(times: int) -> bytes:
        data = hidden("WEBP")
        for _ in range(times):
            data = c.png_with(b"zTXt", b"a\0\0" + zlib.compress(data))
        return data

    assert shows(inspect(nested(DEPTH), "PNG", BOUNDS), HIDDEN)
    reason, detail = refused(nested(DEPTH + 1), "PNG")
    assert reason is Reason.HIDDEN_DATA
    assert "deep" in detail


@pytest.mark.parametrize("before", range(6))
def test_encoded_text_may_begin_right_behind_other_letters(before: int) -> None:
    for text in (base64.b64encode(hidden("JPEG")), hidden("JPEG").hex().encode()):
        assert shows(inspect(c.jpeg_with(0xFE, b"abcdef"[:before] + text), "JPEG", BOUNDS), HIDDEN)


def test_many_first_letters_hide_no_mark_and_many_marks_are_refused() -> None:
    letters = b"BMGIRIIIMMft\xff\xd8\x89P" * 1000
    data, places = letters, []
    for kind in FORMATS:
        places.append((len(data), kind))
        data += hidden(kind) + letters
    found = list(marks(data, Budget(10**8, 100)))
    assert set(places) <= set(found)
    with pytest.raises(ItemError):
        list(marks(b"II*\0" * (MARKS + 1), Budget(10**8, 100)))


def test_pictures_within_pictures_are_walked_too() -> None:
    inner = c.png_with(b"zTXt", b"a\0\0" + zlib.compress(hidden("GIF")))
    middle = c.gif_with(b"!\xfe" + c.blocks(inner))
    found = inspect(c.JPEG + c.jpeg_with(0xFE, base64.b64encode(middle)), "JPEG", BOUNDS)
    assert shows(found, HIDDEN)
    assert len(found.pictures) == 4


def test_opaque_bytes_are_kept_up_to_the_limit() -> None:
    noise = random.Random(1).randbytes(60_000)
    four, five = (c.jpeg_with(0xEA, *[noise] * count) for count in (4, 5))
    assert inspect(four, "JPEG", BOUNDS) == Hidden((), 240_000)
    reason, detail = refused(five, "JPEG")
    assert reason is Reason.HIDDEN_DATA
    assert "300000" in detail
    large = encode(Image.effect_noise((1200, 1000), 90), "BMP")  # a quarter of a file of 1.2 MB is more than OPAQUE
    assert inspect(c_gap(large, noise * 5), "BMP", BOUNDS).opaque == 300_000 > OPAQUE


def c_gap(bmp: bytes, gap: bytes) -> bytes:
    offset = int.from_bytes(bmp[10:14], "little")
    return bmp[:10] + (offset + len(gap)).to_bytes(4, "little") + bmp[14:offset] + gap + bmp[offset:]


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        (bytes(60_000), False),
        (b"\xff" * 60_000, False),
        ("Grüße aus dem Süden. ".encode() * 2000, False),
        ("caf\xe9 ".encode("latin-1") * 2000, True),
        (random.Random(2).randbytes(60_000), True),
    ],
)
def test_what_is_harmless_is_so_by_content(body: bytes, counts: bool) -> None:
    """Text is not what lies in a comment, nor a profile what lies in a profile's place."""
    for data in (
        c.jpeg_with(0xEA, body), c.jpeg_with(0xFE, body), c.jpeg_with(0xE2, b"ICC_PROFILE\0\x01\x01" + body),
    ):  # fmt: skip
        assert inspect(data, "JPEG", BOUNDS).opaque == len(body) * counts


def test_a_profile_is_harmless_and_one_with_more_behind_it_is_not() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert inspect(c.jpeg_with(0xE2, b"ICC_PROFILE\0\x01\x01" + profile), "JPEG", BOUNDS).opaque == 0
    more = profile + random.Random(3).randbytes(500)
    assert inspect(c.jpeg_with(0xE2, b"ICC_PROFILE\0\x01\x01" + more), "JPEG", BOUNDS).opaque == len(more)


def test_more_in_a_stream_or_a_scan_than_it_needs_is_opaque() -> None:
    noise = random.Random(6).randbytes(60_000).replace(b"\xff", b"x")
    for chunk in ((b"zTXt", b"a\0\0" + zlib.compress(b"hello") + noise), (b"prVt", zlib.compress(b"hello") + noise)):
        assert inspect(c.png_with(*chunk), "PNG", BOUNDS).opaque >= len(noise)
    scan = c.JPEG[:-2] + noise + c.JPEG[-2:]
    assert 0 < inspect(scan, "JPEG", BOUNDS).opaque < len(noise)
    preview = c.jpeg_with(0xEA, hidden("JPEG")[:-2] + noise)  # which goes on for as long as no marker ends it
    assert inspect(preview, "JPEG", BOUNDS).opaque > len(noise) // 2


def test_a_preview_is_no_opaque_metadata_but_what_lies_in_it_is() -> None:
    noise = random.Random(4).randbytes(20_000)
    preview = c.jpeg_with(0xEA, noise, jpeg=encode(texture(3, (400, 300)), "JPEG", quality=95))
    found = inspect(c.jpeg_with(0xEB, b"vendor", preview), "JPEG", BOUNDS)
    assert (len(found.pictures), found.opaque) == (1, len(noise))


@pytest.mark.parametrize("kind", FORMATS)
def test_tails_are_let_pass_only_as_far_as_cameras_leave_them(kind: str) -> None:
    data = encode(c.COVER, kind)
    noise = random.Random(5).randbytes(4096).replace(b"\xff", b"x")
    assert inspect(data + b"\x01" + noise[1:], kind, BOUNDS).opaque == 4096
    assert inspect(data + bytes(50_000), kind, BOUNDS) == Hidden()
    assert refused(data + noise + b"more", kind) == (Reason.POLYGLOT, "4100 bytes after its end")
    assert refused(data + hidden("JPEG") + noise + b"more", kind)[0] is Reason.POLYGLOT
    assert refused(data + b"\xff\xd8\xff\xe0 the rest is lost", kind)[0] is Reason.POLYGLOT


def calls(work: Callable[[], object]) -> int:
    """How many calls, of Python's functions and of C's, a piece of work makes."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(note)
    try:
        work()
    except ItemError:
        pass
    finally:
        sys.setprofile(None)
    return count


def tiff_chain(count: int) -> bytes:
    """A TIFF one tag of which names so many directories."""
    inner = b"".join(c.directory(8 + 90 * n, [c.long(256, n)]).ljust(90, b"\0") for n in range(count))
    at = 8 + len(inner)
    return (
        c.HEAD[:4]
        + at.to_bytes(4, "little")
        + inner
        + c.directory(at, [c.long(330, *(8 + 90 * n for n in range(count)))])
    )


MANY: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "tail JPEGs": ("JPEG", lambda n: c.JPEG + hidden("JPEG", (8, 8)) * n),
    "broken JPEGs": ("JPEG", lambda n: c.JPEG + c.JPEG[:200] * (n // 2)),
    "segments": ("JPEG", lambda n: c.jpeg_with(0xEA, *[b"x"] * n)),
    "scans": ("JPEG", lambda n: c.JPEG[:-2] + c.JPEG[c.JPEG.index(b"\xff\xda") :][:-2] * n),
    "chunks": ("PNG", lambda n: c.png_with(b"prVt", b"").replace(b"IEND", b"IEND") + c.chunk(b"prVt", b"") * n),
    "IDATs": ("PNG", lambda n: c.png_of(zlib.compress(c.rows(c.COVER)), *[b"x"] * n)),
    "blocks": ("GIF", lambda n: c.gif_with((b"!\xfe" + c.blocks(b"x")) * n)),
    "sub-blocks": ("GIF", lambda n: c.gif_with(b"!\xfe" + b"\1x" * n + b"\0")),
    "RIFF chunks": ("WEBP", lambda n: c.webp(*[c.riff(b"VNDR", b"")] * n)),
    "directories": ("TIFF", tiff_chain),
    "boxes": ("AVIF", lambda n: c.AVIF + c.box(b"free", b"") * n),
    "items": ("AVIF", lambda n: c.avif_of([c.ITEM, *[(b"vndr", b"x", [])] * n])),
    "words": ("JPEG", lambda n: c.jpeg_with(0xFE, b"word " * n)),
    "spaces": ("JPEG", lambda n: c.jpeg_with(0xFE, b"\n" + b" " * n + b"x")),
}


@pytest.mark.parametrize("what", MANY)
def test_work_grows_no_faster_than_the_file(what: str) -> None:
    kind, write = MANY[what]
    few, many = write(200), write(800)  # more than are tried of what begins as a picture does and is none
    calls(lambda: inspect(few, kind, BOUNDS))  # what is imported once
    assert calls(lambda: inspect(many, kind, BOUNDS)) < 5 * calls(lambda: inspect(few, kind, BOUNDS))


def test_more_of_a_kind_than_any_file_has_is_refused_while_it_is_counted() -> None:
    various = b"".join(encode(texture(n, (8, 8)), "JPEG") for n in range(PREVIEWS + 1))
    for data in (c.JPEG + various * 500, c.JPEG + hidden("JPEG", (8, 8)) * 3_000):
        assert refused(data, "JPEG")[0] in (Reason.HIDDEN_DATA, Reason.TOO_LARGE)
        assert calls(partial(inspect, data, "JPEG", BOUNDS)) < 100_000
    leading_on = c.jpeg_with(0xEA, *[b"\xff\xd8\xff\xe0" * 100] * 210)
    assert refused(leading_on, "JPEG")[0] is Reason.HIDDEN_DATA
    assert refused(c.JPEG + hidden("PNG", (8, 8)) * 200, "JPEG")[1] == "more than 128 places where a picture begins"
    assert refused(tiff_chain(20_000), "TIFF")[0] is Reason.HIDDEN_DATA
    assert refused(MANY["scans"][1](300), "JPEG") == (Reason.TOO_LARGE, "more than 200 scans")
    assert refused(c.png_with(b"prVt", b"") + c.chunk(b"prVt", b"") * 201_000, "PNG")[0] is Reason.HIDDEN_DATA
    bomb = c.png_with(b"zTXt", b"a\0\0" + zlib.compress(bytes(130 * 2**20), 1))
    assert refused(bomb, "PNG")[0] is Reason.HIDDEN_DATA


def test_two_megabytes_of_text_cost_no_picture() -> None:
    text = zlib.compress(b"node " * 400_000)
    assert inspect(c.png_with(b"zTXt", b"workflow\0\0" + text), "PNG", BOUNDS) == Hidden()
