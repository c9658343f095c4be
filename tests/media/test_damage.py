"""Damaged files of 17 kinds: each is stored, or failed for a reason; metadata that is damaged costs no picture."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from PIL import Image

from curate.contracts import Resources
from curate.engine import each, slices
from curate.engine.pool import Pool
from curate.features.inspect import FetchedBytes, Inspect, Inspection
from curate.media import phash
from curate.media.decode import Bounds
from curate.records import Reason
from tests.support.hiding import chunk, saved, segment, with_chunk
from tests.support.pictures import photograph, texture

SHOT = photograph("coffee.png").resize((120, 90))
SHOT.info = {}
MORE = [texture(n, (120, 90)) for n in range(2)]
OURS = {Reason.WORKER_DIED, Reason.TOO_SLOW, Reason.TOO_LARGE}  # what no damage of a small file may come to


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x9286] = 1, "a maker", b"ASCII\0\0\0a comment"
    return exif.tobytes()


WITH: dict[str, Any] = {"exif": _exif()}
KINDS: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: saved(SHOT, "JPEG", quality=90, **WITH),
    "progressive": lambda: saved(SHOT, "JPEG", progressive=True, optimize=True),
    "grey JPEG": lambda: saved(SHOT.convert("L"), "JPEG"),
    "CMYK": lambda: saved(SHOT.convert("CMYK"), "JPEG"),
    "MPO": lambda: saved(SHOT.copy(), "MPO", texture(0, (120, 90))),
    "PNG": lambda: saved(SHOT, "PNG", **WITH),
    "palette": lambda: saved(SHOT.convert("P"), "PNG", bits=8),
    "alpha": lambda: saved(SHOT.convert("RGBA"), "PNG"),
    "APNG": lambda: saved(SHOT, "PNG", *MORE, duration=50),
    "GIF": lambda: saved(SHOT.convert("P"), "GIF"),
    "animation": lambda: saved(SHOT.convert("P"), "GIF", *MORE, duration=50),
    "WEBP": lambda: saved(SHOT, "WEBP", **WITH),
    "lossless": lambda: saved(SHOT, "WEBP", *MORE, lossless=True),
    "BMP": lambda: saved(SHOT, "BMP"),
    "TIFF": lambda: saved(SHOT, "TIFF", **WITH),
    "LZW": lambda: saved(SHOT.copy(), "TIFF", texture(1, (120, 90)), compression="tiff_lzw"),
    "AVIF": lambda: saved(SHOT, "AVIF", **WITH),
}
whole = cache(lambda kind: KINDS[kind]())


def flipped(data: bytes, rng: random.Random) -> bytes:
    """A few bits turned; near the beginning, where there is structure, as often as anywhere."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        found[rng.randrange(min(len(data), rng.choice((64, 600, len(data)))))] ^= 1 << rng.randrange(8)
    return bytes(found)


def cut(data: bytes, rng: random.Random) -> bytes:
    """Its end is missing, or something of its middle; or that is there twice, or zeros."""
    start, size = rng.randrange(len(data)), rng.randrange(1, 1 + len(data) // 4)
    how = rng.randrange(4)
    middle = (b"", data[start : start + size] * 2, bytes(size))[how - 1]
    return data[:start] if how == 0 else data[:start] + middle + data[start + size :]


def spoiled(data: bytes, rng: random.Random) -> bytes:
    """Numbers of its structure made as large, or as small, as they can be."""
    found, at = bytearray(data), rng.randrange(min(len(data) - 4, 600))
    found[at : at + rng.choice((1, 2, 4))] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"))[
        : rng.choice((1, 2, 4))
    ]
    return bytes(found)


def _junk(rng: random.Random) -> bytes:
    """What stands where metadata should: text, bytes, a directory that points anywhere, the real thing with flips."""
    size = rng.randrange(1, 120)
    directory = b"II*\0\x08\0\0\0\x03\0" + b"".join(rng.randbytes(8) + rng.randbytes(4) for _ in range(3))
    return rng.choice((b"nothing that a camera wrote "[:size], directory, flipped(WITH["exif"], rng), b"", bytes(size)))


def with_junk(kind: str, rng: random.Random) -> bytes:
    """A picture that is whole, with metadata that is not."""
    junk = _junk(rng)
    if kind == "AVIF":
        begin, end = whole(kind).index(b"MM\0*"), whole(kind).index(b"a comment")
        return whole(kind)[:begin] + (junk + bytes(end - begin))[: end - begin] + whole(kind)[end:]
    if kind in ("WEBP", "lossless"):
        return saved(SHOT, "WEBP", **{rng.choice(("exif", "xmp")): junk or b"\0"})
    if KINDS[kind]()[:2] == b"\xff\xd8" and kind != "MPO":
        data = whole(kind)
        body = rng.choice(
            (b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0\1\1", b"JFIF\0", b"Adobe", b"")
        )
        return data[:2] + segment(rng.choice((0xE0, 0xE1, 0xE2, 0xED, 0xFE)), body + junk) + data[2:]
    if whole(kind).startswith(b"\x89PNG"):
        name = rng.choice((b"eXIf", b"iCCP", b"iTXt", b"zTXt", b"tEXt", b"pHYs", b"gAMA", b"cHRM", b"tIME"))
        return with_chunk(whole(kind), chunk(name, junk), rng.choice((b"IDAT", b"IEND")))
    if whole(kind).startswith(b"GIF"):
        at = 13 + 3 * 2 ** ((whole(kind)[10] & 7) + 1) * (whole(kind)[10] >> 7)
        return whole(kind)[:at] + b"\x21\xfe" + bytes([len(junk)]) * bool(junk) + junk + b"\0" + whole(kind)[at:]
    return whole(kind)


def damaged(count: int, seed: int) -> Iterator[tuple[str, bytes, bool]]:
    """A kind, a file, and whether its picture is whole; as many of each kind."""
    rng = random.Random(seed)
    for n in range(count):
        kind = list(KINDS)[n % len(KINDS)]
        if n // len(KINDS) % 4 == 3:
            yield kind, with_junk(kind, rng), True
        else:
            yield kind, rng.choice((flipped, flipped, cut, spoiled))(whole(kind), rng), False


@pytest.mark.parametrize("count", [500, pytest.param(5000, marks=pytest.mark.soak)])
def test_damage_is_a_reason_or_nothing(count: int) -> None:
    assert len(KINDS) == 17
    files = list(damaged(count, count))
    kinds = [Inspect(Bounds()), Inspect(Bounds(), pdq=False, side=phash.SIDE, strip=True)]
    reasons, lost = Counter[str](), []
    for part, work in enumerate(kinds):
        items = [FetchedBytes(n, data) for n, (_, data, _) in enumerate(files) if n % 2 == part]
        for item, found in each(Pool(2), work, slices(items, 8), Resources()):
            kind, _, intact = files[item.candidate]
            assert isinstance(found, Inspection), (kind, item.candidate, found)
            failure = found.failure
            assert failure is None or failure.reason not in OURS, (kind, item.candidate, failure)
            reasons["stored" if failure is None else str(failure.reason)] += 1
            if intact and failure is not None:
                lost.append((kind, item.candidate, str(failure)))
    print(dict(reasons))
    assert sum(reasons.values()) == count
    assert lost == []
    assert all(reasons[one] for one in ("stored", "decode_error", "truncated")), "damage that does none says nothing"
