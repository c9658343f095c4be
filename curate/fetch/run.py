"""`curate fetch`: every candidate of every source ends as a stored sample, or as a failure with a reason.

One event loop asks the network, a few worker processes look at the bytes, one thread screens, stores and records. What
is under way is bounded; what is recorded is durable; what was killed is asked for again.
"""

import asyncio
import contextlib
import gc
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from curate.contracts import Engine, Http, Source
from curate.errors import CurateError, GateError, ItemError, MatchError
from curate.features import hashes
from curate.features.inspect import Inspect
from curate.fetch import placeholders
from curate.fetch.admission import admit
from curate.fetch.budget import Budget, Metered
from curate.fetch.coverage import left_out, totals, verdict, went
from curate.fetch.known import approve, forget_planned, known_again
from curate.fetch.licenses import judge_licenses
from curate.fetch.listing import list_source, source_id
from curate.fetch.pipeline import Line, MediaClient, PendingCandidate, answered
from curate.fetch.recorder import Recorder
from curate.fetch.reopen import reopen
from curate.fetch.wanted import WANTED, Wanted
from curate.fingerprint import canonical
from curate.media.decode import Bounds
from curate.net.loops import finished
from curate.progress import Progress, Step
from curate.records import Reason
from curate.screening import asked
from curate.screening.gate import REMEDY, Gate
from curate.store import lost
from curate.store.catalog import CONFIGURED
from curate.store.taxonomies import harmless, renamed
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    from curate.fetch.sampling import Stratum

GRACE = 10.0  # seconds that what is under way has when the run's time is over
PAGE = 500  # pending candidates of one host read at a time


def fetch(  # the one verb with all of the outside world handed in
    ws: Workspace, sources: Sequence[Source], http: "contextlib.AbstractAsyncContextManager[MediaClient]", gate: Gate,
    engine: Engine, progress: Progress, limit: int | None = None, sample: int | None = None, only: bool = False,
) -> dict[str, object]:  # fmt: skip
    """Fetch what is pending; rerun = resume. `limit` bounds how many candidates this run takes on; `sample` has it take
    on about so many of each class and host, drawn at random, and say what share of them is there (`sampling`). `only`:
    of these sources, which are a command's, and not those of curate.toml.

    Raises GateError before anything is asked for where screening cannot answer, and MatchError when a list matched.
    """
    started = time.monotonic()
    taxonomy = ws.config.taxonomy
    admit(ws.config, sources, gate, before := renamed(ws.catalog, taxonomy.first.name, taxonomy.version))
    if gate.banner is not None:
        progress.note(gate.banner)
    known_again(ws.catalog, sources)
    names = {source_id(one) for one in sources}
    if not only:
        forget_planned(ws.catalog, names)
        ws.catalog.set(CONFIGURED, canonical(sorted(names)))
    approve(ws.catalog, sources)
    ws.catalog.set("screening", summary := canonical(gate.summary()))
    with ws.catalog.tx() as db:
        db.execute("UPDATE runs SET screening = ? WHERE run = ?", (summary, ws.catalog.run))
    asked.note(ws.catalog, gate)
    placeholders.reconsider(ws.catalog, ws.config.fetch.placeholder_urls)
    reopened = reopen(ws)
    wanted = Wanted(names, taxonomy.first.name, None if gate.active else harmless(taxonomy.first.safe, before))
    run = _Run(ws, gate, engine, progress, Budget(ws.config.run), limit, sample, wanted)
    with _settled():
        finished(run.all(sources, http))
    lost.found_again(ws)
    whole = totals(ws)
    result = {
        **whole,
        "asked": run.recorder.recorded,
        "unlisted": run.unlisted,
        "left_out": left_out(ws.catalog),
        "reopened": reopened,
        "deferred_hosts": len(run.deferred),
        "not_asked": run.unsafe,
        "api_calls": run.budget.calls,
        "seconds": round(time.monotonic() - started, 3),
    }
    if sample is not None:
        from curate.fetch.sampling import estimate  # which imports numpy

        result |= estimate(ws.catalog, run.strata)
    if found := run.recorder.incidents:
        rest = went(ws, run.recorder.held, run.recorder.must_stop)
        raise MatchError(
            f"screening: {run.recorder.matched} item(s) matched a list: incident {', '.join(map(str, found))}. {rest}."
            f" Do not look for the item. Next: follow docs/screening.md; `curate screening incident {found[0]}"
            f" --for-report` has what a hotline asks for, and `curate screening acknowledge {found[0]} --by NAME` says"
            " that somebody was told: until then this ends with 5",
            result | {"matched": run.recorder.matched, "incidents": found},
        )
    if run.recorder.unanswered:
        raise GateError(
            f"screening: {run.recorder.unanswered}; the run stopped, and nothing was kept that could not be screened."
            f" Run it again when it answers; {REMEDY}"
        )
    return verdict(ws.catalog, whole, run.unlisted) | result


