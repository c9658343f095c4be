"""All that a file shows, or holds without showing it: each part with its PDQ.

"main" is the first frame as we show it; "main:managed", "main:alpha:mask", ... are its other renderings. Then come
every other frame of an animation ("frame:7") or page of a TIFF ("page:2") with their renderings, what the decoder
leaves out ("main:stored", "raw:3": a frame before it is laid over the others), and every picture that lies in the
metadata or after the end ("preview:0") with its own frames, renderings and pictures. docs/screening.md has the table.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from PIL import Image

from curate.errors import ItemError
from curate.media import hidden, layers, pdq, phash, profiles, readings, unshown
from curate.media.decode import SEVERAL, Bounds, Luminance, decoding, frames, load, open_image, upright
from curate.media.renderings import Facts, Rendering, lightness, renderings
from curate.records import Reason

RENDERED = 16  # times `max_pixels`: all renderings of all frames
_LIMITS = (Reason.TOO_MANY_PIXELS, Reason.TOO_MANY_FRAMES, Reason.TOO_LARGE, Reason.HIDDEN_DATA)


@dataclass(frozen=True)
class Whole:
    """A file seen whole: what its first frame looks like in grey, as we show it, and its parts."""

    grey: Luminance
    parts: tuple[pdq.Pdq, ...]


@dataclass
class _Budget:
    """What is left of the pixels, decoded and rendered, that one file may have; more is refused, not skipped."""

    bounds: Bounds
    pixels: int
    rendered: int
    unseen: Reason = Reason.DECODE_ERROR  # why a frame is refused that others can read

    @classmethod
    def from_bounds(cls, bounds: Bounds) -> "_Budget":
        """All that a file may have."""
        return cls(bounds, 2 * SEVERAL * bounds.max_pixels, RENDERED * bounds.max_pixels)  # raw frames count again

    def frame(self, image: Image.Image) -> None:
        """Count a frame before it is decoded."""
        self.pixels -= image.width * image.height
        if image.width * image.height > self.bounds.max_pixels or self.pixels < 0:
            raise ItemError(Reason.TOO_MANY_PIXELS, f"{image.width}x{image.height}, and others")

    def rendering(self, picture: Image.Image) -> None:
        """Count what a frame is shown as."""
        self.rendered -= picture.width * picture.height
        if self.rendered < 0:
            raise ItemError(Reason.TOO_MANY_PIXELS, f"{picture.width}x{picture.height}, in too many renderings")


def parts(data: bytes, bounds: Bounds) -> tuple[pdq.Pdq, ...]:
    """PDQ of each part of a file, "main" first, each hash once; raises ItemError."""
    return whole(data, bounds).parts


def whole(data: bytes, bounds: Bounds, opened: Image.Image | None = None) -> Whole:
    """A file from one full decode of each of its frames; raises ItemError where something of it cannot be looked at.

    `opened`: the file as `open_image` opened it, not decoded yet.
    """
    image = open_image(data, bounds) if opened is None else opened
    concealed = hidden.inspect(data, image.format or "", bounds).pictures
    budget = _Budget.from_bounds(bounds)
    found = chain(_pictures(data, image, budget), _concealed(concealed, budget))
    name, first = next(found)
    main, grey = phash.with_pdq(first, name)  # now: what shows a later frame may draw it over this one
    others = (_and_lightness(pdq.compute(picture, part), picture) for part, picture in found)
    distinct = dict[bytes, pdq.Pdq]()
    for one in chain(_and_lightness(main, first), chain.from_iterable(others)):
        distinct.setdefault(one.hashes, one)
    return Whole(grey, tuple(distinct.values()))


def _and_lightness(one: pdq.Pdq, picture: Image.Image) -> Iterator[pdq.Pdq]:
    """The PDQ of a picture, and that of its luminance alone where colour is what shows it."""
    yield one
    if one.quality < pdq.MIN_QUALITY and (light := lightness(picture)) is not None:
        yield pdq.compute(light, f"{one.part}:lightness")


def each_frame(data: bytes, bounds: Bounds) -> None:
    """Decode what comes after the first frame, and keep nothing; raises ItemError where that fails."""
    image = open_image(data, bounds)
    for number in range(1, frames(image, bounds)):
        load(image, number)


def _pictures(data: bytes, image: Image.Image, budget: _Budget) -> Iterator[Rendering]:
    """What a file shows, by name, upright; the first frame as we show it is the first."""
    kind = image.format or ""
    yield from _shown(data, image, budget)
    for name, other in readings.readings(data, kind, budget.bounds.max_pixels):
        yield from _another(name, other, budget)
    for number, other in layers.raw_frames(data, kind):
        yield from _another(f"raw:{number}", other, budget)


def _concealed(found: tuple[bytes, ...], budget: _Budget) -> Iterator[Rendering]:
    """The pictures in the metadata and after the end, as far as they can be decoded: the rest shows nothing."""
    small = Bounds(budget.bounds.max_pixels, 1, budget.bounds.max_frames)
    budget.unseen = Reason.HIDDEN_DATA  # what of it cannot be decoded shows nothing, but this can be
    for number, data in enumerate(found):
        try:
            for name, picture in _pictures(data, open_image(data, small), budget):
                yield _inside(f"preview:{number}", name), picture
        except ItemError as error:
            _pass_over(error)


def _inside(whole: str, part: str) -> str:
    """The name of a part of a part: its main picture bears the whole's."""
    return ":".join(filter(None, (whole, part.removeprefix(pdq.MAIN).removeprefix(":"))))


