"""The pictures that a session shows: re-encoded, small, obscured unless asked otherwise; no metadata of a file.

Of an animation, or a file of many pages, distinct frames stand side by side, the first and the last among them. Frames
are those that screening hashed before the file was stored.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from PIL import Image, ImageOps

from curate.engine import alone, each, engine_of, slices
from curate.errors import ItemError, StoreError
from curate.media import keyframes
from curate.media.answers import is_encoded
from curate.media.decode import Bounds, frames, load, open_image, scaled
from curate.records import Reason
from curate.store.blobs import LocalBlobs, disk
from curate.store.workspace import Workspace

SIDE = 256  # px, longer side of an obscured picture
CLEAR = 1024  # px, longer side of one that is not
FRAMES = 5  # of an animation, in one strip
ITEM = 8  # pictures that a worker makes at a time
SHEET, COLUMNS = 192, 4  # px, side of each member's square on a sheet; squares in a row of it
_GAP, _GREY = 4, 128  # px between two frames of a strip, and what shows there
_QUALITY, _FINE = 75, 92
_FASTEST = 20  # ms of a frame; browsers slow down what says less
_PAGE = 2000  # ms of a page
_PAGE_SIDE = 1024  # px, shorter side of a page at most
_WIDEST = 16383  # px of a side of a WebP
_ANY = Bounds(min_side=1)


@dataclass(frozen=True)
class ThumbnailStyle:
    """How pictures are obscured: the side in px of what becomes one average, of a picture of 256 px, and its colour.

    What lies within `blur` px is averaged away, not only smeared, so that no sharpening brings it back.
    """

    blur: int = 12
    greyscale: bool = True
    unobscured: bool = False

    @property
    def mark(self) -> str:
        """Part of a thumbnail's file name: another look is another file."""
        return f"{'clear' if self.unobscured else f'b{self.blur}' + ('g' if self.greyscale else 'c')}-{FRAMES}"


def name_of(sample: str, look: ThumbnailStyle) -> str:
    """The file name of a sample's thumbnail."""
    return f"{sample}.{look.mark}.jpg"


@dataclass(frozen=True)
class Rendering:
    """The work that is mapped over samples: what a session shows of each."""

    root: Path
    look: ThumbnailStyle
    bounds: Bounds

    @property
    def reads(self) -> tuple[Path]:
        """The store's bytes."""
        return (self.root,)

    def load(self) -> None:
        """Nothing to load."""

    def fits(self, given: str, answer: bytes) -> bool:
        """Whether it looks like a JPEG."""
        return is_encoded(answer, "jpeg")

    def __call__(self, item: str) -> bytes:
        """A JPEG; raises ItemError where the bytes are gone, or are no picture any more."""
        return render(_bytes(self.root, item), self.look, self.bounds)


@dataclass(frozen=True)
class Revealing:
    """The work of showing one sample clear and whole."""

    root: Path
    bounds: Bounds

    @property
    def reads(self) -> tuple[Path]:
        """The store's bytes."""
        return (self.root,)

    def load(self) -> None:
        """Nothing to load."""

    most: ClassVar[int] = 2**26

    def fits(self, given: str, answer: tuple[bytes, str]) -> bool:
        """Whether it looks like a picture of the type that it is said to be: a browser is told that type."""
        kind = {"image/jpeg": "jpeg", "image/webp": "webp"}.get(answer[1])
        return kind is not None and is_encoded(answer[0], kind)

    def __call__(self, item: str) -> tuple[bytes, str]:
        """As `revealed`; raises ItemError where the bytes are gone, or are no picture any more."""
        return revealed(_bytes(self.root, item), self.bounds)


def _bytes(root: Path, sample: str) -> bytes:
    try:
        with LocalBlobs(root).open(sample) as file:
            return file.read()
    except StoreError as error:
        raise ItemError(Reason.FILE_MISSING, "the bytes are gone") from error


def limits(ws: Workspace) -> Bounds:
    """What was let in may be shown."""
    return Bounds(ws.config.fetch.max_pixels, 1, ws.config.fetch.max_frames)


def render(data: bytes, look: ThumbnailStyle, bounds: Bounds = _ANY) -> bytes:
    """A JPEG of an image's bytes as a session shows it; raises ItemError where they are no image."""
    numbers = keyframes.numbers(open_image(data, bounds), FRAMES)
    side = SIDE if not look.unobscured else CLEAR if len(numbers) == 1 else CLEAR // 2
    image, found = open_image(data, bounds), []
    for number in numbers:
        if number:
            load(image, number)
        frame = scaled(image, side)
        frame.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
        found.append(frame if look.unobscured else _obscured(frame, look))
    return encoded(found[0] if len(found) == 1 else _strip(found))


def _strip(frames: Sequence[Image.Image]) -> Image.Image:
    """Pictures side by side, as they come."""
    width = sum(one.width + _GAP for one in frames) - _GAP
    made = Image.new(frames[0].mode, (width, max(one.height for one in frames)), (_GREY,) * len(frames[0].getbands()))
    at = 0
    for one in frames:
        made.paste(one, (at, 0))
        at += one.width + _GAP
    return made


