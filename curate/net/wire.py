"""What aiohttp is made to do otherwise: names are looked up in threads of their own, and a broken answer breaks."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from curate.net.guard import Guard

DNS_THREADS = 32
DNS_TTL = 60  # seconds
KEEPALIVE = 5.0  # seconds an idle connection is kept; many hosts make many of them


class Resolver(AbstractResolver):
    """The system's resolver, where a slow name server holds up neither other names nor other work.

    It judges nothing: what it answers is judged on the socket, at connect time.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(DNS_THREADS, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Every address of a name; raises OSError where there is none, UnicodeError where it is no name."""
        loop = asyncio.get_running_loop()
        infos = await loop.run_in_executor(self._threads, _lookup, host, port, family)
        return [_result(host, port, kind, address) for kind, address in infos]

    async def close(self) -> None:
        """Forget lookups that wait; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Line(ResponseHandler):
    """A connection whose loss within a body is always an error of that body.

    aiohttp takes a reset for the end of a body without a length, and leaves the reader of a body with broken chunks
    waiting for ever.
    """

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone, by a reset where `exc` is given."""
        body = self._payload
        if body is not None and not body.is_eof() and exc is not None:
            body.set_exception(aiohttp.ClientPayloadError("reset"))
        super().connection_lost(exc)
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("broken chunks"))


def connector(guard: Guard, resolver: Resolver) -> aiohttp.TCPConnector:
    """Connections that the guard judges, as many as are asked for."""
    made = aiohttp.TCPConnector(
        limit=0, keepalive_timeout=KEEPALIVE, ttl_dns_cache=DNS_TTL, resolver=resolver, socket_factory=guard.socket
    )
    made._factory = cast("partial[ResponseHandler]", partial(Line, loop=asyncio.get_running_loop()))
    return made


def _lookup(host: str, port: int, family: int) -> list[tuple[int, tuple[object, ...]]]:
    infos = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [(kind, address) for kind, _, _, _, address in infos]


def _result(host: str, port: int, family: int, address: tuple[object, ...]) -> ResolveResult:
    scope = f"%{address[3]}" if family == socket.AF_INET6 and address[3] else ""  # link-local: the guard refuses it
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=f"{address[0]}{scope}", port=port, family=family, proto=0, flags=flags)
