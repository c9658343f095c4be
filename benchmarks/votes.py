"""What label models make of votes as real material would draw them, by numbers.

    python -m benchmarks.votes

A source declares the class, right in 90 %, or nothing; open_nsfw looks at photographs only (of porn 80 % explicit, of
sexy pictures 25 %); three functions tell drawings from photographs, right in 90 to 97 %. Beside them `nsfwjs`, right in
80 %, and `words`, where something is written (NSFWJS and WORDS say how often each answers what). Half of it is porn, or
one row in 40. Gold, where a model learns from it, is 300 random rows. Printed: how much of what is not safe some
function or source says so of; of that, how much each model alone would call safe, and how many rows are called safe
under the rule; what is left to people; and of each true class how much is called what.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.config import LabelConfig
from curate.contracts import Evidence
from curate.label import flags
from curate.label.choose import Combined, combine, decide
from curate.records import Axis

AXIS = Axis(borderline=("sexy",))
K = len(AXIS.classes)
DRAWINGS, HENTAI, NEUTRAL, PORN, SEXY = range(K)
SAFE = np.array([name in AXIS.safe for name in AXIS.classes])
MORE = {  # sets of several classes, by their place after the classes
    "drawn": (DRAWINGS, HENTAI), "photographed": (NEUTRAL, PORN, SEXY), "not porn": (DRAWINGS, HENTAI, NEUTRAL, SEXY),
    "harmless": (DRAWINGS, NEUTRAL), "not safe": (HENTAI, PORN, SEXY), "explicit": (HENTAI, PORN),
    "gentle": (DRAWINGS, NEUTRAL, SEXY),
}  # fmt: skip
SETS = np.array(
    [[c == row for c in range(K)] for row in range(K)] + [[c in s for c in range(K)] for s in MORE.values()]
)
PLACE = {name: place for place, name in enumerate((*AXIS.classes, *MORE))}
SHARES = {"half": (15566, 4611, 36837, 57289, 18000), "2.5 %": (100, 5, 850, 25, 20)}
SCORER = {PORN: (0.05, 0.80), NEUTRAL: (0.90, 0.01), SEXY: (0.35, 0.25)}  # of photographs: low and high scores
GRAIN = ((0.76, 0.90), (0.80, 0.90), (0.90, 0.97))  # how often it votes, how often it is right
# How often a function answers what on each true class (drawings, hentai, neutral, porn, sexy); else it abstains.
NSFWJS: Mapping[str, tuple[float, ...]] = {
    "harmless": (0.80, 0.06, 0.80, 0.04, 0.08), "hentai": (0.05, 0.80, 0.005, 0.02, 0.01),
    "porn": (0.0, 0.03, 0.01, 0.80, 0.05), "sexy": (0.01, 0.01, 0.03, 0.05, 0.80),
    "not safe": (0.01, 0.04, 0.005, 0.04, 0.02),
}  # fmt: skip
WORDS: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "explicit": {"explicit": (0.001, 0.25, 0.001, 0.20, 0.02), "porn": (0, 0.005, 0.0005, 0.08, 0.005)},
    "nudity": {"not safe": (0.003, 0.10, 0.005, 0.20, 0.20)},
    "suggestive": {"sexy": (0.001, 0.02, 0.002, 0.05, 0.15)},
    "underwear_swim": {"gentle": (0.005, 0.01, 0.02, 0.02, 0.20)},
    "everyday": {"harmless": (0.10, 0.005, 0.20, 0.01, 0.01)},
    "medium": {"drawn": (0.40, 0.40, 0.01, 0.01, 0.01), "photographed": (0.005, 0.005, 0.20, 0.20, 0.20)},
}
MODELS = {"majority": 0, "snorkel": 0, "dawid_skene": 0, "stack": 300, "auto": 300, "auto, no gold": 0}  # gold rows
N, NOISE = 20_000, 0.1
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Simulated:
    """The true classes int[n], votes int8[n, m] (places in SETS), and whom a source or function calls not safe."""

    truth: Ints
    votes: npt.NDArray[np.int8]

    @property
    def accused(self) -> Bools:
        """bool[n], flagged or declared not safe."""
        return np.asarray(flags.flags(self.votes, SETS, SAFE.tolist()).any(axis=1))

    @property
    def recall(self) -> float:
        """How much of what is not safe is flagged or declared so."""
        return float(self.accused[~SAFE[self.truth]].mean())

    def told(self, gold: int, seed: int = 0) -> Evidence:
        """What a label model is told, with so many random rows of gold."""
        said = np.full(len(self.truth), -1, dtype=np.int8)
        rows = np.random.default_rng(seed).choice(len(self.truth), gold, replace=False)
        said[rows] = self.truth[rows]
        return Evidence(self.votes, SETS, np.full(K, 1 / K), gold=said)

    def ask(self, name: str, rule: bool = True) -> Combined:
        """What a model of MODELS says; without the `rule`, what it alone would."""
        accused = self.accused if rule else np.zeros(len(self.truth), dtype=bool)
        return combine(LabelConfig(model=name.partition(",")[0]), AXIS, self.told(MODELS[name]), accused)


def simulated(shares: tuple[int, ...], declared: bool, more: bool, n: int = N, seed: int = 0) -> Simulated:
    """Votes of the functions; `more`: those of `nsfwjs` and `words`, too."""
    chance = np.random.default_rng(seed)
    truth = chance.choice(K, n, p=np.array(shares) / sum(shares))
    drawn = np.isin(truth, MORE["drawn"])
    columns = []
    if declared:
        columns.append(np.where(chance.random(n) < 1 - NOISE, truth, chance.integers(0, K, n)))
    scored = {"not porn": [0.0] * K, "porn": [0.0] * K}
    for c, (low, high) in SCORER.items():
        scored["not porn"][c], scored["porn"][c] = low, high
    columns.append(answers(chance, truth, scored))
    for often, right in GRAIN:
        says = np.where(chance.random(n) < right, drawn, ~drawn)
        votes = np.where(says, PLACE["drawn"], PLACE["photographed"])
        columns.append(np.where(chance.random(n) < often, votes, -1))
    columns += [answers(chance, truth, one) for one in (NSFWJS, *WORDS.values())] if more else []
    return Simulated(truth, np.stack(columns, axis=1).astype(np.int8))


def answers(chance: np.random.Generator, truth: Ints, often: Mapping[str, "tuple[float, ...] | list[float]"]) -> Ints:
    """One function's votes: what it answers how often on each true class."""
    votes, u, below = np.full(len(truth), -1), chance.random(len(truth)), np.zeros(len(truth))
    for name, each in often.items():
        share = np.array(each)[truth]
        votes[(u >= below) & (u < below + share)] = PLACE[name]
        below += share
    return votes


