"""Every byte of a file belongs to exactly one range, whatever the file has become."""

import io
import zlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.errors import ItemError
from curate.media.decode import Bounds
from curate.media.hidden import inspect
from curate.media.ranges import Budget, Kind, Range, end_of, jpeg, walk
from tests.support import containers as c
from tests.support.pictures import encode, photograph, texture
from tests.support.places import PICTURES, PLACES

ONE, TWO = photograph("coffee.png").resize((150, 100)), photograph("chelsea.png").resize((150, 100))
HIDDEN = encode(texture(2, (24, 20)), "JPEG")


def saved(kind: str, *more: Image.Image, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    pages: dict[str, Any] = {"save_all": True, "append_images": [one.copy() for one in more]} if more else {}
    ONE.convert(mode).copy().save(out, kind, **pages, **options)
    return out.getvalue()


REAL: dict[str, tuple[str, bytes]] = {
    "JPEG": ("JPEG", saved("JPEG")),
    "JPEG progressive": ("JPEG", saved("JPEG", progressive=True)),
    "JPEG restarts": ("JPEG", saved("JPEG", restart_marker_blocks=3)),
    "JPEG with EXIF": ("JPEG", c.jpeg_with(0xE1, b"Exif\0\0" + c.exif(HIDDEN))),
    "MPO": ("MPO", saved("MPO", TWO)),
    "PNG": ("PNG", saved("PNG")),
    "PNG interlaced": ("PNG", c.PNG[:28] + b"\1" + zlib.crc32(c.PNG[12:28] + b"\1").to_bytes(4, "big") + c.PNG[33:]),
    "PNG of 16 bits": ("PNG", saved("PNG", mode="I;16")),
    "PNG of 1 bit": ("PNG", saved("PNG", mode="1")),
    "APNG": ("PNG", saved("PNG", TWO, TWO.rotate(90), default_image=True)),
    "GIF": ("GIF", saved("GIF", TWO)),
    "WebP": ("WEBP", saved("WEBP")),
    "WebP animated": ("WEBP", saved("WEBP", TWO, exif=c.exif(HIDDEN))),
    "WebP lossless": ("WEBP", saved("WEBP", lossless=True, mode="RGBA")),
    "BMP": ("BMP", saved("BMP")),
    "BMP with a palette": ("BMP", saved("BMP", mode="P")),
    "TIFF": ("TIFF", saved("TIFF", TWO)),
    "TIFF of tiles and JPEGs": ("TIFF", saved("TIFF", TWO, compression="jpeg")),
    "BigTIFF": ("TIFF", saved("TIFF", big_tiff=True, compression="tiff_lzw")),
    "AVIF": ("AVIF", saved("AVIF", mode="RGBA", exif=c.exif(HIDDEN))),
    "AVIF sequence": ("AVIF", saved("AVIF", TWO)),
    **{name: (kind, write(HIDDEN)) for name, (kind, write) in PLACES.items()},
    **{name: (kind, write(texture(2, (24, 20)))) for name, (kind, write) in PICTURES.items()},
}


def ranges(data: bytes, kind: str) -> list[Range]:
    return walk(data, kind, Budget(10**7, 100))


def covers(found: list[Range], size: int) -> bool:
    """Sorted, adjacent, none empty, from 0 to the size."""
    ends = [0, *(one.end for one in found)]
    return ends[-1] == size and all(a == one.begin < one.end for a, one in zip(ends, found, strict=False))


@pytest.mark.parametrize("name", REAL)
def test_the_ranges_cover_the_file(name: str) -> None:
    kind, data = REAL[name]
    assert covers(ranges(data, kind), len(data))
    assert covers(ranges(data + b"more", kind), len(data) + 4)


@pytest.mark.parametrize("name", [name for name in REAL if name not in PLACES and name not in PICTURES])
def test_most_of_a_plain_file_is_its_pixels_and_nothing_is_unknown(name: str) -> None:
    kind, data = REAL[name]
    found = ranges(data, kind)
    sizes = dict.fromkeys(Kind, 0)
    for one in found:
        sizes[one.kind] += one.end - one.begin
    if name not in ("JPEG with EXIF", "WebP animated", "AVIF"):  # which hold some
        assert sizes[Kind.OPAQUE] + sizes[Kind.PICTURE] < 64
    assert sizes[Kind.PIXELS] > (0.6 if len(data) > 8000 else 0.3) * end_of(data, kind, Budget(10**7, 100))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(REAL)), st.data())
