"""Serving one session: the guard with FiftyOne's app behind it, on one loopback port, until it is closed."""

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import CurateError, UsageError

PULL = 1.0  # seconds between two looks at FiftyOne's own edits
LINGER = 180.0  # seconds without a sign of the browser that we opened: it was closed


@dataclass(frozen=True)
class Options:
    """Where the session is served (`port` 0: a free one), with which certificate, and whether a browser is opened."""

    port: int = 0
    address: str = "127.0.0.1"
    cert: Path | None = None
    key: Path | None = None
    browser: bool = True
    unobscured: bool = False

    @property
    def scheme(self) -> str:
        """https where there is a certificate."""
        return "https" if self.cert is not None else "http"


def check(options: Options) -> None:
    """Raise UsageError for an address that others can reach and that has no certificate; for half a certificate."""
    if (options.cert is None) != (options.key is None):
        raise UsageError("--cert and --key go together")
    for path in (options.cert, options.key):
        if path is not None and not path.is_file():
            raise UsageError(f"{path}: no such file")
    try:
        address = ipaddress.ip_address(options.address)
    except ValueError as error:
        raise UsageError(f"--address {options.address}: not an IP address") from error
    if not address.is_loopback and options.cert is None:
        raise UsageError(
            f"--address {options.address}: others could listen in; give --cert and --key, or use an SSH tunnel"
            " (docs/review.md)"
        )
    if address.is_unspecified:
        raise UsageError(f"--address {options.address}: name the one address that reviewers open")


@contextlib.contextmanager
def listening(options: Options) -> Iterator[socket.socket]:
    """A bound, listening socket; raises UsageError where the port is taken or may not be used."""
    family = socket.AF_INET6 if ":" in options.address else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((options.address, options.port))
        except OSError as error:
            choice = "another --port, or none for a free one"
            raise UsageError(f"{options.address} port {options.port}: {error.strerror}; give {choice}") from error
        except OverflowError as error:
            raise UsageError(f"--port {options.port}: ports are 0 to 65535") from error
        sock.listen(100)
        yield sock


def authorities(sock: socket.socket, scheme: str) -> frozenset[str]:
    """What a Host header may say: the address that is bound, and `localhost` for loopback."""
    address, port = sock.getsockname()[:2]
    names = [f"[{address}]" if ":" in address else address]
    names += ["localhost"] if ipaddress.ip_address(address).is_loopback else []
    plain = {("http", 80), ("https", 443)}
    return frozenset(f"{name}:{port}" for name in names) | (
        frozenset(names) if (scheme, port) in plain else frozenset()
    )


def url(sock: socket.socket, options: Options, token: str) -> str:
    """The address to open."""
    address, port = sock.getsockname()[:2]
    return f"{options.scheme}://{f'[{address}]' if ':' in address else address}:{port}/?token={token}"


def open_browser(where: str, folder: Path) -> None:
    """Open the address without naming it in a command line, where other users of the machine could read the token."""
    page = folder / "open.html"
    page.touch(mode=0o600)
    page.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={where}">', encoding="utf-8")
    webbrowser.open(page.as_uri())


@dataclass
class Watch:
    """What is looked at while a session is served: FiftyOne's own edits, the database, the browser."""

    pull: Callable[[], object]
    ended: Callable[[], str | None]
    seen_at: Callable[[], float]
    opened: bool


class Serving:
    """One run of the server. `close` ends it, from any thread; `signal` says what did, where a signal did."""

    def __init__(self, app: Any, sock: socket.socket, options: Options) -> None:
        self._app, self._sock, self._options = app, sock, options
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed: asyncio.Event | None = None
        self.signal: int | None = None

    def close(self) -> None:
        """End the session."""
        if self._loop is not None and self._closed is not None:
            self._loop.call_soon_threadsafe(self._closed.set)

    def run(self, ready: Callable[[], None], watch: Watch) -> None:
        """Serve until it is closed; raises CurateError where the database ended by itself."""
        asyncio.run(self._serve(ready, watch))

    async def _serve(self, ready: Callable[[], None], watch: Watch) -> None:
        from hypercorn.asyncio import serve
        from hypercorn.config import Config
        from hypercorn.protocol.h11 import H11Protocol

        H11Protocol._check_protocol = _only_http_1  # type: ignore[method-assign, assignment]
        config = Config()
        config.bind = [f"fd://{os.dup(self._sock.fileno())}"]  # it closes what it is given
        config.loglevel, config.include_server_header = "CRITICAL", False
        config.graceful_timeout = config.shutdown_timeout = 1.0
        config.alpn_protocols = ["http/1.1"]
        if self._options.cert is not None:
            config.certfile, config.keyfile = str(self._options.cert), str(self._options.key)
        self._loop, self._closed = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._stop, number)
        self._loop.set_exception_handler(_quietly)
        watching = asyncio.create_task(self._watch(watch))
        self._loop.call_soon(ready)
        await serve(self._app, config, shutdown_trigger=self._closed.wait)
        self._closed.set()
        await watching

    def _stop(self, number: int) -> None:
        self.signal = number
        if self._closed is not None:
            self._closed.set()

    async def _watch(self, watch: Watch) -> None:
        """Pull, until the session is closed, and once more after that."""
        closed = self._closed
        assert closed is not None
        try:
            while not closed.is_set() and not (watch.opened and time.monotonic() - watch.seen_at() > LINGER):
                await self._pull(watch)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(closed.wait(), PULL)
            await self._pull(watch)
        finally:
            closed.set()

    async def _pull(self, watch: Watch) -> None:
        from pymongo.errors import PyMongoError

        try:
            if watch.ended() is None:
                await asyncio.to_thread(watch.pull)
        except PyMongoError:
            await asyncio.sleep(0.1)  # it says so before the system does
        if (how := watch.ended()) is not None:
            raise CurateError(
                f"mongod ended ({how}); every decision is in the catalog, and the same command goes on from here"
            )


def _quietly(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A connection that is cut off at the end is no news."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


async def _only_http_1(*_: object) -> None:
    """In place of hypercorn's own step, which changes to HTTP/2 before anybody is asked whether that is wanted."""


def say_url(where: str) -> None:
    """One line of stdout, whole, at once."""
    sys.stdout.write(where + "\n")
    sys.stdout.flush()
