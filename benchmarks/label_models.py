"""Label models: on simulated, correlated classifiers, and how long they take of many samples.

    python -m benchmarks.label_models [--seeds 4] [--rows 20000]
    python -m benchmarks.label_models --scale 1300000     seconds, CPU seconds and memory of each step

Simulated: four classifiers that see the same signal (so they err together), a list of words, a source trusted to be
harmless; 30 % is not safe, 12 % of what is safe is hard (it looks half unsafe to every classifier). Gold is drawn at
random. Printed, as means over seeds on rows without gold: accuracy, average precision, false alarms of the hard slice,
recall, log-loss.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.config import Config, LabelConfig
from curate.contracts import Evidence
from curate.label import table
from curate.label.choose import combine, decide
from curate.label.function_report import pairs, report
from curate.label.functions import Votes, vote
from curate.label.models.dawid_skene import DawidSkene
from curate.label.models.majority import Majority
from curate.label.models.snorkel import Snorkel
from curate.label.models.stack import Stack
from curate.label.table import Weak
from curate.progress import Progress
from curate.records import Axis
from curate.stats.metrics import average_precision
from curate.store.workspace import Workspace

AXIS = Axis("content", ("sfw", "nsfw"), ("sfw",), ())
PRIOR, HARD = 0.3, 0.12
NOISE, GAIN = (0.6, 0.8, 1.0, 1.2), (1.6, 1.4, 1.5, 1.3)  # of each classifier: its own error, its steepness
FIGURES = ("accuracy", "avg prec", "hard FPR", "recall", "log-loss")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Simulated:
    """n rows: truth int[n] (1: not safe), which are hard, votes int8[n, 6], scores float32[n, 4]."""

    truth: npt.NDArray[np.int64]
    hard: npt.NDArray[np.bool_]
    votes: npt.NDArray[np.int8]
    scores: npt.NDArray[np.float32]

    def evidence(self, gold: int, seed: int, even: bool = False) -> Evidence:
        """With so many random rows of gold; `even`: each class as frequent as the other, as Snorkel takes it to be."""
        said = np.full(len(self.truth), -1, dtype=np.int8)
        rows = np.random.default_rng(seed).choice(len(self.truth), gold, replace=False)
        said[rows] = self.truth[rows]
        shares = np.array([0.5, 0.5] if even else [1 - PRIOR, PRIOR])
        return Evidence(self.votes, np.eye(2, dtype=bool), shares, self.scores, said)


def simulated(n: int, seed: int) -> Simulated:
    """Rows of one seed."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < PRIOR).astype(np.int64)
    hard = (truth == 0) & (rng.random(n) < HARD)
    signal = np.where(hard, 0.45, np.where(truth == 1, 1.6, -2.3)) + rng.normal(0, 0.9, n)
    scores = [
        1 / (1 + np.exp(-gain * (signal + rng.normal(0, noise, n)))) for noise, gain in zip(NOISE, GAIN, strict=True)
    ]
    votes = [(score > 0.5).astype(np.int8) for score in scores]
    words = rng.random(n) < np.where(truth == 1, 0.35, np.where(hard, 0.04, 0.02))
    trusted = rng.random(n) < np.where(truth == 1, 0.02, 0.3)
    votes += [np.where(words, 1, -1).astype(np.int8), np.where(trusted, 0, -1).astype(np.int8)]
    return Simulated(truth, hard, np.stack(votes, axis=1), np.stack(scores, axis=1).astype(np.float32))


def figures(made: Simulated, probabilities: Floats, rows: npt.NDArray[np.bool_]) -> Floats:
    """float64[5], in the order of FIGURES; a row without an answer has the prior, and a probability is never 0 or 1."""
    p = np.where(np.isnan(probabilities[:, 1]), PRIOR, probabilities[:, 1])[rows]
    truth, hard, called = made.truth[rows] == 1, made.hard[rows], p >= 0.5
    sure = p.clip(1e-6, 1 - 1e-6)
    loss = -np.where(truth, np.log(sure), np.log(1 - sure)).mean()
    precision = average_precision(truth, p, np.ones((1, len(p))))[0]
    return np.array([(called == truth).mean(), precision, called[hard].mean(), called[truth].mean(), loss])


