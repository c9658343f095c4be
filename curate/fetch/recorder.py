"""Screens, stores and records what was fetched: the only place where bytes become samples."""

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from curate.errors import ItemError, StoreError
from curate.features import hashes, leaving
from curate.features.hash_worker import Found
from curate.features.inspect import Inspection
from curate.fetch import placeholders
from curate.fetch.reopen import deciding
from curate.fingerprint import canonical
from curate.media import pdq
from curate.media.leaving import Treated
from curate.media.placeholders import placeholder
from curate.records import Digests, Reason, Response
from curate.screening import history, preserve
from curate.screening.gate import Gate, Match, Verdict
from curate.screening.quarantine import hold, open_incident, related_subjects
from curate.store import lost
from curate.store.catalog import now
from curate.store.given_tables import rewritten
from curate.store.tombstones import Blocked, scrub
from curate.store.workspace import Workspace

KEPT_HEADERS = ("content-type", "content-length", "etag", "last-modified", "x-robots-tag")
PART = 1000  # samples whose hashes make one table part
RENDITION = "rendition"  # what `hash_check` says of other bytes that are made of the same original


@dataclass(frozen=True, slots=True)
class Wanted:
    """What sources say of a candidate's bytes: the sha1; of releases, each item's sha256 and the size of renditions."""

    sha1: str | None = None
    given: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What became of a candidate: an answer of the network (or why none), and a look at its bytes (or why none)."""

    candidate: int
    response: Response | None
    failure: ItemError | None
    look: Inspection | None


class Recorder:
    """Writes outcomes in batches: gate, then blobs (durable), then rows, in this order."""

    def __init__(self, ws: Workspace, gate: Gate) -> None:
        self._ws, self._gate = ws, gate
        self._blocked = Blocked(ws.catalog)
        self._missed = lost.missed(ws.catalog)
        self._hashes: dict[str, Found] = {}
        self._leaves: dict[str, Treated] = {}
        self._held = ws.catalog.scalar("SELECT coalesce(sum(bytes), 0) FROM samples")
        self.incidents: list[int] = []
        self.matched = self.recorded = 0
        self.held = 0  # albums, uploaders, list files and samples that were held back with what matched
        self.unanswered = ""
        self._entries = set[tuple[str, str]]()  # of lists, that matched in this run, and were not hot
        self._remote = 0  # matches of remote matchers

    @property
    def must_stop(self) -> bool:
        """True once as many items matched a list as the run may see, or the gate has stopped answering.

        Where hot entries are held it takes more entries than that, which were not hot before: one ends no run, however
        much it matches. What a remote matcher names is a bank of entries, and each of its matches counts.
        """
        seen = max(len(self._entries) - 1, 0) + self._remote if self._holds else self.matched
        return bool(self.unanswered) or seen >= self._gate.stop_after_matches > 0

    @property
    def _holds(self) -> bool:
        return self._ws.config.screening.on_hot_entry == "hold"

    @property
    def by_look(self) -> bool:
        """True where something was taken down with its PDQ, so that PDQ is wanted of everything that comes."""
        return self._blocked.by_look

    def record(self, batch: Sequence[FetchResult]) -> None:
        """Make a batch durable; raises StoreError (a full disk, a full quota) with nothing half recorded."""
        verdicts = self._screened(batch)
        matched = {o.candidate: (o, match) for o in batch if (match := _verdict(verdicts, o).match) is not None}
        wanted = self._wanted([o.candidate for o in batch])
        judged = [_judged(o, _verdict(verdicts, o), wanted.get(o.candidate, Wanted())) for o in batch]
        outcomes = [self._let_in(one) for one in judged]
        kept = [o for o in outcomes if o.failure is None and o.look is not None]
        self._reserve(kept)
        known = {one: _media(o) | self._preserved(o, match) for one, (o, match) in matched.items()}
        stored = [o.look.sha256 for o in kept if o.look is not None]
        for one in self._missed.intersection(stored):
            self._ws.blobs.delete(one)  # they are not what they were
        with self._ws.landing(stored):
            self._ws.blobs.put((o.look.sha256, _body(o)) for o in kept if o.look and o.response)
            with self._ws.catalog.tx() as db:
                for outcome in outcomes:
                    self._write(db, outcome, wanted.get(outcome.candidate, Wanted()))
                placeholders.suspect(db, stored, self._ws.config.fetch.placeholder_urls, self._ws.catalog.run)
                found = [self._incident(db, o, match, known[one]) for one, (o, match) in matched.items()]
                if self._gate.active:
                    _count(db, verdicts)
        self.matched += len(found)
        self.recorded += len(batch)
        self.incidents = list(dict.fromkeys([*self.incidents, *found]))
        self.unanswered = next((one.unavailable for one in verdicts.values() if one.remote), self.unanswered)
        for outcome in kept:
            if (look := outcome.look) is not None and look.hashes is not None:
                self._hashes[look.sha256] = Found(look.sha256, look.hashes, look.pdq)
                self._leaves |= {look.sha256: look.leaves} if look.leaves else {}
        if len(self._hashes) >= PART:
            self.flush()

    def _write(self, db: sqlite3.Connection, outcome: FetchResult, wanted: Wanted) -> None:
        if outcome.failure is None and outcome.look is not None and outcome.look.sample is not None:
            one = outcome.look.sample
            row = (one.id, one.sha1, one.md5, one.bytes, one.media_type, one.width, one.height, one.frames)
            db.execute(_SAMPLE, (*row, self._ws.catalog.run))
        db.execute(_CANDIDATE, self._row(outcome, wanted))
        if outcome.failure is not None and outcome.failure.reason is Reason.TAKEN_DOWN:
            self._stay_away(db, outcome.candidate)

    def flush(self) -> None:
        """Write the hashes that are held in memory, and what leaves of the pictures; what a killed run loses of them,
        dedupe and export make again."""
        hashes.write(self._ws, list(self._hashes.values()), "fetch")
        leaving.write(leaving.table(self._ws), self._leaves, {}, "fetch")
        self._hashes, self._leaves = {}, {}

    def _screened(self, batch: Sequence[FetchResult]) -> dict[int, Verdict]:
        """What the gate says of everything that has bytes, by candidate."""
        seen = [(o, o.look) for o in batch if o.look is not None]
        digests = [Digests(look.sha256, look.sha1, look.md5) for _, look in seen]
        pictures = [look.pdq if look.sample is not None else None for _, look in seen]
        came = [(n, Digests(*look.came)) for n, (_, look) in enumerate(seen) if look.came]  # before it was rewritten
        verdicts = self._gate.screen([*digests, *(one for _, one in came)], [*pictures, *[None] * len(came)])
        for (n, _), verdict in zip(came, verdicts[len(seen) :], strict=True):
            if verdict.match or verdict.unavailable:
                verdicts[n] = verdict
        return {o.candidate: verdict for (o, _), verdict in zip(seen, verdicts, strict=False)}

    def _preserved(self, o: FetchResult, match: Match) -> dict[str, object]:
        """Where the bytes of a match are sealed, if the operator's policy wants them."""
        options = self._ws.config.screening
        if options.on_match != "preserve" or options.public_key is None or o.response is None:
            return {}
        facts = {
            "sha256": o.look.sha256 if o.look else None,
            "url": self._ws.catalog.scalar("SELECT locator FROM candidates WHERE candidate = ?", (o.candidate,)),
            "at": now(),
            "list": match.list,
            "entry": match.entry,
            "operator": options.operator,
        }
        name = preserve.seal(self._ws.work, preserve.public_key(options.public_key), facts, o.response.body)
        return {"sealed": name, "expires": preserve.expiry(options.preserve_days)}

    def _let_in(self, o: FetchResult) -> FetchResult:
        """The outcome, unless its bytes were taken down, or look like what was taken down with its PDQ."""
        if o.failure is not None or o.look is None or o.response is None:
            return o
        known = any(self._blocked.sha256(one) for one in (o.look.sha256, *(o.look.came or ())[:1]))
        if known or any(self._blocked.near(part) for part in self._pdq(o)):
            return FetchResult(o.candidate, None, ItemError(Reason.TAKEN_DOWN), o.look)
        return o

    def _pdq(self, o: FetchResult) -> list[bytes]:
        """The hashes that decide, of every part that says something; only where there is something to compare with."""
        if not self._blocked.by_look or o.look is None or o.response is None:
            return []
        return [part.hashes for part in o.look.pdq if part.quality >= pdq.MIN_QUALITY]

    def _stay_away(self, db: sqlite3.Connection, candidate: int) -> None:
        """Forget where it was found this time, and do not ask there again."""
        for kind, digest in scrub(self._ws.catalog, db, [candidate]):
            row = (kind, digest, "found again", now())
            db.execute("INSERT OR IGNORE INTO tombstones (kind, digest, reason, at) VALUES (?, ?, ?, ?)", row)

    def _wanted(self, candidates: Sequence[int]) -> dict[int, Wanted]:
        """What sources say that the bytes of a candidate are, where they say so."""
        marks = ",".join("?" * len(candidates))
        sql = f"SELECT candidate, min(sha1) FROM mentions WHERE sha1 IS NOT NULL AND candidate IN ({marks}) GROUP BY 1"  # noqa: S608
        found = {row[0]: Wanted(row[1]) for row in self._ws.catalog.all(sql, candidates)}
        sql = f"SELECT candidate, id, rendition FROM given WHERE candidate IN ({marks})"  # noqa: S608
        for candidate, sample, size in self._ws.catalog.all(sql, candidates):
            one = found.get(candidate, Wanted())
            found[candidate] = replace(one, given=(*one.given, (sample, size)))
        return found

    def _reserve(self, kept: Sequence[FetchResult]) -> None:
        most = self._ws.config.fetch.max_store
        self._held += sum(len(_body(o)) for o in kept)
        if most is not None and self._held > most:
            raise StoreError(f"the store would hold more than [fetch] max_store allows ({most} bytes)")

    def _row(self, o: FetchResult, wanted: Wanted) -> tuple[object, ...]:
        response, failure = o.response, o.failure
        headers = {k: response.headers[k] for k in KEPT_HEADERS if k in response.headers} if response else {}
        return (
            "stored" if failure is None else "failed",
            failure.reason if failure else None,
            failure.detail if failure else _rewriting(o.look),
            failure is not None and failure.reason.retryable,
            o.look.sha256 if failure is None and o.look else None,
            response.url if response else None,
            response.status if response else None,
            canonical(headers),
            canonical(list(response.hops)) if response and response.hops else None,
            response.robots if response else "disallowed" if _reason(o) is Reason.ROBOTS_DISALLOWED else None,
            failure.retry_after if failure else None,
            _hash_check(o, wanted),
            self._gated(o),
            now(),
            self._ws.catalog.run,
            response.attempts if response else failure.attempts if failure else 1,
            deciding(_reason(o), self._ws.config),
            o.candidate,
        )

    def _gated(self, o: FetchResult) -> str | None:
        """What the gate said of the bytes; None where there were none."""
        if o.look is None:
            return None
        said = {Reason.GATE_MATCH: "match", Reason.GATE_UNAVAILABLE: "unavailable"}.get(_reason(o) or Reason.DNS)
        return said or ("clear" if self._gate.active else "off")

    def _incident(self, db: sqlite3.Connection, o: FetchResult, match: Match, detail: Mapping[str, object]) -> int:
        """The row of a match, what came with it held back, and a row of the log that names ids only."""
        catalog, sha256, held = self._ws.catalog, o.look.sha256 if o.look else "", related_subjects(db, o.candidate)
        if db.execute("SELECT 1 FROM samples WHERE id = ?", (sha256,)).fetchone():
            held.append(("sample", sha256))  # stored before the list knew it; `curate screening rescan` removes it
        number = history.known(catalog, db, match) if self._holds else None
        if number is not None:
            history.record(catalog, db, number, history.Hit(match, sha256, o.candidate, detail))
            db.execute(
                "UPDATE incidents SET acknowledged_at = NULL, acknowledged_by = NULL WHERE incident = ?", (number,)
            )
        else:
            number = open_incident(catalog, db, "match", sha256, detail, match, o.candidate)
            self._entries |= {history.key(catalog, match)} if match.value else set()
            self._remote += not match.value
        hold(db, held, number, f"came with what incident {number} is about")
        self.held += len(held)
        catalog.append(db, "match", sha256, {"incident": number, "list": match.list, "held": len(held)})
        return number