def _pass_over(error: ItemError) -> None:
    """Nothing, where bytes are no picture; a limit refuses the whole file."""
    if error.reason in _LIMITS:
        raise error


def _another(name: str, data: bytes, budget: _Budget) -> Iterator[Rendering]:
    """The frames of a file as it is read another way; where it cannot be read so, nobody is shown anything."""
    try:
        image = open_image(data, Bounds(budget.bounds.max_pixels, 1, budget.bounds.max_frames))
        for inner, picture in _shown(data, image, budget, added=name == "veiled"):
            yield _inside(name, inner), picture
    except ItemError as error:
        _pass_over(error)


def _shown(data: bytes, image: Image.Image, budget: _Budget, added: bool = False) -> Iterator[Rendering]:
    """Every frame in every rendering."""
    low, stored = _Again(data, budget.bounds), _Again(data, budget.bounds)
    word = "page" if image.format == "TIFF" else "frame"
    for number in range(frames(image, budget.bounds)):
        with decoding():
            image.seek(number)
        budget.frame(image)
        raw, facts = unshown.raw_mode(image), replace(_facts(data, image), added=added)
        unshown.refuse_unseen(raw, budget.unseen)
        unshown.refuse_planes(image, budget.unseen)
        load(image)
        place = f"{word}:{number}" if number else pdq.MAIN
        under = low.low(number, raw) if unshown.is_deep_colour(raw) else None
        yield from _rendered(budget, place, image, facts, under)
        if unshown.stores_more(raw):
            yield from _rendered(budget, f"{place}:stored", stored.stored(number, raw), facts)


def _rendered(
    budget: _Budget, place: str, frame: Image.Image, facts: Facts, low: Image.Image | None = None
) -> Iterator[Rendering]:
    """The renderings of a frame, made one at a time."""
    with decoding():
        found = renderings(upright(frame), facts, low)
    while True:
        with decoding():
            one = next(found, None)
        if one is None:
            return
        budget.rendering(one[1])
        yield f"{place}:{one[0]}".rstrip(":"), one[1]


def _facts(data: bytes, image: Image.Image) -> Facts:
    """What the file says of the current frame."""
    tags = getattr(image, "tag_v2", None)
    white = tags is not None and tags.get(262) == 0
    signed = tags is not None and 2 in tags.get(339, ())
    return Facts(profiles.profiles_of(data, image), white, unshown.boxes(data, image), signed)


@dataclass
class _Again:
    """The same file a second time, decoded beside the first in another way; opened where it is needed."""

    data: bytes
    bounds: Bounds
    image: Image.Image | None = None

    def low(self, number: int, raw: str) -> Image.Image:
        """The lower bytes of a frame's samples, upright."""
        image = self._at(number)
        with decoding():
            unshown.unpack_low(image, raw)
            image.load()
            return unshown.low_of(upright(image), raw)

    def stored(self, number: int, raw: str) -> Image.Image:
        """A frame as it is stored."""
        image = self._at(number)
        with decoding():
            unshown.unpack_stored(image, raw)
            image.load()
            return image

    def _at(self, number: int) -> Image.Image:
        self.image = self.image or open_image(self.data, Bounds(self.bounds.max_pixels, 1, self.bounds.max_frames))
        with decoding():
            self.image.seek(number)
        return self.image
