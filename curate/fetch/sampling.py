"""How much of what the sources name is alive, from a stratified random sample: before days of fetching.

Strata are the declared class and the host; hosts of which few would be drawn share one. Which candidates are drawn
depends on their addresses only, so that a run that was killed asks for the same ones again.
"""

import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.errors import UsageError
from curate.fetch.wanted import WANTED, Wanted
from curate.stats.intervals import wilson
from curate.store.catalog import Catalog

FEW = 5  # of a stratum that is drawn at least, where there are as many
OTHERS, HERE, UNLABELLED = "all other hosts together", "this machine", "unlabelled"
_PENDING = f"""
SELECT c.candidate, c.host, c.locator, min(d.label) FROM candidates c
LEFT JOIN declared d ON d.candidate = c.candidate AND d.axis = ?2 WHERE c.state = 'pending' AND {WANTED}
GROUP BY c.candidate
"""  # noqa: S608 (constants)
_STATES = "SELECT candidate, state FROM candidates WHERE state <> 'pending'"


@dataclass(frozen=True)
class Stratum:
    """One class at one host: how many candidates there are, and those that are drawn."""

    label: str
    host: str
    size: int
    drawn: Sequence[int]


def draw(catalog: Catalog, wanted: Wanted, n: int) -> list[Stratum]:
    """About `n` pending candidates, those of each stratum in proportion to its size, but some of each.

    Raises UsageError where there are more classes than that.
    """
    found = defaultdict[tuple[str, str], list[tuple[bytes, int]]](list)
    for candidate, host, locator, label in catalog.iterate_tuples(_PENDING, wanted.values):
        digest = hashlib.sha256(f"{locator}".encode()).digest()
        found[label or UNLABELLED, host or HERE].append((digest, candidate))
    whole = sum(map(len, found.values()))
    strata = defaultdict[tuple[str, str], list[tuple[bytes, int]]](list)
    for (label, host), some in found.items():
        strata[label, host if len(some) * n >= FEW * whole else OTHERS] += some
    keys = sorted(strata)
    numbers = _allot([len(strata[key]) for key in keys], n)
    return [
        Stratum(*key, len(strata[key]), [one for _, one in sorted(strata[key])[:number]])
        for key, number in zip(keys, numbers, strict=True)
    ]


def _allot(sizes: Sequence[int], n: int) -> list[int]:
    """How many are drawn of each: a few, then one by one of what least is drawn of, as a share of its size."""
    whole = sum(sizes)
    if n >= whole:
        return list(sizes)
    least = next((few for few in range(FEW, 0, -1) if sum(min(size, few) for size in sizes) <= n), 0)
    if not least:
        raise UsageError(f"fetch --sample {n}: there are {len(sizes)} classes and hosts; sample {len(sizes)} or more")
    given = [min(size, least) for size in sizes]
    behind = [(few / size, one) for one, (few, size) in enumerate(zip(given, sizes, strict=True))]
    heapq.heapify(behind)
    for _ in range(n - sum(given)):
        _, one = behind[0]
        given[one] += 1
        heapq.heapreplace(behind, (given[one] / sizes[one], one))
    return given


def estimate(catalog: Catalog, strata: Sequence[Stratum]) -> dict[str, Any]:
    """What share of each stratum is stored, of each class, and of all, with 95 % intervals.

    `answered` candidates are stored or failed; those that are still pending, since their host did not answer, say
    nothing. `expected` is how many of all that was pending a whole fetch would store; `unasked` how many candidates are
    in strata of which nothing was answered, and are in no estimate.
    """
    states = dict(map(tuple, catalog.all(_STATES)))
    rows = [_row(one, Counter(states.get(candidate) for candidate in one.drawn)) for one in strata]
    labels = sorted({row["class"] for row in rows})
    classes = [{"class": label} | _over([row for row in rows if row["class"] == label]) for label in labels]
    return {"sample": _over(rows), "classes": classes, "strata": [row | _share(row) for row in rows]}


def _row(one: Stratum, states: Mapping[str | None, int]) -> dict[str, Any]:
    stored = states.get("stored", 0)
    return {"class": one.label, "host": one.host, "candidates": one.size, "asked": len(one.drawn),
            "answered": stored + states.get("failed", 0), "stored": stored}  # fmt: skip


def _share(row: Mapping[str, Any]) -> dict[str, Any]:
    n = row["answered"]
    return {"yield": round(row["stored"] / n, 4) if n else None, "interval": wilson(row["stored"], n)}


def _over(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several strata together, each with the weight of its candidates.

    The interval is Wilson's, of as many answers as a simple sample would need for the same variance; so that a small
    stratum of one kind only is not taken for certain, its variance is of two answers more, one of each kind.
    """
    known = [row for row in rows if row["answered"]]
    of = sum(row["candidates"] for row in known)
    said = {name: sum(row[name] for row in rows) for name in ("candidates", "asked", "answered", "stored")}
    said["unasked"] = said["candidates"] - of
    if not of:
        return said | {"yield": None, "interval": None, "expected": None}
    share = sum(row["candidates"] / of * row["stored"] / row["answered"] for row in known)
    variance = 0.0
    for row in known:
        smooth = (row["stored"] + 1) / (row["answered"] + 2)
        variance += (row["candidates"] / of) ** 2 * smooth * (1 - smooth) / row["answered"]
    smooth = (share * said["answered"] + 1) / (said["answered"] + 2)
    n = max(1, min(said["answered"], round(smooth * (1 - smooth) / variance)))
    return said | {"yield": round(share, 4), "interval": wilson(share * n, n), "expected": round(share * of)}
