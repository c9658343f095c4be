"""Small writers of image files that hold other bytes wherever their formats let them."""

import base64
import struct
import zlib
from collections.abc import Callable

from PIL import Image

from tests.support.pictures import encode, texture

SIZE = (96, 64)
COVER = texture(1, SIZE)
HEAD = b"II*\0\x08\0\0\0"


# -- JPEG ------------------------------------------------------------------------------------------------------------

JPEG = encode(COVER, "JPEG", quality=75)
XMP = b"http://ns.adobe.com/xap/1.0/\0"


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg_with(marker: int, *bodies: bytes, jpeg: bytes = JPEG) -> bytes:
    """A JPEG with these segments behind its start."""
    return jpeg[:2] + b"".join(segment(marker, body) for body in bodies) + jpeg[2:]


def in_segment(number: int) -> Callable[[bytes], bytes]:
    return lambda hidden: jpeg_with(0xE0 + number, b"Vendor\0" + hidden)


def comment_before_scan(hidden: bytes) -> bytes:
    at = JPEG.index(b"\xff\xda")
    return JPEG[:at] + segment(0xFE, hidden) + JPEG[at:]


def jfif_thumbnail(hidden: Image.Image) -> bytes:
    return JPEG[:2] + segment(0xE0, JPEG[6:18] + bytes(hidden.size) + hidden.tobytes()) + JPEG[20:]


def palette_thumbnail(hidden: Image.Image) -> bytes:
    greys = bytes(n for value in range(256) for n in (value, value, value))
    return jpeg_with(0xE0, b"JFXX\0\x11" + bytes(hidden.size) + greys + hidden.convert("L").tobytes())


def halves(body: bytes) -> tuple[bytes, bytes]:
    return body[: len(body) // 2], body[len(body) // 2 :]


def split_profile(hidden: bytes) -> bytes:
    first, second = halves(hidden)
    return jpeg_with(0xE2, b"ICC_PROFILE\0\x01\x02" + first, b"ICC_PROFILE\0\x02\x02" + second)


def extended_xmp(hidden: bytes) -> bytes:
    first, second = halves(b"<x>" + base64.b64encode(hidden) + b"</x>")
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32
    return jpeg_with(0xE1, head + bytes(8) + first, head + bytes(8) + second)


def xmp(hidden: bytes) -> bytes:
    """As Adobe's editors write thumbnails."""
    text = base64.b64encode(hidden)
    lines = b"&#xA;".join(text[n : n + 76] for n in range(0, len(text), 76))
    return b"<x:xmpmeta><xmpGImg:image>" + lines + b"</xmpGImg:image></x:xmpmeta>"


def jumbf(hidden: bytes) -> bytes:
    box = struct.pack(">I4s", len(hidden) + 8, b"jumb")
    first, second = halves(hidden)
    return jpeg_with(0xEB, b"JP\0\1\0\0\0\1" + box + first, b"JP\0\1\0\0\0\2" + box + second)


def photoshop(hidden: bytes) -> bytes:
    body = bytes(28) + hidden
    resource = b"8BIM\x04\x0c\0\0" + struct.pack(">I", len(body)) + body
    first, second = halves(resource)
    return jpeg_with(0xED, b"Photoshop 3.0\0" + first, b"Photoshop 3.0\0" + second)


def two_generations(hidden: Image.Image) -> bytes:
    """A progressive JPEG whose scans are followed by those of another one of the same size."""
    first, second = (encode(one.resize(SIZE), "JPEG", quality=75, progressive=True) for one in (COVER, hidden))
    begin = second.index(b"\xff\xc4")
    return first[:-2] + second[begin:]


# -- TIFF structures -------------------------------------------------------------------------------------------------

Tag = tuple[int, int, int, bytes]  # number, type, how many, value


def long(tag: int, *values: int) -> Tag:
    return tag, 4, len(values), struct.pack(f"<{len(values)}I", *values)


def data_tag(tag: int, body: bytes) -> Tag:
    return tag, 7, len(body), body


def directory(at: int, tags: list[Tag], after: int = 0) -> bytes:
    """A directory that lies at this offset, its values behind it."""
    place, entries, values = at + 6 + 12 * len(tags), b"", b""
    for tag, kind, count, body in sorted(tags):
        inline = len(body) <= 4
        entries += struct.pack("<HHI", tag, kind, count)
        entries += body.ljust(4, b"\0") if inline else struct.pack("<I", place + len(values))
        values += b"" if inline else body + bytes(len(body) % 2)
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", after) + values


def layout(image: Image.Image, offset: int, size: int | None = None) -> list[Tag]:
    """The tags of an uncompressed RGB picture of one strip."""
    width, height = image.size
    depth: Tag = (258, 3, 3, struct.pack("<3H", 8, 8, 8))
    numbers = {256: width, 257: height, 259: 1, 262: 2, 273: offset, 277: 3, 278: height}
    return [depth, *(long(*one) for one in numbers.items()), long(279, size or 3 * width * height)]


def exif(hidden: bytes) -> bytes:
    """EXIF with these bytes for a MakerNote."""
    first = directory(8, [long(34665, 200), (271, 2, 6, b"maker\0")])
    return (HEAD + first).ljust(200, b"\0") + directory(200, [data_tag(37500, b"Maker\0" + hidden)])


def exif_thumbnail(hidden: bytes) -> bytes:
    """EXIF with these bytes for a thumbnail, whatever they are."""
    first = directory(8, [(271, 2, 6, b"maker\0")], after=100)
    second = directory(100, [long(259, 6), long(513, 200), long(514, len(hidden))])
    return ((HEAD + first).ljust(100, b"\0") + second).ljust(200, b"\0") + hidden


def exif_strips(image: Image.Image) -> bytes:
    """EXIF with an uncompressed thumbnail."""
    first = directory(8, [(271, 2, 6, b"maker\0")], after=100)
    return ((HEAD + first).ljust(100, b"\0") + directory(100, layout(image, 400))).ljust(400, b"\0") + image.tobytes()


def tiff(*tags: Tag, behind: bytes = b"", gap: bytes = b"", strip: bytes = b"") -> bytes:
    """A TIFF with a gap before its strip, more in the strip than its rows need, and bytes behind it."""
    pixels = COVER.tobytes() + strip
    body = HEAD[:4] + struct.pack("<I", 8 + len(gap) + len(pixels)) + gap + pixels
    return body + directory(len(body), [*layout(COVER, 8 + len(gap), len(pixels)), *tags]) + behind


def tiff_with_directory(hidden: Image.Image, tag: int = 330) -> bytes:
    """A TIFF one tag of which leads to another directory, with a picture of its own."""
    pixels = hidden.tobytes()
    at = 8 + len(COVER.tobytes()) + len(pixels)
    inner = directory(at, layout(hidden, 8 + len(COVER.tobytes())))
    outer = directory(at + len(inner), [*layout(COVER, 8), long(tag, at)])
    return HEAD[:4] + struct.pack("<I", at + len(inner)) + COVER.tobytes() + pixels + inner + outer


def big_tiff(hidden: bytes) -> bytes:
    """A BigTIFF with a private tag."""
    width, height = SIZE
    numbers = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 16, 277: 1, 278: height, 279: width * height}
    pixels = COVER.convert("L").tobytes()
    at = 16 + len(pixels)
    entries = b"".join(struct.pack("<HHQQ", tag, 4, 1, value) for tag, value in numbers.items())
    place = at + 8 + 20 * (len(numbers) + 1) + 8
    entries += struct.pack("<HHQQ", 65000, 7, len(hidden), place)
    ifd = struct.pack("<Q", len(numbers) + 1) + entries + bytes(8)
    return b"II+\0\x08\0\0\0" + struct.pack("<Q", at) + pixels + ifd + hidden


