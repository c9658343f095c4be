"""Hosts that fail, hang or are away: asked a bounded number of times, and no other waits for them."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from curate.errors import ItemError
from curate.net.client import Client
from curate.net.limits import HostRule, Limits
from curate.net.throttle import RETRY_CREDIT, Host
from curate.records import Reason
from tests.support.asked import HANG, LIMITS, OK, limits, outcome, outcomes, seconds
from tests.support.net_server import Behaviour, Request, Server, answer, closed_port, drip, head, raw, slow
from tests.support.still_loop import now


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