def _verdict(verdicts: Mapping[int, Verdict], o: FetchResult) -> Verdict:
    """What the gate said of an outcome; nothing where there were no bytes."""
    return verdicts.get(o.candidate, Verdict())


def _media(o: FetchResult) -> dict[str, object]:
    """What may be known of a match that nobody looks at: its format and its size."""
    one = o.look.sample if o.look else None
    return {"media": f"{one.media_type} {one.width}x{one.height}"} if one else {}


def _judged(o: FetchResult, verdict: Verdict, wanted: Wanted) -> FetchResult:
    """The outcome after the gate, the source's own checksum and the placeholder table have spoken."""
    if verdict.match is not None:
        return FetchResult(o.candidate, None, ItemError(Reason.GATE_MATCH), o.look)
    if verdict.unavailable:
        return FetchResult(o.candidate, None, ItemError(Reason.GATE_UNAVAILABLE, verdict.unavailable), o.look)
    if o.failure is None and o.response is not None and o.look is not None:
        size = (o.look.sample.width, o.look.sample.height) if o.look.sample else None
        kind = placeholder(o.response, o.look.md5, size)
        if kind is not None:
            return FetchResult(o.candidate, o.response, ItemError(Reason.PLACEHOLDER, kind), o.look)
        if _hash_check(o, wanted) == "mismatch":
            what = "sha1" if wanted.sha1 is not None else "sha256"
            return FetchResult(o.candidate, o.response, ItemError(Reason.HASH_MISMATCH, what), o.look)
    return o


