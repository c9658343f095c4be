"""The benign job as a classifier's: what detectors say of its pictures, altered copies' features, splits and labels.

One package is held out: no example, no label and no row of training is of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.benign import AXIS, SETS, K, after, evidence
from benchmarks.benign_corpus import CLASSES, Benign, corpus, looked_at
from benchmarks.corpus import cache
from benchmarks.nsfwjs_sizes import SIZES, Size, there
from curate.config import LabelConfig, TrainConfig
from curate.contracts import Evidence
from curate.label.choose import combine, decide
from curate.linear import Examples, Head, fit
from curate.stats.calibration import temperature
from curate.train.augment import COLUMN, altered

HELD_OUT = "tuxpaint"
GOLD = 300  # people's labels
VAL = 0.2  # of the near-duplicate groups of the other packages: where a head stops
UNSAFE = ("hentai", "porn", "sexy")  # of nsfwjs
LIGHT, ALL = ("crop", "flip"), ("crop", "flip", "rotate", "colour", "jpeg", "erase")
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Asked:
    """Of each picture of the corpus, NaN where nobody was asked. Of the held-out package: how probable each detector
    finds it that it is not safe, float32[n] by name, and that it is `drawn`. Of the others: the features of a copy that
    is altered in some ways, float16[n, 1280] by these."""

    detectors: Mapping[str, npt.NDArray[np.float32]]
    drawn: npt.NDArray[np.float32]
    altered: Mapping[tuple[str, ...], npt.NDArray[np.float16]]


def asked(every: int = 1) -> Asked:
    """What the networks say; it is kept between runs, as the corpus is."""
    kept = cache() / ("baseline-1.npz" if every == 1 else f"baseline-1-{every}.npz")
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kept, **_made(every))  # type: ignore[arg-type]
    with np.load(kept, allow_pickle=False) as read:
        detectors = {name.removeprefix("d_"): read[name] for name in read.files if name.startswith("d_")}
        return Asked(detectors, read["drawn"], {ways: read["_".join(ways)] for ways in (LIGHT, ALL)})


def _made(every: int) -> dict[str, npt.NDArray[Any]]:
    from labelers.efficientnet_lite0 import EfficientnetLite0
    from labelers.nsfwjs import CLASSES as NSFWJS
    from labelers.nsfwjs import Nsfwjs
    from labelers.nudenet import BARE, Nudenet

    detectors: dict[str, Any] = {"nsfwjs": Nsfwjs(embedding=False)}
    detectors |= {"nudenet": Nudenet()} if find_spec("nudenet") else {}
    detectors |= {name: Size(name) for name in SIZES} if there() else {}
    copies = {"_".join(ways): altered(EfficientnetLite0(), ways, 0, 0) for ways in (LIGHT, ALL)}
    for one in (*detectors.values(), *copies.values()):
        one.load()
    blank: dict[str, Any] = {
        **dict.fromkeys((*NSFWJS, *BARE), np.float32(np.nan)),
        COLUMN: np.full(1280, np.nan, np.float16),
    }
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in (*detectors, *copies)}
    for number, (_, package, _, _, view) in enumerate(looked_at(every), 1):
        for name, labeler in (detectors | copies).items():
            needed = (package == HELD_OUT) == (name in detectors)
            said = labeler.label([view]) if needed else {column: [value] for column, value in blank.items()}
            found[name].append({column: values[0] for column, values in said.items()})
        if number % 500 == 0:
            print(f"{number} pictures asked about", flush=True)

    def columns(name: str, some: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.array([[one[column] for column in some] for one in found[name]], dtype=np.float32)

    made = {f"d_{name}": columns(name, UNSAFE).sum(axis=1).clip(0, 1) for name in detectors if name != "nudenet"}
    made |= {"d_nudenet": columns("nudenet", BARE).max(axis=1)} if "nudenet" in found else {}
    made |= {"drawn": columns("nsfwjs", ("drawings", "hentai")).sum(axis=1).clip(0, 1)}
    return made | {name: np.stack([one[COLUMN] for one in found[name]]) for name in copies}


@dataclass(frozen=True)
class Job:
    """n pictures but the examples; which are of the held-out package (`test`), of val and of train, bool[n]; `gold`
    int8[n]: people's labels, of train and val (-1: none)."""

    found: Benign
    kept: npt.NDArray[np.int64]
    told: Evidence
    test: Mask
    val: Mask
    seed: int

    @cached_property
    def truth(self) -> npt.NDArray[np.int64]:
        """Where each lies."""
        return self.found.truth[self.kept].astype(np.int64)

    @cached_property
    def features(self) -> npt.NDArray[np.float32]:
        """The backbone's."""
        return self.found.embeddings[self.kept].astype(np.float32)

    @property
    def train(self) -> Mask:
        """What teaches."""
        return np.asarray(~self.test & ~self.val)

    @cached_property
    def gold(self) -> npt.NDArray[np.int8]:
        """GOLD rows at random."""
        rows = np.random.default_rng(1000 + self.seed).permutation(np.flatnonzero(~self.test))[:GOLD]
        gold = np.full(len(self.truth), -1, dtype=np.int8)
        gold[rows] = self.truth[rows]
        return gold

    def labelled(self, gold: npt.NDArray[np.int8]) -> Floats:
        """What `curate label` comes to with such people's labels, float64[n, k], NaN where it says nothing; nothing is
        learnt from the held-out rows."""
        given = replace(self.told, gold=gold)
        used = combine(LabelConfig(seed=self.seed), AXIS, given)
        return after(used, given, self.found.embeddings[self.kept], False, ~self.test).probabilities


