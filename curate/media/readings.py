"""The same file as others read it: where decoders disagree about its frames, each reading is a file of its own."""

import re
import struct
from collections.abc import Iterator

from curate.errors import ItemError
from curate.media.bitmaps import with_holes, with_whole_palette
from curate.media.decode import decoding
from curate.media.layers import KEEP, RESTORE, composed
from curate.media.ranges import Budget, jpeg, tiff
from curate.media.ranges.png import chunk
from curate.media.salvage import chunks
from curate.records import Reason


def readings(data: bytes, kind: str, max_pixels: int) -> Iterator[tuple[str, bytes]]:
    """The same file as others read it: an AVIF's still or its sequence, colour that was multiplied with its alpha.

    An animation's frames are laid over nothing, and kept or taken away, as browsers do it; an animated grey PNG's
    transparent level is one of a palette, and of several palettes the last counts. A WebP's alpha channel may be there
    although it says otherwise, a BMP's runs may leave pixels out and its palette be short, and a TIFF's palette may be
    of bytes. What says of a JPEG's three components that they are RGB counts, or does not. Raises ItemError
    (too_many_pixels).
    """
    for name, fourth in (("laid", RESTORE), ("kept", KEEP)) if kind in ("GIF", "PNG") else ():
        if (laid := _laid(data, kind, max_pixels, fourth)) is not None:
            yield name, laid
    if kind == "AVIF":
        yield from _avif(data)
    elif kind == "PNG":
        if (keyed := _with_palette(data)) is not None:
            yield "keyed", keyed
        if (last := _with_last(data)) is not None:
            yield "last", last
    elif kind == "WEBP" and (veiled := _with_alpha(data)) != data:
        yield "veiled", veiled
    elif kind == "BMP":
        if (holes := with_holes(data)) is not None:
            yield "holes", holes
        if (palette := with_whole_palette(data)) is not None:
            yield "palette", palette
    elif kind in ("JPEG", "MPO") and (model := _with_other_model(data)) is not None:
        yield model
    elif kind == "TIFF" and (wide := _with_wide_palette(data)) != data:
        yield "wide", wide


def _laid(data: bytes, kind: str, max_pixels: int, fourth: int) -> bytes | None:
    try:
        with decoding():
            return composed(data, kind, max_pixels, fourth)
    except ItemError as error:
        if error.reason is Reason.TOO_MANY_PIXELS:
            raise
        return None  # a frame that is broken alone shows nothing alone


def _avif(data: bytes) -> Iterator[tuple[str, bytes]]:
    head = data[: 1 << 20]
    if b"moov" in head and b"meta" in head:
        yield "brand", data[:8] + (b"avif" if data[8:12] == b"avis" else b"avis") + data[12:]
    for reference in re.finditer(rb"\0\0\0.prem(?=\0)", head, re.DOTALL):
        at = reference.start() + 4
        yield "straight", data[:at] + b"xxxx" + data[at + 4 :]
        break


def _with_alpha(data: bytes) -> bytes:
    """A WebP that says that it has an alpha channel, where one may lie in it, or a frame leaves some of it bare."""
    found, may, first = bytearray(data), False, True
    for name, at, end in _riff(data, 12, len(data)):
        inside = list(_riff(data, at + 16, end)) if name == b"ANMF" else [(name, at, end)]
        if name == b"ANMF" and end - at > 16:
            may |= bool(data[at + 15] & 1) or (first and data[at : at + 12] != bytes(6) + data[24:30])
            first = False
        for one, begin, last in inside:
            if one == b"VP8L" and last - begin > 4:
                found[begin + 4] |= 0x10
            may |= one in (b"VP8L", b"ALPH")
    if data[12:16] == b"VP8X" and may:
        found[20] |= 0x10
    return bytes(found)


def _riff(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of the content of each chunk."""
    while at + 8 <= end:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8, min(at + 8 + size, end)
        at += 8 + size + size % 2


def _with_other_model(data: bytes) -> tuple[str, bytes] | None:
    """A JPEG of three components that an Adobe segment, or what they are called, says to be RGB: as the other of RGB
    and YCbCr than libjpeg takes, for which a JFIF segment has the word before them, and Adobe's before the names.
    """
    says: dict[bytes, bool] = {}  # by whom: whether it is RGB, the last of each
    spans = []
    for one in jpeg.segments(data, Budget(0, 0)):
        body = data[one.begin + 4 : one.end]
        if one.marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            says[b"Adobe"] = body[11] == 0
        elif one.marker == 0xE0 and body.startswith(b"JFIF\0"):
            says[b"JFIF"] = False
        else:
            if one.marker in _FRAMES and body[5:6] == b"\3":
                says[b"names"] = body[6::3] == b"RGB"
            if one.marker == 0xDA:
                break
            continue
        spans.append((one.begin, one.end))
    if b"names" not in says or not any(says.values()):
        return None
    taken = next(says[who] for who in (b"JFIF", b"Adobe", b"names") if who in says)
    for begin, end in reversed(spans):
        data = data[:begin] + data[end:]
    model = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([taken])
    return "ycc" if taken else "rgb", data[:2] + model + data[2:]


def _with_wide_palette(data: bytes) -> bytes:
    """A TIFF whose palettes of numbers below 256 are of 16 bits, as libtiff takes them."""
    found = bytearray(data)
    budget = Budget(0, len(data))
    for one in tiff.Tiff(data, 0, len(data), True).directories(budget):
        levels = one.numbers(320, budget) if 320 in one.tags and one.tags[320].kind == 3 else ()
        if levels and max(levels) < 256:
            wide = struct.pack(f"{one.tiff.order}{len(levels)}H", *(257 * level for level in levels))
            found[one.tags[320].begin : one.tags[320].end] = wide
    return bytes(found)


def _with_palette(data: bytes) -> bytes | None:
    """An animated grey PNG of at most 8 bits with a transparent level, as one with a palette of greys; else None."""
    found = [(name, data[at + 8 : end - 4]) for name, at, end in chunks(data)]
    header = next((content for name, content in found if name == b"IHDR"), b"")
    key = next((content for name, content in found if name == b"tRNS"), b"")
    if header[9:10] != b"\0" or not 1 <= header[8] <= 8 or len(key) != 2 or all(name != b"acTL" for name, _ in found):
        return None
    depth, level = header[8], int.from_bytes(key, "big")
    greys = bytes(n * 255 // ((1 << depth) - 1) for n in range(1 << depth) for _ in range(3))
    shown = bytes(255 * (n != level) for n in range(1 << depth))
    pieces = [data[:8], chunk(b"IHDR", header[:9] + b"\3" + header[10:]), chunk(b"PLTE", greys), chunk(b"tRNS", shown)]
    return b"".join([*pieces, *(chunk(*one) for one in found if one[0] in _ANIMATED)])


def _with_last(data: bytes) -> bytes | None:
    """A PNG with the last of its palettes and transparencies, where it has several: what we show has the first."""
    found = list(chunks(data))
    last = {name: at for name, at, _ in found if name in (b"PLTE", b"tRNS")}
    if len(last) == sum(name in last for name, _, _ in found):
        return None
    return data[:8] + b"".join(data[at:end] for name, at, end in found if last.get(name, at) == at)


_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # headers of JPEGs' frames
_ANIMATED = frozenset((b"acTL", b"fcTL", b"fdAT", b"IDAT", b"IEND"))
