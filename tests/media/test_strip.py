"""A file is rewritten without what nothing can look into, and shows the same pixels."""

import hashlib
import io
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from curate.errors import ItemError
from curate.features.inspect import FetchedBytes, Inspect
from curate.media.decode import Bounds
from curate.media.hidden import inspect
from curate.media.leaving import leaving
from curate.media.strip import stripped
from curate.records import Reason
from tests.fetch.test_fetch import curate
from tests.support import containers as c
from tests.support.pictures import encode, photograph, texture

BOUNDS = Bounds()
NOISE = random.Random(1).randbytes(60_000)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ONE, TWO = photograph("coffee.png").resize((150, 100)), photograph("chelsea.png").resize((150, 100))


def saved(kind: str, *more: Image.Image, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    out = io.BytesIO()
    several: dict[str, Any] = {"save_all": True, "append_images": list(more), "duration": 70} if more else {}
    ONE.copy().save(out, kind, exif=exif.tobytes(), icc_profile=PROFILE, **several, **options)
    return out.getvalue()


def jpeg(*, progressive: bool = False) -> bytes:
    return c.jpeg_with(0xEA, *[NOISE] * 6, jpeg=saved("JPEG", progressive=progressive))


def png(*more: Image.Image) -> bytes:
    plain = saved("PNG", *more)
    at = plain.index(b"IDAT") - 4
    return plain[:at] + c.chunk(b"prVt", NOISE * 6) + plain[at:]


def webp(*more: Image.Image) -> bytes:
    plain = saved("WEBP", *more)
    body = plain[8:] + c.riff(b"VNDR", NOISE * 6)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def gif(*more: Image.Image) -> bytes:
    out = io.BytesIO()
    ONE.save(out, "GIF", save_all=True, append_images=list(more), duration=70, loop=3)
    plain = out.getvalue()
    return plain[:-1] + b"!\xfe" + c.blocks(NOISE * 6) + plain[-1:]


FILES = {
    "JPEG": ("JPEG", jpeg()),
    "JPEG progressive": ("JPEG", jpeg(progressive=True)),
    "PNG": ("PNG", png()),
    "APNG": ("PNG", png(TWO, TWO.rotate(90))),
    "WebP": ("WEBP", webp()),
    "WebP animated": ("WEBP", webp(TWO)),
    "GIF": ("GIF", gif()),
    "GIF animated": ("GIF", gif(TWO, TWO.rotate(180))),
}


def frames(data: bytes) -> list[tuple[object, np.ndarray]]:
    """Every frame with its time, as it is decoded."""
    found = []
    with Image.open(io.BytesIO(data)) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            found.append((image.info.get("duration"), np.asarray(image.convert("RGBA"))))
    return found


@pytest.mark.parametrize("name", FILES)
def test_the_rewritten_file_shows_the_same(name: str) -> None:
    kind, data = FILES[name]
    with pytest.raises(ItemError) as caught:
        inspect(data, kind, BOUNDS)
    assert caught.value.reason is Reason.HIDDEN_DATA
    less = stripped(data, kind, BOUNDS)
    assert inspect(less, kind, BOUNDS).opaque == 0
    assert len(less) < len(data) - 300_000
    for (time, before), (again, after) in zip(frames(data), frames(less), strict=True):
        assert time == again
        assert (before == after).all()
    with Image.open(io.BytesIO(data)) as old, Image.open(io.BytesIO(less)) as new:
        assert new.getexif().get(0x0112) == old.getexif().get(0x0112)
        assert new.info.get("icc_profile") == old.info.get("icc_profile")
        assert new.info.get("loop") == old.info.get("loop")
        assert 0x010F not in new.getexif()
    assert stripped(less, kind, BOUNDS) == less


def test_a_profile_that_is_none_does_not_stay() -> None:
    data = c.jpeg_with(0xE2, *[b"ICC_PROFILE\0\x01\x01" + NOISE] * 5)
    assert b"ICC_PROFILE" not in stripped(data, "JPEG", BOUNDS)


def test_other_formats_stay_refused() -> None:
    data = c.tiff(c.data_tag(65000, NOISE * 6))
    with pytest.raises(ItemError) as caught:
        stripped(data, "TIFF", BOUNDS)
    assert caught.value.reason is Reason.HIDDEN_DATA
    look = Inspect(BOUNDS, pdq=False, strip=True)(FetchedBytes(0, data))
    assert look.failure is not None
    assert look.failure.reason is Reason.HIDDEN_DATA


def test_intake_knows_both_digests() -> None:
    data = jpeg()
    assert Inspect(BOUNDS, pdq=False)(FetchedBytes(0, data)).failure is not None
    look = Inspect(BOUNDS, pdq=False, strip=True)(FetchedBytes(0, data))
    assert look.failure is None
    assert look.rewritten is not None
    assert look.sha256 == hashlib.sha256(look.rewritten).hexdigest()
    assert look.sample is not None
    assert (look.sample.id, look.sample.bytes) == (look.sha256, len(look.rewritten))
    assert look.came is not None
    assert look.came[0] == hashlib.sha256(data).hexdigest()
    plain = encode(texture(1), "JPEG")
    assert Inspect(BOUNDS, pdq=False, strip=True)(FetchedBytes(0, plain)).came is None


def local(root: Path, data: bytes, more: str) -> Path:
    """A workspace over a folder with this one file."""
    (root / "images" / "neutral").mkdir(parents=True)
    (root / "images" / "neutral" / "x.jpg").write_bytes(data)
    source = '[[sources]]\nuse = "local"\npath = "images"\nlabel_from = "folder"\n'
    (root / "curate.toml").write_text(f"[fetch]\nstrip = true\n{more}{source}")
    return root


def test_fetch_stores_what_was_rewritten_and_records_both(tmp_path: Path) -> None:
    data = jpeg()
    root = local(tmp_path, data, "[screening]\nrequired = false\n")
    assert curate(root, "fetch")["stored"] == 1
    less = stripped(data, "JPEG", BOUNDS)
    (blob,) = (root / "work" / "blobs").glob("??/*")
    assert blob.read_bytes() == less
    assert blob.name == hashlib.sha256(less).hexdigest()
    with closing(sqlite3.connect(root / "work" / "catalog.db")) as db:
        sample, detail = db.execute("SELECT sample, detail FROM candidates").fetchone()
    assert sample == blob.name
    for algorithm in ("sha256", "sha1", "md5"):
        assert hashlib.new(algorithm, data).hexdigest() in detail
    assert curate(root, "verify")


def test_a_listed_digest_of_what_came_still_matches(tmp_path: Path) -> None:
    data = jpeg()
    (tmp_path / "list.txt").write_text(hashlib.sha1(data).hexdigest())
    screening = '[[screening.lists]]\nuse = "lines"\npath = "list.txt"\nalgorithm = "sha1"\n'
    root = local(tmp_path, data, screening)
    curate(root, "fetch", ok=(5,))
    assert not list((root / "work" / "blobs").glob("??/*"))


@pytest.mark.parametrize("place", ["jpeg", "gif", "webp", "png name", "png clear", "png palette"])
def test_what_shows_a_picture_holds_no_words(place: str) -> None:
    """Beside what it is there for."""
    words = b"Rosenweg 7"
    plain = saved("PNG")
    at = plain.index(b"IDAT") - 4
    looped = b"!\xff\x0bNETSCAPE2.0" + c.blocks(words)
    named = plain[: (icc := plain.index(b"iCCP")) - 4] + plain[icc + 8 + int.from_bytes(plain[icc - 4 : icc], "big") :]
    profile = words + plain[icc + 4 : icc + 4 + int.from_bytes(plain[icc - 4 : icc], "big")]
    data = {
        "jpeg": c.jpeg_with(0xDC, b"\0\0" + words, jpeg=saved("JPEG")),
        "gif": gif()[:-1] + looped + b";",
        "webp": c.webp(c.riff(b"ANIM", bytes(6) + words)),
        "png name": named[:33] + c.chunk(b"iCCP", profile) + named[33:],
        "png clear": plain[:at] + c.chunk(b"tRNS", bytes(6) + words) + plain[at:],
        "png palette": plain[:at] + c.chunk(b"PLTE", words * 3) + plain[at:],
    }[place]
    assert words in data
    left, _ = leaving(data, BOUNDS)
    assert words not in left
    for (time, before), (again, after) in zip(frames(data), frames(left), strict=True):
        assert time == again or place == "gif"  # it leaves as a PNG, in which one frame has no time
        assert (before == after).all()
