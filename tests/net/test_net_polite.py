"""Politeness, as servers see it: how many at once, how often, when again, and when not at all."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise

import pytest

from curate.errors import ItemError
from curate.net.client import Client
from curate.net.failures import retry_after
from curate.net.limits import HostRule, Limits
from curate.net.throttle import RETRY_CREDIT, Host, Polite
from curate.net.urls import host_key
from curate.records import Reason
from tests.support.net_server import Behaviour, Request, Server, answer, closed_port, drip, head, in_turn, raw, slow
from tests.support.still_loop import now

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
    started = now()
    await work
    return now() - started


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


async def test_a_host_is_not_tried_again_without_end() -> None:
    """404s and failures in turn trip no breaker; what a host costs in retries is bounded all the same."""
    async with (
        Server({"/bad": answer(503), "/gone": answer(404)}) as server,
        Client(replace(limits(server), retries=1, backoff=0.001)) as client,
    ):
        for _ in range(40):
            assert await outcome(client, server.url("/bad")) is Reason.HTTP_5XX
            assert await outcome(client, server.url("/gone")) is Reason.HTTP_404
    assert len(server.asked("/bad")) == 40 + RETRY_CREDIT


@pytest.mark.parametrize(
    "does", [answer(500), answer(503), raw(), raw(end="reset"), HANG], ids=["500", "503", "empty", "reset", "hangs"]
)
async def test_a_host_that_keeps_failing_is_left_alone(does: Behaviour) -> None:
    async with Server({"/x": does}) as server, Server({"/x": OK}) as other:
        base = replace(limits(server, other), breaker=5, read_timeout=0.1, per_host=1)
        async with Client(base) as client:
            found = [await outcome(client, server.url("/x")) for _ in range(12)]
            assert await outcome(client, other.url("/x")) == b"ok"
            before = len(server.requests)
            assert await seconds(outcomes(client, [server.url("/x")] * 1000)) < 1
    assert Reason.HOST_DOWN not in found[:5]
    assert found[5:] == [Reason.HOST_DOWN] * 7
    assert len(server.requests) == before
    assert Reason.HOST_DOWN.retryable


async def test_refused_connections_trip_it_too() -> None:
    port = closed_port()
    async with Client(replace(LIMITS, allow_private=(f"127.0.0.1:{port}",), breaker=3, retries=1)) as client:
        found = [await outcome(client, f"http://127.0.0.1:{port}/{n}") for n in range(5)]
    assert found == [Reason.CONNECT] * 2 + [Reason.HOST_DOWN] * 3


async def test_any_answer_ends_a_row_of_failures() -> None:
    async with (
        Server({"/bad": answer(500), "/gone": answer(404)}) as server,
        Client(replace(limits(server), breaker=3)) as client,
    ):
        for _ in range(10):
            for path in ("/bad", "/bad", "/gone"):
                assert await outcome(client, server.url(path)) in (Reason.HTTP_5XX, Reason.HTTP_404)


SILENCE, FINE, GONE = ItemError(Reason.TIMEOUT), None, ItemError(Reason.HTTP_404)


@pytest.mark.parametrize(
    ("ends", "slowest", "patience"),
    [
        ([], 0, 10),
        ([SILENCE, GONE] * 7, 0, 10),
        ([SILENCE, GONE] * 8, 0, 5),
        ([SILENCE, GONE] * 16, 0, 2.5),
        ([ItemError(Reason.TOO_SLOW), GONE] * 24, 0, 1.25),
        ([SILENCE, GONE] * 1000, 0, 1),
        ([SILENCE, GONE] * 1000, 0.5, 2),  # it has answered after half a second, so two may be news
        ([SILENCE, GONE] * 1000, 9, 10),
        ([SILENCE, GONE] * 1000 + [FINE], 0, 10),
        ([ItemError(Reason.HTTP_5XX), GONE] * 1000, 0, 10),
    ],
)
def test_silence_among_answers_is_waited_out_for_less_and_less(
    ends: list[ItemError | None], slowest: float, patience: float
) -> None:
    """404s and silence in turn trip no breaker, since a 404 is an answer; what such a host may cost is bounded here."""
    host = Host(HostRule(), breaker=10)
    host.heard(slowest)
    for end in ends:
        host.record(end)
    assert not host.down
    assert host.patience(10) == patience
    worth = patience == 10 and slowest < 9
    assert host.pay_retry(ItemError(Reason.HTTP_5XX), 0) == worth, "where it is impatient, nothing is tried again"


async def test_a_host_that_never_answered_is_tried_twice_and_one_that_did_four_times() -> None:
    async with (
        Server({"/x": HANG, "/y": OK}) as server,
        Client(replace(limits(server), read_timeout=0.1, retries=3, robots=False)) as client,
    ):
        assert await outcome(client, server.url("/x?1")) is Reason.TIMEOUT
        assert await outcome(client, server.url("/y")) == b"ok"
        assert await outcome(client, server.url("/x?2")) is Reason.TIMEOUT
    assert [len(server.asked(f"/x?{n}")) for n in (1, 2)] == [2, 4]


async def test_a_host_that_answers_and_keeps_silent_in_turn_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.net.throttle.LEAST_PATIENCE", 0.02)
    async with (
        Server({"/silent": HANG, "/gone": answer(404), "/x": OK}) as server,
        Client(replace(limits(server), read_timeout=0.4, connect_timeout=0.4)) as client,
    ):
        waited = []
        for _ in range(24):
            waited.append(await seconds(outcome(client, server.url("/silent"))))
            assert await outcome(client, server.url("/gone")) is Reason.HTTP_404
        assert min(waited[:8]) > 0.35
        assert sum(waited[16:]) < 0.75 * sum(waited[:8])
        assert await outcome(client, server.url("/x")) == b"ok"
        assert await seconds(outcome(client, server.url("/silent"))) > 0.35


async def test_those_who_wait_when_a_host_goes_down_are_told() -> None:
    async with (
        Server({"/x": slow(0.02, answer(500))}) as server,
        Client(replace(limits(server), breaker=4, per_host=1)) as client,
    ):
        found = await outcomes(client, [server.url("/x")] * 50)
    assert found == {Reason.HTTP_5XX: 4, Reason.HOST_DOWN: 46}


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


async def run_by_host(client: Client, links: dict[str, list[str]], at_once: int) -> Counter[Reason | bytes]:
    """What `fetch` does: each host has its own queue, and a few who work through it."""
    found: Counter[Reason | bytes] = Counter()

    async def work(urls: Iterable[str]) -> None:
        for url in urls:
            found[await outcome(client, url)] += 1

    queues = [iter(urls) for urls in links.values()]
    await asyncio.gather(*(work(queue) for queue in queues for _ in range(at_once)))
    return found


async def test_one_trickling_host_does_not_hold_up_the_others() -> None:
    """However many wait for it, it has its own places only, and one of all is left; `benchmarks.hosts` has the time."""
    begun = asyncio.Semaphore(0)

    async def trickling(request: Request, writer: asyncio.StreamWriter) -> None:
        begun.release()
        await drip(head(), b"x" * 1200, 0.05)(request, writer)

    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Server({"/x": OK}, f"127.0.2.{n}")) for n in range(1, 10)]
        trickle = await stack.enter_async_context(Server({"/x": trickling}, "127.0.2.99"))
        base = replace(limits(*servers, trickle), per_host=4, concurrency=5, timeout=60, min_rate=1)
        client = await stack.enter_async_context(Client(base))
        slowly = asyncio.create_task(outcomes(client, [trickle.url("/x")] * 40))
        async with asyncio.timeout(30):  # the trickle takes ten minutes
            for _ in range(4):
                await begun.acquire()
            links = {server.at: [server.url(f"/x?{n}") for n in range(20)] for server in servers}
            assert await run_by_host(client, links, 4) == {b"ok": 180}
        assert not slowly.done()
        slowly.cancel()
    assert trickle.peak == 4


async def dead(hosts: int, links: int, base: Limits, mixed: bool = False) -> tuple[Counter[Reason | bytes], list[int]]:
    """A third of the hosts answers 404, a third refuses, a third accepts and never answers.

    Or `mixed`: every host answers 404 to every other link, and never answers those between. The outcomes, and how
    many connections each of those that never answer was asked for.
    """
    async with AsyncExitStack() as stack:
        table: dict[str, list[str]] = {}
        silent: list[Server] = []
        for n in range(hosts):
            address = f"127.0.{3 + n // 250}.{1 + n % 250}"
            if mixed:
                routes = {"/x": answer(404), "/y": HANG}
                at = (await stack.enter_async_context(Server(routes, address))).at
            elif n % 3 == 1:
                at = f"{address}:{closed_port(address)}"
            else:
                routes = {"/robots.txt": HANG, "/x": HANG} if n % 3 else {"/x": answer(404)}
                server = await stack.enter_async_context(Server(routes, address))
                silent += [server] if n % 3 else []
                at = server.at
            paths = "xy" if mixed else "x"
            table[at] = [f"http://{at}/{paths[link % len(paths)]}?{link}" for link in range(links // hosts)]
        client = await stack.enter_async_context(Client(replace(base, allow_private=tuple(table))))
        found = await run_by_host(client, table, base.per_host)
        return found, [server.connections for server in silent]


async def test_dead_links_cost_little() -> None:
    """However many links it has, a host that is gone is asked no more often than the breaker lets it be.

    How many links get its reason and how many `host_down` is up to the moment: those that wait share one robots.txt.
    """
    found, asked = await dead(30, 1500, replace(LIMITS, read_timeout=0.2, connect_timeout=0.2, retries=3))
    assert sum(found.values()) == 1500
    assert found[Reason.HTTP_404] == 500
    assert set(found) == {Reason.HTTP_404, Reason.CONNECT, Reason.TIMEOUT, Reason.HOST_DOWN}
    assert len(asked) == 10
    assert 0 < max(asked) <= LIMITS.breaker


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mixed", [False, True])
async def test_ten_thousand_dead_links_on_a_hundred_hosts(mixed: bool) -> None:
    began = now()
    found, _ = await dead(100, 10_000, Limits("a@b.org"), mixed)
    took = now() - began
    print(f"10,000 dead links on 100 hosts: {took:.0f} s, {dict(found)}")
    assert sum(found.values()) == 10_000
    assert found[Reason.HTTP_404] == (5000 if mixed else 3400)
    assert took < 600


async def test_a_host_that_was_away_for_a_while_is_asked_again() -> None:
    away = [True]

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        await (answer(500) if away[0] else OK)(request, writer)

    async with (
        Server({"/first": OK, "/x": behave}) as server,
        Client(replace(limits(server), breaker=3, probes=(0.1, 0.1, 0.2), robots=False)) as client,
    ):
        assert await outcome(client, server.url("/first")) == b"ok"
        asyncio.get_running_loop().call_later(0.25, away.clear)
        asyncio.get_running_loop().call_later(0.25, away.append, False)
        found = await outcomes(client, [server.url("/x")] * 40)
    assert found[Reason.HOST_DOWN] == 0
    assert found[b"ok"] >= 30


async def test_a_host_that_stays_away_is_probed_a_few_times_and_left() -> None:
    async with (
        Server({"/first": OK, "/x": answer(500)}) as server,
        Client(replace(limits(server), breaker=3, probes=(0.05, 0.05), per_host=1, robots=False)) as client,
    ):
        assert await outcome(client, server.url("/first")) == b"ok"
        found = await outcomes(client, [server.url("/x")] * 40)
    assert found == {Reason.HTTP_5XX: 3 + 2, Reason.HOST_DOWN: 35}


async def test_a_host_that_never_answered_while_others_did_is_not_probed() -> None:
    port = closed_port()
    async with Server({"/x": OK}) as other:
        base = replace(limits(other), breaker=3, probes=(60.0,), per_host=1, robots=False)
        async with Client(replace(base, allow_private=(*base.allow_private, f"127.0.0.1:{port}"))) as client:
            for _ in range(3):
                assert await outcome(client, f"http://127.0.0.1:{port}/") is Reason.CONNECT
                assert await outcome(client, other.url("/x")) == b"ok"
            assert await seconds(outcome(client, f"http://127.0.0.1:{port}/")) < 5


async def test_a_crawl_delay_beyond_all_patience_leaves_the_host_for_later() -> None:
    robots = answer(200, b"User-agent: *\nCrawl-delay: 86400")
    async with (
        Server({"/robots.txt": robots, "/x": OK}) as server,
        Client(replace(limits(server), max_wait=600)) as client,
    ):
        found = await outcomes(client, [server.url("/x")] * 5)
    assert found == {Reason.HOST_DOWN: 5}
    assert not server.asked("/x")
