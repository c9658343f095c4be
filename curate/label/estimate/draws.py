"""One draw of an audit: its strata, and what became of each item that was drawn."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from curate.errors import UsageError
from curate.options import suggest
from curate.records import Axis
from curate.store import holds, samples, views
from curate.store.workspace import Workspace

State = Literal["judged", "unsure", "tied", "skipped", "gone", "open"]
UNKNOWN: tuple[State, ...] = ("unsure", "tied", "skipped", "gone")  # worst-case bounds; `open` may still be judged


@dataclass(frozen=True, slots=True)
class Item:
    """One that was drawn: of which stratum, what people say of it where they do. `sample` is None once it is gone."""

    sample: str | None
    stratum: int
    state: State
    label: str | None = None


@dataclass(frozen=True)
class Drawn:
    """A draw. `sizes` are the strata's items in the frame, in the order of `strata`."""

    queue: str
    kind: str
    created: str
    strata: Sequence[str]
    sizes: Sequence[int]
    items: Sequence[Item]
    detail: Mapping[str, Any]

    @property
    def judged(self) -> int:
        """Items on which figures rest."""
        return sum(one.state == "judged" for one in self.items)

    @property
    def finished(self) -> bool:
        """Whether nothing of it is to be judged any more."""
        return all(one.state != "open" for one in self.items)

    def states(self) -> dict[str, int]:
        """How many are in each state."""
        counts = Counter(one.state for one in self.items)
        return {state: counts[state] for state in ("judged", *UNKNOWN, "open")}


def drawn(ws: Workspace, axis: Axis, queue: str | None) -> Drawn:
    """The draw of this name, or the newest one that somebody has judged; strata and chances as they were recorded.

    Raises UsageError where there is none, or it is of another axis or taxonomy, or judged by nobody.
    """
    taxonomy = ws.config.taxonomy.version
    said = defaultdict[str, defaultdict[str, dict[str, str]]](lambda: defaultdict(dict))
    for one in views.audited(ws.catalog, axis.name, taxonomy):
        said[one.queue][one.sample][one.reviewer] = one.label
    rows = ws.catalog.all("SELECT * FROM queues WHERE reported AND axis = ? ORDER BY created_at, queue", (axis.name,))
    row = _chosen(ws, axis, rows, queue, set(said))
    return _read(ws, axis, row, said[row["queue"]])


def _chosen(ws: Workspace, axis: Axis, rows: Sequence[Any], queue: str | None, judged: set[str]) -> Any:
    known = {row["queue"]: row for row in rows}
    if queue is not None and queue not in known:
        raise UsageError(
            f"--queue: no audit '{queue}' of axis {axis.name}; {suggest(queue, known) if known else 'none was drawn'}"
        )
    some = [row for row in rows if queue in (None, row["queue"])]
    ours = [row for row in some if row["taxonomy"] == ws.config.taxonomy.version]
    if some and not ours:
        versions = ", ".join(sorted({row["taxonomy"] for row in some}))
        raise UsageError(
            f"estimate: the audit of axis {axis.name} is of taxonomy {versions}, and curate.toml has"
            f" {ws.config.taxonomy.version}; `curate queue audit --again` draws another one"
        )
    found = [row for row in ours if row["queue"] in judged]
    if not found:
        name = ours[-1]["queue"] if ours else "audit"
        first = "" if ours else "`curate queue audit`, then "
        raise UsageError(
            f"estimate: nobody has judged an audit of axis {axis.name}: {first}`curate review {name} --reviewer NAME`"
        )
    return found[-1]


def _read(ws: Workspace, axis: Axis, row: Any, said: Mapping[str, Mapping[str, str]]) -> Drawn:
    detail = json.loads(row["detail"])
    if not detail.get("frame"):
        raise UsageError(f"queue {row['queue']}: it does not say what it was drawn from; draw another one (--again)")
    there = ws.catalog.all("SELECT * FROM queue_items WHERE queue = ? ORDER BY sample", (row["queue"],))
    sizes, counts = _strata(row["queue"], detail, there)
    names = sorted(counts)
    skipped, out = _skipped(ws, row["queue"]), _away(ws)
    items = [_item(one, names, axis, said, skipped, out) for one in there]
    missing = Counter({n: counts[name] for n, name in enumerate(names)})
    missing.subtract(one.stratum for one in items)
    items += [Item(None, n, "gone") for n in sorted(missing.elements())]
    return Drawn(row["queue"], row["kind"], row["created_at"], names, [sizes[name] for name in names], items, detail)


def _strata(queue: str, detail: Mapping[str, Any], there: Sequence[Any]) -> tuple[dict[str, int], dict[str, int]]:
    """How many each stratum has in the frame, and how many were drawn of it. Raises UsageError where the chances of a
    stratum differ, or do not add up to the frame: of such a draw nothing is known here."""
    counts = {name: int(one["n"]) for name, one in detail.get("strata", {}).items()} or {"": len(there)}
    chances = defaultdict[str, set[float]](set)
    for one in there:
        chances[one["stratum"] or ""].add(float(one["inclusion"]))
    for name in counts.keys() - chances.keys():  # taken down as a whole
        chances[name].add(float(detail["strata"][name]["inclusion"]))
    sizes = {name: round(n / next(iter(chances[name]))) for name, n in counts.items()}
    if any(len(chances[name]) > 1 for name in counts) or sum(sizes.values()) != detail["frame"]["n"]:
        raise UsageError(f"queue {queue}: its chances do not say how large its strata are; draw it by `audit`")
    return sizes, counts


def _item(
    row: Any, names: Sequence[str], axis: Axis, said: Mapping[str, Mapping[str, str]], skipped: set[str], out: set[str]
) -> Item:
    sample, stratum = row["sample"], names.index(row["stratum"] or "")
    if answers := said.get(sample):
        counts = Counter(answers.values())
        if (found := views.consensus(counts, axis.classes)) is not None:
            return Item(sample, stratum, "judged", found.label)
        return Item(sample, stratum, "tied" if any(counts[one] for one in axis.classes) else "unsure")
    return Item(sample, stratum, "gone" if sample in out else "skipped" if sample in skipped else "open")


def _skipped(ws: Workspace, queue: str) -> set[str]:
    sql = "SELECT DISTINCT sample FROM review_events WHERE queue = ? AND kind = 'skip'"
    return {row[0] for row in ws.catalog.all(sql, (queue,))}


def _away(ws: Workspace) -> set[str]:
    """What nobody is shown any more, though it was drawn."""
    sql = "SELECT i.sample FROM queue_items i LEFT JOIN samples s ON s.id = i.sample WHERE s.id IS NULL"
    return {row[0] for row in ws.catalog.all(sql)} | set(holds.held(ws.catalog)) | samples.minors(ws.catalog)
