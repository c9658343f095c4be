"""How often the intervals of `curate estimate` hold, and how wide they are beside a simple random sample's.

    python -m benchmarks.estimate [--repeats 5000] [--looks 1000]

A population of 100,000: scores of two classes are normal with one variance, so far apart as the AUC says. As many are
called not safe as there are; strata are the audit's. Every sample is drawn without replacement. `at equal coverage`
compares the widths that cover 95 % exactly, each design's interval stretched or shrunk about its value.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.label.estimate.plan import decisions
from curate.stats.allocation import ASKS, EVEN, Pilot, allocate, figures, split
from curate.stats.stratified import Counts, anytime, interval, share

N = 100_000
PREVALENCES, AUCS, SIZES = (0.01, 0.05, 0.5), (0.76, 0.88, 0.99), (300, 600)
PILOT, PILOTS = 200, 20  # decisions of a pilot; pilots a cell, each with an equal part of the repeats
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Row = Mapping[str, Any]
Found = tuple[Floats, Floats, Floats]  # value, low, high, each float64[repeats]


@dataclass(frozen=True)
class Cell:
    """A population, as counts int64[h, 4] of strata: called rightly, called wrongly, missed, rightly not called."""

    prevalence: float
    auc: float
    counts: Ints

    @property
    def sizes(self) -> list[int]:
        """Items a stratum."""
        found: list[int] = self.counts.sum(axis=1).tolist()
        return found

    def truth(self) -> dict[str, float]:
        """Each figure of the whole."""
        return {name: float(a.sum() / (a + b).sum()) for name, (a, b) in figures(self.counts.T.astype(float)).items()}

    def merged(self) -> "Cell":
        """The same without strata."""
        return Cell(self.prevalence, self.auc, self.counts.sum(axis=0, keepdims=True))


def cells() -> Iterator[Cell]:
    """Every population of the table."""
    for prevalence in PREVALENCES:
        for auc in AUCS:
            yield population(prevalence, auc)


def scored(prevalence: float, auc: float) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The probability of not being safe of each of N items, logistic in the score, 0.5 where calling begins; and which
    are not safe."""
    from scipy.special import expit, ndtri

    unsafe = np.arange(N) < round(prevalence * N)
    apart = 2**0.5 * ndtri(auc)
    score = np.random.default_rng(0).normal(size=N) + apart * unsafe
    return expit(max(apart, 1.0) * (score - np.quantile(score, 1 - prevalence))), unsafe


def population(prevalence: float, auc: float, strata: int = 5) -> Cell:
    """As the module says, with the audit's strata."""
    p, unsafe = scored(prevalence, auc)
    which = np.where(p >= 0.5, np.where(unsafe, 0, 1), np.where(unsafe, 2, 3))
    counts = np.zeros((strata, 4), dtype=np.int64)
    np.add.at(counts, (np.minimum((p * strata).astype(int), strata - 1), which), 1)
    return Cell(prevalence, auc, counts[counts.sum(axis=1) > 0])


def drawn(cell: Cell, given: Sequence[int], repeats: int, chance: np.random.Generator) -> Ints:
    """int64[repeats, h, 4], what samples of these sizes hold."""
    strata = zip(cell.counts, given, strict=True)
    return np.stack([chance.multivariate_hypergeometric(one, n, size=repeats) for one, n in strata], axis=1)


def estimated(cell: Cell, sample: Ints, alpha: float | Floats = 0.05) -> dict[str, Found]:
    """Each figure's value and interval, of every sample [..., h, 4]; what is called is known of the whole."""
    called, rest = cell.counts[:, :2].sum(axis=1) > 0, cell.counts[:, 2:].sum(axis=1) > 0
    can = {"precision": (called, called), "recall": (called, rest), "false_alarm_rate": (called, rest)}
    found = {}
    for name, (a, b) in figures(np.moveaxis(sample.astype(np.float64), -1, 0)).items():
        counts = Counts(np.array(cell.sizes), sample.sum(axis=-1), a, b, *can.get(name, (True, True)))
        found[name] = (share(counts), *interval(counts, counts, alpha))
    return found


def coverage(found: Found, truth: float) -> float:
    """The share of intervals that hold the truth."""
    return float(((found[1] <= truth) & (truth <= found[2])).mean())


def equal_width(found: Found, truth: float) -> float:
    """The mean width of the intervals, stretched about their values until 95 % of them hold the truth."""
    value, low, high = found
    value = np.where(np.isnan(value), (low + high) / 2, value)
    side = np.where(truth < value, value - low, high - value)
    away = np.abs(truth - value)
    need = np.divide(away, side, out=np.where(away > 0, np.inf, 0.0), where=side > 0)
    return float(np.quantile(need, 0.95) * (high - low).mean())


def compared(cell: Cell, n: int, repeats: int, pilot: bool = False, seed: int = 1) -> Iterator[Row]:
    """Of each figure: coverage of the audit's draw, its width against a simple random sample's, as it is and at equal
    coverage. `pilot`: split by one of PILOT decisions, PILOTS of them in turn."""
    chance = np.random.default_rng(seed)
    plain = estimated(cell.merged(), drawn(cell.merged(), [n], repeats, chance))
    parts = [estimated(cell, drawn(cell, given, m, chance)) for given, m in _designs(cell, n, repeats, pilot, chance)]
    for name, truth in cell.truth().items():
        ours: Found = tuple(np.concatenate([part[name][k] for part in parts]) for k in range(3))  # type: ignore[assignment]
        width, base = (float((one[2] - one[1]).mean()) for one in (ours, plain[name]))
        yield {
            "figure": name, "truth": truth, "coverage": coverage(ours, truth), "width": width, "against": width / base,
            "against_at_equal_coverage": equal_width(ours, truth) / equal_width(plain[name], truth),
            "random_coverage": coverage(plain[name], truth),
        }  # fmt: skip


