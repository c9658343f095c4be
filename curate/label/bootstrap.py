"""The bootstrap classifier: a linear head on embeddings, taught by weak labels whose neighbours agree and by people.

Each of its heads answers for near-duplicate groups that it was not trained on. It keeps no file: heads are made, asked
and forgotten, and their digest is on record.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.config import TrainConfig
from curate.contracts import Evidence, Vectors
from curate.label.choose import DOUBT, decide
from curate.label.cut import cut, nearest
from curate.linear import Examples, Head, fit, softmax
from curate.stats.folds import folds

FOLDS = 5  # heads; each answers for the groups that it was not trained on
CANDIDATES = 20_000  # weak labels that are looked at, evenly by class: neighbours are sought among all of them
KEPT, LEAST = 0.5, 10  # of each class's candidates, and how many at least: those whose neighbours agree most
EACH = 5  # samples that a class is learnt from, at least: a head takes all its classes to be as frequent
HEAVIEST = 50.0  # what a person's label may weigh, a weak one being 1; together people weigh as much as the weak
CHUNK = 10_000  # rows that are answered at a time
HEAD = TrainConfig(epochs=60)
TEMPERATURES = np.exp(np.linspace(np.log(0.1), np.log(20), 27))
POOLS = (0.0, 0.25, 0.5, 0.75, 1.0)  # how far the label model's word counts beside a head's
PRIORS = (0.0, 0.5, 1.0)  # how far the classes' shares in gold count; the heads take all classes to be as frequent

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Probabilities = npt.NDArray[np.float64]
Again = Callable[[Ints, Ints], Probabilities]


@dataclass(frozen=True)
class Lesson:
    """What there is to learn from: n rows, k classes.

    `weak` float64[n, k] is the label model's answer; `again`, where the model learns from gold: its answer of some rows
    int[r] when it may not know the gold of others, so that no head hears of what it is measured on. `people` int8[n] is
    what anybody said, gold or not (-1: nothing); `may` bool[n], which rows may train: none of the test split;
    `accused` bool[n], what no machine may call safe.
    """

    ids: Sequence[str]
    vectors: Vectors
    evidence: Evidence
    weak: Probabilities
    people: npt.NDArray[np.int8]
    may: Mask
    accused: Mask
    safe: Mask
    by_gold: bool
    again: Again | None = None
    seed: int = 0


@dataclass(frozen=True)
class Learnt:
    """`alone` float64[n, k], each row by a head that was not trained on its group; NaN where there is no embedding.
    `probabilities`, the same pooled with the label model's, as far as gold bears that out. `trained` bool[n], which
    rows taught; `facts` for the report."""

    alone: Probabilities
    probabilities: Probabilities
    trained: Mask
    facts: dict[str, Any]


def learn(lesson: Lesson) -> Learnt | str:
    """Train, answer and calibrate; a text where that cannot be done: why.

    The order of rows makes no difference but in the last bits. Memory: the vectors of the candidates and one chunk.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # sums come out the same on every machine of a kind
        fold = _folds(lesson)
        rows, vectors = _material(lesson)
        if isinstance(found := _heads(lesson, rows, vectors, fold), str):
            return found
        logits = _logits(lesson.vectors, found.heads, fold, lesson.evidence.sets.shape[1])
        alone, pooled = _calibrate(lesson, logits, fold, rows)
    for one in (alone, pooled):
        one[np.isnan(logits).any(axis=1)] = np.nan
    facts = found.facts | {"calibrated_on": "gold" if lesson.by_gold else "weak labels"}
    return Learnt(alone, pooled, found.trained, facts)


# -- what is learnt from -----------------------------------------------------------------------------------------------


def _folds(lesson: Lesson) -> Ints:
    """int[n], by group: those that people spoke of are dealt out by class, the others as they come."""
    groups = lesson.evidence.groups.astype(np.int64)
    known = np.flatnonzero((lesson.people >= 0) | (lesson.evidence.gold >= 0))
    truth = np.where(lesson.people >= 0, lesson.people, lesson.evidence.gold)[known].astype(np.int64)
    known = known[order := np.lexsort((truth, groups[known]))]
    names, of = np.unique(groups, return_inverse=True)
    found = np.arange(len(names)) % FOLDS
    if len(known):
        found[of[known]] = folds(truth[order], groups[known]) % FOLDS
    return np.asarray(found[of], dtype=np.int64)