def by_model(n: int, seeds: int) -> dict[str, list[Floats]]:
    """The figures of each model, a row a seed."""
    found: dict[str, list[Floats]] = {}

    def take(name: str, made: Simulated, answer: Floats, told: Evidence) -> None:
        found.setdefault(name, []).append(figures(made, answer, told.gold < 0))

    for seed in range(seeds):
        made = simulated(n, seed)
        none, even = made.evidence(0, seed), made.evidence(0, seed, even=True)
        take("majority", made, Majority().predict(none), none)
        take("snorkel, its defaults", made, Snorkel(seed, 100).predict(even), even)
        take("snorkel, true prior, 500 epochs", made, Snorkel(seed).predict(none), none)
        take("dawid_skene", made, DawidSkene().predict(none), none)
        for gold in (100, 300, 1000):
            told = made.evidence(gold, seed)
            take(f"stack, {gold} gold", made, Stack().predict(told), told)
            used = combine(LabelConfig(), AXIS, told, np.zeros(n, dtype=bool))  # the rule of flags keeps nothing back
            take(f"auto, {gold} gold", made, used.probabilities, told)
    return found


def compare(n: int, seeds: int) -> None:
    """Print the table."""
    print(f"{'mean of ' + str(seeds) + ' seeds':<34}" + "".join(f"{name:>10}" for name in FIGURES))
    for name, each in by_model(n, seeds).items():
        print(f"{name:<34}" + "".join(f"{value:>10.3f}" for value in np.mean(each, axis=0)), flush=True)


# -- many samples ----------------------------------------------------------------------------------------------------


def scale(n: int, m: int = 20, k: int = 5) -> None:
    """Seconds of the wall and of the CPU, and the peak of memory so far, of each step."""
    from snorkel.labeling import LabelingFunction

    rng, axis = np.random.default_rng(0), Axis()
    truth = rng.choice(k, n, p=[0.15, 0.05, 0.5, 0.2, 0.1])
    columns: dict[str, Any] = {
        f"x{j}": np.where(rng.random(n) < 0.75, truth, rng.integers(0, k, n)).astype(np.float32)
        + rng.random(n, np.float32)
        for j in range(m)
    }

    def voter(name: str) -> Callable[[Any], int]:
        return lambda x: int(getattr(x, name)) if getattr(x, name) % 1 < 0.8 else -1

    def rows(a: int, b: int) -> list[SimpleNamespace]:
        parts = [values[a:b].tolist() for values in columns.values()]
        return [SimpleNamespace(**dict(zip(columns, each, strict=True))) for each in zip(*parts, strict=True)]

    functions = [LabelingFunction(name, voter(name)) for name in columns]
    with Progress(quiet=True).stage("vote", n) as step:
        votes: Votes = timed("votes", lambda: vote(functions, axis, rows, n, step))
    gold = np.where(rng.random(n) < 1000 / n, truth, -1).astype(np.int8)
    scores = np.stack([columns[f"x{j}"] for j in range(m)], axis=1)
    told = Evidence(votes.matrix, votes.sets, np.full(k, 1 / k), scores, gold)
    models: Mapping[str, Any] = {
        "majority": Majority(),
        "dawid_skene": DawidSkene(),
        "stack": Stack(),
        "snorkel": Snorkel(),
    }
    for name, model in models.items():
        timed(name, lambda model=model: model.predict(told))  # type: ignore[misc]
    used = timed("auto: all four, and the choice", lambda: combine(LabelConfig(), axis, told))
    timed("report", lambda: list(report(votes, gold)) + pairs(votes, gold))
    with tempfile.TemporaryDirectory() as folder:
        ws = Workspace(Path(folder), Config())
        ids = [f"{row:064x}" for row in range(n)]
        names = np.array([*axis.classes, None], dtype=object)[decide(used.probabilities)].tolist()
        sets = [[name] for name in axis.classes]
        weak = Weak(ids, names, used.probabilities, votes.matrix, axis.classes, sets, votes.names, {})
        timed("write", lambda: table.write(ws, axis, weak))
        ws.close()
    print(used.chosen)


def timed(what: str, act: Callable[[], Any]) -> Any:
    """What `act` gives, with a line on what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = act()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    took = f"{time.perf_counter() - wall:8.1f} s {time.process_time() - cpu:8.1f} s CPU"
    print(f"{what:<34} {took} {peak:6.2f} GiB peak", flush=True)
    return found


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--scale", type=int)
    asked = parser.parse_args()
    if asked.scale:
        scale(asked.scale)
    else:
        compare(asked.rows, asked.seeds)


if __name__ == "__main__":
    main()