def _designs(
    cell: Cell, n: int, repeats: int, pilot: bool, chance: np.random.Generator
) -> Iterator[tuple[list[int], int]]:
    if not pilot:
        yield allocate(cell.sizes, n, EVEN), repeats
        return
    for _ in range(PILOTS):
        sample = drawn(cell, allocate(cell.sizes, PILOT, EVEN), 1, chance)[0]
        yield split(cell.sizes, n, learned(cell, sample), ASKS), max(1, repeats // PILOTS)


def learned(cell: Cell, sample: Ints) -> Pilot:
    """What a sample int64[h, 4] says of the strata."""
    called = cell.counts[:, :2].sum(axis=1) / np.array(cell.sizes)
    right, wrong, missed, rest = sample.T.astype(np.float64)
    return Pilot(called, np.array([right + wrong, missed + rest]), np.array([right, missed]))


def looked_at(cell: Cell, n: int, repeats: int, every: int = 10, seed: int = 2) -> dict[str, dict[str, float]]:
    """Of each figure the share of runs in which every look holds, at every `every` of n decisions: of the confidence
    sequence (`sequence`), and of the fixed interval looked at as often (`fixed`)."""
    chance = np.random.default_rng(seed)
    sample = drawn(cell, allocate(cell.sizes, n, EVEN), repeats, chance).reshape(repeats, -1)
    order = chance.permuted(np.stack([np.repeat(np.arange(sample.shape[1]), one) for one in sample]), axis=1)
    counts, seen = np.zeros_like(sample), {k: dict[str, npt.NDArray[np.bool_]]() for k in ("sequence", "fixed")}
    for at in range(0, n, every):
        for k in range(at, min(at + every, n)):
            counts[np.arange(repeats), order[:, k]] += 1
        now = counts.reshape(repeats, -1, 4)
        for kind, alpha in (("sequence", anytime(min(at + every, n), n)), ("fixed", 0.05)):
            for name, (_, low, high) in estimated(cell, now, alpha).items():
                holds = (low <= cell.truth()[name]) & (cell.truth()[name] <= high)
                seen[kind][name] = seen[kind].get(name, True) & holds
    return {kind: {name: float(one.mean()) for name, one in found.items()} for kind, found in seen.items()}


def planned(cell: Cell, what: str, runs: int, half_width: float = 0.04, pilot: int = 300, seed: int = 3) -> float:
    """How wide an interval becomes against what `--plan` promised: the median of so many runs, each with a sample of
    its own to plan by and another one as large as that plan says."""
    chance, found = np.random.default_rng(seed), []
    for _ in range(runs):
        known = learned(cell, drawn(cell, allocate(cell.sizes, pilot, EVEN), 1, chance)[0])
        n = decisions(cell.sizes, known, what, half_width, {})
        _, low, high = estimated(cell, drawn(cell, split(cell.sizes, n, known, ASKS), 1, chance))[what]
        found.append(float(high[0] - low[0]) / 2 / half_width)
    return float(np.median(found))


def main() -> None:
    """Print a row a cell and figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5000)
    parser.add_argument("--looks", type=int, default=1000)
    args = parser.parse_args()
    head = (
        "prevalence",
        "AUC",
        "decisions",
        "figure",
        "truth",
        "coverage",
        "half-width",
        "against random",
        "with a pilot",
    )
    print(f"| {' | '.join((*head, 'every look'))} |\n|{'---|' * (len(head) + 1)}")
    worst: dict[str, float] = {}
    for cell in cells():
        for n in SIZES:
            looks = looked_at(cell, n, args.looks)
            rows = zip(compared(cell, n, args.repeats), compared(cell, n, args.repeats, pilot=True), strict=True)
            for one, two in rows:
                print(_line(cell, n, one, two, looks), flush=True)
                _keep(worst, one, two, looks)
    print("\n" + "\n".join(f"{name}: {value:.3f}" for name, value in worst.items()))


Looks = Mapping[str, Mapping[str, float]]


def _line(cell: Cell, n: int, one: Row, two: Row, looks: Looks) -> str:
    name = str(one["figure"])
    values = [
        f"{cell.prevalence:.0%}", f"{cell.auc:.2f}", str(n), name, f"{one['truth']:.3f}",
        f"{one['coverage']:.3f}", f"{float(one['width']) / 2:.3f}",
        f"{one['against']:.2f} ({one['against_at_equal_coverage']:.2f})",
        f"{two['against']:.2f} ({two['against_at_equal_coverage']:.2f})", f"{looks['sequence'][name]:.3f}",
    ]  # fmt: skip
    return f"| {' | '.join(values)} |"


def _keep(worst: dict[str, float], one: Row, two: Row, looks: Looks) -> None:
    name = str(one["figure"])
    least = {
        "coverage": one["coverage"], "coverage with a pilot": two["coverage"], "sequence": looks["sequence"][name],
        "fixed, looked at": looks["fixed"][name],
    }  # fmt: skip
    most = {
        "against random": one["against"], "at equal coverage": one["against_at_equal_coverage"],
        "with a pilot": two["against"], "with a pilot, at equal coverage": two["against_at_equal_coverage"],
    }  # fmt: skip
    for key, value in least.items():
        worst[f"least {key}"] = min(float(value), worst.get(f"least {key}", 1.0))
    for key, value in most.items():
        worst[f"most {key}"] = max(float(value), worst.get(f"most {key}", 0.0))


if __name__ == "__main__":
    main()
