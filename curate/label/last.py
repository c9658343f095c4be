"""The last step of `curate label`: what the bootstrap classifier decides, and whether it decides anything."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.config import LabelConfig
from curate.contracts import Evidence, Labeler, Vectors
from curate.errors import UsageError
from curate.features.embeddings import COLUMN
from curate.label import flags, table
from curate.label.bootstrap import Learnt, Lesson, learn
from curate.label.choose import Combined, ask, balance, decide, lacking, log_loss
from curate.label.gold import may_train, people
from curate.plugins import name_of
from curate.records import Axis

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from curate.label.bootstrap import Ints, Mask, Probabilities
    from curate.store.workspace import Workspace

WITHOUT_GOLD = frozenset({"majority", "snorkel", "dawid_skene"})  # label models that do not look at gold
SURE = 0.9  # where nobody measured it, it fills what it is at least so sure of
ROUNDS = 20  # that are kept on record


@dataclass(frozen=True)
class Last:
    """What the label model left: survivors by id on an axis, what it was told and made of it, and whom no machine may
    call safe, bool[n]."""

    axis: Axis
    ids: "pa.Array"
    used: Combined
    evidence: Evidence
    accused: "Mask"


@dataclass(frozen=True)
class Finished:
    """The probabilities in the end, float64[n, k] under the rule; `model` and `chosen` as in `Combined`; the
    bootstrap's part of the report (None: there is none) and of the table."""

    probabilities: "Probabilities"
    model: str
    chosen: Mapping[str, Any]
    facts: Mapping[str, Any] | None = None
    taught: table.Taught | None = None


def last(ws: "Workspace", left: Last, vectors: Vectors | None, survive: "Mask") -> Finished:
    """Take the last step; `vectors` are of all that were asked about, of whom `survive` bool[a] tells the survivors.

    Without `vectors` nothing is done.
    """
    used, axis = left.used, left.axis
    if vectors is None or used.before is None:
        return Finished(used.probabilities, used.model, used.chosen)
    theirs, may = people(ws, axis, left.ids), may_train(ws, left.ids)
    lesson = lesson_of(ws.config.label, left, _Rows(vectors, np.flatnonzero(survive)), theirs, may)
    if len(lesson.ids) and not may.any():
        why = {"does": "nothing", "decided": 0, "said": "which samples may train is not known; `curate dedupe` first"}
        return Finished(used.probabilities, used.model, used.chosen, why)
    end = finish(lesson, used.probabilities, used.model, ws.config.label.model == "auto")
    end.facts["rounds"] = rounds(table.report(ws, axis), end.facts)
    taught = None if end.learnt is None else _taught(end, decide(used.probabilities), axis, survive)
    if end.facts["does"] != "decides":
        return Finished(end.probabilities, used.model, used.chosen, end.facts, taught)
    losses = {**used.chosen["log_loss"], "bootstrap": end.facts["log_loss"]["bootstrap"]}
    chosen = {**used.chosen, "model": "bootstrap", "log_loss": losses}
    return Finished(end.probabilities, "bootstrap", chosen, end.facts, taught)


def wanted(configured: bool | None, labelers: Sequence[Labeler]) -> str | None:
    """The name of the column that the bootstrap learns from; None where there is to be none.

    It is there where a labeler makes embeddings, unless the config says otherwise; raises UsageError where the config
    says yes and none does.
    """
    names = [f"{name_of(one)}_{COLUMN}" for one in labelers if "[" in one.columns.get(COLUMN, "")]
    if configured and not names:
        raise UsageError(
            "label.bootstrap: no labeler that is configured has a column `embedding`; add [[labelers]] use ="
            ' "efficientnet_lite0"'
        )
    return names[0] if names and configured is not False else None


@dataclass(frozen=True)
class _Rows:
    """Some of the rows, read when they are asked for."""

    vectors: Vectors
    rows: "Ints"

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), self.vectors.shape[1])

    def __getitem__(self, rows: "np.ndarray") -> "np.ndarray":
        return self.vectors[self.rows[rows]]


def lesson_of(config: LabelConfig, left: Last, vectors: Vectors, theirs: "npt.NDArray[np.int8]", may: "Mask") -> Lesson:
    """What the bootstrap learns from; `theirs` int8[n] is what people said, `may` bool[n] which rows may train."""
    axis, used = left.axis, left.used
    told = dataclasses.replace(
        left.evidence, votes=left.evidence.votes.clip(flags.ABSTAIN), balance=balance(config, axis, left.evidence.votes)
    )
    assert used.before is not None

    def again(rows: "Ints", without: "Ints") -> "Probabilities":
        some = _hidden(told, rows, without)
        if not (some.votes >= 0).any() and not (some.gold >= 0).any():
            return np.full((len(rows), len(axis.classes)), np.nan)
        return np.asarray(ask(config, used.model, some)[: len(rows)], dtype=np.float64)

    return Lesson(
        left.ids.to_pylist(), vectors, told, used.before, theirs, may, left.accused,
        np.array([name in axis.safe for name in axis.classes], dtype=bool), lacking(axis, told) is None,
        None if used.model in WITHOUT_GOLD else again, config.seed,
    )  # fmt: skip


def _hidden(evidence: Evidence, rows: "Ints", without: "Ints") -> Evidence:
    """Evidence of some rows and, behind them, of all that have gold but for those `without`, which have none here."""
    gold = evidence.gold.copy()
    gold[without] = -1
    behind = np.setdiff1d(np.flatnonzero(gold >= 0), rows)
    whole = np.concatenate([rows, behind])
    return dataclasses.replace(
        evidence, votes=evidence.votes[whole], scores=evidence.scores[whole], groups=evidence.groups[whole],
        gold=gold[whole],
    )  # fmt: skip


