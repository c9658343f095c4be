"""3,000 JPEGs of about 200 KB, 1280x960: crops of real photographs that scikit-image ships, each with its own grain."""

import argparse
import io
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "retina.jpg", "hubble_deep_field.jpg", "brick.png",
         "gravel.png", "grass.png", "ihc.png", "camera.png", "motorcycle_left.png")  # fmt: skip
SIZE = (1280, 960)


def photographs() -> list[Image.Image]:
    """The photographs that are installed."""
    spec = find_spec("skimage")
    folder = Path(spec.origin or "").parent / "data" if spec else Path()
    return [Image.open(folder / name).convert("RGB") for name in NAMES if (folder / name).is_file()]


def jpeg(seed: int, photos: list[Image.Image], target: int = 195_000) -> bytes:
    """One JPEG of about `target` bytes; every seed's body is its own."""
    rng = np.random.default_rng(seed)
    photo = photos[seed % len(photos)]
    side = min(photo.width, photo.height * 4 // 3)
    width = int(rng.integers(side * 6 // 10, side + 1))
    height = width * 3 // 4
    x, y = int(rng.integers(0, photo.width - width + 1)), int(rng.integers(0, photo.height - height + 1))
    big = photo.crop((x, y, x + width, y + height)).resize(SIZE, Image.Resampling.BICUBIC)
    pixels = np.asarray(big, dtype=np.int16) + rng.integers(-9, 10, (*SIZE[::-1], 1), dtype=np.int16)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    for quality in (88, 80, 72, 64, 92):
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality)
        if 0.75 * target < out.tell() < 1.25 * target:
            break
    return out.getvalue()


def _write(seed: int, folder: Path, photos: list[Image.Image]) -> None:
    path = folder / f"{seed:05d}.jpg"
    if not path.exists():
        path.with_suffix(".part").write_bytes(jpeg(seed, photos))
        path.with_suffix(".part").rename(path)


def make(folder: Path, count: int = 3000) -> list[Path]:
    """The corpus in a folder, made where it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(_write, folder=folder, photos=photographs()), range(count), chunksize=50))
    return sorted(folder.glob("*.jpg"))[:count]


def cache() -> Path:
    """Where the corpus is kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "curate-benchmarks"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    paths = make(cache() / "jpegs", parser.parse_args().count)
    sizes = [path.stat().st_size for path in paths]
    print(f"{len(paths)} files, mean {np.mean(sizes):.0f} bytes, from {min(sizes)} to {max(sizes)}")
