"""Thresholds on how probable it is that a picture is not safe: chosen on val, frozen, and what they do on test.

What is guaranteed rests on people's labels alone, by `curate.stats.guarantee`; what is estimated is the best point on
val, which the next rows may miss. Bands: below `safe_below` passes, from `block_from` on is blocked, what is between is
looked at.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.config import GuaranteeConfig
from curate.evaluate.rows import Rows
from curate.stats.guarantee import guarantee, needed
from curate.stats.intervals import share
from curate.stats.metrics import Predictions, said_by

FILE = "thresholds.json"
BLOCK = 0.01  # false alarms that blocking may raise where no rate is configured
Mask = np.ndarray  # bool[n]


@dataclass(frozen=True)
class Sides:
    """Rows that are safe or not safe, without borderline ones: how probable it is that each is not safe, float[n];
    which are, bool[n]; whose labels these are."""

    judged: Predictions
    looks: np.ndarray
    unsafe: Mask

    @classmethod
    def of(cls, judged: Predictions, safe: Sequence[str], borderline: Sequence[str]) -> "Sides":
        """Of the rows that have probabilities; a score is what the classes that are not safe have together."""
        names = np.array(judged.classes)
        bad, apart = ~np.isin(names, safe), np.isin(names, borderline)
        kept = ~apart[judged.truth] & judged.read
        return cls(
            judged.pick(kept), judged.probabilities[kept][:, bad].sum(axis=1).clip(0, 1), bad[judged.truth][kept]
        )

    def people(self) -> "Sides":
        """Those that people labelled."""
        rows = self.judged.human
        return Sides(self.judged.pick(rows), self.looks[rows], self.unsafe[rows])


def held_out(val: Rows, safe: Sequence[str], borderline: Sequence[str], options: GuaranteeConfig) -> Mask:
    """bool[n], rows of val that people labelled and that have no part in the fit, so that thresholds may promise
    something of them: half of these groups where a half is enough, else all, and none where all are too few."""
    groups = np.array(val.column("group"), dtype=str)
    names = np.array(val.classes)[val.truth]
    bad, apart = (~np.isin(names, some) for some in (safe, borderline))
    asked = {"recall": (bad & apart, options.recall), "false_alarms": (~bad, options.false_alarms)}
    alpha = (1 - options.confidence) / sum(share is not None for _, share in asked.values())
    least = [
        (side & val.human, needed(1 - share if name == "recall" else share, alpha))
        for name, (side, share) in asked.items()
        if share is not None
    ]
    half = np.array([hashlib.sha256(one.encode()).digest()[0] % 2 == 0 for one in groups], dtype=bool)
    for some in (half, np.ones(len(groups), dtype=bool)):
        if all(len(set(groups[some & side])) >= n for side, n in least):
            found: Mask = some & val.human
            return found
    return np.zeros(len(groups), dtype=bool)


def choose(val: Sides, promised: Sides, options: GuaranteeConfig) -> dict[str, Any]:
    """Thresholds of val: `status`, `missing` and `guarantee` from `promised`, rows of people's that had no part in the
    fit; `bands` where that holds, and `estimated` from all of val. Nothing else ever moves them."""
    theirs = promised.people()
    found = guarantee(
        theirs.looks, theirs.unsafe, options.recall, options.false_alarms, options.confidence, theirs.judged.groups
    )
    kept = {name: found[name]["threshold"] for name in ("recall", "false_alarms") if name in found}
    bands = None if found["missing"] else _bands(kept.get("recall"), kept.get("false_alarms"))
    return {
        "status": found["status"], "missing": found["missing"], "missing_is": "human labels of val's groups",
        "guarantee": found, "bands": bands, "estimated": _estimated(val, options),
        "review": bands and bands["safe_below"], "block": bands and bands["block_from"],  # what `predict` goes by
    }  # fmt: skip


def _bands(safe_below: float | None, block_from: float | None) -> dict[str, float | None]:
    """Where both are met by one threshold nothing is left to look at; above 1 nothing is blocked."""
    if safe_below is not None and block_from is not None and block_from < safe_below:
        block_from = safe_below
    if block_from is not None and block_from > 1:
        block_from = None
    return {"safe_below": safe_below, "block_from": block_from}


def _estimated(val: Sides, options: GuaranteeConfig) -> dict[str, Any]:
    """The points of val that meet the same shares exactly; None where val lacks a side."""
    bad, good = np.sort(val.looks[val.unsafe]), np.sort(val.looks[~val.unsafe])
    if not len(bad) or not len(good):
        return {"bands": None, "why_not": "val lacks rows that are safe, or that are not", **_whose(val)}
    missed = int(np.floor((1 - (options.recall or 0.95)) * len(bad) + 1e-9))
    above = int(np.floor((options.false_alarms or BLOCK) * len(good) + 1e-9))
    block = float(np.nextafter(good[len(good) - 1 - above], np.inf))
    return {"bands": _bands(float(bad[missed]), block), "why_not": None, **_whose(val)}


def _whose(rows: Sides) -> dict[str, Any]:
    return {"n": len(rows.unsafe), **said_by(rows.judged.sources)}


def applied(chosen: Mapping[str, Any], test: Sides) -> dict[str, Any]:
    """What the frozen thresholds do on test: of the guaranteed ones and of the estimated ones, where there are any."""
    bands = {"guaranteed": chosen["bands"], "estimated": chosen["estimated"]["bands"]}
    return {name: _on(one, test) for name, one in bands.items() if one is not None}


def _on(bands: Mapping[str, float | None], test: Sides) -> dict[str, Any]:
    """Shares of n rows that pass, are looked at, are blocked; and the error that is left on each side."""
    safe_below, block_from = bands["safe_below"], bands["block_from"]
    passed = test.looks < safe_below if safe_below is not None else np.zeros(len(test.looks), dtype=bool)
    blocked = test.looks >= block_from if block_from is not None else np.zeros(len(test.looks), dtype=bool)
    parts = {"passed": passed, "looked_at": ~passed & ~blocked, "blocked": blocked}
    every = np.ones(len(test.looks), dtype=bool)
    said: dict[str, Any] = {**_whose(test), "groups": len(set(test.judged.groups))}
    for name, which, of in (
        *((name, which, every) for name, which in parts.items()),
        ("recall", ~passed, test.unsafe), ("missed", passed, test.unsafe), ("false_alarms", blocked, ~test.unsafe),
        ("unsafe_of_passed", test.unsafe, passed), ("safe_of_blocked", ~test.unsafe, blocked),
    ):  # fmt: skip
        value, interval = share(which[of], test.judged.member[of]) or (None, None)
        said |= {name: value, f"{name}_interval": interval}
    return said


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What is promised, or what lacks for it, and what the thresholds do on test."""
    promised = found["guarantee"]
    said = " and ".join(
        f"{words} {promised[name][key]:g}"
        for name, words, key in (("recall", "a recall of", "at_least"), ("false_alarms", "false alarms of", "at_most"))
        if name in promised
    )
    if not found["score"]["sum_of_probabilities"]:
        yield "thresholds: none: every class here is safe, so there is nothing to hold back"
    elif found["missing"]:
        yield f"thresholds: no promise of {said}: {found['missing']} human labels of val's groups lack"
    for name, one in found["test"].items():
        bands = found["bands"] if name == "guaranteed" else found["estimated"]["bands"]
        sure = f" with {promised['confidence']:g} confidence: {said}" if name == "guaranteed" else " on val, no promise"
        yield f"thresholds, {name}{sure}:"
        yield f"  pass below {_shown(bands['safe_below'])}, block from {_shown(bands['block_from'])}"
        parts = ", ".join(f"{key.replace('_', ' ')} {_percent(one[key])}" for key in ("passed", "looked_at", "blocked"))
        yield f"  on test (n = {one['n']}, {whose(one)}): {parts}; {_sure(one, 'missed')}, {_sure(one, 'false_alarms')}"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def whose(one: Mapping[str, Any]) -> str:
    """On whose labels shares rest: of people's alone nothing else is to be said."""
    return "people's labels" if one["heading"] == "accuracy" else str(one["heading"])


def _sure(one: Mapping[str, Any], what: str) -> str:
    """A share with its 95 % interval."""
    between = one[f"{what}_interval"]
    ends = "" if between is None else f" ({_percent(between[0])} to {_percent(between[1])})"
    return f"{what.replace('_', ' ')} {_percent(one[what])}{ends}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
