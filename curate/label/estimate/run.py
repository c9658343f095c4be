"""`curate estimate`: precision, recall, prevalence and false alarms, from the decisions of an audit.

Every judged item stands for as many as its stratum has to each judged one. Prediction-powered inference was left out:
on top of strata it gained nothing to speak of (docs/decisions.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from curate.errors import UsageError
from curate.label import table
from curate.label.estimate import frame
from curate.label.estimate.calls import LABELS, NOT_SAFE, Calls, Score, of_labels, of_score
from curate.label.estimate.draws import UNKNOWN, Drawn, drawn
from curate.label.estimate.plan import Wanted, lasting, plan
from curate.records import Axis
from curate.stats.allocation import figures, parts
from curate.stats.intervals import rounded
from curate.stats.stratified import ALPHA, Counts, anytime, interval, share
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

# What one cell of `figures` may hold more, where something could not be judged: what is called, and what is not.
OPEN = {"prevalence": ("both", "both"), "precision": ("called", "called"), "recall": ("called", "rest"),
        "false_alarm_rate": ("called", "rest")}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """Which axis, which draw (None: the newest that was judged), a score beside the labels, a width to plan for."""

    axis: Axis
    queue: str | None = None
    score: Score | None = None
    wanted: Wanted | None = None


def estimate(ws: Workspace, asked: Asked, labelers: Sequence[Any] = ()) -> dict[str, Any]:
    """What `curate estimate` answers. Raises UsageError where no audit was judged, and as `drawn`, `of_score` and
    `plan` do."""
    found = drawn(ws, asked.axis, asked.queue)
    known = _Known.of(ws, asked.axis, found)
    calls = [known.labels] + ([of_score(ws, asked.score, known.ids, labelers)] if asked.score else [])
    samples = {(one.name, cls): _Sample(known, one, cls) for one in calls for cls in one.called}
    rows = [row for sample in samples.values() for row in sample.rows()]
    said = {
        "axis": asked.axis.name, "queue": found.queue, "frame": known.facts(ws), "decisions": found.states(),
        "strata": list(_strata(found)), "not_called": {one.name: known.silent(one) for one in calls},
        "figures": rows,
    }  # fmt: skip
    if asked.wanted is not None:
        sample = samples[asked.wanted.key(samples)]
        if asked.wanted.what in ("precision", "recall") and not sample.calls.called[sample.cls][: known.n].any():
            raise UsageError(
                f"--plan: {sample.calls.name}: nothing is called {sample.cls}, so its recall is 0 and its precision is"
                " of nothing, however many are judged"
            )
        said["plan"] = plan(ws, found, asked.wanted, sample.planned())
    return said


def _strata(found: Drawn) -> Iterator[dict[str, Any]]:
    for n, (name, size) in enumerate(zip(found.strata, found.sizes, strict=True)):
        mine = [one for one in found.items if one.stratum == n]
        yield {"name": name, "size": size, "drawn": len(mine), "judged": sum(one.state == "judged" for one in mine)}


@dataclass(frozen=True)
class _Known:
    """A draw with what is known of its frame: `ids` are those of the frame as it is now, then drawn ones beyond it.

    `within` int64[n]: the stratum of each of the frame, -1 beyond it; None where the frame or the labels by which it
    was drawn have changed, so that nobody can say.
    """

    axis: Axis
    drawn: Drawn
    ids: Sequence[str]
    n: int  # of the frame, the first ones
    current: bool
    labels: Calls
    within: "np.ndarray | None"

    @classmethod
    def of(cls, ws: Workspace, axis: Axis, found: Drawn) -> "_Known":
        now, _ = frame.survivors(ws)
        current = frame.digest(now) == found.detail["frame"]["sha256"]
        beyond = {one.sample for one in found.items if one.sample is not None} - set(now)
        ids = [*now, *sorted(beyond)]
        labels = of_labels(ws, axis, ids, found.queue)
        within = _within(ws, axis, found, now, labels) if current and found.kind == "audit" else None
        return cls(axis, found, ids, len(now), current, labels, within)

    @cached_property
    def rows(self) -> "np.ndarray":
        """int64[drawn], where each drawn item is in `ids`; -1: gone."""
        import numpy as np

        wanted = {one.sample for one in self.drawn.items}
        at = {name: place for place, name in enumerate(self.ids) if name in wanted}
        return np.array([at.get(one.sample or "", -1) for one in self.drawn.items], dtype=np.int64)

    def facts(self, ws: Workspace) -> dict[str, Any]:
        """Which frame the figures are about, and whether the catalog still is it."""
        return {
            **self.drawn.detail["frame"], "drawn_at": self.drawn.created, "current": self.current,
            "natural": frame.natural(ws),
        }  # fmt: skip

    def silent(self, calls: Calls) -> dict[str, float | None]:
        """The shares of the frame of which nothing is said."""
        return {why: rounded(some[: self.n].mean()) if self.n else None for why, some in sorted(calls.silent.items())}


def _within(ws: Workspace, axis: Axis, found: Drawn, ids: Sequence[str], labels: Calls) -> "np.ndarray | None":
    """The stratum of every item of the frame, as the audit parted them; None where other labels are in force."""
    import numpy as np

    if found.detail.get("labelling") != ws.catalog.scalar(
        "SELECT fingerprint FROM labellings WHERE axis = ?", (axis.name,)
    ):
        return None
    unsafe = _unsafe(ws, axis, ids)
    contradicted = labels.silent["contradicted"][: len(ids)]
    within = np.full(len(labels.silent["contradicted"]), -1)
    for name, rows in parts(np.where(contradicted, np.nan, unsafe), contradicted, found.detail["options"]["strata"]):
        if name not in found.strata:
            return None
        within[rows] = found.strata.index(name)
    return within


def _unsafe(ws: Workspace, axis: Axis, ids: Sequence[str]) -> "np.ndarray":
    import numpy as np

    weak = table.read(ws, axis)
    if weak is None:
        return np.full(len(ids), np.nan)
    at = {name: place for place, name in enumerate(weak.ids)}
    each = np.append(weak.probabilities, np.full((1, weak.probabilities.shape[1]), np.nan), axis=0)
    safe = [name in axis.safe for name in weak.classes]
    found: np.ndarray = 1 - each[[at.get(one, -1) for one in ids]][:, safe].sum(axis=1)
    return found


class _Sample:
    """The drawn items by stratum, against the calls of one class."""

    def __init__(self, known: _Known, calls: Calls, cls: str) -> None:
        import numpy as np

        self.known, self.calls, self.cls = known, calls, cls
        self.items, self.strata = known.drawn.items, len(known.drawn.strata)
        self._stratum = np.array([one.stratum for one in self.items])
        self._called = np.append(calls.called[cls], False)[known.rows]  # the last: gone, and so without a label
        self._judged = np.array([one.state == "judged" for one in self.items])
        self._unknown = np.array([one.state in UNKNOWN for one in self.items])
        self._positive = np.array([one.state == "judged" and self._is(str(one.label)) for one in self.items])
        self.size = np.array(known.drawn.sizes, dtype=np.float64)

    def _is(self, label: str) -> bool:
        return label not in self.known.axis.safe if self.cls == NOT_SAFE else label == self.cls

    def _count(self, rows: "np.ndarray") -> "np.ndarray":
        import numpy as np

        return np.bincount(self._stratum[rows], minlength=self.strata).astype(np.float64)

    def cells(self) -> "np.ndarray":
        """float64[4, h], judged items that are called rightly, wrongly, missed, rightly not called."""
        import numpy as np

        called, positive = self._called & self._judged, self._positive
        rows = (called & positive, called & ~positive, ~called & positive, self._judged & ~called & ~positive)
        return np.array([self._count(one) for one in rows])

    def can(self) -> dict[str, Any]:
        """bool[h], where there are items that are called, and that are not."""
        import numpy as np

        if self.known.within is None:
            return {"called": True, "rest": True, "both": True}
        called = self.calls.called[self.cls]
        found: dict[str, Any] = {"both": True}
        for name, some in (("called", called), ("rest", ~called)):
            rows = some & (self.known.within >= 0)
            found[name] = np.bincount(self.known.within[rows], minlength=self.strata) > 0
        return found | {"called": found["called"] | (self.cells()[:2].sum(axis=0) > 0)}

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each figure, as the answer has it. Prevalence is one whatever is called, and stands beside the labels."""
        drawn, judged = self.known.drawn, self._count(self._judged)
        unknown = {"called": self._count(self._unknown & self._called), "both": self._count(self._unknown),
                   "rest": self._count(self._unknown & ~self._called)}  # fmt: skip
        n, planned, can = drawn.judged, len(drawn.items), self.can()
        alpha = ALPHA if drawn.finished else float(anytime(n, planned))
        for what, (a, b) in figures(self.cells()).items():
            if what == "prevalence" and self.calls.name != LABELS:
                continue
            more_a, more_b = OPEN[what]
            counts = Counts(self.size, judged, a, b, can[more_a], can[more_b])
            every = judged + unknown["both"]
            low = Counts(self.size, every, a, b + unknown[more_b], can[more_a], can[more_b])
            high = Counts(self.size, every, a + unknown[more_a], b, can[more_a], can[more_b])
            value, ends = share(counts), interval(low, high, alpha)
            yield {
                "what": what, "class": self.cls, "score": self.calls.name,
                "value": None if value != value else rounded(float(value)),
                "low": rounded(float(ends[0])), "high": rounded(float(ends[1])), "n": n, "planned": planned,
                "design": "fixed" if drawn.finished else "sequence", "rests_on": int((a + b).sum()),
            }  # fmt: skip

    def planned(self) -> tuple["np.ndarray", "np.ndarray"]:
        """What `plan` needs: judged items by cell, float64[4, h]; the share of each stratum that is called."""
        import numpy as np

        cells, within = self.cells(), self.known.within
        n = cells.sum(axis=0)
        if within is None:
            return cells, np.divide(cells[:2].sum(axis=0), n, out=np.zeros_like(n), where=n > 0)
        called = np.bincount(within[(within >= 0) & self.calls.called[self.cls]], minlength=self.strata)
        return cells, called / np.maximum(np.bincount(within[within >= 0], minlength=self.strata), 1)


