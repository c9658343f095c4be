"""The baseline beside other models, which settings of [train] help, and the way from uploads to three figures.

    python -m benchmarks.baseline [--only NAME ...] [--seeds 5] [--every 1] [--write]

All pictures are the harmless ones of `benchmarks.benign`, and where one lies is the truth. `--write` writes each part
between its marks in docs/baseline.md; `--every` is for a quick look at every so many-th picture.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import journey
from benchmarks.baseline_job import ALL, CLASSES, GOLD, HELD_OUT, LIGHT, Job, Labels, asked, job, taught
from benchmarks.benign import SETS, K
from curate.contracts import Evidence
from curate.evaluate.compare import Ground, side_by_side
from curate.evaluate.contenders import Contender, of_head
from curate.label.choose import model
from curate.linear import Head
from curate.records import Axis
from curate.stats.intervals import members, share
from curate.stats.metrics import Predictions

PAGE = Path(__file__).parents[1] / "docs" / "baseline.md"
AXIS = Axis("kind", CLASSES, CLASSES[1:], ())  # photographs stand in for what is to be found
SHOWN = {"right": "right, of four classes", "not_safe_roc_auc": "photographs found: ROC-AUC"}


def begin(name: str) -> str:
    """The mark before a part of the page."""
    return f"<!-- benchmarks.baseline {name}: begin -->"


def end(name: str) -> str:
    """The mark after it."""
    return f"<!-- benchmarks.baseline {name}: end -->"


# -- side by side ----------------------------------------------------------------------------------------------------


def beside(options: argparse.Namespace) -> Iterator[str]:
    """Everybody on the rows of the held-out package, and what detectors flag there."""
    one, said = job(0, options.every), asked(options.every)
    weak = one.labelled(one.gold)
    labels = Labels.of(weak, one.gold)
    every = np.ones(len(one.truth), dtype=bool)
    heads = {"baseline": taught(one, labels, every), "head on people's labels only": taught(one, labels, labels.human)}
    detectors = {"open_nsfw": one.found.columns["open_nsfw_nsfw"], **said.detectors}
    flags = {name: values[one.kept][one.test].astype(np.float64) for name, values in detectors.items()}
    groups = [str(group) for group in one.told.groups[one.test]]
    truth = one.truth[one.test]
    ground = Ground(Predictions(truth, np.zeros((len(truth), K)), groups, CLASSES, ["human"] * len(truth)), AXIS)
    even = Evidence(one.told.votes, SETS, np.full(K, 1 / K))
    contenders = [
        *(of_head(name, AXIS, head, one.features[one.test], CLASSES) for name, head in heads.items()),
        Contender.of("majority vote", AXIS, model("majority", 0).predict(even)[one.test]),
        Contender.of("label model", AXIS, weak[one.test]),
        Contender("nsfwjs, 1 - drawings - hentai", None, 1 - said.drawn[one.kept][one.test].astype(np.float64)),
        *(Contender(f"{name}, as it is meant", None, values) for name, values in flags.items()),
    ]
    found = side_by_side(ground, contenders, 0)
    taught_by = int((one.train & (labels.classes >= 0)).sum())
    yield (
        f"Held out: {HELD_OUT} ({found['of']:,} pictures in {found['groups']:,} groups). Learnt from {taught_by:,}"
        f" pictures of the other packages: the label model's labels, and {GOLD} of people (a script that knows where a"
        " picture lies). Held against: where a picture lies, for every row."
    )
    yield ""
    yield f"| model | rows it answers | {' | '.join(f'{name} | beside the baseline' for name in SHOWN.values())} |"
    yield f"|---|---|{'---|' * (2 * len(SHOWN))}"
    for row in found["rows"]:
        cells = (f"{_cell(row, key)} | {_cell(row['difference'], key, '+')}" for key in SHOWN)
        yield f"| {row['name']} | {row['n']:,} | {' | '.join(cells)} |"
    yield ""
    yield from _flagged(truth, members(groups), flags)


def _cell(row: Mapping[str, Any], key: str, sign: str = "") -> str:
    if row.get(key) is None:
        return "-"
    low, high = row[f"{key}_interval"] or (float("nan"), float("nan"))
    return f"{row[key]:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def _flagged(truth: npt.NDArray[np.int64], member: npt.NDArray[np.int64], flags: Mapping[str, Any]) -> Iterator[str]:
    """False alarms: nothing here is anything but harmless."""
    known = [place for place in range(K) if (truth == place).any()]
    columns = [*(f"{CLASSES[place]} (n = {(truth == place).sum():,})" for place in known), f"all (n = {len(truth):,})"]
    yield f"| called not safe, all of it wrongly | {' | '.join(columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    masks = [*(truth == place for place in known), np.ones(len(truth), dtype=bool)]
    for name, values in flags.items():
        for least in (0.5, 0.8):
            cells = []
            for rows in masks:
                value, (low, high) = share(values[rows] >= least, member[rows]) or (0, (0, 1))
                cells.append(f"{value:.1%} [{low:.1%}, {high:.1%}]")
            yield f"| {name}, from {least} on | {' | '.join(cells)} |"


# -- ablation --------------------------------------------------------------------------------------------------------

BASE = "as it is: the label model's labels and people's"


def variants(one: Job, altered: Mapping[tuple[str, ...], npt.NDArray[np.float16]]) -> Iterator[tuple[str, Head]]:
    """Heads that differ from the first in one thing."""
    every, none = np.ones(len(one.truth), dtype=bool), np.full(len(one.truth), -1, dtype=np.int8)
    weak, alone = one.labelled(one.gold), one.labelled(none)
    labels, gold = Labels.of(weak, one.gold), one.gold
    yield BASE, taught(one, labels, every)
    yield f"people's {GOLD} labels only", taught(one, labels, labels.human)
    yield "no labels of people", taught(one, Labels.of(alone, none), every)
    yield "every label right (where it lies)", taught(one, Labels.of(weak, one.truth.astype(np.int8)), every)
    yield "`soft = true`", taught(one, Labels.of(weak, gold, soft=True), every)
    for smoothing in (0.1, 0.3):
        yield f"`smoothing = {{ weak = {smoothing} }}`", taught(one, Labels.of(weak, gold, smoothing=smoothing), every)
    for name, ways in ((", ".join(f'"{way}"' for way in LIGHT), LIGHT), ("all six", ALL)):
        more = altered[ways][one.kept].astype(np.float32)
        yield f"`augment`: {name}", taught(one, labels, every, more)


def ablation(options: argparse.Namespace) -> Iterator[str]:
    """Mean and span over seeds of what each thing changes."""
    found: dict[str, list[list[float]]] = {}
    for seed in range(options.seeds):
        one = job(seed, options.every)
        for name, head in variants(one, asked(options.every).altered):
            row: list[float] = []
            for rows in (one.test, one.val):
                said, truth = head.probabilities(one.features[rows]), one.truth[rows]
                right = said.argmax(axis=1) == truth
                loss = -np.log(np.maximum(said[np.arange(len(truth)), truth], 1e-6)).mean()
                row += [right.mean(), np.mean([right[truth == c].mean() for c in set(truth.tolist())]), loss]
            found.setdefault(name, []).append(row)
        print(f"seed {seed} of the ablation", flush=True)
    base = np.array(found[BASE])
    yield (
        f"Means of {options.seeds} seeds, which draw people's {GOLD} labels and the groups of val; in brackets the"
        f" difference to the first row, its mean and from least to most. Held against where a picture lies."
    )
    yield ""
    yield f"| learnt from, or with | accuracy on {HELD_OUT} | macro | log-loss | accuracy on the same packages (val) |"
    yield "|---|---|---|---|---|"
    for name, seeds in found.items():
        each = np.array(seeds)
        cells = [_apart(each[:, at], base[:, at], name == BASE) for at in (0, 1, 2, 3)]
        yield f"| {name} | {' | '.join(cells)} |"


def _apart(values: npt.NDArray[np.float64], base: npt.NDArray[np.float64], first: bool) -> str:
    apart = values - base
    more = "" if first else f" ({apart.mean():+.3f}: {apart.min():+.3f} to {apart.max():+.3f})"
    return f"{values.mean():.3f}{more}"


# -- the page --------------------------------------------------------------------------------------------------------

PARTS: Mapping[str, Callable[[argparse.Namespace], Iterator[str]]] = {
    "side_by_side": beside, "ablation": ablation, "journey": lambda options: journey.told(options.every),
}  # fmt: skip


def written(page: str, name: str, text: str) -> str:
    """The page with a part between its marks; raises ValueError where they are missing."""
    before, found, rest = page.partition(begin(name))
    _, closed, after = rest.partition(end(name))
    if not found or not closed:
        raise ValueError(f"{PAGE}: no marks of {name}")
    return f"{before}{found}\n{text}\n{closed}{after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the parts, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    for name in options.only:
        started = sum(os.times()[:4])
        text = "\n".join(PARTS[name](options))
        print(f"\n{text}\n\n{name}: {sum(os.times()[:4]) - started:.0f} s of CPU\n", flush=True)
        if options.write:
            PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), name, text), encoding="utf-8")


if __name__ == "__main__":
    main()