# -- PNG -------------------------------------------------------------------------------------------------------------

PNG = encode(COVER, "PNG")


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_with(name: bytes, body: bytes, before: bytes = b"IDAT") -> bytes:
    at = PNG.index(before) - 4
    return PNG[:at] + chunk(name, body) + PNG[at:]


def png_of(stream: bytes, *more: bytes) -> bytes:
    """The cover's PNG with this zlib stream for its pixels, and these IDAT chunks behind."""
    return PNG[:33] + chunk(b"IDAT", stream) + b"".join(chunk(b"IDAT", one) for one in more) + chunk(b"IEND", b"")


def rows(image: Image.Image) -> bytes:
    flat, stride = image.tobytes(), 3 * image.width
    return b"".join(b"\0" + flat[n : n + stride] for n in range(0, len(flat), stride))


def raw_profile(hidden: bytes) -> bytes:
    """As ImageMagick writes EXIF."""
    text = b"\nexif\n  99\n" + hidden.hex("\n", 36).encode()
    return png_with(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))


def second_run(hidden: Image.Image) -> bytes:
    """Another picture's IDAT behind a chunk that ends the first run."""
    first = PNG[:-12] + chunk(b"tEXt", b"a\0b")
    return first + chunk(b"IDAT", zlib.compress(rows(hidden.resize(SIZE)))) + chunk(b"IEND", b"")


def surplus_frame(hidden: Image.Image) -> bytes:
    """An APNG that says it has one frame, and has two."""
    control = [struct.pack(">IIIIIHHBB", n, *one.size, 0, 0, 1, 10, 0, 0) for n, one in ((0, COVER), (1, hidden))]
    frame = chunk(b"fdAT", struct.pack(">I", 2) + zlib.compress(rows(hidden)))
    return b"".join((PNG[:33], chunk(b"acTL", struct.pack(">II", 1, 0)), chunk(b"fcTL", control[0]),
                     chunk(b"IDAT", zlib.compress(rows(COVER))), chunk(b"fcTL", control[1]), frame,
                     chunk(b"IEND", b"")))  # fmt: skip


