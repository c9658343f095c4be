"""Whatever a decoder raises is its item's reason; metadata that is damaged costs itself, never the picture."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from curate.errors import ItemError
from curate.features.inspect import FetchedBytes, Inspect
from curate.media import decode, pdq, phash
from curate.media.decode import Bounds, open_image, scaled
from curate.media.parts import parts
from curate.records import Reason
from tests.support.hiding import chunk, saved, segment, tiff, with_chunk
from tests.support.pictures import photograph, texture

SHOT = photograph("coffee.png").resize((160, 120))
SHOT.info = {}
JUNK = b"nothing that a camera wrote " * 5
WAYS = (Inspect(Bounds()), Inspect(Bounds(), pdq=False, side=phash.SIDE))


def text(size: int) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "node " * (size // 5), zip=True)
    info.add_itxt("more", "node " * (size // 5), zip=True)
    return info


def jpeg(*segments: bytes) -> bytes:
    data = saved(SHOT, "JPEG", quality=95)
    return data[:2] + b"".join(segments) + data[2:]


def spoiled(data: bytes, name: bytes) -> bytes:
    """A PNG with a wrong checksum of a chunk."""
    at = data.index(name)
    end = at + 4 + int.from_bytes(data[at - 4 : at], "big")
    return data[:end] + bytes(4) + data[end + 4 :]


def cut_exif() -> bytes:
    """EXIF that ends in the middle of its directory, behind the orientation."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 1, "a maker" * 9
    return exif.tobytes()[6:40]


