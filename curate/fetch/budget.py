"""What one run may cost: items, minutes, and an hour's requests to each documented API, counted across runs."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from curate.config import RunConfig
from curate.contracts import Http
from curate.errors import ItemError
from curate.records import Reason, Response
from curate.store.catalog import Catalog

HOUR = 60  # minutes; calls are counted by the minute


class SpentError(ItemError):
    """The run's time, or the hour's requests, are used up; what is left waits for the next run."""

    def __str__(self) -> str:
        return self.detail


@dataclass
class Budget:
    """The limits of one run, and what it has used; made when the run begins."""

    limits: RunConfig
    calls: int = 0
    _started: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float:
        """Seconds until the run's time is over; infinite where it has no end."""
        most = self.limits.max_minutes
        return math.inf if most is None else 60 * most - (time.monotonic() - self._started)

    def items(self, limit: int | None) -> int | None:
        """How many items the run may take on; `limit` is what the command asks for. None: all."""
        return min((n for n in (limit, self.limits.max_items) if n is not None), default=None)


@dataclass(frozen=True)
class Metered:
    """An Http that keeps to a budget: each request is a row before it is made, so that a killed run has counted it."""

    http: Http
    catalog: Catalog
    budget: Budget

    async def get(self, url: str, *, params: Mapping[str, str] | None = None) -> Response:
        """As the client does; raises SpentError where there is no more to be spent."""
        host = urlsplit(url).netloc.rpartition("@")[2].lower()
        if self.budget.seconds_left <= 0:
            raise SpentError(Reason.TIMEOUT, "the minutes of this run are over ([run] max_minutes)")
        self._check(host)
        self._count(host, 1)
        attempts = 1
        try:
            response = await self.http.get(url, params=params)
            attempts = response.attempts
        except ItemError as error:
            attempts = error.attempts
            raise
        finally:
            if attempts > 1:
                self._count(host, attempts - 1)
        return response

    def _check(self, host: str) -> None:
        most = self.budget.limits.api_calls_per_hour
        if most is None:
            return
        rows = self.catalog.all(
            "SELECT minute, calls FROM api_calls WHERE host = ? AND minute > ? ORDER BY minute",
            (host, _minute() - HOUR),
        )
        if sum(row["calls"] for row in rows) >= most:
            again = datetime.fromtimestamp(60 * (rows[0]["minute"] + HOUR), UTC)
            raise SpentError(
                Reason.HTTP_429_RATE,
                f"the hour's {most} requests to the API are used up ([run] api_calls_per_hour);"
                f" more from {again:%H:%M} UTC",
            )

    def _count(self, host: str, calls: int) -> None:
        self.budget.calls += calls
        with self.catalog.tx() as db:
            db.execute("DELETE FROM api_calls WHERE minute <= ?", (_minute() - HOUR,))
            db.execute(
                "INSERT INTO api_calls VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls",
                (host, _minute(), calls),
            )


def _minute() -> int:
    return int(time.time() // 60)