@contextlib.contextmanager
def _settled() -> Iterator[None]:
    """What is in memory by now stays: the garbage collector is spared walking it again and again."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass
class _Run:
    ws: Workspace
    gate: Gate
    engine: Engine
    progress: Progress
    budget: Budget
    limit: int | None
    sample: int | None
    wanted: Wanted
    recorder: Recorder = field(init=False)
    strata: "list[Stratum]" = field(default_factory=list)
    unlisted: dict[str, str] = field(default_factory=dict)
    deferred: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.ws, self.gate)
        self.limit = self.budget.items(self.limit)
        self.left = self.limit if self.limit is not None else -1

    async def all(self, sources: Sequence[Source], http: "contextlib.AbstractAsyncContextManager[MediaClient]") -> None:
        limits = self.ws.config.fetch
        bounds = Bounds(limits.max_pixels, limits.min_side, limits.max_frames)
        wanted = self.gate.active or self.recorder.by_look
        side = self.ws.config.export.max_side
        work = Inspect(bounds, wanted, hashes.side(self.ws), limits.strip, leaves=True, max_side=side)
        line = Line(self.engine, self.recorder, work)
        async with http as client:
            line.start(asyncio.get_running_loop(), client.room)  # its workers wake up while the sources are listed
            try:
                await self._list_all(sources, Metered(client, self.ws.catalog, self.budget))
                judge_licenses(self.ws.catalog, limits.require_license, limits.licenses)
                if self.sample is not None:
                    from curate.fetch.sampling import draw

                    self.strata = draw(self.ws.catalog, self.wanted, self.sample)
                pending = sum(count for _, count in self._by_host())
                with self.progress.stage("fetch", pending if self.limit is None else min(pending, self.limit)) as step:
                    await self._download(client, line, step)
            finally:
                await line.end()
                self.recorder.flush()
        if line.error is not None:  # of what was still on the line when the last answer had come
            raise line.error

    async def _list_all(self, sources: Sequence[Source], client: Http) -> None:
        with self.progress.stage("list") as step:
            for source in sources:
                await self._list(source, client, step)

    async def _list(self, source: Source, client: Http, step: Step) -> None:
        """List one source; one that cannot be asked now keeps its place, and does not hold up the others."""
        try:
            await list_source(self.ws.catalog, source, client, self.ws.config.taxonomy, step)
        except ItemError as error:
            self.unlisted[source_id(source)] = str(error)

    async def _download(self, client: MediaClient, line: "Line", step: Step) -> None:
        line.step = step
        try:
            async with asyncio.TaskGroup() as group:
                both = [group.create_task(line.watch()), group.create_task(self._hosts(client, line))]
                left = self.budget.seconds_left + GRACE
                await asyncio.wait(
                    both, timeout=None if left == math.inf else max(0.0, left), return_when=asyncio.FIRST_COMPLETED
                )
                for task in both:
                    task.cancel()
        except BaseExceptionGroup as errors:  # no `except*`: before Python 3.11.4 what it raises stays in a group
            known, others = errors.split(CurateError)
            if known is None or others is not None:
                raise
            raise known.exceptions[0] from None
        finally:
            await line.end()

    async def _hosts(self, client: MediaClient, line: "Line") -> None:
        """Work through every host at once; the client says how much of that is under way."""
        await asyncio.gather(*(self._host(client, line, *row) for row in self._by_host()))

    @cached_property
    def unsafe(self) -> int:
        """Pending candidates that are not asked for, since another source calls them not safe and no list is loaded."""
        counts = (self.ws.catalog.scalar(_COUNT, one.values) for one in (replace(self.wanted, safe=None), self.wanted))
        return int(next(counts) - next(counts)) if self.wanted.safe is not None else 0

    def _by_host(self) -> list[tuple[str, int]]:
        """Every host, and how many of its candidates are asked for."""
        if self.sample is not None:
            return sorted(Counter(task.host for task in self._drawn).items())
        return [(host, count) for host, count in self.ws.catalog.all(_BY_HOST, self.wanted.values)]

    @cached_property
    def _drawn(self) -> list[PendingCandidate]:
        """The sample, in the order in which it was listed."""
        sql = "SELECT candidate, kind, locator, host FROM candidates WHERE candidate = ?"
        drawn = sorted(one for stratum in self.strata for one in stratum.drawn)
        return [PendingCandidate(*row) for one in drawn for row in self.ws.catalog.all(sql, (one,))]

    async def _host(self, client: MediaClient, line: "Line", host: str, count: int) -> None:
        """Work through one host's pending candidates, a few at a time."""
        wide = self.ws.config.fetch.per_host if host else self.ws.config.fetch.concurrency
        tasks = self._pending(host)
        await asyncio.gather(*(self._worker(client, line, tasks) for _ in range(min(wide, count))))

    async def _worker(self, client: MediaClient, line: "Line", tasks: Iterator[PendingCandidate]) -> None:
        while not line.stopped and self.budget.seconds_left > 0:
            if self.left == 0 or (task := next(tasks, None)) is None:
                return
            self.left -= 1
            answer = await answered(client, task, self.ws.config.fetch.max_bytes)
            if isinstance(answer, ItemError) and answer.reason is Reason.HOST_DOWN:
                self.left += 1
                self.deferred.add(task.host)  # never asked, so neither failed nor stored: it stays pending
                return
            line.put(task, answer)

    def _pending(self, host: str) -> Iterator[PendingCandidate]:
        """The host's pending candidates in the order they were listed, read a page at a time."""
        if self.sample is not None:
            yield from (task for task in self._drawn if task.host == host)
            return
        after = 0
        while rows := self.ws.catalog.all(_PENDING, (*self.wanted.values, host, after)):
            yield from (PendingCandidate(*row) for row in rows)
            after = rows[-1][0]


_BY_HOST = f"SELECT host, count(*) FROM candidates c WHERE state = 'pending' AND {WANTED} GROUP BY host ORDER BY host"  # noqa: S608
_COUNT = f"SELECT count(*) FROM candidates c WHERE state = 'pending' AND {WANTED}"  # noqa: S608
_PENDING = f"""
SELECT candidate, kind, locator, host FROM candidates c
WHERE state = 'pending' AND host = ?4 AND candidate > ?5 AND {WANTED} ORDER BY candidate LIMIT {PAGE}
"""  # noqa: S608 (constants)
