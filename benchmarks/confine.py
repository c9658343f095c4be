"""The price of confinement: the work of `fetch` on the same pictures with and without it, in turns, in one process.

Processor seconds of the workers and of this process together; the ratio is what counts, machines differ.
"""

import os
from statistics import median

from benchmarks.corpus import cache, make
from curate.contracts import Resources
from curate.engine import each, slices
from curate.engine.pool import Pool
from curate.features.inspect import FetchedBytes, Inspect
from curate.media.decode import Bounds

ROUNDS, PICTURES, CHUNK = 7, 1500, 4


def spent(confine: str, items: list[FetchedBytes]) -> float:
    """Processor seconds for the items, start and end of the workers included."""
    import psutil

    from curate.engine import _forkserver as forks

    server = psutil.Process(forks.server().pid)

    def used() -> float:
        theirs, mine = server.cpu_times(), os.times()
        return float(theirs.user + theirs.system + theirs.children_user + theirs.children_system + sum(mine[:2]))

    before = used()
    pool = Pool(2, confine=confine)  # type: ignore[arg-type]
    assert sum(1 for _ in each(pool, Inspect(Bounds()), slices(items, CHUNK), Resources())) == len(items)
    return used() - before


def main() -> None:
    """Print both rates and their ratio."""
    data = [path.read_bytes() for path in make(cache() / "hashing", 500)]
    items = [FetchedBytes(n, data[n % len(data)]) for n in range(PICTURES)]
    Pool(2).prepare()
    spent("off", items[:100])
    turns = [{how: spent(how, items) for how in ("off", "auto")} for _ in range(ROUNDS)]
    for how in ("off", "auto"):
        print(f"confine = {how:<5} {PICTURES / median(one[how] for one in turns):6.0f} img/s of one core")
    ratios = sorted(one["auto"] / one["off"] - 1 for one in turns)
    print(f"price: {median(ratios):+.1%} of processor time (rounds {', '.join(f'{one:+.1%}' for one in ratios)})")


if __name__ == "__main__":
    main()
