"""The benign job: four kinds of harmless pictures, labelled by simple functions, and what each label model makes of it.

    python -m benchmarks.benign [--seeds 5]

The pictures are those of `benchmarks.benign_corpus`; where one lies is the truth, and no function sees it. Half of the
near-duplicate groups are for gold, drawn at random from their pictures, the others for the figures. Functions look at
files and at columns of labelers, or at which of twelve example pictures is most alike (the examples are in no figure).
A sample without an answer counts as wrong.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.benign_corpus import CLASSES, Benign, corpus
from curate.config import LabelConfig
from curate.contracts import Evidence
from curate.label.choose import Combined, combine, decide, log_loss
from curate.label.function_report import report
from curate.label.functions import Votes
from curate.label.last import Last, finish, lesson_of
from curate.records import Axis

AXIS = Axis("kind", CLASSES, CLASSES, ())
PHOTOGRAPHS, CLIP_ART, SYMBOLS, SPRITES = range(4)
K = len(CLASSES)
DRAWN, FLAT, ABSTAIN = K, K + 1, -1  # places of sets: what is no photograph; what is neither that nor clip art
SETS = np.vstack([np.eye(K), [[0, 1, 1, 1], [0, 0, 1, 1]]]).astype(bool)
EXAMPLES, MARGIN = 3, 0.05  # pictures a class, and by how much the nearest one must be nearer than those of others
LAST = ("bootstrap", "label")  # after `auto`: the classifier alone, and what `curate label` comes to
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Voter = Callable[[SimpleNamespace], Ints]


def graded(low: str, below: float, then: int, above: float, other: int) -> Voter:
    """Below a value one answer, above another the other, between them none."""

    def voter(x: SimpleNamespace) -> Ints:
        value = getattr(x, low)
        return np.where(value <= below, then, np.where(value >= above, other, ABSTAIN))

    return voter


# Thresholds are what one would write down before looking: nothing here was fitted.
FUNCTIONS: dict[str, Voter] = {
    "drawing_ground": graded("drawing_ground", 0.1, PHOTOGRAPHS, 0.9, DRAWN),
    "drawing_smooth": graded("drawing_smooth", 0.1, PHOTOGRAPHS, 0.9, DRAWN),
    "drawing_colours": graded("drawing_colours", 0.1, PHOTOGRAPHS, 0.9, DRAWN),
    "jpeg": lambda x: np.where(x.file_jpeg > 0, PHOTOGRAPHS, ABSTAIN),
    "transparent": lambda x: np.where(x.file_transparent > 0, DRAWN, ABSTAIN),
    "tiny": lambda x: np.where(x.file_side <= 7, SPRITES, ABSTAIN),  # 128 px
    "large_and_clear": lambda x: np.where((x.file_side >= 8.5) & (x.file_transparent > 0), CLIP_ART, ABSTAIN),
    "few_shades": lambda x: np.where((x.file_shades <= 4) & (x.drawing_drawing > 0.5), FLAT, ABSTAIN),
    "many_shades": lambda x: np.where(x.file_shades >= 8.5, PHOTOGRAPHS, ABSTAIN),
    "grey_drawing": lambda x: np.where((x.file_colour < 8) & (x.drawing_drawing > 0.5), SYMBOLS, ABSTAIN),
    "plain_and_white": lambda x: np.where((x.file_white > 0.6) & (x.file_edges < 6), SYMBOLS, ABSTAIN),
    "few_bits": lambda x: np.where(x.file_bits < -1, SYMBOLS, ABSTAIN),
    "alike": lambda x: np.where(x.alike_margin > MARGIN, x.alike_class, ABSTAIN),
}


def examples(found: Benign, but: str = "") -> Ints:
    """Three pictures a class of three packages where it has as many, the first of each: what a user would point at.
    None is of the package `but`."""
    rows = []
    for label in range(K):
        mine = np.flatnonzero((found.truth == label) & (found.packages != but))
        _, first = np.unique(found.packages[mine], return_index=True)
        spread = np.linspace(0, len(mine) - 1, EXAMPLES + 2).astype(int)[1:-1]
        rows += list(dict.fromkeys([*mine[first].tolist(), *mine[spread].tolist()]))[:EXAMPLES]
    return np.array(rows)


def evidence(found: Benign, but: str = "") -> tuple[Evidence, Votes, Ints]:
    """Votes, scores and groups of all but the examples, and which rows these are; no example is of package `but`."""
    shown = examples(found, but)
    kept = np.setdiff1d(np.arange(len(found.truth)), shown)
    vectors = found.embeddings.astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = np.stack([(vectors @ vectors[shown[found.truth[shown] == c]].T).max(axis=1) for c in range(K)], axis=1)
    ordered = np.sort(alike, axis=1)
    columns = {name: values[kept] for name, values in found.columns.items()}
    columns |= {f"alike_{c}": alike[kept, c] for c in range(K)}
    margin = {"alike_margin": (ordered[:, -1] - ordered[:, -2])[kept], "alike_class": alike.argmax(axis=1)[kept]}
    row = SimpleNamespace(**columns, **margin)
    matrix = np.stack([voter(row) for voter in FUNCTIONS.values()], axis=1).astype(np.int8)
    scores = np.stack(list(columns.values()), axis=1).astype(np.float32)
    votes = Votes(tuple(FUNCTIONS), matrix, SETS, classes=CLASSES)
    told = Evidence(matrix, SETS, np.full(K, 1 / K), scores, None, found.groups[kept], tuple(columns))  # type: ignore[arg-type]
    return told, votes, kept


def drawn(truth: Ints, groups: Ints, n: int, seed: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Gold of n random rows of a random half of the groups, int8[rows], and which rows are of the other half."""
    rng = np.random.default_rng(seed)
    half = rng.permutation(np.unique(groups))[::2]
    held_out = ~np.isin(groups, half)
    gold = np.full(len(truth), -1, dtype=np.int8)
    rows = rng.permutation(np.flatnonzero(~held_out))[:n]
    gold[rows] = truth[rows]
    return gold, held_out


