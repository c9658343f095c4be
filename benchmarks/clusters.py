"""What decisions on whole clusters are worth on the benign job, beside grid tagging one by one and `uncertain`.

    python -m benchmarks.clusters [--seeds 5] [--decisions 200] [--every 1]

People are asked about half of the near-duplicate groups; figures are on the other half: how often a head that was
taught by their labels is right there, against one that was taught by labels of everything. A reviewer slips 3 % of the
time. On a sheet of 12 members it names the class of most where that is ten in twelve; where it is nine it reveals one
original first (30 at most), else the cluster is not one thing. The first draw is of half of the decisions, the next
ones of a quarter each, audits among them. `named faultlessly`: what clusters could come to at best, a decision each.
`--every`: of every so many-th picture alone.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from benchmarks.benign import AXIS, SETS, K, evidence
from benchmarks.benign_corpus import corpus
from curate.config import LabelConfig, TrainConfig
from curate.contracts import AuditedPool, CandidatePool, QueryStrategy
from curate.label.choose import combine
from curate.linear import Examples, fit
from curate.records import UNSURE
from curate.review.queues.clusters import CLUSTER, Clusters
from curate.review.queues.gold import Gold
from curate.review.queues.uncertain import Uncertain
from curate.stats.intervals import wilson
from curate.store.clusters import SHOWN, Cluster, carried, parted, purity, worth

SLIPS, SURE, DOUBTFUL, REVEALS = 0.03, 10 / 12, 9 / 12, 30
FIRST, BATCH = 0.5, 0.25  # of the decisions: in the first draw, and in the others
HEAD = TrainConfig(epochs=60)
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Job:
    """n pictures in a random order: `truth` and `groups` int64[n], embeddings, what functions vote, what labelers
    say and what the label model makes of it without anybody's help, and which are asked about, `ask` bool[n]."""

    truth: Ints
    groups: Ints
    embeddings: Floats
    votes: npt.NDArray[np.int8]
    scores: Floats
    weak: npt.NDArray[np.float64]
    ask: npt.NDArray[np.bool_]


def jobs(seeds: int, every: int) -> Iterator[Job]:
    """One a seed: another order, other groups are asked about."""
    found = corpus(every)
    told, _, kept = evidence(found)
    weak = combine(LabelConfig(), AXIS, told).probabilities
    unit = found.embeddings[kept].astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    truth, groups = found.truth[kept].astype(np.int64), told.groups.astype(np.int64)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        order, half = rng.permutation(len(truth)), rng.permutation(np.unique(groups))[::2]
        ask = np.isin(groups, half)[order]
        votes, scores = told.votes[order], told.scores[order]
        yield Job(truth[order], groups[order], unit[order], votes, scores, weak[order], ask)


@dataclass
class Reviewer:
    """Somebody who is right but for slips; `reveals` counts the originals looked at."""

    job: Job
    seed: int
    reveals: int = 0
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        """Slips are this reviewer's own."""
        self.rng = np.random.default_rng(1000 + self.seed)

    def says(self, row: int) -> int:
        """Of one picture."""
        return self._slip(int(self.job.truth[row]))

    def says_of(self, rows: Ints) -> int:
        """Of a sheet; -1: not one thing."""
        counts = np.bincount(self.job.truth[rows], minlength=K)
        share = counts.max() / len(rows)
        if share < DOUBTFUL or (share < SURE and self.reveals >= REVEALS):
            return -1
        self.reveals += int(share < SURE)
        return self._slip(int(counts.argmax()))

    def _slip(self, label: int) -> int:
        return int((label + self.rng.integers(1, K)) % K) if self.rng.random() < SLIPS else label


@dataclass(frozen=True)
class Asked:
    """What came of the decisions: labels int64[n] with weights, -1 for none; clusters, and what was looked at."""

    labels: Ints
    weights: Floats
    clusters: list[Cluster]
    decisions: int
    reveals: int


def pool(
    job: Job, rows: Ints, known: Mapping[int, int], taught: npt.NDArray[np.float64], drawn: list[Cluster]
) -> CandidatePool:  # fmt: skip
    """What is left to ask of some rows, by what is known by now."""
    names = [str(row) for row in rows]
    sure, split = carried(drawn), parted(drawn)
    no = np.zeros(len(rows), dtype=bool)
    return AuditedPool(
        samples=names, probabilities=taught[rows], votes=job.votes[rows], sets=SETS, unsafe=np.zeros(len(rows)),
        contradicted=no, contested=np.zeros(len(rows), np.int8),
        judged=np.array([int(one) in known or one in sure for one in names]), embeddings=job.embeddings[rows],
        scores=job.scores[rows],
        groups=job.groups[rows].astype(np.int32), split=np.array([split.get(one, -1) for one in names], np.int32),
    )  # fmt: skip


def asked(job: Job, strategy: QueryStrategy, decisions: int, seed: int) -> Asked:
    """Draw, decide, and draw again by what that taught, until so many decisions are made."""
    rows, who, known = np.flatnonzero(job.ask), Reviewer(job, seed), dict[int, int]()
    drawn, taught, made = list[Cluster](), job.weak, 0
    while made < decisions:
        size = min(round(decisions * (FIRST if made == 0 else BATCH)), decisions - made)
        if isinstance(strategy, Gold):  # which takes no notice of what was judged
            rows = rows[~np.isin(rows, list(known))]
        some = pool(job, rows, known, taught, drawn)
        picked = strategy.pick(some, size)
        if not picked:
            break
        made += len(picked)
        said = {}
        for one in picked:
            members = rows[list(one.members)]
            said[int(rows[one.row])] = who.says_of(members[:SHOWN]) if len(members) else who.says(int(rows[one.row]))
        drawn += [_cluster(rows[list(one.members)], said, f"{made}") for one in picked if one.stratum == CLUSTER]
        known |= {row: label for row, label in said.items() if label >= 0}
        if isinstance(strategy, Uncertain):
            taught = head(job, *labelled(job, known, []))
    labels, weights = labelled(job, known, drawn)
    return Asked(labels, weights, drawn, made, who.reveals)


