"""How far pdqhash's single precision drifts from the exact coefficients, by size, beside what `pdq.drift` says.

Pictures: crops of the two corpora (benchmarks.corpus), and arithmetic that makes running sums drift (ramps, ripples,
chequers). Each is hashed upright and turned. Fails where a drift is greater than is said, or a bit is not pdqhash's.
"""

import argparse
import io
from collections.abc import Iterator

import numpy as np
import pdqhash
from PIL import Image

from benchmarks.corpus import CORPORA, corpus
from curate.media import pdq
from curate.media.pdq_pixels import Pixels, cosines

SIZES = ((16, 16), (64, 48), (128, 128), (200, 300), (640, 480), (1280, 960), (2048, 2048), (4000, 3000), (9000, 400))
MOST = 12_000_000  # px a size and kind, so that the large ones do not take all the time
_REACH = np.sqrt(np.outer(np.arange(1, 17), np.arange(1, 17)))


def patterns(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Arithmetic in which what is rounded off does not cancel out: uint8[height, width, 3]."""
    down, across = np.mgrid[0 : size[1], 0 : size[0]]
    step, other = rng.integers(2, 40, 2)
    kinds = (
        lambda: 255 * (down / size[1] + across / size[0]) / 2,
        lambda: 255.0 * ((down // step + across // other) % 2),
        lambda: 128 + 127 * np.sin(down / step) * np.cos(across / other),
        lambda: 255 - 30 * rng.random(size[::-1]) ** 2,
    )
    grey = kinds[rng.integers(len(kinds))]()
    return np.asarray((grey[..., None] * rng.uniform(0.3, 1, 3)).astype(np.uint8))


def pictures(kind: str, size: tuple[int, int], count: int) -> Iterator[Image.Image]:
    """So many at this size, fewer where they are large."""
    rng = np.random.default_rng(size)
    count = max(2, min(count, MOST // (size[0] * size[1])))
    if kind in CORPORA:
        for path in corpus(kind, count):
            yield Image.open(io.BytesIO(path.read_bytes())).convert("RGB").resize(size, Image.Resampling.BICUBIC)
    else:
        yield from (Image.fromarray(patterns(size, rng)) for _ in range(count))


def measured(image: Image.Image) -> tuple[float, int]:
    """The greatest drift as a part of what is said, and how many bits are not pdqhash's."""
    most, worst, wrong = pdq.drift(max(image.size)), 0.0, 0
    found = pdq.compute(image)
    pixels = np.asarray(image)
    exact = cosines() @ Pixels(image).exact()[0] @ cosines().T
    for at, (down, across, flip) in ((0, (0, 0, 0)), (7, (1, 1, 1))):
        turned = np.ascontiguousarray(pixels[::-1, ::-1].swapaxes(0, 1) if flip else pixels)
        low = exact[down, across].T if flip else exact[down, across]
        floats, quality = pdqhash.compute_float(turned)
        worst = max(worst, float((np.abs(floats[::-1].reshape(16, 16) - low) * _REACH).max()) / most)
        bits, _ = pdqhash.compute(turned)
        wrong += int(np.bitwise_count(found.array[at] ^ np.packbits(bits.astype(np.uint8))).sum())
        wrong += not flip and quality != found.quality
    return worst, wrong


def main() -> None:
    """Print the table; fail where the claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="pictures a size and kind, at most")
    options = parser.parse_args()
    failed = 0
    print(f"{'':>12} {'said':>8}  most that was seen, as a part of it")
    for size in SIZES:
        line = f"{size[0]:>5} x {size[1]:>4} {pdq.drift(max(size)):>8.4f}"
        for kind in (*CORPORA, "patterns"):
            rows = [measured(image) for image in pictures(kind, size, options.count)]
            worst = max(row[0] for row in rows)
            failed += sum(row[1] for row in rows) + (worst >= 1)
            line += f"  {kind} {worst:.2f} ({len(rows)})"
        print(line, flush=True)
    if failed:
        raise SystemExit("pdqhash drifts farther than pdq.drift says, or bits are not pdqhash's")


if __name__ == "__main__":
    main()
