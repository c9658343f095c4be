"""The report on labelling functions: how each fares alone, beside the others, and beside people, and what helps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from curate.label import flags
from curate.label.functions import Votes, mend
from curate.stats.intervals import wilson

if TYPE_CHECKING:
    import numpy as np

CHUNK = 100_000  # rows at a time
COPY = 0.9  # of the rows on which either votes, where both give one answer: one copies the other
FEW = 20  # rows, from which on two functions are held against each other, and wrong answers are counted
LISTED = 50  # pairs, those that say most
_BETWEEN = "; "  # sentences of a help
DEAD, ONE_SIDED, COPIES, WRONG = "dead", "one-sided", "copy", "more often wrong than right"


def report(votes: Votes, gold: "np.ndarray", safe: Sequence[bool] | None = None) -> Iterator[dict[str, Any]]:
    """For each function, as shares of the rows: coverage, overlap, conflict; and accuracy on the gold it votes on.

    Functions are in conflict on a row where no class is in all of their votes; a vote is right where it holds the class
    of the gold. `gold` int[n]: the place of the class that people gave, -1 where they gave none. `gold` in the report
    is how many rows the accuracy is of (null where there are none, `interval` is Wilson's at 95 %), `faults` how many
    rows the function failed on, and `fault` the first why; of one that failed, `file` is where it is. `false_alarms` is
    how many of the gold rows of a class that is `safe` bool[k] it flags, null where it never flags. `remarks` say that
    it is dead, one-sided, a copy, or wrong, `help` what to do (null of a built-in one about which nothing can be done).
    """
    import numpy as np

    cast = votes.matrix >= 0
    company = cast.sum(axis=1) > 1
    disagreement = company & ~_possible(votes)
    copies = _copies(votes)
    flagged = None if safe is None else flags.flags(votes.matrix.clip(flags.ABSTAIN), votes.sets, safe)
    for column, name in enumerate(votes.names):
        mine = cast[:, column]
        known = mine & (gold >= 0)
        right = votes.sets[votes.matrix[known, column], gold[known]]
        said: dict[str, Any] = {
            "name": name,
            "coverage": _share(mine),
            "overlap": _share(mine & company),
            "conflict": _share(mine & disagreement),
            "accuracy": _share(right) if known.any() else None,
            "interval": wilson(int(right.sum()), len(right)),
            "gold": int(known.sum()),
            "false_alarms": None if flagged is None or safe is None else _alarms(flagged[:, column], gold, safe),
            **dict(zip(("faults", "fault"), votes.faults.get(name, (0, None)), strict=True)),
            **({"file": votes.files.get(name)} if name in votes.faults else {}),
        }
        answers = np.unique(votes.matrix[mine, column]).tolist()
        yield said | dict(zip(("remarks", "help"), _remarks(said, votes, answers, copies.get(name)), strict=True))


def _possible(votes: Votes) -> "np.ndarray":
    """bool[n], where some class is in all of a row's votes."""
    import numpy as np

    holds = np.vstack([votes.sets, np.ones(votes.sets.shape[1], dtype=bool)])  # -1, the last row, rules out nothing
    possible = np.ones((len(votes.matrix), votes.sets.shape[1]), dtype=bool)
    for column in votes.matrix.T.clip(-1):
        possible &= holds[column]
    return np.asarray(possible.any(axis=1))


def _share(mask: "np.ndarray") -> float:
    return round(float(mask.mean()), 4) if len(mask) else 0.0


def alarms(called: "np.ndarray", gold: "np.ndarray", safe: Sequence[bool]) -> dict[str, Any]:
    """Of the gold rows whose class is safe, `n`, how many are `called` bool[n] not safe: count, share, Wilson's
    interval."""
    import numpy as np

    harmless = np.append(np.array(safe, dtype=bool), False)[gold]
    n, count = int(harmless.sum()), int((called & harmless).sum())
    return {"n": n, "flagged": count, "share": round(count / n, 4) if n else None, "interval": wilson(count, n)}


def _alarms(flagged: "np.ndarray", gold: "np.ndarray", safe: Sequence[bool]) -> dict[str, Any] | None:
    return alarms(flagged, gold, safe) if flagged.any() else None


# -- what to do about one --------------------------------------------------------------------------------------------


def _remarks(
    said: Mapping[str, Any], votes: Votes, answers: Sequence[int], copy: str | None
) -> tuple[list[str], str | None]:
    """What is odd about a function, and what to do about it (None where nothing is)."""
    name, found = said["name"], dict[str, str | None]()
    ours = name in votes.built_in
    if not answers:
        found[DEAD] = None if ours else f"{name} never votes: loosen its condition, look at its column, or drop it"
        if said["faults"]:
            found[DEAD] = f"{_failed(said)}: {votes.mend(name)}"
    if len(answers) == 1 and len(votes.matrix) >= FEW:
        what = "|".join(_classes(votes, answers[0]))
        found[ONE_SIDED] = (
            None
            if ours
            else (
                f"{name} only ever votes {what}: nothing shows its mistakes but another function or people, so let it"
                " vote otherwise, too, or label some of its rows"
            )
        )
    if copy is not None:
        then = f"drop {name}" if copy in votes.built_in else "drop one, or make one function of the two"
        found[COPIES] = None if ours else f"{name} votes as {copy} does: {then}"
    if said["gold"] >= FEW and said["interval"][1] < 0.5:
        then = f"take its labeler out of curate.toml, or put {name} into [label] advise" if ours else "mend it"
        found[WRONG] = f"{name} is right on {said['accuracy']:.0%} of {said['gold']} rows that people labelled: {then}"
    return list(found), _BETWEEN.join(filter(None, found.values())) or None


def helps(said: Mapping[str, Any]) -> list[str]:
    """What to do about a function, a sentence each; first, where it fails on some rows, with what."""
    found = [one for one in (said.get("help") or "").split(_BETWEEN) if one]
    if said.get("faults"):
        failed = _failed(said)
        found = [one for one in found if not one.startswith(failed)]
        found.insert(0, f"{failed}, first with {said['fault']}: {mend(said['name'], said.get('file'))}")
    return found


def _failed(said: Mapping[str, Any]) -> str:
    return f"{said['name']} failed on {said['faults']:,} rows"


def _classes(votes: Votes, place: int) -> list[str]:
    names = votes.classes or [f"class {n}" for n in range(votes.sets.shape[1])]
    return [name for name, held in zip(names, votes.sets[place].tolist(), strict=True) if held]


# -- pairs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Together:
    """How often each two answers meet: float64[answers, answers]; `whose` int[answers] and `place` int[answers]."""

    met: "np.ndarray"
    whose: "np.ndarray"
    place: "np.ndarray"

    @classmethod
    def of(cls, votes: Votes) -> "_Together":
        import numpy as np

        given = [np.unique(column[column >= 0]) for column in votes.matrix.T]
        whose = np.concatenate([np.full(len(one), n) for n, one in enumerate(given)] or [np.empty(0)]).astype(np.int64)
        place = np.concatenate([*given, np.empty(0)]).astype(np.int64)
        met = np.zeros((len(place), len(place)))
        for start in range(0, len(votes.matrix), CHUNK):
            part = (votes.matrix[start : start + CHUNK][:, whose] == place).astype(np.float32)
            met += part.T @ part  # exact: whole numbers below 2**24
        return cls(met, whose, place)

    def pair(self, one: int, other: int, sets: "np.ndarray") -> tuple[int, int, int, int]:
        """Of two functions: rows with both votes, with no class in both, with one answer; rows with either vote."""
        import numpy as np

        rows, columns = np.flatnonzero(self.whose == one), np.flatnonzero(self.whose == other)
        met = self.met[np.ix_(rows, columns)]
        mine, theirs = sets[self.place[rows]], sets[self.place[columns]]
        apart = ~(mine[:, None] & theirs).any(axis=2)
        alike = self.place[rows][:, None] == self.place[columns]
        each = self.met[rows, rows].sum() + self.met[columns, columns].sum()
        both = met.sum()
        return int(both), int(met[apart].sum()), int(met[alike].sum()), int(each - both)


def pairs(votes: Votes, gold: "np.ndarray") -> list[dict[str, Any]]:
    """Functions two by two, the pairs that say most first, 50 at most: those that are in conflict on some row, that
    give one answer nearly wherever either votes (`copy`), or that are wrong together more often than by chance
    (`correlated`).

    `both` is the share of rows on which both vote, `conflict` of rows where no class is in both votes, `same` of the
    rows where either votes on which both give one answer. `wrong_together` (null below 20 gold rows with both votes) is
    on how many of `gold` rows both are wrong, and `by_chance` on how many they would be were they independent.
    """
    n, found = max(len(votes.matrix), 1), []
    together = _Together.of(votes)
    for one, other in combinations(range(len(votes.names)), 2):
        both, apart, alike, either = together.pair(one, other, votes.sets)
        said = {
            "functions": [votes.names[one], votes.names[other]],
            "both": round(both / n, 4),
            "conflict": round(apart / n, 4),
            "same": round(alike / either, 4) if either else 0.0,
            "copy": either >= FEW and alike >= COPY * either,
            **_wrong(votes, gold, one, other),
        }
        if apart or said["copy"] or said["correlated"]:
            found.append(said)
    return sorted(found, key=lambda one: (-one["copy"], -one["correlated"], -one["conflict"], one["functions"]))[
        :LISTED
    ]


def _wrong(votes: Votes, gold: "np.ndarray", one: int, other: int) -> dict[str, Any]:
    """On gold: whether they are wrong together by more than three deviations of what chance would make."""
    known = (gold >= 0) & (votes.matrix[:, one] >= 0) & (votes.matrix[:, other] >= 0)
    n = int(known.sum())
    if n < FEW:
        return {"gold": n, "wrong_together": None, "by_chance": None, "correlated": False}
    first, second = (~votes.sets[votes.matrix[known, column], gold[known]] for column in (one, other))
    joint, expected = int((first & second).sum()), float(first.sum() * second.sum() / n)
    deviation = (expected * (1 - first.mean()) * (1 - second.mean())) ** 0.5
    correlated = joint > expected + 3 * deviation and joint >= 5
    return {"gold": n, "wrong_together": joint, "by_chance": round(expected, 1), "correlated": bool(correlated)}


def _copies(votes: Votes) -> dict[str, str]:
    """Of each function that copies another, the first such."""
    together, found = _Together.of(votes), dict[str, str]()
    for one, other in combinations(range(len(votes.names)), 2):
        _, _, alike, either = together.pair(one, other, votes.sets)
        if either >= FEW and alike >= COPY * either:
            found.setdefault(votes.names[one], votes.names[other])
            found.setdefault(votes.names[other], votes.names[one])
    return found
