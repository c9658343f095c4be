"""Average precision against decisions on the benign job: a random sample beside each queue, and when to stop.

    python -m benchmarks.curve [--seeds 5] [--decisions 400] [--every 1]
    python -m benchmarks.curve --stop     # what who stops at one changed label of the last 50 leaves behind

As in `benchmarks.clusters`, people are asked about half of the near-duplicate groups and slip 3 % of the time. Every 50
decisions the label model and the bootstrap classifier learn from what was said, as `curate label` does, and the next 50
are drawn by what they say. Figures are of the classifier on the other half: macro average precision, one class against
the rest. `changed`: how many of the last 50 decisions named another class than the labels in force had.
`--every`: of every so many-th picture alone.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.benign import AXIS, SETS, K, evidence
from benchmarks.benign_corpus import corpus
from curate.config import LabelConfig
from curate.contracts import CandidatePool, Evidence, QueryStrategy
from curate.label.choose import Combined, combine, decide
from curate.label.last import Last, finish, lesson_of
from curate.review.queues.audit import Audit
from curate.review.queues.conflict import Conflict
from curate.review.queues.gold import Gold
from curate.review.queues.suspect import Suspect
from curate.review.queues.uncertain import Uncertain

BATCH, SLIPS = 50, 0.03
QUEUES: Mapping[str, QueryStrategy] = {
    "random": Gold(), "uncertain": Uncertain(), "suspect": Suspect(), "conflict": Conflict(), "audit": Audit(),
}  # fmt: skip
RANDOM = ("random", "audit")  # what is judged in these is gold: of the others the label model does not learn
Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Job:
    """n pictures in a random order, of which half of the groups are asked about; `truth` int64[n]."""

    told: Evidence
    truth: npt.NDArray[np.int64]
    embeddings: npt.NDArray[np.float16]
    ask: npt.NDArray[np.bool_]
    blank: Combined  # what the label model makes of the votes alone


def jobs(seeds: int, every: int) -> Iterator[Job]:
    """One a seed."""
    found = corpus(every)
    told, _, kept = evidence(found)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        order, half = rng.permutation(len(kept)), rng.permutation(np.unique(told.groups))[::2]
        some = Evidence(told.votes[order], SETS, told.balance, told.scores[order], None, told.groups[order])  # type: ignore[arg-type]
        truth = found.truth[kept][order].astype(np.int64)
        ask, blank = np.isin(told.groups[order], half), combine(LabelConfig(seed=seed), AXIS, some)
        yield Job(some, truth, found.embeddings[kept][order], ask, blank)


@dataclass(frozen=True)
class Known:
    """What `curate label` comes to: its labels' probabilities, the classifier's own, and the label model's labels."""

    end: Probabilities
    alone: Probabilities
    before: npt.NDArray[np.int64]


def label(job: Job, said: Mapping[int, int], gold: bool, seed: int) -> Known:
    """Learn from what people said; `gold`: the label model may, too."""
    n, people = len(job.truth), np.full(len(job.truth), -1, dtype=np.int8)
    people[list(said)] = list(said.values())
    taught = people if gold else np.full(n, -1, dtype=np.int8)
    given = Evidence(job.told.votes, SETS, job.told.balance, job.told.scores, taught, job.told.groups)
    used = combine(LabelConfig(seed=seed), AXIS, given) if gold and said else job.blank
    left = Last(AXIS, pa.array([f"{row:05d}" for row in range(n)]), used, given, np.zeros(n, dtype=bool))
    one = lesson_of(LabelConfig(), left, job.embeddings, people, np.ones(n, dtype=bool))
    end = finish(one, used.probabilities, used.model, auto=True)
    alone = used.probabilities if end.learnt is None else end.learnt.probabilities
    return Known(end.probabilities, alone, decide(used.probabilities))


def pool(job: Job, rows: npt.NDArray[np.int64], said: Mapping[int, int], known: Known) -> CandidatePool:
    """What may be asked about."""
    no, given = np.zeros(len(rows), dtype=bool), known.before[rows].astype(np.int8)
    return CandidatePool(
        samples=[str(row) for row in rows], probabilities=known.end[rows], votes=job.told.votes[rows], sets=SETS,
        unsafe=known.end[rows][:, 1:].sum(axis=1), contradicted=no, contested=np.zeros(len(rows), np.int8),
        judged=np.array([int(row) in said for row in rows]), embeddings=job.embeddings[rows],
        out_of_fold=known.alone[rows], given=given,
    )  # fmt: skip


