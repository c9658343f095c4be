"""The near-duplicate join against its targets: seconds, peak memory, and whether every planted pair was found.

    python -m benchmarks.near                       10 k, 100 k, 1.3 M hashes of 256 and 64 bits; skew; 10 k to 1.3 M;
                                                    of 64 bits also in all eight orientations, within 6 bits
    python -m benchmarks.near --large               also 5 M hashes, and 10.4 M queries against a list of 1 M
    python -m benchmarks.near --faiss PYTHON        also FAISS's exact search on a sample, by an interpreter that has it

Each line is a process of its own, so that its peak memory is its own, and begins with the compiled loops loaded; what
compiling and loading them costs is a line of its own. Memory includes the hashes.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.corpus import cache, photographs
from curate import near
from curate.near import dihedral, turns

Hashes = npt.NDArray[np.uint8]
RADIUS = {32: 31, 8: 10}
TURNED = 6
BASES = 2_000
QUERIES = 2_000  # of FAISS
LISTED = 1_000_000  # hashes of a list that `cross` asks

FAISS = """
import sys, time, faiss, numpy as np
hashes, queries, radius = np.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
index = faiss.IndexBinaryFlat(8 * hashes.shape[1])
index.add(hashes)
begin = time.perf_counter()
index.range_search(hashes[-queries:], radius + 1)
print(time.perf_counter() - begin)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="also 5 million hashes, and 10.4 million against a list")
    parser.add_argument("--faiss", metavar="PYTHON", help="also FAISS, run by this interpreter")
    parser.add_argument("--bytes", type=int, nargs="*", default=list(RADIUS), choices=list(RADIUS))
    parser.add_argument("--one", nargs=3, metavar=("TASK", "ROWS", "BYTES"), help="one line, in this process")
    options = parser.parse_args()
    if options.one:
        task, rows, nbytes = options.one
        TASKS[task](int(rows), int(nbytes))
        return
    print(f"{'task':10}{'bits':>6}{'rows':>12}{'seconds':>10}{'peak MB':>9}  found", flush=True)
    with tempfile.TemporaryDirectory() as empty:
        alone("compile", 60_000, 32, NUMBA_CACHE_DIR=empty)
    alone("load", 60_000, 32)
    for nbytes in options.bytes:
        took = {task: alone(task, rows, nbytes) for task, rows in lines(nbytes, options.large)}
        print(f"{'':16}skew takes {took['skew'] / took['random']:.1f} times as long as random", flush=True)
        if "turned" in took:
            share = (took["groups"] + took["turned"]) / took["groups"]
            print(f"{'':16}all orientations take {share:.1f} times as long as upright", flush=True)
        if options.faiss:
            seconds = faiss(options.faiss, 1_300_000, nbytes)
            print(f"{'':16}FAISS takes {seconds / took['random']:.0f} times as long", flush=True)


def lines(nbytes: int, large: bool) -> list[tuple[str, int]]:
    """Each task with its rows; the last of one name is the one that ratios are of."""
    found = [("random", 5_000_000)] * large + [("random", rows) for rows in (10_000, 100_000, 1_300_000)]
    found += [("skew", 1_300_000), ("groups", 1_300_000), ("add", 1_300_000), ("brute", 5_000)]
    if nbytes == 8:
        found += [("turn skew", 1_300_000), ("turned", 1_300_000)]
    if nbytes == 32:
        found += [("cross 31", 10_400_000), ("cross 47", 10_400_000)] * large
    return found


