"""The journal as data: what each queue found for its decisions, how fast, and whether people repeat themselves.

A decision changes a label where it names another class than the item had when the queue was drawn (`queue_labels`).
Gold that was mixed in is left out: its answers are known.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from curate.records import UNSURE, Axis
from curate.stats.intervals import wilson
from curate.store.catalog import Catalog, Row
from curate.store.taxonomies import CARRIED

LAST = 50  # decisions that say whether more are worth while
LEAST = 2  # people whose pace together tells nobody's

_JUDGED = """
SELECT d.queue, d.sample, d.reviewer, d.label, d.seconds, l.label AS called, i.blind FROM in_force d
JOIN queue_items i ON i.queue = d.queue AND i.sample = d.sample AND NOT i.gold
LEFT JOIN queue_labels l ON l.queue = d.queue AND l.sample = d.sample
WHERE d.session IS NOT NULL AND d.queue = ? ORDER BY d.decision
"""


def recent(catalog: Catalog, queue: str) -> dict[str, int] | None:
    """How many of a queue's last LAST decisions changed a label: `{n, changed}`; None before that many were made.

    Of items that are not blind, since whoever watches the number would see what the machine says of a blind one.
    """
    known = [row for row in catalog.all(_JUDGED, (queue,)) if not row["blind"] and row["label"] != UNSURE][-LAST:]
    return (
        {"n": len(known), "changed": sum(row["called"] != row["label"] for row in known)}
        if len(known) == LAST
        else None
    )


def queues(catalog: Catalog, axis: Axis, taxonomy: str) -> list[dict[str, Any]]:
    """What each queue that somebody has worked on found; see `_queue`."""
    sql = "SELECT queue, kind FROM queues WHERE axis = ? AND taxonomy = ? ORDER BY created_at, queue"
    found = ((name, kind, catalog.all(_JUDGED, (name,))) for name, kind in catalog.all(sql, (axis.name, taxonomy)))
    return [_queue(axis, name, kind, rows) for name, kind, rows in found if rows]


def _queue(axis: Axis, name: str, kind: str, rows: Sequence[Row]) -> dict[str, Any]:
    """`flips`: of `labelled` decisions on items that had a label those that name another class, which is the error that
    was found per 100 decisions, with its 95 % interval; `missed`: found not safe where the label was safe; `new`: a
    class for what had none. `per_hour`: decisions an hour at work, where it is of LEAST people or more."""
    named = [row for row in rows if row["label"] != UNSURE]
    had = [row for row in named if row["called"] is not None]
    flips = sum(row["called"] != row["label"] for row in had)
    missed = sum(row["called"] in axis.safe and row["label"] not in axis.safe for row in had)
    ends = wilson(flips, len(had))
    timed = [row for row in rows if row["seconds"] is not None]
    spent = sum(row["seconds"] for row in timed)
    told = spent > 0 and len({row["reviewer"] for row in timed}) >= LEAST
    return {
        "queue": name, "kind": kind, "decisions": len(rows), "unsure": len(rows) - len(named), "labelled": len(had),
        "flips": flips, "missed": missed, "new": len(named) - len(had),
        "errors_per_100": round(100 * flips / len(had), 1) if had else None,
        "interval": [round(100 * end, 1) for end in ends] if ends else None,
        "per_hour": round(3600 * len(timed) / spent) if told else None,
    }  # fmt: skip


def repeats(catalog: Catalog, axis: Axis, taxonomy: str) -> dict[str, Any]:
    """How often people said the same of a sample that they judged again, in another queue: `n` pairs, each with the one
    before, how many are the `same` (a share, with its interval); `unsure` is no answer."""
    sql = (
        "SELECT sample, reviewer, label FROM in_force WHERE axis = ? AND taxonomy = ? AND shown <> ? ORDER BY decision"
    )
    given: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for sample, reviewer, label in catalog.iterate_tuples(sql, (axis.name, taxonomy, CARRIED)):
        if label in axis.classes:
            given[sample, reviewer].append(label)
    pairs = [pair for labels in given.values() for pair in pairwise(labels)]
    same = sum(one == other for one, other in pairs)
    return {
        "n": len(pairs), "same": round(same / len(pairs), 4) if pairs else None, "interval": wilson(same, len(pairs)),
    }  # fmt: skip
