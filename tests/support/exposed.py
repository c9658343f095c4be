"""Files of every kind that is stored, each with metadata that must not leave: a place, a preview, a name."""

import io
import struct
from typing import Any

from PIL import Image

from tests.support import containers
from tests.support.pictures import encode, texture

SECRET = b"Rosenweg 7, Anna"
_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>' + SECRET + b"</a></x:xmpmeta>"
_PREVIEW = encode(texture(99, (64, 48)))


def exif(turn: int = 6) -> bytes:
    """EXIF with a maker, a place, a preview, and an orientation."""
    made = Image.Exif()
    made[0x0112], made[0x010F], made[0x013B] = turn, "Anna's camera", SECRET.decode()
    made.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return made.tobytes()


def previewed(jpeg: bytes) -> bytes:
    """A JPEG with a preview in EXIF, and one behind its end as cameras put it."""
    return containers.jpeg_with(0xE1, b"Exif\0\0" + containers.exif_thumbnail(_PREVIEW)[6:], jpeg=jpeg)


def bad_rational() -> bytes:
    """A JPEG whose EXIF has its orientation, and a resolution of -1/3: Pillow raises where it turns the picture."""
    entries = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack(">HHII", 0x011A, 10, 1, 38)
    body = b"MM\0*" + struct.pack(">IH", 8, 2) + entries + bytes(4) + struct.pack(">ii", -1, 3)
    return containers.jpeg_with(0xE1, b"Exif\0\0" + body, jpeg=encode(texture(50)))


def files() -> dict[str, bytes]:
    """The files, by what they are."""
    pictures = [texture(seed, (120, 80)) for seed in range(30)]
    common: dict[str, Any] = {"exif": exif(), "xmp": _XMP}
    moving: dict[str, Any] = {"save_all": True, "duration": 70}
    png = Image.new("RGBA", (120, 80))
    png.paste(pictures[3], (10, 10))
    deep = Image.new("I;16", (60, 40))
    deep.putdata([n * 27 for n in range(2400)])
    tiff: dict[str, Any] = {"tiffinfo": _tags(), "compression": "tiff_lzw"}
    return {
        "jpeg": encode(pictures[0], "JPEG", comment=SECRET, **common),
        "jpeg progressive": encode(pictures[1], "JPEG", progressive=True, **common),
        "mpo": encode(pictures[2], "MPO", save_all=True, append_images=[texture(98, (120, 80))], exif=exif(8)),
        "png": encode(png, "PNG", pnginfo=_text(), **{"exif": exif(3)}),
        "png measured": _measured(encode(pictures[17], "PNG")),
        "apng": encode(pictures[4], "PNG", append_images=[pictures[5]], pnginfo=_text(), **moving),
        "webp": encode(pictures[6], "WEBP", **common),
        "webp moving": encode(pictures[7], "WEBP", append_images=[pictures[8]], **moving, **common),
        "gif": encode(pictures[9].quantize(64), "GIF", comment=SECRET),
        "gif moving": encode(pictures[10], "GIF", append_images=[pictures[11]], comment=SECRET, **moving),
        "bmp": encode(pictures[12], "BMP"),
        "tiff": encode(pictures[13], "TIFF", **tiff),
        "tiff ink": encode(pictures[14].convert("CMYK"), "TIFF", **tiff),
        "tiff deep": encode(deep, "TIFF", tiffinfo=_tags()),
        "tiff clear": encode(png, "TIFF", **tiff),
        "avif": encode(pictures[15], "AVIF", **common),
        "bad rational": bad_rational(),
        "plain": encode(pictures[16], "JPEG"),
    }


def _measured(png: bytes) -> bytes:
    """A PNG with the chunks that nobody needs to see it, and words in them."""
    place = png.index(b"IDAT") - 4
    names = (b"pCAL", b"sCAL", b"oFFs", b"tIME", b"sTER")
    return png[:place] + b"".join(containers.chunk(name, SECRET) for name in names) + png[place:]


def _text() -> Any:
    from PIL.PngImagePlugin import PngInfo

    made = PngInfo()
    made.add_itxt("XML:com.adobe.xmp", _XMP.decode())
    made.add_text("Author", SECRET.decode())
    return made


def _tags() -> Any:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    made = ImageFileDirectory_v2()
    made[0x010F], made[0x013B], made[0x0112] = "Anna's camera", SECRET.decode(), 6
    made[700] = _XMP
    made.tagtype[700] = 1
    return made


def shown(data: bytes) -> list[tuple[tuple[int, int], bytes]]:
    """Every frame as a receiver sees it: turned, on white; its size and its pixels."""
    from PIL import ImageOps

    found = []
    with Image.open(io.BytesIO(data)) as image:
        for number in range(getattr(image, "n_frames", 1) if image.format != "MPO" else 1):
            image.seek(number)
            frame = image.convert("I") if image.mode.startswith("I;16") else ImageOps.exif_transpose(image)
            found.append((frame.size, frame.convert("I" if frame.mode == "I" else "RGBA").tobytes()))
    return found
