"""What each labeler of pixels costs: pictures a second without their decoding, and with it as a run does it.

    python -m benchmarks.labelers [--files N] [NAME...]

Without: one process, one thread, pictures decoded before, by the clock and by CPU seconds (what counts on a machine
that does other work, too). With: the two corpora of `benchmarks.corpus` in a store, scored by the worker pool of
`curate label` on two cores, counted when a quarter is done; how long it took to the first shard stands beside.
torch's EfficientNet-Lite0, which the labeler of that name ran in before, stands there, too.
"""

import argparse
import copy
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.corpus import CORPORA, SIZE, corpus
from curate.contracts import Labeler
from curate.engine import _memory as memory
from curate.engine.pool import Pool
from curate.features.scores import compute
from curate.media import resize
from curate.media.decode import Bounds, open_image, scaled
from curate.media.decoded import StoredImage
from curate.options import Plugin
from curate.plugins import make
from curate.progress import Progress, Step
from curate.records import Sample
from curate.store.shards import assign
from tests.support.builders import add, workspace

NAMES = ("drawing", "efficientnet_lite0", "nsfwjs", "open_nsfw", "quality", "skin", "nudenet")
FILES, VIEWS, SHARD, SIDES = 1600, 60, 20, (256, 512)


def main() -> None:
    """Print a line a corpus, and a line a labeler."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--files", type=int, default=FILES)
    options = parser.parse_args()
    names = options.names or [one for one in NAMES if _there(one)]
    corpora = {name: corpus(name, options.files) for name in CORPORA}
    memory.keep()  # as a worker does
    resize.load()
    for name, paths in corpora.items():
        _say(name, paths)
    head = " ".join(f"{f'{name}, two cores':>24} {'begins, s':>10}" for name in CORPORA)
    print(f"{'img/s':<30} {'a CPU second':>14} {'one process':>14} {head}")
    sample = Sample("0" * 64, "", "", 0, "image/jpeg", *SIZE)
    views = [StoredImage(sample, {}, path.read_bytes) for path in corpora["photographs"][:VIEWS]]
    for name in names:
        labeler = make("labelers", Plugin(name, where="labelers"), "labeler")
        alone = speed(labeler, views)
        rates = (decoded(labeler, paths) for paths in corpora.values())
        print(
            f"{name:<30} {alone[0]:>14.0f} {alone[1]:>14.0f}",
            *(f"{rate:>24.0f} {start:>10.1f}" for rate, start in rates),
            flush=True,
        )
    if "efficientnet_lite0" in names:
        alone = torch_speed(views)
        print(f"{'(its network, in torch)':<30} {alone[0]:>14.0f} {alone[1]:>14.0f}")


def _say(name: str, paths: Sequence[Path]) -> None:
    """How large the files are, and what it costs to decode one at the sides that labelers ask for."""
    data = [path.read_bytes() for path in paths[:VIEWS]]

    def each(side: int) -> None:
        for one in data:
            scaled(open_image(one, Bounds()), side)

    costs = {side: timed(partial(each, side), len(data))[0] for side in SIDES}
    size = sum(path.stat().st_size for path in paths) / len(paths) / 1000
    said = ", ".join(f"{1000 / rate:.1f} ms for {side} px" for side, rate in costs.items())
    print(f"{name}: {len(paths)} JPEGs of {SIZE[0]} x {SIZE[1]}, {size:.0f} KB each, decoded in {said}")


def _there(name: str) -> bool:
    try:
        labeler = make("labelers", Plugin(name, where="labelers"), "labeler")
        labeler.load()
    except Exception as error:  # noqa: BLE001 (an extra that is not installed)
        print(f"{name}: left out ({error})")
        return False
    return True


def speed(labeler: Labeler, views: list[StoredImage]) -> tuple[float, float]:
    """Pictures a CPU second, and a second, of a labeler alone."""
    ready, some = copy.copy(labeler), views[:VIEWS]
    ready.load()
    for one in some:
        one.image(ready.needs.side)
    return timed(lambda: ready.label(some), len(some))


def torch_speed(views: list[StoredImage]) -> tuple[float, float]:
    """The same of the network that `module()` gives, as the labeler used it."""
    import torch

    from labelers.efficientnet_lite0 import SIDE, EfficientnetLite0, pixels

    torch.set_num_threads(1)
    network, some = EfficientnetLite0().module(), views[:VIEWS]

    def each() -> None:
        with torch.inference_mode():
            for one in some:
                network(torch.from_numpy(pixels(one.image(SIDE))[None]))

    return timed(each, len(some))


def timed(work: Callable[[], Any], n: int) -> tuple[float, float]:
    """The best of three."""
    work()
    cpu, wall = [], []
    for _ in range(3):
        begun = time.process_time(), time.perf_counter()
        work()
        cpu.append(time.process_time() - begun[0])
        wall.append(time.perf_counter() - begun[1])
    return n / min(cpu), n / min(wall)


class Clock(Progress):
    """When each shard was done, and how many pictures it had."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.done: list[tuple[float, int]] = []

    @contextmanager
    def stage(self, what: str, total: int | None = None) -> Iterator[Step]:
        """Nothing is shown."""

        def step(done: int = 1, *, total: int | None = None) -> None:
            self.done.append((time.perf_counter(), done))

        yield step


def decoded(labeler: Labeler, paths: Sequence[Path]) -> tuple[float, float]:
    """Pictures a second of the last three quarters of a store, by two workers, and the seconds till the first shard."""
    with tempfile.TemporaryDirectory() as folder:
        ws, clock = workspace(Path(folder)), Clock()
        try:
            for path in paths:
                add(ws, path.read_bytes())
            assign(ws.catalog, SHARD)
            begun = time.perf_counter()
            compute(ws, Pool(workers=2), [labeler], clock)
        finally:
            ws.close()
    counted = clock.done[len(clock.done) // 4 :]  # after what each worker begins with
    seconds = counted[-1][0] - counted[0][0]
    return sum(n for _, n in counted[1:]) / seconds, clock.done[0][0] - begun


if __name__ == "__main__":
    main()