def precision(job: Job, known: Known) -> float:
    """Macro average precision where nobody was asked."""
    from sklearn.metrics import average_precision_score

    here = ~job.ask & ~np.isnan(known.alone).any(axis=1)
    each = [average_precision_score(job.truth[here] == one, known.alone[here, one]) for one in range(K)]
    return float(np.mean(each))


def curve(job: Job, name: str, decisions: int, seed: int) -> Iterator[tuple[int, float, int]]:
    """After so many decisions: average precision, and how many of the last BATCH changed a label."""
    rows, said, rng = np.flatnonzero(job.ask), dict[int, int](), np.random.default_rng(1000 + seed)
    known = label(job, said, False, seed)
    yield 0, precision(job, known), BATCH
    while len(said) < decisions:
        size = BATCH + len(said) * (name in RANDOM)  # what is random takes no notice of what was judged
        picked = [int(rows[one.row]) for one in QUEUES[name].pick(pool(job, rows, said, known), size)]
        fresh = [row for row in picked if row not in said][:BATCH]
        if not fresh:
            return
        now = {row: int(job.truth[row]) for row in fresh}
        now = {
            row: (one + 1 + int(rng.integers(K - 1))) % K if rng.random() < SLIPS else one for row, one in now.items()
        }
        called = decide(known.end)
        changed = sum(int(called[row]) != one for row, one in now.items())
        said |= now
        known = label(job, said, name in RANDOM, seed)
        yield len(said), precision(job, known), changed


def stops(rate: npt.NDArray[np.float64], every: int, runs: int = 10_000) -> tuple[float, float, float, float]:
    """Of runs whose n-th decision changes a label with the chance rate[n], looked at every `every` decisions: the share
    that the rule stops; of these the median decision, the share of which more than one in ten of the next 50 would
    change, and how many changes they leave behind in the mean."""
    changed = np.random.default_rng(0).random((runs, len(rate))) < rate
    before = np.pad(np.cumsum(changed, axis=1), ((0, 0), (1, 0)))
    quiet = np.less_equal((before[:, BATCH:] - before[:, :-BATCH])[:, ::every], 1)
    quiet &= BATCH + every * np.arange(quiet.shape[1]) <= len(rate) - BATCH  # where there is something left to say
    at = BATCH + every * quiet.argmax(axis=1)[quiet.any(axis=1)]
    after = np.array([rate[one : one + BATCH].mean() for one in at])
    left = np.array([rate[one:].sum() for one in at])
    return float(quiet.any(axis=1).mean()), float(np.median(at)), float((after > 0.1 - 1e-9).mean()), float(left.mean())


def stopping() -> None:
    """Print what the rule comes to, by how often decisions change a label."""
    n = np.arange(800)
    falls = {
        f"{start}, halved every {half}": start * 0.5 ** (n / half)
        for start, half in ((0.5, 60), (0.5, 100), (0.3, 100))
    }
    heads = ("rate", "a look every", "stopped", "after", "more than one in ten to come", "changes left behind")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, rate in {"0.1 throughout 400": np.full(400, 0.1), **falls}.items():
        for every in (1, BATCH):
            share, at, wrong, left = stops(rate, every)
            print(f"| {name} | {every} | {share:.0%} | {at:.0f} | {wrong:.1%} | {left:.1f} of {rate.sum():.0f} |")


def main() -> None:
    """Print a row a number of decisions: means over seeds, of each queue."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--decisions", type=int, default=400)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--stop", action="store_true")
    asked = parser.parse_args()
    if asked.stop:
        stopping()
        return
    found: dict[str, dict[int, list[tuple[float, int]]]] = {name: {} for name in QUEUES}
    for seed, job in enumerate(jobs(asked.seeds, asked.every)):
        for name in QUEUES:
            for n, value, changed in curve(job, name, asked.decisions, seed):
                found[name].setdefault(n, []).append((value, changed))
        print(f"seed {seed}: {job.ask.sum()} asked about, {(~job.ask).sum()} held out", flush=True)
    print(f"\n| decisions | {' | '.join(QUEUES)} |\n|{'---|' * (len(QUEUES) + 1)}")
    for n in range(0, asked.decisions + 1, BATCH):
        cells = []
        for name in QUEUES:
            rows = np.array(found[name].get(n, []))
            cells.append(
                f"{rows[:, 0].mean():.3f} ({rows[:, 0].std():.3f}), {rows[:, 1].mean():.0f}" if len(rows) else "-"
            )
        print(f"| {n} | {' | '.join(cells)} |")
    print("\nmean (spread) of macro average precision, and labels that the last 50 decisions changed")


if __name__ == "__main__":
    main()
