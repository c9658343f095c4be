"""Screening against its targets: loading a list, matching pictures, screening a store again.

    python -m benchmarks.screening                     a list of 1 M; a store of 130 k (a tenth of what the target says)
    python -m benchmarks.screening --stored 1300000    the target's size: about 6 GB of memory
    python -m benchmarks.screening --stored 0          loading and matching only

Targets: 200 bytes a hash; 2 ms an image with 8 orientations at 47 bits; 1.3 M stored samples against 1 M hashes in 5
minutes at 31 bits, in 20 at 47, on 2 cores. `cpu` is the sum over cores. Half of the hashes are made from PDQ of random
cuttings of real pictures, which are as alike as real ones are; the rest is random.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.corpus import photographs
from curate.media.pdq import RADIUS, Pdq
from curate.records import Digests
from curate.screening.gate import Gate, load
from curate.screening.lists.lines import Lines

Hashes = npt.NDArray[np.uint8]
CUTTINGS = 50_000  # of real pictures; each hash is one of them with an eighth of its bits turned over
BATCH = 128  # images that are matched at once, as `fetch` does


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listed", type=int, default=1_000_000)
    parser.add_argument("--stored", type=int, default=130_000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    hashes = mixed(options.listed, rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.txt"
        path.write_text("\n".join(one.tobytes().hex() for one in hashes))
        gate = loaded(path, len(hashes))
    matched(gate, hashes, rng)
    if options.stored:
        stored(gate, hashes, options.stored, rng)


def loaded(path: Path, count: int) -> Gate:
    """The gate over a list, and what it costs to load it."""
    alone = "import sys; from pathlib import Path; from benchmarks.screening import alone; alone(Path(sys.argv[1]))"
    print(
        subprocess.run([sys.executable, "-c", alone, str(path)], capture_output=True, text=True, check=True).stdout,
        end="",
    )
    gate = load([("lines:1", Lines(path, algorithm="pdq"))], True, None, 1)
    assert gate.healthy, gate.problems
    assert gate.lists[0].entries == count
    return gate


def alone(path: Path) -> None:
    """What a process that did nothing else needs to load the list."""
    path.with_name("one.txt").write_text("0" * 64)
    load([("lines:0", Lines(path.with_name("one.txt"), algorithm="pdq"))], True, None, 1)
    before, peak = resident(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with timed("load the list"):
        gate = load([("lines:1", Lines(path, algorithm="pdq"))], True, None, 1)
    count, top = gate.lists[0].entries, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept, needed = (resident() - before) / count, (top - peak) * 1024 / count
    print(f"    {kept:.0f} bytes a hash stay in memory, {needed:.0f} while loading", flush=True)


def matched(gate: Gate, hashes: Hashes, rng: np.random.Generator) -> None:
    """Batches of images, one of them listed."""
    pictures = [[Pdq("main", one.tobytes(), 90)] for one in mixed(8 * BATCH, rng).reshape(BATCH, 8, 32)]
    digests = [Digests("0" * 64, "0" * 40, "0" * 32)] * BATCH
    (index,) = (one for _, one in gate.entries._pdq())
    queries = np.concatenate([picture[0].array for picture in pictures])
    index.nearest(queries[:256], RADIUS)  # compiles
    with timed(f"match an image, {RADIUS} bits", BATCH):
        index.nearest(queries, RADIUS)
    pictures[7] = [Pdq("main", hashes[[5] * 8].tobytes(), 90)]
    with timed("the gate, an image", BATCH):
        verdicts = gate.screen(digests, pictures)
    assert verdicts[7].match is not None


def stored(gate: Gate, hashes: Hashes, count: int, rng: np.random.Generator) -> None:
    """Rows of the store, a few of them listed, as `rescan` reads them: many at a time."""
    rows = mixed(8 * count, rng).reshape(count, 8, 32)
    bad = rng.choice(count, 20, replace=False)
    for number, row in enumerate(bad):
        rows[row, number % 8] = hashes[number * 1000] ^ np.packbits(np.arange(256) < 30)
    quality, step = np.full(count, 90, np.uint8), 262_144
    found = set[int]()
    with timed(f"{count:,} stored samples, {RADIUS} bits"):
        for at in range(0, count, step):
            part = slice(at, at + step)
            found |= {at + n for n, _ in gate.near(rows[part], quality[part])}
    assert set(bad.tolist()) <= found
    print(f"    {len(found)} found, all {len(bad)} that were planted", flush=True)


def mixed(count: int, rng: np.random.Generator) -> Hashes:
    """Hashes, half of them of real pictures' cuttings."""
    found = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    real = cuttings()[rng.integers(0, CUTTINGS, count // 2)]
    noise = [rng.integers(0, 256, real.shape, dtype=np.uint8) for _ in range(3)]
    found[: count // 2] = real ^ (noise[0] & noise[1] & noise[2])  # an eighth of the bits
    return found


@cache
def cuttings() -> Hashes:
    """PDQ, as its paper defines it after the scaling to 64 x 64, of random squares of real pictures."""
    pictures, rng, count = _pictures(), np.random.default_rng(1), CUTTINGS
    angles = np.pi / 128 * np.arange(1, 17)[:, None] * (2 * np.arange(64)[None] + 1)
    transform = (np.sqrt(2 / 64) * np.cos(angles)).astype(np.float32)
    found = np.empty((count, 32), dtype=np.uint8)
    for at in range(0, count, 8192):
        few = np.stack([_square(pictures, rng) for _ in range(min(8192, count - at))])
        terms = (transform @ few @ transform.T).reshape(len(few), 256)
        found[at : at + len(few)] = np.packbits(terms > np.median(terms, axis=1, keepdims=True), axis=1)
    return found


def _pictures() -> list[npt.NDArray[np.float32]]:
    grey = (image.convert("L") for image in photographs())
    return [np.asarray(image, dtype=np.float32) for image in grey if min(image.size) > 150]


def _square(pictures: list[npt.NDArray[np.float32]], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    picture = pictures[rng.integers(len(pictures))]
    side = int(rng.integers(70, min(picture.shape)))
    top, left = (int(rng.integers(length - side + 1)) for length in picture.shape)
    places = np.arange(64) * side // 64
    square: npt.NDArray[np.float32] = picture[np.ix_(top + places, left + places)]
    return square


@contextmanager
def timed(what: str, of: int = 1) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = (time.perf_counter() - wall) / of, (time.process_time() - cpu) / of
    unit, scale = ("ms", 1e3) if of > 1 else ("s", 1.0)
    print(f"{what:40} {wall * scale:9.2f} {unit}   cpu {cpu * scale:9.2f} {unit}", flush=True)


def resident() -> int:
    """The bytes that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
