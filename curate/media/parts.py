"""All that a file shows, or holds without showing it: each part with its PDQ.

Its first frame is "main"; then come every other frame of an animation ("frame:7") or page of a TIFF ("page:2"), what an
alpha channel hides ("alpha:rgb" without it, "alpha:black" on black, "alpha:mask" itself), and the pictures that lie in
the metadata or after the end ("preview:0": EXIF and Photoshop thumbnails, MPO's second pictures, gain maps: whatever
`hidden.inspect` finds).
"""

from collections.abc import Iterator, Sequence

from PIL import Image

from curate.errors import ItemError
from curate.media import hidden, pdq
from curate.media.decode import Bounds, Luminance, decoding, flattened, frames, luminance, open_image
from curate.records import Reason


def parts(data: bytes, bounds: Bounds) -> tuple[pdq.Pdq, ...]:
    """PDQ of each part of a file, "main" first, by the hash that decides; raises ItemError."""
    image = open_image(data, bounds)
    after = followers(data, image.format, bounds)
    main = pdq.full(flattened(image, "RGB"))
    others = (pdq.full(_rgb(picture), part) for part, picture in _others(image, after, bounds))
    return _distinct([main, *others])


def looks(data: bytes, seen: Luminance, after: Sequence[bytes], bounds: Bounds) -> tuple[pdq.Pdq, ...]:
    """As `parts`, by a first look wherever that is enough.

    `seen` is the first frame's one decode, `after` what `hidden.inspect` found beside it.
    """
    main = pdq.look(seen) or _closer(flattened(open_image(data, bounds), "RGB"), pdq.MAIN)
    others = (_look(part, picture) for part, picture in _others(open_image(data, bounds), after, bounds))
    return _distinct([main, *others])


def followers(data: bytes, kind: str | None, bounds: Bounds) -> tuple[bytes, ...]:
    """The pictures that a file holds without showing them."""
    return hidden.inspect(data, kind or "", bounds).pictures


def _look(part: str, picture: Image.Image) -> pdq.Pdq:
    with decoding():
        return pdq.look(luminance(picture), part) or _closer(_rgb(picture), part)


def _closer(picture: Image.Image, part: str) -> pdq.Pdq:
    return pdq.near(picture, part) or pdq.full(picture, part)


def _rgb(picture: Image.Image) -> Image.Image:
    return flattened(picture, "RGB")


def _distinct(found: Sequence[pdq.Pdq]) -> tuple[pdq.Pdq, ...]:
    """Each hash once, under the first part that has it."""
    return tuple({one.hashes: one for one in reversed(found)}.values())[::-1]


def _others(image: Image.Image, after: Sequence[bytes], bounds: Bounds) -> Iterator[tuple[str, Image.Image]]:
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
    yield from _previews(after, bounds)


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


def _previews(after: Sequence[bytes], bounds: Bounds) -> Iterator[tuple[str, Image.Image]]:
    """The pictures inside the metadata and after the end."""
    small = Bounds(bounds.max_pixels, 1)
    number = 0
    for one in after:
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