def job(seed: int, every: int = 1) -> Job:
    """The splits and people's labels of a seed."""
    found = corpus(every)
    told, _, kept = evidence(found, HELD_OUT)
    test = found.packages[kept] == HELD_OUT
    groups = np.unique(told.groups[~test])
    some = np.random.default_rng(seed).permutation(groups)[: round(VAL * len(groups))]
    told = Evidence(told.votes, SETS, told.balance, told.scores, None, told.groups)  # type: ignore[arg-type]
    return Job(found, kept, told, test, ~test & np.isin(told.groups, some), seed)


# -- heads -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Labels:
    """Of each row its class int64[n] (-1: none), what it weighs and what is to be learnt of it, and who says so."""

    classes: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]
    human: Mask

    @classmethod
    def of(cls, said: Floats, gold: npt.NDArray[np.int8], soft: bool = False, smoothing: float = 0.0) -> "Labels":
        """People's where there are any, else the machine's, by `[train] soft` and `smoothing.weak`."""
        human = gold >= 0
        classes = np.where(human, gold.astype(np.int64), decide(said))
        targets = np.eye(K)[classes]
        machine = ~human & (classes >= 0)
        if soft:
            targets[machine] = said[machine]
        targets[machine] = (1 - smoothing) * targets[machine] + smoothing / K
        weights = np.where(human, 1, np.nan_to_num(said).max(axis=1))
        return cls(classes, weights.astype(np.float32), targets.astype(np.float32), human)

    def examples(self, features: npt.NDArray[np.float32], rows: Mask) -> Examples:
        """Those of some rows that have a label."""
        some = np.flatnonzero(rows & (self.classes >= 0))
        return Examples(features, self.classes, self.weights, self.targets).pick(some)


def taught(one: Job, labels: Labels, rows: Mask, more: npt.NDArray[np.float32] | None = None) -> Head:
    """A head as `curate train` makes it, of some rows of train; `more` float32[n, d]: features of altered copies."""
    lesson, stop = labels.examples(one.features, rows & one.train), labels.examples(one.features, one.val)
    if more is not None:
        twice = labels.examples(more, rows & one.train)
        parts = ("features", "classes", "weights", "targets")
        lesson = Examples(*(np.concatenate([getattr(lesson, name), getattr(twice, name)]) for name in parts))
    head = fit(lesson, replace(stop, targets=None), K, TrainConfig())
    return replace(head, temperature=temperature(stop.classes, head.probabilities(stop.features)))


__all__ = ["ALL", "CLASSES", "GOLD", "HELD_OUT", "LIGHT", "Asked", "Job", "Labels", "asked", "job", "taught"]
