"""The near-duplicate join against its targets: seconds, peak memory, and whether every planted pair was found.

    python -m benchmarks.near                     10 k, 100 k, 1.3 M hashes of 256 and 64 bits; skew; 10 k to 1.3 M
    python -m benchmarks.near --large --faiss     also 5 M hashes, and FAISS's exact search on a sample of queries

Each line is a process of its own, so that its peak memory is its own; compiling is done before the clock starts.
"""

import argparse
import importlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from curate import near

Hashes = npt.NDArray[np.uint8]
RADIUS = {32: 31, 8: 10}
BASES = 2_000
QUERIES = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="also 5 million hashes")
    parser.add_argument("--faiss", action="store_true", help="also FAISS, where it is installed")
    parser.add_argument("--one", nargs=3, metavar=("TASK", "ROWS", "BYTES"), help="one line, in this process")
    options = parser.parse_args()
    if options.one:
        task, rows, nbytes = options.one
        TASKS[task](int(rows), int(nbytes))
        return
    sizes = [10_000, 100_000, 1_300_000] + [5_000_000] * options.large
    lines = [("random", rows) for rows in sizes]
    lines += [("skew", 1_300_000), ("groups", 1_300_000), ("add", 1_300_000)]
    lines += [("faiss", 1_300_000)] * options.faiss
    print(f"{'task':8}{'bits':>6}{'rows':>11}{'seconds':>10}{'peak MB':>9}  found")
    for nbytes in RADIUS:
        for task, rows in lines:
            subprocess.run([sys.executable, __file__, "--one", task, str(rows), str(nbytes)], check=True)


def random_set(rows: int, nbytes: int) -> tuple[Hashes, Hashes]:
    """Random hashes, a tenth of them copies of others with 1 to radius bits flipped, and who copies whom."""
    rng = np.random.default_rng(0)
    return planted(rng.integers(0, 256, (rows - rows // 10, nbytes), dtype=np.uint8), rows // 10, rng)


def skewed_set(rows: int, nbytes: int) -> tuple[Hashes, Hashes]:
    """2,000 hashes that resemble each other as real ones do, repeated with each bit flipped at p = 0.2, and planted."""
    rng = np.random.default_rng(0)
    common, own = rng.normal(size=8 * nbytes), rng.normal(size=(BASES, 8 * nbytes))
    mixed = 0.6 * common + own
    bases = np.packbits(mixed > np.median(mixed, axis=1, keepdims=True), axis=1)
    hashes = np.resize(bases, (rows - rows // 10, nbytes))
    for begin in range(0, len(hashes), 100_000):
        part = hashes[begin : begin + 100_000]
        part ^= np.packbits(rng.random((len(part), 8 * nbytes), dtype=np.float32) < 0.2, axis=1)
    return planted(hashes, rows // 10, rng)


def planted(hashes: Hashes, count: int, rng: np.random.Generator) -> tuple[Hashes, Hashes]:
    """The hashes with `count` near copies behind them, and the pairs (original, copy), sorted."""
    originals = np.sort(rng.choice(len(hashes), count, replace=False))
    copies = hashes[originals]
    bits, flips = 8 * hashes.shape[1], rng.integers(1, RADIUS[hashes.shape[1]] + 1, count)
    for begin in range(0, count, 50_000):
        part = copies[begin : begin + 50_000]
        rank = rng.random((len(part), bits), dtype=np.float32).argsort(axis=1).argsort(axis=1)
        part ^= np.packbits(rank < flips[begin : begin + 50_000, None], axis=1)
    pairs = np.stack([originals, len(hashes) + np.arange(count)], axis=1)
    return np.concatenate([hashes, copies]), pairs


def measured(work: Callable[[], npt.NDArray[np.int64]]) -> tuple[npt.NDArray[np.int64], str]:
    warm, _ = random_set(60_000, 32)
    for nbytes in RADIUS:
        near.cross(warm[:, :nbytes].copy(), warm[:20_000, :nbytes].copy(), 3)
        near.pairs(warm[:, :nbytes].copy(), 3)
    begin = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - begin
    return result, f"{seconds:>10.2f}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:>9.0f}"


def line(task: str, rows: int, nbytes: int, figures: str, found: str) -> None:
    print(f"{task:8}{8 * nbytes:>6}{rows:>11,}{figures}  {found}", flush=True)


def join(task: str, rows: int, nbytes: int) -> None:
    hashes, pairs = (skewed_set if task == "skew" else random_set)(rows, nbytes)
    found, figures = measured(lambda: near.pairs(hashes, RADIUS[nbytes]))
    hits = np.isin(pairs @ [rows, 1], found @ [rows, 1]).sum()
    line(task, rows, nbytes, figures, f"{hits:,} of {len(pairs):,} planted pairs, {len(found):,} in all")


def groups(rows: int, nbytes: int) -> None:
    hashes, pairs = random_set(rows, nbytes)
    found, figures = measured(lambda: near.groups(hashes, RADIUS[nbytes]))
    together = (found[pairs[:, 0]] == found[pairs[:, 1]]).sum()
    line("groups", rows, nbytes, figures, f"{together:,} of {len(pairs):,} planted pairs together")


def add(rows: int, nbytes: int) -> None:
    """Ten thousand more, of which a thousand are near copies of old ones."""
    hashes, _ = random_set(rows, nbytes)
    rng = np.random.default_rng(1)
    more, pairs = planted(hashes[: rows - 9_000], 1_000, rng)
    more = np.concatenate([more, rng.integers(0, 256, (9_000, nbytes), dtype=np.uint8)])
    old = np.arange(rows - 9_000)
    found, figures = measured(lambda: near.groups(more, RADIUS[nbytes], old=old))
    together = (found[pairs[:, 0]] == found[pairs[:, 1]]).sum()
    line("add", 10_000, nbytes, figures, f"{together:,} of {len(pairs):,} planted pairs together")


def faiss(rows: int, nbytes: int) -> None:
    """FAISS's exact search for a sample of queries; the time is extrapolated to all of them."""
    library = importlib.import_module("faiss")
    hashes, _ = random_set(rows, nbytes)
    index = library.IndexBinaryFlat(8 * nbytes)
    index.add(hashes)
    begin = time.perf_counter()
    index.range_search(hashes[:QUERIES], RADIUS[nbytes] + 1)
    seconds = (time.perf_counter() - begin) * rows / QUERIES
    line("faiss", rows, nbytes, f"{seconds:>10.0f}{0:>9}", f"extrapolated from {QUERIES:,} queries")


TASKS: dict[str, Callable[[int, int], None]] = {
    "random": partial(join, "random"),
    "skew": partial(join, "skew"),
    "groups": groups,
    "add": add,
    "faiss": faiss,
}

if __name__ == "__main__":
    main()
