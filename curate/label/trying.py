"""A file of labelling functions tried on some of the samples: what they would vote, in seconds, and without a trace."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.contracts import Labeler
from curate.errors import UsageError
from curate.label import flags, slices
from curate.label import functions as voting
from curate.label.flags import FAILED
from curate.label.function_report import helps, report
from curate.label.functions import Functions, Votes, own, unique, vote
from curate.label.gold import gold
from curate.label.rows import rows
from curate.label.run import columns_of, fields_of
from curate.progress import Progress
from curate.records import Axis
from curate.stats.intervals import wilson
from curate.store import eligibility, views
from curate.store.columns import texts
from curate.store.mentions import Mentions
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

SIZE = 10_000  # samples that functions are asked about, beside those that people labelled
SHOWN = 12  # samples of each vote
RIVALS = 3  # functions that one contradicts most, or votes as


@dataclass(frozen=True)
class Tried:
    """What there is to say, and by function and vote the ids of a few samples."""

    facts: Mapping[str, Any]
    shown: Mapping[str, Mapping[str, Sequence[str]]]


def attempt(
    ws: Workspace, labelers: Sequence[Labeler], built_in: Functions, path: Path, progress: Progress, size: int = SIZE
) -> Tried:
    """Ask the functions of a file, and the others that are in force, about `size` survivors, drawn by their ids (which
    are digests), and about all that people labelled; on the latter it is said how often each is right.

    Nothing is scored: what `curate label` has not looked at yet counts as `unscored`. Raises UsageError as `label` does
    for a file that cannot be run, and where no sample counts.
    """
    import numpy as np

    axes, fields = ws.config.taxonomy.axes, fields_of(labelers)
    mine = own([path], axes)
    axis = next(axis for axis in axes if mine[axis.name])
    here = path.resolve()
    others = own([one for one in ws.config.label.functions if one.resolve() != here], axes)[axis.name]
    functions = unique([*built_in(axis, fields), *others, *mine[axis.name]])
    voters = [one for one in functions if not slices.is_slicing(one)]
    voting.check(voters, axis)
    drawn, ids = _drawn(ws, axis, size)
    if not ids:
        raise UsageError(eligibility.nothing(ws.catalog))
    known, lost = texts(ids), np.zeros(len(ids), dtype=bool)
    columns = columns_of(ws, labelers, known, lost)
    ask = partial(rows, columns, Mentions(ws.catalog))
    with progress.stage("vote", len(ids)) as step:
        votes = vote(voters, axis, ask, len(ids), step)
    people, unscored = gold(ws, axis, known), int(lost.sum())
    trial = _Trial(axis, votes, ids, drawn, people.classes, unscored)
    names = [one.name for one in mine[axis.name] if one in voters]
    facts = {
        "file": str(path), "axis": axis.name, "samples": drawn, "labelled_by_people": int((trial.gold >= 0).sum()),
        "unscored": unscored, "gold_waiting": people.waiting, "functions": [trial.of(name) for name in names],
    }  # fmt: skip
    if sliced := [one for one in mine[axis.name] if one not in voters]:
        facts["slices"] = list(_sizes(sliced, ask, drawn))
    return Tried(facts, {name: trial.examples(name) for name in names})


def _drawn(ws: Workspace, axis: Axis, size: int) -> tuple[int, list[str]]:
    """How many survivors were drawn, and their ids, before those of the others that people labelled."""
    some = list(islice((one.id for one in eligibility.standings(ws.catalog) if one.survives), size))
    people = views.humans(ws.catalog, axis.name, ws.config.taxonomy.version, axis.classes)
    missing = people.keys() - set(some)
    alive = missing and {one.id for one in eligibility.standings(ws.catalog) if one.survives}
    return len(some), [*some, *sorted(missing & set(alive))]


def _sizes(sliced: Sequence["LabelingFunction"], ask: Any, drawn: int) -> Iterator[dict[str, object]]:
    import numpy as np

    nobody = np.full(drawn, -1)
    for one in slices.report(sliced, ask, np.ones(drawn, dtype=bool), nobody, nobody):
        yield {key: one[key] for key in ("name", "samples", "faults", "fault")}


@dataclass(frozen=True)
class _Trial:
    axis: Axis
    votes: Votes
    ids: Sequence[str]
    drawn: int  # how many rows, the first ones, stand for all
    gold: "np.ndarray"
    unscored: int

    def of(self, name: str) -> dict[str, Any]:
        """What there is to say of one function: shares of the rows that stand for all, accuracy on all gold."""
        column, some = self.votes.names.index(name), replace(self.votes, matrix=self.votes.matrix[: self.drawn])
        said = next(one for one in report(self.votes, self.gold) if one["name"] == name)
        share = next(one for one in report(some, self.gold[: self.drawn]) if one["name"] == name)
        right = round((said["accuracy"] or 0) * said["gold"])
        found = said | {key: share[key] for key in ("coverage", "overlap", "conflict")}
        found |= {"interval": wilson(right, said["gold"])}
        counts = self._counts(some.matrix[:, column])
        safe = [one in self.axis.safe for one in self.axis.classes]
        flagged = flags.flags(some.matrix, some.sets, safe)
        alone = int((flagged[:, column] & (flagged.sum(axis=1) == 1)).sum())
        found |= {"votes": counts, "flags_alone": alone, **self._beside(some.matrix, column)}
        if not counts and self.unscored:
            found["help"] = f"{name} never votes: what it reads may have no scores yet; `curate label`, then try again"
        return found

    def _counts(self, votes: "np.ndarray") -> dict[str, int]:
        return {self._words(place): int((votes == place).sum()) for place in sorted({*votes.tolist()} - {-1})}

    def _words(self, place: int) -> str:
        if place == FAILED:
            return "failed"
        return "|".join(self.axis.classes[n] for n in self.votes.sets[place].nonzero()[0])

    def _beside(self, matrix: "np.ndarray", column: int) -> dict[str, dict[str, Any]]:
        """The functions that it contradicts most, with rows; and those that vote as it does, with the share of the rows
        on which either votes."""
        against, alike = dict[str, int](), dict[str, float]()
        mine = matrix[:, column]
        for other, name in enumerate(self.votes.names):
            theirs = matrix[:, other]
            both, either = (mine >= 0) & (theirs >= 0), (mine >= 0) | (theirs >= 0)
            apart = ~(self.votes.sets[mine.clip(0)] & self.votes.sets[theirs.clip(0)]).any(axis=1)
            if other != column and (n := int((both & apart).sum())):
                against[name] = n
            if other != column and (same := int((both & (mine == theirs)).sum())):
                alike[name] = round(same / int(either.sum()), 4)
        return {"contradicts": _top(against), "votes_as": _top(alike)}

    def examples(self, name: str) -> dict[str, list[str]]:
        """A few ids of each vote, the first ones: their order is as good as chance."""
        votes = self.votes.matrix[:, self.votes.names.index(name)].tolist()
        found: dict[str, list[str]] = {self._words(place): [] for place in sorted({*votes} - {-1})}
        for one, place in zip(self.ids, votes, strict=True):
            if place != -1 and len(some := found[self._words(place)]) < SHOWN:
                some.append(one)
        return found


def _top(found: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:RIVALS])


def lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """The same for people: a few lines a function."""
    people = facts["labelled_by_people"]
    yield f"{facts['file']} on {facts['samples']:,} samples of axis {facts['axis']}, {people:,} labelled by people"
    if facts["gold_waiting"]:
        yield f"{facts['gold_waiting']:,} more that people labelled wait for `curate dedupe`: some may be test samples"
    if facts["unscored"]:
        yield f"{facts['unscored']:,} of them have no scores yet; `curate label` makes them"
    for one in facts["functions"]:
        yield from _lines_of(one, facts["samples"])
    for one in facts.get("slices", ()):
        yield f"{one['name']}: a slice of {one['samples']:,} samples"
        if one["faults"]:
            yield f"  failed on {one['faults']:,}, first with {one['fault']}"
    if "page" in facts:
        yield f"examples of each vote, obscured: {facts['page']}"


def _lines_of(one: Mapping[str, Any], n: int) -> Iterator[str]:
    votes = ", ".join(f"{name} {count:,}" for name, count in one["votes"].items()) or "never"
    yield f"{one['name']}: votes {votes}"
    yield f"  coverage {one['coverage']:.1%}, beside others {one['overlap']:.1%}, in conflict {one['conflict']:.1%}"
    if one["contradicts"]:
        yield "  contradicts " + ", ".join(f"{name} on {count:,}" for name, count in one["contradicts"].items())
    if one["votes_as"]:
        yield "  votes as " + ", ".join(f"{name} on {share:.0%}" for name, share in one["votes_as"].items())
    if one["gold"]:
        low, high = one["interval"]
        yield f"  right on {one['accuracy']:.1%} of {one['gold']:,} that people labelled ({low:.1%} to {high:.1%})"
    elif one["coverage"]:
        yield "  nobody has labelled what it votes on (`curate queue gold`, then `curate review gold`)"
    if one["flags_alone"] > flags.LOUD * n and 2 * one["faults"] <= one["flags_alone"]:
        yield f"  it alone would keep back {one['flags_alone']:,} as not safe: raise its threshold, or see label.advise"
    yield from (f"  {said}" for said in helps(one))
