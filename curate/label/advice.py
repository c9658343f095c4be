"""Functions that only advise: what they alone keep back is let go as far as an audit saw it, and no further."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.errors import UsageError
from curate.fingerprint import fingerprint
from curate.label import flags, table
from curate.label.flags import Accusations
from curate.records import Axis
from curate.stats.intervals import at_most
from curate.store import samples, views

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from curate.store.workspace import Workspace

AUDITED, MISSES = 300, 0.01  # a function may be set to advise from so many decisions on, and up to so many misses
NAME = "audited"  # the tables of what queues were drawn from
Facts = dict[str, dict[str, float]]


def record(ws: "Workspace", axis: Axis, queue: str, ids: Sequence[str]) -> None:
    """Write down which functions flag each of the samples that a queue is drawn from, by the labels in force.

    What is declared not safe is left out, as no function keeps it back alone; without labels nothing is written.
    """
    import numpy as np
    import pyarrow as pa

    weak = table.columns(ws, axis)
    if weak is None:
        return
    said = flags.accusations(ws, axis, weak.ids, weak.rest.flags(axis.safe)).of(ids)
    rows = np.flatnonzero(said.flagged.any(axis=1) & ~said.declared).tolist()
    names = np.array(weak.rest.functions, dtype=object)
    by = [names[said.flagged[row]].tolist() for row in rows]
    known = {"id": pa.array([ids[row] for row in rows], pa.string()), "by": pa.array(by, pa.list_(pa.string()))}
    ws.table(NAME, fingerprint(queue)).write("all", pa.table(known))


@dataclass(frozen=True)
class Advice:
    """`facts` of each function that advises, for the report; `spared` bool[n, m], the flags that count for nothing."""

    facts: Facts
    spared: "np.ndarray"


def advice(ws: "Workspace", axis: Axis, names: Sequence[str], found: Accusations) -> Advice:
    """What audited decisions say of each function that is set to advise, on samples that only it keeps back, now and
    when the audit was drawn: how many there are, how many of those are not safe, and the share of them that may be, at
    95 % confidence. `unaudited`: how many it alone keeps back that were no part of that; these it goes on keeping back.

    Raises UsageError where no audit has 300, or where more than 1 % of them may not be safe.
    """
    import numpy as np

    advised = [column for column, name in enumerate(names) if name in ws.config.label.advise]
    spared, facts = np.zeros_like(found.flagged), {}
    audits = list(_audits(ws, axis, names, found)) if advised else []
    for column in advised:
        others = [other for other in advised if other != column]
        alone = found.without(others).alone(column)
        seen = [(one.then.without(others).alone(column) & alone, one.judged) for one in audits]
        each = [(_facts(axis, rows, [judged]), rows) for rows, judged in seen]
        borne = [rows for one, rows in each if _bears(one)]
        covered = np.any(borne, axis=0) if borne else np.zeros_like(alone)
        best = max((one for one, _ in each), key=lambda one: one["audited"], default=_facts(axis, alone, []))
        said = _facts(axis, covered, [judged for _, judged in seen]) if borne else best
        if not _bears(said):
            raise _refusal(axis, names[column], said)
        spared[:, column] = covered
        facts[names[column]] = {**said, "unaudited": int((alone & ~covered).sum())}
    return Advice(facts, spared)


def spread(ws: "Workspace", ids: "pa.Array", survivors: "pa.Array", spared: "np.ndarray") -> "np.ndarray | None":
    """The flags bool[n, m] of all that were asked, from those of the survivors: a collapse set is one picture. None
    where all count."""
    import numpy as np

    if not spared.any():
        return None
    sets = samples.collapse_sets(ws.catalog)
    of_sets = np.zeros((sets.place.max(initial=-1) + 1, spared.shape[1]), dtype=bool)
    rows = sets.rows(survivors)
    of_sets[sets.place[rows[rows >= 0]]] = spared[rows >= 0]
    here = sets.rows(ids)
    found: np.ndarray = of_sets[sets.place[here]] & (here >= 0)[:, None]  # what was taken down since is no more
    return found


@dataclass(frozen=True)
class _Audit:
    """Who flagged each row when a queue was drawn (a last column: functions that are no more), and what people said of
    the rows since, by row."""

    then: Accusations
    judged: dict[int, set[str]]


def _audits(ws: "Workspace", axis: Axis, names: Sequence[str], found: Accusations) -> Iterator[_Audit]:
    import numpy as np

    at = {name: row for row, name in enumerate(found.ids.to_pylist())}
    columns = {name: column for column, name in enumerate(names)}
    judged: defaultdict[str, dict[int, set[str]]] = defaultdict(dict)
    for one in views.audited(ws.catalog, axis.name, ws.config.taxonomy.version):
        if one.sample in at:
            judged[one.queue].setdefault(at[one.sample], set()).add(one.label)
    for queue, labels in sorted(judged.items()):
        flagged = np.zeros((len(at), len(names) + 1), dtype=bool)
        drawn = ws.table(NAME, fingerprint(queue)).read()
        for one in drawn.to_pylist() if drawn is not None else ():
            if (row := at.get(one["id"])) is not None:
                flagged[row, [columns.get(name, -1) for name in one["by"]]] = True
        yield _Audit(Accusations(found.ids, flagged, np.zeros(len(at), dtype=bool)), labels)


def _facts(axis: Axis, rows: "np.ndarray", judged: Sequence[dict[int, set[str]]]) -> dict[str, float]:
    """Of some rows bool[n]: on how many people decided, and on how many of these that it is not safe."""
    said: defaultdict[int, set[str]] = defaultdict(set)
    for one in judged:
        for row, labels in one.items():
            if rows[row]:
                said[row] |= labels
    misses = sum(not labels <= set(axis.safe) for labels in said.values())
    return {"audited": len(said), "misses": misses, "at_most": at_most(misses, len(said))}


def _bears(said: dict[str, float]) -> bool:
    return said["audited"] >= AUDITED and said["at_most"] <= MISSES


def _refusal(axis: Axis, name: str, said: dict[str, float]) -> UsageError:
    return UsageError(
        f"label.advise: {name}: {said['audited']} audited decisions on what it alone keeps back on axis {axis.name},"
        f" {said['misses']} of them not safe: {said['at_most']:.1%} may be; {AUDITED} decisions of one audit and at"
        f" most {MISSES:.0%} are needed (`curate queue audit`, once it has voted)"
    )
