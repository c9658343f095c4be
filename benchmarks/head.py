"""A head on many rows of features, and all figures of its test split: seconds of the wall and of the CPU.

    python -m benchmarks.head [--rows 100000]

Rows are made up: five classes round centres of their own in 1,280 numbers, a fifth of the labels wrong, a tenth of the
rows in val, a tenth in test, groups of 1 to 5; every interval from 1,000 resamples.
"""

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from curate.config import TrainConfig
from curate.evaluate import figures
from curate.evaluate.compare import Ground, side_by_side
from curate.evaluate.contenders import of_head
from curate.linear import Examples, fit
from curate.records import Axis
from curate.stats.metrics import Predictions

WIDTH, AXIS = 1280, Axis()
T = TypeVar("T")


def timed(what: str, act: Callable[[], T]) -> T:
    """What `act` gives, with a line on what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = act()
    print(f"{what:<48}{time.perf_counter() - wall:8.1f} s{time.process_time() - cpu:8.1f} s of CPU", flush=True)
    return found


def main() -> None:
    """Print a line a part, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    n, k = parser.parse_args().rows, len(AXIS.classes)
    rng = np.random.default_rng(0)
    classes = rng.integers(0, k, n)
    features = rng.standard_normal((n, WIDTH), np.float32)
    features += rng.standard_normal((k, WIDTH), np.float32)[classes] / 8
    said = np.where(rng.random(n) < 0.2, rng.integers(0, k, n), classes)
    every = Examples(features, said, np.ones(n, np.float32))
    train, val, test = np.split(np.arange(n), [n * 8 // 10, n * 9 // 10])
    groups = [str(one) for one in np.repeat(np.arange(len(test)), rng.integers(1, 6, len(test)))[: len(test)]]

    def judged(probabilities: np.ndarray) -> Predictions:
        return Predictions(said[test], probabilities, groups, list(AXIS.classes), ["weak"] * len(test))

    def whole() -> None:
        head = timed(f"head on {len(train):,} rows", lambda: fit(every.pick(train), every.pick(val), k, TrainConfig()))
        known = judged(head.probabilities(features[test]))
        timed(f"all figures of {len(test):,} rows", lambda: figures.measured(known, AXIS.safe, AXIS.borderline, 0))
        ours = [of_head(name, AXIS, head, features[test], AXIS.classes) for name in ("a", "b", "c", "d", "e")]
        timed("five models side by side", lambda: side_by_side(Ground(known, AXIS), ours, 0))

    timed("together", whole)


if __name__ == "__main__":
    main()
