"""A loopback server for tests: a table of paths, a count of what was asked."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = tuple[int, Mapping[str, str], bytes]


@dataclass
class Web:
    """What is served, each answer after `delay` seconds; `asked` counts requests by path."""

    port: int
    answers: dict[str, Answer]
    delay: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def origin(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.origin}{path}"


@contextmanager
def serving(answers: dict[str, Answer], delay: float = 0.0) -> Iterator[Web]:
    """Serve the table on an ephemeral loopback port; robots.txt answers 404 unless it is in the table."""
    site = Web(0, answers, delay)
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def answer(request: web.Request) -> web.Response:
        site.asked[request.path] += 1
        if site.delay:
            await asyncio.sleep(site.delay)
        status, headers, body = site.answers.get(request.path, (404, {}, b"gone"))
        return web.Response(status=status, headers=dict(headers), body=body)

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        tcp = web.TCPSite(runner, "127.0.0.1", 0)
        await tcp.start()
        site.port = runner.addresses[0][1]
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        left = asyncio.all_tasks(loop)  # answers to somebody who is gone
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield site
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