def revealed(data: bytes, bounds: Bounds = _ANY) -> tuple[bytes, str]:
    """A picture at full size, or an animation with all its frames, or all pages in turn; and the media type.

    Raises ItemError. Encoded anew from the pixels that screening hashed: what a browser would make of the file's own
    profile, hidden frames or metadata is not in it.
    """
    image = open_image(data, bounds)
    count = frames(image, bounds)
    if count == 1:
        return encoded(scaled(image, None), _FINE), "image/jpeg"
    pages = image.format == "TIFF"
    pictures, durations = [], []
    for number in range(count):
        load(image, number)
        frame = scaled(image, _PAGE_SIDE if pages else None)
        frame.thumbnail((_WIDEST, _WIDEST))
        pictures.append(frame)
        durations.append(_PAGE if pages else max(_FASTEST, int(image.info.get("duration", 0) or 0)))
    first, *rest = _of_one_size(pictures)
    out = io.BytesIO()
    first.save(out, "WEBP", save_all=True, append_images=rest, duration=durations, loop=0, quality=_FINE, method=0)
    return out.getvalue(), "image/webp"


def _of_one_size(pictures: Sequence[Image.Image]) -> Iterator[Image.Image]:
    """Each whole, on white where another one is larger."""
    size = (max(one.width for one in pictures), max(one.height for one in pictures))
    for one in pictures:
        if one.size == size:
            yield one
        else:
            made = Image.new("RGB", size, "white")
            made.paste(one, (0, 0))
            yield made


def _obscured(image: Image.Image, look: ThumbnailStyle) -> Image.Image:
    grey = image.convert("L") if look.greyscale else image
    cells = (max(1, round(grey.width / look.blur)), max(1, round(grey.height / look.blur)))
    return grey.resize(cells, Image.Resampling.BOX).resize(grey.size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, quality: int = _QUALITY) -> bytes:
    """A JPEG; what a decode leaves has no metadata that it could pass on."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def make(ws: Workspace, samples: list[str], folder: Path, look: ThumbnailStyle) -> list[str]:
    """Write what is missing of the samples' thumbnails; the samples whose bytes are there, in the order given.

    One that cannot be decoded (any more) is shown as a grey field. What is in the folder for others is removed.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {name_of(sample, look) for sample in samples}
    have = {path.name for path in folder.iterdir()}
    for stale in have - wanted:
        (folder / stale).unlink()
    there = [sample for sample in samples if _there(ws, sample, folder / name_of(sample, look))]
    lacking = [sample for sample in there if not (folder / name_of(sample, look)).exists()]
    with disk():
        for sample, picture in each(
            engine_of(ws.config.engine), Rendering(ws.blobs.root, look, limits(ws)), slices(lacking, ITEM)
        ):
            _put(folder / name_of(sample, look), picture)
    return there


def sheet(folder: Path, members: Path, shown: Sequence[str], look: ThumbnailStyle) -> None:
    """Write the picture of an item that stands for others: the thumbnails of those that are shown with it, itself the
    first, in rows of COLUMNS, each in a square of its own, however small; `members` is where these are. One that is not
    there is left out."""
    paths = [path for sample in shown if (path := members / name_of(sample, look)).exists()]
    mode = "L" if look.greyscale else "RGB"
    grey = (_GREY,) * len(mode)
    pictures = [ImageOps.pad(Image.open(path).convert(mode), (SHEET, SHEET), color=grey) for path in paths]
    rows = [_strip(pictures[start : start + COLUMNS]) for start in range(0, len(pictures), COLUMNS)]
    if rows:
        size = (max(one.width for one in rows), sum(one.height + _GAP for one in rows) - _GAP)
        made, at = Image.new(mode, size, grey), 0
        for row in rows:
            made.paste(row, (0, at))
            at += row.height + _GAP
        _put(folder / name_of(shown[0], look), encoded(made))


def one(ws: Workspace, sample: str, path: Path, look: ThumbnailStyle) -> bool:
    """Whether the sample has its bytes; its thumbnail goes with them."""
    if not _there(ws, sample, path):
        return False
    if not path.exists():
        for _, picture in each(alone(ws.config.engine), Rendering(ws.blobs.root, look, limits(ws)), [[sample]]):
            _put(path, picture)
    return True


def _there(ws: Workspace, sample: str, path: Path) -> bool:
    try:
        ws.blobs.open(sample).close()
    except StoreError:
        path.unlink(missing_ok=True)
        return False
    return True


def _put(path: Path, picture: bytes | Exception) -> None:
    if isinstance(picture, Exception) and not isinstance(picture, (ItemError, StoreError)):
        raise picture
    part = path.with_suffix(".part")
    part.write_bytes(picture if isinstance(picture, bytes) else encoded(Image.new("L", (SIDE, SIDE), 128)))
    part.replace(path)