def main() -> None:
    """Print the tables."""
    for name, shares in SHARES.items():
        for declared in (True, False):
            for more in (False, True):
                made = simulated(shares, declared, more)
                print(f"\nporn {name}, declared {declared}, nsfwjs and words {more}: of what is not safe", end=" ")
                print(f"{made.recall:.1%} flagged or declared; of all {made.accused.mean():.1%}")
                for model in (one for one in MODELS if more or one != "snorkel"):  # which needs three that vote for one
                    judge(made, model)


def judge(made: Simulated, model: str) -> None:
    """One model."""
    used = made.ask(model)
    called, alone = decide(used.probabilities), decide(made.ask(model, rule=False).probabilities)
    safe, accused, truth = np.append(SAFE, False), made.accused, made.truth
    harm = ~SAFE[truth]
    print(
        f" {model} ({used.model}): of these alone {safe[alone[accused]].mean():.1%} safe, under the rule"
        f" {int(safe[called[accused]].sum())}; contradicted {(accused & (called < 0)).mean():.1%},"
        f" without a label {(~accused & (called < 0)).mean():.1%}; labels right"
        f" {(called == truth)[called >= 0].mean():.1%}; not safe, called safe {safe[called[harm]].mean():.2%}"
    )
    for c, name in enumerate(AXIS.classes):
        here = truth == c
        said = Counter(np.where(called[here] >= 0, called[here], np.where(accused[here], -2, -1)).tolist())
        names = {**dict(enumerate(AXIS.classes)), -1: "nothing", -2: "contradicted"}
        parts = (f"{names[place]} {n / here.sum():.1%}" for place, n in said.most_common())
        print(f"    {name:<9} {here.sum():>6}  {', '.join(parts)}")


if __name__ == "__main__":
    main()