def _taught(end: "Ended", before: "Ints", axis: Axis, survive: "Mask") -> table.Taught:
    """Rows of all that were asked about, of whom the survivors have an answer."""
    assert end.learnt is not None
    held_out = np.full((len(survive), len(axis.classes)), np.nan)
    held_out[survive] = end.learnt.alone
    decided, trained = np.zeros(len(survive), dtype=bool), np.zeros(len(survive), dtype=bool)
    decided[survive], trained[survive] = end.decided, end.learnt.trained
    labels = np.full(len(survive), None, dtype=object)
    labels[survive] = np.array([*axis.classes, None], dtype=object)[before]
    return table.Taught(held_out, decided, trained, labels.tolist())


# -- what it decides ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """The probabilities in the end; which rows the bootstrap decided, bool[n]; what it learnt (None: it could not);
    facts for the report."""

    probabilities: "Probabilities"
    decided: "Mask"
    learnt: Learnt | None
    facts: dict[str, Any]


def finish(lesson: Lesson, ruled: "Probabilities", model: str, auto: bool) -> Ended:
    """Let the bootstrap fill, or decide, or do nothing, whichever has the lowest log-loss on gold.

    `ruled` are the label model's probabilities under the rule of `flags`. Where there is not enough gold, or the model
    is named in the config (not `auto`), it only fills what every function abstained on, and what it is sure of. It
    takes nothing from the rule: what is accused stays as the label model left it, but for which class that is not safe.
    """
    learnt = learn(lesson)
    if isinstance(learnt, str):
        return Ended(ruled, np.zeros(len(ruled), dtype=bool), None, {"does": "nothing", "decided": 0, "said": learnt})
    rows = {"fills": _fills(lesson, learnt), "decides": _may(lesson, learnt), "nothing": np.zeros(len(ruled), bool)}
    losses = _losses(lesson, learnt, model, rows)
    does = _best(losses, model, auto)
    found = ruled.copy()
    found[rows[does]] = learnt.probabilities[rows[does]]
    flags.withhold(found, decide(found), lesson.accused, lesson.safe.tolist())
    facts: dict[str, Any] = {
        "does": does,
        "decided": int((decide(found)[rows[does]] >= 0).sum()),
        "log_loss": {name: round(value, 4) for name, value in losses.items()},
        "gold_n": int((lesson.evidence.gold >= 0).sum()) if lesson.by_gold else 0,
        "beats": losses["bootstrap"] < losses[model] if losses else None,
        **learnt.facts,
    }
    return Ended(found, rows[does], learnt, facts | {"said": _said(facts, model)})


def _losses(lesson: Lesson, learnt: Learnt, model: str, rows: "Mapping[str, Mask]") -> dict[str, float]:
    """On gold, of the label model, of it with what the bootstrap fills, and of the bootstrap; none without enough."""
    gold, shares = lesson.evidence.gold, lesson.evidence.balance
    if not lesson.by_gold:
        return {}
    laid = {
        name: np.where(rows[does][:, None], learnt.probabilities, lesson.weak)
        for name, does in ((model, "nothing"), ("filled", "fills"), ("bootstrap", "decides"))
    }
    return {name: log_loss(one, gold, shares) for name, one in laid.items()}


def rounds(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rounds on record, this one last: what each was made of and what it came to. The same inputs are one round."""
    known = list(((before or {}).get("bootstrap") or {}).get("rounds", []))
    keys = ("inputs", "heads", "does", "gold_n", "log_loss")
    this = {key: now[key] for key in keys if key in now}
    if this and (not known or known[-1] != this):
        known.append(this)
    return known[-ROUNDS:]


def _fills(lesson: Lesson, learnt: Learnt) -> "Mask":
    """What every function abstained on, where the bootstrap is sure; nothing that is accused."""
    silent = ~(lesson.evidence.votes >= 0).any(axis=1) & (decide(lesson.weak) < 0) & ~lesson.accused
    return np.asarray(silent & (np.nan_to_num(learnt.probabilities).max(axis=1) >= SURE))


def _may(lesson: Lesson, learnt: Learnt) -> "Mask":
    """Where the bootstrap may decide: it has an answer, and of what is accused both name a class that is not safe."""
    ours, theirs = decide(learnt.probabilities), decide(lesson.weak)
    unsafe = np.append(~lesson.safe, False)  # -1, the last place: no class
    return np.asarray(~np.isnan(learnt.probabilities).any(axis=1) & (~lesson.accused | (unsafe[ours] & unsafe[theirs])))


def _best(losses: Mapping[str, float], model: str, auto: bool) -> str:
    if not losses:
        return "fills"
    if auto and losses["bootstrap"] < min(losses[model], losses["filled"]):
        return "decides"
    return "fills" if losses["filled"] <= losses[model] else "nothing"


def _said(facts: Mapping[str, Any], model: str) -> str:
    """The outcome in one line."""
    n, losses = facts["decided"], facts["log_loss"]
    ends = {"decides": f"decided {n:,}", "fills": f"filled {n:,} that all abstained on", "nothing": "decided nothing"}
    if not losses:
        return f"{ends[facts['does']]}; too little gold to say whether it beats {model}"
    beats = "beats" if facts["beats"] else "does not beat"
    than = f"log-loss {losses['bootstrap']:.3f}, {model} {losses[model]:.3f}, on {facts['gold_n']} gold rows"
    return f"{ends[facts['does']]}; it {beats} {model} ({than})"
