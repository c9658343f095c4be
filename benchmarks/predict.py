"""Pictures a second of `curate predict` on two cores, from files: reading, decoding in confined workers, the network.

    python -m benchmarks.predict [BACKBONE...]

JPEGs of about 1280 x 960 px. The time of a first picture (workers start, the network is opened) is beside it, and what
the same graph does in onnxruntime alone, on one thread, of pixels that are ready: the floor.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.corpus import corpus
from curate.engine.pool import Pool
from curate.evaluate.bundle import NETWORK, load_model, save
from curate.evaluate.predict import predict
from curate.linear import Head
from curate.media.networks import opened
from curate.media.pixels import shape
from curate.options import Plugin
from curate.plugins import make
from curate.store.model_files import seal

FILES, ALONE = 400, 40
NAMES = {"efficientnet_lite0": {}, "nsfwjs": {}, "open_nsfw": {"embedding": True}}
FACTS = {"model": "1.0.0", "classes": ["a", "b"], "safe": ["a"]}


def main() -> None:
    """Print a line a backbone."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(path) for path in corpus("photographs", FILES)]
        print(f"{FILES} JPEGs, two workers")
        print(f"{'backbone':<22} {'pictures a second':>18} {'first picture, s':>18} {'network alone, 1 thread':>26}")
        for name in sys.argv[1:] or NAMES:
            _line(Path(folder) / "models" / name, name, paths)


def _line(folder: Path, name: str, paths: list[str]) -> None:
    folder.mkdir(parents=True)
    backbone = make("labelers", Plugin(name, NAMES[name], "labelers"), "labeler")
    size = int(backbone.columns["embedding"].partition("[")[2][:-1])
    head = Head(np.random.default_rng(0).normal(0, 0.05, (2, size)).astype(np.float32), np.zeros(2, np.float32), 1, "")
    save(folder, backbone, head, ["a", "b"])
    seal(folder, FACTS)
    model = load_model(folder)
    begun, times = time.perf_counter(), []
    for row in predict(model, Pool(workers=2), paths):
        assert "reason" not in row
        times.append(time.perf_counter() - begun)
    session = opened(folder / NETWORK, model.said["files"][NETWORK], "benchmark", "")
    pixels = np.random.default_rng(0).random((1, *shape(model.recipe))).astype(np.float32)
    begun = time.process_time()
    for _ in range(ALONE):
        session.run(None, {session.get_inputs()[0].name: pixels})
    alone = ALONE / (time.process_time() - begun)
    speed = (len(paths) - 1) / (times[-1] - times[0])
    print(f"{name:<22} {speed:>18.0f} {times[0]:>18.2f} {alone:>26.0f}", flush=True)


if __name__ == "__main__":
    main()
