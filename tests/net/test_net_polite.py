"""Politeness, as servers see it: how many at once, how often, when again, and when not at all."""

import asyncio
import time
from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise

import pytest

from curate.errors import ItemError
from curate.net.client import Client
from curate.net.failures import retry_after
from curate.net.limits import HostRule
from curate.net.throttle import Polite
from curate.net.urls import host_key
from curate.records import Reason
from tests.support.asked import HANG, LIMITS, OK, limits, outcome, outcomes, seconds
from tests.support.net_server import Behaviour, Server, answer, in_turn, slow
from tests.support.still_loop import now


async def test_at_most_so_many_at_once_to_one_host() -> None:
    async with Server({"/x": slow(0.03, OK)}) as server, Client(replace(limits(server), per_host=3)) as client:
        assert await outcomes(client, [server.url("/x")] * 20) == {b"ok": 20}
    assert server.peak == 3


async def test_at_most_so_many_at_once_in_all() -> None:
    active, peak = 0, 0

    async def count(request: object, writer: asyncio.StreamWriter) -> None:
        nonlocal active, peak
        active += 1
        peak = max(peak, active)
        await asyncio.sleep(0.03)
        active -= 1
        await OK(request, writer)  # type: ignore[arg-type]

    async with (
        Server({"/x": count}) as a,
        Server({"/x": count}) as b,
        Server({"/x": count}) as c,
        Client(replace(limits(a, b, c), concurrency=5)) as client,
    ):
        await outcomes(client, [server.url("/x") for server in (a, b, c)] * 10)
    assert peak == 5


async def test_waiting_for_a_slow_host_keeps_nobody_waiting() -> None:
    routes: dict[str, Behaviour] = {"/x": OK}
    async with (
        Server({"/x": slow(0.5, OK)}) as late,
        Server(routes) as other,
        Client(replace(limits(late, other), concurrency=2, per_host=1)) as client,
    ):
        behind = asyncio.gather(*(outcome(client, late.url("/x")) for _ in range(3)))
        await asyncio.sleep(0.05)
        assert await seconds(outcomes(client, [other.url("/x")] * 30)) < 0.4
        assert await behind == [b"ok"] * 3


async def test_a_rate_that_is_given_holds_for_private_hosts_too() -> None:
    async with Server({"/x": OK}) as server:
        async with Client(replace(limits(server), rate=20, robots=False)) as client:
            assert await seconds(outcomes(client, [server.url("/x")] * 11)) >= 0.45
        async with Client(limits(server)) as client:
            assert await seconds(outcomes(client, [server.url("/x")] * 50)) < 0.45
    times = [request.at for request in server.asked("/x")[:11]]
    assert all(late - early > 0.15 for early, late in zip(times, times[6:], strict=False))  # 20 a second, bursts of 2


async def test_public_hosts_are_limited_by_default() -> None:
    polite = Polite(LIMITS)
    host = polite.host("example.org", private=False)

    async def turn() -> None:
        async with polite.turn(host):
            pass

    assert await seconds(asyncio.gather(*(turn() for _ in range(6)))) >= 0.45


async def test_a_system_s_own_rule_holds_for_it_and_all_below_it() -> None:
    polite = Polite(replace(LIMITS, per_host=4))
    assert polite.host("upload.wikimedia.org", private=False).slots._value == 2
    assert polite.host("commons.wikimedia.org", private=False).slots._value == 2
    assert polite.rule("upload.wikimedia.org", private=False).byte_rate == 2_750_000
    assert polite.host("notwikimedia.org", private=False).slots._value == 4
    async with Server({"/x": slow(0.02, OK)}) as server:
        rules = {server.at: HostRule(connections=2, rate=50)}
        async with Client(replace(limits(server), rules=rules)) as client:
            assert await seconds(outcomes(client, [server.url("/x")] * 15)) >= 0.2
    assert server.peak == 2


async def test_a_byte_rate_is_kept_and_is_nobody_s_slowness() -> None:
    big = answer(200, bytes(300_000))
    async with Server({"/x": big}) as server:
        base = replace(limits(server), min_rate=500_000, read_timeout=0.3)
        async with Client(replace(base, rules={server.at: HostRule(byte_rate=500_000)})) as client:
            started = now()
            assert await outcomes(client, [server.url("/x")] * 4) == {bytes(300_000): 4}
            assert now() - started >= 1.2


@pytest.mark.parametrize("style", ["seconds", "date"])
async def test_retry_after_is_waited_for_by_all_who_ask_that_host(style: str) -> None:
    wait = "500" if style == "seconds" else formatdate(time.time() + 500, usegmt=True)  # a date is by the day's clock
    limited = in_turn(answer(429, b"", {"Retry-After": wait}), OK)
    async with (
        Server({"/x": limited, "/y": OK}) as server,
        Server({"/x": OK}) as other,
        Client(replace(limits(server, other), retries=1)) as client,
    ):
        first = asyncio.create_task(outcome(client, server.url("/x")))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(outcome(client, server.url("/y")))
        assert await seconds(outcome(client, other.url("/x"))) < 0.5
        assert [await first, await second] == [b"ok", b"ok"]
    refused, again = server.asked("/x")
    assert again.at - refused.at > 300
    assert server.asked("/y")[0].at - refused.at > 300


