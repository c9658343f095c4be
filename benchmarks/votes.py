"""What label models make of votes as real material would draw them from the functions of `curate init`, by numbers.

    python -m benchmarks.votes

A source declares the class, right in 90 %, or nothing; open_nsfw looks at photographs only (of porn 80 % explicit, of
sexy pictures 25 %); three functions tell drawings from photographs, right in 90 to 97 %. Half of it is porn, or one row
in 40. Snorkel needs three functions that vote for one class, so it also gets two classifiers of all five classes (right
in 80 and 70 %, on 90 and 40 % of the rows). Printed: of each true class how much is called what; of what is flagged or
declared not safe how much the model alone would call safe, and how many are called safe under the rule.
"""

from collections import Counter

import numpy as np
import numpy.typing as npt

from curate.config import LabelConfig
from curate.contracts import Evidence
from curate.errors import UsageError
from curate.label import flags
from curate.label.choose import combine, decide
from curate.records import Axis

AXIS = Axis(borderline=("sexy",))
K = len(AXIS.classes)
SETS = np.vstack([np.eye(K), [[1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [1, 1, 1, 0, 1]]]).astype(bool)
DRAWN, PHOTOGRAPHED, NOT_PORN = 5, 6, 7
PORN = AXIS.classes.index("porn")
SAFE = [name in AXIS.safe for name in AXIS.classes]
SHARES = {"half": (15566, 4611, 36837, 57289, 18000), "2.5 %": (100, 5, 850, 25, 20)}
SCORER = {2: (0.90, 0.01), 3: (0.05, 0.80), 4: (0.35, 0.25)}  # of photographs: low and high scores, by true class
GRAIN = ((0.76, 0.90), (0.80, 0.90), (0.90, 0.97))  # how often it votes, how often it is right
CLASSIFIERS = ((0.9, 0.8), (0.4, 0.7))
N, NOISE = 20_000, 0.1
Ints = npt.NDArray[np.int64]


def simulated(shares: tuple[int, ...], declared: bool, classifiers: bool, seed: int = 0) -> tuple[Ints, "np.ndarray"]:
    """The true classes, and votes int8[n, m], places in SETS."""
    chance = np.random.default_rng(seed)
    truth = chance.choice(K, N, p=np.array(shares) / sum(shares))
    drawn = np.isin(truth, (0, 1))
    columns = [guess(chance, truth, 1.0, 1 - NOISE)] if declared else []
    scored, u = np.full(N, -1), chance.random(N)
    for c, (low, high) in SCORER.items():
        here = (truth == c) & ~drawn
        scored[here & (u < low)] = NOT_PORN
        scored[here & (u >= low) & (u < low + high)] = PORN
    columns.append(scored)
    for often, right in GRAIN:
        says = np.where(chance.random(N) < right, drawn, ~drawn)
        columns.append(np.where(chance.random(N) < often, np.where(says, DRAWN, PHOTOGRAPHED), -1))
    columns += [guess(chance, truth, often, right) for often, right in CLASSIFIERS] if classifiers else []
    return truth, np.stack(columns, axis=1).astype(np.int8)


def guess(chance: np.random.Generator, truth: Ints, often: float, right: float) -> Ints:
    """Votes for one class each."""
    said = np.where(chance.random(N) < right, truth, chance.integers(0, K, N))
    return np.where(chance.random(N) < often, said, -1)


def main() -> None:
    """Print the tables."""
    for name, shares in SHARES.items():
        for declared in (True, False):
            for classifiers, models in ((False, ("majority", "snorkel", "auto")), (True, ("majority", "snorkel"))):
                truth, votes = simulated(shares, declared, classifiers)
                for model in models:
                    print(f"\nporn {name}, declared {declared}, classifiers {classifiers}, model {model}")
                    judge(truth, votes, model)


def judge(truth: Ints, votes: "np.ndarray", model: str) -> None:
    """One table."""
    accused = np.asarray(flags.flags(votes, SETS, SAFE).any(axis=1))
    try:
        told = Evidence(votes, SETS, np.full(K, 1 / K))
        free = combine(LabelConfig(model=model), AXIS, told, np.zeros_like(accused))
        bound = combine(LabelConfig(model=model), AXIS, told, accused)
    except UsageError as error:
        print(f"  refused: {error}")
        return
    safe = np.append(np.array(SAFE), False)
    called, alone = decide(bound.probabilities), decide(free.probabilities)
    print(
        f"  {free.model}: flagged or declared not safe {accused.mean():.1%}; of these the model alone would call"
        f" {safe[alone[accused]].mean():.1%} safe; called safe: {int(safe[called[accused]].sum())}"
    )
    for c, name in enumerate(AXIS.classes):
        here = truth == c
        said = Counter(np.where(called[here] >= 0, called[here], np.where(accused[here], -2, -1)).tolist())
        names = {**dict(enumerate(AXIS.classes)), -1: "nothing", -2: "contradicted"}
        shares = (f"{names[place]} {n / here.sum():.1%}" for place, n in said.most_common())
        print(f"  {name:<9} {here.sum():>6}  {', '.join(shares)}")


if __name__ == "__main__":
    main()
