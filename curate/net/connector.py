"""What aiohttp is made to do otherwise: names are looked up in threads of their own, and a broken answer breaks."""

import asyncio
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from curate.net.address_guard import Guard

DNS_THREADS = 32
DNS_TTL = 60  # seconds
MAX_HEAD = 128 * 1024  # bytes of headers that are waited for; what is longer goes to the parser as it came
_BLANK = re.compile(rb"\r?\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)")  # another answer follows
_LENGTH = re.compile(rb"content-length[ \t]*:", re.IGNORECASE)
_PLAIN = re.compile(rb"content-length: ?[0-9]+\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"transfer-encoding[ \t]*:[ \t]*chunked[ \t]*\r?\n", re.IGNORECASE)
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
    """A connection whose loss within a body is always an error of that body, and whose answers may repeat themselves.

    aiohttp takes a reset for the end of a body without a length, and leaves the reader of a body with broken chunks
    waiting for ever. It refuses a length that is said twice, and a length beside chunks; both are unambiguous
    (RFC 9112, sections 6.2 and 6.3), and browsers take them.
    """

    _head: bytes | None = None  # of an answer that is awaited, as far as it came; None where none is

    def set_response_params(self, **params: Any) -> None:
        """An answer is awaited from here on."""
        self._head = b""
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on to the parser; the headers of an answer together, once they are whole."""
        if self._head is None or self._parser is None or not data:
            super().data_received(data)
            return
        begin = max(0, len(self._head) - 3)
        self._head += data
        found = _BLANK.search(self._head, begin)
        if found is None and len(self._head) <= MAX_HEAD:
            self._reschedule_timeout()
            return
        head, end = self._head, found.end() if found else 0
        self._head = b"" if _INTERIM.match(head) and end == len(head) else None
        said = head[:end]
        super().data_received(head if mended(said) == said else mended(said) + head[end:])

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone, by a reset where `exc` is given."""
        if self._head and self._parser is not None:
            super().data_received(self._head)  # no headers came of it: the parser says what is wrong
        body = self._payload
        if body is not None and not body.is_eof() and exc is not None:
            body.set_exception(aiohttp.ClientPayloadError("reset"))
        super().connection_lost(exc)
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("broken chunks"))


def mended(head: bytes) -> bytes:
    """The headers of an answer without what repeats its length, or contradicts its chunks."""
    lines = head.splitlines(keepends=True)
    lengths = [line for line in lines if _LENGTH.match(line)]
    if not lengths or (len(lengths) == 1 and _PLAIN.fullmatch(lengths[0]) and not any(map(_CHUNKED.match, lines))):
        return head
    values = {one.strip() for line in lengths for one in line.partition(b":")[2].split(b",")}
    chunked = any(_CHUNKED.match(line) for line in lines)
    if len(values) > 1 or (len(lengths) == 1 and b"," not in lengths[0] and not chunked):
        return head
    kept = [line for line in lines if not _LENGTH.match(line)]
    return b"".join([kept[0], *([] if chunked else [b"Content-Length: " + values.pop() + b"\r\n"]), *kept[1:]])


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
