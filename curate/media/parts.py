"""All that a file shows, or holds without showing it: each part with its PDQ.

Its first frame is "main"; then come every other frame of an animation ("frame:7") or page of a TIFF ("page:2"), what an
alpha channel hides ("alpha:rgb" without it, "alpha:black" on black, "alpha:mask" itself), and the JPEGs that lie in the
metadata or after the end ("preview:0": EXIF and Photoshop thumbnails, MPO's second pictures, gain maps). Not looked at:
thumbnails that are no JPEG, TIFF's sub-directories, AVIF's auxiliary items.
"""

from collections.abc import Iterator, Sequence

from PIL import Image

from curate.errors import ItemError
from curate.media import pdq
from curate.media.decode import Bounds, Luminance, decoding, flattened, frames, open_image
from curate.media.ends import following, jpeg, segments
from curate.records import Reason

PREVIEWS = 8  # JPEGs in the metadata that are looked at
_PHOTOSHOP = 34377  # the TIFF tag of Photoshop's resources, a thumbnail among them


def parts(data: bytes, bounds: Bounds) -> tuple[pdq.Pdq, ...]:
    """PDQ of each part of a file, "main" first, by the hash that decides; raises ItemError."""
    image = open_image(data, bounds)
    after = followers(data, image.format)
    main = pdq.compute(flattened(image, "RGB"))
    others = (pdq.compute(_rgb(picture), part) for part, picture in _others(data, image, after, bounds))
    return _distinct([main, *others])


def looks(data: bytes, seen: Luminance, after: Sequence[bytes], bounds: Bounds) -> tuple[pdq.Pdq, ...]:
    """As `parts`."""
    return parts(data, bounds)


def followers(data: bytes, kind: str | None) -> tuple[bytes, ...]:
    """The whole JPEGs that come after a JPEG in its file."""
    return tuple(data[at:end] for at, end in following(data, jpeg(data))) if kind in ("JPEG", "MPO") else ()


def _rgb(picture: Image.Image) -> Image.Image:
    return flattened(picture, "RGB")


def _distinct(found: Sequence[pdq.Pdq]) -> tuple[pdq.Pdq, ...]:
    """Each hash once, under the first part that has it."""
    return tuple({one.hashes: one for one in reversed(found)}.values())[::-1]


def _others(
    data: bytes, image: Image.Image, after: Sequence[bytes], bounds: Bounds
) -> Iterator[tuple[str, Image.Image]]:
    """Every part but the first frame as it is shown, as pictures that are not yet flattened."""
    word = "page" if image.format == "TIFF" else "frame"
    for number in range(min(frames(image), bounds.max_frames)):
        if number:
            with decoding():
                image.seek(number)
            if image.width * image.height > bounds.max_pixels:
                raise ItemError(Reason.TOO_MANY_PIXELS, f"{image.width}x{image.height}")
        if number or _may_hide(image):
            with decoding():
                image.load()
                frame = image.copy()
            if number:
                yield f"{word}:{number}", frame
            for name, hidden in _hidden(frame):
                yield (f"{word}:{number}:{name}" if number else name), hidden
    yield from _previews(data, image, after, bounds)


def _may_hide(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _hidden(frame: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """What composing a frame on white does not show; nothing where every pixel is opaque."""
    if not _may_hide(frame):
        return
    layer = frame.convert("RGBA")
    alpha = layer.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return
    yield "alpha:rgb", layer.convert("RGB")
    yield "alpha:black", Image.alpha_composite(Image.new("RGBA", layer.size, "black"), layer).convert("RGB")
    yield "alpha:mask", alpha


def _previews(
    data: bytes, image: Image.Image, after: Sequence[bytes], bounds: Bounds
) -> Iterator[tuple[str, Image.Image]]:
    """The JPEGs inside the metadata and after the end; what cannot be decoded shows nothing, and is passed over."""
    small = Bounds(bounds.max_pixels, 1)
    number = 0
    for one in (*_embedded(data, image), *after):
        try:
            preview = open_image(one, small)
            with decoding():
                preview.load()
        except ItemError as error:
            if error.reason is Reason.TOO_MANY_PIXELS:
                raise
            continue
        yield f"preview:{number}", preview
        number += 1


def _embedded(data: bytes, image: Image.Image) -> list[bytes]:
    """What may be a JPEG in the metadata: everything from each of their first three bytes on."""
    if image.format in ("JPEG", "MPO"):
        header = next((end for marker, _, end in segments(data) if marker == 0xDA), len(data))
        places = [data[2:header]]
    else:
        tags = getattr(image, "tag_v2", {})
        places = [one for one in (image.info.get("exif"), tags.get(_PHOTOSHOP)) if isinstance(one, bytes)]
    found: list[bytes] = []
    for place in places:
        at = place.find(b"\xff\xd8\xff")
        while at >= 0 and len(found) < PREVIEWS:
            found.append(place[at:])
            at = place.find(b"\xff\xd8\xff", at + 3)
    return found
