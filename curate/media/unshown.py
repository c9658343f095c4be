"""Samples and pictures that a decoder leaves out, brought to light by reading the same bytes another way."""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image, ImageFile

from curate.errors import ItemError
from curate.media.salvage import chunks
from curate.records import Reason

_STORED = {  # what lies in the file, where Pillow leaves a channel out, or divides colour by an alpha of zero
    "RGBX": ("RGBA", "RGBA"), "BGRX": ("RGBA", "BGRA"), "LX": ("LA", "LA"), "PX": ("PA", "PA"), "La": ("LA", "LA"),
    "RGBa": ("RGBA", "RGBA"), "RGBX;16L": ("RGBA", "RGBA;16L"), "RGBX;16B": ("RGBA", "RGBA;16B"),
    "RGBa;16L": ("RGBA", "RGBA;16L"), "RGBa;16B": ("RGBA", "RGBA;16B"), "RGBX;16N": ("RGBA", "RGBA;16N"),
    "RGBa;16N": ("RGBA", "RGBA;16N"),
}  # fmt: skip
_OTHER_END = {"B": "L", "L": "B", "N": "B"}
_FIFTH = re.compile(r"(RGB[XaA]X+|CMYKX+)\b")


def raw_mode(image: Image.Image) -> str:
    """How the samples of the current frame lie in the file, in Pillow's words; "" where its codec has none."""
    args: Any = image.tile[0].args if isinstance(image, ImageFile.ImageFile) and image.tile else ""
    found = args[0] if isinstance(args, tuple) and args else args
    return found if isinstance(found, str) else ""


def refuse_unseen(raw: str) -> None:
    """Raise ItemError where a frame has channels that no way of reading it shows."""
    if _FIFTH.match(raw):
        raise ItemError(Reason.DECODE_ERROR, f"channels that cannot be looked at ({raw})")


def refuse_planes(image: Image.Image) -> None:
    """Raise ItemError for a TIFF of separate planes with one that Pillow leaves out, or half of whose bits it does."""
    tags = getattr(image, "tag_v2", None)
    if tags is None or tags.get(284) != 2:
        return
    if 0 in tags.get(338, ()):
        raise ItemError(Reason.DECODE_ERROR, "separate planes of which one cannot be looked at")
    if len(tags.get(258, ())) > 1 and max(tags.get(258)) > 8:
        raise ItemError(Reason.DECODE_ERROR, "separate planes of more than 8 bits")


def is_deep_colour(raw: str) -> bool:
    """Whether a frame has 16 bits a sample of which Pillow keeps the upper eight."""
    return ";16" in raw and raw[:2] in ("RG", "CM", "LA")


def stores_more(raw: str) -> bool:
    """Whether a frame stores what Pillow does not show."""
    return raw in _STORED


def unpack_low(image: Image.Image, raw: str) -> None:
    """Have the current frame, not yet loaded, decoded from the lower byte of each sample."""
    if raw.startswith("LA"):
        _repack(image, "RGBA", "RGBA")  # grey, its lower byte, alpha, its lower byte
    else:
        _repack(image, image.mode, raw[:-1] + _OTHER_END[raw[-1]])


def low_of(image: Image.Image, raw: str) -> Image.Image:
    """The lower bytes in the frame's own channels, from a frame decoded after `unpack_low`."""
    if not raw.startswith("LA"):
        return image
    low = image.getchannel("G")
    return Image.merge("RGBA", [low, low, low, image.getchannel("A")])


def unpack_stored(image: Image.Image, raw: str) -> None:
    """Have the current frame, not yet loaded, decoded as it is stored."""
    _repack(image, *_STORED[raw])


def _repack(image: Image.Image, mode: str, raw: str) -> None:
    assert isinstance(image, ImageFile.ImageFile)
    image._mode = mode
    image.tile = [
        tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw) for tile in image.tile
    ]


def boxes(data: bytes, image: Image.Image) -> tuple[tuple[int, int, int, int], ...]:
    """Parts of the frame that some viewers show instead of it: a GIF's logical screen, an AVIF's clean apertures."""
    width, height = image.size
    if image.format == "GIF":
        found = [(0, 0, *struct.unpack_from("<HH", data, 6))]
    elif image.format == "AVIF":
        found = [_aperture(data, one.start(), image.size) for one in re.finditer(rb"\0\0\0\x28clap", data[: 1 << 20])]
    else:
        return ()
    inside = {(max(a, 0), max(b, 0), min(c, width), min(d, height)) for a, b, c, d in found[:8]}
    return tuple(sorted(one for one in inside if one[0] < one[2] and one[1] < one[3] and one != (0, 0, width, height)))


def _aperture(data: bytes, at: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """ISO/IEC 14496-12, 12.1.4: width, height and the offset of the centre, each as a fraction."""
    if len(data) < at + 40:
        return 0, 0, 0, 0
    numbers = struct.unpack_from(">IIIIiIiI", data, at + 8)
    wide, high, right, down = (numbers[n] / (numbers[n + 1] or 1) for n in (0, 2, 4, 6))
    left, top = (size[0] - wide) / 2 + right, (size[1] - high) / 2 + down
    return round(left), round(top), round(left + wide), round(top + high)


def readings(data: bytes, kind: str) -> Iterator[tuple[str, bytes]]:
    """The same file as others read it: an AVIF's still or its sequence, colour that was multiplied with its alpha.

    An animated GIF's frames are kept or taken away as browsers do, an animated grey PNG's transparent level is one of a
    palette, and of several palettes the last counts.
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


def _avif(data: bytes) -> Iterator[tuple[str, bytes]]:
    head = data[: 1 << 20]
    if b"moov" in head and b"meta" in head:
        yield "brand", data[:8] + (b"avif" if data[8:12] == b"avis" else b"avis") + data[12:]
    for reference in re.finditer(rb"\0\0\0.prem(?=\0)", head, re.DOTALL):
        at = reference.start() + 4
        yield "straight", data[:at] + b"xxxx" + data[at + 4 :]
        break


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
