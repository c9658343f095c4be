"""The pictures that a session shows: re-encoded, small, obscured unless asked otherwise; no metadata of a file."""

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from curate.engine import alone, each, engine_of, slices
from curate.errors import ItemError, StoreError
from curate.media.decode import Bounds, open_image, scaled
from curate.store.blobs import LocalBlobs, disk
from curate.store.workspace import Workspace

SIDE = 256  # px, longer side of an obscured picture
CLEAR = 1024  # px, longer side of one that is not
ITEM = 8  # pictures that a worker makes at a time
_QUALITY = 75


@dataclass(frozen=True)
class Look:
    """How pictures are obscured: the side in px of what becomes one average, of a picture of 256 px, and its colour.

    What lies within `blur` px is averaged away, not only smeared, so that no sharpening brings it back.
    """

    blur: int = 12
    greyscale: bool = True
    unobscured: bool = False

    @property
    def mark(self) -> str:
        """Part of a thumbnail's file name: another look is another file."""
        return "clear" if self.unobscured else f"b{self.blur}{'g' if self.greyscale else 'c'}"


def name_of(sample: str, look: Look) -> str:
    """The file name of a sample's thumbnail."""
    return f"{sample}.{look.mark}.jpg"


@dataclass(frozen=True)
class Rendering:
    """The work that is mapped over samples: what a session shows of each (`look` None: all of it, clear)."""

    root: Path
    look: Look | None

    @property
    def reads(self) -> tuple[Path]:
        """The store's bytes."""
        return (self.root,)

    def load(self) -> None:
        """Nothing to load."""

    def __call__(self, item: str) -> bytes:
        """A JPEG; raises ItemError where the bytes are no picture any more, StoreError where they are gone."""
        with LocalBlobs(self.root).open(item) as file:
            data = file.read()
        if self.look is None:
            return encoded(scaled(open_image(data, Bounds(min_side=1)), None))
        return render(data, self.look)


def render(data: bytes, look: Look) -> bytes:
    """A JPEG of an image's bytes as a session shows it; raises ItemError where they are no image."""
    side = CLEAR if look.unobscured else SIDE
    image = scaled(open_image(data, Bounds(min_side=1)), side)
    image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    if not look.unobscured:
        image = _obscured(image, look)
    bare = Image.new(image.mode, image.size)  # comments, EXIF and profiles stay behind
    bare.paste(image)
    return encoded(bare)


def _obscured(image: Image.Image, look: Look) -> Image.Image:
    grey = image.convert("L") if look.greyscale else image
    cells = (max(1, round(grey.width / look.blur)), max(1, round(grey.height / look.blur)))
    return grey.resize(cells, Image.Resampling.BOX).resize(grey.size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image) -> bytes:
    """A JPEG without a word of metadata."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def make(ws: Workspace, samples: list[str], folder: Path, look: Look) -> list[str]:
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
        for sample, picture in each(engine_of(ws.config.engine), Rendering(ws.blobs.root, look), slices(lacking, ITEM)):
            _put(folder / name_of(sample, look), picture)
    return there


def one(ws: Workspace, sample: str, path: Path, look: Look) -> bool:
    """Whether the sample has its bytes; its thumbnail goes with them."""
    if not _there(ws, sample, path):
        return False
    if not path.exists():
        for _, picture in each(alone(ws.config.engine), Rendering(ws.blobs.root, look), [[sample]]):
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