MAKER = Image.Exif()
MAKER[0x010F] = "a maker"
MAKER.endian = ">"
DAMAGED = {
    "junk for EXIF, JPEG": jpeg(segment(0xE1, b"Exif\0\0" + JUNK)),
    "junk for EXIF, PNG": with_chunk(saved(SHOT, "PNG"), chunk(b"eXIf", JUNK)),
    "junk for EXIF, behind the pixels": with_chunk(saved(SHOT, "PNG"), chunk(b"eXIf", JUNK), b"IEND"),
    "junk for EXIF, WEBP": saved(SHOT, "WEBP", quality=95, exif=JUNK),
    "junk for EXIF, AVIF": saved(SHOT, "AVIF", quality=95, exif=MAKER).replace(b"MM\0*", b"JUNK"),
    "EXIF that ends early, JPEG": jpeg(segment(0xE1, b"Exif\0\0" + cut_exif())),
    "EXIF that ends early, PNG": with_chunk(saved(SHOT, "PNG"), chunk(b"eXIf", cut_exif())),
    "EXIF that ends early, WEBP": saved(SHOT, "WEBP", quality=95, exif=cut_exif()),
    "2 MB of text": saved(SHOT, "PNG", pnginfo=text(2_000_000)),
    "90 texts of 1 MB": with_chunk(
        saved(SHOT, "PNG"), chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000))) * 90, b"IEND"
    ),
    "text that is not compressed": with_chunk(saved(SHOT, "PNG"), chunk(b"zTXt", b"k\0\0not compressed")),
    "text that ends early": with_chunk(saved(SHOT, "PNG"), chunk(b"iTXt", b"k\0\1")),
    "2 MB of profile": with_chunk(saved(SHOT, "PNG"), chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(2_000_000)))),
    "a profile by an unknown method": with_chunk(saved(SHOT, "PNG"), chunk(b"iCCP", b"p\0\7abc")),
    "a profile without an end to its name": with_chunk(saved(SHOT, "PNG"), chunk(b"iCCP", b"p")),
    "a gamma of one byte": with_chunk(saved(SHOT, "PNG"), chunk(b"gAMA", b"\1")),
    "a gamma behind the pixels": with_chunk(saved(SHOT, "PNG"), chunk(b"gAMA", b"\1"), b"IEND"),
    "a transparency of one byte": with_chunk(saved(SHOT, "PNG"), chunk(b"tRNS", b"\1")),
    "a size in print that ends early": with_chunk(saved(SHOT, "PNG"), chunk(b"pHYs", b"\1")),
    "a wrong checksum": spoiled(with_chunk(saved(SHOT, "PNG"), chunk(b"tIME", bytes(7))), b"tIME"),
    "APP0 that ends early": jpeg(segment(0xE0, b"JFIF\0")),
    "Photoshop that ends early": jpeg(segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\x0c")),
    "Adobe that ends early": jpeg(segment(0xEE, b"Adobe\0")),
    "an index that points outside": jpeg(segment(0xE2, b"MPF\0" + b"MM\0*" + struct.pack(">I", 2**31) + JUNK)),
    "an index that is none": jpeg(segment(0xE2, b"MPF\0" + JUNK)),
    "a profile of one part of two": jpeg(segment(0xE2, b"ICC_PROFILE\0\1\2" + JUNK)),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_metadata_costs_no_picture(name: str) -> None:
    wanted = pdq.compute(SHOT).array[0]
    for intake in WAYS:
        look = intake(FetchedBytes(0, DAMAGED[name]))
        assert look.failure is None
        assert look.sample is not None
        assert (look.sample.width, look.sample.height) == (160, 120)
    main = parts(DAMAGED[name], Bounds())[0]
    assert np.bitwise_count(main.array[0] ^ wanted).sum() <= 12
    assert scaled(open_image(DAMAGED[name], Bounds()), 64).size == (85, 64)


def test_a_tiffs_damaged_directory_of_exif_costs_no_picture() -> None:
    for tag in (0x8769, 0x8825, 0xA005):
        for place in (2**31, 3, 390):
            data = tiff(SHOT.size, 3, SHOT.tobytes(), (tag, 4, 1, place))
            assert parts(data, Bounds())[0] == pdq.compute(SHOT)
            assert WAYS[1](FetchedBytes(0, data)).failure is None


def lab() -> bytes:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    made = ImageCms.applyTransform(SHOT, to_lab)
    assert made is not None
    return saved(made, "TIFF")


def test_lab_is_converted() -> None:
    for intake in WAYS:
        assert intake(FetchedBytes(0, lab())).failure is None
    apart = np.asarray(scaled(open_image(lab(), Bounds()), None)).astype(int) - np.asarray(SHOT)
    assert np.abs(apart).mean() < 3


RAISED = [
    RuntimeError("Failed to decode frame"), struct.error("unpack"), OverflowError("too large"), AssertionError(),
    Image.DecompressionBombError("bomb"), KeyError(3), RecursionError("deep"), UnicodeError("no text"),
]  # fmt: skip


@pytest.mark.parametrize("error", RAISED, ids=lambda one: type(one).__name__)
def test_whatever_a_decoder_raises_is_the_items_reason(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, *_: object) -> None:
        raise error

    data = saved(SHOT, "WEBP")
    for place in ("PIL.WebPImagePlugin.WebPImageFile.load", "PIL.WebPImagePlugin.WebPImageFile._open"):
        with monkeypatch.context() as patch:
            patch.setattr(place, broken)
            for intake in WAYS:
                failure = intake(FetchedBytes(0, data)).failure
                assert failure is not None
                assert failure.reason in (Reason.DECODE_ERROR, Reason.UNSUPPORTED_MIME)
    with monkeypatch.context() as patch:
        patch.setattr("PIL.Image.Image.getexif", broken)
        assert WAYS[0](FetchedBytes(0, data)).failure is None


def test_memory_that_is_not_there_is_too_large_and_an_interrupt_is_nobodys_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = saved(SHOT, "WEBP")
    monkeypatch.setattr("PIL.WebPImagePlugin.WebPImageFile.load", _raises(MemoryError()))
    failure = WAYS[0](FetchedBytes(0, data)).failure
    assert failure is not None
    assert failure.reason is Reason.TOO_LARGE
    for passes in (KeyboardInterrupt(), SystemExit(3)):
        monkeypatch.setattr("PIL.WebPImagePlugin.WebPImageFile.load", _raises(passes))
        with pytest.raises(type(passes)):
            WAYS[0](FetchedBytes(0, data))


def _raises(error: BaseException) -> Callable[..., None]:
    def broken(*_: object) -> None:
        raise error

    return broken


def test_a_fault_of_ours_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.media.pdq.with_grey", _raises(ValueError("a bug")))
    with pytest.raises(ValueError, match="a bug"):
        parts(saved(SHOT, "PNG"), Bounds())


def test_a_later_frame_that_fails_is_the_items_reason_with_a_list_or_without() -> None:
    frames = [texture(n, (320, 240)) for n in range(3)]
    for kind in ("AVIF", "PNG", "WEBP"):
        data = bytearray(saved(frames[0], kind, *frames[1:]))
        half = len(data) // 2
        data[half:-20] = b"\xff" * (len(data) - 20 - half)
        for intake in WAYS:
            failure = intake(FetchedBytes(0, bytes(data))).failure
            assert failure is not None, kind
            assert failure.reason in (Reason.DECODE_ERROR, Reason.TRUNCATED, Reason.POLYGLOT), kind


def test_a_file_of_a_kind_that_cannot_be_read_is_called_by_it() -> None:
    for data, word in (
        (b"\xff\xd8\xff\xe0" + bytes(30), "JPEG"),
        (b"GIF89a\1", "GIF"),
        (saved(SHOT, "PNG")[:20], "PNG"),
    ):
        with pytest.raises(ItemError) as failure:
            open_image(data, Bounds())
        assert failure.value.reason in (Reason.DECODE_ERROR, Reason.TRUNCATED)
        assert word in failure.value.detail or "Error" in failure.value.detail


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("size", [(480, 320), (963, 641), (31, 17), (2000, 1500)])
def test_the_scale_is_measured_from_what_was_decoded(size: tuple[int, int], turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    image = open_image(saved(photograph().resize(size), "JPEG", exif=exif.tobytes()), Bounds())
    if turn % 2:
        image.load()  # then `draft` does nothing
    seen = decode.luminance(image, phash.SIDE)
    assert seen.size == (size if turn < 5 else size[::-1])
    assert seen.image.size == tuple(-(-side // seen.scale) for side in seen.size)


def test_nothing_is_left_in_what_is_encoded_again() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    data = saved(SHOT, "JPEG", exif=exif.tobytes(), comment=b"a comment", icc_profile=JUNK)
    out = io.BytesIO()
    scaled(open_image(data, Bounds()), None).save(out, "PNG")
    assert Image.open(io.BytesIO(out.getvalue())).info == {}
