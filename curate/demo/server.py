"""Serves a demo site on the loopback interface, from a thread of its own."""

import asyncio
import threading
from types import TracebackType
from typing import Self

from aiohttp import web

from curate.demo.web import Answer, Site
from curate.errors import CurateError

HOST = "127.0.0.1"
RETRY_AFTER = 1  # seconds


class Server:
    """A context manager: while it is open, `base_url` answers as the site says, on 127.0.0.1 only.

    `port` 0 takes a free one; a fixed one keeps URLs the same from run to run. Raises CurateError where the port is
    taken.
    """

    def __init__(self, site: Site, port: int = 0) -> None:
        self._answers = site.answers
        self._port = port
        self._asked: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="demo-server", daemon=True)

    @property
    def base_url(self) -> str:
        """Without a slash at the end."""
        return f"http://{HOST}:{self._port}"

    def forget(self, path: str) -> None:
        """Answer 404 under this path from now on."""
        self._answers.pop(path, None)

    @property
    def authority(self) -> str:
        """The exception that `fetch.allow_private` needs."""
        return f"{HOST}:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        except OSError as error:
            self._stop()
            raise CurateError(f"demo: port {self._port} of {HOST} cannot be had: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._stop()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _answer(self, request: web.Request) -> web.Response:
        answer = self._answers.get(request.path, Answer(b"not found", "text/plain", 404))
        if answer.first_429 and request.path not in self._asked:
            self._asked.add(request.path)
            return web.Response(status=429, headers={"Retry-After": str(RETRY_AFTER)})
        return web.Response(
            body=answer.body, status=answer.status, content_type=answer.type, headers=dict(answer.headers)
        )
