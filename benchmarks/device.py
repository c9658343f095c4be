"""Networks on a graphics processor beside the CPU: images a second, the head's fit, and how far their answers part.

    python -m benchmarks.device [--pictures 2000] [--threads 16]

Network alone: pixels that are ready. With decode: JPEGs of 1280x960 (benchmarks.corpus), decoded at a reduced scale by
so many threads, as workers do. Where there is no graphics processor only the CPU's figures are printed. The head: rows
of 1,280 numbers, five classes, as `curate train` fits them; decisions are those of a head fitted on the CPU at 0.2, 0.5
and 0.8.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.corpus import SIZE, corpus
from curate.config import Config, TrainConfig
from curate.engine.pool import Pool
from curate.features import devices, scores
from curate.linear import Examples, fit
from curate.media.decode import Bounds, open_image, scaled
from curate.progress import Progress
from curate.store.workspace import Workspace
from labelers.efficientnet_lite0 import SIDE, EfficientnetLite0

Array = npt.NDArray[Any]
THRESHOLDS = (0.2, 0.5, 0.8)


@dataclass
class Ready:
    """A picture that is decoded already."""

    picture: Image.Image

    def image(self, side: int | None) -> Image.Image:
        """The picture."""
        return self.picture


def decoded(path: Path) -> Ready:
    """A JPEG as a labeler is given it."""
    return Ready(scaled(open_image(path.read_bytes(), Bounds()), SIDE))


def backbone(device: str) -> EfficientnetLite0:
    """The network, ready on a device."""
    made = EfficientnetLite0()
    if device != devices.CPU:
        vars(made)["device"] = device
    made.load()
    return made


def features(labeler: EfficientnetLite0, pictures: Sequence[Ready]) -> Array:
    """Its answers, in batches as workers ask for them."""
    size = labeler.needs.batch
    parts = [labeler.label(pictures[n : n + size])["embedding"] for n in range(0, len(pictures), size)]  # type: ignore[arg-type]
    return np.concatenate(parts)


def networks(paths: Sequence[Path], kinds: Sequence[str], threads: int) -> dict[str, Array]:
    """Print images a second on each device; the answers."""
    found = {}
    with ThreadPoolExecutor(threads) as pool:
        ready = list(pool.map(decoded, paths))
        for kind in kinds:
            labeler = backbone(kind)
            features(labeler, ready[:128])
            started = time.perf_counter()
            found[kind] = features(labeler, ready)
            alone = len(ready) / (time.perf_counter() - started)
            started = time.perf_counter()
            size = labeler.needs.batch
            parts = pool.map(
                lambda some: [decoded(one) for one in some], [paths[n : n + size] for n in range(0, len(paths), size)]
            )
            for some in parts:
                features(labeler, some)
            both = len(ready) / (time.perf_counter() - started)
            print(
                f"efficientnet_lite0 on {kind:5}{alone:9.0f} img/s with pixels ready,"
                f"{both:7.0f} with decode by {threads} threads"
            )
    return found


def workers(paths: Sequence[Path], kinds: Sequence[str], count: int) -> None:
    """Print images a second of the whole stage, as `label` runs it: workers behind their door, bytes to table."""
    with tempfile.TemporaryDirectory() as folder:
        ws = Workspace(Path(folder), Config())
        files = {hashlib.sha256(data).hexdigest(): data for data in (path.read_bytes() for path in paths)}
        ws.blobs.put(files.items())
        with ws.catalog.tx() as db:
            sql = "INSERT INTO samples (id, sha1, md5, bytes, media_type, width, height) VALUES (?, '', '', ?, ?, ?, ?)"
            db.executemany(sql, [(one, len(data), "image/jpeg", *SIZE) for one, data in files.items()])
        for kind in kinds:
            labeler, started = devices.placed(EfficientnetLite0(), kind), time.perf_counter()
            scores.compute(ws, Pool(count), [labeler], Progress(quiet=True))
            rate = len(files) / (time.perf_counter() - started)
            print(f"efficientnet_lite0 on {kind:5}{rate:9.0f} img/s in {count} workers, their start included")
        ws.close()


def heads(kinds: Sequence[str], sizes: Sequence[int]) -> None:
    """Print how long the head's fit takes."""
    for n in sizes:
        rng = np.random.default_rng(0)
        rows = rng.standard_normal((n, 1280), dtype=np.float32)
        truth = rng.integers(0, 5, n)
        rows[np.arange(n), truth] += 2
        every = Examples(rows, truth, np.ones(n, dtype=np.float32))
        train, val = every.pick(np.arange(n * 9 // 10)), every.pick(np.arange(n * 9 // 10, n))
        for kind in kinds:
            started = time.perf_counter()
            head = fit(train, val, 5, TrainConfig(), kind)
            took, again = time.perf_counter() - started, fit(train, val, 5, TrainConfig(), kind)
            same = np.array_equal(head.weight, again.weight)
            print(f"head on {kind:5}{n:9,} rows {took:6.1f} s, {head.epochs} epochs; again the same bytes: {same}")


def parity(answers: dict[str, Array]) -> None:
    """Print how far probabilities and decisions of a head on each device's features part from the CPU's."""
    cpu = answers[devices.CPU].astype(np.float32)
    truth = (cpu @ np.random.default_rng(1).standard_normal((cpu.shape[1], 5))).argmax(axis=1)
    every = Examples(cpu, truth.astype(np.int64), np.ones(len(cpu), dtype=np.float32))
    head = fit(every.pick(np.arange(0, len(cpu), 2)), every.pick(np.arange(1, len(cpu), 2)), 5, TrainConfig())
    own = head.probabilities(cpu)
    for kind, values in answers.items():
        other = head.probabilities(values.astype(np.float32))
        differ = {t: int(((own >= t) != (other >= t)).any(axis=1).sum()) for t in THRESHOLDS}
        said = {
            "features": float(np.abs(cpu - values.astype(np.float32)).max()),
            "probabilities": float(np.abs(own - other).max()),
            "other class": int((own.argmax(axis=1) != other.argmax(axis=1)).sum()),
            "other decisions": differ,
        }
        print(f"{kind} beside cpu, {len(values):,} pictures, most: {json.dumps(said)}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2_000)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    options = parser.parse_args()
    kinds = list(dict.fromkeys([devices.CPU, devices.found("auto")]))
    if "cuda" in kinds:
        import torch

        print(torch.cuda.get_device_name(0), f"torch {torch.__version__}")
    paths = corpus("photographs", options.pictures)
    parity(networks(paths, kinds, options.threads))
    for count in options.workers:
        workers(paths, kinds, count)
    heads(kinds, options.rows)


if __name__ == "__main__":
    main()
