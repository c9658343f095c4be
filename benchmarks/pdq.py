"""How far PDQ's first look is from `pdqhash` on the full decode, on thousands of real images.

Images: the Debian packages openclipart-png, tuxpaint-stamps-default and plasma-workspace-wallpapers where they are
installed, crops of their photographs and of scikit-image's, and the JPEGs of the fetch benchmark. Each is measured as a
JPEG (of a quality of its own, drawn once), the rest of them in their own format as well. Fails where a first look is
farther than DRIFT bits in any orientation.
"""

import argparse
import io
import random
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.corpus import cache, make, photographs
from curate.errors import ItemError
from curate.media import pdq
from curate.media.decode import Bounds, flattened, luminance, open_image

FOLDERS = ("/usr/share/openclipart", "/usr/share/tuxpaint/stamps", "/usr/share/wallpapers")
KINDS = {".png", ".jpg", ".jpeg", ".webp"}
MOST = 8_000_000  # px; larger ones are cropped
CROPS = 12  # of each large photograph
BANDS = ((0, 40), (40, 50), (50, 80), (80, 101))


@dataclass(frozen=True)
class Row:
    """One image, measured: `distance` is the worst of its eight orientations, None without a first look."""

    kind: str
    scale: int
    quality: int
    seen_quality: int | None
    distance: int | None


def files(folders: list[Path], count: int) -> list[Path]:
    """The images of the folders in an order drawn by a fixed seed, photographs first: the largest file of each."""
    found = sorted({one for folder in folders for one in folder.rglob("*") if one.suffix.lower() in KINDS})
    random.Random(0).shuffle(found)
    photos: dict[Path, Path] = {}
    for one in (one for one in found if "wallpapers" in str(one)):
        photos[one.parent] = max(photos.get(one.parent, one), one, key=lambda path: path.stat().st_size)
    return [*photos.values(), *(one for one in found if "wallpapers" not in str(one))][:count]


def measured(path: Path) -> list[Row]:
    """The rows of one file: as it is, as a JPEG, and of its crops where it is a large photograph."""
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for kind, data in versions(path):
                rows.append(row(kind, data))
        except (ItemError, OSError, ValueError, SyntaxError):
            pass  # no image, or larger than anything that is measured here
    return rows


def versions(path: Path) -> Iterator[tuple[str, bytes]]:
    """What is measured of a file."""
    data = path.read_bytes()
    image = open_image(data, Bounds(max_pixels=60_000_000))
    draw = random.Random(path.name)
    flat = flattened(image, "RGB")
    if flat.width * flat.height > MOST or "wallpapers" in str(path):
        for _ in range(CROPS):
            yield "crop of a photograph", jpeg(crop(flat, draw), draw)
    else:
        yield "own format", data
        yield "as JPEG", jpeg(flat, draw)


def crop(image: Image.Image, draw: random.Random) -> Image.Image:
    """A part of at least 480 px a side, where there is so much."""
    width = draw.randint(min(500, image.width), min(image.width, 1800))
    height = min(image.height, max(480, int(width * draw.uniform(0.6, 1.4))))
    x, y = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return image.crop((x, y, x + width, y + height))


def jpeg(image: Image.Image, draw: random.Random) -> bytes:
    """The picture re-encoded."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=draw.choice((75, 85, 92)), subsampling=draw.choice((0, 2, 2)))
    return out.getvalue()


def row(kind: str, data: bytes) -> Row:
    """One image: the first look beside the hash that decides."""
    seen = luminance(open_image(data, Bounds()))
    full, first = pdq.compute(flattened(open_image(data, Bounds()), "RGB")), pdq.look(seen)
    distance = int(np.bitwise_count(first.array ^ full.array).sum(axis=1).max()) if first else None
    return Row(kind, seen.scale, full.quality, first.quality if first else None, distance)


def corpus_row(path: Path) -> list[Row]:
    """One JPEG of the fetch benchmark."""
    return [row("fetch benchmark", path.read_bytes())]


def table(rows: list[Row]) -> None:
    """Print what was found, by quality and by scale."""
    print(f"{'':<36} {'images':>7} {'no look':>8} {'mean':>6} {'max':>4} {'over 16':>8} {'quality off by':>15}")
    good = [one for one in rows if one.quality >= pdq.MIN_QUALITY]
    groups = {f"quality {low} to {high - 1}": [r for r in rows if low <= r.quality < high] for low, high in BANDS}
    groups |= {f"quality >= 50, {kind}": [r for r in good if r.kind == kind] for kind in sorted({r.kind for r in good})}
    groups |= {f"quality >= 50, scale 1/{n}": [r for r in good if r.scale == n] for n in (1, 2, 4, 8)}
    for name, some in (groups | {"quality >= 50": good}).items():
        looks = np.array([one.distance for one in some if one.distance is not None])
        if len(looks):
            off = [abs(r.quality - r.seen_quality) for r in some if r.seen_quality is not None and r.quality < 80]
            print(
                f"{name:<36} {len(some):>7} {1 - len(looks) / len(some):>8.1%} {looks.mean():>6.2f} {looks.max():>4}"
                f" {(looks > pdq.DRIFT).sum():>8} {max(off, default=0):>15}"
            )


def main() -> None:
    """Print the table; fail where the first look went too far."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, default=[Path(one) for one in FOLDERS])
    parser.add_argument("--count", type=int, default=3000, help="files of the folders, at most")
    options = parser.parse_args()
    found = files([one for one in options.folders if one.is_dir()], options.count)
    rows = [row("scikit-image", jpeg(one, random.Random(n))) for n, one in enumerate(photographs())]
    with ProcessPoolExecutor() as pool:
        for some in pool.map(measured, found, chunksize=8):
            rows += some
        for some in pool.map(corpus_row, make(cache() / "jpegs", 300), chunksize=8):
            rows += some
    table(rows)
    wrong = [one for one in rows if one.quality >= pdq.MIN_QUALITY and one.distance and one.distance > pdq.DRIFT]
    missed = [r for r in rows if r.quality >= pdq.MIN_QUALITY and (r.seen_quality or 100) < pdq.MIN_QUALITY]
    if wrong or missed:
        raise SystemExit(f"{len(wrong)} first looks are too far off, {len(missed)} are taken for featureless")


if __name__ == "__main__":
    main()