def _material(lesson: Lesson) -> tuple[Ints, Floats]:
    """The candidates and what people judged, by id, and their vectors; who has none is left out."""
    place, sure = decide(lesson.weak), np.nan_to_num(lesson.weak).max(axis=1)
    open_ = lesson.may & (place >= 0) & (lesson.people < 0) & ~(lesson.accused & lesson.safe[place])
    classes = np.unique(place[open_])
    chosen = [np.flatnonzero(lesson.may & (lesson.people >= 0))]
    for one in classes.tolist():
        rows = np.flatnonzero(open_ & (place == one))
        rows = rows[sure[rows] >= np.median(sure[rows]) - 1e-9]
        chosen.append(rows[_shuffled(lesson, rows)][: CANDIDATES // len(classes)])
    rows = np.concatenate(chosen)
    rows = rows[np.argsort(np.array([lesson.ids[row] for row in rows.tolist()], dtype=str), kind="stable")]
    vectors = np.asarray(lesson.vectors[rows], dtype=np.float32)
    there = np.isfinite(vectors).all(axis=1)
    return rows[there], vectors[there]


def _shuffled(lesson: Lesson, rows: Ints) -> Ints:
    keys = [hashlib.sha256(f"{lesson.seed}\0{lesson.ids[row]}".encode()).digest() for row in rows.tolist()]
    return np.array(sorted(range(len(rows)), key=keys.__getitem__), dtype=np.int64)


# -- training ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Trained:
    heads: Sequence[Head]
    trained: Mask
    facts: dict[str, Any]


def _heads(lesson: Lesson, rows: Ints, vectors: Floats, fold: Ints) -> _Trained | str:
    """A head without each fold."""
    k = lesson.evidence.sets.shape[1]
    trained, heads, counts = np.zeros(len(lesson.ids), dtype=bool), [], np.zeros((2, k), dtype=np.int64)
    inputs, weights = hashlib.sha256(), hashlib.sha256()
    near = nearest(vectors)
    for one in range(FOLDS):
        labels = _labels(lesson, rows, fold == one)
        kept = np.flatnonzero(_agreeing(labels, lesson.people[rows] >= 0, near) & (fold[rows] != one))
        kept = kept[np.bincount(labels[kept], minlength=k)[labels[kept]] >= EACH]
        if len(np.unique(labels[kept])) < 2:
            return f"what can be learnt from is of fewer than two classes with {EACH} samples each"
        heavy = _weights(labels[kept], lesson.people[rows[kept]] >= 0)
        part = Examples(vectors[kept], labels[kept], heavy)
        heads.append(fit(part, part.pick(np.empty(0, dtype=np.int64)), k, HEAD))
        trained[rows[kept]] = True
        counts[0] += np.bincount(labels[kept][lesson.people[rows[kept]] < 0], minlength=k)
        counts[1] += np.bincount(labels[kept][lesson.people[rows[kept]] >= 0], minlength=k)
        for data in ("\n".join(lesson.ids[row] for row in rows[kept].tolist()).encode(), *map(_bytes, _all(part))):
            inputs.update(data)
        for array in (heads[-1].weight, heads[-1].bias):
            weights.update(_bytes(array))
    weak, people = (counts // (FOLDS - 1)).tolist()
    facts = {
        "candidates": int((lesson.people[rows] < 0).sum()),
        "trained": {"weak": weak, "people": people},
        "inputs": inputs.hexdigest()[:16],
        "heads": weights.hexdigest()[:16],
    }
    return _Trained(heads, trained, facts)


def _labels(lesson: Lesson, rows: Ints, hidden: Mask) -> Ints:
    """The class of each row as people, or the label model, say it, both without what people said of `hidden` bool[n];
    -1 for none."""
    weak = decide(lesson.weak[rows] if lesson.again is None else lesson.again(rows, np.flatnonzero(hidden)))
    weak = np.where(lesson.accused[rows] & lesson.safe[weak], -1, weak)
    theirs = (lesson.people[rows] >= 0) & ~hidden[rows]
    return np.asarray(np.where(theirs, lesson.people[rows], weak), dtype=np.int64)


def _agreeing(labels: Ints, people: Mask, near: tuple[Ints, Floats]) -> Mask:
    """What people said, and of each class the half whose neighbours agree most."""
    kept = people & (labels >= 0)
    scores = cut(np.where(labels < 0, labels.max(initial=0) + 1, labels), *near)  # no label: a class of its own
    for one in np.unique(labels[~people & (labels >= 0)]):
        rows = np.flatnonzero((labels == one) & ~people)
        kept[rows[np.argsort(scores[rows], kind="stable")][: max(LEAST, round(KEPT * len(rows)))]] = True
    return kept


def _weights(labels: Ints, people: Mask) -> Floats:
    """1 for a weak label; people's of a class together weigh as much as its weak ones."""
    found = np.ones(len(labels), dtype=np.float32)
    for one in np.unique(labels[people]):
        theirs = people & (labels == one)
        weak = (~people & (labels == one)).sum()
        found[theirs] = min(HEAVIEST, max(1.0, weak / theirs.sum()))
    return found


def _all(part: Examples) -> Iterator[npt.NDArray[Any]]:
    yield from (part.features, part.classes, part.weights)


def _bytes(array: npt.NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array).tobytes()


# -- answering ---------------------------------------------------------------------------------------------------------


def _logits(vectors: Vectors, heads: Sequence[Head], fold: Ints, k: int) -> Probabilities:
    """Each row by the head that was not trained on its fold; NaN where it has no vector."""
    weights = np.stack([one.weight for one in heads]).astype(np.float64)
    biases = np.stack([one.bias for one in heads]).astype(np.float64)
    found = np.full((len(fold), k), np.nan)
    for start in range(0, len(fold), CHUNK):
        part = np.arange(start, min(start + CHUNK, len(fold)))
        some = np.asarray(vectors[part], dtype=np.float32)
        for one in range(len(heads)):
            mine = fold[part] == one
            found[part[mine]] = some[mine] @ weights[one].T.astype(np.float32) + biases[one]
    return found


def _calibrate(lesson: Lesson, logits: Probabilities, fold: Ints, rows: Ints) -> tuple[Probabilities, Probabilities]:
    """The heads' probabilities float64[n, k], and these pooled with the label model's; each fold by the others' rows.

    By gold, drawn at random: a temperature, how much the label model's word counts (a logarithmic pool), and how much
    the shares of classes in gold do, whatever makes the loss least. Without enough gold a temperature by the
    candidates' weak labels, evenly by class, and nothing is pooled.
    """
    said = _words(lesson)
    truth = np.full(len(fold), -1, dtype=np.int64)
    truth[rows] = decide(lesson.weak[rows])
    if lesson.by_gold:
        truth = lesson.evidence.gold.astype(np.int64)
    known = np.flatnonzero((truth >= 0) & ~np.isnan(logits).any(axis=1))
    alone, pooled = np.empty_like(logits), np.empty_like(logits)
    for one in range(FOLDS):
        some, mine = known[fold[known] != one], fold == one
        shares = np.log((np.bincount(truth[some], minlength=logits.shape[1]) + 1) / (len(some) + logits.shape[1]))
        for found, pools in ((alone, POOLS[:1]), (pooled, POOLS if lesson.by_gold else POOLS[:1])):
            powers = PRIORS if lesson.by_gold else PRIORS[:1]
            t, w, p = _least(logits[some], said[some], shares, truth[some], (TEMPERATURES, pools, powers))
            found[mine] = softmax(logits[mine] / t + w * said[mine] + p * shares)
    return alone, pooled


def _words(lesson: Lesson) -> Probabilities:
    """The logarithm of the label model's answer, float64[n, k]; nothing where it has none."""
    k = lesson.weak.shape[1]
    return np.asarray(np.log(np.nan_to_num(lesson.weak, nan=1 / k) * (1 - DOUBT) + DOUBT / k), dtype=np.float64)


def _least(
    logits: Probabilities, said: Probabilities, shares: Probabilities, truth: Ints, tried: tuple[Iterable[float], ...]
) -> tuple[float, float, float]:
    """Temperature, weight of the label model and of the shares with the least loss."""
    best, kept = np.inf, (1.0, 0.0, 0.0)
    for t, w, p in product(*tried) if len(truth) else ():
        if (loss := _loss(logits / t + w * said + p * shares, truth)) < best:
            best, kept = loss, (float(t), float(w), float(p))
    return kept


def _loss(logits: Probabilities, truth: Ints) -> float:
    top = logits.max(axis=1, keepdims=True)
    sums = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    return float((sums - logits[np.arange(len(truth)), truth]).mean())
