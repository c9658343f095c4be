"""Hashing on one core: pHash by scaled decode, beside imagehash on the full decode and a bare scaled decode."""

import argparse
import time
from collections.abc import Callable

from benchmarks.corpus import cache, make
from curate.intake import Arrival, Intake
from curate.media import phash
from curate.media.decode import Bounds, luminance, open_image


def rate(name: str, work: Callable[[bytes], object], data: list[bytes]) -> None:
    """Print images a second of CPU time."""
    work(data[0])
    started = time.process_time()
    for one in data:
        work(one)
    print(f"  {name:<58} {len(data) / (time.process_time() - started):6.0f} img/s/core", flush=True)


def main() -> None:
    """Print the figures, the bare decode (the floor) first: machines differ, the ratios less so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    data = [path.read_bytes() for path in make(cache() / "jpegs", parser.parse_args().count)]
    import imagehash

    bounds, intake = Bounds(), Intake(Bounds())
    intake.load()
    rate("bare scaled decode (Pillow, luminance)", lambda b: luminance(open_image(b, bounds)), data)
    rate("hash table row: decode, pHash, quality, thumbnail", lambda b: phash.columns_of(open_image(b, bounds)), data)
    rate("the whole intake: digests, sniffing, decode, hashes", lambda b: intake(Arrival(0, b)), data)
    rate("peer: imagehash.phash on the full decode", lambda b: imagehash.phash(open_image(b, bounds)), data[:40])


if __name__ == "__main__":
    main()
