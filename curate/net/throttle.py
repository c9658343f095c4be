"""Politeness, one host at a time: how many at once, how often, when to wait, when to stop asking.

A request takes its turn at its host before it takes one of the places in all, so that waiting for a slow or throttled
host keeps nobody else waiting.
"""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count

from aiolimiter import AsyncLimiter

from curate.errors import ItemError
from curate.net.limits import DEFAULT_RATE, HostRule, Limits
from curate.records import Reason, Response

FAILING = frozenset({Reason.DNS, Reason.CONNECT, Reason.TLS, Reason.TIMEOUT, Reason.TOO_SLOW, Reason.HTTP_5XX})
SILENT = frozenset({Reason.TIMEOUT, Reason.TOO_SLOW})
MAX_BACKOFF = 60.0
SILENCES = 8  # answers that did not come, before a host's silence is waited out for half as long
POLL = 0.25  # seconds between looks at what became of a probe
LEAST_PATIENCE = 1.0  # seconds
RETRY_CREDIT = 20.0  # retries that a host may cost beyond those its good answers pay for
_RANDOM = random.SystemRandom()


class Host:
    """What is known of one host: its places, its pace, its failures in a row, when it wants to be left alone."""

    __slots__ = (
        "_breaker", "_bytes", "_credit", "_failing_since", "_failures", "_limiter", "_news", "_probes", "_resume_at",
        "_silences", "_slowest", "_too_slow", "_tripped", "down", "slots",
    )  # fmt: skip

    def __init__(self, rule: HostRule, breaker: int, news: "News | None" = None) -> None:
        self.slots = asyncio.Semaphore(rule.connections or 1)
        self.down = False
        self._breaker = breaker
        self._news = news or News()
        self._tripped: float | None = None  # when it is asked once more
        self._probes = list(self._news.probes)
        self._failing_since = 0.0
        self._too_slow = 0.0
        self._limiter = _bucket(rule.rate) if rule.rate else None
        self._bytes = AsyncLimiter(rule.byte_rate, 1) if rule.byte_rate else None
        self._credit = RETRY_CREDIT
        self._failures = 0
        self._silences = 0
        self._slowest = 0.0
        self._resume_at = 0.0

    def check(self, longest: float = math.inf) -> None:
        """Raise ItemError(host_down) where nothing more is asked of the host in this run.

        It failed too often in a row, when it was probed again as well; or its robots.txt wants more than `longest`
        seconds between two requests.
        """
        if self.down:
            raise ItemError(Reason.HOST_DOWN, f"failed {self._breaker} times in a row")
        if self._too_slow > longest:
            raise ItemError(Reason.HOST_DOWN, f"asks for {self._too_slow:.0f} s between requests")

    async def clear(self, longest: float) -> None:
        """Wait until the host may be asked; raises ItemError(http_429_rate) where that takes over `longest` seconds."""
        while (wait := self._resume_at - time.monotonic()) > 0:
            if wait > longest:
                raise ItemError(Reason.HTTP_429_RATE, f"asks to be left alone for {wait:.0f} s", wait)
            await asyncio.sleep(wait)
        await self._probed()
        if self._limiter:
            await self._limiter.acquire()

    async def _probed(self) -> None:
        """While the host is tripped: wait for the time of the next probe, and let one request through, to be it."""
        while self._tripped is not None and not self.down:
            if (wait := self._tripped - time.monotonic()) <= 0:
                self._tripped = math.inf  # the others wait for what becomes of it
                return
            await asyncio.sleep(min(wait, POLL))

    def record(self, failure: ItemError | None) -> None:
        """Note how one request ended. Any answer ends a row of failures, a 404 too; a good one pays for a retry."""
        if failure is None:
            self._credit = min(RETRY_CREDIT, self._credit + 1)
            self._silences = 0
        elif failure.retry_after:
            self._resume_at = max(self._resume_at, time.monotonic() + failure.retry_after)
        self._silences += failure is not None and failure.reason in SILENT
        if failure is None or failure.reason not in FAILING:
            self._failures, self._tripped, self._probes = 0, None, list(self._news.probes)
            self._news.answered = time.monotonic()
            return
        self._failing_since = self._failing_since if self._failures else time.monotonic()
        self._failures += 1
        if self._failures >= self._breaker and self._tripped in (None, math.inf):  # what was under way is no probe
            self._trip()

    def _trip(self) -> None:
        """Have the host probed later, or leave it: one that never answered while others did is gone.

        Where nobody has answered since it began to fail, it may be the network that is down.
        """
        gone = not self._slowest and self._news.answered > self._failing_since
        self.down = self.down or gone or not self._probes
        self._tripped = None if self.down else time.monotonic() + self._probes.pop(0)

    def missed(self) -> None:
        """A probe came to nothing that says anything of the host: the next one may go."""
        if self._tripped == math.inf:
            self._tripped = time.monotonic()

    def heard(self, seconds: float) -> None:
        """Note how long the beginning of an answer took, whatever it says."""
        self._slowest = max(self._slowest, seconds)

    def patience(self, full: float) -> float:
        """Seconds of silence that are waited out at this host, `full` at best.

        A host that answers some requests and keeps silent on others trips no breaker. Its silence is waited out for
        half as long after every eight of them, but for no less than four times its slowest answer, until it gives
        something good.
        """
        if self._silences < SILENCES:
            return full
        return min(full, max(LEAST_PATIENCE, 4 * self._slowest, full / 2.0 ** min(self._silences // SILENCES, 16)))

    def pay_retry(self, failure: ItemError, tried: int) -> bool:
        """True where the host is worth one more try, which is taken off its credit.

        One that was silent from the beginning is tried once more, not three times: lists name many that are gone.
        """
        unknown = failure.reason in SILENT and not self._slowest
        if self.down or self._credit < 1 or self._silences >= SILENCES or (unknown and tried > 0):
            return False
        self._credit -= 1
        return True

    def slow_to(self, delay: float) -> None:
        """Keep at least `delay` seconds (its robots.txt's Crawl-delay) between two requests."""
        self._too_slow = max(self._too_slow, delay)
        rate = 1 / delay
        if self._limiter is None or self._limiter.max_rate / self._limiter.time_period > rate:
            self._limiter = _bucket(rate)

    async def brake(self, size: int) -> float:
        """Wait until `size` more bytes are within the host's byte rate; the seconds waited."""
        if self._bytes is None:
            return 0.0
        started = time.monotonic()
        while size > 0:
            part = min(size, self._bytes.max_rate)
            await self._bytes.acquire(part)
            size -= int(part) or 1
        return time.monotonic() - started


@dataclass
class News:
    """When any host last gave an answer, for all hosts to know; and how long tripped ones are left before a probe."""

    probes: tuple[float, ...] = ()
    answered: float = 0.0


class Polite:
    """All hosts, and the places in all."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._news = News(limits.probes)
        self._places = asyncio.Semaphore(limits.concurrency)
        self._hosts: dict[str, Host] = {}

    def host(self, key: str, private: bool) -> Host:
        """The host of this name (see `urls.host_key`); a private one has no rate unless one was given."""
        if (host := self._hosts.get(key)) is None:
            host = self._hosts[key] = Host(self.rule(key, private), self._limits.breaker, self._news)
        return host

    @asynccontextmanager
    async def turn(self, host: Host) -> AsyncIterator[None]:
        """A request's turn: its host's place, pace and pause first, then one of the places in all."""
        host.check(self._limits.max_wait)
        async with host.slots:
            await host.clear(self._limits.max_wait)
            try:
                async with self._places:
                    host.check(self._limits.max_wait)
                    yield
            finally:
                host.missed()

    async def retry(self, host: Host, attempt: Callable[[], Awaitable[Response]]) -> Response:
        """Try, and try again where the reason says so: exponential backoff, full jitter, holding no place meanwhile."""
        for tried in count():
            try:
                answer = await attempt()
                return replace(answer, attempts=tried + 1) if tried else answer
            except ItemError as error:
                error.attempts = tried + 1
                if tried >= self._limits.retries or not self._again(error) or not host.pay_retry(error, tried):
                    raise
            await asyncio.sleep(_RANDOM.uniform(0, min(MAX_BACKOFF, self._limits.backoff * 2**tried)))
        raise AssertionError("unreachable")

    def _again(self, error: ItemError) -> bool:
        soon = (error.retry_after or 0) <= self._limits.max_wait
        return error.reason.retryable and error.reason is not Reason.HOST_DOWN and soon

    def rule(self, key: str, private: bool) -> HostRule:
        """How this host is asked: the general limits, or what its system asks of its clients."""
        limits = self._limits
        rule = _named(limits, key)
        general = limits.rate if limits.rate is not None else None if private else DEFAULT_RATE
        rates = [rate for rate in (rule.rate, general) if rate is not None]
        connections = min(limits.per_host, rule.connections or limits.per_host)
        return HostRule(connections, min(rates, default=None), rule.byte_rate)


def _named(limits: Limits, key: str) -> HostRule:
    """The rule for this host or the nearest domain above it."""
    name = key
    while name:
        if rule := limits.rules.get(name):
            return rule
        name = name.partition(".")[2]
    return HostRule()


def _bucket(rate: float) -> AsyncLimiter:
    """At most `rate` a second, with bursts of a tenth of a second's worth."""
    burst = max(1.0, rate / 10)
    return AsyncLimiter(burst, burst / rate)
