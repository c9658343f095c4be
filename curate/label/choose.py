"""Which label model is asked, and what it says: the one that `label.model` names, or, by `auto`, the one that people
bear out."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.config import LabelConfig
from curate.contracts import Evidence, LabelModel
from curate.errors import UsageError
from curate.label import flags
from curate.label.models.majority import Majority
from curate.options import Plugin
from curate.plugins import called, digest_of, make, named, running
from curate.records import Axis

if TYPE_CHECKING:
    import numpy as np

TIE = 1e-5  # two classes nearer than this are as probable as each other
ENOUGH = 3  # functions that vote, from which on nobody's answer is needed to weigh them
SOME = 0.01  # of the rows, on which a function votes for one class, or it is none of these
COPY = 0.9  # of the rows on which either votes, where both give one answer: the second is none of these
TURNED = 0.01  # of the rows on which all votes are for one class, that a model without gold may call something else
CHECKED = 2  # functions that vote for a class by itself, from which on one is held against another
GOLD, EACH = 50, 5  # rows of gold, and of each class, from which on `auto` goes by them
DOUBT = (
    0.001  # of every answer, spread evenly, before its logarithm is taken: being sure and wrong costs log(k / DOUBT)
)
SUM = 1e-4  # how far a row of probabilities may be from a sum of 1


@dataclass(frozen=True)
class Combined:
    """What the votes come to on an axis: which `model` was asked, its probabilities float64[n, k] under the rule of
    `flags` (NaN where nothing is said), and `chosen`, why that one. `short`: what `auto` lacks of gold, None where that
    is enough or it was not asked to go by it; `before`: the probabilities as the model gave them."""

    model: str
    probabilities: "np.ndarray"
    chosen: Mapping[str, Any]
    short: str | None = None
    before: "np.ndarray | None" = None


def combine(config: LabelConfig, axis: Axis, evidence: Evidence, accused: "np.ndarray | None" = None) -> Combined:
    """The class balance and the model are the config's affair; `evidence.votes` may hold FAILED, its balance is not
    used. `accused` bool[n] are the rows that no machine may call safe (None: those that a vote flags).

    Raises UsageError where the model that is named cannot take the evidence, or answers what it may not.
    """
    import numpy as np

    safe = [name in axis.safe for name in axis.classes]
    votes = evidence.votes
    accused = np.asarray(flags.flags(votes, evidence.sets, safe).any(axis=1) if accused is None else accused)
    told = dataclasses.replace(evidence, votes=votes.clip(flags.ABSTAIN), balance=balance(config, axis, votes))
    found = _auto(config, axis, told) if config.model == "auto" else _named(config, told)
    probabilities = found.probabilities.copy()
    flags.withhold(probabilities, decide(probabilities), accused, safe)
    return dataclasses.replace(found, probabilities=probabilities, before=found.probabilities)


def ask(config: LabelConfig, name: str, evidence: Evidence) -> "np.ndarray":
    """What the label model of that name makes of evidence that holds no FAILED; raises UsageError as `combine` does."""
    return _asked(config.model if config.model != "auto" else name, config.seed, evidence)


def model(name: str, seed: int) -> LabelModel:
    """The label model of that name, with the seed if it takes one; raises UsageError with the nearest name."""
    cls = named("curate.label.models", name, "label.model", "label model")
    options = {"seed": seed} if any(one.name == "seed" for one in dataclasses.fields(cls)) else {}
    made: LabelModel = make("curate.label.models", Plugin(name, options, "label.model"), "label model")
    return made


def balance(config: LabelConfig, axis: Axis, votes: "np.ndarray") -> "np.ndarray":
    """The share of each class, float64[k]: what the config declares, else what the majority of votes comes to.

    An even balance where there is none costs more than the label model can gain, on both accuracy and macro accuracy;
    one label is added to each class, so that none is impossible. Votes for several classes do not tell, and are left
    out.
    """
    import numpy as np

    if declared := [config.balance[name] for name in axis.classes if name in config.balance]:
        return np.array(declared, dtype=np.float64)
    k = len(axis.classes)
    single = Evidence(np.where(votes < k, votes, -1), np.eye(k, dtype=bool), np.full(k, 1 / k))
    counts = np.nansum(Majority().predict(single), axis=0) + 1
    shares: np.ndarray = counts / counts.sum()
    return shares


def decide(probabilities: "np.ndarray") -> "np.ndarray":
    """The place of the most probable class, int[n]; -1 where there is none, or where two are as probable."""
    import numpy as np

    known = np.nan_to_num(probabilities, nan=0.0)
    ordered = np.sort(known, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > TIE
    return np.where(clear, known.argmax(axis=1), -1)


def log_loss(probabilities: "np.ndarray", gold: "np.ndarray", shares: "np.ndarray") -> float:
    """The mean of -log p(the class that people gave) over gold int[n] >= 0; a row of which nothing is said has the
    classes' shares float64[k], and a thousandth of every answer is spread evenly, so that none is infinitely wrong."""
    import numpy as np

    rows = np.flatnonzero(gold >= 0)
    said = probabilities[rows]
    said = np.where(np.isnan(said), shares, said)
    of = (1 - DOUBT) * said[np.arange(len(rows)), gold[rows]] + DOUBT / said.shape[1]
    return float(-np.log(of).mean())


