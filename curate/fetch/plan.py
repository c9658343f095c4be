"""`curate fetch --plan`: how much there is to fetch, and what it will cost, without fetching it.

Sources that can estimate are asked to, with few requests. Others (lists and folders on this machine) are listed, which
`fetch` then need not do again.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from curate.contracts import Http, Source, SupportsPlan
from curate.errors import CurateError, ItemError
from curate.fetch.budget import Budget, Metered, SpentError
from curate.fetch.known import forget_planned, known_again
from curate.fetch.listing import classes, list_source, source_id
from curate.fetch.reopen import changed
from curate.fingerprint import canonical
from curate.layouts.folder import path_of
from curate.net.limits import HostRule
from curate.net.loops import finished
from curate.net.urls import MALFORMED
from curate.plugins import kind_of, name_of, options_of
from curate.policy.refusals import check_sources
from curate.progress import Progress
from curate.records import Estimate, Reason
from curate.stats.coverage import Coverage
from curate.store.catalog import CONFIGURED
from curate.store.workspace import Workspace

API_SECONDS = 1.0  # one request of a series, with its answer
SLOWEST = 10  # hosts named


class PlanClient(Http, Protocol):
    """The network, as a plan sees it."""

    def pace(self, host: str) -> HostRule: ...

    def denied(self, host: str) -> Reason | None: ...


def plan(
    ws: Workspace, sources: Sequence[Source], http: AbstractAsyncContextManager[PlanClient], progress: Progress
) -> dict[str, object]:
    """Items, bytes, API requests and seconds at the polite rate, by source and for the slowest hosts.

    `items` is what `fetch` would ask for: what is not fetched yet, and what failed by a setting that has changed; a
    line that is no URL is none. `bytes` counts items whose size is known or estimated, `bytes_unknown` is how many
    others there are; `refused` what no run asks for as long as curate.toml says the same, by reason. `seconds` is a
    lower bound: listing in series, then hosts side by side. Raises GateError for a refused source.
    """
    check_sources([{"use": kind_of(one), **options_of(one), "classes": one.classes()} for one in sources])
    classes(sources, ws.config.taxonomy)
    known_again(ws.catalog, sources)
    names = {source_id(one) for one in sources}
    forget_planned(ws.catalog, names, keep=True)
    ws.catalog.set(CONFIGURED, named := canonical(sorted(names)))
    return finished(_Plan(ws, named).all(sources, http, progress))


@dataclass
class _Plan:
    ws: Workspace
    named: str  # the sources, as JSON
    items: Counter[str] = field(default_factory=Counter)  # by host
    bytes: Counter[str] = field(default_factory=Counter)  # by host
    unknown: int = 0  # items without a size
    refused: Counter[str] = field(default_factory=Counter)  # by reason
    denied: Callable[[str], Reason | None] = field(init=False)
    calls: int = 0
    parts: list[dict[str, object]] = field(default_factory=list)
    unplanned: dict[str, str] = field(default_factory=dict)
    silent: int = 0  # sources that did not answer

    async def all(
        self, sources: Sequence[Source], http: AbstractAsyncContextManager[PlanClient], progress: Progress
    ) -> dict[str, object]:
        budget = Budget(self.ws.config.run)
        async with http as client:
            metered = Metered(client, self.ws.catalog, budget)
            self.denied = client.denied
            with progress.stage("plan") as step:
                for source in sources:
                    try:
                        if not self._listed(source) and isinstance(source, SupportsPlan):
                            self._expect(source, await source.plan(metered))
                            step()
                        else:
                            await list_source(self.ws.catalog, source, metered, self.ws.config.taxonomy, step)
                            sizes = self._files(source)
                            known = None if not sizes or None in sizes else sum(size or 0 for size in sizes)
                            self.parts.append(_part(source, Estimate(self._pending(source), 0, known)))
                    except ItemError as error:
                        self.unplanned[source_id(source)] = str(error)
                        self.silent += not isinstance(error, SpentError)
            self._known()
            seconds = {host: self._seconds(client.pace(host), host) for host in self.items if host}
        return {
            "items": self.items.total(),
            "bytes": self.bytes.total(),
            "bytes_unknown": self.unknown,
            "refused": dict(self.refused),
            "api_calls": self.calls,
            "seconds": round(self._listing() + max(seconds.values(), default=0.0), 1),
            "hosts": len(seconds),
            "slowest": [
                {"host": host, "items": self.items[host], "seconds": round(seconds[host], 1)}
                for host in sorted(seconds, key=lambda host: (-seconds[host], host))[:SLOWEST]
            ],
            "sources": self.parts,
            **self._coverage(len(sources)),
            "asked": budget.calls,
            "unplanned": self.unplanned,
        }

    def _coverage(self, sources: int) -> dict[str, object]:
        """Sources that could say what they have. Raises CurateError where not one answered: that is no plan of nothing;
        where the budget alone keeps from asking, there is an answer, which is incomplete."""
        lost = "; ".join(sorted(set(self.unplanned.values())))
        if self.silent and len(self.unplanned) >= sources:
            raise CurateError(f"fetch --plan: no source could be asked what it has ({lost}); nothing is known")
        found = Coverage(sources - len(self.unplanned), sources, "sources", "could not be asked")
        return found.facts(f"{found.said} ({lost}); what is counted is too little" if self.unplanned else None)

    def _expect(self, source: Source, estimates: Sequence[Estimate]) -> None:
        """Count what a source expects, less what a listing that was stopped has found of it already."""
        sql = "SELECT count(DISTINCT candidate) FROM mentions WHERE source = ?"
        left = known = self.ws.catalog.scalar(sql, (source_id(source),))
        for one in estimates:
            new = max(0, one.items - left)
            left = max(0, left - one.items)
            self.calls += one.api_calls
            size = round((one.bytes or 0) * new / one.items) if one.items else 0
            self._count(one.host or "", new, size, new if one.bytes is None else 0)
        sizes = [one.bytes for one in estimates if one.bytes is not None]
        whole = Estimate(
            sum(one.items for one in estimates), sum(one.api_calls for one in estimates), sum(sizes), exact=False
        )
        self.parts.append(_part(source, whole) | {"known": known})

    def _known(self) -> None:
        """Count what is listed and not fetched yet, or is asked for again since a setting changed."""
        for host, items, size, sized in self.ws.catalog.all(_PENDING, (MALFORMED, self._again, self.named)):
            self._count(host or "", items, size, items - sized)
        files = self._files(None)
        self._count("", len(files), sum(size or 0 for size in files), files.count(None))

    def _count(self, host: str, items: int, size: int, unknown: int) -> None:
        if host and (why := self.denied(host)):
            self.refused[why] += items
        else:
            self.items[host] += items
            self.bytes[host] += size
            self.unknown += unknown

    def _listed(self, source: Source) -> bool:
        return bool(self.ws.catalog.scalar("SELECT listed FROM sources WHERE source = ?", (source_id(source),)))

    def _pending(self, source: Source) -> int:
        return int(self.ws.catalog.scalar(_PENDING_OF, (MALFORMED, self._again, source_id(source))))

    def _files(self, source: Source | None) -> list[int | None]:
        """The sizes in bytes of the files on this machine that would be read (of one source, or all); None: unknown."""
        named = canonical([source_id(source)]) if source else self.named
        rows = self.ws.catalog.all(_PENDING_FILES, (self._again, named))
        return [_size(row[0]) for row in rows]

    @cached_property
    def _again(self) -> str:
        return json.dumps([decided for decided, _, _ in changed(self.ws)])

    def _seconds(self, rule: HostRule, host: str) -> float:
        paced = self.items[host] / rule.rate if rule.rate else 0.0
        return max(paced, self.bytes[host] / rule.byte_rate if rule.byte_rate else 0.0)

    def _listing(self) -> float:
        most = self.ws.config.run.api_calls_per_hour
        waits = 3600.0 * ((self.calls - 1) // most) if most and self.calls else 0.0
        return max(waits, self.calls * API_SECONDS)


def _size(locator: str) -> int | None:
    try:
        return os.stat(path_of(locator)).st_size  # noqa: PTH116 (names may hold bytes that are no text)
    except OSError:
        return None


def _part(source: Source, one: Estimate) -> dict[str, object]:
    said = {"items": one.items, "bytes": one.bytes, "api_calls": one.api_calls, "exact": one.exact}
    return {"source": source_id(source), "use": name_of(source), **said}


_PENDING = """
SELECT host, count(*), coalesce(sum(size), 0), count(size) FROM (
    SELECT c.host, max(CAST(json_extract(m.facts, '$.bytes') AS INTEGER)) AS size
    FROM candidates c JOIN mentions m USING (candidate)
    WHERE c.host IS NOT ? AND c.kind != 'path' AND (c.state = 'pending'
        OR c.state = 'failed' AND c.decided_by IN (SELECT value FROM json_each(?)))
        AND m.source IN (SELECT value FROM json_each(?)) GROUP BY c.candidate)
GROUP BY host
"""
_PENDING_FILES = """
SELECT DISTINCT c.locator FROM candidates c JOIN mentions m USING (candidate)
WHERE c.kind = 'path' AND (c.state = 'pending'
    OR c.state = 'failed' AND c.decided_by IN (SELECT value FROM json_each(?1)))
    AND m.source IN (SELECT value FROM json_each(?2))
"""
_PENDING_OF = """
SELECT count(DISTINCT candidate) FROM candidates JOIN mentions USING (candidate)
WHERE host IS NOT ? AND (state = 'pending'
    OR state = 'failed' AND decided_by IN (SELECT value FROM json_each(?))) AND source = ?
"""
