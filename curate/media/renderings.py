"""Every way in which a viewer may show a decoded frame, the one that we show ourselves first.

Viewers differ in what they do with a colour profile, with more than eight bits, with ink, with transparency and with a
clean aperture. Each difference that can change what is seen is a picture of its own here; docs/screening.md lists them.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageChops

from curate.media import colour, deep

if TYPE_CHECKING:
    import numpy as np

Rendering = tuple[str, Image.Image]  # its name ("" is what we show), and the picture: RGB or L
Box = tuple[int, int, int, int]

COLOURFUL = 64  # levels between which the pixels of a colour channel lie where colour is what shows a picture
_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")


@dataclass(frozen=True)
class Facts:
    """What a file says of how its frames are to be shown, beside their pixels.

    `profiles`: ICC, of which viewers apply one or another; `inverted`: zero is white, in samples that Pillow leaves as
    they are; `crops`: parts of the frame (left, upper, right, lower) that some viewers show instead of the whole;
    `signed`: its 8 bits a sample have a sign; `added`: the file denies the alpha channel, and colours are added to what
    is behind it.
    """

    profiles: tuple[bytes, ...] = ()
    inverted: bool = False
    crops: tuple[Box, ...] = ()
    signed: bool = False
    added: bool = False


PLAIN = Facts()


def shown(frame: Image.Image) -> Image.Image:
    """A loaded frame as we show it, RGB or L: raw pixels, transparency on white, deep samples by their range."""
    return next(_all(frame, PLAIN, None))[1]


def renderings(frame: Image.Image, facts: Facts = PLAIN, low: Image.Image | None = None) -> Iterator[Rendering]:
    """Every rendering of a loaded frame, each picture once; the usual frame has exactly one, which costs nothing.

    `low`: the lower bytes of 16-bit colour, of which the frame holds the upper ones.
    """
    found = _all(frame, facts, low)
    first = next(found)
    yield first
    seen: set[bytes] = set()
    for name, picture in found:
        seen = seen or {_digest(first[1])}
        if (mark := _digest(picture)) not in seen:
            seen.add(mark)
            yield name, picture


def lightness(picture: Image.Image) -> Image.Image | None:
    """The luminance of an RGB picture over the whole range, where its colours differ much and its luminance little.

    PDQ hears luminance only, and has a low quality for such a picture, which is plain to see. None for any other.
    """
    if picture.mode != "RGB":
        return None
    levels, count = picture.histogram(), picture.width * picture.height
    spread = max(high - low for low, high in (_span(levels[n : n + 256], count) for n in (0, 256, 512)))
    if spread < COLOURFUL:
        return None
    grey = picture.convert("L")
    least, most = _span(grey.histogram(), count)
    if spread < 2 * (most - least) or least == most:
        return None
    return grey.point([max(0, min(255, round((level - least) * 255 / (most - least)))) for level in range(256)])


def _span(levels: list[int], count: int) -> tuple[int, int]:
    """The levels between which all but 1 % of a band's pixels lie at each end, from how many have each level."""
    import numpy as np

    part = np.cumsum(levels) / count
    return int(np.searchsorted(part, 0.01, "right")), int(np.searchsorted(part, 0.99))


def _all(frame: Image.Image, facts: Facts, low: Image.Image | None) -> Iterator[Rendering]:
    for tone, picture in _coloured(frame, facts, low):
        for layer, flat in _flattened(picture, facts.added):
            name = ":".join(filter(None, (tone, layer)))
            yield name, flat
            for number, box in enumerate(facts.crops):
                yield f"{name}:crop:{number}".lstrip(":"), flat.crop(box)


def _coloured(frame: Image.Image, facts: Facts, low: Image.Image | None) -> Iterator[Rendering]:
    """The tones first as they are, then through the profile; with the alpha channel that the frame has."""
    for name, picture in _tones(frame, facts, low):
        ink = picture.mode == "CMYK"
        yield name, picture.convert("RGB") if ink else picture
        if ink:
            yield f"{name}:clipped".lstrip(":"), _clipped_ink(picture)
        for number, profile in enumerate(facts.profiles):
            for way in colour.ways(profile):
                if (way.mode == "CMYK") == ink:
                    yield f"{name}:{way.name}{f':{number}' if number else ''}".lstrip(":"), _managed(picture, way)


def _managed(picture: Image.Image, way: colour.Managed) -> Image.Image:
    base = picture if picture.mode == way.mode else picture.convert("RGB").convert(way.mode)
    found = way(base)
    if picture.mode in ("RGBA", "LA"):
        found.putalpha(picture.getchannel("A"))
    return found