def after(
    used: Combined, given: Evidence, vectors: npt.NDArray[np.float16], whole: bool, may: Mask | None = None
) -> Combined:
    """What the last step of `curate label` makes of it; `whole`: the bootstrap's own answer of every picture; `may`
    bool[n]: which rows may teach it (None: all)."""
    n = len(given.votes)
    left = Last(AXIS, pa.array([f"{row:05d}" for row in range(n)]), used, given, np.zeros(n, dtype=bool))
    one = lesson_of(LabelConfig(), left, vectors, given.gold, np.ones(n, dtype=bool) if may is None else may)
    end = finish(one, used.probabilities, used.model, auto=True)
    if end.learnt is None:
        return used
    said = end.learnt.probabilities if whole else end.probabilities
    return replace(used, model=f"{used.model} {end.facts['does']}", probabilities=said)


def runs(seeds: int) -> Iterator[tuple[str, int, str, npt.NDArray[np.float64]]]:
    """Of each model and seed: which model that was, and accuracy, macro accuracy, share labelled, log-loss."""
    found = corpus()
    told, _, kept = evidence(found)
    truth = found.truth[kept].astype(np.int64)
    for seed in range(seeds):
        for name, n in (("majority", 0), ("snorkel", 0), ("dawid_skene", 0), ("stack", 100), ("stack", 300),
                        ("auto", 100), ("auto", 300), ("bootstrap", 0), ("bootstrap", 100), ("bootstrap", 300),
                        ("label", 0), ("label", 100), ("label", 300)):  # fmt: skip
            gold, held_out = drawn(truth, told.groups, n, seed)
            given = Evidence(told.votes, SETS, told.balance, told.scores, gold, told.groups)
            last = name in LAST
            used = combine(LabelConfig(model="auto" if last else name, seed=seed), AXIS, given)
            if last:
                used = after(used, given, found.embeddings[kept], name == "bootstrap")
            called, real = decide(used.probabilities)[held_out], truth[held_out]
            right = called == real
            each = np.mean([right[real == c].mean() for c in range(K)])
            loss = log_loss(used.probabilities, np.where(held_out, truth, -1), np.full(K, 1 / K))
            yield (
                f"{name}({n})" if n else name,
                seed,
                used.model,
                np.array([right.mean(), each, (called >= 0).mean(), loss]),
            )


def main() -> None:
    """Print the functions, then the models."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    found = corpus()
    _, votes, kept = evidence(found)
    for label, name in enumerate(CLASSES):
        here = found.truth == label
        print(f"{name:<14}{here.sum():>6} pictures, {len(np.unique(found.groups[here])):>5} groups,"
              f" {', '.join(np.unique(found.packages[here]))}")  # fmt: skip
    for one in report(votes, found.truth[kept].astype(np.int64)):
        print(f"  {one['name']:<18} votes on {one['coverage']:>6.1%}, right on {one['accuracy'] or 0:>6.1%}")
    figures: dict[str, list[npt.NDArray[np.float64]]] = {}
    taken: dict[str, list[str]] = {}
    for name, _, used, values in runs(asked.seeds):
        figures.setdefault(name, []).append(values)
        taken.setdefault(name, []).append(used)
    title = "".join(f"{one:>16}" for one in ("accuracy", "macro", "labelled", "log-loss"))
    print(f"\n{f'mean (spread) of {asked.seeds} seeds':<28}{title}")
    for name, rows in figures.items():
        cells = (
            f"{mean:.3f} ({spread:.3f})"
            for mean, spread in zip(np.mean(rows, axis=0), np.std(rows, axis=0), strict=True)
        )
        which = f"  {', '.join(taken[name])}" if name.startswith(("auto", *LAST)) else ""
        print(f"{name:<28}" + "".join(f"{cell:>16}" for cell in cells) + which)


if __name__ == "__main__":
    main()
