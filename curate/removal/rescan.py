"""`curate screening rescan`: every stored sample again, from stored digests and hashes, after lists have changed."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from curate.errors import GateError
from curate.features import hashes
from curate.media import pdq
from curate.records import Digests
from curate.removal.receipts import said
from curate.removal.remove import duplicates, keys_of, pages, remove
from curate.screening import asked, preserve
from curate.screening.gate import Gate, Match
from curate.screening.quarantine import hold, open_incident, related_subjects
from curate.store.catalog import now
from curate.store.tombstones import LISTED

if TYPE_CHECKING:
    from curate.contracts import Engine
    from curate.progress import Progress
    from curate.store.workspace import Workspace

ASKED = 256  # samples that a remote matcher is asked about at once


def rescan(ws: "Workspace", gate: Gate, engine: "Engine", progress: "Progress") -> dict[str, Any]:
    """Screen all stored samples, hold back and remove what matches now, and everything derived from it.

    Each match has an incident, as at the gate; what was asked is put on record once it is done. Raises GateError where
    screening cannot answer, and where nothing can match although it must; then nothing is removed.
    """
    started = time.monotonic()
    if gate.problems or not gate.active:
        raise GateError(f"screening: {gate.lacking or 'no list is loaded'}; nothing is screened; {gate.remedy}")
    if gate.lacking:
        if gate.required:
            raise GateError(f"screening: {gate.lacking}; nothing is screened; {gate.remedy}")
        progress.note(f"screening: {gate.lacking}; nothing is screened; {gate.remedy}")
        none = {"samples": 0, "unhashed": 0, "void": [], "matched": 0, "incidents": [], "nothing": gate.lacking}
        return none | said(None) | {"seconds": 0.0}
    ids = [row[0] for row in ws.catalog.all("SELECT id FROM samples ORDER BY id")]
    done = hashes.complete(ws, ids, engine, progress)
    with progress.stage("rescan", len(ids)) as step:
        found = dict(_by_digest(ws, gate))
        for sample, match in _by_look(ws, gate, step):
            found.setdefault(sample, match)
        for sample, match in _by_matcher(ws, gate, [one for one in ids if one not in found]):
            found.setdefault(sample, match)
    there = set(ids)
    matched = {sample: found[sample] for sample in sorted(found) if sample in there}
    incidents = [_incident(ws, sample, match) for sample, match in matched.items()]
    left, shown = len(duplicates(ws.catalog, matched)), pages(ws)
    receipt = remove(ws, list(matched), LISTED) if matched else None
    asked.note(ws.catalog, gate, done.unhashed)
    ws.catalog.log("rescan", None, {"samples": len(ids), "matched": len(matched)})
    return {
        "samples": len(ids),
        "unhashed": len(done.unhashed),
        "void": done.void,
        "matched": len(matched),
        "incidents": incidents,
        **said(receipt, left, shown),
        "seconds": round(time.monotonic() - started, 3),
    }


def _by_digest(ws: "Workspace", gate: Gate) -> Iterator[tuple[str, Match]]:
    rows = ws.catalog.all("SELECT id, sha1, md5 FROM samples ORDER BY id")
    values = {"sha256": [row["id"] for row in rows], "sha1": [row["sha1"] for row in rows]}
    values["md5"] = [row["md5"] for row in rows]
    for n, match in gate.known(values):
        yield rows[n]["id"], match


def _by_look(ws: "Workspace", gate: Gate, step: Any) -> Iterator[tuple[str, Match]]:
    """The samples of which a stored hash, of any part, is listed."""
    seen = set[str]()
    for rows in hashes.all_pdq(ws):
        fresh = {one for one, part in zip(rows.ids, rows.parts, strict=True) if part == pdq.MAIN} - seen
        seen |= fresh
        step(len(fresh))
        for n, match in gate.near(rows.hashes, rows.quality):
            yield rows.ids[n], replace(match, part=rows.parts[n])


def _by_matcher(ws: "Workspace", gate: Gate, ids: Sequence[str]) -> Iterator[tuple[str, Match]]:
    """What remote matchers say of what no list knows; raises GateError where one does not answer."""
    for at in range(0, len(ids), ASKED) if gate.matchers else ():
        some = ids[at : at + ASKED]
        marks = ",".join("?" * len(some))
        rows = ws.catalog.all(f"SELECT id, sha1, md5 FROM samples WHERE id IN ({marks})", some)  # noqa: S608
        known = hashes.read_pdq(ws, [row["id"] for row in rows])
        items = [
            Digests(row["id"], row["sha1"], row["md5"], tuple(one.tobytes().hex() for one in known.hashes[n]))
            if known.quality[n] >= pdq.MIN_QUALITY
            else Digests(row["id"], row["sha1"], row["md5"])
            for n, row in enumerate(rows)
        ]
        for name, matcher in gate.matchers:
            for row, entry in zip(rows, matcher.ask(items), strict=True):
                if entry is not None:
                    yield row["id"], Match(name, entry, "remote", matcher.provider)


def _incident(ws: "Workspace", sample: str, match: Match) -> int:
    """The row of a match, with where it was found, since the catalog forgets that; it and its company are held back."""
    catalog, digest = ws.catalog, ws.catalog.digest("sha256", sample)
    sql = "SELECT incident FROM incidents WHERE kind = 'rescan' AND digest = ?"
    if (known := catalog.scalar(sql, (digest,))) is not None:
        return int(known)
    numbers = [row[0] for row in catalog.all("SELECT candidate FROM candidates WHERE sample = ?", (sample,))]
    places = [dict(row) for row in catalog.all(_PLACES, (sample,))]
    media = catalog.scalar("SELECT media_type || ' ' || width || 'x' || height FROM samples WHERE id = ?", (sample,))
    detail: dict[str, object] = {"places": places, "media": media, "tombstones": keys_of(catalog, sample)}
    detail |= _preserved(ws, sample, match, places)
    with catalog.tx() as db:
        held = {one for number in numbers for one in related_subjects(db, number)}
        incident = open_incident(catalog, db, "rescan", sample, detail, match)
        hold(db, [("sample", sample), *sorted(held)], incident, f"came with what incident {incident} is about")
        catalog.append(db, "match", sample, {"incident": incident, "list": match.list, "held": len(held)})
    return incident


_PLACES = """
SELECT c.kind, c.locator, c.final_url, c.fetched_at, m.source, m.ref, m.album, m.page_id, m.attribution
FROM candidates c JOIN mentions m USING (candidate) WHERE c.sample = ? ORDER BY c.candidate, m.source, m.ref
"""


def _preserved(ws: "Workspace", sample: str, match: Match, places: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    options = ws.config.screening
    if options.on_match != "preserve" or options.public_key is None:
        return {}
    facts = {"sha256": sample, "places": json.loads(json.dumps(places)), "at": now(), "list": match.list}
    facts |= {"entry": match.entry, "operator": options.operator}
    with ws.blobs.open(sample) as blob:
        name = preserve.seal(ws.work, preserve.public_key(options.public_key), facts, blob.read())
    return {"sealed": name, "expires": preserve.expiry(options.preserve_days)}