async def test_a_retry_after_that_is_too_long_ends_it_now_and_for_the_next() -> None:
    async with (
        Server({"/x": answer(503, b"", {"Retry-After": "3600"}), "/y": OK}) as server,
        Client(replace(limits(server), retries=3)) as client,
    ):
        with pytest.raises(ItemError) as caught:
            await client.media(server.url("/x"))
        assert (caught.value.reason, caught.value.retry_after) == (Reason.HTTP_5XX, 3600)
        with pytest.raises(ItemError) as caught:
            await client.media(server.url("/y"))
        assert caught.value.reason is Reason.HTTP_429_RATE
        assert 3590 < (caught.value.retry_after or 0) <= 3600
    assert len(server.asked("/x")) == 1
    assert not server.asked("/y")


@pytest.mark.parametrize(
    ("value", "wait"),
    [("0", 0), ("120", 120), (" 7 ", 7), (None, None), ("", None), ("-5", None), ("1.5", None), ("soon", None),
     ("9" * 30, None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("Wed, 99 Foo 2015", None), ("٣", None)],
)  # fmt: skip
def test_a_retry_after_is_read_or_it_says_nothing(value: str | None, wait: float | None) -> None:
    assert retry_after(value) == wait


async def test_what_may_help_is_tried_again_and_what_is_an_answer_is_not() -> None:
    statuses = {503: 4, 500: 4, 429: 4, 404: 1, 403: 1, 410: 1, 400: 1}
    async with (
        Server({f"/{status}": answer(status) for status in statuses}) as server,
        Client(replace(limits(server), retries=3, breaker=100)) as client,
    ):
        await outcomes(client, [server.url(f"/{status}") for status in statuses])
    assert {status: len(server.asked(f"/{status}")) for status in statuses} == statuses


async def test_waits_between_tries_grow_and_are_never_the_same() -> None:
    async with Server({"/x": answer(503)}) as server:
        async with Client(replace(limits(server), retries=4, breaker=10**6, backoff=0.05, per_host=20)) as client:
            await outcomes(client, [server.url("/x?" + str(n)) for n in range(4)])
        waits = [_waits([r.at for r in server.asked(f"/x?{n}")]) for n in range(4)]
    for wait in waits:
        assert all(gap < 0.05 * 2**n + 0.001 for n, gap in enumerate(wait))
    assert len({round(gap, 4) for wait in waits for gap in wait}) > 8


def _waits(times: list[float]) -> list[float]:
    return [late - early for early, late in pairwise(times)]


async def test_a_robots_txt_is_asked_for_once() -> None:
    robots = slow(0.05, answer(200, b"User-agent: *\nDisallow: /no"))
    async with Server({"/robots.txt": robots, "/x": OK}) as server, Client(limits(server)) as client:
        urls = [server.url("/x")] * 20 + [server.url("/no")] * 20
        assert await outcomes(client, urls) == {b"ok": 20, Reason.ROBOTS_DISALLOWED: 20}
        assert await outcomes(client, urls) == {b"ok": 20, Reason.ROBOTS_DISALLOWED: 20}
    assert len(server.asked("/robots.txt")) == 1
    assert not server.asked("/no")


async def test_a_robots_txt_that_failed_is_remembered_and_one_that_did_not_come_is_not() -> None:
    async with Server({"/robots.txt": answer(500), "/x": OK}) as server, Client(limits(server)) as client:
        for _ in range(3):
            assert await outcome(client, server.url("/x")) is Reason.ROBOTS_DISALLOWED
    assert len(server.asked("/robots.txt")) == 1
    async with (
        Server({"/robots.txt": in_turn(HANG, answer(404)), "/x": OK}) as server,
        Client(replace(limits(server), read_timeout=0.1)) as client,
    ):
        assert await outcomes(client, [server.url("/x")] * 5) == {Reason.TIMEOUT: 5}
        assert await outcome(client, server.url("/x")) == b"ok"


async def test_a_crawl_delay_is_kept() -> None:
    robots = answer(200, b"User-agent: *\nCrawl-delay: 0.2")
    async with Server({"/robots.txt": robots, "/x": OK}) as server, Client(limits(server)) as client:
        assert await seconds(outcomes(client, [server.url("/x")] * 4)) >= 0.55
    assert min(_waits([request.at for request in server.asked("/x")])) > 0.15


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://Example.org/x", "example.org"),
        ("https://example.org./", "example.org"),
        ("http://example.org:80", "example.org"),
        ("http://example.org:8080/", "example.org:8080"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
        ("http://127.0.0.1:8098/x", "127.0.0.1:8098"),
        ("http://[::1]/", "::1"),
    ],
)
def test_a_host_is_one_under_all_its_urls(url: str, key: str) -> None:
    assert host_key(url) == key


async def test_a_crawl_delay_beyond_all_patience_leaves_the_host_for_later() -> None:
    robots = answer(200, b"User-agent: *\nCrawl-delay: 86400")
    async with (
        Server({"/robots.txt": robots, "/x": OK}) as server,
        Client(replace(limits(server), max_wait=600)) as client,
    ):
        found = await outcomes(client, [server.url("/x")] * 5)
    assert found == {Reason.HOST_DOWN: 5}
    assert not server.asked("/x")