def lines(said: Mapping[str, Any]) -> Iterator[str]:
    """The same for people: what it is about, a line a figure, what it does not know."""
    about, counts = said["frame"], said["decisions"]
    planned = sum(counts.values())
    yield f"axis {said['axis']}: {about['n']:,} items, frame {about['sha256'][:12]}, drawn {about['drawn_at'][:10]}"
    if not about["current"]:
        yield "the catalog holds other items by now: the figures are about those that were there at the draw"
    yield ("every source lists uploads as they come: prevalence is natural" if about["natural"] else
           "prevalence is that of this collection, and of nothing else: its sources are no random sample of uploads,"
           " and there is none to reweight by")  # fmt: skip
    yield f"{said['queue']}: {counts['judged']:,} of {planned:,} planned decisions" + _rest(counts)
    if counts["open"]:
        yield "under way: the intervals hold at every look, and are wider than at the end"
    for one in said["figures"]:
        value = "-" if one["value"] is None else f"{one['value']:.1%}"
        name = f"{one['what'].replace('_', ' ')} of {one['class']}"
        ends = f"{one['low']:.1%} to {one['high']:.1%}"
        yield f"  {name:<34} {value:>7}  {ends}  ({one['score']}; {one['rests_on']:,} items)"
    for name, shares in said["not_called"].items():
        some = ", ".join(f"{share:.1%} {why}" for why, share in shares.items() if share)
        if some:
            yield f"{name}: {some}: these count as not called, which recall bears"
    for one in said["strata"]:
        if not one["judged"]:
            yield f"stratum {one['name']}: nothing of {one['size']:,} is judged; the intervals allow for anything there"
    if "plan" in said:
        asked, hours = said["plan"], said["plan"]["hours"]
        pace = "nobody's pace is known yet" if hours is None else f"{lasting(hours)} at the pace of the journal"
        yield f"plan: {asked['what']} within {asked['half_width']:g}: {asked['decisions']:,} decisions, {pace}"


def _rest(counts: Mapping[str, int]) -> str:
    some = ", ".join(f"{counts[one]:,} {one}" for one in UNKNOWN if counts[one])
    return f"; {some}: the intervals allow for both answers" if some else ""
