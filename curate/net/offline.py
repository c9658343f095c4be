"""A client that asks nobody: for runs whose sources are all on this machine."""

import asyncio
from collections.abc import Mapping
from types import TracebackType

from curate.errors import UsageError
from curate.net.limits import DEFAULT_RATE, HostRule
from curate.records import Response


class Offline:
    """Stands where the network would be; raises UsageError when it is asked for anything."""

    def __init__(self, why: str) -> None:
        self._why = why
        self.room = asyncio.Event()
        self.room.set()

    async def __aenter__(self) -> "Offline":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""

    async def get(self, url: str, *, params: Mapping[str, str] | None = None) -> Response:
        """Raise UsageError."""
        raise UsageError(self._why)

    def pace(self, host: str) -> HostRule:
        """How a host would be asked by default."""
        return HostRule(rate=DEFAULT_RATE)

    def denied(self, host: str) -> None:
        """Nothing is known to be refused."""

    async def media(self, url: str) -> Response:
        """Raise UsageError."""
        raise UsageError(self._why)
