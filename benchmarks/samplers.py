"""Widths of the audit's draw beside other samplers': simple random, proportional, Neyman, and GLIDE's (`glide-py`).

    pip install glide-py                      # Python 3.12 and more; without it its columns are empty
    python -m benchmarks.samplers [--repeats 2000] [--active 300]

Populations are those of `benchmarks.estimate`. Widths are at equal coverage, each design's intervals stretched about
their values until 95 % of them hold, against a simple random sample of the same size. Neyman's allocation is by the
score's spread in the audit's strata, as GLIDE's `StratifiedSampler` makes it; where that refuses (a stratum would get
fewer than two) it is made here, with two at least. `ActiveSampler` draws item by item in proportion to sqrt(p (1 - p)),
and `ASIMeanEstimator` estimates the mean: it has prevalence, and no ratio of two unknowns.
"""

import argparse
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.estimate import (
    AUCS,
    PREVALENCES,
    SIZES,
    Cell,
    Found,
    Row,
    compared,
    drawn,
    equal_width,
    estimated,
    population,
    scored,
)
from curate.stats.allocation import ASKS, allocate

STRATA = 5
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Items:
    """The items of a population one by one: p float64[N], unsafe bool[N], the audit's stratum int[N]."""

    p: Floats
    unsafe: npt.NDArray[np.bool_]
    stratum: npt.NDArray[np.int64]


def items(prevalence: float, auc: float) -> Items:
    """As `benchmarks.estimate.population` counts them."""
    p, unsafe = scored(prevalence, auc)
    _, stratum = np.unique(np.minimum((p * STRATA).astype(int), STRATA - 1), return_inverse=True)
    return Items(p, unsafe, stratum)


def neyman(some: Items, n: int) -> tuple[list[int], bool]:
    """Decisions a stratum, and whether GLIDE made them."""
    try:
        from glide.samplers import StratifiedSampler  # type: ignore[import-not-found,unused-ignore]

        chosen = StratifiedSampler().sample(some.p, some.stratum, n, "neyman", 0)
        return np.bincount(some.stratum, weights=chosen).astype(int).tolist(), True
    except (ImportError, ValueError):
        sizes = np.bincount(some.stratum)
        spread = [float(some.p[some.stratum == one].std()) for one in range(len(sizes))]
        least = np.minimum(2, sizes)
        more = allocate((sizes - least).tolist(), n - int(least.sum()), 1.0, (sizes * np.array(spread)).tolist())
        return (least + np.array(more)).tolist(), False


def active(some: Items, n: int, repeats: int) -> Found | None:
    """Value and interval of prevalence by GLIDE's active sampler; None where it is not there, or would have to solve
    for 100,000 chances, since one would be above 1."""
    try:
        from glide.estimators import ASIMeanEstimator  # type: ignore[import-not-found,unused-ignore]
        from glide.samplers import ActiveSampler  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    doubt = np.sqrt(some.p * (1 - some.p)).clip(1e-6)
    if n * doubt.max() > doubt.sum():
        return None
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of extreme ratios: that is what is measured
        for seed in range(repeats):
            chances, chosen = ActiveSampler().sample(doubt, n, seed)
            truth = np.where(chosen == 1, some.unsafe, np.nan)
            # What the cut-off leaves out is in neither: the estimator takes its chance of 0 as that.
            if not some.unsafe[chosen == 1].any():  # GLIDE ends with a ValueError where no variance is left
                rows.append((0.0, 0.0, 0.0))
                continue
            end = ASIMeanEstimator().estimate(truth, some.p, chances).confidence_interval
            rows.append((end.mean, end.lower_bound, end.upper_bound))
    value, low, high = np.array(rows).T
    return value, low, high


def beside(cell: Cell, some: Items, n: int, repeats: int, actives: int) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Of each figure the width of each design against a simple random sample's, at equal coverage."""
    chance = np.random.default_rng(4)
    whole = estimated(cell.merged(), drawn(cell.merged(), [n], repeats, chance))
    by, glides = neyman(some, n)
    designs = {
        "proportional": allocate(cell.sizes, n, 0.0),
        "Neyman, GLIDE" if glides else "Neyman": by,
    }
    found = {name: estimated(cell, drawn(cell, given, repeats, chance)) for name, given in designs.items()}
    ours: dict[str, list[Row]] = {
        "first": list(compared(cell, n, repeats)),
        "with a pilot": list(compared(cell, n, repeats, pilot=True)),
    }
    theirs = active(some, n, actives)
    truths = cell.truth()
    for what in ASKS:
        base = equal_width(whole[what], truths[what])
        widths = {name: equal_width(one[what], truths[what]) / base for name, one in found.items()}
        if theirs is not None and what == "prevalence":
            widths["active, GLIDE"] = equal_width(theirs, truths[what]) / base
        for name, rows in ours.items():
            widths[name] = next(float(row["against_at_equal_coverage"]) for row in rows if row["figure"] == what)
        yield what, widths


def main() -> None:
    """Print a row a cell: prevalence / precision / recall of each design."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--active", type=int, default=300)
    asked = parser.parse_args()
    heads = ("proportional", "Neyman, GLIDE", "Neyman", "active, GLIDE", "first", "with a pilot")
    print(f"| prevalence | AUC | decisions | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 3)}")
    most = dict[str, float]()
    behind = dict[str, list[float]]()
    for prevalence in PREVALENCES:
        for auc in AUCS:
            cell, some = population(prevalence, auc), items(prevalence, auc)
            for n in SIZES:
                rows = dict(beside(cell, some, n, asked.repeats, asked.active))
                each = {name: [rows[what].get(name) for what in ASKS] for name in heads}
                cells = [" / ".join("-" if one is None else f"{one:.2f}" for one in each[name]) for name in heads]
                cells = ["-" if set(one) <= {"-", " ", "/"} else one for one in cells]
                print(f"| {prevalence:.0%} | {auc:.2f} | {n} | {' | '.join(cells)} |", flush=True)
                for name in heads:
                    known = [one for one in each[name] if one is not None]
                    most[name] = max([most.get(name, 0.0), *known])
                for what in ASKS:
                    best = min(rows[what].values())
                    for name in ("first", "with a pilot"):
                        behind.setdefault(name, []).append(rows[what][name] / best)
    print("\nwidest against simple random: " + ", ".join(f"{name} {one:.2f}" for name, one in most.items()))
    for name, ratios in behind.items():
        print(f"{name}: against the best tried {np.median(ratios):.2f} in the median, {max(ratios):.2f} at most, "
              f"within 10 % in {np.mean(np.array(ratios) <= 1.1):.0%}")  # fmt: skip


if __name__ == "__main__":
    main()
