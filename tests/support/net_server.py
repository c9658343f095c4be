"""A loopback server that misbehaves on demand: each path has a behaviour, every request is remembered."""

import asyncio
import atexit
import contextlib
import socket
import ssl
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Request:
    """What the client asked, and when."""

    path: str
    headers: Mapping[str, str]
    at: float
    body: bytes = b""


Behaviour = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Serves `routes` (path without query -> behaviour) on one loopback address; `/robots.txt` is 404 unless given."""

    def __init__(self, routes: Mapping[str, Behaviour], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None):
        self.routes = {"/robots.txt": answer(404), **routes}
        self.host, self._tls = host, tls
        self.requests: list[Request] = []
        self.connections = self.active = self.peak = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0, ssl=self._tls, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def at(self) -> str:
        """host:port, as `allow_private` wants it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def url(self, path: str = "/", scheme: str = "http") -> str:
        return f"{scheme}://{self.at}{path}"

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                await self._one(await _read(reader), writer)
        writer.transport.abort() if writer.transport.is_closing() else writer.close()

    async def _one(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        self.active += 1
        self.peak = max(self.peak, self.active)
        try:
            await self.routes.get(request.path.partition("?")[0], answer(404))(request, writer)
        finally:
            self.active -= 1


async def _read(reader: asyncio.StreamReader) -> Request:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(lines[0].split(" ")[1], headers, asyncio.get_running_loop().time(), body)


def head(status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Behaviour:
    """An honest answer; the connection stays."""
    return raw(head(status, {"Content-Length": str(len(body)), **(headers or {})}) + body, end="keep")


def redirect(location: str, status: int = 302) -> Behaviour:
    """To `location`, where `{at}` is the server's own host and port."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        place = location.replace("{at}", request.headers["host"])
        await answer(status, headers={"Location": place})(request, writer)

    return behave


def raw(*parts: bytes, end: str = "close", gap: float = 0.0) -> Behaviour:
    """These bytes with a gap before each but the first, then `end`: keep, close, reset, hang."""

    async def behave(_: Request, writer: asyncio.StreamWriter) -> None:
        for n, part in enumerate(parts):
            if n:
                await asyncio.sleep(gap)
            writer.write(part)
            await writer.drain()
        await _finish(writer, end, gap)

    return behave


async def _finish(writer: asyncio.StreamWriter, end: str, gap: float) -> None:
    if end == "keep":
        return
    if end == "hang":
        await asyncio.sleep(60)
    if end == "reset":
        await asyncio.sleep(gap)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    raise ConnectionAbortedError


def drip(start: bytes, piece: bytes, every: float) -> Behaviour:
    """`start`, then `piece` again and again, for ever."""

    async def behave(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(every)

    return behave


def chunked(body: bytes, headers: Mapping[str, str] | None = None, end: bytes = b"0\r\n\r\n") -> Behaviour:
    start = head(200, {"Transfer-Encoding": "chunked", **(headers or {})})
    return raw(start + b"%x\r\n%s\r\n" % (len(body), body) + end)


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """The first behaviour at the first request, and so on; the last one stays."""
    left = list(behaviours)

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(request, writer)

    return behave


def slow(seconds: float, then: Behaviour) -> Behaviour:
    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await then(request, writer)

    return behave


def packed(body: bytes, wbits: int = 31) -> bytes:
    """`body` as gzip (31), zlib (15) or raw deflate (-15)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return packer.compress(body) + packer.flush()


def closed_port(host: str = "127.0.0.1") -> int:
    """A port where nobody listens, and nobody else will: it is taken for as long as this process lives."""
    sock = _TAKEN.enter_context(socket.socket())
    sock.bind((host, 0))
    port: int = sock.getsockname()[1]
    return port


_TAKEN = contextlib.ExitStack()
atexit.register(_TAKEN.close)
