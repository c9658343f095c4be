"""What an audit is drawn from and what its figures are about, and whether that is a natural mix."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable

from curate.store import eligibility, samples
from curate.store.workspace import Workspace


def survivors(ws: Workspace) -> tuple[list[str], dict[str, int]]:
    """The ids of all that people may be asked about, sorted; and how many were left out, by reason."""
    minors = samples.minors(ws.catalog)
    ids, left_out = [], Counter[str]()
    for one in eligibility.standings(ws.catalog):
        if one.held is not None:
            left_out["held"] += 1
        elif one.deduped and one.reason is not None:
            left_out[one.reason] += 1
        elif one.id in minors:
            left_out["may_depict_minors"] += 1
        else:
            ids.append(one.id)
    return ids, dict(sorted(left_out.items()))


def digest(ids: Iterable[str]) -> str:
    """The name of a frame: sha256 of its ids, in their order."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def natural(ws: Workspace) -> bool:
    """Whether every source lists uploads as they came (`[[sources.uploads]]` of `commons`), none by its class."""
    rows = ws.catalog.all("SELECT plugin, options FROM sources WHERE source IN (SELECT source FROM mentions)")
    return bool(rows) and all(row["plugin"] == "commons" and _uploads(row["options"]) for row in rows)


def _uploads(options: str) -> bool:
    found = json.loads(options)
    return bool(found.get("uploads")) and not found.get("categories")