# -- GIF -------------------------------------------------------------------------------------------------------------

GIF = encode(COVER, "GIF")


def blocks(body: bytes) -> bytes:
    pieces = [body[n : n + 255] for n in range(0, len(body), 255)]
    return b"".join(bytes([len(one)]) + one for one in pieces) + b"\0"


def gif_with(block: bytes) -> bytes:
    """Before the first picture."""
    at = 13 + (3 << (GIF[10] & 7) + 1)
    return GIF[:at] + block + GIF[at:]


def gif_behind_pixels(hidden: bytes) -> bytes:
    return GIF[:-2] + blocks(hidden) + GIF[-1:]


# -- BMP and WebP ----------------------------------------------------------------------------------------------------

BMP = encode(COVER, "BMP")


def bmp_gap(hidden: bytes) -> bytes:
    return BMP[:10] + struct.pack("<I", 54 + len(hidden)) + BMP[14:54] + hidden + BMP[54:]


WEBP = encode(COVER, "WEBP", quality=60)


def riff(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def webp(*chunks: bytes, flags: int = 0) -> bytes:
    size = struct.pack("<I", SIZE[0] - 1)[:3] + struct.pack("<I", SIZE[1] - 1)[:3]
    body = b"WEBP" + riff(b"VP8X", bytes([flags, 0, 0, 0]) + size) + WEBP[12:] + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def plain_webp(chunk: bytes) -> bytes:
    """Without an extended header: a decoder reads the first chunk alone."""
    body = WEBP[8:] + chunk
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_behind_pixels(hidden: bytes) -> bytes:
    body = b"WEBP" + riff(b"VP8 ", WEBP[20:] + hidden)
    return b"RIFF" + struct.pack("<I", len(body)) + body


# -- AVIF ------------------------------------------------------------------------------------------------------------

AVIF = encode(COVER, "AVIF", quality=70)


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, name) + body


def full(name: bytes, body: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(name, bytes([version]) + flags.to_bytes(3, "big") + body)


def find_box(data: bytes, name: bytes) -> bytes:
    """The first box of this name."""
    at = data.index(name) - 4
    return data[at : at + int.from_bytes(data[at : at + 4], "big")]


def avif_of(items: list[tuple[bytes, bytes, list[bytes]]], references: bytes = b"", idat: bytes = b"",
            uncovered: bytes = b"") -> bytes:  # fmt: skip
    """An AVIF of these items (type, data, properties), the first of them primary."""
    properties = [one for _, _, several in items for one in several]
    ipma, number = struct.pack(">I", len(items)), 0
    for n, (_, _, several) in enumerate(items, start=1):
        ipma += struct.pack(">HB", n, len(several)) + bytes(range(number + 1, number + 1 + len(several)))
        number += len(several)
    entries = b"".join(
        full(b"infe", struct.pack(">HH4s", n, 0, kind) + (b"\0application/rdf+xml\0" if kind == b"mime" else b"\0"), 2)
        for n, (kind, _, _) in enumerate(items, start=1)
    )

    def meta(at: int) -> bytes:
        locations = b""
        for n, (_, body, _) in enumerate(items, start=1):
            locations += struct.pack(">HHHII", n, 0, 1, at, len(body))
            at += len(body)
        return full(
            b"meta",
            full(b"hdlr", bytes(4) + b"pict" + bytes(13))
            + full(b"pitm", struct.pack(">H", 1))
            + full(b"iloc", b"\x44\0" + struct.pack(">H", len(items)) + locations)
            + full(b"iinf", struct.pack(">H", len(items)) + entries)
            + (full(b"iref", references) if references else b"")
            + box(b"iprp", box(b"ipco", b"".join(properties)) + full(b"ipma", ipma))
            + (box(b"idat", idat) if idat else b""),
        )

    start = box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
    at = len(start) + len(meta(0)) + 8
    return start + meta(at) + box(b"mdat", b"".join(body for _, body, _ in items) + uncovered)


def coded(image: Image.Image) -> tuple[bytes, bytes, list[bytes]]:
    """A picture as an item: its type, its data, its properties."""
    data = encode(image, "AVIF", quality=90)
    return b"av01", find_box(data, b"mdat")[8:], [find_box(data, name) for name in (b"ispe", b"pixi", b"av1C")]


ITEM = coded(COVER)


def avif_item(hidden: Image.Image, auxiliary: str = "") -> bytes:
    """An AVIF with a second picture that nothing leads to, or that is auxiliary to the first."""
    kind, body, properties = coded(hidden)
    if not auxiliary:
        return avif_of([ITEM, (kind, body, properties)])
    properties.append(full(b"auxC", auxiliary.encode() + b"\0"))
    return avif_of([ITEM, (kind, body, properties)], box(b"auxl", struct.pack(">HHH", 2, 1, 1)))


def avif_metadata(kind: bytes, body: bytes) -> bytes:
    return avif_of([ITEM, (kind, body, [])], box(b"cdsc", struct.pack(">HHH", 2, 1, 1)))
