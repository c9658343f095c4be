"""What each labeler of pixels costs: pictures a second without their decoding, and with it as a run does it.

    python -m benchmarks.labelers [NAME...]

Without: one process, one thread, pictures decoded before, by the clock and by CPU seconds (what counts on a machine
that does other work, too). With: JPEGs of about 1280 x 960 px in a store, scored by the worker pool of `curate label`
on two cores. torch's EfficientNet-Lite0, which the labeler of that name ran in before, stands beside.
"""

import copy
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curate.contracts import Labeler
from curate.engine.pool import Pool
from curate.features.scores import compute
from curate.media.decoded import StoredImage
from curate.options import Plugin
from curate.plugins import make
from curate.progress import Progress
from curate.records import Sample
from curate.store.shards import assign
from tests.support.builders import add, workspace
from tests.support.pictures import photograph

NAMES = ("drawing", "efficientnet_lite0", "nsfwjs", "open_nsfw", "quality", "skin", "nudenet")
FILES, VIEWS, SHARD, WIDE, HIGH = 400, 60, 20, 1280, 960
SOURCES = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "brick.png", "hubble_deep_field.jpg")


def main() -> None:
    """Print a line a labeler."""
    names = sys.argv[1:] or [one for one in NAMES if _there(one)]
    data = list(jpegs(FILES))
    size = sum(map(len, data)) / len(data) / 1000
    print(f"{FILES} JPEGs of {WIDE} x {HIGH}, {size:.0f} KB each")
    print(f"{'img/s':<30} {'a CPU second':>14} {'one process':>14} {'with decoding, two cores':>26}")
    sample = Sample("0" * 64, "", "", 0, "image/jpeg", WIDE, HIGH)
    views = [StoredImage(sample, {}, partial(bytes, one)) for one in data]
    for name in names:
        labeler = make("labelers", Plugin(name, where="labelers"), "labeler")
        alone = speed(labeler, views)
        print(f"{name:<30} {alone[0]:>14.0f} {alone[1]:>14.0f} {decoded(labeler, data):>26.0f}", flush=True)
    if "efficientnet_lite0" in names:
        alone = torch_speed(views)
        print(f"{'(its network, in torch)':<30} {alone[0]:>14.0f} {alone[1]:>14.0f}")


def _there(name: str) -> bool:
    try:
        labeler = make("labelers", Plugin(name, where="labelers"), "labeler")
        labeler.load()
    except Exception as error:  # noqa: BLE001 (an extra that is not installed)
        print(f"{name}: left out ({error})")
        return False
    return True


def jpegs(n: int) -> Iterator[bytes]:
    """Crops of photographs, enlarged, each with a grain of its own."""
    rng = np.random.default_rng(0)
    for number in range(n):
        image = photograph(SOURCES[number % len(SOURCES)])
        left, top = (int(rng.integers(0, side // 4)) for side in image.size)
        box = (left, top, left + image.width * 3 // 4, top + image.height * 3 // 4)
        pixels = np.asarray(image.resize((WIDE, HIGH), Image.Resampling.BICUBIC, box=box), np.int16)
        grain = rng.integers(-6, 7, pixels.shape, dtype=np.int16)
        out = io.BytesIO()
        Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=85)
        yield out.getvalue()


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


def decoded(labeler: Labeler, data: list[bytes]) -> float:
    """Pictures a second of a store, by two workers that have begun."""
    with tempfile.TemporaryDirectory() as folder:
        ws = workspace(Path(folder))
        try:
            for one in data:
                add(ws, one)
            assign(ws.catalog, SHARD)
            begun = time.perf_counter()
            compute(ws, Pool(workers=2), [labeler], Progress(quiet=True))
            return len(data) / (time.perf_counter() - begun)
        finally:
            ws.close()


if __name__ == "__main__":
    main()