def _tones(frame: Image.Image, facts: Facts, low: Image.Image | None) -> Iterator[Rendering]:
    """The frame in RGB, L, RGBA, LA or CMYK, by every reading of its samples."""
    if frame.mode in deep.MODES:
        yield from _deep_grey(frame, facts)
    elif low is not None:
        yield from _deep_colour(frame, low)
    elif frame.mode == "CMYK":
        yield "", frame
        yield "inverted", ImageChops.invert(frame)
    elif frame.mode == "LAB":
        yield "", frame.convert("RGB")  # Pillow asks lcms
        for name, middle in (("channels", 0), ("channels:signed", 128)):  # of colour, as ICC and as TIFF has it
            bands = [one.point([n ^ (middle * bool(at)) for n in range(256)]) for at, one in enumerate(frame.split())]
            yield name, Image.merge("RGB", bands)
    elif frame.mode in ("RGB", "L") and "transparency" not in frame.info:
        yield "", frame
        if facts.signed and frame.mode == "L":
            yield "signed", frame.point([n ^ 128 for n in range(256)])
    elif frame.mode in _ALPHA or "transparency" in frame.info:
        plain = frame.convert("LA") if frame.mode == "La" else frame  # which has no other way
        yield "", plain if plain.mode in ("RGBA", "LA") else plain.convert("RGBA")
    else:
        yield "", frame.convert("L" if frame.mode == "1" else "RGB")


def _deep_grey(frame: Image.Image, facts: Facts) -> Iterator[Rendering]:
    values = deep.values_of(frame)
    mask = _keyed(values, frame.info.get("transparency"))
    for name, samples in deep.scalings(values, frame.mode):
        grey = Image.fromarray(samples)
        turned = ImageChops.invert(grey)
        yield name, _with(mask, grey)
        if facts.inverted:
            yield f"{name}:negative".lstrip(":"), _with(mask, turned)


def _keyed(samples: "np.ndarray", key: object) -> Image.Image | None:
    """The alpha channel of samples [height, width, ...] of which one value, or one colour, is transparent."""
    import numpy as np

    if not isinstance(key, int | tuple):
        return None
    same = samples == np.asarray(key)
    return Image.fromarray(~(same.all(axis=2) if same.ndim == 3 else same) * np.uint8(255))


def _with(mask: Image.Image | None, picture: Image.Image) -> Image.Image:
    if mask is not None:
        picture.putalpha(mask)
    return picture


def _deep_colour(frame: Image.Image, low: Image.Image) -> Iterator[Rendering]:
    """16-bit colour: all channels by one scale, so that hues stay what they are; alpha by the format's range."""
    import numpy as np

    colours = 4 if frame.mode == "CMYK" else 3
    upper, lower = np.asarray(frame)[..., :colours], np.asarray(low)[..., :colours]
    values = upper.astype(np.float64) * 256 + lower
    mask = frame.getchannel("A") if frame.mode == "RGBA" else _keyed(values, frame.info.get("transparency"))
    yield "", _with(mask, _banded(upper))
    for name, samples in deep.scalings(values, "I;16"):
        yield name or "range", _with(mask, _banded(samples))


def _banded(samples: "np.ndarray") -> Image.Image:
    import numpy as np

    bands = [Image.fromarray(np.ascontiguousarray(samples[..., n])) for n in range(samples.shape[2])]
    return Image.merge("CMYK" if len(bands) == 4 else "RGB", bands)


def _clipped_ink(picture: Image.Image) -> Image.Image:
    """Ink as PostScript adds it up (1 - min(1, colour + black)), where most multiply."""
    cyan, magenta, yellow, black = picture.split()
    return Image.merge("RGB", [ImageChops.invert(ImageChops.add(one, black)) for one in (cyan, magenta, yellow)])


def _flattened(picture: Image.Image, added: bool) -> Iterator[Rendering]:
    """A picture without alpha as it is; one with it on white, on black, on grey, without it, and the alpha itself."""
    if picture.mode not in ("RGBA", "LA"):
        yield "", picture
        return
    layer = picture if picture.mode == "RGBA" else picture.convert("RGBA")
    alpha = layer.getchannel("A")
    if alpha.getextrema() == (255, 255):
        yield "", layer.convert("RGB")
        return
    yield "", _on("white", layer)
    yield "alpha:rgb", layer.convert("RGB")
    for ground in ("black", "grey"):
        yield f"alpha:{ground}", _on(ground, layer)
    yield "alpha:mask", alpha
    if added:
        behind = ImageChops.invert(alpha)
        yield "alpha:added", ImageChops.add(layer.convert("RGB"), Image.merge("RGB", [behind] * 3))


def _on(ground: str, layer: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", layer.size, ground), layer).convert("RGB")


def _digest(picture: Image.Image) -> bytes:
    found = hashlib.sha256(repr((picture.mode, picture.size)).encode())
    found.update(picture.tobytes())
    return found.digest()