def alone(task: str, rows: int, nbytes: int, **environment: str) -> float:
    """One line by a process of its own; its seconds."""
    command = [sys.executable, "-m", "benchmarks.near", "--one", task, str(rows), str(nbytes)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
    print(done.stdout, end="", flush=True)
    return float(done.stdout[28:38])


# -- hashes ----------------------------------------------------------------------------------------------------------


def random_set(rows: int, nbytes: int) -> tuple[Hashes, Hashes]:
    """Random hashes, a tenth of them copies of others with 1 to radius bits flipped, and who copies whom."""
    rng = np.random.default_rng(0)
    return planted(rng.integers(0, 256, (rows - rows // 10, nbytes), dtype=np.uint8), rows // 10, rng)


def skewed_set(rows: int, nbytes: int) -> tuple[Hashes, Hashes]:
    """2,000 hashes of real pictures, repeated with each bit flipped at p = 0.2, and copies planted as above."""
    rng = np.random.default_rng(0)
    hashes = np.resize(real(nbytes), (rows - rows // 10, nbytes))
    for begin in range(0, len(hashes), 100_000):
        part = hashes[begin : begin + 100_000]
        part ^= np.packbits(rng.random((len(part), 8 * nbytes), dtype=np.float32) < 0.2, axis=1)
    return planted(hashes, rows // 10, rng)


def real(nbytes: int) -> Hashes:
    """The hashes of 2,000 crops of photographs, kept between runs."""
    path = cache() / f"crops-{BASES}-{nbytes}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        photos = [photo.reduce(max(1, min(photo.size) // 512)) for photo in photographs()]
        np.save(path, np.stack([_hashed(seed, nbytes, photos) for seed in range(BASES)]))
    return np.asarray(np.load(path))


def _hashed(seed: int, nbytes: int, photos: list[Image.Image]) -> Hashes:
    import pdqhash

    from curate.media.phash import phash

    rng = np.random.default_rng(seed)
    photo = photos[seed % len(photos)]
    wide, high = (int(side * rng.uniform(0.2, 0.9)) for side in photo.size)
    x, y = int(rng.integers(0, photo.width - wide)), int(rng.integers(0, photo.height - high))
    crop = photo.crop((x, y, x + wide, y + high)).resize((256, 256))
    if nbytes == 8:
        return np.frombuffer(phash(crop), dtype=np.uint8)
    return np.packbits(pdqhash.compute(np.asarray(crop))[0])


def planted(hashes: Hashes, count: int, rng: np.random.Generator) -> tuple[Hashes, Hashes]:
    """The hashes with `count` near copies behind them, and the pairs (original, copy), sorted."""
    originals = np.sort(rng.choice(len(hashes), count, replace=False))
    copies = flipped(hashes[originals], RADIUS[hashes.shape[1]], rng)
    pairs = np.stack([originals, len(hashes) + np.arange(count)], axis=1)
    return np.concatenate([hashes, copies]), pairs


def flipped(hashes: Hashes, radius: int, rng: np.random.Generator) -> Hashes:
    """The hashes with 1 to `radius` bits of each flipped."""
    bits, flips = 8 * hashes.shape[1], rng.integers(1, radius + 1, len(hashes))
    for begin in range(0, len(hashes), 50_000):
        part = hashes[begin : begin + 50_000]
        rank = rng.random((len(part), bits), dtype=np.float32).argsort(axis=1).argsort(axis=1)
        part ^= np.packbits(rank < flips[begin : begin + 50_000, None], axis=1)
    return hashes


# -- lines -----------------------------------------------------------------------------------------------------------


def measured(work: Callable[[], npt.NDArray[np.int64]]) -> tuple[npt.NDArray[np.int64], str]:
    """What `work` finds, and the figures of it; compiled loops are loaded before the clock starts."""
    warm, _ = random_set(60_000, 32)
    for nbytes in RADIUS:
        near.cross(warm[:, :nbytes].copy(), warm[:20_000, :nbytes].copy(), 3)
        near.pairs(warm[:, :nbytes].copy(), 3)
    dihedral.groups(warm[:, :8].copy(), 3)
    begin = time.perf_counter()
    result = work()
    return result, figures(time.perf_counter() - begin)


def figures(seconds: float) -> str:
    return f"{seconds:>10.2f}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:>9.0f}"


def line(task: str, rows: int, nbytes: int, numbers: str, found: str) -> None:
    print(f"{task:10}{8 * nbytes:>6}{rows:>12,}{numbers}  {found}", flush=True)


def join(task: str, rows: int, nbytes: int) -> None:
    hashes, pairs = (skewed_set if task == "skew" else random_set)(rows, nbytes)
    found, numbers = measured(lambda: near.pairs(hashes, RADIUS[nbytes]))
    hits = np.isin(pairs @ [rows, 1], found @ [rows, 1]).sum()
    apart = np.bitwise_count(hashes[found[:, 0]] ^ hashes[found[:, 1]]).sum(axis=1, dtype=np.int64)
    assert (apart <= RADIUS[nbytes]).all()
    line(task, rows, nbytes, numbers, f"{hits:,} of {len(pairs):,} planted pairs, {len(found):,} in all")


def brute(rows: int, nbytes: int) -> None:
    """Random and skewed sets against brute force, all pairs equal."""
    hashes = np.concatenate([random_set(rows // 2, nbytes)[0], skewed_set(rows // 2, nbytes)[0]])
    found, numbers = measured(lambda: near.pairs(hashes, RADIUS[nbytes]))
    true: list[tuple[int, int]] = []
    for row in range(rows):
        apart = np.bitwise_count(hashes[row] ^ hashes[row + 1 :]).sum(axis=1, dtype=np.int64)
        true += [(row, row + 1 + int(other)) for other in np.flatnonzero(apart <= RADIUS[nbytes])]
    same = found.tolist() == [list(pair) for pair in true]
    line("brute", rows, nbytes, numbers, f"{'equal to' if same else 'DIFFERS FROM'} brute force: {len(true):,} pairs")


def groups(rows: int, nbytes: int) -> None:
    hashes, pairs = random_set(rows, nbytes)
    found, numbers = measured(lambda: near.groups(hashes, RADIUS[nbytes]))
    together = (found[pairs[:, 0]] == found[pairs[:, 1]]).sum()
    line("groups", rows, nbytes, numbers, f"{together:,} of {len(pairs):,} planted pairs together")


def turned(task: str, rows: int, nbytes: int) -> None:
    """A tenth are copies of others, turned anyhow."""
    base, pairs = (skewed_set if task == "turn skew" else random_set)(rows, nbytes)
    rng, hashes = np.random.default_rng(3), base.copy()
    hashes[pairs[:, 1]] = flipped(base[pairs[:, 0]], TURNED, rng)
    for turn, some in enumerate(np.array_split(pairs[:, 1], 8)):
        hashes[some] = turns.turned(hashes[some], turn)
    found, numbers = measured(lambda: dihedral.groups(hashes, TURNED))
    together = (found[pairs[:, 0]] == found[pairs[:, 1]]).sum()
    line(task, rows, nbytes, numbers, f"{together:,} of {len(pairs):,} planted pairs together")


def add(rows: int, nbytes: int) -> None:
    """Ten thousand more, of which a thousand are near copies of old ones."""
    hashes, _ = random_set(rows, nbytes)
    rng = np.random.default_rng(1)
    more, pairs = planted(hashes[: rows - 9_000], 1_000, rng)
    more = np.concatenate([more, rng.integers(0, 256, (9_000, nbytes), dtype=np.uint8)])
    old = np.arange(rows - 9_000)
    found, numbers = measured(lambda: near.groups(more, RADIUS[nbytes], old=old))
    together = (found[pairs[:, 0]] == found[pairs[:, 1]]).sum()
    line("add", 10_000, nbytes, numbers, f"{together:,} of {len(pairs):,} planted pairs together")


def cross(radius: int, rows: int, nbytes: int) -> None:
    """Queries against a list of a million, a thousand of which are near copies of queries."""
    rng = np.random.default_rng(2)
    queries = rng.integers(0, 256, (rows, nbytes), dtype=np.uint8)
    listed = rng.integers(0, 256, (LISTED, nbytes), dtype=np.uint8)
    origins = np.sort(rng.choice(rows, 1_000, replace=False))
    listed[:1_000] = flipped(queries[origins], radius, rng)
    found, numbers = measured(lambda: near.cross(queries, listed, radius))
    hits = np.isin(origins * LISTED + np.arange(1_000), found @ [LISTED, 1]).sum()
    line(f"cross {radius}", rows, nbytes, numbers, f"{hits:,} of 1,000 planted pairs, {len(found):,} in all")


def compiled(task: str, rows: int, nbytes: int) -> None:
    """The first joins of a process, for both sizes: what compiling, or loading what was compiled, adds."""
    hashes, _ = random_set(rows, nbytes)
    begin = time.perf_counter()
    for size in RADIUS:
        near.pairs(hashes[:, :size].copy(), 3)
        near.cross(hashes[:, :size].copy(), hashes[:20_000, :size].copy(), 3)
    line(task, rows, nbytes, figures(time.perf_counter() - begin), "four small joins, the first of the process")


def faiss(python: str, rows: int, nbytes: int) -> float:
    """FAISS's exact search for a sample of queries; its seconds, extrapolated to all of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hashes.npy"
        np.save(path, random_set(rows, nbytes)[0])
        command = [python, "-c", FAISS, str(path), str(QUERIES), str(RADIUS[nbytes])]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds = float(done.stdout) * rows / QUERIES
    line("faiss", rows, nbytes, f"{seconds:>10.0f}{'':>9}", f"IndexBinaryFlat, extrapolated from {QUERIES:,} queries")
    return seconds


TASKS: dict[str, Callable[[int, int], None]] = {
    "random": partial(join, "random"),
    "skew": partial(join, "skew"),
    "brute": brute,
    "groups": groups,
    "add": add,
    "turned": partial(turned, "turned"),
    "turn skew": partial(turned, "turn skew"),
    "cross 31": partial(cross, 31),
    "cross 47": partial(cross, 47),
    "compile": partial(compiled, "compile"),
    "load": partial(compiled, "load"),
}

if __name__ == "__main__":
    main()