# -- which one -------------------------------------------------------------------------------------------------------


def _named(config: LabelConfig, evidence: Evidence) -> Combined:
    import numpy as np

    name = called(Plugin(config.model))
    n = int((evidence.gold >= 0).sum())
    if not (evidence.votes >= 0).any() and not n:
        nothing = np.full((len(evidence.votes), evidence.sets.shape[1]), np.nan)
        return Combined(name, nothing, _chosen(name, {}, n, "it is named in label.model; nobody votes"))
    found = _asked(config.model, config.seed, evidence)
    losses = {name: log_loss(found, evidence.gold, evidence.balance)} if n else {}
    return Combined(name, found, _chosen(name, losses, n, "it is named in label.model"))


def _auto(config: LabelConfig, axis: Axis, evidence: Evidence) -> Combined:
    """By log-loss on gold where there is enough of it: each model answers a row with gold as if it had not seen it."""
    import numpy as np

    n = int((evidence.gold >= 0).sum())
    deciding = _deciding(evidence)
    fallback, rule = _rule(axis, evidence, deciding)
    if not (evidence.votes >= 0).any() and not n:
        nothing = np.full((len(evidence.votes), evidence.sets.shape[1]), np.nan)
        return Combined(fallback, nothing, _chosen(fallback, {}, n, "nobody votes"))
    names = ["majority", *["snorkel"] * (deciding >= ENOUGH), "dawid_skene", "stack"]
    if short := lacking(axis, evidence):
        reason = f"{short}; {rule}"
        found = _asked(fallback, config.seed, evidence)
        if fallback == "snorkel" and (turned := _turned(found, evidence)):
            reason += f", which calls {turned} otherwise: majority"
            fallback, found = "majority", _asked("majority", config.seed, evidence)
        losses = {fallback: log_loss(found, evidence.gold, evidence.balance)} if n else {}
        return Combined(fallback, found, _chosen(fallback, losses, n, reason), short)
    losses, best, kept = {}, names[0], np.empty(0)
    for name in names:
        found = _asked(name, config.seed, evidence)
        losses[name] = log_loss(found, evidence.gold, evidence.balance)
        if name == best or losses[name] < losses[best]:
            best, kept = name, found
    return Combined(best, kept, _chosen(best, losses, n, f"the lowest cross-validated log-loss on {n} gold rows"))


def lacking(axis: Axis, evidence: Evidence) -> str | None:
    """What gold lacks for `auto` to go by it: 50 rows, and 5 of every class that people gave or a function votes for by
    itself; None where it has them."""
    import numpy as np

    k = len(axis.classes)
    counts = np.bincount(evidence.gold[evidence.gold >= 0], minlength=k)
    if (n := int(counts.sum())) < GOLD:
        return f"fewer than {GOLD} gold rows ({n})"
    voted = np.bincount(evidence.votes[(evidence.votes >= 0) & (evidence.votes < k)], minlength=k)
    few = [f"{name} ({count})" for name, count, v in zip(axis.classes, counts, voted, strict=True)
           if count < EACH and (count or v)]  # fmt: skip
    if few:
        return f"fewer than {EACH} gold rows of {', '.join(few)}"
    return None if (counts > 0).sum() > 1 else "gold is of one class"


def _deciding(evidence: Evidence) -> int:
    """How many functions vote for one class on some of the rows, and are no copies of each other."""
    import numpy as np

    k, kept = evidence.sets.shape[1], list[Any]()
    for votes in evidence.votes.T:
        cast = (votes >= 0) & (votes < k)
        if cast.any() and cast.mean() >= SOME and not any(_copy(votes, cast, other) for other in kept):
            kept.append(np.where(cast, votes, -1))
    return len(kept)


