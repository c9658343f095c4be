"""`curate queue`: draws what people are asked next, once, and keeps it: the same catalog and seed, the same queue."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from curate.contracts import CandidatePool, QueryStrategy, Selection
from curate.errors import UsageError
from curate.fingerprint import canonical
from curate.label.advice import record
from curate.options import suggest
from curate.plugins import name_of, options_of
from curate.records import Axis
from curate.review import yields
from curate.review.assignment import available_items
from curate.review.pool import Frame, frame
from curate.stats.intervals import wilson
from curate.store import clusters, views
from curate.store.catalog import now
from curate.store.workspace import Workspace

SIZE = 200


@dataclass(frozen=True)
class Draw:
    """What is asked for: which axis (None: the first), how many items, and whether to draw beside what there is."""

    axis: str | None = None
    size: int = SIZE
    again: bool = False


def queue(ws: Workspace, plugin: QueryStrategy, asked: Draw) -> dict[str, Any]:
    """Draw a queue, or say what the one that is there holds: counts only, never an id.

    A queue bears its plug-in's name, on a further axis with that behind it, and from the second draw on a number.
    Raises UsageError for an axis that does not exist, or where there is nothing to ask.
    """
    axis = _axis(ws, asked.axis)
    kind = name_of(plugin)
    stem = kind if axis == ws.config.taxonomy.first else f"{kind}-{axis.name}"
    known = [
        row[0] for row in ws.catalog.all("SELECT queue FROM queues WHERE kind = ? AND axis = ?", (kind, axis.name))
    ]
    if known and not asked.again:
        return describe(ws, newest(ws, stem)) | {"made": False}
    name = f"{stem}-{len(known) + 1}" if known else stem
    found = frame(ws, axis, f"{ws.config.review.seed}\0{name}")
    picks, rows = _rows(ws, plugin, asked.size, found, axis)
    if not rows:
        raise UsageError(f"queue {name}: there is nothing to ask ({_known(found.pool)})")
    if plugin.reported:
        record(ws, axis, name, found.pool.samples)
    _record(ws, (name, kind, axis), plugin, found, rows, picks)
    return describe(ws, name) | {"made": True}


def newest(ws: Workspace, name: str) -> str:
    """The last draw under a name (`audit`: `audit-2`); the name itself where it was not drawn again."""
    sql = "SELECT queue FROM queues WHERE queue = ? OR queue GLOB ? ORDER BY created_at DESC, queue DESC LIMIT 1"
    return str(ws.catalog.scalar(sql, (name, f"{name}-[0-9]*")) or name)


def describe(ws: Workspace, name: str) -> dict[str, Any]:
    """What a queue holds, by stratum, and how far people have come: counts only, never an id."""
    rows = ws.catalog.all("SELECT * FROM queues WHERE queue = ?", (name,))
    if not rows:
        known = [row[0] for row in ws.catalog.all("SELECT queue FROM queues ORDER BY queue")]
        raise UsageError(f"queue {name}: none was drawn; {suggest(name, known) if known else 'there are none yet'}")
    shown = available_items(ws.catalog, name)
    sql = "SELECT count(DISTINCT sample) FROM in_force WHERE queue = ?"
    detail = json.loads(rows[0]["detail"])
    return {
        "queue": name,
        **{key: rows[0][key] for key in ("kind", "axis", "seed")},
        **{key: bool(rows[0][key]) for key in ("blind", "reported")},
        "gone": detail["items"] - len(shown),
        "judged": ws.catalog.scalar(sql, (name,)),
        "double": sum(row["raters"] == 2 for row in shown),
        "recent": None if rows[0]["blind"] else yields.recent(ws.catalog, name),
        **detail,
        **_clusters(ws, rows[0]),
    }


def _clusters(ws: Workspace, row: Any) -> dict[str, Any]:
    """How many clusters a queue has, of how many samples, in which state, and how pure they are by the members that
    were judged one by one, with a 95 % interval; nothing for a queue without any."""
    axis = next((one for one in ws.config.taxonomy.axes if one.name == row["axis"]), Axis())
    every = clusters.clusters(ws.catalog, row["axis"], row["taxonomy"], axis.classes)
    found = [one for one in every if one.queue == row["queue"]]
    if not found:
        return {}
    (agreed, audited), states = clusters.purity(found), Counter(one.state for one in found)
    return {
        "clusters": {
            "n": len(found), "members": sum(len(one.members) for one in found), **states, "audited": audited,
            "agreed": agreed, "purity": round(agreed / audited, 4) if audited else None,
            "interval": wilson(agreed, audited),
        }
    }  # fmt: skip


def _known(pool: CandidatePool) -> str:
    """What there is to choose by: what lacks may be why nothing was picked."""
    parts = [f"{len(pool.samples)} samples to choose from", f"{int(pool.judged.sum())} judged"]
    if pool.embeddings is None:
        parts.append("no embeddings: no labeler of curate.toml has made any, as efficientnet_lite0 does")
    if pool.out_of_fold is None:
        parts.append("no bootstrap classifier")
    return "; ".join(parts)


# -- drawing ---------------------------------------------------------------------------------------------------------

Item = tuple[str, int, str | None, float | None, int, bool, bool]  # as the table has it, from `sample` on


def _axis(ws: Workspace, name: str | None) -> Axis:
    axes = {axis.name: axis for axis in ws.config.taxonomy.axes}
    if name is not None and name not in axes:
        raise UsageError(f"axis: no such axis '{name}'; {suggest(name, axes)}")
    return axes[name] if name is not None else ws.config.taxonomy.first


def _rows(
    ws: Workspace, plugin: QueryStrategy, size: int, found: Frame, axis: Axis
) -> tuple[list[Selection], list[Item]]:
    """What was picked, and the queue's rows. Gold goes among what is not blind only: there it looks like what is judged
    twice."""
    config, pool = ws.config.review, found.pool
    mixed = not plugin.blind and config.double > 0
    known = views.settled(ws.catalog, axis.name, ws.config.taxonomy.version, axis.classes) if mixed else {}
    gold = [n for n, name in enumerate(pool.samples) if name in known][: round(config.gold * size)]
    picks = [one for one in plugin.pick(pool, size - len(gold)) if one.row not in set(gold)]
    twice = {one.row for one in sorted(picks, key=lambda one: one.row)[: round(config.double * len(picks))]}
    order = {row: place for place, row in enumerate(_ordered(ws, found, [*(one.row for one in picks), *gold]))}
    rows = []
    for one in picks:
        people = one.people or (2 if one.row in twice else 1)
        chance = one.inclusion if plugin.reported else None
        row = (pool.samples[one.row], order[one.row], one.stratum or None, chance, people)
        rows.append((*row, plugin.blind or people > 1, False))
    return picks, rows + [(pool.samples[row], order[row], "gold", None, 0, True, True) for row in gold]


def _ordered(ws: Workspace, found: Frame, rows: Iterable[int]) -> list[int]:
    """Mixed: in the pool's random order. By severity: what is least likely safe, or has no label, last."""
    import numpy as np

    if ws.config.review.order == "mixed":
        return sorted(rows)
    unsafe = np.nan_to_num(found.pool.unsafe, nan=2.0)
    return sorted(rows, key=lambda row: (unsafe[row], row))


