"""A client that asks loopback servers: under which limits, what came of it, and how long it took."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable
from dataclasses import replace

from curate.errors import ItemError
from curate.net.client import Client
from curate.net.limits import Limits
from curate.records import Reason
from tests.support.net_server import Server, answer, raw

LIMITS = Limits("a@b.org", timeout=3, connect_timeout=1, read_timeout=1, retries=0, backoff=0.02, probes=())
OK = answer(200, b"ok")
HANG = raw(end="hang")


def limits(*servers: Server, base: Limits = LIMITS) -> Limits:
    return replace(base, allow_private=tuple(server.at for server in servers))


async def outcome(client: Client, url: str) -> Reason | bytes:
    try:
        return (await client.media(url)).body
    except ItemError as error:
        return error.reason


async def outcomes(client: Client, urls: Iterable[str]) -> Counter[Reason | bytes]:
    return Counter(await asyncio.gather(*(outcome(client, url) for url in urls)))


async def seconds(work: Awaitable[object]) -> float:
    clock = asyncio.get_running_loop().time
    started = clock()
    await work
    return clock() - started
