"""Each way in which a viewer may show a file: a picture that is visible in that way only is found in it, and is not
found in what we show ourselves."""

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageFilter

from curate.media import colour, pdq, profiles, renderings
from curate.media.parts import parts
from tests.support.hiding import (
    BOUNDS,
    COVER,
    FALLING,
    SIZES,
    SRGB_CURVE,
    WHITE,
    Make,
    array,
    bitmap,
    broken_app0,
    chunk,
    curve,
    found_in,
    grey,
    grey_cube,
    inverting,
    negative,
    pq,
    saved,
    shaper,
    table,
    transferred,
    with_chunk,
    with_nclx,
)
from tests.support.pictures import photograph


def falling(kind: str) -> Make:
    return lambda p: saved(negative(p).convert("RGB"), kind, icc_profile=inverting(b"RGB "))


def shown_by(profile: bytes) -> Make:
    return lambda p: saved(negative(p).convert("RGB"), "PNG", icc_profile=profile)


def with_class(profile: bytes, name: str) -> bytes:
    return profile[:12] + name.encode() + profile[16:]


def profiles_with(profile: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """An RGB profile with more tags behind its own."""
    count = int.from_bytes(profile[128:132], "big")
    own = [profile[at : at + 12] for at in range(132, 132 + 12 * count, 12)]
    spans = [(one[:4], int.from_bytes(one[4:8], "big"), int.from_bytes(one[8:], "big")) for one in own]
    return profiles.written(b"RGB ", [*((name, profile[at : at + size]) for name, at, size in spans), *more])


def pieces(*of: tuple[int, int, bytes]) -> bytes:
    """A JPEG's segments with pieces of profiles: the number of each, and of how many it says it is."""
    return b"".join(
        b"\xff\xe2" + struct.pack(">H", len(body) + 16) + b"ICC_PROFILE\0" + bytes((number, count)) + body
        for number, count, body in of
    )


def before(data: bytes, mark: bytes, new: bytes) -> bytes:
    at = data.index(mark)
    return data[:at] + new + data[at:]


SRGB = shaper(SRGB_CURVE)
GAMMA = profiles.made(2.2, profiles._SRGB) or b""
FALLS = (b"rTRC", b"gTRC", b"bTRC")
REFUSED = {  # by lcms, and taken by a browser
    "of more than 100 tags": shaper(SRGB_CURVE[::-1], *((b"z%03d" % n, b"text\0\0\0\0a\0\0\0") for n in range(100))),
    "of a tag twice": profiles_with(shaper(SRGB_CURVE[::-1]), (b"wtpt", WHITE[1])),
    "of another curve behind the first": profiles_with(
        shaper(SRGB_CURVE[::-1]), *((n, curve(*SRGB_CURVE)) for n in FALLS)
    ),
    "of long curves": shaper(np.repeat(SRGB_CURVE[::-1], 160).tolist()),
    **{f"of class {one}": with_class(inverting(b"RGB "), one) for one in ("abst", "link", "nmcl", "what")},
    "with a table that only some know": shaper(SRGB_CURVE, (b"D2B0", b"mpet" + bytes(60)), table(FALLING)),
}


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
    **{f"profile, {name}": shown_by(one) for name, one in REFUSED.items()},
    "profile behind a JPEG's frame header": lambda p: before(
        saved(negative(p), "JPEG"), b"\xff\xda", pieces((1, 1, inverting()))
    ),
    "profile, the first of two": lambda p: before(
        saved(negative(p), "JPEG"), b"\xff\xdb", pieces((1, 1, inverting()), (1, 1, GAMMA))
    ),
    "profile, the last of two": lambda p: before(
        saved(negative(p), "JPEG"), b"\xff\xdb", pieces((1, 1, GAMMA), (1, 1, inverting()))
    ),
    "profile, a piece of two alone": lambda p: before(
        saved(negative(p), "JPEG"), b"\xff\xdb", pieces((1, 2, inverting()))
    ),
    "profile beside a cICP that says sRGB": lambda p: with_chunk(
        saved(negative(p), "PNG", icc_profile=inverting()), chunk(b"cICP", b"\1\x0d\0\1")
    ),
    "gAMA beside a profile": lambda p: with_chunk(
        saved(transferred(p, lambda x: x ** (1 / 9)), "PNG", icc_profile=GAMMA),
        chunk(b"gAMA", struct.pack(">I", 100_000 // 9)),
    ),
    "nclx, PQ, beside a profile": lambda p: with_nclx(
        saved(transferred(p, pq).convert("RGB"), "AVIF", quality=95, icc_profile=SRGB), 1, 16
    ),
}  # fmt: skip


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
