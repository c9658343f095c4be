"""What is left for one reviewer in one queue, in which order, and how much of it the reviewer may know."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from curate.store import holds, samples
from curate.store.catalog import Catalog
from curate.store.clusters import SHOWN


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to judge. `position` is its place in this reviewer's order; `inclusion` is None for a blind item, too:
    the chance it had to be drawn tells what the machine thinks of it."""

    sample: str
    position: int
    axis: str
    blind: bool
    inclusion: float | None = None


def remaining_items(catalog: Catalog, queue: str, reviewer: str, axis: str) -> list[Item]:
    """What a reviewer neither judged nor declined, and not enough others have judged; what was skipped comes last."""
    judged: dict[str, set[str]] = {}
    for row in catalog.all("SELECT sample, reviewer FROM in_force WHERE queue = ? AND session IS NOT NULL", (queue,)):
        judged.setdefault(row["sample"], set()).add(row["reviewer"])
    declined, skipped = _set_aside(catalog, queue, reviewer)
    sql = "SELECT DISTINCT sample FROM in_force WHERE reviewer = ? AND axis = ?"
    elsewhere = {row[0] for row in catalog.all(sql, (reviewer, axis))}
    found = []
    for row in available_items(catalog, queue):
        by = judged.get(row["sample"], set())
        known = row["gold"] and row["sample"] in elsewhere  # whoever made an answer cannot be measured by it
        enough = 0 < row["raters"] <= len(by)
        if row["sample"] not in declined and reviewer not in by and not enough and not known:
            found.append(row)
    at = _places(catalog, queue, reviewer, found)
    found.sort(key=lambda row: (skipped.get(row["sample"], 0), at[row["sample"]], row["sample"]))
    return [_known(row, n, axis) for n, row in enumerate(found)]


def available_items(catalog: Catalog, queue: str) -> list[sqlite3.Row]:
    """Every item of a queue that is not held, not gone and not known by now to show minors, in the queue's order; where
    one stands for others, the same holds of those that are shown with it."""
    held = holds.held(catalog) | samples.minors(catalog)
    hidden = {item for item, shown in sheets(catalog, queue).items() if not held.isdisjoint(shown)}
    return [row for row in catalog.all(_ITEMS, (queue,)) if row["sample"] not in held | hidden]


def sheets(catalog: Catalog, queue: str) -> dict[str, list[str]]:
    """The samples that are shown with each item that stands for others, itself the first."""
    sql = "SELECT item, sample FROM queue_members WHERE queue = ? AND place < ? ORDER BY item, place"
    found: dict[str, list[str]] = {}
    for item, sample in catalog.iterate_tuples(sql, (queue, SHOWN)):
        found.setdefault(item, []).append(sample)
    return found


_ITEMS = """
SELECT i.* FROM queue_items i JOIN samples s ON s.id = i.sample WHERE i.queue = ? ORDER BY i.place, i.sample
"""


def _known(row: sqlite3.Row, position: int, axis: str) -> Item:
    inclusion = None if row["blind"] else row["inclusion"]
    return Item(row["sample"], position, axis, bool(row["blind"]), inclusion)


def _set_aside(catalog: Catalog, queue: str, reviewer: str) -> tuple[set[str], dict[str, int]]:
    """What the reviewer declined, and what was skipped, by when it last was."""
    sql = "SELECT sample, kind, event FROM review_events WHERE queue = ? AND reviewer = ? ORDER BY event"
    events = catalog.all(sql, (queue, reviewer))
    declined = {row["sample"] for row in events if row["kind"] == "decline"}
    return declined, {row["sample"]: int(row["event"]) for row in events if row["kind"] == "skip"}


def _places(catalog: Catalog, queue: str, reviewer: str, rows: Sequence[sqlite3.Row]) -> dict[str, float]:
    """A place in [0, 1) for each: blind items at random, a reviewer's own; others as the queue has them.

    Of others, each of n reviewers begins with every n-th, so that they do not judge the same ones at the same time.
    """
    blind = {row["sample"]: f"{queue}\0{reviewer}\0{row['sample']}" for row in rows if row["blind"]}
    places = {sample: int(catalog.digest("order", key)[:12], 16) / 16**12 for sample, key in blind.items()}
    sql = "SELECT reviewer FROM sessions WHERE queue = ? GROUP BY reviewer ORDER BY min(session)"
    who = [row[0] for row in catalog.all(sql, (queue,))]
    me, n = (who.index(reviewer), len(who)) if reviewer in who else (len(who), len(who) + 1)
    plain = [row["sample"] for row in rows if not row["blind"]]
    mine = [one for turn in range(n) for one in plain[(me + turn) % n :: n]]
    return places | {sample: (place + 0.5) / len(mine) for place, sample in enumerate(mine)}