def _copy(votes: "np.ndarray", cast: "np.ndarray", other: "np.ndarray") -> bool:
    either = cast | (other >= 0)
    return bool((cast & (votes == other)).sum() >= COPY * either.sum())


def _turned(probabilities: "np.ndarray", evidence: Evidence) -> str | None:
    """On how many of the rows on which all votes for a class are for one, a model says another; None for hardly any.

    Weighing functions against each other cannot show that all of them are wrong: only people can.
    """
    import numpy as np

    k = evidence.sets.shape[1]
    single = np.where(evidence.votes < k, evidence.votes, -1)
    most = single.max(axis=1)
    alone = (most >= 0) & ((single == most[:, None]) | (single < 0)).all(axis=1)
    alone &= ((evidence.votes < k) | evidence.sets[evidence.votes.clip(0), most[:, None]]).all(axis=1)
    answers = decide(probabilities)
    other = alone & (answers >= 0) & (answers != most)
    worst = max((other[alone & (most == n)].mean() for n in range(k) if (alone & (most == n)).any()), default=0.0)
    return f"{int(other.sum())} of {int(alone.sum())} rows on which all agree" if worst > TURNED else None


def _rule(axis: Axis, evidence: Evidence, deciding: int) -> tuple[str, str]:
    """The model without gold, and why: Snorkel's knows votes for one class only, so that a class for which fewer than
    two functions vote by themselves would be lost, however many vote for sets that hold it."""
    import numpy as np

    what = f"functions vote for one class on {SOME:.0%} of the rows, and are no copies"
    if deciding < ENOUGH:
        return "majority", f"fewer than {ENOUGH} {what} ({deciding}): majority"
    k = len(axis.classes)
    given = np.unique(evidence.votes[evidence.votes >= 0])
    by = [int((evidence.votes == place).any(axis=0).sum()) for place in range(k)]
    few = [name for name, n, held in zip(axis.classes, by, evidence.sets[given].any(axis=0), strict=True)
           if held and n < CHECKED]  # fmt: skip
    if few:
        return "majority", f"fewer than {CHECKED} functions vote for {', '.join(few)} alone: majority"
    return "snorkel", f"{deciding} {what}: snorkel"


def _chosen(name: str, losses: Mapping[str, float], n: int, reason: str) -> dict[str, Any]:
    return {"model": name, "log_loss": {k: round(v, 4) for k, v in losses.items()}, "gold_n": n, "reason": reason}


# -- what it says ----------------------------------------------------------------------------------------------------


def _asked(name: str, seed: int, evidence: Evidence) -> "np.ndarray":
    made = model(name, seed)
    file = str(sys.modules[type(made).__module__].__file__)
    where = f"label.model: {name}"
    theirs = digest_of(made) is not None
    with running(where, file) if theirs else nullcontext():
        found = made.predict(_read_only(evidence, theirs))
    if fault := _fault(found, (len(evidence.votes), evidence.sets.shape[1])):
        raise UsageError(f"{where}: {file}: predict() gives {fault}")
    return found


def _read_only(evidence: Evidence, copied: bool) -> Evidence:
    """Evidence that cannot be written to; with `copied` its arrays are nobody else's, whatever is done to them."""
    import numpy as np

    arrays: dict[str, Any] = {}
    for one in dataclasses.fields(evidence):
        if isinstance(array := getattr(evidence, one.name), np.ndarray):
            arrays[one.name] = array.copy() if copied else array.view()
            arrays[one.name].flags.writeable = False
    return dataclasses.replace(evidence, **arrays)


def _fault(found: Any, shape: Sequence[int]) -> str | None:
    """What is wrong with a model's answer; None where it can be one."""
    import numpy as np

    plain = type(found) is np.ndarray  # a masked array, say, answers comparisons with what is masked left out
    if not plain or found.dtype.kind != "f" or found.shape != tuple(shape):
        given = f"{found.dtype}{list(found.shape)}" if plain else type(found).__name__
        return f"{given}, and float64{list(shape)} is asked for: a row a sample, a column a class"
    unknown = np.isnan(found)
    rows = found[~unknown.all(axis=1)]
    if np.isnan(rows).any():
        return "a row that is NaN in part: it is NaN as a whole, or a probability of each class"
    if len(rows) and (rows.min() < 0 or np.abs(rows.sum(axis=1) - 1).max() > SUM):
        return "probabilities that are none: a row is not negative, and has a sum of 1"
    return None
