"""Samples that a decoder leaves out, brought to light by reading the same bytes another way."""

import re
import struct
from typing import Any

from PIL import Image, ImageFile

from curate.errors import ItemError
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


def refuse_unseen(raw: str, reason: Reason) -> None:
    """Raise ItemError where a frame has channels that no way of reading it shows."""
    if _FIFTH.match(raw):
        raise ItemError(reason, f"channels that cannot be looked at ({raw})")


def refuse_planes(image: Image.Image, reason: Reason) -> None:
    """Raise ItemError for a TIFF whose samples lie otherwise than Pillow reads them.

    Samples that nothing gives a meaning (zero is black to others); colour that is subsampled and not compressed;
    separate planes of which it leaves one out, or half of the bits.
    """
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return
    if 262 not in tags:
        raise ItemError(reason, "samples that nothing gives a meaning")
    if tags.get(262) == 6 and tags.get(259, 1) in (1, 32773) and tags.get(530, (2, 2)) != (1, 1):
        raise ItemError(reason, "subsampled colour, which is not read as it lies")
    if tags.get(284) != 2:
        return
    if 0 in tags.get(338, ()):
        raise ItemError(reason, "separate planes of which one cannot be looked at")
    if len(tags.get(258, ())) > 1 and max(tags.get(258)) > 8:
        raise ItemError(reason, "separate planes of more than 8 bits")


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