def _record(
    ws: Workspace, named: tuple[str, str, Axis], plugin: QueryStrategy, found: Frame, rows: Sequence[Item],
    picks: Sequence[Selection],
) -> None:  # fmt: skip
    name, kind, axis = named
    ids = found.pool.samples
    stand = ((name, ids[one.row], ids[row], place) for one in picks for place, row in enumerate(one.members))
    detail = canonical(
        {
            "items": len(rows),
            "strata": _strata(rows),
            "gold": sum(row[-1] for row in rows),
            "left_out": dict(found.left_out),
            "options": options_of(plugin),
            "frame": {"n": len(found.pool.samples), "sha256": found.sha256},
            "labelling": ws.catalog.scalar("SELECT fingerprint FROM labellings WHERE axis = ?", (axis.name,)),
        }
    )
    head = (name, kind, axis.name, ws.config.taxonomy.version, ws.config.review.seed, plugin.reported, plugin.blind)
    with ws.catalog.tx() as db:
        if db.execute("SELECT 1 FROM queues WHERE queue = ?", (name,)).fetchone():
            raise UsageError(f"queue {name}: somebody else drew it just now; run it again")
        db.execute("INSERT INTO queues VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*head, detail, now(), ws.catalog.run))
        sql = "INSERT INTO queue_items VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        db.executemany(sql, ((name, *row) for row in rows))
        called = ((name, row[0], found.called[row[0]]) for row in rows if row[0] in found.called)
        db.executemany("INSERT INTO queue_labels VALUES (?, ?, ?)", called)
        db.executemany("INSERT INTO queue_members VALUES (?, ?, ?, ?)", stand)
        ws.catalog.append(db, "queue", None, {"queue": name, "items": len(rows)})


def _strata(rows: Sequence[Item]) -> dict[str, dict[str, Any]]:
    """Of each stratum, how many were drawn, and the chance that each had where it is known."""
    counts = Counter(row[2] for row in rows if row[2] is not None)
    chances = {row[2]: round(row[3], 6) for row in rows if row[3] is not None}
    return {
        name: {"n": n} | ({"inclusion": chances[name]} if name in chances else {}) for name, n in sorted(counts.items())
    }
