"""Animations as the layers that they are made of: each alone, and all of them laid over nothing as browsers do it.

Pillow lays an APNG's translucent layers over one another by another formula, and fills what no layer covers with a
colour, where the animation has no alpha channel. Of a GIF it takes away what follows a frame that was taken away and
says nothing, and what a frame of a disposal above 3 drew; of two controls before a frame the last counts for browsers.
Frames of a palette of greys it shows in the colours of those that are laid over them.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from PIL import Image

from curate.errors import ItemError
from curate.media.decode import SEVERAL, Bounds, load, open_image
from curate.media.ranges.png import chunk
from curate.media.salvage import chunks
from curate.records import Reason

Box = tuple[int, int, int, int]
KEEP, CLEAR, RESTORE, FOURTH = 0, 1, 2, 3  # FOURTH: a GIF's disposal 4, restored by browsers and kept by others
_GREYS = bytes(level for level in range(256) for _ in range(3))  # a palette that Pillow leaves out
_PNG = b"\x89PNG\r\n\x1a\n"


class Layer(NamedTuple):
    """A frame as a file of its own; where it goes (left, upper, right, lower), and what becomes of that afterwards.

    `over`: it is laid over what is there, else it takes its place. `veiled`: it may be transparent in places.
    `odd`: Pillow shows it otherwise.
    """

    alone: bytes
    box: Box
    after: int
    over: bool
    veiled: bool
    odd: bool = False


def raw_frames(data: bytes, kind: str) -> Iterator[tuple[int, bytes]]:
    """Each frame that is laid over others, as a file of its own before it is; the others look as they are shown."""
    if kind in _LAYERS:
        canvas = (0, 0, *_canvas(data, kind))
        for number, one in enumerate(_LAYERS[kind](data)):
            if one.box != canvas or (one.over and one.veiled):
                yield number, one.alone


def composed(data: bytes, kind: str, max_pixels: int, fourth: int = RESTORE) -> bytes | None:
    """An APNG or a GIF as an APNG of whole frames in RGBA; None where Pillow shows it so, too.

    `fourth`: what becomes of frames of disposal 4; None is given where there are none, and it is KEEP. Raises ItemError
    (too_many_pixels), and what decoders raise.
    """
    if kind == "PNG" and data.find(b"acTL", 0, data.find(b"IDAT")) < 0:
        return None
    found = list(_LAYERS[kind](data))
    several = any(one.after == FOURTH for one in found)
    if not (several if fourth == KEEP else _unlike(found, _canvas(data, kind), kind, data[25])):
        return None
    found = [one._replace(after=fourth) if one.after == FOURTH else one for one in found]
    width, height = _canvas(data, kind)
    if kind == "GIF":  # a first frame that is larger makes the canvas larger
        width, height = max(width, found[0].box[2]), max(height, found[0].box[3])
    if width * height > max_pixels or width * height * len(found) > SEVERAL * max_pixels:
        raise ItemError(Reason.TOO_MANY_PIXELS, f"{len(found)} frames of {width}x{height}")
    frames = (_filtered(one) for one in _laid(found, (width, height)))
    body = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))]
    body.append(chunk(b"acTL", struct.pack(">II", len(found), 0)))
    for number, one in enumerate(frames):
        place = (max(0, 2 * number - 1), width, height, 0, 0, 1, 10, 0, 0)
        body.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", *place)))
        body.append(chunk(b"fdAT", struct.pack(">I", 2 * number) + one) if number else chunk(b"IDAT", one))
    return b"".join([_PNG, *body, chunk(b"IEND", b"")])


def _unlike(found: Sequence[Layer], canvas: tuple[int, int], kind: str, colour: int) -> bool:
    """Whether something shines through that Pillow fills, or fills otherwise."""
    if not found or any(one.odd for one in found):
        return bool(found)
    filled = [colour not in (4, 6) if kind == "PNG" else not one.veiled for one in found]  # not left transparent
    bare = filled[0] and found[0].box != (0, 0, *canvas)
    cleared = any(fill and one.after == CLEAR for fill, one in zip(filled, found[:-1], strict=False))
    return (
        bare
        or cleared
        or found[0].after == RESTORE
        or (kind == "PNG" and any(one.over and one.veiled for one in found[1:]))
    )


def _laid(found: Sequence[Layer], canvas: tuple[int, int]) -> Iterator[Image.Image]:
    shown = Image.new("RGBA", canvas)
    for one in found:
        image = open_image(one.alone, Bounds(min_side=1))
        load(image)
        layer = _rgba(image).crop(
            (0, 0, min(one.box[2], canvas[0]) - one.box[0], min(one.box[3], canvas[1]) - one.box[1])
        )
        before = shown.copy() if one.after == RESTORE else shown
        if one.over:
            shown.alpha_composite(layer, one.box[:2])
        else:
            shown.paste(layer, one.box[:2])
        yield shown
        if one.after == CLEAR:
            shown.paste((0, 0, 0, 0), one.box)
        shown = before


def _rgba(image: Image.Image) -> Image.Image:
    if not image.mode.startswith("I"):
        return image.convert("RGBA")
    import numpy as np

    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGBA")  # 16-bit grey; its key is lost


def _filtered(image: Image.Image) -> bytes:
    """A picture's rows as a PNG codes them."""
    import numpy as np

    rows = np.asarray(image).reshape(image.height, -1)
    return zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes(), 1)


