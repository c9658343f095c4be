"""Hashing: stages on one core; then the whole table on two workers, beside imagededup on the same files.

The peer lives in an environment of its own (`python -m venv peer && peer/bin/pip install imagededup`); name its
interpreter with `--peer`.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from unittest import mock

import numpy as np
from PIL import Image

from benchmarks.corpus import CORPORA, corpus
from curate.engine import _memory as memory
from curate.engine import each, slices
from curate.engine.pool import Pool
from curate.features.hash_worker import Hashing
from curate.features.hashes import ITEM
from curate.features.inspect import FetchedBytes, Inspect
from curate.media import pdq, pdq_pixels, phash
from curate.media.decode import Bounds, flattened, luminance, open_image

WORKERS = 2
_PEER = """
import sys, time
from imagededup.methods import PHash
if __name__ == "__main__":
    PHash(verbose=False).encode_images(sys.argv[2], num_enc_workers=0)  # a few, to warm up
    started = time.perf_counter()
    found = PHash(verbose=False).encode_images(sys.argv[1], num_enc_workers=2)
    print(len(found) / (time.perf_counter() - started))
"""


def rate(name: str, work: Callable[[bytes], object], data: list[bytes]) -> None:
    """Print images a second of CPU time: the best of three passes, since others' work costs processor time, too."""
    work(data[0])
    spent = []
    for _ in range(3):
        started = time.process_time()
        for one in data:
            work(one)
        spent.append(time.process_time() - started)
    print(f"  {name:<58} {len(data) / min(spent):6.0f} img/s/core", flush=True)


def stages(data: list[bytes]) -> None:
    """The figures of one core, the bare decode (the floor) first: machines differ, the ratios less so."""
    import imagehash

    bounds = Bounds()
    screened, plain = Inspect(bounds), Inspect(bounds, pdq=False, side=phash.SIDE)  # as fetch has them
    screened.load()
    pdq.load()

    def decoded(body: bytes) -> Image.Image:
        return flattened(open_image(body, bounds), "RGB")

    rate("bare scaled decode (Pillow, luminance)", lambda b: luminance(open_image(b, bounds), phash.SIDE), data)
    rate("bare full decode (Pillow, RGB)", decoded, data)
    rate("hash table row: decode, pHash, quality, thumbnail", lambda b: phash.columns_of(open_image(b, bounds)), data)
    rate("whole intake without PDQ: digests, polyglots, decode, pHash", lambda b: plain(FetchedBytes(0, b)), data)
    rate("whole screening: that and PDQ of every part", lambda b: screened(FetchedBytes(0, b)), data)
    rate("peer: imagehash.phash on the full decode", lambda b: imagehash.phash(open_image(b, bounds)), data[:60])
    alone([decoded(body) for body in data])


def alone(pictures: list[Image.Image]) -> None:
    """PDQ of decoded pictures in eight orientations, and how many of these had to be rounded as pdqhash rounds."""
    spent, rounded = [], 0  # the best of three: on a busy machine processor time is not the picture's alone

    class Counted(pdq_pixels.Pixels):
        def rounded(self, turn: pdq_pixels.Turn) -> np.ndarray:
            nonlocal rounded
            rounded += 1
            return super().rounded(turn)

    for one in pictures:
        tries = []
        for _ in range(3):
            started = time.process_time()
            pdq.compute(one)
            tries.append(time.process_time() - started)
        spent.append(min(tries))
    with mock.patch.object(pdq, "Pixels", Counted):
        poor = sum(pdq.compute(one).quality < pdq.MIN_QUALITY for one in pictures)
    print(
        f"  PDQ of a decoded picture: {1000 * mean(spent):.1f} ms of processor time, median {1000 * median(spent):.1f},"
        f" at most {1000 * max(spent):.1f}; {rounded / (8 * len(pictures)):.1%} of the orientations rounded as pdqhash"
        f" does; {poor / len(pictures):.0%} below quality {pdq.MIN_QUALITY}"
    )


def ours(root: Path, ids: list[str], phash_too: bool, pdq_too: bool) -> float:
    """Images a second of the hash table's own work over stored files, in workers that have started."""
    side = phash.FULL if pdq_too else phash.SIDE  # as a workspace with screening lists has it, and one without
    work, wanted = Hashing(root, Bounds(), side), [(one, phash_too, pdq_too) for one in ids]
    started = 0.0
    for n, (_, found) in enumerate(each(Pool(WORKERS), work, [wanted[:ITEM], wanted[:ITEM], *slices(wanted, ITEM)])):
        assert not isinstance(found, Exception), found
        if n == ITEM - 1:  # the first chunk is back: the workers have started
            started = time.perf_counter()
    return (len(wanted) + min(ITEM, len(wanted))) / (time.perf_counter() - started)


def beside(paths: list[Path], python: str, runs: int) -> None:
    """Alternating runs on the same files: ours by pHash alone, with PDQ, and imagededup's PHash."""
    with tempfile.TemporaryDirectory() as folder:
        root, flat, few = Path(folder) / "blobs", Path(folder) / "flat", Path(folder) / "few"
        for one in (flat, few):
            one.mkdir()
        for n, path in enumerate(paths):
            name = f"{n % 256:02x}{n:08d}"
            (root / name[:2]).mkdir(parents=True, exist_ok=True)
            os.link(path, root / name[:2] / name)
            os.link(path, flat / path.name)
            if n < 4:
                os.link(path, few / path.name)
        ids = sorted(f"{n % 256:02x}{n:08d}" for n in range(len(paths)))
        rates: dict[str, list[float]] = {"pHash": [], "pHash and PDQ": [], "imagededup PHash": []}
        for _ in range(runs):
            rates["pHash"].append(ours(root, ids, True, False))
            rates["pHash and PDQ"].append(ours(root, ids, True, True))
            said = subprocess.run(
                [python, "-c", _PEER, str(flat), str(few)], check=True, capture_output=True, text=True
            )
            rates["imagededup PHash"].append(float(said.stdout.split()[-1]))
    peer = median(rates["imagededup PHash"])
    for name, found in rates.items():
        print(f"  {name}, {WORKERS} workers: {median(found):.0f} img/s, {median(found) / peer:.1f} x imagededup's")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peer", help="interpreter of an environment with imagededup")
    options = parser.parse_args()
    memory.keep()  # as a worker does
    for name in CORPORA:
        paths = corpus(name, options.count)
        print(name)
        stages([path.read_bytes() for path in paths[:200]])
        if options.peer:
            beside(paths, options.peer, options.runs)


if __name__ == "__main__":
    main()
