"""A file without what nothing here can look into: its coded pixels as they are, and what a viewer needs to show them.

What stays: tables, palettes, frames and their times, a whole ICC profile, the orientation. JPEG, PNG, WebP and GIF;
the structure of the others holds offsets, and they stay refused.
"""

import struct
from collections.abc import Callable

from PIL import Image

from curate.errors import ItemError
from curate.media.decode import Bounds, decoding, open_image
from curate.media.hidden import is_profile
from curate.media.ranges import Budget, Kind, gif, jpeg, png, walk, webp
from curate.records import Reason

_ICC, _JFIF, _ADOBE = b"ICC_PROFILE\0", b"JFIF\0", b"Adobe"
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_LOOP = (
    19,
    25,
)  # bytes of a block that says how often a GIF is shown, and of one that also says how much to read first
_FIXED = {0xDC: 6, 0xDD: 6}  # segments of a JPEG that have one length
_SHOWS = {  # what shows a PNG, with the bytes that it has at most
    b"IHDR": 13, b"IEND": 0, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"sBIT": 4, b"bKGD": 6, b"pHYs": 9, b"acTL": 8,
    b"fcTL": 26, b"cICP": 4, b"mDCV": 24, b"cLLI": 8, b"eXIf": 26,
}  # fmt: skip
_CLEAR = {0: 2, 2: 6, 3: 256}  # bytes of tRNS, by the kind of colour
_PALETTE = 3  # the kind of colour that needs one
_EXIF_FLAG, _XMP_FLAG, _ICC_FLAG = 8, 4, 32


def stripped(data: bytes, kind: str, bounds: Bounds, opened: Image.Image | None = None) -> bytes:
    """The file of this Pillow format, rewritten; raises ItemError(hidden_data) for a format that cannot be.

    `opened`: the file as `open_image` opened it.
    """
    if kind not in _WRITERS:
        raise ItemError(Reason.HIDDEN_DATA, f"a {kind} cannot be rewritten without it")
    with decoding():
        turn = (opened or open_image(data, bounds)).getexif().get(0x0112, 1)
        exif = _exif(turn) if turn in range(2, 9) else b""
        return _WRITERS[kind](data, exif, Budget(bounds.max_pixels, bounds.max_frames))


def bare(data: bytes, bounds: Bounds) -> bytes:
    """A PNG that was rewritten, without the chunks that only say something (a time, a calibration) or are longer than
    they can be; a profile's name is none."""
    kind, kept = data[25], [data[:8]]
    most = _SHOWS | {b"tRNS": _CLEAR.get(kind, -1), b"PLTE": 768 if kind == _PALETTE else -1}
    with decoding():
        for one in png.streams(data, Budget(bounds.max_pixels, bounds.max_frames)):
            body = data[one.begin : one.end]
            if one.name == b"iCCP":
                kept.append(png.chunk(one.name, b"icc\0" + body.partition(b"\0")[2]))
            elif one.stream or len(body) <= most.get(one.name, -1):
                kept.append(png.chunk(one.name, body))
    return b"".join(kept)


def _exif(turn: int) -> bytes:
    """EXIF that says how the picture is turned, and nothing else."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, turn, 0, 0)


def _jpeg(data: bytes, exif: bytes, budget: Budget) -> bytes:
    segments = list(jpeg.segments(data, budget))
    icc = [one for one in segments if one.marker == 0xE2 and data.startswith(_ICC, one.begin + 4)]
    whole = is_profile(b"".join(data[one.begin + 18 : one.end] for one in icc))
    first, rest = [data[:2]], list[bytes]()
    for one in segments:
        body, size = one.begin + 4, one.end - one.begin
        if one.marker == 0xE0 and size == 18 and data.startswith(_JFIF, body):
            first.append(data[one.begin : one.end])
        elif one.marker == 0xEE and size == 16 and data.startswith(_ADOBE, body):
            rest.append(data[one.begin : one.end])
        elif _FIXED.get(one.marker, size) != size:
            continue
        elif (one in icc and whole) or one.marker in jpeg.TABLES or one.marker in jpeg.BARE:
            rest.append(data[one.begin : one.scan])
    if exif:
        first.append(b"\xff\xe1" + struct.pack(">H", 8 + len(exif)) + b"Exif\0\0" + exif)
    found = b"".join(first + rest)
    return data if found == data else found


def _png(data: bytes, exif: bytes, budget: Budget) -> bytes:
    ends = {one.begin: one.end for one in walk(data, "PNG", budget) if one.kind is Kind.PIXELS}
    kept = [data[:8]]
    for one in png.streams(data, budget):
        body = data[one.begin : one.end]
        if one.stream:
            start = one.begin + 4 * (one.name == b"fdAT")
            if one.shown and start in ends:
                kept.append(png.chunk(one.name, data[one.begin : ends[start]]))
        elif one.name == b"iCCP":
            kept += [png.chunk(one.name, body)] * is_profile(budget.inflate(body.partition(b"\0")[2][1:]))
        elif one.name in png.STRUCTURE and len(body) <= 1024 and (one.name != b"fcTL" or one.shown):
            kept.append(png.chunk(one.name, body))
        if one.name == b"IHDR" and exif:
            kept.append(png.chunk(b"eXIf", exif))
        if one.name == b"IEND":
            break
    return b"".join(kept)


def _webp(data: bytes, exif: bytes, budget: Budget) -> bytes:
    kept, frame_end = list[bytes](), 0
    head, icc = b"", False
    for name, begin, end, shown in webp.chunks(data, budget):
        body = data[begin:end]
        if name == b"VP8X":
            head = body[:10]
        elif name == b"ANMF":
            frame_end = end
            kept.append(_riff(name, body[: webp.FRAME]))
        elif name in webp.CODED and (shown or name == b"ALPH"):
            inner = _riff(name, body)
            kept.append(_riff(b"ANMF", kept.pop()[8:] + inner) if begin < frame_end else inner)
        elif name == b"ANIM" or (name == b"ICCP" and is_profile(body)):
            icc |= name == b"ICCP"
            kept.append(_riff(name, body if name == b"ICCP" else body[:6]))
    if head:
        flags = head[0] & ~(_EXIF_FLAG | _XMP_FLAG | _ICC_FLAG) | _EXIF_FLAG * bool(exif) | _ICC_FLAG * icc
        kept = [_riff(b"VP8X", bytes([flags]) + head[1:]), *kept, *([_riff(b"EXIF", exif)] if exif else [])]
    return _riff(b"RIFF", b"WEBP" + b"".join(kept))


def _riff(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def _gif(data: bytes, _: bytes, budget: Budget) -> bytes:
    blocks = list(gif.blocks(data, budget))
    kept = [data[: 13 + gif.palette(data[10])]]
    for begin, end in blocks:
        timed = data[begin + 1] == 0xF9 and end - begin <= 8 if data[begin] == 0x21 else False
        looped = data[begin + 3 : begin + 14] in _LOOPS and end - begin in _LOOP
        if data[begin] == 0x2C:
            kept += [data[begin : gif.pixels(data, begin, end)], b"\0"]
        elif data[begin] == 0x3B or timed or looped:
            kept.append(data[begin:end])
    return b"".join(kept)


_WRITERS: dict[str, Callable[[bytes, bytes, Budget], bytes]] = {
    "JPEG": _jpeg, "MPO": _jpeg, "PNG": _png, "WEBP": _webp, "GIF": _gif,
}  # fmt: skip
