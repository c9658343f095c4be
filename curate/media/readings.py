"""The same file as others read it: where decoders disagree about its frames, each reading is a file of its own."""

import re
import struct
import zlib
from collections.abc import Iterator

from curate.media.ranges import Budget, tiff
from curate.media.runs import with_holes
from curate.media.salvage import chunks


def readings(data: bytes, kind: str) -> Iterator[tuple[str, bytes]]:
    """The same file as others read it: an AVIF's still or its sequence, colour that was multiplied with its alpha.

    An animated GIF's frames are kept or taken away as browsers do, an animated grey PNG's transparent level is one of a
    palette, and of several palettes the last counts. A WebP's alpha channel may be there although it says otherwise,
    a BMP's runs may leave pixels out, and a TIFF's palette may be of bytes.
    """
    if kind == "AVIF":
        yield from _avif(data)
    elif kind == "GIF" and (kept := _as_kept(data)) is not None:
        yield "kept", kept
    elif kind == "PNG":
        if (keyed := _with_palette(data)) is not None:
            yield "keyed", keyed
        if (last := _with_last(data)) is not None:
            yield "last", last
    elif kind == "WEBP" and (veiled := _with_alpha(data)) != data:
        yield "veiled", veiled
    elif kind == "BMP" and (holes := with_holes(data)) is not None:
        yield "holes", holes
    elif kind == "TIFF" and (wide := _with_wide_palette(data)) != data:
        yield "wide", wide


def _avif(data: bytes) -> Iterator[tuple[str, bytes]]:
    head = data[: 1 << 20]
    if b"moov" in head and b"meta" in head:
        yield "brand", data[:8] + (b"avif" if data[8:12] == b"avis" else b"avis") + data[12:]
    for reference in re.finditer(rb"\0\0\0.prem(?=\0)", head, re.DOTALL):
        at = reference.start() + 4
        yield "straight", data[:at] + b"xxxx" + data[at + 4 :]
        break


def _with_alpha(data: bytes) -> bytes:
    """A WebP that says that it has an alpha channel, where one may lie in it."""
    found, may = bytearray(data), False
    for name, at, end in _riff(data, 12, len(data)):
        inside = list(_riff(data, at + 16, end)) if name == b"ANMF" else [(name, at, end)]
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


def _as_kept(data: bytes) -> bytes | None:
    """A GIF whose every frame says what becomes of it; None where Pillow and browsers agree on that.

    What follows a frame that is taken away and says nothing is taken away by Pillow; so is what a frame of a disposal
    above 3 drew. Browsers keep both, and of two controls before a frame the last counts.
    """
    pieces, unlike, before, control = [data[: 13 + _palette(data[10])]], False, 0, b""
    for begin, at in _gif_blocks(data):
        if data[begin : begin + 2] == b"\x21\xf9" and at - begin == 8:
            unlike |= bool(control)
            control = data[begin:at]
        elif data[begin] == 0x2C:
            disposal = control[3] >> 2 & 7 if control else 0
            unlike |= disposal > 3 or (not disposal and before in (2, 3))
            before = disposal or before
            keeps = disposal if disposal in (2, 3) else 1
            flags = (control[3] if control else 0) & 0xE3 | keeps << 2
            pieces += [b"\x21\xf9\x04", bytes([flags]), control[4:] or b"\0\0\0\0", data[begin:at]]
            control = b""
        else:
            pieces.append(data[begin:at])
    return b"".join([*pieces, b";"]) if unlike else None


def _gif_blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each block of a GIF begins and ends: 0x21 an extension, 0x2C a frame."""
    at = 13 + _palette(data[10])
    while at + 1 < len(data) and data[at] in (0x21, 0x2C):
        begin = at
        if data[at] == 0x2C:
            if at + 10 > len(data):
                return
            at += 11 + _palette(data[at + 9])
        else:
            at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
        yield begin, at


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


_ANIMATED = frozenset((b"acTL", b"fcTL", b"fdAT", b"IDAT", b"IEND"))


def raw_frames(data: bytes, kind: str) -> Iterator[tuple[int, bytes]]:
    """Each frame of an animation as a file of its own, before it is laid over the others."""
    yield from {"GIF": _gif, "PNG": _apng, "WEBP": _webp}.get(kind, _none)(data)


def _none(data: bytes) -> Iterator[tuple[int, bytes]]:
    yield from ()


def _gif(data: bytes) -> Iterator[tuple[int, bytes]]:
    size, number, control = data[6:10], 0, b""
    head = data[10 : 13 + _palette(data[10])]
    for begin, at in _gif_blocks(data):
        if data[begin] == 0x21:
            control = data[begin:at] if data[begin + 1] == 0xF9 else control
            continue
        if data[begin + 1 : begin + 9] != bytes(4) + size or (control and control[3] & 1):
            frame = b"," + bytes(4) + data[begin + 5 : at]
            yield number, data[:6] + data[begin + 5 : begin + 9] + head + control + frame + b";"
        number, control = number + 1, b""


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _apng(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Frames count from 0; the default image, where it is none of them, is before the first."""
    header, shared, body, size, number, partial = b"", b"", b"", b"", 0, False
    for name, at, end in chunks(data):
        content = data[at + 8 : end - 4]
        if name == b"IHDR":
            header = content
        elif name in (b"PLTE", b"tRNS"):
            shared += data[at:end]
        elif name == b"fcTL" and len(content) == 26:
            if body and partial:
                yield number, _png(size + header[8:], shared, body)
            number += bool(body)
            size, body = content[4:12], b""
            partial = size != header[:8] or bool(content[25] and (b"tRNS" in shared or header[9:10] in (b"\4", b"\6")))
        elif name in (b"IDAT", b"fdAT") and size:
            body += content[4:] if name == b"fdAT" else content
    if body and partial and len(header) == 13:
        yield number, _png(size + header[8:], shared, body)


def _png(header: bytes, shared: bytes, body: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + shared + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _webp(data: bytes) -> Iterator[tuple[int, bytes]]:
    at, number = 12, 0
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"ANMF" and size > 24:
            frame = data[at + 24 : at + 8 + size]
            inside = data[at + 8 : at + 14] != bytes(6) or data[at + 14 : at + 20] != data[24:30]
            opaque = data[at + 23] & 2 or frame[:4] == b"VP8 "  # laid over nothing, or hiding what was there
            if frame[:4] == b"ALPH":  # an alpha channel beside lossy colour is announced
                frame = b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + data[at + 14 : at + 20] + frame
            if inside or not opaque:
                yield number, b"RIFF" + struct.pack("<I", len(frame) + 4) + b"WEBP" + frame
            number += 1
        at += 8 + size + size % 2
