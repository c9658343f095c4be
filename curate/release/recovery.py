"""What came of a release that was fetched anew: which rows are here, and why the others are not."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from curate.fetch.recorder import RENDITION
from curate.records import SPLITS
from curate.release.hydrate import Received, candidate_of
from curate.store.given_tables import came
from curate.store.tombstones import Blocked

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

NO_URL, UNLISTED, TAKEN_DOWN, CHANGED = "no_url", "not_listed", "taken_down", "hash_mismatch"  # why a row is not here
STORED = "stored"
HERE = (STORED, RENDITION)


def account(ws: "Workspace", source: str, release: Received) -> dict[str, Any]:
    """How much of a release is here, by class and split, and why the rest is not."""
    each: Counter[tuple[str, str, str]] = Counter()  # split, class, what became of it
    for row, fate, _ in fates(ws, release.rows, source):
        each[row["split"], row["label"], fate] += 1
    for split, classes in release.without_url.items():
        for label, n in classes.items():
            each[split, label, NO_URL] += n
    reasons: Counter[str] = Counter()
    for (_, _, fate), n in each.items():
        reasons[fate] += n
    of, recovered = sum(each.values()), sum(reasons[one] for one in HERE)
    return {
        "release": release.version,
        "rows": of,
        "recovered": recovered,
        "recovery": round(recovered / of, 4) if of else None,
        "renditions": reasons[RENDITION],
        "missing": dict(sorted((fate, n) for fate, n in reasons.items() if fate not in HERE and n)),
        "by_class": _shares(each, 1),
        "by_split": _shares(each, 0),
    }


def fates(
    ws: "Workspace", rows: Sequence[Mapping[str, Any]], source: str | None = None
) -> Iterator[tuple[Mapping[str, Any], str, str | None]]:
    """Each row with what became of it, and the sample that is here for it; by what one source listed (None: any release
    that was fetched anew)."""
    stored = {row[0] for row in ws.catalog.iterate_tuples("SELECT id FROM samples")}
    known: dict[str, tuple[Any, ...]] = {}
    for ref, *became in ws.catalog.iterate_tuples(_FATES, (source, source)):
        if ref not in known or became[0] == STORED:
            known[ref] = tuple(became)
    blocked = Blocked(ws.catalog)
    for row in rows:
        if row["id"] in stored:
            yield row, STORED, row["id"]
            continue
        fate = _fate(row, known.get(row["id"]), blocked)
        yield row, fate, known[row["id"]][3] if fate in HERE else None


def _fate(row: Mapping[str, Any], fate: Sequence[Any] | None, blocked: Blocked) -> str:
    """Why the bytes of a row are not here, or that they are in other bytes: without metadata, as a rendition."""
    if row["url"] is None:
        return NO_URL
    if fate is None:
        return TAKEN_DOWN if blocked.sha256(row["id"]) or blocked.candidate(candidate_of(row, False)) else UNLISTED
    state, reason, check, _, detail = fate
    if state == STORED:
        return STORED if came(detail) == row["id"] else RENDITION if check == RENDITION else CHANGED
    return str(reason or state)


def _shares(each: Mapping[tuple[str, str, str], int], place: int) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for key, n in sorted(each.items()):
        one = found.setdefault(key[place], {"rows": 0, "recovered": 0})
        one["rows"] += n
        one["recovered"] += n if key[2] in HERE else 0
    return {name: found[name] for name in (SPLITS if place == 0 else sorted(found)) if name in found}


_FATES = """
SELECT m.ref, c.state, c.reason, c.hash_check, c.sample, c.detail FROM mentions m JOIN candidates c USING (candidate)
WHERE m.source = ? OR (? IS NULL AND m.source IN (SELECT source FROM sources WHERE plugin = 'hydrate'))
"""


def shortfall(found: Mapping[str, Any], max_failures: int | None) -> str | None:
    """Why a release that was fetched anew is incomplete: nothing of it is here, or more failed than may."""
    kept = (NO_URL, TAKEN_DOWN, "pending", UNLISTED)
    failed = sum(n for reason, n in found["missing"].items() if reason not in kept)
    if not found["recovered"] and (failed or NO_URL in found["missing"]):
        said = ", ".join(f"{n:,} {reason}" for reason, n in found["missing"].items())
        return f"nothing of release {found['release']} is here: {said}"
    if max_failures is not None and failed > max_failures:
        return f"{failed:,} rows failed, and --max-failures allows {max_failures:,}"
    return None
