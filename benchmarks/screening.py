"""Screening against its targets: loading a list, matching pictures, screening a store again.

    python -m benchmarks.screening                      a list of 1 M; a store of 130 k
    python -m benchmarks.screening --rows 10000000      the target's size: about 4 GB of memory, 1 GB of disk
    python -m benchmarks.screening --stored 0           loading and matching only

Targets for 10 M hashes, exact at 31 bits: 6 GB and 60 s to load a text file, 1,000 hashes looked up a second on two
cores as must, 4,000 as aim; an image is eight. `cpu` is the sum over cores. Half of the hashes are made from PDQ of
random cuttings of real pictures, which are as alike as real ones are; the rest is random.
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
from curate.screening.index import LONG, PdqIndex
from curate.screening.lists.lines import Lines

Hashes = npt.NDArray[np.uint8]
CUTTINGS = 50_000  # of real pictures; each hash is one of them with an eighth of its bits turned over
BATCH = 128  # images that are matched at once, as `fetch` does
STEP = 1 << 17  # images that `rescan` matches at once, as hashes a million
CHUNK = 1 << 18  # rows that are made or written at a time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--stored", type=int, default=130_000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    hashes = mixed(options.rows, rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.txt"
        write(path, hashes)
        del hashes
        in_process_of_its_own("alone", path)
        in_process_of_its_own("asked", path, options.stored)
    skewed(min(options.rows, 1_000_000), rng)


def write(path: Path, hashes: Hashes) -> None:
    with path.open("w") as file:
        for at in range(0, len(hashes), CHUNK):
            file.writelines(one.tobytes().hex() + "\n" for one in hashes[at : at + CHUNK])


def in_process_of_its_own(name: str, *arguments: object) -> None:
    code = f"import sys; from pathlib import Path; from benchmarks.screening import *; {name}(*sys.argv[1:])"
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True)


def alone(path: str) -> None:
    """What a process that did nothing else needs to load the list: from the file to a gate that can answer."""
    small = Path(path).with_name("small.txt")
    write(small, mixed(LONG, np.random.default_rng(2)))
    load([("lines:0", Lines(small, algorithm="pdq"))], True, None, 1)  # what is imported is not counted
    before, peak = resident(), most_resident()
    gate = loaded(path)
    count = gate.lists[0].entries
    kept, needed = (resident() - before) / count, (most_resident() - peak) / count
    print(f"    {kept:.0f} bytes a hash stay in memory, {needed:.0f} while loading; peak {gigabytes()}", flush=True)


def loaded(path: str) -> Gate:
    with timed("load the list"):
        gate = load([("lines:1", Lines(Path(path), algorithm="pdq"))], True, None, 1)
    assert gate.healthy, gate.problems
    return gate


def asked(path: str, stored: str) -> None:
    """What a process needs that loads the list and is asked."""
    gate, rng = loaded(path), np.random.default_rng(1)
    (index,) = (one for _, one in gate.entries._pdq())
    looked_up(index, rng)
    matched(gate, index, rng)
    if int(stored):
        screened_again(gate, index, int(stored), rng)
    print(f"    peak {gigabytes()}", flush=True)


def looked_up(index: PdqIndex, rng: np.random.Generator) -> None:
    """Hashes looked up by an image, by a batch of `fetch`, by a stretch of `rescan`; and compared with every row."""
    queries = mixed(8 * STEP, rng)
    index.nearest(queries[:256], RADIUS)
    for count in (8, 8 * BATCH, 8 * STEP):
        times = max(1, 8 * BATCH // count)
        with timed(f"look-ups of {count:,} at once", times * count, rate=True):
            for at in range(0, times * count, count):
                index.nearest(queries[at : at + count], RADIUS)
    if index.slots is not None:
        every = PdqIndex(index.columns)
        every.nearest(queries[:64], RADIUS)
        with timed("    the same by comparing all", 64, rate=True):
            every.nearest(queries[:64], RADIUS)


def matched(gate: Gate, index: PdqIndex, rng: np.random.Generator) -> None:
    """A batch of images, one of them listed."""
    pictures = [[Pdq("main", one.tobytes(), 90)] for one in mixed(8 * BATCH, rng).reshape(BATCH, 8, 32)]
    pictures[7] = [Pdq("main", index.columns[:, [5] * 8].T.tobytes(), 90)]
    digests = [Digests("0" * 64, "0" * 40, "0" * 32)] * BATCH
    with timed("the gate, an image", BATCH):
        verdicts = gate.screen(digests, pictures)
    assert verdicts[7].match is not None


def screened_again(gate: Gate, index: PdqIndex, count: int, rng: np.random.Generator) -> None:
    """Rows of the store, a few of them listed, as `rescan` reads them: many at a time."""
    rows = mixed(8 * count, rng).reshape(count, 8, 32)
    bad = rng.choice(count, 20, replace=False)
    for number, row in enumerate(bad):
        known = np.frombuffer(index.columns[:, number * 1000].tobytes(), np.uint8)
        rows[row, number % 8] = known ^ np.packbits(np.arange(256) < 30)
    found = set[int]()
    with timed(f"{count:,} stored samples"):
        for at in range(0, count, STEP):
            part = rows[at : at + STEP]
            found |= {at + n for n, _ in gate.near(part, np.full(len(part), 90, np.uint8))}
    assert set(bad.tolist()) <= found
    print(f"    {len(found)} found, all {len(bad)} that were planted", flush=True)


def skewed(count: int, rng: np.random.Generator) -> None:
    """Lists that share slots: what a query like most of them costs beside a list of which nothing is shared."""
    if count < LONG:
        return
    even, one = mixed(count, rng), mixed(2, rng)[:1]
    queries = one ^ turned(8 * BATCH, 5, rng)
    part, word = even.copy(), even.copy()
    part[rng.permutation(count)[: count // 20]] = one ^ turned(count // 20, 4, rng)
    word[:, :8] = one[:, :8]
    lists = {"nothing": even, "a slot of each": np.where(np.arange(32) < 2, one, even), "a word of each": word}
    lists |= {"a twentieth, near each other": part, "all alike": np.repeat(one, count, axis=0)}
    for name, listed in lists.items():
        index = PdqIndex.from_bytes(listed.tobytes())
        with timed(f"skew: {name}", len(queries), rate=True):
            index.nearest(queries, RADIUS)


def turned(count: int, times: int, rng: np.random.Generator) -> Hashes:
    """Masks in which each bit is set with a chance of one in 2 ** times."""
    masks = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    for _ in range(times - 1):
        masks &= rng.integers(0, 256, masks.shape, dtype=np.uint8)
    return masks


def mixed(count: int, rng: np.random.Generator) -> Hashes:
    """Hashes, half of them of real pictures' cuttings."""
    found = np.empty((count, 32), dtype=np.uint8)
    for at in range(0, count, CHUNK):
        some = found[at : at + CHUNK]
        some[:] = rng.integers(0, 256, some.shape, dtype=np.uint8)
        half = len(some) // 2
        some[:half] = cuttings()[rng.integers(0, CUTTINGS, half)] ^ turned(half, 3, rng)
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
def timed(what: str, of: int = 1, rate: bool = False) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = (time.perf_counter() - wall) / of, (time.process_time() - cpu) / of
    unit, scale = ("us", 1e6) if rate else ("ms", 1e3) if of > 1 else ("s", 1.0)
    each = f"   {1 / wall:9,.0f} a second" if rate else ""
    print(f"{what:40} {wall * scale:9.2f} {unit}   cpu {cpu * scale:9.2f} {unit}{each}", flush=True)


def resident() -> int:
    """The bytes that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    return pages * resource.getpagesize()


def most_resident() -> int:
    """The most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def gigabytes() -> str:
    return f"{most_resident() / 1e9:.2f} GB"


if __name__ == "__main__":
    main()