def _body(o: FetchResult) -> bytes:
    """The bytes that are kept of an outcome."""
    rewritten = o.look.rewritten if o.look else None
    return rewritten if rewritten is not None else o.response.body if o.response else b""


def _sha1(look: Inspection) -> str:
    """Of what came."""
    return look.came[1] if look.came else look.sha1


def _rewriting(look: Inspection | None) -> str | None:
    """What is on record of a sample that is stored without metadata."""
    if look is None or look.came is None:
        return None
    return rewritten(look.came)


def _count(db: sqlite3.Connection, verdicts: Mapping[int, Verdict]) -> None:
    """Add up what was screened, and what could be screened by its digests only, over all runs."""
    known = db.execute("SELECT value FROM meta WHERE key = ?", (history.SCREENED,)).fetchone()
    counts = Counter(json.loads(known[0]) if known else {})
    counts["screened"] += len(verdicts)
    counts["exact_only"] += sum(one.exact_only for one in verdicts.values())
    counts["matched"] += sum(one.match is not None for one in verdicts.values())
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (history.SCREENED, json.dumps(counts)))


def _reason(o: FetchResult) -> Reason | None:
    return o.failure.reason if o.failure else None


def _hash_check(o: FetchResult, wanted: Wanted) -> str | None:
    """Whether the bytes are those that sources name: ok, mismatch, absent (none is named), or a `rendition` of them."""
    if o.look is None:
        return None
    if wanted.sha1 is not None and _sha1(o.look) != wanted.sha1.lower():
        return "mismatch"
    if not wanted.given:
        return "absent" if wanted.sha1 is None else "ok"
    if {o.look.sha256, *(o.look.came or ())[:1]}.intersection(sample for sample, _ in wanted.given):
        return "ok"
    size = f"{o.look.sample.width}x{o.look.sample.height}" if o.look.sample else ""
    return RENDITION if size in {rendition for _, rendition in wanted.given} else "mismatch"


_SAMPLE = """
INSERT OR IGNORE INTO samples (id, sha1, md5, bytes, media_type, width, height, frames, run)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_CANDIDATE = """
UPDATE candidates SET state = ?, reason = ?, detail = ?, retryable = ?, sample = ?, final_url = ?, http_status = ?,
    headers = ?, hops = ?, robots = ?, retry_after = ?, hash_check = ?, gate = ?, fetched_at = ?, run = ?,
    attempts = attempts + ?, decided_by = ? WHERE candidate = ?
"""