def _cluster(members: Ints, said: Mapping[int, int], queue: str) -> Cluster:
    """As the catalog would have it."""
    item, *others = members.tolist()
    label = said[item]
    audited = [said[one] for one in others if one in said]
    names = [str(one) for one in members.tolist()]
    return Cluster(queue, names[0], names, UNSURE if label < 0 else str(label), len(audited), audited.count(label))


def labelled(job: Job, known: Mapping[int, int], drawn: list[Cluster]) -> tuple[Ints, Floats]:
    """People's own word, then what clusters carry."""
    labels, weights = np.full(len(job.truth), -1), np.zeros(len(job.truth), dtype=np.float32)
    for name, (label, p) in carried(drawn).items():
        labels[int(name)], weights[int(name)] = int(label), worth(p)
    for row, judged in known.items():
        labels[row], weights[row] = judged, 1.0
    return labels, weights


def head(job: Job, labels: Ints, weights: Floats) -> npt.NDArray[np.float64]:
    """The probabilities float64[n, k] of a head that these labels taught."""
    rows = np.flatnonzero(labels >= 0)
    every = Examples(job.embeddings, labels, weights)
    return fit(every.pick(rows), every.pick(rows[:0]), K, HEAD).probabilities(job.embeddings)


def right(job: Job, found: Asked) -> dict[str, float]:
    """How often the head is right where nobody was asked; the share of what was asked about that has a label, and how
    often that is right."""
    answers = head(job, found.labels, found.weights).argmax(axis=1)
    here = job.ask & (found.labels >= 0)
    return {
        "held out": float((answers == job.truth)[~job.ask].mean()),
        "labelled": float(here.sum() / job.ask.sum()),
        "labels right": float((found.labels == job.truth)[here].mean()),
        "decisions": float(found.decisions),
        "reveals": float(found.reveals),
    }


def everything(job: Job, seed: int) -> Asked:
    """Each picture judged by itself."""
    who, labels = Reviewer(job, seed), np.full(len(job.truth), -1)
    for row in np.flatnonzero(job.ask).tolist():
        labels[row] = who.says(row)
    return Asked(labels, np.ones(len(labels), dtype=np.float32), [], int(job.ask.sum()), 0)


def named(job: Job, n: int) -> Asked:
    """As many clusters, each named what most of all its members are: no slip, no audit, nothing that is let go."""
    rows, labels = np.flatnonzero(job.ask), np.full(len(job.truth), -1)
    strategy = Clusters()
    picked = strategy.pick(pool(job, rows, {}, job.weak, []), (1 + strategy.audit) * n)
    for one in picked:
        if len(members := rows[list(one.members)]):
            labels[members] = np.bincount(job.truth[members], minlength=K).argmax()
    return Asked(labels, np.ones(len(labels), dtype=np.float32), [], sum(bool(one.members) for one in picked), 0)


def main() -> None:
    """Print a row a method: means (and spreads) over the seeds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--decisions", type=int, default=200)
    parser.add_argument("--every", type=int, default=1)
    given = parser.parse_args()
    n, rows = given.decisions, dict[str, list[dict[str, float]]]()
    audits = list[tuple[int, int]]()
    for seed, job in enumerate(jobs(given.seeds, given.every)):
        whole = right(job, everything(job, seed))
        rows.setdefault("everything", []).append(whole)
        for some in (n // 2, n):
            rows.setdefault(f"{some} clusters, named faultlessly", []).append(right(job, named(job, some)))
        for name, strategy, most in (
            ("one by one", Gold(), n), ("uncertain", Uncertain(), n), ("clusters", Clusters(), n),
            (f"clusters, {n} and as many audits", Clusters(), 2 * n),
        ):  # fmt: skip
            found = asked(job, strategy, most, seed)
            rows.setdefault(name, []).append(right(job, found))
            audits += [purity(found.clusters)] if name == "clusters" else []
        print(f"seed {seed}: {job.ask.sum()} asked about, {(~job.ask).sum()} held out", flush=True)
    heads = list(rows["everything"][0])
    print("\n| | " + " | ".join((*heads, "points from everything")) + " |\n|" + "---|" * (len(heads) + 2))
    for name, runs in rows.items():
        each = {key: np.array([one[key] for one in runs]) for key in heads}
        cells = [f"{values.mean():.3f} ({values.std():.3f})" for key, values in each.items() if key not in heads[3:]]
        cells += [f"{each[key].mean():.0f}" for key in heads[3:]]
        gap = 100 * (each["held out"] - [one["held out"] for one in rows["everything"]])
        print(f"| {name} | {' | '.join(cells)} | {gap.mean():+.1f} ({gap.min():+.1f} to {gap.max():+.1f}) |")
    agreed, of = (sum(column) for column in zip(*audits, strict=True))
    print(f"\npurity by {of} audits: {agreed / max(of, 1):.3f}, {wilson(agreed, of)}")


if __name__ == "__main__":
    main()
