"""Thresholds that keep a promise on rows never seen, or the number of human labels that are lacking for it.

Learn then Test (Angelopoulos, Bates, Candes, Jordan & Lei 2021): thresholds are tested from the safest on, each by the
exact binomial tail of what it gets wrong, and the last one before the first that fails is taken. As a higher threshold
never misses less, that is a rank of the scores. Near-duplicates are one piece of news: of each group one row is asked.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.errors import UsageError

GUARANTEED, REFUSED = "guaranteed", "refused"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """`threshold`: what scores so much, and more, is flagged; None where nothing can be promised. `rows`: groups that
    it rests on; `wrong`: how many of these it gets wrong; `missing`: how many more are needed for a promise."""

    threshold: float | None
    rows: int
    wrong: int
    missing: int


def guarantee(
    scores: Any, labels: Any, recall: float | None = 0.95, false_alarms: float | None = None, confidence: float = 0.95,
    groups: Sequence[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Thresholds on a score that people's labels bear out: `recall` of what is not safe is flagged at least, or at most
    `false_alarms` of what is safe, or both, and all of it at once with `confidence`.

    scores float[n] in 0..1, higher is less safe; labels bool[n], whether a person called the row not safe; `groups` of
    rows that hang together (None: each by itself). A promise is about groups, of which each counts once. Returns
    {"status": "guaranteed" | "refused", "missing": human labels that lack in all, "confidence", "recall":
    {"at_least", "status", "threshold", "n", "wrong", "missing"}, "false_alarms": {"at_most", ...}}; a threshold is None
    where it is refused. Raises UsageError for what are no scores, labels or shares.
    """
    looks, unsafe = _checked(scores, labels)
    asked = {"recall": recall, "false_alarms": false_alarms}
    check(recall, false_alarms, confidence)
    names = np.arange(len(looks)).astype(str) if groups is None else np.asarray(groups, dtype=str)
    if len(names) != len(looks):
        raise UsageError(f"guarantee: {len(names)} groups for {len(looks)} scores")
    alpha = (1 - confidence) / sum(share is not None for share in asked.values())
    said: dict[str, Any] = {"confidence": confidence}
    if recall is not None:
        found = _lowest(looks[unsafe], names[unsafe], 1 - recall, alpha)
        said["recall"] = {"at_least": recall, **_said(found)}
    if false_alarms is not None:
        found = _lowest(-looks[~unsafe], names[~unsafe], false_alarms, alpha)
        above = None if found.threshold is None else float(np.nextafter(-found.threshold, np.inf))
        said["false_alarms"] = {"at_most": false_alarms, **_said(found), "threshold": above}
    missing = sum(said[name]["missing"] for name in asked if name in said)
    return {"status": REFUSED if missing else GUARANTEED, "missing": missing, **said}


def check(recall: float | None, false_alarms: float | None, confidence: float) -> None:
    """Raise UsageError for shares between which no threshold lies."""
    for name, share in (("recall", recall), ("false_alarms", false_alarms), ("confidence", confidence)):
        if share is not None and not 0 < share < 1:
            raise UsageError(f"guarantee: {name} must lie between 0 and 1, not {share}")
    if recall is None and false_alarms is None:
        raise UsageError("guarantee: give a recall or a rate of false_alarms to promise")


def needed(wrong_at_most: float, alpha: float) -> int:
    """How many groups without one wrong answer bear a promise out."""
    return int(np.ceil(np.log(alpha) / np.log(1 - wrong_at_most) - 1e-9))


def _checked(scores: Any, labels: Any) -> tuple[Floats, npt.NDArray[np.bool_]]:
    try:
        looks, said = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"guarantee: scores and labels are numbers ({error})") from error
    if looks.ndim != 1 or looks.shape != said.shape:
        raise UsageError(f"guarantee: one label a score; shapes {looks.shape} and {said.shape}")
    if not np.all((looks >= 0) & (looks <= 1)):
        raise UsageError("guarantee: scores lie between 0 and 1, and none is NaN")
    if not np.all((said == 0) | (said == 1)):
        raise UsageError("guarantee: a label is 1 (not safe) or 0 (safe)")
    return looks, said == 1


def _lowest(looks: Floats, groups: Any, share: float, alpha: float) -> Found:
    """The highest threshold below which lies at most `share` of all such rows, with a chance of `alpha` to be wrong."""
    from scipy.stats import binom

    some = np.sort(looks[_one_of_each(groups)])
    n = len(some)
    passed = np.flatnonzero(binom.cdf(np.arange(n), n, share) <= alpha) if n else np.array([], dtype=np.int64)
    if not len(passed):
        return Found(None, n, 0, max(1, needed(share, alpha) - n))
    threshold = float(some[passed[-1]])
    return Found(threshold, n, int((some < threshold).sum()), 0)


def _one_of_each(groups: Any) -> npt.NDArray[np.int64]:
    """One row a group, by chance, and the same one every time: a group has no say in which of it is asked."""
    names, first, counts = np.unique(groups, return_index=True, return_counts=True)
    if len(names) == len(groups):
        return np.asarray(first)
    order = np.argsort(groups, kind="stable")
    starts = np.cumsum(counts) - counts
    chance = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) for name in names]
    return np.asarray(order[starts + np.array(chance) % counts])


def _said(found: Found) -> dict[str, Any]:
    return {
        "status": REFUSED if found.threshold is None else GUARANTEED, "threshold": found.threshold, "n": found.rows,
        "wrong": found.wrong, "missing": found.missing,
    }  # fmt: skip
