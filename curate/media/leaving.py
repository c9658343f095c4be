"""A picture as it may leave: its coded pixels as they are, and nothing beside them; what cannot be written so, as PNG.

A GIF is one of those, and a moving one an APNG: torchvision's ImageFolder passes over files that end in .gif.

Orientation stays a tag where the file is rewritten, and is applied where pixels are coded anew; so does transparency
stay. What is given back opens, turns and decodes in a plain Pillow, every frame of it: that was tried.
"""

import hashlib
import io
import re
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageOps

from curate.errors import ItemError
from curate.media.decode import FORMATS, Bounds, decoding, frames, load, open_image, upright
from curate.media.hidden import is_profile
from curate.media.renderings import shown
from curate.media.strip import bare, stripped
from curate.records import Reason

VERSION = 3  # raise it when the same bytes leave as others
REWRITTEN = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
MEDIA_TYPES = frozenset(REWRITTEN.values())
QUALITY = 95  # of a JPEG that is made smaller
SIZE = 60 * 2**20  # bytes of a picture that is coded anew
MOVING = 2**27  # pixels of all frames of an animation that is
ENDS = 2**16  # bytes that a cut may have beside the part of the file that it keeps
_PROBE = 64
_SHA256 = re.compile("[0-9a-f]{64}")
_STILLS = frozenset(("JPEG", "MPO", "PNG", "WEBP"))
_SHALLOW = frozenset(("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"))
_EIGHTH = 8
_END = b"\xff\xd9"
_IN_PNG = {"1": "1", "L": "L", "LA": "LA", "La": "LA", "P": "P", "RGB": "RGB", "RGBA": "RGBA", "RGBa": "RGBA",
           "PA": "RGBA", "RGBX": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB"}  # fmt: skip
_DEEP = ("I;16", "I;16L", "I;16B")
_SPACES = {b"RGB ": ("RGB", "RGBA", "P"), b"GRAY": ("1", "L", "LA", "I;16")}


@dataclass(frozen=True, slots=True)
class Cut:
    """How the bytes that leave are made of those that are stored: `head`, those from `begin` to `end`, `tail`."""

    begin: int
    end: int
    head: bytes = b""
    tail: bytes = b""

    def of(self, data: bytes) -> bytes:
        """The bytes that leave; they are the stored ones themselves where nothing is taken out."""
        if not (self.head or self.tail) and (self.begin, self.end) == (0, len(data)):
            return data
        return b"".join((self.head, data[self.begin : self.end], self.tail))


@dataclass(frozen=True, slots=True)
class Treated:
    """What leaves of a sample: digest and type of its bytes, and their `cut`; None where they are coded anew."""

    sha256: str
    media_type: str
    cut: Cut | None


def treated(data: bytes, left: bytes, media_type: str, known: str | None = None) -> Treated:
    """That these bytes leave of a picture; `known`: the sha256 of those that are stored, which spares one."""
    sha256 = known if known is not None and left == data else hashlib.sha256(left).hexdigest()
    return Treated(sha256, media_type, cut(data, left))


def is_treated(one: Treated) -> bool:
    """Whether it can be the treatment of a picture."""
    made = one.cut or Cut(0, 0)
    fits = 0 <= made.begin <= made.end and len(made.head) + len(made.tail) <= ENDS
    return fits and one.media_type in MEDIA_TYPES and _SHA256.fullmatch(one.sha256) is not None


def of_decoded(
    data: bytes, bounds: Bounds, side: int | None = None, known: str | None = None, opened: Image.Image | None = None
) -> Treated | None:
    """What leaves of a still picture that was decoded whole just now, without decoding it again: the coded pixels are
    the same bytes. None where only a decode tells: other formats, deep samples, what is larger than `side`, or has
    little in common with what leaves. `known`: the sha256 of `data`; `opened`: it, as `open_image` opened it, and not
    scaled since."""
    try:
        image = opened or open_image(data, bounds)
        kind = image.format or ""
        if kind not in _STILLS or image.mode not in _SHALLOW or (side is not None and max(image.size) > side):
            return None
        left = _rewritten(data, kind, bounds, image)
        same = kind not in ("JPEG", "MPO") or left.endswith(_END)  # a decoder waits for more behind what has no end
        entire = getattr(image, "decodermaxblock", 0) == len(data)  # and not opened without its metadata
        if kind != "JPEG" or left != data or not entire:
            with decoding(), Image.open(io.BytesIO(left), formats=[REWRITTEN[kind].rpartition("/")[2]]) as found:
                facts = (found.size, found.mode, getattr(found, "is_animated", False))
            same &= facts == (image.size, image.mode, False)
    except ItemError:
        return None
    told = treated(data, left, REWRITTEN[kind], known) if same else None
    return None if told is None or told.cut is None else told


def leaving(data: bytes, bounds: Bounds, side: int | None = None) -> tuple[bytes, str]:
    """The bytes of the picture as it may leave, and their media type.

    `side`: the longer side in px that it may have; None: any. Raises ItemError where no such bytes can be made: what is
    neither of REWRITTEN nor one picture that a PNG can hold, or an animation that is too large.
    """
    image = open_image(data, bounds)
    kind, count = image.format or "", frames(image, bounds)
    smaller = side is not None and max(image.size) > side
    if not smaller and kind in REWRITTEN:
        try:
            found = _rewritten(data, kind, bounds)
            try_out(found)
        except ItemError:
            pass  # what the pixels can be read from all the same is coded anew
        else:
            return found, REWRITTEN[kind]
    moving = kind == "GIF" and not smaller
    if count > 1 and not moving:
        why = f"and is larger than {side} px" if smaller else "which a PNG has no place for"
        raise ItemError(Reason.TOO_MANY_FRAMES, f"{FORMATS.get(kind, kind)} with {count} frames or pages, {why}")
    if count > 1 and count * image.width * image.height > MOVING:
        raise ItemError(Reason.TOO_LARGE, f"{count} frames of {image.width}x{image.height}, once it is coded anew")
    found, media_type = _moving(image, count) if count > 1 else _anew(image, kind, side if smaller else None)
    if len(found) > SIZE:
        raise ItemError(Reason.TOO_LARGE, f"{len(found)} bytes once it is coded anew")
    try_out(found)
    return found, media_type


def _rewritten(data: bytes, kind: str, bounds: Bounds, opened: Image.Image | None = None) -> bytes:
    """The file without what is no picture in it."""
    found = stripped(data, kind, bounds, opened)
    return bare(found, bounds) if kind == "PNG" else found


def try_out(data: bytes) -> None:
    """Open a file as its receivers will, and decode every frame; raises ItemError where that fails.

    A JPEG is decoded at an eighth of its size, which reads every byte of it all the same.
    """
    with decoding(), Image.open(io.BytesIO(data), formats=sorted(REWRITTEN.keys() - {"MPO"})) as image:
        if image.format == "JPEG":
            image.draft(image.mode, (image.width // _EIGHTH, image.height // _EIGHTH))
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
        image.seek(0)
        ImageOps.exif_transpose(image).convert("RGB")


def cut(data: bytes, left: bytes) -> Cut | None:
    """How to make `left` of `data` again without reading it; None where too little of it is one piece of `data`."""
    if left == data:
        return Cut(0, len(data))
    for part in (2, 3, 5):
        place = len(left) // part
        at = data.find(left[place : place + _PROBE])
        if at >= 0:
            before = _common(left[:place][::-1], data[:at][::-1])
            behind = _common(left[place:], data[at:])
            head, tail = left[: place - before], left[place + behind :]
            if len(head) + len(tail) <= ENDS:
                return Cut(at - before, at + behind, head, tail)
    return None


def _common(one: bytes, other: bytes) -> int:
    """How many bytes two texts have in common at their beginning."""
    import numpy as np

    size = min(len(one), len(other))
    differ = np.frombuffer(one, np.uint8, size) != np.frombuffer(other, np.uint8, size)
    return int(differ.argmax()) if differ.any() else size


# -- coded anew ------------------------------------------------------------------------------------------------------


def _anew(image: Image.Image, kind: str, side: int | None) -> tuple[bytes, str]:
    """The first frame, turned as its file says: a smaller JPEG of what was one, or else a PNG, without loss but of what
    makes it smaller."""
    profile = image.info.get("icc_profile")
    load(image)
    with decoding():
        frame = upright(image)
        picture = _small(frame, side) if side is not None else _plain(frame)
        key = picture.info.get("transparency") if picture.mode in ("1", "L", "P", "RGB") else None
        picture.info = {}
        jpeg = side is not None and REWRITTEN.get(kind) == "image/jpeg"
        options: dict[str, Any] = {"quality": QUALITY, "subsampling": 0} if jpeg else {}
        options |= {} if key is None else {"transparency": key}
        out = io.BytesIO()
        picture.save(out, "JPEG" if jpeg else "PNG", **options, **_profile(profile, picture.mode))
    return out.getvalue(), "image/jpeg" if jpeg else "image/png"


def _moving(image: Image.Image, count: int) -> tuple[bytes, str]:
    """Every frame as it is shown, each whole, for as long, as an APNG."""
    frames, milliseconds, loop = [], [], image.info.get("loop")
    for number in range(count):
        load(image, number)
        with decoding():
            frames.append(image.convert("RGBA"))
        frames[-1].info = {}
        milliseconds.append(round(image.info.get("duration", 0)))
    out = io.BytesIO()
    again: dict[str, Any] = {"loop": 1 if loop is None else int(loop), "blend": 0, "disposal": 0}
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:], duration=milliseconds, **again)
    return out.getvalue(), "image/png"


def _plain(frame: Image.Image) -> Image.Image:
    """The frame in a mode that a PNG has."""
    if frame.mode in _DEEP:
        import numpy as np

        return Image.fromarray(np.asarray(frame).astype(np.uint16))
    if frame.mode not in _IN_PNG:
        raise ItemError(Reason.UNSUPPORTED_MIME, f"no PNG holds samples of mode {frame.mode}")
    return frame if _IN_PNG[frame.mode] == frame.mode else frame.convert(_IN_PNG[frame.mode])


def _small(frame: Image.Image, side: int) -> Image.Image:
    """The frame with a longer side of `side` px, 8 bits a sample, with the transparency that it has."""
    flat = frame.mode in ("RGB", "L") and "transparency" not in frame.info
    has_alpha = frame.mode in ("RGBA", "LA", "La", "PA", "RGBa") or "transparency" in frame.info
    picture = frame if flat else frame.convert("RGBA") if has_alpha else shown(frame)
    ratio = side / max(picture.size)
    size = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _profile(profile: object, mode: str) -> dict[str, bytes]:
    """The colour profile, where it is one, whole, of pixels like these."""
    if not isinstance(profile, bytes) or not is_profile(profile) or mode not in _SPACES.get(profile[16:20], ()):
        return {}
    return {"icc_profile": profile}
