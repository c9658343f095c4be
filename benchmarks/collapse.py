"""Which copies of a photograph collapse into it: the whole command over real photographs, by kind of copy.

    python -m benchmarks.collapse [--write docs/dedupe.md]

Re-encodes and sizes are the same picture; a crop, a black bar and a mosaic are near-duplicates with a label of their
own. Bars and mosaics are placed by lot, the same way every time. `--write` puts the table between the marks in that
file.
"""

import argparse
import io
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.altered import bases
from curate.media import phash
from curate.media.decode import shrink

SIDE = 750  # px of the shorter side, at most
LEAST = 300  # px
QUALITY = 8  # of the pHash, at least: what says less has no place for a copy to differ in
BEGIN, END = "<!-- benchmarks.collapse: begin -->", "<!-- benchmarks.collapse: end -->"

Alter = Callable[[Image.Image, np.random.Generator], Image.Image]


def _sized(share: float, image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.LANCZOS)


def _cut(share: float, image: Image.Image, _: np.random.Generator) -> Image.Image:
    x, y = image.width * share / 2, image.height * share / 2
    return image.crop((round(x), round(y), round(image.width - x), round(image.height - y)))


def _bar(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    copy, box = image.copy(), _place(image, 0.3, 0.06, rng)
    ImageDraw.Draw(copy).rectangle(box, "black")
    return copy


def _mosaic(share: float, tiles: int, image: Image.Image, rng: np.random.Generator) -> Image.Image:
    copy, box = image.copy(), _place(image, share, share, rng)
    part = copy.crop(box)
    coarse = part.resize((tiles, tiles), Image.Resampling.BOX)
    copy.paste(coarse.resize(part.size, Image.Resampling.NEAREST), box[:2])
    return copy


def _place(image: Image.Image, wide: float, high: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A box of these shares of the sides, anywhere but at the edge."""
    x, y = rng.uniform(0.1, 0.9 - wide), rng.uniform(0.1, 0.9 - high)
    shares = (x * image.width, y * image.height, (x + wide) * image.width, (y + high) * image.height)
    left, top, right, bottom = (round(px) for px in shares)
    return left, top, right, bottom


def _as_is(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image


COPIES: dict[str, tuple[Alter, int]] = {  # how it is made, and the quality of the JPEG that it becomes
    "q60": (_as_is, 60),
    "q30": (_as_is, 30),
    "70 % size": (partial(_sized, 0.7), 85),
    "50 %": (partial(_sized, 0.5), 85),
    "35 %": (partial(_sized, 0.35), 85),
    "crop 2 %": (partial(_cut, 0.02), 90),
    "bar": (_bar, 90),
    "mosaic 40 % of the sides": (partial(_mosaic, 0.4, 10), 90),
    "25 %": (partial(_mosaic, 0.25, 10), 90),
    "15 %": (partial(_mosaic, 0.15, 10), 90),
    "15 %, coarser": (partial(_mosaic, 0.15, 5), 90),
    "8 %": (partial(_mosaic, 0.08, 5), 90),
}


def photographs() -> list[Image.Image]:
    """Photographs with something in them, and ninths of large ones; no two overlap."""
    found = (shrink(picture, SIDE) for _, _, drawn, picture in bases() if not drawn and min(picture.size) >= LEAST)
    return [picture for picture in found if phash.columns_of(picture)["quality"] >= QUALITY]


def jpeg(image: Image.Image, quality: int) -> bytes:
    """The image as JPEG bytes."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def collapsed(root: Path, pictures: list[Image.Image]) -> dict[str, float]:
    """Of each kind of copy, the share that `curate dedupe` collapses into its picture; no picture meets another's."""
    rng = np.random.default_rng(0)
    (root / "curate.toml").write_text(
        '[screening]\nrequired = false\n[[sources]]\nuse = "local"\npath = "pictures"\nlabel = "neutral"\n'
    )
    (root / "pictures").mkdir()
    for n, picture in enumerate(pictures):
        (root / "pictures" / f"{n}.jpg").write_bytes(jpeg(picture, 95))
        for kind, (alter, quality) in enumerate(COPIES.values()):
            (root / "pictures" / f"{n}-{kind}.jpg").write_bytes(jpeg(alter(picture, rng), quality))
    for verb in ("fetch", "dedupe"):
        subprocess.run([sys.executable, "-m", "cli", verb, "-q", "-w", str(root)], check=True)
    with sqlite3.connect(root / "work" / "catalog.db") as db:
        sql = "SELECT locator, collapse FROM candidates JOIN members USING (sample)"
        into = {Path(path).stem: name for path, name in db.execute(sql)}
    db.close()
    return {
        name: sum(into[f"{n}-{kind}"] == into[str(n)] for n in range(len(pictures))) / len(pictures)
        for kind, name in enumerate(COPIES)
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    pictures = photographs()
    with tempfile.TemporaryDirectory() as folder:
        found = collapsed(Path(folder), pictures)
    rows = (found, ["---:"] * len(found), [f"{100 * share:.0f}" for share in found.values()])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    text = f"What collapses into its original, of {len(pictures)} photographs (%):\n\n{table}"
    print(text)
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        before, after = page.partition(BEGIN)[0], page.partition(END)[2]
        options.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