def test_damaged_files_have_ranges_or_a_reason(name: str, draw: st.DataObject) -> None:
    """Bytes flipped, cut out, cut off, doubled."""
    kind, data = REAL[name]
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(data)))
        size = draw.draw(st.integers(0, 40))
        act = draw.draw(st.sampled_from(["flip", "drop", "cut", "double", "fill"]))
        if act == "cut":
            data = data[:at]
        else:
            noise = draw.draw(st.binary(min_size=size, max_size=size))
            doubled = data[at : at + size] * 2
            put = {"flip": noise, "drop": b"", "double": doubled, "fill": b"\xff" * size}[act]
            data = data[:at] + put + data[at + size :]
    with suppress(ItemError):
        assert covers(ranges(data, kind), len(data))
    with suppress(ItemError):
        assert inspect(data, kind, Bounds(10**7, 1)) is not None


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_at_all_are_a_crash(kind: str, noise: bytes) -> None:
    start = REAL[{"JPEG": "JPEG", "MPO": "MPO", "WEBP": "WebP"}.get(kind, kind)][1]
    for data in (noise, start[:12] + noise, start[:40] + noise):
        with suppress(ItemError):
            assert covers(ranges(data, kind), len(data))


def test_offsets_that_loop_or_lead_outside_are_no_crash() -> None:
    loop = (
        c.HEAD[:4]
        + b"\x08\0\0\0"
        + c.directory(8, c.layout(c.COVER, 200), after=8).ljust(192, b"\0")
        + c.COVER.tobytes()
    )
    assert covers(ranges(loop, "TIFF"), len(loop))
    for offset in (0, 7, 2**31, 2**32 - 1):
        outside = c.tiff(c.long(330, offset), c.long(34665, 8), c.data_tag(65000, b"x" * 30))
        assert covers(ranges(outside, "TIFF"), len(outside))
    overlap = c.tiff(c.long(330, 8, 8, 12, 40))
    assert covers(ranges(overlap, "TIFF"), len(overlap))
    shared = c.avif_of([c.ITEM]).replace(b"\0\1\0\0\0", b"\0\1\xff\xff\xff")
    for data in (shared, c.AVIF.replace(b"iloc", b"iinf"), c.AVIF.replace(b"pitm", b"iloc")):
        with suppress(ItemError):
            assert covers(ranges(data, "AVIF"), len(data))


def test_odd_but_decodable_headers_are_walked() -> None:
    for data in (
        c.jpeg_with(0xE0, b"JFIF\0"),
        c.jpeg_with(0xED, b"Photoshop 3.0\x008BIM\x04\x0c"),
        c.jpeg_with(0xEE, b"Adobe"),
    ):
        assert inspect(data, "JPEG", Bounds()).pictures == ()


def test_nested_structures_are_named_by_where_they_lie() -> None:
    names = {one.name for one in ranges(c.jpeg_with(0xE1, b"Exif\0\0" + c.exif(HIDDEN)), "JPEG")}
    assert {"EXIF tag 271", "EXIF tag 37500", "scan"} <= names


def test_a_jpeg_that_is_walked_again_has_the_same_segments_at_the_same_price() -> None:
    data, other = saved("JPEG"), saved("JPEG", mode="L")
    first = list(jpeg.segments(data, Budget(0, 0)))
    assert next(jpeg.segments(other, Budget(0, 0))) == next(jpeg.segments(bytes(bytearray(other)), Budget(0, 0)))
    assert list(jpeg.segments(data, Budget(0, 0))) == first == list(jpeg.segments(bytes(bytearray(data)), Budget(0, 0)))
    assert list(jpeg.segments(other, Budget(0, 0))) != first
    for _ in range(2):
        budget = Budget(0, 0, steps=len(first) - 1)
        with pytest.raises(ItemError):
            list(jpeg.segments(data, budget))
        assert list(jpeg.segments(data, Budget(0, 0))) == first
