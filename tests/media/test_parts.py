"""All of a file is hashed, what is something else as well is refused, and every odd image has its treatment."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from curate.errors import ItemError
from curate.features.inspect import FetchedBytes, Inspect
from curate.media import pdq, phash
from curate.media.decode import Bounds, open_image, scaled
from curate.media.parts import parts
from curate.media.ranges import Budget, end_of
from curate.records import Reason
from tests.support import screened
from tests.support.pictures import encode, photograph, texture

SIZE = (320, 240)
ONE, TWO = photograph("coffee.png").resize(SIZE), photograph("chelsea.png").resize(SIZE)
INTAKE = Inspect(Bounds(min_side=1))
BUDGET = Budget(10**8, 100, steps=10**9, scans=10**9)


def saved(first: Image.Image, kind: str, *more: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    extra: dict[str, Any] = {"save_all": True, "append_images": list(more)} if more else {}
    first.save(out, kind, **extra, **options)
    return out.getvalue()


def near(found: tuple[pdq.Pdq, ...], picture: Image.Image) -> list[str]:
    """The parts that show the picture, in whichever orientation."""
    wanted = pdq.compute(picture.convert("RGB")).array[0]
    return [one.part for one in found if np.bitwise_count(one.array ^ wanted).sum(axis=1).min() <= pdq.RADIUS]


def looked(data: bytes) -> tuple[pdq.Pdq, ...]:
    """What screening sees of a file: at fetch and whenever it is looked at again, which is the same."""
    look = INTAKE(FetchedBytes(0, data))
    assert look.failure is None, look.failure
    assert look.pdq == parts(data, INTAKE.bounds)
    return look.pdq


def refused(data: bytes) -> tuple[Reason, str]:
    failure = INTAKE(FetchedBytes(0, data)).failure
    assert failure is not None
    return failure.reason, failure.detail


# -- all of the file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_a_picture_in_a_late_frame_is_found(kind: str) -> None:
    frames = [texture(seed, SIZE) for seed in range(5)] + [TWO]
    found = looked(saved(ONE, kind, *frames))
    assert near(found, ONE)[0] == "main"
    assert near(found, TWO) == ["frame:6"]


def test_every_page_of_a_tiff_is_hashed() -> None:
    found = looked(saved(ONE, "TIFF", texture(1, (90, 70)), TWO.convert("L")))
    assert [one.part for one in found] == ["main", "page:1", "page:2"]
    assert near(found, TWO) == ["page:2"]


def chained(pages: list[bytes]) -> bytes:
    """TIFFs of one page each as one file, as libtiff writes it: one header, each directory behind its strips."""
    out = bytearray(pages[0][:4] + bytes(4))
    link = 4
    for page in pages:
        base, at = len(out), int.from_bytes(page[4:8], "little")
        out += page
        for place in range(base + at + 2, base + at + 2 + 12 * int.from_bytes(page[at : at + 2], "little"), 12):
            tag, kind, count = struct.unpack_from("<HHI", out, place)
            sizes = {3: 2, 4: 4, 5: 8}
            long = count * sizes.get(kind, 1) > 4
            if long or tag == 273:
                value = struct.unpack_from("<I", out, place + 8)[0] + base
                struct.pack_into("<I", out, place + 8, value)
            if long and tag == 273:
                moved = [one + base for one in struct.unpack_from(f"<{count}I", out, value)]
                struct.pack_into(f"<{count}I", out, value, *moved)
        out[base : base + 8] = bytes(8)  # the header of the page alone
        struct.pack_into("<I", out, link, base + at)
        link = base + at + 2 + 12 * int.from_bytes(page[at : at + 2], "little")
    return bytes(out)


SCANS = {"raw": "RGB", "jpeg": "RGB", "tiff_lzw": "L", "tiff_adobe_deflate": "RGB", "group4": "1"}


@pytest.mark.parametrize("appended", [True, False])
@pytest.mark.parametrize("compression", SCANS)
@pytest.mark.parametrize("count", [2, 40, 100, 101])
def test_scans_of_many_pages_are_ordinary_up_to_the_limit_of_frames(
    count: int, compression: str, appended: bool
) -> None:
    """Also where each page was appended as a file of its own, whose header stays behind (Pillow)."""
    pages = [texture(n, (100, 80)).convert(SCANS[compression]) for n in range(count)]
    if appended:
        data = saved(pages[0], "TIFF", *pages[1:], compression=compression)
    else:
        data = chained([saved(one, "TIFF", compression=compression) for one in pages])
    assert Image.open(io.BytesIO(data)).n_frames == count  # type: ignore[attr-defined]
    assert data.count(b"II*\0") == (count if appended else 1)
    for intake in (INTAKE, Inspect(INTAKE.bounds, pdq=False)):
        look = intake(FetchedBytes(0, data))
        if count > INTAKE.bounds.max_frames:
            assert look.failure is not None
            assert (look.failure.reason, look.failure.detail) == (Reason.TOO_MANY_FRAMES, "more than 100")
        else:
            assert look.failure is None, look.failure
            assert look.sample is not None
            assert look.sample.frames == count
            assert len(look.pdq) == (count if intake.pdq else 0)


@pytest.mark.parametrize("listing", [True, False])
def test_what_is_listed_is_found_on_page_37_of_40(tmp_path: Path, listing: bool) -> None:
    pages = [texture(n, (100, 80)) for n in range(39)]
    screened.configure(tmp_path, *(() if listing else ("required = false", "")))
    screened.listed(tmp_path, [screened.hash_of(TWO)])
    screened.put(tmp_path, "scan.tiff", saved(pages[0], "TIFF", *pages[1:36], TWO, *pages[36:]))
    screened.put(tmp_path, "other.tiff", saved(pages[0], "TIFF", *pages[1:]))
    totals, said = screened.fetched(tmp_path)
    assert bool(said) is listing
    assert (totals["stored"], totals["reasons"]) == ((1, {"gate_match": 1}) if listing else (2, {}))


def test_a_header_in_a_tiff_that_leads_to_no_page_is_a_picture_beside_it() -> None:
    """What one more header makes of a page is not looked at, what it makes of anything else is."""
    inner = saved(TWO, "TIFF")
    data = saved(ONE, "TIFF", texture(1, (90, 70))) + inner
    assert near(looked(data), TWO) == ["preview:0"]


@pytest.mark.parametrize("size", [(200, 2), (1, 200), (4, 4)])
def test_a_picture_too_small_for_pdq_has_its_main_part(size: tuple[int, int]) -> None:
    (one,) = looked(encode(texture(3, size), "PNG"))
    assert (one.part, one.quality, any(one.hashes)) == ("main", 0, False)


def test_too_many_frames_are_refused() -> None:
    data = saved(ONE.resize((20, 20)), "GIF", *(texture(n, (20, 20)) for n in range(100)))
    assert refused(data) == (Reason.TOO_MANY_FRAMES, "more than 100")
    many = Inspect(Bounds(max_pixels=2000))
    failure = many(
        FetchedBytes(0, saved(texture(1, (40, 40)), "GIF", *(texture(n, (40, 40)) for n in range(9))))
    ).failure
    assert failure is not None
    assert failure.reason is Reason.TOO_MANY_PIXELS


def test_what_lies_under_transparency_is_hashed() -> None:
    clear = ONE.convert("RGBA")
    clear.putalpha(0)
    assert near(looked(saved(clear, "PNG")), ONE) == ["main:alpha:rgb"]
    mask = Image.new("RGBA", SIZE, "white")
    mask.putalpha(ONE.convert("L"))
    assert "main:alpha:black" in near(looked(saved(mask, "PNG")), ONE.convert("L"))


def test_an_opaque_alpha_channel_hides_nothing() -> None:
    assert [one.part for one in looked(saved(ONE.convert("RGBA"), "PNG"))] == ["main"]


def test_an_exif_thumbnail_of_another_picture_is_hashed() -> None:
    thumbnail = saved(TWO.resize((160, 120)), "JPEG", quality=80)
    ifd = TiffImagePlugin.ImageFileDirectory_v2()
    ifd[0x0201] = 0
    body = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail
    for kind in ("JPEG", "WEBP"):
        assert near(looked(saved(ONE, kind, exif=body)), TWO) == ["preview:0"], kind


def test_the_second_picture_of_an_mpo_is_hashed() -> None:
    data = saved(ONE, "MPO", TWO)
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert near(looked(data), TWO) == ["preview:0"]
    bare = saved(ONE, "JPEG") + bytes(512) + saved(TWO, "JPEG")  # without an index: only a reader of bytes meets it
    assert near(looked(bare), TWO) == ["preview:0"]


# -- polyglots -------------------------------------------------------------------------------------------------------


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        zipped.writestr("a.txt", "hello")
    return out.getvalue()


KINDS = {
    "JPEG": saved(ONE, "JPEG"),
    "progressive": saved(ONE, "JPEG", progressive=True),
    "restarts": saved(ONE, "JPEG", restart_marker_blocks=4),
    "PNG": saved(ONE, "PNG"),
    "GIF": saved(ONE, "GIF"),
    "animated GIF": saved(ONE, "GIF", TWO),
    "WEBP": saved(ONE, "WEBP"),
    "animated WEBP": saved(ONE, "WEBP", TWO),
    "BMP": saved(ONE, "BMP"),
    "TIFF": saved(ONE, "TIFF", TWO, compression="tiff_deflate"),
    "AVIF": saved(ONE, "AVIF"),
}


@pytest.mark.parametrize("name", KINDS)
def test_where_an_image_ends(name: str) -> None:
    data = KINDS[name]
    kind = Image.open(io.BytesIO(data)).format or ""
    end = end_of(data, kind, BUDGET)
    assert len(data) - end == (2 if name == "TIFF" else 0), "Pillow pads a TIFF's last page"
    for junk in (b"\1" * 3000, b"\1" * 9000):
        assert end_of(data + junk, kind, BUDGET) == end


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("more", "says"),
    [
        (archive(), "ZIP"),
        (b"<script>alert(1)</script>", "script"),
        (b"*/=1;alert(1)" + b"//" * 3000, "bytes after its end"),
        (b"\0\0%PDF-1.4 ...", "something else"),
        (b"\0\0\0\x18ftypmp42" + bytes(100), "something else"),
        (bytes(range(1, 255)) * 20, "bytes after its end"),
    ],
)
def test_what_is_something_else_as_well_is_refused(name: str, more: bytes, says: str) -> None:
    reason, detail = refused(KINDS[name] + more)
    assert reason is Reason.POLYGLOT
    assert says in detail


@pytest.mark.parametrize("name", KINDS)
def test_padding_and_a_cameras_trailer_are_let_pass(name: str) -> None:
    for more in (bytes(20_000), b"Image_UTC_Data1700000000" + b"SEFT" * 20):
        assert INTAKE(FetchedBytes(0, KINDS[name] + more)).failure is None


def test_polyglots_that_hide_in_metadata() -> None:
    body = KINDS["JPEG"]
    comment = archive()
    inside = body[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + body[2:]
    assert zipfile.is_zipfile(io.BytesIO(inside[:-1] + body[-1:]))
    assert refused(inside) == (Reason.POLYGLOT, "a ZIP archive as well")
    script = body[:2] + b"\xff\xe0/*" + bytes(0x2F2A - 2) + body[2:]
    assert refused(script) == (Reason.POLYGLOT, "a script as well")


def test_a_zips_four_bytes_by_chance_are_no_zip() -> None:
    body = KINDS["JPEG"]
    stray = b"PK\x05\x06" + b"\xaa" * 40
    assert (
        INTAKE(FetchedBytes(0, body[:2] + b"\xff\xfe" + struct.pack(">H", len(stray) + 2) + stray + body[2:])).failure
        is None
    )


@pytest.mark.parametrize("name", [name for name in KINDS if name != "BMP"])
def test_cut_at_60_percent_is_refused(name: str) -> None:
    reason, _ = refused(KINDS[name][: len(KINDS[name]) * 6 // 10])
    assert reason in (Reason.TRUNCATED, Reason.DECODE_ERROR)


# -- odd images ------------------------------------------------------------------------------------------------------


def palette() -> Image.Image:
    image = ONE.convert("P", palette=Image.Palette.ADAPTIVE)
    image.info["transparency"] = bytes(128) + b"\xff" * 128
    return image


ODD = {
    "1x1": (saved(Image.new("RGB", (1, 1), "red"), "PNG"), "flat"),
    "16-bit grey": (saved(Image.fromarray(np.asarray(ONE.convert("L")).astype(np.uint16) * 257), "PNG"), "picture"),
    "CMYK": (saved(ONE.convert("CMYK"), "JPEG", quality=95), "picture"),
    "CMYK TIFF": (saved(ONE.convert("CMYK"), "TIFF"), "picture"),
    "bilevel": (saved(ONE.convert("1"), "PNG"), "picture"),
    "grey with alpha": (saved(ONE.convert("LA"), "PNG"), "picture"),
    "palette with transparency": (saved(palette(), "PNG", transparency=bytes(128) + b"\xff" * 128), "hidden"),
    "YCCK": (saved(ONE.convert("CMYK"), "JPEG", quality=75), "picture"),
    "AVIF": (saved(ONE, "AVIF", quality=90), "picture"),
}


@pytest.mark.parametrize("name", ODD)
def test_every_odd_image_has_its_treatment(name: str) -> None:
    data, treatment = ODD[name]
    found = looked(data)
    if treatment == "flat":
        assert [(one.part, one.quality) for one in found] == [("main", 0)]
    else:
        assert near(found, ONE)[0] == {"picture": "main", "hidden": "main:alpha:rgb"}[treatment]


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("size", [(1283, 965), (320, 240)])
def test_exif_orientation_is_applied(turn: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    data = saved(
        photograph("coffee.png").resize(size, Image.Resampling.BICUBIC), "JPEG", exif=exif.tobytes(), quality=92
    )
    look = INTAKE(FetchedBytes(0, data))
    decided = pdq.compute(scaled(open_image(data, Bounds()), None))
    assert look.sample is not None
    assert (look.sample.width, look.sample.height) == (size if turn < 5 else size[::-1])
    assert look.pdq[0] == decided


def test_a_broken_preview_costs_nothing() -> None:
    data = saved(ONE, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0\xff\xd8\xff\xe0 not a picture")
    assert [one.part for one in looked(data)] == ["main"]


def test_frames_beyond_what_a_file_holds_are_an_error() -> None:
    data = saved(ONE, "GIF", TWO, texture(1, SIZE))
    with pytest.raises(ItemError):
        parts(data[: len(data) // 2], Bounds())


@settings(max_examples=500)
@given(st.lists(st.sampled_from([b"\xff", b"\xd9", b"\x00", b"\x12", b"\xff\xd9", b"\xd0"]), max_size=12).map(b"".join))
def test_the_end_of_a_jpeg_is_its_first_marker_that_says_so(scan: bytes) -> None:
    """At an odd place, an even one, in the last two bytes, or nowhere."""
    head = b"\xff\xd8\xff\xda\x00\x02"
    for before in (b"", b"\x01"):
        data = head + before + scan
        at = next((n for n in range(6, len(data) - 1) if data[n] == 0xFF and data[n + 1] not in _OF_A_SCAN), len(data))
        ended = data[at : at + 2] == b"\xff\xd9"
        assert (end_of(data, "JPEG", BUDGET) == at + 2) if ended else end_of(data, "JPEG", BUDGET) <= len(data)


_OF_A_SCAN = {0x00, 0xFF, *range(0xD0, 0xD8)}  # stuffed zeros, fill bytes, restarts


@given(st.lists(st.floats(-1e6, 1e6), min_size=64, max_size=64))
def test_the_median_is_numpys(values: list[float]) -> None:
    low = np.array(values).reshape(8, 8).round(6)
    assert phash._median(low) == float(np.median(low))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_as_many_frames_as_are_allowed_and_one_more(kind: str) -> None:
    frames = [texture(n, (20, 16)) for n in range(7)]
    data = saved(frames[0], kind, *frames[1:])
    assert {part.part for part in parts(data, Bounds(max_frames=7))} >= {"main", "frame:6"}
    with pytest.raises(ItemError, match="too_many_frames"):
        parts(data, Bounds(max_frames=6))