def _canvas(data: bytes, kind: str) -> tuple[int, int]:
    if kind == "PNG":
        return struct.unpack_from(">II", data, 16)
    if kind == "GIF":
        return struct.unpack_from("<HH", data, 6)
    width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    return width, height


# -- what the formats say --------------------------------------------------------------------------------------------


def gif_blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each block of a GIF begins and ends: 0x21 an extension, 0x2C a frame."""
    at = 13 + palette(data[10])
    while at + 1 < len(data) and data[at] in (0x21, 0x2C):
        begin = at
        if data[at] == 0x2C:
            if at + 10 > len(data):
                return
            at += 11 + palette(data[at + 9])
        else:
            at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
        yield begin, at


def palette(flags: int) -> int:
    """Bytes of the palette that a GIF's flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif(data: bytes) -> Iterator[Layer]:
    head, control, odd, before, first = data[10 : 13 + palette(data[10])], b"", False, 0, None
    for begin, at in gif_blocks(data):
        if data[begin] == 0x21:
            if data[begin + 1] == 0xF9 and at - begin == 8:
                odd |= bool(control)
                control = data[begin:at]
            continue
        left, top, width, height = struct.unpack_from("<HHHH", data, begin + 1)
        flags = control[3] if control else 0
        disposal = flags >> 2 & 7
        odd |= disposal > 3 or (not disposal and before in (2, 3))
        before = disposal or before
        colours = data[begin + 10 : begin + 10 + palette(data[begin + 9])] or head[3:]
        grey = colours == _GREYS[: len(colours)]
        odd |= first is not None and grey is not first
        first = grey if first is None else first
        frame = b"," + bytes(4) + data[begin + 5 : at]
        alone = data[:6] + data[begin + 5 : begin + 9] + head + control + frame + b";"
        after = {2: CLEAR, 3: RESTORE, 4: FOURTH}.get(disposal, KEEP)
        yield Layer(alone, (left, top, left + width, top + height), after, True, bool(flags & 1), odd)
        control, odd = b"", False


def _apng(data: bytes) -> Iterator[Layer]:
    """The default image is none, where no frame's header is before it; Pillow lays the first over it all the same."""
    header, shared, body, control = b"", b"", b"", b""
    hidden = data.find(b"IDAT") < data.find(b"fcTL")
    for name, at, end in chunks(data):
        content = data[at + 8 : end - 4]
        if name == b"IHDR":
            header = content
        elif name in (b"PLTE", b"tRNS"):
            shared += data[at:end]
        elif name == b"fcTL" and len(content) == 26:
            if body:
                yield _apng_layer(header, shared, control, body, hidden)
                hidden = False
            control, body = content, b""
        elif name in (b"IDAT", b"fdAT") and control:
            body += content[4:] if name == b"fdAT" else content
    if body and len(header) == 13:
        yield _apng_layer(header, shared, control, body, hidden)


def _apng_layer(header: bytes, shared: bytes, control: bytes, body: bytes, odd: bool) -> Layer:
    _, width, height, left, top, _, _, after, blend = struct.unpack(">IIIIIHHBB", control)
    pieces = (chunk(b"IHDR", control[4:12] + header[8:]), shared, chunk(b"IDAT", body), chunk(b"IEND", b""))
    veiled = b"tRNS" in shared or header[9:10] in (b"\4", b"\6")
    box = (left, top, left + width, top + height)
    return Layer(_PNG + b"".join(pieces), box, after if after <= RESTORE else KEEP, bool(blend), veiled, odd)


def _webp(data: bytes) -> Iterator[Layer]:
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"ANMF" and size > 24:
            frame = data[at + 24 : at + 8 + size]
            left, top, width, height = (int.from_bytes(data[n : n + 3], "little") for n in range(at + 8, at + 20, 3))
            box = (2 * left, 2 * top, 2 * left + width + 1, 2 * top + height + 1)
            veiled = frame[:4] != b"VP8 "
            if frame[:4] == b"ALPH":  # an alpha channel beside lossy colour is announced
                frame = b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + data[at + 14 : at + 20] + frame
            alone = b"RIFF" + struct.pack("<I", len(frame) + 4) + b"WEBP" + frame
            yield Layer(alone, box, CLEAR if data[at + 23] & 1 else KEEP, not data[at + 23] & 2, veiled)
        at += 8 + size + size % 2


_LAYERS = {"GIF": _gif, "PNG": _apng, "WEBP": _webp}
