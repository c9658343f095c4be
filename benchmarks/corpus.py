"""Two corpora of JPEGs of 1280x960, every one with bytes of its own.

`photographs`: 3,000 of about 200 KB, crops of the real photographs that scikit-image ships, each with its own grain.
`smooth`: crops of desktop wallpapers (skies, gradients, blurs), in which most coefficients are near to each other:
Debian's (`apt install plasma-workspace-wallpapers`), or, where they are missing, blurred crops of the photographs.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

NAMES = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "retina.jpg", "hubble_deep_field.jpg", "brick.png",
         "gravel.png", "grass.png", "ihc.png", "camera.png", "motorcycle_left.png")  # fmt: skip
SIZE = (1280, 960)
WALLPAPERS = Path("/usr/share/wallpapers")
CORPORA = ("photographs", "smooth")
Maker = Callable[[int, Sequence[Image.Image]], bytes]
Pictures = Callable[[], Sequence[Image.Image]]


@lru_cache(maxsize=1)
def photographs() -> list[Image.Image]:
    """The photographs that are installed."""
    spec = find_spec("skimage")
    folder = Path(spec.origin or "").parent / "data" if spec else Path()
    return [Image.open(folder / name).convert("RGB") for name in NAMES if (folder / name).is_file()]


@lru_cache(maxsize=1)
def wallpapers() -> list[Image.Image]:
    """The largest version of each wallpaper that is installed; blurred photographs where there is none."""
    found = [one for one in WALLPAPERS.rglob("contents/images/*") if one.suffix in (".jpg", ".png")]
    largest = {one.parent: one for one in sorted(found, key=lambda one: (one.stat().st_size, one))}
    if not largest:
        print(
            f"{WALLPAPERS} is empty (Debian: plasma-workspace-wallpapers); blurred photographs instead", file=sys.stderr
        )
        return [one.resize(SIZE).filter(ImageFilter.GaussianBlur(16)) for one in photographs()]
    return [_half(Image.open(largest[folder]).convert("RGB")) for folder in sorted(largest)]


def _half(image: Image.Image) -> Image.Image:
    """At most twice as wide as what is cut out of it: thirty are held in memory."""
    return image.reduce(max(1, image.width // (2 * SIZE[0])))


def jpeg(seed: int, photos: Sequence[Image.Image], target: int = 195_000) -> bytes:
    """One JPEG of about `target` bytes; every seed's body is its own."""
    rng = np.random.default_rng(seed)
    big = _crop(photos[seed % len(photos)], rng, 6)
    pixels = np.asarray(big, dtype=np.int16) + rng.integers(-9, 10, (*SIZE[::-1], 1), dtype=np.int16)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    for quality in (88, 80, 72, 64, 92):
        data = _encoded(image, quality)
        if 0.75 * target < len(data) < 1.25 * target:
            break
    return data


def smooth(seed: int, papers: Sequence[Image.Image]) -> bytes:
    """One JPEG without grain, as people save what they have drawn."""
    rng = np.random.default_rng(seed)
    return _encoded(_crop(papers[seed % len(papers)], rng, 3), int(rng.choice((75, 85, 92))))


def _crop(photo: Image.Image, rng: np.random.Generator, tenths: int) -> Image.Image:
    """A part of 4 to 3, at least so many tenths as wide as can be."""
    side = min(photo.width, photo.height * 4 // 3)
    width = int(rng.integers(side * tenths // 10, side + 1))
    height = width * 3 // 4
    x, y = int(rng.integers(0, photo.width - width + 1)), int(rng.integers(0, photo.height - height + 1))
    return photo.crop((x, y, x + width, y + height)).resize(SIZE, Image.Resampling.BICUBIC)


def _encoded(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _write(seed: int, folder: Path, make_one: Maker, pictures: Pictures) -> None:
    path = folder / f"{seed:05d}.jpg"
    if not path.exists():
        path.with_suffix(".part").write_bytes(make_one(seed, pictures()))
        path.with_suffix(".part").rename(path)


def corpus(name: str, count: int = 3000) -> list[Path]:
    """One of CORPORA, kept between runs."""
    if name == "smooth":
        return make(cache() / "smooth", count, smooth, wallpapers)
    return make(cache() / "jpegs", count)


def make(folder: Path, count: int = 3000, make_one: Maker = jpeg, pictures: Pictures = photographs) -> list[Path]:
    """A corpus in a folder, made where it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in range(count) if not (folder / f"{seed:05d}.jpg").exists()]
    if missing:
        with ProcessPoolExecutor() as pool:
            list(pool.map(partial(_write, folder=folder, make_one=make_one, pictures=pictures), missing, chunksize=50))
    return sorted(folder.glob("*.jpg"))[:count]


def cache() -> Path:
    """Where the corpus is kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "curate-benchmarks"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    options = parser.parse_args()
    for name in CORPORA:
        sizes = [path.stat().st_size for path in corpus(name, options.count)]
        print(f"{name}: {len(sizes)} files, mean {np.mean(sizes):.0f} bytes, from {min(sizes)} to {max(sizes)}")
